"""What a policy did to a day, in numbers that can be put side by side."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import ceil

import msgspec

from cardwatch.domain.challenge import ChallengeState, ChannelName
from cardwatch.domain.decision import Outcome
from cardwatch.domain.message import MessageKind
from cardwatch.domain.money import Money
from cardwatch.domain.times import MINUTE_MS, utc_offset_s
from cardwatch.domain.transaction import Status
from cardwatch.services.questions import ASKING
from cardwatch.simulation.household import End, PassedOver

_ANSWERED = (ChallengeState.CONFIRMED, ChallengeState.DENIED)


class Spread(msgspec.Struct, frozen=True):
    """Minutes: the middle one, and what 95 % stay under; None where there is nothing to measure."""

    median: float | None
    p95: float | None


class Payments(msgspec.Struct, frozen=True):
    """A number of payments, and what they are worth together (major units, by currency)."""

    count: int
    amounts: dict[str, str]


class Frauds(msgspec.Struct, frozen=True, kw_only=True):
    """Where the frauds of the day ended up."""

    stopped: Payments
    """Declined: by the holder's NO, the default action, a rule or a list."""
    with_analysts: Payments
    approved_unasked: Payments
    """By a rule, a list or the threshold."""
    released_by_yes: Payments
    """Approved after a YES that was wrong."""
    released_without_yes: Payments
    """Approved after a challenge, without a YES to it: always none."""


class Genuine(msgspec.Struct, frozen=True, kw_only=True):
    """Where genuine payments were refused."""

    declined_by_default: Payments
    """Nobody answered in time."""
    declined_by_no: Payments
    """Their own holder denied them."""
    declined_unasked: Payments
    """By a rule or a list."""


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of one policy on one day; every payment is in it once."""

    payments: int
    approved_unasked: int
    declined_unasked: int
    reviewed_unasked: int
    """By a rule, or because no model scored."""
    not_asked: dict[str, int]
    """Challenged by the policy, but nobody could be asked: reason and number; they go to review."""
    challenges: int
    ended: dict[str, int]
    """How the challenges ended; expired ones by their default action."""
    answered_share: float | None
    """Of the challenges, those with a clear answer in time."""
    answered_too_late: int
    minutes_to_answer: Spread
    minutes_held: Spread
    """Of every challenge, until its answer or its default action; an analyst's time comes on top."""
    answered_on: dict[str, int]
    """Where the clear answers in time came from; a text message's answer is a text."""
    cases: int
    """Payments that are left to analysts."""
    fraud: Frauds
    genuine: Genuine
    messages: dict[str, int]
    """Taken by providers, by channel; answers to answers included."""
    messages_per_challenge: float | None
    texts_most: int
    """Texts about the challenge that had the most of them."""
    reminders_sent: int
    reminders_deferred: int
    """Put off to the end of the quiet hours (and then sent, unless an answer came first)."""
    reminders_passed_over: dict[str, int]
    waited: int
    """Questions that waited for another one on their phone."""
    questions_by_hour: tuple[int, ...]
    """By the account's own clock, reminders included."""


def tally(ends: Sequence[End]) -> Tally:
    """Count what became of a day's payments."""
    asked = [end for end in ends if end.challenge is not None]
    unasked = [end for end in ends if end.challenge is None]
    on_time = [end for end in asked if _state(end) in _ANSWERED]
    taken = [taken for end in ends for taken in end.taken]
    passed_over = Counter(why for end in asked for why in end.passed_over)
    return Tally(
        payments=len(ends),
        approved_unasked=_count(unasked, lambda end: end.status is Status.APPROVED),
        declined_unasked=_count(unasked, lambda end: end.status is Status.DECLINED),
        reviewed_unasked=_count(unasked, lambda end: end.verdict.outcome is Outcome.REVIEW),
        not_asked=dict(Counter(end.not_asked for end in unasked if end.not_asked is not None).most_common()),
        challenges=len(asked),
        ended=_ended(asked),
        answered_share=len(on_time) / len(asked) if asked else None,
        answered_too_late=_count(asked, _is_late),
        minutes_to_answer=_spread([_answered_after_ms(end) for end in on_time]),
        minutes_held=_spread([end.held_ms for end in asked]),
        answered_on=_answered_on(on_time),
        cases=_count(ends, lambda end: end.status is Status.IN_REVIEW),
        fraud=_frauds([end for end in ends if end.case.fraud]),
        genuine=_genuine([end for end in ends if not end.case.fraud and end.status is Status.DECLINED]),
        messages={name: sum(t.channel == name for t in taken) for name in map(str, ChannelName)},
        messages_per_challenge=len(taken) / len(asked) if asked else None,
        texts_most=max((sum(t.channel == ChannelName.SMS for t in end.taken) for end in asked), default=0),
        reminders_sent=sum(t.kind is MessageKind.REMINDER for t in taken),
        reminders_deferred=sum(end.deferred for end in asked),
        reminders_passed_over={why.value: passed_over[why] for why in PassedOver},
        waited=_count(asked, lambda end: end.waited),
        questions_by_hour=_by_hour(asked),
    )


