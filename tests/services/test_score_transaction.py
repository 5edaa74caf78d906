"""Every pending payment is decided exactly once, and a score alone never releases or declines what it should not."""

from decimal import Decimal

import pytest

from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.account import Account
from cardwatch.domain.challenge import ChallengeState
from cardwatch.domain.changes import DecideTransaction, PutAccount
from cardwatch.domain.decision import DecidedBy, Outcome
from cardwatch.domain.money import Money
from cardwatch.domain.policy import ListEntry, ListField, Policy, Rule
from cardwatch.domain.policy_conditions import Conditions
from cardwatch.domain.times import DAY_MS
from cardwatch.domain.transaction import Status
from cardwatch.features.engine import default_engine
from cardwatch.services.score_transaction import give_to_review, score_transaction
from tests.builders import NOW_MS, make_account, make_transaction
from tests.services.judging import ASKING, TTL_MS, ToldScorer, add, decide, judges, record_of

KEYS = (("account", "user_001"), ("merchant", "corner cafe"))


def store_with(account: Account | None) -> MemoryStore:
    """Return a store that knows this account, if any."""
    store = MemoryStore()
    if account is not None:
        assert store.apply([PutAccount(account)]) is None
    return store


@pytest.fixture
def store() -> MemoryStore:
    """Return a store with one account that can be asked."""
    return store_with(make_account())


@pytest.mark.parametrize(
    ("score", "status", "outcome"),
    [
        (0.0, Status.APPROVED, Outcome.APPROVE),
        (0.49, Status.APPROVED, Outcome.APPROVE),
        (0.5, Status.CHALLENGED, Outcome.CHALLENGE),
        (1.0, Status.CHALLENGED, Outcome.CHALLENGE),
    ],
)
def test_threshold_parts_approval_from_challenge(
    store: MemoryStore, score: float, status: Status, outcome: Outcome
) -> None:
    """From the threshold on the holder is asked."""
    decided = decide(store, add(store, make_transaction()), judges(ToldScorer(score)))
    decision = decided.record.decision
    assert decision is not None
    assert (decided.record.status, decision.outcome, decision.decided_by) == (status, outcome, DecidedBy.THRESHOLD)
    assert (decision.score, decision.threshold, decision.model_version) == (score, 0.5, "told-1")
    assert bool(decision.reasons) is (outcome is not Outcome.APPROVE)


def test_challenge_is_asked_with_the_decision(store: MemoryStore) -> None:
    """Decision, question and its text are one write, and the question's life runs from the decision."""
    decided = decide(store, add(store, make_transaction(received_at_ms=NOW_MS - 5000)), judges(ToldScorer(0.9)))
    challenge = decided.record.challenge
    assert challenge is not None
    assert (challenge.state, challenge.expires_at_ms) == (ChallengeState.ASKED, NOW_MS + TTL_MS)
    assert len(store.due_message_ids(channel="sms", now_ms=NOW_MS, limit=10)) == 1


@pytest.mark.parametrize(
    ("account", "why"),
    [
        (make_account(held_since_ms=NOW_MS), "account_held"),
        (make_account(phone_number=None), "no_phone"),
        (make_account(channels=("email",)), "no_channel"),
        (make_account(consent=False), "no_consent"),
        (None, "no_account"),
    ],
)
def test_suspicious_payment_whose_holder_cannot_be_asked_goes_to_review(account: Account | None, why: str) -> None:
    """Nobody is texted, nothing is approved, and the record says why."""
    store = store_with(account)
    decided = decide(store, add(store, make_transaction()), judges(ToldScorer(0.9)))
    decision = decided.record.decision
    assert decision is not None
    assert (decided.record.status, decision.outcome, decision.detail) == (Status.IN_REVIEW, Outcome.REVIEW, why)
    assert not store.due_message_ids(channel="sms", now_ms=NOW_MS, limit=10)
    assert decision.reasons


@pytest.mark.parametrize(
    ("age_ms", "status"),
    [(DAY_MS, Status.CHALLENGED), (DAY_MS + 1, Status.IN_REVIEW), (400 * DAY_MS, Status.IN_REVIEW)],
)
def test_payment_older_than_a_day_is_never_texted_about(store: MemoryStore, age_ms: int, status: Status) -> None:
    """A suspicious one goes to review instead."""
    record = add(store, make_transaction(timestamp_ms=NOW_MS - age_ms))
    assert decide(store, record, judges(ToldScorer(0.9))).record.status is status
    assert bool(store.due_message_ids(channel="sms", now_ms=NOW_MS, limit=10)) is (status is Status.CHALLENGED)


def test_old_everyday_payment_is_approved(store: MemoryStore) -> None:
    """Age alone is no suspicion."""
    record = add(store, make_transaction(timestamp_ms=NOW_MS - 3 * DAY_MS))
    assert decide(store, record, judges(ToldScorer(0.1))).record.status is Status.APPROVED


