"""A seeded world for the conversation: a faulty provider, forgetful holders, crashes, late and doubled posts.

Everything happens in virtual time on one queue of events, so that a seed repeats a run exactly. Holders know what
they mean: each reply is kept with the payment it was about, whatever the system makes of it.
"""

import heapq
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.changes import AddTransaction, DecideTransaction, PutAccount
from cardwatch.domain.decision import Outcome
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message, MessageKind, MessageState
from cardwatch.domain.money import Money
from cardwatch.domain.provider_post import DeliveryReport, InboundText
from cardwatch.domain.transaction import Status
from cardwatch.ports import NotSent, OnUnknown, Sent, UnknownSent
from cardwatch.services.ask_cardholder import ChallengePlan, plan_challenge
from cardwatch.services.expire_challenges import expire_challenges
from cardwatch.services.handle_reply import handle_reply
from cardwatch.services.send_messages import LEASE_MS, claim_messages, deliver, record_delivery
from cardwatch.services.track_delivery import track_delivery
from tests.builders import NOW_MS, OWN_NUMBER, make_account, make_decision, make_transaction
from tests.services.conversation import HOUR_MS, SENDER, TTL_MS

MINUTE_MS = 60_000
SECOND_MS = 1_000


@dataclass(frozen=True)
class Said:
    """A text as its holder meant it."""

    phone: str
    transaction_id: str
    meant: str
    body: str
    handled_at_ms: int


