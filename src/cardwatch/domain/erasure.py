"""What stays of each record when its account is erased: ids, amounts, times and outcomes, nothing that names anyone.

Versions grow, so that a service that read a record before the erasure cannot write the old content back.
"""

import msgspec

from cardwatch.domain.challenge import Challenge
from cardwatch.domain.changes import successor
from cardwatch.domain.label import Label
from cardwatch.domain.message import TO_DO, Direction, Message, MessageKind, MessageState
from cardwatch.domain.transaction import Transaction

_ABOUT_PAYMENTS = frozenset({MessageKind.CALLBACK, MessageKind.ALERT})


def erased_phone(user_id: str) -> str:
    """Return what stands in place of the phone numbers of an erased account; never a number."""
    return f"erased:{user_id}"


def erased_transaction(transaction: Transaction) -> Transaction:
    """Drop device, address, card and metadata; amount, merchant, place and time stay, for replay and accounting."""
    return msgspec.structs.replace(transaction, device_id=None, ip=None, card=None, metadata={})


def erased_challenge(challenge: Challenge) -> Challenge:
    """Drop the phone."""
    return successor(challenge, phone=erased_phone(challenge.user_id))


def names_a_person(message: Message) -> bool:
    """Say whether a message holds personal data: callbacks and alerts carry ids and amounts, and are still sent."""
    return message.kind not in _ABOUT_PAYMENTS


def erased_message(message: Message, user_id: str) -> Message:
    """Drop body, address, the provider's words, and what makes its links valid; one not sent yet is sent no more."""
    stopped = message.direction is Direction.OUTBOUND and message.state in TO_DO
    return successor(
        message,
        address=erased_phone(user_id),
        subject=None,
        body="",
        nonce=None,
        error="account erased" if stopped else None,
        state=MessageState.EXPIRED if stopped else message.state,
    )


def erased_label(label: Label) -> Label:
    """Drop the note, which is free text."""
    return msgspec.structs.replace(label, note=None)
