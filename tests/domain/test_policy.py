"""Deny list, rules, allow list, threshold: in this order, whatever the score."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.domain.decision import DecidedBy, Outcome
from cardwatch.domain.errors import InvalidInput
from cardwatch.domain.money import Money
from cardwatch.domain.policy import ListEntry, ListField, Policy, Rule, parse_policy
from cardwatch.domain.policy_conditions import Conditions
from tests.builders import make_transaction

PAYMENT = make_transaction(ip="203.0.113.9", country="US", category="food", mcc="5411", channel="online")
DENY = ListEntry(ListField.IP, "203.0.113.9")
ALLOW = ListEntry(ListField.MERCHANT_ID, "corner cafe")
RULE = Rule("small", Conditions(currency="USD", amount_below=Decimal(100)), Outcome.REVIEW)

TABLE = [
    (Policy((DENY,), (RULE,), (ALLOW,)), Outcome.DECLINE, DecidedBy.DENY_LIST),
    (Policy((DENY,), (), (ALLOW,)), Outcome.DECLINE, DecidedBy.DENY_LIST),
    (Policy((), (RULE,), (ALLOW,)), Outcome.REVIEW, DecidedBy.RULE),
    (Policy((), (), (ALLOW,)), Outcome.APPROVE, DecidedBy.ALLOW_LIST),
]


@pytest.mark.parametrize("score", [0.0, 0.4, 0.6, 1.0])
@pytest.mark.parametrize(("policy", "outcome", "by"), TABLE)
def test_precedence(policy: Policy, outcome: Outcome, by: DecidedBy, score: float) -> None:
    """What stands earlier decides, with and without a score."""
    verdict = policy.judge(PAYMENT, score=score, threshold=0.5)
    assert (verdict.outcome, verdict.decided_by) == (outcome, by)
    assert policy.judge_without_score(PAYMENT) == verdict


@given(st.floats(0, 1), st.floats(0, 1, exclude_min=True))
def test_score_alone_never_declines(score: float, threshold: float) -> None:
    """From the threshold on it challenges, below it approves."""
    verdict = Policy().judge(PAYMENT, score=score, threshold=threshold)
    assert verdict.outcome is (Outcome.CHALLENGE if score >= threshold else Outcome.APPROVE)
    assert verdict.decided_by is DecidedBy.THRESHOLD


def test_first_rule_that_holds_decides() -> None:
    """Rules are read in their order."""
    second = Rule("second", Conditions(), Outcome.DECLINE)
    verdict = Policy(rules=(RULE, second)).judge(PAYMENT, score=0.9, threshold=0.5)
    assert verdict.detail == "small"


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        (Conditions(), True),
        (Conditions(currency="EUR"), False),
        (Conditions(currency="USD", amount_at_least=Decimal("21.40")), True),
        (Conditions(currency="USD", amount_at_least=Decimal("21.41")), False),
        (Conditions(currency="USD", amount_below=Decimal("21.40")), False),
        (Conditions(countries=("US",)), True),
        (Conditions(countries=("DE",)), False),
        (Conditions(not_countries=("DE",)), True),
        (Conditions(not_countries=("US",)), False),
        (Conditions(categories=("food",), mccs=("5411",), channels=("online",)), True),
        (Conditions(categories=("food",), channels=("pos",)), False),
        (Conditions(score_at_least=0.3), True),
        (Conditions(score_at_least=0.4), False),
    ],
)
def test_all_conditions_of_a_rule_must_hold(conditions: Conditions, holds: bool) -> None:
    """Amounts compare as decimals: at least includes, below excludes."""
    assert conditions.hold(PAYMENT, 0.3) is holds


def test_condition_on_a_score_fails_without_one() -> None:
    """A scorer that is down gives no score to compare."""
    assert not Conditions(score_at_least=0.0).hold(PAYMENT, None)


def test_condition_on_a_country_fails_where_none_is_known() -> None:
    """A payment without a country is in none of those listed, and outside every list."""
    payment = make_transaction(amount=Money(100, "USD"))
    assert not Conditions(countries=("US",)).hold(payment, 0.5)
    assert Conditions(not_countries=("US",)).hold(payment, 0.5)


@pytest.mark.parametrize(
    ("policy", "pointer"),
    [
        ({"rules": [{"name": "a", "when": {"score_at_least": 0.5}, "then": "decline"}]}, "/rules/0/when"),
        ({"rules": [{"name": "a", "when": {}, "then": "decline"}]}, "/rules/0/when"),
        ({"denied": []}, ""),
        ({"deny": [{"field": "name", "value": "x"}]}, ""),
        ({"deny": [{"field": "ip", "value": ""}]}, ""),
        ({"rules": [{"name": "a b", "when": {}, "then": "review"}]}, ""),
        ({"rules": [{"name": "a", "when": {}, "then": "ask"}]}, ""),
        ({"rules": [{"name": "a", "when": {"score_at_least": 1.1}, "then": "review"}]}, ""),
        ({"rules": [{"name": "a", "when": {}, "then": "review"}] * 2}, "/rules"),
        ({"rules": [{"name": "a", "when": {"currency": "XXX"}, "then": "review"}]}, "/rules/0/when/currency"),
        ({"rules": [{"name": "a", "when": {"amount_below": 5}, "then": "review"}]}, "/rules/0/when/amount_below"),
        (
            {"rules": [{"name": "a", "when": {"currency": "JPY", "amount_at_least": "1.5"}, "then": "review"}]},
            "/rules/0/when/amount_at_least",
        ),
    ],
)
def test_fault_of_a_policy_file_is_named(policy: dict[str, Any], pointer: str) -> None:
    """A policy is checked as a whole before it is used."""
    with pytest.raises(InvalidInput) as refused:
        parse_policy(json.dumps(policy).encode())
    assert refused.value.problems[0].pointer == pointer


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b'{"deny": "x"}'])
def test_file_that_is_no_policy_is_refused(data: bytes) -> None:
    """Whatever stands in it."""
    with pytest.raises(InvalidInput, match="not a policy"):
        parse_policy(data)


@pytest.mark.parametrize("name", ["countries", "not_countries", "categories", "mccs", "channels"])
@pytest.mark.parametrize("outcome", ["decline", "review"])
def test_empty_list_is_no_condition(name: str, outcome: str) -> None:
    """It would let a score alone decline, or make a rule that never holds."""
    rule = {"name": "a", "when": {"score_at_least": 0.1, name: []}, "then": outcome}
    with pytest.raises(InvalidInput) as refused:
        parse_policy(json.dumps({"rules": [rule]}).encode())
    (problem,) = refused.value.problems
    assert (problem.pointer, problem.detail) == (
        f"/rules/0/when/{name}",
        "must list at least one value, or be left out",
    )


def test_empty_list_is_refused_in_an_escalation_too() -> None:
    """It would be followed by every payment, or by none."""
    escalation = {"name": "a", "when": {"not_countries": []}, "steps": [{"channel": "sms"}]}
    with pytest.raises(InvalidInput) as refused:
        parse_policy(json.dumps({"asking": {"escalations": [escalation]}}).encode())
    assert refused.value.problems[0].pointer == "/asking/escalations/0/when/not_countries"


@pytest.mark.parametrize(
    "policy",
    [
        {"rules": [{"name": "a\n", "when": {}, "then": "review"}]},
        {"asking": {"escalations": [{"name": "a\n", "steps": [{"channel": "sms"}]}]}},
        {"asking": {"quiet_hours": {"start": "21:00\n"}}},
        {"asking": {"quiet_hours": {"end": "08:00\n"}}},
    ],
)
def test_line_break_at_the_end_is_refused(policy: dict[str, Any]) -> None:
    """A name is a metric's label and a line of a log; a clock time has five characters."""
    with pytest.raises(InvalidInput, match="not a policy"):
        parse_policy(json.dumps(policy).encode())