@dataclass
class World:
    """All that a run keeps; time only moves forward."""

    seed: int
    payments: int
    phones: int
    store: MemoryStore = field(default_factory=MemoryStore)
    now_ms: int = NOW_MS
    taken: dict[str, list[str]] = field(default_factory=dict)
    """Sids that the provider made, by our message id; two are a text sent twice."""
    said: list[Said] = field(default_factory=list)
    results: dict[str, int] = field(default_factory=dict)
    name: str = "sms"
    own_address: str = OWN_NUMBER
    on_unknown: OnUnknown = OnUnknown.LOOK_UP

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._stopped: set[str] = set()
        self._users = [f"user_{number}" for number in range(self.phones * 3 // 2)]
        for number, user_id in enumerate(self._users):
            phone = f"+1202555{1000 + number % self.phones}"
            assert self.store.apply([PutAccount(make_account(user_id, phone_number=phone))]) is None

    # Time

    def at(self, delay_ms: int, event: Callable[[], None]) -> None:
        """Let something happen later."""
        self._count += 1
        heapq.heappush(self._events, (self.now_ms + delay_ms, self._count, event))

    def run(self, *, check: Callable[[], None]) -> None:
        """Let everything happen, checking after each event; ends hours after the last payment."""
        for number in range(self.payments):
            self.at(self.random.randrange(self.payments * MINUTE_MS), lambda number=number: self.pay(number))  # type: ignore[misc]
        end_ms = self.now_ms + self.payments * MINUTE_MS + 6 * HOUR_MS
        for delay_ms in range(0, end_ms - self.now_ms, 10 * SECOND_MS):
            self.at(delay_ms, self.work)
        for delay_ms in range(0, end_ms - self.now_ms, 3 * MINUTE_MS):
            self.at(delay_ms, self.sweep)
        while self._events:
            self.now_ms, _, event = heapq.heappop(self._events)
            event()
            check()
        self.sweep()
        check()

    def token(self) -> str:
        """Return fresh randomness."""
        return self.random.randbytes(8).hex()

    # Our side

    def pay(self, number: int) -> None:
        """Record a suspicious payment; challenge it if its holder can be asked."""
        user_id = self.random.choice(self._users)
        payment = make_transaction(
            f"txn_{number}", user_id=user_id, amount=Money(self.random.randrange(1, 10**6), "USD")
        )
        plan = plan_challenge(
            store=self.store,
            account=self.store.account(user_id),
            transaction=payment,
            score=self.random.random(),
            now_ms=self.now_ms,
            ttl_ms=TTL_MS,
            sender=SENDER,
            token=self.token(),
        )
        asked = isinstance(plan, ChallengePlan)
        decision = make_decision(outcome=Outcome.CHALLENGE if asked else Outcome.REVIEW, decided_at_ms=self.now_ms)
        status = Status.CHALLENGED if asked else Status.IN_REVIEW
        changes = plan.changes if isinstance(plan, ChallengePlan) else ()
        decided = DecideTransaction(payment.transaction_id, decision, status)
        assert self.store.apply([AddTransaction(payment), decided, *changes]) is None

    def work(self) -> None:
        """Run the outbox worker once; it may die after the claim or after the delivery, and may be slow."""
        for claim in claim_messages(store=self.store, channel=self, now_ms=self.now_ms, limit=10):
            if self.random.random() < 0.05:
                continue
            delivery = deliver(claim, channel=self)
            if self.random.random() < 0.05:
                continue

            def record(claim=claim, delivery=delivery) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
                record_delivery(
                    claim, delivery, store=self.store, sender=SENDER, now_ms=self.now_ms, token=self.token()
                )

            self.at(self.random.choice((0, 0, 200, 3_000, LEASE_MS + 5_000)), record)

    def sweep(self) -> None:
        """Expire what is over; sweeps are missed at times."""
        if self.random.random() < 0.8 or not self._events:
            expire_challenges(store=self.store, sender=SENDER, now_ms=self.now_ms, token=self.token(), limit=1000)

    # The provider

    def send(self, message: Message) -> Sent | NotSent | UnknownSent:
        """Take a text, or not, and say so, or not."""
        if message.address in self._stopped:
            return NotSent("21610 opted out", retryable=False, opted_out=True)
        chance = self.random.random()
        if chance < 0.05:
            return NotSent("20429 too many requests", retryable=True)
        if chance < 0.08:
            return NotSent("21614 not a mobile number", retryable=False)
        if chance < 0.13:
            return UnknownSent("timeout before it was taken")
        sid = self._take(message)
        return UnknownSent("timeout after it was taken") if chance < 0.20 else Sent(sid)

    def find(self, message: Message) -> Sent | None:
        """Look a text up; the provider cannot always say."""
        if self.random.random() < 0.2:
            raise OperatingError("cannot say now")
        sids = self.taken.get(message.message_id)
        return Sent(sids[0]) if sids else None

    def _take(self, message: Message) -> str:
        sids = self.taken.setdefault(message.message_id, [])
        sids.append(f"SM{message.message_id}:{len(sids)}")
        final = MessageState.DELIVERED if self.random.random() < 0.93 else MessageState.UNDELIVERED
        for state in (MessageState.ACCEPTED, MessageState.SENT, final):
            for _ in range(self.random.choice((0, 1, 1, 2))):
                told = DeliveryReport(message_id=message.message_id, provider_sid=sids[-1], state=state)
                self.at(self.random.randrange(5 * MINUTE_MS), lambda told=told: self.report(told))  # type: ignore[misc]
        if final is MessageState.DELIVERED:
            self.at(self.random.randrange(1, 20_000), lambda: self.read(message))
        return sids[-1]

    def report(self, told: DeliveryReport) -> None:
        """Let a delivery report come in."""
        track_delivery(told, store=self.store, sender=SENDER, now_ms=self.now_ms, token=self.token())

    # The holders

    def read(self, message: Message) -> None:
        """Let a holder read a text and perhaps answer: in time or late, clearly or not, with the code or without."""
        asks = re.search(r"(YES(?: \d\d)?)", message.body) if "approved" not in message.body else None
        transaction_id = message.transaction_id or ""
        takes_back = message.kind is MessageKind.ACK and "approved" in message.body and self.random.random() < 0.1
        if takes_back:
            self._answer(message.address, transaction_id, "no", "NO")
        if asks is None or self.random.random() < 0.15:
            return
        genuine = hash_of(transaction_id, self.seed) % 3 > 0
        forgets_code = self.random.random() < 0.4
        yes = "YES" if forgets_code else asks[1]
        meant, body = self.random.choices(
            [("yes", yes) if genuine else ("no", "NO"), ("unclear", "what is this?"), ("stop", "STOP")],
            weights=[90, 8, 2],
        )[0]
        self._answer(message.address, transaction_id, meant, body)

    def _answer(self, phone: str, transaction_id: str, meant: str, body: str) -> None:
        """Send a reply, which may be lost, late, doubled by its holder, and delivered more than once."""
        for _ in range(self.random.choices((1, 2), weights=(9, 1))[0]):
            self._count += 1
            sid = f"SMin{self._count:08d}"
            delay_ms = self.random.choice((5_000, 60_000, 10 * MINUTE_MS, 29 * MINUTE_MS, 45 * MINUTE_MS, 3 * HOUR_MS))
            for _ in range(self.random.choices((0, 1, 2, 3), weights=(5, 75, 15, 5))[0]):
                late_ms = delay_ms + self.random.randrange(30_000)
                self.at(late_ms, lambda sid=sid: self.hear(phone, transaction_id, meant, body, sid))  # type: ignore[misc]

    def hear(self, phone: str, transaction_id: str, meant: str, body: str, sid: str) -> None:
        """Let a reply come in."""
        if meant == "stop":
            self._stopped.add(phone)
        self.said.append(Said(phone, transaction_id, meant, body, self.now_ms))
        text = InboundText(message_id=sid, phone=phone, own_number=self.own_address, body=body)
        outcome = handle_reply(text, store=self.store, sender=SENDER, now_ms=self.now_ms, token=self.token())
        self.results[outcome.result] = self.results.get(outcome.result, 0) + 1


def hash_of(text: str, seed: int) -> int:
    """Return a number that is the same in every process, unlike hash()."""
    return random.Random(f"{seed}:{text}").randrange(1_000_000)
