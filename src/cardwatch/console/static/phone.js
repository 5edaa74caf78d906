// The simulated phone: whose it is, what it shows, and what is typed on it.

import { element, post, problemText, time } from "./format.js";

const STATES = {
  queued: "waiting",
  sending: "sending",
  unknown: "checking with the provider",
  accepted: "sent",
  sent: "sent",
  delivered: "delivered",
  undelivered: "not delivered",
  failed: "failed",
  expired: "expired",
  received: "received",
};

export class Phone {
  #entries = [];
  #current = null;
  #loading = false;
  #again = false;
  #chips = document.getElementById("phones");
  #thread = document.getElementById("thread");
  #form = document.getElementById("reply");
  #problem = document.getElementById("reply-problem");
  #onChoose;

  /** @param onChoose is called with the number whose texts shall be heard of. */
  constructor(onChoose) {
    this.#onChoose = onChoose;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send(this.#form.elements.body.value.trim());
    });
    for (const button of this.#form.querySelectorAll("[data-reply]")) {
      button.addEventListener("click", () => this.#send(button.dataset.reply));
    }
    this.#showThread([]);
  }

  /** Take in the phones that there are, those with an open question first. */
  offer(entries) {
    const held = this.#chips.matches(":hover, :focus-within"); // nothing moves under a pointer
    const order = new Map(this.#entries.map((entry, place) => [entry.phone, place]));
    const place = (entry) => order.get(entry.phone) ?? order.size;
    this.#entries = held ? [...entries].sort((one, other) => place(one) - place(other)) : entries;
    if (this.#current === null && entries.length > 0) this.choose(entries[0].phone);
    else this.#showChips();
  }

  /** Show the phone of a number. */
  choose(phone) {
    if (phone !== this.#current) {
      this.#current = phone;
      this.#problem.textContent = "";
      this.#onChoose(phone);
      this.load();
    }
    this.#showChips();
  }

  /** Show the phone of an account, if it is one of those offered. */
  chooseHolder(userId) {
    const entry = this.#entries.find((one) => one.user_id === userId);
    if (entry !== undefined) this.choose(entry.phone);
  }

  /** Fetch the conversation; calls in the meantime fetch it once more. */
  async load() {
    if (this.#current === null) return;
    if (this.#loading) {
      this.#again = true;
      return;
    }
    this.#loading = true;
    const phone = this.#current;
    const response = await fetch(this.#path(phone)).catch(() => null);
    this.#loading = false;
    if (response?.ok && phone === this.#current) this.#showThread((await response.json()).messages);
    if (this.#again || phone !== this.#current) {
      this.#again = false;
      this.load();
    }
  }

  async #send(text) {
    if (text === "" || this.#current === null) return;
    const phone = this.#current;
    const response = await post(this.#path(phone), { body: text });
    if (response === null || !response.ok) {
      const why = response === null ? "the server cannot be reached" : await problemText(response);
      this.#problem.textContent = `Not sent: ${why}`;
      this.#form.elements.body.value = text; // kept, so that it can be sent again
      return;
    }
    this.#problem.textContent = "";
    this.#form.elements.body.value = "";
    if (phone === this.#current) this.#showThread((await response.json()).messages);
  }

  #path(phone) {
    return `/phone/${encodeURIComponent(phone)}/messages`;
  }

  #showChips() {
    const chip = (entry) =>
      element(
        "button",
        {
          type: "button",
          "aria-pressed": entry.phone === this.#current ? "true" : "false",
          title: `${entry.user_id}, ${entry.phone}`,
          "data-phone": entry.phone,
          onclick: () => this.choose(entry.phone),
        },
        entry.name?.split(" ")[0] ?? entry.user_id,
        entry.open_questions === 0 ? null : openCount(entry.open_questions),
      );
    const focused = this.#chips.contains(document.activeElement) ? document.activeElement.dataset.phone : null;
    this.#chips.replaceChildren(...this.#entries.map(chip));
    if (focused !== null) this.#chips.querySelector(`[data-phone="${CSS.escape(focused)}"]`)?.focus();
    document.getElementById("phone-number").textContent = this.#current ?? "";
    for (const control of this.#form.elements) control.disabled = this.#current === null;
  }

  #showThread(messages) {
    const thread = this.#thread;
    const atEnd = thread.scrollHeight - thread.scrollTop - thread.clientHeight < 40;
    if (messages.length === 0) {
      const hint = this.#current === null ? "No account with a phone yet; cardwatch seed makes five." : "No texts yet. A suspicious payment brings one.";
      thread.replaceChildren(element("li", { class: "empty" }, hint));
      return;
    }
    const grew = messages.length !== thread.querySelectorAll(".bubble").length;
    thread.replaceChildren(...messages.map(bubble));
    if (atEnd || grew) thread.scrollTop = thread.scrollHeight;
  }
}

function openCount(count) {
  const what = count === 1 ? " open question" : " open questions";
  return element("span", { class: "open-count" }, String(count), element("span", { class: "hidden" }, what));
}

function bubble(message) {
  const state = STATES[message.state] ?? message.state;
  const mine = message.direction === "inbound";
  return element(
    "li",
    { class: `bubble ${mine ? "mine" : "theirs"}`, "data-kind": message.kind },
    element("span", { class: "hidden" }, mine ? "Cardholder: " : "Cardwatch: "),
    element("p", {}, message.body),
    element("span", { class: "delivery" }, message.sent_at === null ? "" : time(message.sent_at), ` · ${state}`),
  );
}
