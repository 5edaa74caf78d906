"""What is done with a scored payment: deny list, rules, allow list, threshold, in this order.

A score alone never declines; it challenges, or sends to review when the holder cannot be asked. The policy is one
JSON file, checked as a whole when it is loaded:

    {"deny":  [{"field": "ip", "value": "203.0.113.9", "note": "card testing, March"}],
     "rules": [{"name": "wire-limit", "when": {"amount_at_least": "5000.00", "currency": "USD"}, "then": "review"}],
     "allow": [{"field": "merchant_id", "value": "payroll"}],
     "asking": {"quiet_hours": {"start": "21:00", "end": "08:00"}}}

`asking` says how a challenged cardholder is reached (`domain.escalation`).
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import msgspec

from cardwatch.domain.decision import DecidedBy, Outcome
from cardwatch.domain.errors import InvalidInput
from cardwatch.domain.escalation import AskingRules
from cardwatch.domain.policy_conditions import Conditions, check_amount, check_conditions
from cardwatch.domain.transaction import Transaction


class ListField(StrEnum):
    """The parts of a payment that a list may name."""

    USER_ID = "user_id"
    MERCHANT_ID = "merchant_id"
    MERCHANT = "merchant"
    DEVICE_ID = "device_id"
    IP = "ip"
    CARD = "card"
    COUNTRY = "country"
    CATEGORY = "category"
    MCC = "mcc"


class ListEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the deny or allow list: a payment matches when the field has exactly this value."""

    field: ListField
    value: Annotated[str, msgspec.Meta(min_length=1)]
    note: str | None = None

    def matches(self, transaction: Transaction) -> bool:
        """Say whether a payment is on the list by this entry."""
        return bool(getattr(transaction, self.field.value) == self.value)


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A named rule; the first that holds decides."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}\Z")]
    when: Conditions
    then: Outcome


class Verdict(msgspec.Struct, frozen=True):
    """What the policy says, before it is known whether the holder can be asked."""

    outcome: Outcome
    decided_by: DecidedBy
    detail: str | None = None


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Lists and rules; the empty policy leaves everything to the threshold."""

    deny: tuple[ListEntry, ...] = ()
    rules: tuple[Rule, ...] = ()
    allow: tuple[ListEntry, ...] = ()
    asking: AskingRules = AskingRules()

    def judge(self, transaction: Transaction, *, score: float, threshold: float) -> Verdict:
        """Decide a payment whose probability of fraud is `score`, against a threshold on the same scale."""
        listed = self.judge_without_score(transaction, score)
        if listed is not None:
            return listed
        outcome = Outcome.CHALLENGE if score >= threshold else Outcome.APPROVE
        return Verdict(outcome, DecidedBy.THRESHOLD)

    def judge_without_score(self, transaction: Transaction, score: float | None = None) -> Verdict | None:
        """Decide by lists and rules alone; None when neither has a say."""
        for entry in self.deny:
            if entry.matches(transaction):
                return Verdict(Outcome.DECLINE, DecidedBy.DENY_LIST, f"{entry.field.value} on the deny list")
        for rule in self.rules:
            if rule.when.hold(transaction, score):
                return Verdict(rule.then, DecidedBy.RULE, rule.name)
        for entry in self.allow:
            if entry.matches(transaction):
                return Verdict(Outcome.APPROVE, DecidedBy.ALLOW_LIST, f"{entry.field.value} on the allow list")
        return None


def parse_policy(data: bytes) -> Policy:
    """Read and check a policy file; raises InvalidInput that names the place and what would do."""
    try:
        policy = msgspec.json.decode(data, type=Policy)
    except msgspec.DecodeError as error:
        raise InvalidInput.at("", f"not a policy: {error}") from error
    for position, rule in enumerate(policy.rules):
        check_conditions(rule.when, f"/rules/{position}/when")
        if rule.then is Outcome.DECLINE and msgspec.structs.replace(rule.when, score_at_least=None) == Conditions():
            raise InvalidInput.at(
                f"/rules/{position}/when", "must hold more than a score to decline: a score alone never declines"
            )
    _check_names([rule.name for rule in policy.rules], "/rules", "rules")
    _check_asking(policy.asking)
    return policy


def _check_asking(asking: AskingRules) -> None:
    for position, escalation in enumerate(asking.escalations):
        pointer = f"/asking/escalations/{position}"
        check_conditions(escalation.when, f"{pointer}/when")
        for number, step in enumerate(escalation.steps[:-1]):
            if step.wait_s is None:
                raise InvalidInput.at(f"{pointer}/steps/{number}", "needs wait_s: another channel comes after it")
        for number, step in enumerate(escalation.steps):
            if step.remind_after_s is not None and step.wait_s is not None and step.remind_after_s >= step.wait_s:
                raise InvalidInput.at(f"{pointer}/steps/{number}/remind_after_s", "must be less than wait_s")
        channels = [step.channel.value for step in escalation.steps]
        _check_names(channels, f"{pointer}/steps", "steps")
    _check_names([escalation.name for escalation in asking.escalations], "/asking/escalations", "escalations")
    for currency, limit in asking.texts.amount_at_most.items():
        check_amount(limit, currency, f"/asking/texts/amount_at_most/{currency}")


def _check_names(names: Sequence[str], pointer: str, what: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput.at(pointer, f'two {what} are named "{name}"; names must differ')