def _frauds(ends: Sequence[End]) -> Frauds:
    approved = [end for end in ends if end.status is Status.APPROVED]
    asked = [end for end in approved if end.challenge is not None]
    return Frauds(
        stopped=_payments(end for end in ends if end.status is Status.DECLINED),
        with_analysts=_payments(end for end in ends if end.status is Status.IN_REVIEW),
        approved_unasked=_payments(end for end in approved if end.challenge is None),
        released_by_yes=_payments(end for end in asked if _was_confirmed(end)),
        released_without_yes=_payments(end for end in asked if not _was_confirmed(end)),
    )


def _genuine(declined: Sequence[End]) -> Genuine:
    return Genuine(
        declined_by_default=_payments(end for end in declined if _state(end) is ChallengeState.EXPIRED),
        declined_by_no=_payments(end for end in declined if _state(end) is ChallengeState.DENIED),
        declined_unasked=_payments(end for end in declined if end.challenge is None),
    )


def _payments(ends: Iterable[End]) -> Payments:
    minor: Counter[str] = Counter()
    count = 0
    for end in ends:
        count += 1
        minor[end.case.transaction.amount.currency] += end.case.transaction.amount.minor
    return Payments(count, {currency: Money(total, currency).decimal for currency, total in sorted(minor.items())})


def _ended(asked: Sequence[End]) -> dict[str, int]:
    """Count how challenges ended, in the order in which they are shown."""
    names = ("confirmed", "denied", "expired_to_review", "expired_to_declined", "unclear", "undeliverable")
    counted = Counter(_ending(end) for end in asked)
    return {name: counted[name] for name in (*names, "opted_out", "cancelled")}


def _ending(end: End) -> str:
    state = _state(end)
    if state is ChallengeState.EXPIRED:
        return "expired_to_declined" if end.status is Status.DECLINED else "expired_to_review"
    return state.value if state else ""


def _was_confirmed(end: End) -> bool:
    challenge = end.challenge
    return challenge is not None and challenge.state is ChallengeState.CONFIRMED and challenge.answer == "yes"


def _is_late(end: End) -> bool:
    return end.challenge is not None and _state(end) not in _ANSWERED and end.challenge.answer in {"yes", "no"}


def _answered_after_ms(end: End) -> int:
    challenge = end.challenge
    return (challenge.answered_at_ms or 0) - challenge.created_at_ms if challenge else 0


def _answered_on(on_time: Iterable[End]) -> dict[str, int]:
    counted = Counter(end.answered_on for end in on_time)
    return {name: counted[name] for name in map(str, ChannelName)}


def _spread(durations_ms: Sequence[int]) -> Spread:
    """Return the middle and the 95th percentile (nearest rank) in minutes."""
    ordered = sorted(durations_ms)
    if not ordered:
        return Spread(None, None)
    median, p95 = (ordered[ceil(share * len(ordered)) - 1] / MINUTE_MS for share in (0.5, 0.95))
    return Spread(round(median, 2), round(p95, 2))


def _by_hour(asked: Iterable[End]) -> tuple[int, ...]:
    counted: Counter[int] = Counter()
    for end in asked:
        zone = end.case.account.time_zone if end.case.account else "UTC"
        for taken in end.taken:
            if taken.kind in ASKING:
                counted[(taken.at_ms // 1000 + utc_offset_s(zone, taken.at_ms)) // 3600 % 24] += 1
    return tuple(counted[hour] for hour in range(24))


def _count(ends: Iterable[End], holds: Callable[[End], bool]) -> int:
    return sum(map(holds, ends))


def _state(end: End) -> ChallengeState | None:
    return end.challenge.state if end.challenge else None
