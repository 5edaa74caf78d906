"""What is done with a scored payment: deny list, rules, allow list, threshold, in this order.

A score alone never declines; it challenges, or sends to review when the holder cannot be asked. The policy is one
JSON file, checked as a whole when it is loaded:

    {"deny":  [{"field": "ip", "value": "203.0.113.9", "note": "card testing, March"}],
     "rules": [{"name": "wire-limit", "when": {"amount_at_least": "5000.00", "currency": "USD"}, "then": "review"}],
     "allow": [{"field": "merchant_id", "value": "payroll"}]}
"""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import msgspec

from cardwatch.domain.decision import DecidedBy, Outcome
from cardwatch.domain.errors import InvalidInput
from cardwatch.domain.money import MINOR_DIGITS, parse_amount
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


class Conditions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of what is given must hold. Amounts are in major units of `currency`, which they then require."""

    currency: str | None = None
    amount_at_least: Decimal | None = None
    amount_below: Decimal | None = None
    countries: tuple[str, ...] | None = None
    not_countries: tuple[str, ...] | None = None
    categories: tuple[str, ...] | None = None
    mccs: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = None
    score_at_least: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None

    def hold(self, transaction: Transaction, score: float | None) -> bool:
        """Say whether a payment with this score (None: none was to be had) meets every condition."""
        return (
            (self.currency is None or transaction.amount.currency == self.currency)
            and self._amount_holds(transaction)
            and _within(transaction.country, self.countries)
            and (self.not_countries is None or transaction.country not in self.not_countries)
            and _within(transaction.category, self.categories)
            and _within(transaction.mcc, self.mccs)
            and _within(transaction.channel, self.channels)
            and (self.score_at_least is None or (score is not None and score >= self.score_at_least))
        )

    def _amount_holds(self, transaction: Transaction) -> bool:
        if self.amount_at_least is None and self.amount_below is None:
            return True
        amount = Decimal(transaction.amount.decimal)
        return (self.amount_at_least is None or amount >= self.amount_at_least) and (
            self.amount_below is None or amount < self.amount_below
        )


def _within(value: str | None, allowed: tuple[str, ...] | None) -> bool:
    return allowed is None or value in allowed


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A named rule; the first that holds decides."""

    name: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_.-]{1,64}$")]
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
        _check_amounts(rule.when, f"/rules/{position}/when")
        if rule.then is Outcome.DECLINE and msgspec.structs.replace(rule.when, score_at_least=None) == Conditions():
            raise InvalidInput.at(
                f"/rules/{position}/when", "must hold more than a score to decline: a score alone never declines"
            )
    names = [rule.name for rule in policy.rules]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput.at("/rules", f'two rules are named "{name}"; names must differ')
    return policy


def _check_amounts(when: Conditions, pointer: str) -> None:
    if when.currency is not None and when.currency not in MINOR_DIGITS:
        raise InvalidInput.at(f"{pointer}/currency", f'"{when.currency}" is not an ISO 4217 currency code')
    for field in ("amount_at_least", "amount_below"):
        amount: Decimal | None = getattr(when, field)
        if amount is None:
            continue
        if when.currency is None:
            raise InvalidInput.at(f"{pointer}/{field}", "needs a currency beside it")
        try:
            parse_amount(amount, when.currency)
        except ValueError as error:
            raise InvalidInput.at(f"{pointer}/{field}", str(error)) from error
