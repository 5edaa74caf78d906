// The table of payments: newest on top, marked when new, and held still while somebody reads it.

import { amount, element, isFlagged, riskBadge, statusPill, time, topReason } from "./format.js";

const SHOWN_MAX = 50;
const MARKED_MS = 3_000;

export class Payments {
  #known = new Map();
  #rows = new Map();
  #filter = "all";
  #selected = null;
  #filled = false;
  #body = document.getElementById("rows");
  #scroller = document.getElementById("scroller");
  #heldBack = document.getElementById("held-back");
  #onOpen;

  /** @param onOpen is called with the payment whose row was chosen. */
  constructor(onOpen) {
    this.#onOpen = onOpen;
    this.#heldBack.addEventListener("click", () => this.#showHeldBack());
    this.#scroller.addEventListener("scroll", () => this.#settle(), { passive: true });
    this.#body.addEventListener("pointerleave", () => this.#settle());
    this.#body.addEventListener("focusout", () => setTimeout(() => this.#settle()));
    this.#body.addEventListener("keydown", (event) => this.#step(event));
    this.#body.addEventListener("click", (event) => this.#choose(event));
    for (const button of document.querySelectorAll("[data-filter]")) {
      button.addEventListener("click", () => this.#setFilter(button.dataset.filter));
    }
  }

  /** Take payments in, in order of arrival; older news of the same payment is replaced. */
  apply(payments) {
    for (const payment of payments) {
      this.#known.set(payment.transaction_id, payment);
      this.#refresh(payment);
    }
    this.#forget();
    this.#settle();
  }

  /** Mark the row of a payment as the one whose detail is open; null for none. */
  select(transactionId) {
    this.#selected = transactionId;
    for (const [id, row] of this.#rows) row.setAttribute("aria-selected", id === transactionId ? "true" : "false");
  }

  /** Put the focus back on the row of a payment, if it is still shown. */
  focus(transactionId) {
    this.#rows.get(transactionId)?.querySelector("button").focus();
  }

  #wanted() {
    const newest = [...this.#known.values()].sort((one, other) => other.sequence - one.sequence);
    return newest.filter((payment) => this.#filter === "all" || isFlagged(payment)).slice(0, SHOWN_MAX);
  }

  /** Keep as many as each of the two lists can show. */
  #forget() {
    const newest = [...this.#known.values()].sort((one, other) => other.sequence - one.sequence);
    const kept = new Set([...newest.slice(0, SHOWN_MAX), ...newest.filter(isFlagged).slice(0, SHOWN_MAX)]);
    for (const payment of newest) {
      if (!kept.has(payment) && !this.#rows.has(payment.transaction_id)) this.#known.delete(payment.transaction_id);
    }
  }

  #isRead() {
    if (this.#scroller.scrollTop > 4 || this.#body.contains(document.activeElement)) return true;
    return window.matchMedia("(hover: hover)").matches && this.#body.matches(":hover");
  }

  /** Show what there is, or count it behind the button while somebody reads. */
  #settle() {
    const wanted = this.#wanted();
    const missing = wanted.filter((payment) => !this.#rows.has(payment.transaction_id));
    if (this.#filled && missing.length > 0 && this.#isRead()) {
      this.#heldBack.textContent = `${missing.length >= SHOWN_MAX ? `${SHOWN_MAX} or more` : missing.length} new, show`;
      this.#heldBack.hidden = false;
      return;
    }
    this.#heldBack.hidden = true;
    this.#show(wanted);
  }

  #show(wanted) {
    const ids = new Set(wanted.map((payment) => payment.transaction_id));
    for (const [id, row] of this.#rows) {
      if (!ids.has(id)) {
        row.remove();
        this.#rows.delete(id);
      }
    }
    let below = null;
    for (const payment of wanted.toReversed()) {
      const row = this.#rows.get(payment.transaction_id) ?? this.#add(payment);
      if (row.nextSibling !== below || row.parentNode === null) this.#body.insertBefore(row, below);
      below = row;
    }
    this.#filled ||= wanted.length > 0;
    this.#offerFocus();
    document.getElementById("empty").hidden = this.#known.size > 0;
    document.getElementById("none-flagged").hidden = this.#known.size === 0 || wanted.length > 0;
  }

  /** Leave one row in the order of Tab; the arrow keys go on from there. */
  #offerFocus() {
    const buttons = [...this.#body.querySelectorAll("button")];
    if (buttons.some((button) => button.tabIndex === 0)) return;
    if (buttons.length > 0) buttons[0].tabIndex = 0;
  }

  #add(payment) {
    const row = element("tr", { role: "row", "data-id": payment.transaction_id });
    this.#rows.set(payment.transaction_id, row);
    row.setAttribute("aria-selected", payment.transaction_id === this.#selected ? "true" : "false");
    row.append(...cells(payment));
    if (this.#filled) mark(row, "new");
    return row;
  }

  #refresh(payment) {
    const row = this.#rows.get(payment.transaction_id);
    if (row === undefined) return;
    const before = row.querySelector(".status .status").textContent;
    const button = row.querySelector("button");
    const [hadFocus, tabIndex] = [button === document.activeElement, button.tabIndex];
    row.replaceChildren(...cells(payment));
    row.querySelector("button").tabIndex = tabIndex;
    if (hadFocus) row.querySelector("button").focus();
    if (row.querySelector(".status .status").textContent !== before) mark(row, "changed");
  }

  #choose(event) {
    const id = event.target.closest("tr")?.dataset.id;
    const selecting = window.getSelection()?.type === "Range"; // somebody marks text to copy it
    if (id !== undefined && !selecting) this.#onOpen(this.#known.get(id));
  }

  #step(event) {
    const row = event.target.closest("tr");
    const next = { ArrowDown: row?.nextSibling, ArrowUp: row?.previousSibling }[event.key];
    if (next === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const button = next?.querySelector("button");
    if (button === undefined) return;
    event.target.tabIndex = -1;
    button.tabIndex = 0;
    button.focus();
  }

  #showHeldBack() {
    this.#scroller.scrollTop = 0;
    this.#heldBack.hidden = true;
    this.#show(this.#wanted());
    this.#scroller.focus({ preventScroll: true });
  }

  #setFilter(filter) {
    this.#filter = filter;
    for (const button of document.querySelectorAll("[data-filter]")) {
      button.setAttribute("aria-pressed", button.dataset.filter === filter ? "true" : "false");
    }
    this.#filled = false; // rows that another filter brings are not new
    this.#show(this.#wanted());
  }
}

function mark(row, name) {
  row.classList.add(name);
  setTimeout(() => row.classList.remove(name), MARKED_MS);
}

function cells(payment) {
  const cell = (name, ...content) => element("td", { role: "cell", class: name }, ...content);
  const why = topReason(payment);
  return [
    cell("when", time(payment.received_at)),
    cell("account", payment.user_id),
    cell("merchant", element("button", { type: "button", class: "open", tabindex: "-1" }, payment.merchant)),
    cell("amount", amount(payment.amount), " ", element("span", { class: "currency" }, payment.currency)),
    cell("risk", riskBadge(payment)),
    cell("status", statusPill(payment.status)),
    cell("why", element("span", { title: why }, why ?? "")),
  ];
}
