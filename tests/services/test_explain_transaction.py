"""A score is explained from the stored vector, by the model that gave it, or not at all."""

import math

import msgspec
import pytest

from cardwatch.adapters.memory import MemoryStore
from cardwatch.adapters.models import open_scorer
from cardwatch.domain.changes import PutAccount
from cardwatch.domain.decision import FALLBACK_MARK, Decision, Direction
from cardwatch.domain.policy import Policy
from cardwatch.domain.transaction import TransactionRecord
from cardwatch.features.engine import default_engine
from cardwatch.services.explain_transaction import Explained, NotExplained, explain_transaction
from cardwatch.services.score_transaction import Judges, give_to_review, score_transaction
from tests.builders import NOW_MS, make_account, make_transaction
from tests.services.judging import ASKING, ToldScorer, add, judges

SCORER = open_scorer()
JUDGES = Judges(engine=default_engine(), scorer=SCORER, policy=Policy(), threshold=0.999)


@pytest.fixture
def approved() -> TransactionRecord:
    """Return an approved payment, as the packaged model decided it."""
    store = MemoryStore()
    assert store.apply([PutAccount(make_account())]) is None
    pending = add(store, make_transaction())
    return score_transaction(pending, store=store, judges=JUDGES, asking=ASKING, now_ms=NOW_MS).record


def decision_of(record: TransactionRecord) -> Decision:
    """Return a decision that must be there."""
    assert record.decision is not None
    return record.decision


def changed(record: TransactionRecord, **fields: object) -> TransactionRecord:
    """Return the payment as if it had been decided otherwise."""
    return msgspec.structs.replace(record, decision=msgspec.structs.replace(decision_of(record), **fields))


def test_an_approved_payment_is_explained_and_adds_up_to_its_stored_score(approved: TransactionRecord) -> None:
    """It carries no reasons of its own; every feature of the model is told, with its way."""
    decision = decision_of(approved)
    assert decision.reasons == ()
    explained = explain_transaction(approved, judges=JUDGES)
    assert isinstance(explained, Explained)
    told = explained.explanation
    total = math.fsum((told.base, *(reason.contribution for reason in told.reasons)))
    assert total == pytest.approx(told.margin, rel=1e-9)
    assert 1 / (1 + math.exp(-told.margin)) == pytest.approx(decision.score, rel=1e-9)
    assert {reason.feature for reason in told.reasons} == set(default_engine().names)
    for reason in told.reasons:
        assert (reason.direction is Direction.TOWARDS_FRAUD) is (reason.contribution > 0)
        assert (reason.direction is None) is (reason.contribution == 0)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"score": None}, "no model has scored"),
        ({"vector": None}, "no model has scored"),
        ({"model_version": "older-1"}, f"scored by model older-1; loaded is {SCORER.model_version}"),
        ({"spec_hash": "0" * 64}, "features are of definition 000"),
        ({"vector": b"\x00" * 16}, "holds 2 features"),
        ({"score": 0.123}, "gives another score"),
    ],
)
def test_what_cannot_be_explained_says_why(approved: TransactionRecord, fields: dict[str, object], why: str) -> None:
    """Never scored, by another model, with another definition, or not what that model gives."""
    refused = explain_transaction(changed(approved, **fields), judges=JUDGES)
    assert isinstance(refused, NotExplained)
    assert why in refused.why


def test_what_the_same_model_scored_in_another_ones_place_is_explained(approved: TransactionRecord) -> None:
    """The mark says who was asked first, not that the model is another; it stays in the answer."""
    marked = changed(approved, model_version=SCORER.model_version + FALLBACK_MARK)
    explained = explain_transaction(marked, judges=JUDGES)
    assert isinstance(explained, Explained)
    assert explained.model_version == SCORER.model_version + FALLBACK_MARK
    other = explain_transaction(changed(approved, model_version="older-1" + FALLBACK_MARK), judges=JUDGES)
    assert isinstance(other, NotExplained)


def test_a_payment_nobody_scored_is_not_explained() -> None:
    """Pending, or given to review because scoring failed."""
    pending = add(MemoryStore(), make_transaction())
    given = give_to_review(pending, cause="KeyError", now_ms=NOW_MS).record
    for record in (pending, given):
        assert isinstance(explain_transaction(record, judges=judges(ToldScorer(0.1))), NotExplained)
