"""Homes for tests: a store, a clock that is moved by hand, and who was invoked."""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from cardwatch.adapters.clock import FixedClock, SeededRandomness
from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.entrypoints.aws import accounts, notify, score, sweep, transaction, user_response, webhook
from cardwatch.ports import Store
from cardwatch.runtime.aws.composition import make_home
from cardwatch.runtime.aws.home import Home, World
from cardwatch.runtime.settings import read_settings
from tests.builders import NOW_MS, OWN_NUMBER
from tests.entrypoints.aws.events import FakeContext, body_of, proxy_event, stream_of
from tests.fakes.twilio.numbers import ACCOUNT_SID, AUTH_TOKEN
from tests.fakes.twilio.webhooks import signature

PUBLIC_URL = "https://abc123.execute-api.us-east-2.amazonaws.com/prod"
LINK_KEY = "a link key of these tests"
NOTIFY = "FraudDetection-Notify"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

HANDLERS: Mapping[str, Callable[[Mapping[str, Any], Any, Home], Mapping[str, Any]]] = {
    "/transaction": transaction.handle,
    "/accounts": accounts.handle,
    "/webhook": webhook.handle,
}
"""Functions by the beginning of what they serve; everything else is UserResponse's."""


@dataclass
class Invocations:
    """Stands for Lambda: keeps what was invoked, or fails."""

    made: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    failing: bool = False

    def invoke(self, function: str, payload: bytes) -> None:
        """Take an event."""
        if self.failing:
            raise OperatingError("the function was not invoked (TooManyRequestsException)")
        self.made.append((function, json.loads(payload)))

    def take_ids(self) -> list[str]:
        """Return the messages that Notify was woken for, and forget them."""
        ids = [each for name, event in self.made if name == NOTIFY for each in event["message_ids"]]
        self.made.clear()
        return ids


class Cloud:
    """All functions over one store."""

    def __init__(self, store: Store | None = None, **environment: str) -> None:
        self.store: Store = store if store is not None else MemoryStore()
        self.clock = FixedClock(NOW_MS)
        self.invocations = Invocations()
        self.metrics = io.StringIO()
        settings = read_settings(
            {
                "CARDWATCH_PUBLIC_URL": PUBLIC_URL,
                "CARDWATCH_LINK_KEY": LINK_KEY,
                "NOTIFY_LAMBDA_NAME": NOTIFY,
                "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
                "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
                "TWILIO_FROM_NUMBER": OWN_NUMBER,
                "CARDWATCH_TWILIO_API_URL": "http://127.0.0.1:9",
                **environment,
            }
        )
        world = World(store=self.store, clock=self.clock, randomness=SeededRandomness(1), invoker=self.invocations)
        self.home = make_home(settings, world, stream=self.metrics)

    def call(
        self, method: str, target: str, body: object = None, *, headers: Mapping[str, str] | None = None, **how: Any
    ) -> dict[str, Any]:
        """Send a request to the function that serves it; a body that is no text or bytes goes as JSON."""
        raw = body if body is None or isinstance(body, str | bytes) else json.dumps(body)
        given = headers if headers is not None else JSON if body is not None else {}
        event = proxy_event(method, target, raw, headers=given, **how)
        return dict(handler_of(target)(event, FakeContext(), self.home))

    def pay(self, transaction_id: str, **fields: object) -> dict[str, Any]:
        """Take a payment in and let its stream record be scored; returns it as shown then."""
        self.record(transaction_id, **fields)
        assert self.score(transaction_id) == []
        return self.shown(transaction_id)

    def record(self, transaction_id: str, **fields: object) -> dict[str, Any]:
        """Take a payment in."""
        body = {
            "transaction_id": transaction_id,
            "user_id": "user_001",
            "amount": "1500.00",
            "merchant": "Suspicious Store",
            "location": "Unknown Location",
            **fields,
        }
        answer = self.call("POST", "/transaction", body)
        assert answer["statusCode"] == 202, answer
        return dict(body_of(answer))

    def score(self, *transaction_ids: str) -> list[str]:
        """Deliver stream records; returns the sequence numbers that failed."""
        answer = score.handle(stream_of(transaction_ids), FakeContext(), self.home)
        return [each["itemIdentifier"] for each in answer["batchItemFailures"]]

    def put_account(self, user_id: str = "user_001", **fields: object) -> None:
        """Write an account that takes texts."""
        body = {"name": "Ada Example", "phone_number": "+12065550101", **fields}
        assert self.call("PUT", f"/accounts/{user_id}", body)["statusCode"] in (200, 201)

    def text(self, body: str, *, sid: str = "SM1", phone: str = "+12065550101") -> dict[str, Any]:
        """Post a signed text from a phone."""
        fields = {"MessageSid": sid, "From": phone, "To": OWN_NUMBER, "Body": body}
        return self.post_signed("/webhook/twilio", fields)

    def post_signed(self, target: str, fields: Mapping[str, str], **how: Any) -> dict[str, Any]:
        """Post a form as Twilio does."""
        headers = {**FORM, "X-Twilio-Signature": signature(PUBLIC_URL + target, fields)}
        return self.call("POST", target, urlencode(fields), headers=headers, **how)

    def notify(self, message_ids: list[str] | None = None) -> dict[str, int]:
        """Wake Notify, for what was announced where nothing is named."""
        ids = self.invocations.take_ids() if message_ids is None else message_ids
        return notify.handle({"message_ids": ids}, FakeContext(), self.home)

    def sweep(self, *tasks: str) -> dict[str, Any]:
        """Let the sweep do its work of every minute, or some tasks."""
        return sweep.handle({"tasks": list(tasks)} if tasks else {}, FakeContext(), self.home)

    def shown(self, transaction_id: str) -> dict[str, Any]:
        """Return a payment as the API shows it."""
        answer = self.call("GET", f"/transaction/{transaction_id}")
        assert answer["statusCode"] == 200
        return dict(body_of(answer))

    def stored(self, transaction_id: str) -> TransactionRecord:
        """Return a payment as it is stored."""
        record = self.store.transaction(transaction_id)
        assert record is not None
        return record

    def status(self, transaction_id: str) -> Status:
        """Return where a payment stands."""
        return self.stored(transaction_id).status

    def counted(self) -> dict[str, float]:
        """Return what was counted so far: by name, and by name with its labels' values."""
        found: dict[str, float] = {}
        for line in self.metrics.getvalue().splitlines():
            written = json.loads(line)
            directive = written["_aws"]["CloudWatchMetrics"][0]
            name = directive["Metrics"][0]["Name"]
            labels = [written[label] for label in directive["Dimensions"][0]]
            amount = written[name]
            value = len(amount) if isinstance(amount, list) else amount
            for key in {name, " ".join([name, *labels])}:
                found[key] = found.get(key, 0) + value
        return found


def handler_of(target: str) -> Callable[[Mapping[str, Any], Any, Home], Mapping[str, Any]]:
    """Return the function that serves a path."""
    path = target.partition("?")[0]
    if path.startswith("/transaction/"):
        return user_response.handle
    for beginning, handler in HANDLERS.items():
        if path == beginning or path.startswith(f"{beginning}/"):
            return handler
    return user_response.handle
