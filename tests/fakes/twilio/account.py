"""The state of the fake: one account with its numbers, tokens, texts and opt-outs, and what it posts.

Everything random comes from one seed, which `repr` prints.
"""

import itertools
import random
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from tests.fakes.twilio import numbers
from tests.fakes.twilio.callbacks import CallbackPlan, Callbacks, Step, planned
from tests.fakes.twilio.keywords import OptOuts
from tests.fakes.twilio.numbers import ACCOUNT_SID, AUTH_TOKEN, OWN_NUMBERS, error_body
from tests.fakes.twilio.texts import TRIAL_SENTENCE, Fault, Text
from tests.fakes.twilio.webhooks import Webhooks

_PAGE_SIZE = 50


class FakeTwilio:
    """One account at Twilio."""

    def __init__(self, *, seed: int | None = None) -> None:
        self.seed = random.SystemRandom().randrange(1_000_000) if seed is None else seed
        self.texts: list[Text] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        """Method, path and fields of every request, in order."""
        self.create_faults: deque[Fault] = deque()
        self.list_faults: deque[Fault] = deque()
        self.refusals: dict[str, int] = {}
        """Codes that texts to a number are refused with, besides Twilio's magic numbers."""
        self.delivery_errors: dict[str, int] = {}
        """Codes that texts to a number fail with after they were taken, besides `number_failing_with`."""
        self.opt_outs = OptOuts()
        self.webhooks = Webhooks()
        self.callbacks = CallbackPlan()
        self.tokens = [AUTH_TOKEN]
        """The primary token, then the secondary one while they are rotated; requests may use either."""
        self.trial = False
        """Whether this is a trial account."""
        self.redacts = False
        """Whether the account hides bodies."""
        self.slow_s = 0.0
        """How long every answer takes."""
        self.clock_ahead_s = 0.0
        """How far Twilio's clock is ahead of ours."""
        self.dated = True
        """Whether answers state the time; a proxy may take it away."""
        self.unannounced = False
        """Whether inbound posts carry fields that no document names."""
        self.url = ""
        self._lock = threading.Lock()
        self._random = random.Random(self.seed)
        self._queue = Callbacks(self._call_back)
        self._inbound = itertools.count(1)

    def __repr__(self) -> str:
        return f"FakeTwilio(seed={self.seed})"

    @property
    def opted_out(self) -> set[str]:
        """Numbers that stopped our texts."""
        return self.opt_outs.numbers

    def now(self) -> datetime:
        """Return the time by Twilio's clock."""
        return datetime.now(UTC) + timedelta(seconds=self.clock_ahead_s)

    def begin_rotation(self, token: str) -> None:
        """Make a secondary token; posts are still signed with the primary one."""
        self.tokens = [self.tokens[0], token]

    def promote(self) -> None:
        """Make the secondary token the primary one; the old one is good for nothing any more."""
        self.tokens = self.tokens[1:]
        self.webhooks.token = self.tokens[0]

    # Requests

    def create(self, fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Take a text, or refuse it for what Twilio refuses."""
        code = self._problem(fields)
        if code is not None:
            status = numbers.STATUS_OF_CODE.get(code, 400)
            return status, error_body(status, code)
        if self.trial:
            fields = {**fields, "Body": TRIAL_SENTENCE + fields["Body"]}
        with self._lock:
            text = Text(f"SM{len(self.texts):032x}", fields, created=self.now(), redacted=self.redacts)
            self.texts.append(text)
        answer = text.as_json()
        self._plan_callbacks(text)
        return 201, answer

    def listed(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Return a page of the texts to a number, newest first; a page's token names the text that it follows."""
        newest = [text for text in reversed(list(self.texts)) if query.get("To") in {None, text.fields["To"]}]
        matching = [text.as_json() for text in newest]
        matching = [text for text in matching if query.get("From") in {None, text["from"]}]
        if "PageToken" in query:
            sids = [text["sid"] for text in matching]
            matching = matching[sids.index(query["PageToken"]) + 1 :]
        size = int(query.get("PageSize", _PAGE_SIZE))
        page, number = matching[:size], int(query.get("Page", "0"))
        further = {**query, "Page": str(number + 1), "PageToken": page[-1]["sid"]} if len(matching) > size else None
        path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
        return {
            "messages": page,
            "page": number,
            "page_size": size,
            "start": 0,
            "end": len(page),
            "uri": f"{path}?{urlencode(query)}",
            "first_page_uri": f"{path}?PageSize={size}",
            "previous_page_uri": None,
            "next_page_uri": f"{path}?{urlencode(further)}" if further else None,
        }

    def _problem(self, fields: dict[str, str]) -> int | None:
        to, sender, validity = fields.get("To", ""), fields.get("From"), fields.get("ValidityPeriod", "36000")
        refused = {**numbers.REFUSED_RECEIVERS, **self.refusals}
        checks = (
            (not to, 21604),
            (not to.startswith("+"), 21211),
            (not fields.get("Body") or len(fields["Body"]) > 1600, 21602),
            (sender is None and "MessagingServiceSid" not in fields, 21603),
            (sender in numbers.REFUSED_SENDERS, numbers.REFUSED_SENDERS.get(sender or "", 0)),
            (sender is not None and sender not in {*OWN_NUMBERS, numbers.MAGIC_SENDER}, 21606),
            (not (validity.isdigit() and 1 <= int(validity) <= 36_000), 21625),
            (to in self.opted_out, 21610),
            (to in refused, refused.get(to, 0)),
        )
        return next((code for wrong, code in checks if wrong), None)

    # Status callbacks

    def settle(self, timeout_s: float = 10.0) -> None:
        """Wait until every callback that comes by itself was posted."""
        self._queue.settle(timeout_s)

    def post_status(self, text: Text, status: str, *, error_code: int | None = None, repeat: int = 1) -> list[int]:
        """Post a status callback to where the text asked for it; returns the answers' statuses."""
        text.status, text.error_code = status, error_code
        return [self._post_status(text, Step(status, error_code)) for _ in range(repeat)]

    def _plan_callbacks(self, text: Text) -> None:
        if not self.callbacks.automatic:
            return
        to = text.fields["To"]
        code = self.delivery_errors.get(to, numbers.delivery_code(to))
        last = Step(numbers.last_status(code), code)
        steps = planned(self.callbacks, last, seed=f"{self.seed}:{text.sid}")
        for _, step in steps[: self.callbacks.early]:
            self._call_back(text, step)
        self._queue.plan(text, steps[self.callbacks.early :])

    def _call_back(self, text: Text, step: Step) -> None:
        text.status, text.error_code = step.status, step.error_code
        if "StatusCallback" in text.fields:
            self._post_status(text, step)

    def _post_status(self, text: Text, step: Step) -> int:
        fields = {
            "MessageSid": text.sid,
            "SmsSid": text.sid,
            "MessageStatus": step.status,
            "SmsStatus": step.status,
            "To": text.fields["To"],
            "From": text.fields.get("From", next(iter(OWN_NUMBERS))),
            "AccountSid": ACCOUNT_SID,
            "ApiVersion": "2010-04-01",
        }
        if step.error_code is not None:
            fields["ErrorCode"] = str(step.error_code)
        return self._post(text.fields["StatusCallback"], fields)

    # Inbound posts

    def post_inbound(
        self,
        url: str,
        *,
        phone: str,
        body: str,
        sid: str | None = None,
        to: str | None = None,
        media: Sequence[str] = (),
        more: Mapping[str, str] | None = None,
    ) -> int:
        """Post a reply to the inbound route and keep the sender's opt-out, as Twilio does.

        `url` may carry connection overrides in its fragment. Returns the last answer's status, 0 where nobody took the
        connection, -1 where nobody answered.
        """
        kind = self.opt_outs.take(phone, body)
        sid = sid or f"SM{self.seed:08x}{next(self._inbound):024x}"
        fields = {
            "ToCountry": "US",
            "ToState": "",
            "SmsMessageSid": sid,
            "NumMedia": str(len(media)),
            "ToCity": "",
            "FromZip": "",
            "SmsSid": sid,
            "FromState": "",
            "SmsStatus": "received",
            "FromCity": "",
            "Body": body,
            "FromCountry": "US",
            "To": to or next(iter(OWN_NUMBERS)),
            "NumSegments": "1",
            "MessageSid": sid,
            "AccountSid": ACCOUNT_SID,
            "From": phone,
            "ApiVersion": "2010-04-01",
        }
        for number, address in enumerate(media):
            fields |= {f"MediaUrl{number}": address, f"MediaContentType{number}": "image/jpeg"}
        if kind is not None and self.opt_outs.advanced:
            fields["OptOutType"] = kind
        if self.unannounced:
            with self._lock:
                fields |= {f"X{self._random.randrange(1000)}": self._random.choice(["", "new", "é", "a b"])}
        return self._post(url, {**fields, **(more or {})})

    def _post(self, url: str, fields: Mapping[str, str]) -> int:
        with self._lock:
            token = f"{self._random.getrandbits(128):032x}"
        return self.webhooks.post(url, fields, idempotency_token=token)[-1].status

    def close(self) -> None:
        """End what goes on by itself."""
        self._queue.close()
