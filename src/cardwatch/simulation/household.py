"""One phone and its accounts through a day: the real services on a store of their own, by a virtual clock.

Questions of different phones never meet, so each phone is a world for itself. Time jumps from one thing that is due
to the next; a server looks once a second, so that it is up to a second later than this.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from cardwatch.domain.answer_link import AnswerLink, LinkAction
from cardwatch.domain.challenge import Challenge, ChannelName
from cardwatch.domain.changes import AddTransaction, DecideTransaction, PutAccount, PutOptOut
from cardwatch.domain.decision import Decision, Outcome
from cardwatch.domain.message import Message
from cardwatch.domain.policy import Policy, Verdict
from cardwatch.domain.provider_post import DeliveryReport, InboundText
from cardwatch.domain.question import last_four_of
from cardwatch.domain.times import HOUR_MS
from cardwatch.domain.transaction import Status
from cardwatch.services.answer_link import LinkResult, answer_link
from cardwatch.services.ask_cardholder import ASK_AGE_MAX_MS, ChallengePlan, plan_challenge
from cardwatch.services.escalate_challenges import escalate_challenges
from cardwatch.services.expire_challenges import expire_challenges
from cardwatch.services.handle_reply import handle_reply
from cardwatch.services.questions import ASKING
from cardwatch.services.reach import Sender
from cardwatch.services.reply_turn import Result
from cardwatch.services.score_transaction import STATUS_OF, TOO_OLD_TO_ASK
from cardwatch.services.send_messages import Claim, Delivery, claim_messages, deliver, record_delivery
from cardwatch.services.track_delivery import track_delivery
from cardwatch.simulation.assumptions import Assumptions
from cardwatch.simulation.chance import Chance
from cardwatch.simulation.day import Case
from cardwatch.simulation.holder import Holder, Said, typed
from cardwatch.simulation.provider import ANSWER_MS, SimulatedProvider, Taken
from cardwatch.simulation.watched_store import WatchedStore

OWN_NUMBER = "+12025550199"
INSTITUTION = "Cardwatch"

_LINK_LIFE_AFTER_MS = 72 * HOUR_MS
_RETYPE_MS = 30_000
"""From wrong digits to the right ones."""

_ANSWERS = frozenset({Result.CONFIRMED, Result.DENIED})
_ASKS_AGAIN = frozenset({Result.PROMPTED, Result.CODE_NEEDED})


class Rules(msgspec.Struct, frozen=True):
    """What is tried: a policy, by which channels, and the life of questions whose life it does not say (ms)."""

    policy: Policy
    channels: frozenset[str]
    ttl_ms: int

    @property
    def sender(self) -> Sender:
        """Our end of the conversation under this policy."""
        others = {name: "us@example.com" for name in sorted(self.channels) if name != ChannelName.SMS}
        return Sender(institution=INSTITUTION, own_number=OWN_NUMBER, others=others, rules=self.policy.asking)


class PassedOver(StrEnum):
    """Why a reminder that was due was never sent."""

    QUIET_HOURS = "quiet_hours"
    """They end after the question's life, or after its next channel is due."""
    CAP = "cap"
    """The challenge had its three texts."""
    NOT_REACHED = "not_reached"
    """The question itself did not get through on that channel."""


