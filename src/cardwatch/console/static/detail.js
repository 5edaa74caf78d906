// The detail of one payment: what it was, why it was flagged, what became of the question, how to fetch it.

import { amount, element, riskBadge, statusPill, time } from "./format.js";

const DECIDED_BY = {
  deny_list: "the deny list",
  rule: "a rule",
  allow_list: "the allow list",
  threshold: "the model's score",
  fallback: "the fallback: no model could score",
  import: "nobody here: imported",
};

const NOTES = {
  no_account: "Not asked: there is no such account",
  account_held: "Not asked: a NO put the account on hold",
  opted_out: "Not asked: the cardholder opted out of texts",
  no_phone: "Not asked: the account has no phone",
  no_channel: "Not asked: the account allows no texts",
  no_consent: "Not asked: the cardholder did not consent",
  too_old_to_ask: "Not asked: the payment is too long ago",
};

const ENDS = {
  confirmed: "Confirmed",
  denied: "Denied",
  expired: "Not answered in time",
  unclear: "Answers stayed unclear",
  undeliverable: "Could not be delivered",
  opted_out: "The cardholder opted out of texts",
  cancelled: "Cancelled",
};

export class Detail {
  #place = document.getElementById("detail");
  #shown = null;
  #onClose;
  #onPhone;

  /** @param onClose is called with the id that was shown, @param onPhone with a number to look at. */
  constructor(onClose, onPhone) {
    this.#onClose = onClose;
    this.#onPhone = onPhone;
    this.#place.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
  }

  /** Show a payment. */
  open(payment) {
    const again = this.#shown === payment.transaction_id;
    this.#shown = payment.transaction_id;
    this.#place.hidden = false;
    this.#place.replaceChildren(this.#head(payment), element("div", { class: "detail-body" }, ...body(payment)));
    if (!again) this.#place.scrollTop = 0;
    const stacked = window.matchMedia("(max-width: 900px)").matches;
    if (!again && stacked) this.#place.scrollIntoView({ block: "nearest" });
  }

  /** Show what became of the payment, if it is the one that is open. */
  refresh(payments) {
    const news = payments.findLast((payment) => payment.transaction_id === this.#shown);
    if (news === undefined) return;
    const focused = this.#place.contains(document.activeElement) ? document.activeElement.dataset.action : undefined;
    this.open(news);
    if (focused !== undefined) this.#place.querySelector(`[data-action="${focused}"]`)?.focus();
  }

  close() {
    const shown = this.#shown;
    this.#shown = null;
    this.#place.hidden = true;
    this.#onClose(shown);
  }

  #head(payment) {
    const phone = payment.question?.phone ?? null;
    return element(
      "header",
      {},
      element("h2", { id: "detail-title" }, payment.merchant),
      element("strong", { class: "number" }, `${amount(payment.amount)} ${payment.currency}`),
      riskBadge(payment),
      statusPill(payment.status),
      element("span", { class: "spacer" }),
      phone === null ? null : action("phone", "Show the phone", () => this.#onPhone(phone)),
      action("close", "Close", () => this.close()),
    );
  }
}

function action(name, text, onclick) {
  return element("button", { type: "button", "data-action": name, onclick }, text);
}

function body(payment) {
  return [
    element("div", {}, element("h3", {}, "Why"), reasons(payment)),
    element("div", {}, element("h3", {}, "What happened"), timeline(payment)),
    element("div", {}, element("h3", {}, "Facts"), facts(payment), curl(payment)),
  ];
}

function reasons(payment) {
  if (payment.reasons.length === 0) {
    const said = note(payment) ?? (payment.status === "approved" ? "Nothing about it was unusual." : "No reason is kept.");
    return element("p", { class: "muted" }, said);
  }
  const one = (reason) =>
    element(
      "li",
      {},
      element("span", {}, reason.text),
      comparison(reason),
      reason.contribution === 0
        ? null
        : element("span", { class: "weight number", title: "Added to the score, in log-odds" }, signed(reason.contribution)),
    );
  return element("ol", { class: "reasons" }, ...payment.reasons.map(one));
}

/** Set a value against the account's usual one, where the sentence does not say it already. */
function comparison({ text, value, usual }) {
  if (value === null || (usual === null && (value === "yes" || text.includes(value)))) return null;
  return element("span", { class: "compare" }, value, usual === null ? "" : ` · usually ${usual}`);
}

function note(payment) {
  return NOTES[payment.detail] ?? payment.detail;
}

function signed(value) {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)}`;
}

function timeline(payment) {
  const steps = [["Received", payment.received_at]];
  const question = payment.question;
  if (payment.decided_at !== null) steps.push(["Decided", payment.decided_at]);
  if (question !== null) {
    if (question.asked_at === null && question.state === "queued") steps.push(["Question waits for another one", question.created_at]);
    if (question.asked_at !== null) steps.push([`Question written${question.code === null ? "" : `, code ${question.code}`}`, question.asked_at]);
    if (question.sent_at !== null) steps.push([`Sent by ${question.channel === "sms" ? "SMS" : question.channel}`, question.sent_at]);
    if (question.prompts > 0) steps.push([`Asked again, the answer was unclear (${question.prompts}×)`, null]);
    if (question.state in ENDS) {
      const said = question.answer === null ? "" : `: ${question.answer.toUpperCase()}`;
      steps.push([`${ENDS[question.state]}${said}`, question.answered_at]);
    } else steps.push(["Goes to review unless answered", question.expires_at, "ahead"]);
  }
  if (payment.label !== null) steps.push([`Labelled ${payment.label}`, null]);
  const one = ([text, at, name]) =>
    element("li", { class: name }, element("span", {}, text), at === null ? null : time(at));
  return element("ol", { class: "timeline" }, ...steps.map(one));
}

function facts(payment) {
  const rows = [
    ["Account", payment.user_id],
    ["Location", payment.location ?? "not sent"],
    ["Decided by", DECIDED_BY[payment.decided_by] ?? "not decided yet"],
    ["Note", payment.detail === null ? null : note(payment)],
    ["Asks from", payment.threshold === null ? "–" : payment.threshold.toFixed(2)],
    ["Model", payment.model_version ?? "–"],
    ["Payment", payment.transaction_id],
    ["Question", payment.question?.challenge_id ?? "none"],
  ];
  const known = rows.filter(([, value]) => value !== null);
  const pairs = known.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]);
  return element("dl", { class: "facts" }, ...pairs);
}

function curl(payment) {
  const command = `curl -s '${location.origin}/transaction/${encodeURIComponent(payment.transaction_id)}'`;
  const code = element("code", {}, command);
  const copy = action("copy", "Copy", async () => {
    try {
      await navigator.clipboard.writeText(command);
      copy.textContent = "Copied";
    } catch {
      window.getSelection().selectAllChildren(code); // no clipboard here: leave it ready for the keys
    }
  });
  return element("div", { class: "curl" }, code, copy);
}
