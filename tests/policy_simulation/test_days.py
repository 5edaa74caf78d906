"""Days, chance and assumptions: the same seed is the same day, and both policies meet the same holders."""

from collections import Counter

import msgspec
import pytest

from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.changes import AddLabel, AddTransaction, Change, DecideTransaction, PutAccount
from cardwatch.domain.decision import DecidedBy, Outcome
from cardwatch.domain.errors import InvalidInput
from cardwatch.domain.label import Label, LabelSource, LabelValue
from cardwatch.domain.policy import Policy
from cardwatch.domain.times import DAY_MS, HOUR_MS
from cardwatch.domain.transaction import Status
from cardwatch.simulation.assumptions import Assumptions, read_assumptions, rows
from cardwatch.simulation.chance import Chance
from cardwatch.simulation.run import missing_channels, suspicious
from cardwatch.simulation.stored_day import stored_day
from cardwatch.simulation.synthetic_day import MIDNIGHT_MS, synthetic_day
from cardwatch.simulation.tally import tally
from tests.builders import make_account, make_decision, make_transaction
from tests.policy_simulation.days import NOON_MS, live, policy

OTHER = policy(
    {"channel": "push", "wait_s": 120},
    {"channel": "sms", "remind_after_s": 300, "wait_s": 900},
    {"channel": "email"},
    expires_after_s=3600,
    default_action="decline",
)


def test_a_seed_repeats_exactly() -> None:
    """The same seed gives the same day and the same ends, another one others."""
    assumed = Assumptions()
    days = [synthetic_day(150, seed=seed, assumptions=assumed) for seed in (1, 1, 2)]
    ends = [live(list(day.cases), OTHER, assumed, seed=seed) for day, seed in zip(days, (1, 1, 2), strict=True)]
    assert days[0] == days[1] != days[2]
    assert ends[0] == ends[1]
    assert tally(ends[0]) != tally(ends[2])


def test_holders_are_the_same_under_both_policies() -> None:
    """Whoever says yes under one never says no under the other; what the day costs is asked of the same people."""
    assumed = Assumptions()
    cases = list(synthetic_day(300, seed=3, assumptions=assumed).cases)
    said = []
    for tried in (Policy(), OTHER):
        ends = live(cases, tried, assumed)
        said.append(
            {end.case.transaction.transaction_id: end.challenge.answer for end in ends if end.challenge is not None}
        )
    both = [(answer, said[1].get(key)) for key, answer in said[0].items() if answer and said[1].get(key)]
    assert len(both) > 100
    assert {pair for pair in both if "stop" not in pair} == {("yes", "yes"), ("no", "no")}


def test_a_synthetic_day_is_what_it_says() -> None:
    """Its payments lie within the day by their accounts' clocks, score above the threshold, and are calibrated."""
    day = synthetic_day(3000, seed=1, assumptions=Assumptions())
    assert suspicious(day, [Policy()]) == list(day.cases)
    alone = [case for case in day.cases if case.score is not None]
    assert abs(sum(case.fraud for case in alone) / 3000 - 0.4) < 0.04
    assert abs(sum(case.score or 0 for case in alone) / 3000 - 0.4) < 0.03
    for case in day.cases:
        local_ms = case.transaction.timestamp_ms + case.transaction.utc_offset_s * 1000
        assert 0 <= local_ms - MIDNIGHT_MS < DAY_MS + 12 * HOUR_MS
    users = Counter(case.transaction.user_id for case in day.cases)
    assert 0.05 < sum(count - 1 for count in users.values()) / 3000 < 0.25


@pytest.mark.parametrize("share", [0.0, 0.95, 1.0])
def test_any_share_of_genuine_payments_makes_a_day(share: float) -> None:
    """Scores follow the share, so that every payment is still above its threshold."""
    day = synthetic_day(400, seed=1, assumptions=Assumptions(genuine_share=share))
    assert len(suspicious(day, [Policy()])) == 400
    assert abs(sum(case.fraud for case in day.cases) / 400 - (1 - share)) < 0.06


def test_chance_belongs_to_names() -> None:
    """The same names give the same draw, which is uniform over many of them."""
    chance = Chance(7)
    assert chance.uniform("a", 1) == chance.uniform("a", 1) != chance.uniform("a", 2)
    drawn = [chance.uniform("n", number) for number in range(2000)]
    assert all(0 < one < 1 for one in drawn)
    assert abs(sum(drawn) / 2000 - 0.5) < 0.03
    delays = sorted(chance.delay_ms(60, 1.2, number) for number in range(2001))
    assert abs(delays[1000] - 60_000) < 6_000


def test_assumptions_are_replaced_one_by_one() -> None:
    """A file and then single names replace what they name, and nothing else."""
    read = read_assumptions(b'{"sms": {"answer_share": 0.5}, "asleep": null}', ["push.answer_share=0.1"])
    assert (read.sms.answer_share, read.push.answer_share, read.asleep) == (0.5, 0.1, None)
    assert read.sms.answer_median_s == Assumptions().sms.answer_median_s
    shown = [f"{name}={value}" for name, value in rows(Assumptions())]
    assert read_assumptions(None, shown) == Assumptions()


