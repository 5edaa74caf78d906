// Building elements and printing values. Whatever comes from outside becomes text, never markup.

/** Make an element; attributes that are null or false are left out, strings among the children become text. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "onclick") made.addEventListener("click", value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** Print an amount with its thousands set apart; the digits are never turned into a float. */
export function amount(decimal) {
  const [whole, fraction] = decimal.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const full = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });

/** Print an instant as local time of day, with the whole of it for whoever asks. */
export function time(instant) {
  const at = new Date(instant);
  return element("time", { datetime: instant, title: full.format(at) }, clock.format(at));
}

/** Name the zone in which times are shown: "UTC+02:00". */
export function zone() {
  const minutes = -new Date().getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const part = (value) => String(value).padStart(2, "0");
  return `UTC${minutes < 0 ? "-" : "+"}${part(Math.floor(Math.abs(minutes) / 60))}:${part(Math.abs(minutes) % 60)}`;
}

const RISKS = {
  critical: ["■", "Critical"],
  high: ["▲", "High"],
  elevated: ["◆", "Elevated"],
  low: ["●", "Low"],
};

/** Show a score by shape, word and number, so that nothing depends on colour. */
export function riskBadge(payment) {
  const [shape, word] = RISKS[payment.risk] ?? [];
  if (shape === undefined) return element("span", { class: "muted", title: "No model scored this payment" }, "–");
  return element(
    "span",
    { class: `risk ${payment.risk}` },
    element("span", { class: "shape", "aria-hidden": "true" }, shape),
    element("span", { class: "word" }, word),
    element("span", { class: "number" }, probability(payment.score)),
  );
}

/** Print a probability so that what is small does not look like never, nor what is large like always. */
function probability(score) {
  if (score < 0.005) return "<0.01";
  return score >= 0.995 ? ">0.99" : score.toFixed(2);
}

const STATUSES = {
  pending: "Pending",
  approved: "Approved",
  challenged: "Challenged",
  in_review: "In review",
  declined: "Declined",
};

/** Show where a payment stands. */
export function statusPill(status) {
  return element("span", { class: `status ${status}` }, STATUSES[status] ?? status);
}

/** Say in a few words why a payment was flagged; null where nothing was. */
export function topReason(payment) {
  return payment.reasons[0]?.text ?? payment.detail ?? null;
}

/** Say whether a payment was anything but approved at once. */
export function isFlagged(payment) {
  return payment.question !== null || !["approved", "pending"].includes(payment.status);
}

/** Read what a failed request says, with the id to quote. */
export async function problemText(response) {
  const problem = await response.json().catch(() => ({}));
  const faults = (problem.errors ?? []).map((fault) => `${fault.pointer.slice(1)} ${fault.detail}`);
  const said = faults.length > 0 ? faults.join("; ") : (problem.detail ?? `the server answered ${response.status}`);
  return `${said} (request ${response.headers.get("x-request-id") ?? "without id"})`;
}

/** Send JSON; returns the response, or null when the server cannot be reached. */
export function post(path, body) {
  const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  return fetch(path, init).catch(() => null);
}
