"""Who can be asked, and by which channels: what an account has, what the rules allow, what this process can send by."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.challenge import ChannelName, Step
from cardwatch.domain.escalation import AskingRules
from cardwatch.domain.transaction import Transaction

_NO_OTHERS: Mapping[str, str] = MappingProxyType({})


class OptOuts(Protocol):
    """What is read to know who may be texted."""

    def opted_out_since(self, phone: str) -> int | None:
        """Return when a number opted out of texts, None if it takes them."""
        ...


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """Our end of the conversation: who speaks, from where, and by which rules."""

    institution: str
    """In whose name the messages speak."""
    own_number: str
    """Our number or sender id."""
    others: Mapping[str, str] = _NO_OTHERS
    """What messages come from on the channels besides texts that this process can send by."""
    rules: AskingRules = AskingRules()

    def own_address(self, channel: str) -> str:
        """Return what messages on a channel come from."""
        return self.own_number if channel == ChannelName.SMS else self.others[channel]

    def has(self, channel: str) -> bool:
        """Say whether this process can send by a channel."""
        return channel == ChannelName.SMS or channel in self.others


class Unreachable(StrEnum):
    """Why nobody can be asked."""

    NO_ACCOUNT = "no_account"
    ACCOUNT_HELD = "account_held"
    OPTED_OUT = "opted_out"
    NO_PHONE = "no_phone"
    NO_EMAIL = "no_email"
    NO_DEVICE = "no_device"
    NO_CHANNEL = "no_channel"
    NO_CONSENT = "no_consent"
    NUMBER_CHANGED = "number_changed"
    AMOUNT_TOO_LARGE_FOR_TEXT = "amount_too_large_for_text"
    TOO_MANY_QUESTIONS = "too_many_questions"


class NotReachable(msgspec.Struct, frozen=True):
    """The holder cannot be asked."""

    reason: Unreachable


def reachable_steps(
    account: Account | None,
    steps: tuple[Step, ...],
    *,
    transaction: Transaction,
    store: OptOuts,
    sender: Sender,
    now_ms: int,
) -> tuple[Step, ...] | NotReachable:
    """Return those steps of an escalation that can reach an account now, or why none can.

    Where several channels fail for reasons of their own, the first step's is given.
    """
    if account is None:
        return NotReachable(Unreachable.NO_ACCOUNT)
    reasons = [
        why_not(account, step.channel, transaction=transaction, store=store, sender=sender, now_ms=now_ms)
        for step in steps
    ]
    reachable = tuple(step for step, reason in zip(steps, reasons, strict=True) if reason is None)
    return reachable or NotReachable(reasons[0] or Unreachable.NO_CHANNEL)


def why_not(
    account: Account, channel: str, *, transaction: Transaction, store: OptOuts, sender: Sender, now_ms: int
) -> Unreachable | None:
    """Return why an account cannot be asked about a payment by a channel now, None if it can."""
    if account.held_since_ms is not None:
        return Unreachable.ACCOUNT_HELD
    reason = _why_not_by_text(account, store) if channel == ChannelName.SMS else _why_not_by_link(account, channel)
    if reason is not None:
        return reason
    if channel not in account.channels or not sender.has(channel):
        return Unreachable.NO_CHANNEL
    if not account.consent:
        return Unreachable.NO_CONSENT
    return _text_limit(account, transaction, sender, now_ms) if channel == ChannelName.SMS else None


def _text_limit(account: Account, transaction: Transaction, sender: Sender, now_ms: int) -> Unreachable | None:
    limits = sender.rules.texts
    if not limits.allow_number(account.phone_changed_at_ms, now_ms=now_ms):
        return Unreachable.NUMBER_CHANGED
    return None if limits.allow_amount(transaction.amount) else Unreachable.AMOUNT_TOO_LARGE_FOR_TEXT


def address_of(account: Account, channel: str) -> str | None:
    """Return where an account is reached by a channel, None if it has no such address."""
    match channel:
        case ChannelName.SMS:
            return account.phone_number
        case ChannelName.EMAIL:
            return account.email
        case ChannelName.PUSH:
            return account.push.address if account.push else None
    return None


def _why_not_by_text(account: Account, store: OptOuts) -> Unreachable | None:
    if account.phone_number is None:
        return Unreachable.NO_PHONE
    return Unreachable.OPTED_OUT if store.opted_out_since(account.phone_number) is not None else None


def _why_not_by_link(account: Account, channel: str) -> Unreachable | None:
    if address_of(account, channel) is not None:
        return None
    return Unreachable.NO_EMAIL if channel == ChannelName.EMAIL else Unreachable.NO_DEVICE