@pytest.mark.parametrize(
    ("file", "assumed", "expected"),
    [
        (b"[1]", [], "not a JSON object"),
        (b'{"smss": {}}', [], "unknown field `smss`"),
        (b'{"sms": {"answer_share": 2}}', [], "$.sms.answer_share"),
        (None, ["sms.answer_share"], "not NAME=VALUE"),
        (None, ["sms=1"], "$.sms"),
        (None, ["asleep.start=noon"], "$.asleep.start"),
        (None, ["a.b.c=1"], "unknown field"),
    ],
)
def test_what_is_no_assumption_is_one_line(file: bytes | None, assumed: list[str], expected: str) -> None:
    """What cannot be is named with its place."""
    with pytest.raises(InvalidInput) as caught:
        read_assumptions(file, assumed)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def stored(
    number: int, at_ms: int, outcome: Outcome, *, detail: str | None = None, decided_by: DecidedBy = DecidedBy.THRESHOLD
) -> list[Change]:
    """Return the changes that record a decided payment of user_1."""
    score = 0.1 if outcome is Outcome.APPROVE else 0.9
    decision = make_decision(
        outcome=outcome, decided_at_ms=at_ms, detail=detail, decided_by=decided_by, score=score, threshold=0.5
    )
    statuses = {
        Outcome.APPROVE: Status.APPROVED,
        Outcome.CHALLENGE: Status.CHALLENGED,
        Outcome.REVIEW: Status.IN_REVIEW,
    }
    transaction = make_transaction(f"txn_{number}", user_id="user_1", timestamp_ms=at_ms)
    return [
        AddTransaction(transaction),
        DecideTransaction(transaction.transaction_id, decision, statuses[outcome]),
    ]


def test_the_latest_day_with_a_question_is_taken_from_the_store() -> None:
    """Later days without one are passed over; labels say what is true; a held account is asked again."""
    store = MemoryStore()
    store.apply([PutAccount(make_account("user_1", held_since_ms=NOON_MS))])
    days = [
        stored(1, NOON_MS - 3 * DAY_MS, Outcome.CHALLENGE),
        stored(2, NOON_MS - DAY_MS - HOUR_MS, Outcome.CHALLENGE),
        stored(3, NOON_MS - DAY_MS, Outcome.REVIEW, detail="no_device"),
        stored(4, NOON_MS - DAY_MS + HOUR_MS, Outcome.APPROVE),
        stored(5, NOON_MS - DAY_MS, Outcome.APPROVE, decided_by=DecidedBy.IMPORT),
        stored(6, NOON_MS, Outcome.APPROVE),
    ]
    for changes in days:
        assert store.apply(changes) is None
    label = Label(transaction_id="txn_2", value=LabelValue.GENUINE, source=LabelSource.ANALYST, available_at_ms=NOON_MS)
    store.apply([AddLabel(label, None)])
    day = stored_day(store, now_ms=NOON_MS + HOUR_MS, chance=Chance(1))
    assert day is not None
    assert [case.transaction.transaction_id for case in day.cases] == ["txn_2", "txn_3", "txn_4"]
    assert day.cases[0].fraud is False
    assert day.cases[0].account is not None
    assert day.cases[0].account.held_since_ms is None
    assert [case.transaction.transaction_id for case in suspicious(day, [Policy()])] == ["txn_2", "txn_3"]
    assert "2026-03-16" in day.source


def test_an_old_or_empty_store_has_no_day() -> None:
    """Only the last seven days count."""
    store = MemoryStore()
    assert stored_day(store, now_ms=NOON_MS, chance=Chance(1)) is None
    store.apply([PutAccount(make_account("user_1")), *stored(1, NOON_MS - 8 * DAY_MS, Outcome.CHALLENGE)])
    assert stored_day(store, now_ms=NOON_MS, chance=Chance(1)) is None


def test_channels_that_a_policy_names_and_nobody_has_are_found() -> None:
    """Each once, in the order of the policy; the built-in escalation asks by what there is."""
    assert missing_channels(OTHER, frozenset({"sms"})) == ["push", "email"]
    assert missing_channels(OTHER, frozenset({"sms", "push", "email"})) == []
    assert missing_channels(Policy(), frozenset({"sms"})) == []


def test_the_tally_is_plain_data() -> None:
    """It goes through JSON and back unchanged."""
    assumed = Assumptions()
    counted = tally(live(list(synthetic_day(40, seed=1, assumptions=assumed).cases), OTHER, assumed))
    assert msgspec.json.decode(msgspec.json.encode(counted), type=type(counted)) == counted
    assert sum(counted.ended.values()) == counted.challenges
    assert counted.payments == counted.challenges + sum(counted.not_asked.values())
