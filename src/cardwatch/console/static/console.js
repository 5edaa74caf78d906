// Cardwatch's page: wires the event stream to the table, the detail and the simulated phone.

import { Detail } from "./detail.js";
import { element, post, problemText, zone } from "./format.js";
import { Payments } from "./payments.js";
import { Phone } from "./phone.js";
import { Stream } from "./stream.js";

const EVERYDAY = { amount: "4.75", merchant: "Corner Coffee", location: "Seattle, WA" };
const ANNOUNCED_EVERY_MS = 15_000;
const simulated = document.body.dataset.simulated === "true";

const payments = new Payments(openDetail);
const detail = new Detail(
  (shown) => {
    payments.select(null);
    payments.focus(shown);
  },
  (number) => phone?.choose(number),
);
const stream = new Stream({ snapshot: apply, change: apply, texts: () => phone?.load(), state: showState });
const phone = simulated ? new Phone((number) => stream.watch(number)) : null;

for (const part of document.querySelectorAll(".phone-only")) part.hidden = !simulated;
document.getElementById("zone").textContent = `(${zone()})`;
const payment = JSON.stringify({ user_id: "user_001", amount: 1500, merchant: "Suspicious Store", location: "Unknown Location" });
document.getElementById("empty-curl").textContent =
  `curl -X POST ${location.origin}/transaction \\\n  -H 'Content-Type: application/json' \\\n  -d '${payment}'`;
stream.watch(null);
setUpForm();

function apply(news) {
  payments.apply(news.payments ?? []);
  detail.refresh(news.payments ?? []);
  if (news.counts) showCounts(news.counts);
  if (news.phones) {
    phone?.offer(news.phones);
    offerUsers(news.phones.map((entry) => entry.user_id));
  }
}

function openDetail(payment) {
  payments.select(payment.transaction_id);
  detail.open(payment);
}

function showState(state, since) {
  const place = document.getElementById("stream");
  const words = { live: "Live", reconnecting: "Reconnecting…", stale: `Stale since ${since.toLocaleTimeString("en-GB")}` };
  if (place.dataset.state === state) return;
  place.dataset.state = state;
  place.textContent = words[state];
}

let announcedAt = 0;
let announced = "";

function showCounts(counts) {
  for (const place of document.querySelectorAll("[data-count]")) {
    place.textContent = counts[place.dataset.count].toLocaleString("en-GB");
  }
  const words = `${counts.challenged} challenged, ${counts.in_review} in review, ${counts.declined} declined`;
  if (words !== announced && Date.now() - announcedAt > ANNOUNCED_EVERY_MS) {
    [announced, announcedAt] = [words, Date.now()];
    document.getElementById("announce").textContent = words;
  }
}

function offerUsers(users) {
  const options = users.sort().map((user) => Object.assign(document.createElement("option"), { value: user }));
  document.getElementById("users").replaceChildren(...options);
}

function setUpForm() {
  const form = document.getElementById("try");
  const fields = form.elements;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const location = fields.location.value.trim();
    pay({
      user_id: fields.user_id.value.trim(),
      amount: fields.amount.value.trim(),
      merchant: fields.merchant.value.trim(),
      ...(location === "" ? {} : { location }),
    });
  });
  document.getElementById("everyday").addEventListener("click", () => {
    pay({ user_id: fields.user_id.value.trim(), ...EVERYDAY });
  });
}

/** Say that a NO holds the account, and offer what an analyst would do, so that it can be tried again. */
async function offerRelease(place, userId) {
  const path = `/accounts/${encodeURIComponent(userId)}`;
  const answer = await fetch(path).catch(() => null);
  if (!answer?.ok || (await answer.json()).held_since === null) return;
  const release = async () => {
    const released = await fetch(`${path}/hold`, { method: "DELETE" }).catch(() => null);
    place.textContent = released?.ok ? "The hold is over: pay again." : "The hold could not be ended.";
  };
  const button = element("button", { type: "button", onclick: release }, "End the hold");
  place.replaceChildren("Sent to review: a NO put the account on hold.", button);
}

async function pay(submission) {
  const place = document.getElementById("try-result");
  place.textContent = "Paying…";
  const response = await post("/transaction", submission);
  if (response === null || !response.ok) {
    place.textContent = `Refused: ${response === null ? "the server cannot be reached" : await problemText(response)}`;
    return;
  }
  const paid = await response.json();
  const outcomes = {
    approved: "Approved.",
    challenged: simulated ? "Challenged: answer on the phone." : "Challenged: the cardholder was asked.",
    in_review: "Sent to review.",
    declined: "Declined.",
    pending: "Taken; not decided yet.",
  };
  place.textContent = outcomes[paid.status] ?? paid.status;
  if (paid.status === "in_review") offerRelease(place, paid.user_id);
  if (paid.status === "challenged") phone?.chooseHolder(paid.user_id);
}