def test_foreign_currency_is_seen_and_has_no_amount_statistics(store: MemoryStore) -> None:
    """Its features say so, and the account's own amounts stay what they were."""
    scorer = ToldScorer(0.1)
    engine = default_engine()
    decide(store, add(store, make_transaction("own")), judges(scorer))
    decide(store, add(store, make_transaction("foreign", amount=Money(9_000_000, "JPY"))), judges(scorer))
    decide(store, add(store, make_transaction("own again")), judges(scorer))
    foreign = [vector[engine.names.index("foreign_currency")] for vector in scorer.vectors]
    assert foreign == [0, 1, 0]


@pytest.mark.parametrize("failures", [1, 2])
def test_scorer_that_recovers_is_tried_again(store: MemoryStore, failures: int) -> None:
    """A short fault is not felt."""
    decided = decide(store, add(store, make_transaction()), judges(ToldScorer(0.1, failures=failures)))
    assert decided.record.status is Status.APPROVED


@pytest.mark.parametrize(
    "scorer", [ToldScorer(0.1, failures=99), ToldScorer(float("nan")), ToldScorer(1.5), ToldScorer(-0.1)]
)
def test_scorer_without_a_probability_ends_in_review(store: MemoryStore, scorer: ToldScorer) -> None:
    """Down, or saying what is no probability: an analyst decides, never pending, never approved."""
    decided = decide(store, add(store, make_transaction()), judges(scorer))
    decision = decided.record.decision
    assert decision is not None
    assert decided.record.status is Status.IN_REVIEW
    assert [reason.code for reason in decision.reasons] == ["SCORING_UNAVAILABLE"]
    assert (decision.decided_by, decision.score, decision.model_version) == (DecidedBy.FALLBACK, None, None)
    assert all(store.states(KEYS))


def test_model_that_cannot_explain_still_decides(store: MemoryStore) -> None:
    """The explanation is worth less than the decision."""
    decided = decide(store, add(store, make_transaction()), judges(ToldScorer(0.9, explains=False)))
    assert decided.record.status is Status.CHALLENGED


DENY = ListEntry(ListField.MERCHANT_ID, "corner cafe")
CAP = Rule("cap", Conditions(currency="USD", amount_at_least=Decimal(20)), Outcome.REVIEW)


@pytest.mark.parametrize("scorer", [ToldScorer(0.01), ToldScorer(0.99), ToldScorer(0, failures=99)])
@pytest.mark.parametrize(
    ("policy", "status", "code"),
    [
        (Policy(deny=(DENY,), allow=(DENY,)), Status.DECLINED, "DENY_LIST"),
        (Policy(rules=(CAP,), allow=(DENY,)), Status.IN_REVIEW, "RULE"),
        (Policy(allow=(DENY,)), Status.APPROVED, None),
    ],
)
def test_lists_and_rules_decide_whatever_the_scorer_says(
    policy: Policy, status: Status, code: str | None, scorer: ToldScorer
) -> None:
    """With a low score, a high one, or none; and the first reason is what decided."""
    store = store_with(make_account())
    scorer = ToldScorer(scorer._score, failures=scorer._failures)
    decided = decide(store, add(store, make_transaction()), judges(scorer, policy))
    decision = decided.record.decision
    assert decision is not None
    assert decided.record.status is status
    assert (decision.reasons[0].code if decision.reasons else None) == code


def test_state_versions_grow_by_one(store: MemoryStore) -> None:
    """Each payment reads what the one before it wrote, and says which version it read."""
    for number in range(3):
        decided = decide(store, add(store, make_transaction(f"txn_{number}")), judges(ToldScorer(0.1)))
        decision = decided.record.decision
        assert decision is not None
        assert set(decision.state_versions.values()) == {number}
        assert [found[0] for found in store.states(KEYS) if found] == [number + 1, number + 1]


def test_second_scoring_changes_nothing(store: MemoryStore) -> None:
    """A record delivered twice loses its race, with all that would follow from it."""
    pending = add(store, make_transaction())
    decide(store, pending, judges(ToldScorer(0.9)))
    before = (
        record_of(store, "txn_1"),
        store.states(KEYS),
        store.due_message_ids(channel="sms", now_ms=NOW_MS, limit=10),
    )
    again = score_transaction(pending, store=store, judges=judges(ToldScorer(0.1)), asking=ASKING, now_ms=NOW_MS)
    assert isinstance(store.apply(again.changes), DecideTransaction)
    assert (
        record_of(store, "txn_1"),
        store.states(KEYS),
        store.due_message_ids(channel="sms", now_ms=NOW_MS, limit=10),
    ) == before


def test_payment_given_to_review_leaves_state_as_it_is(store: MemoryStore) -> None:
    """What cannot be scored at all is decided without touching its entities."""
    given = give_to_review(add(store, make_transaction()), cause="KeyError: scoring failed", now_ms=NOW_MS)
    assert store.apply(given.changes) is None
    assert record_of(store, "txn_1").status is Status.IN_REVIEW
    assert store.states(KEYS) == [None, None]