class End(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a payment."""

    case: Case
    verdict: Verdict
    status: Status
    not_asked: str | None = None
    """Why nobody was asked although the policy challenges it."""
    challenge: Challenge | None = None
    held_ms: int = 0
    """How long its money was held until an answer or the default action."""
    taken: tuple[Taken, ...] = ()
    """Messages about it that a provider took."""
    answered_on: str | None = None
    """The channel of the clear answer in time."""
    waited: bool = False
    deferred: int = 0
    """Reminders that waited for the end of the quiet hours."""
    passed_over: tuple[PassedOver, ...] = ()
    """Reminders that were due and never sent."""


class Household:
    """A phone, the payments of its accounts, and everything that happens about them."""

    def __init__(
        self, cases: Sequence[Case], *, rules: Rules, assumptions: Assumptions, chance: Chance, opted_out: bool = False
    ) -> None:
        """Take the payments of one household, in the order in which they were decided."""
        self._cases = {case.transaction.transaction_id: case for case in cases}
        self._rules, self._sender = rules, rules.sender
        self._assumptions, self._chance = assumptions, chance
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._now_ms = cases[0].decided_at_ms
        self._due: set[int] = set()
        self.store = WatchedStore(now_ms=self._now, on_due=self._on_due)
        self._providers = [
            SimulatedProvider(
                name,
                self._sender.own_address(name),
                assumptions=assumptions,
                chance=chance,
                now_ms=self._now,
                later=self._later,
                arrive=self._arrive,
                report=self._report,
            )
            for name in sorted(rules.channels)
        ]
        self._not_asked: dict[str, str] = {}
        self._verdicts: dict[str, Verdict] = {}
        self._attempts: Counter[str] = Counter()
        self._settled: set[str] = set()
        self._prompted: set[str] = set()
        self._answered_on: dict[str, str] = {}
        for account in {c.account.user_id: c.account for c in cases if c.account is not None}.values():
            self.store.apply([PutAccount(msgspec.structs.replace(account, version=1))])
            if opted_out and account.phone_number is not None:
                self.store.apply([PutOptOut(account.phone_number, self._now_ms)])

    def run(self) -> list[End]:
        """Let the whole day happen; returns what became of each payment."""
        for case in self._cases.values():
            self._at(case.decided_at_ms, lambda case=case: self._pay(case))  # type: ignore[misc]
        while self._events:
            self._now_ms, _, event = heapq.heappop(self._events)
            event()
        return [self._end(case) for case in self._cases.values()]

    # Time

    def _now(self) -> int:
        return self._now_ms

    def _at(self, at_ms: int, event: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (max(at_ms, self._now_ms), self._count, event))

    def _later(self, delay_ms: int, event: Callable[[], None]) -> None:
        self._at(self._now_ms + delay_ms, event)

    def _on_due(self, at_ms: int) -> None:
        """Look at the store when something falls due there, once for each time."""
        at_ms = max(at_ms, self._now_ms)
        if at_ms not in self._due:
            self._due.add(at_ms)
            self._at(at_ms, self._work)

    def _token(self) -> str:
        self._count += 1
        return self._chance.token("token", next(iter(self._cases)), self._count)

    # Our side

    def _pay(self, case: Case) -> None:
        """Judge a payment, and ask its holder where the policy says so and somebody can be asked."""
        transaction = case.transaction
        verdict = case.judged_by(self._rules.policy)
        self._verdicts[transaction.transaction_id] = verdict
        plan = self._plan(case) if verdict.outcome is Outcome.CHALLENGE else None
        if isinstance(plan, str):
            self._not_asked[transaction.transaction_id] = plan
        outcome = Outcome.REVIEW if isinstance(plan, str) else verdict.outcome
        decision = Decision(
            outcome=outcome, decided_by=verdict.decided_by, decided_at_ms=self._now_ms, score=case.score
        )
        decided = DecideTransaction(transaction.transaction_id, decision, STATUS_OF[outcome])
        changes = plan.changes if isinstance(plan, ChallengePlan) else ()
        self.store.apply([AddTransaction(transaction), decided, *changes])

    def _plan(self, case: Case) -> ChallengePlan | str:
        """Return the plan of a question, or why nobody can be asked."""
        if self._now_ms - case.transaction.timestamp_ms > ASK_AGE_MAX_MS:
            return TOO_OLD_TO_ASK
        plan = plan_challenge(
            store=self.store,
            account=self.store.account(case.transaction.user_id),
            transaction=case.transaction,
            score=1.0 if case.score is None else case.score,
            now_ms=self._now_ms,
            ttl_ms=self._rules.ttl_ms,
            sender=self._sender,
            token=self._token(),
        )
        return plan if isinstance(plan, ChallengePlan) else plan.reason.value

    def _work(self) -> None:
        """Do what is due: end what is over, put again what nobody answered, send what lies in the outbox."""
        self._due.discard(self._now_ms)
        expire_challenges(store=self.store, sender=self._sender, now_ms=self._now_ms, token=self._token())
        escalate_challenges(store=self.store, sender=self._sender, now_ms=self._now_ms, token=self._token())
        for provider in self._providers:
            for claim in claim_messages(store=self.store, channel=provider, now_ms=self._now_ms, limit=100):
                self._record_later(claim, deliver(claim, channel=provider))

    def _record_later(self, claim: Claim, delivery: Delivery) -> None:
        """Record what became of a message when its provider has answered."""

        def record() -> None:
            record_delivery(
                claim, delivery, store=self.store, sender=self._sender, now_ms=self._now_ms, token=self._token()
            )

        self._later(ANSWER_MS, record)

    def _report(self, told: DeliveryReport) -> None:
        track_delivery(told, store=self.store, sender=self._sender, now_ms=self._now_ms, token=self._token())

    # The holders

    def _arrive(self, message: Message) -> None:
        """Let a holder see a message, and perhaps answer it."""
        case = self._cases[message.transaction_id or ""]
        holder = self._holder(case)
        challenge_id = message.challenge_id or ""
        if message.kind in ASKING:
            delay_ms = holder.answers_after_ms(message, case, now_ms=self._now_ms)
        elif challenge_id in self._prompted:
            self._prompted.discard(challenge_id)
            delay_ms = holder.answers_prompt_after_ms(case, self._attempts[challenge_id])
        else:
            return
        if delay_ms is not None:
            by_text = message.channel == ChannelName.SMS
            self._later(delay_ms, lambda: self._text(message, case) if by_text else self._press(message, case))

    def _text(self, message: Message, case: Case) -> None:
        """Answer by text, if nothing was answered yet."""
        challenge = self.store.challenge(message.challenge_id or "")
        if challenge is None or challenge.challenge_id in self._settled:
            return
        challenge_id = challenge.challenge_id
        said = self._holder(case).says_by_text(case, attempt=self._attempts[challenge_id], code=challenge.code)
        self._attempts[challenge_id] += 1
        text = InboundText(
            message_id=f"answer:{challenge_id}:{self._attempts[challenge_id]}",
            phone=message.address,
            own_number=message.own_address,
            body=typed(said, challenge.code),
        )
        outcome = handle_reply(text, store=self.store, sender=self._sender, now_ms=self._now_ms, token=self._token())
        if outcome.result in _ASKS_AGAIN:
            self._prompted.add(challenge_id)
        elif said is not Said.UNCLEAR:
            self._note(challenge_id, outcome.result, message.channel)

    def _press(self, message: Message, case: Case, *, again: bool = False) -> None:
        """Answer by a link, if nothing was answered yet."""
        challenge_id = message.challenge_id or ""
        if challenge_id in self._settled:
            return
        holder = self._holder(case)
        confirms = holder.confirms(case)
        digits = last_four_of(case.transaction.card)
        if digits is not None and not again and holder.mistypes_digits(case):
            digits = f"{(int(digits) + 1) % 10_000:04d}"
        link = AnswerLink(
            message_id=message.message_id,
            action=LinkAction.CONFIRM if confirms else LinkAction.DENY,
            expires_at_ms=(message.expires_at_ms or message.created_at_ms) + _LINK_LIFE_AFTER_MS,
            nonce=message.nonce or "",
        )
        result = answer_link(
            link,
            digits=digits,
            store=self.store,
            sender=self._sender,
            now_ms=self._now_ms,
            token=self._token(),
        )
        if result is LinkResult.WRONG_DIGITS:
            self._later(_RETYPE_MS, lambda: self._press(message, case, again=True))
        else:
            self._note(challenge_id, result, message.channel)

    def _note(self, challenge_id: str, result: Result | LinkResult, channel: str) -> None:
        self._settled.add(challenge_id)
        if result in _ANSWERS:
            self._answered_on.setdefault(challenge_id, channel)

    def _holder(self, case: Case) -> Holder:
        assert case.account is not None  # noqa: S101  nobody without an account is sent anything
        return Holder(case.account, self._assumptions, self._chance)

    # The end

    def _end(self, case: Case) -> End:
        transaction_id = case.transaction.transaction_id
        record = self.store.transaction(transaction_id)
        assert record is not None  # noqa: S101  every case was paid
        challenge = record.challenge
        challenge_id = challenge.challenge_id if challenge else ""
        left_at_ms = self.store.left_challenged_at_ms.get(transaction_id, case.decided_at_ms)
        return End(
            case=case,
            verdict=self._verdicts[transaction_id],
            status=record.status,
            not_asked=self._not_asked.get(transaction_id),
            challenge=challenge,
            held_ms=left_at_ms - case.decided_at_ms,
            taken=tuple(
                taken
                for provider in self._providers
                for taken in provider.taken.values()
                if taken.transaction_id == transaction_id
            ),
            answered_on=self._answered_on.get(challenge_id),
            waited=challenge_id in self.store.waited,
            deferred=sum(reminder[0] == challenge_id for reminder in self.store.deferred),
            passed_over=tuple(self._why(over, case) for over in self.store.passed_over if over[0] == challenge_id),
        )

    def _why(self, over: tuple[str, int, bool], case: Case) -> PassedOver:
        """Return why a reminder that was due was never sent."""
        _, at_ms, out_of_texts = over
        if out_of_texts:
            return PassedOver.CAP
        quiet = self._rules.policy.asking.quiet_hours
        time_zone = case.account.time_zone if case.account else "UTC"
        is_quiet = quiet is not None and quiet.end_after(at_ms, time_zone=time_zone) > at_ms
        return PassedOver.QUIET_HOURS if is_quiet else PassedOver.NOT_REACHED
