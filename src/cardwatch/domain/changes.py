"""What a service wants written, as data. A store applies a list of changes as one: all of them or none.

Each change states the condition under which it holds (absent, an expected status, an expected version). This is
what keeps decisions exact under duplicates, races and crashes, and it fits a SQL transaction as well as DynamoDB's
TransactWriteItems. Versions start at 1; a written row carries the version it shall have from then on.

A condition that does not hold is an outcome, and the store returns the change. A move that the domain does not know
(`MOVES` of payments and challenges) is a broken invariant, and the store raises `IllegalMove`.
"""

from typing import TypeAlias, TypeVar

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.challenge import MOVES as CHALLENGE_MOVES
from cardwatch.domain.challenge import Challenge, ChallengeState
from cardwatch.domain.decision import Decision
from cardwatch.domain.label import Label, LabelSource
from cardwatch.domain.message import Message
from cardwatch.domain.transaction import MOVES as PAYMENT_MOVES
from cardwatch.domain.transaction import Status, Transaction

Versioned = TypeVar("Versioned", Account, Challenge, Message)


class IllegalMove(Exception):
    """A change asked for a move that no payment or challenge may make: a fault in the caller, never an outcome."""


def require_payment_move(before: Status, after: Status) -> None:
    """Raise IllegalMove unless a payment may go from one status to the other."""
    if (before, after) not in PAYMENT_MOVES:
        raise IllegalMove(f"a payment may not go from {before} to {after}")


def require_challenge_move(before: ChallengeState, after: ChallengeState) -> None:
    """Raise IllegalMove unless a challenge may go from one state to the other, or keeps it."""
    if before is not after and (before, after) not in CHALLENGE_MOVES:
        raise IllegalMove(f"a challenge may not go from {before} to {after}")


def successor(row: Versioned, **fields: object) -> Versioned:
    """Return a row with some fields replaced, under the version that follows."""
    return msgspec.structs.replace(row, **fields, version=row.version + 1)


class AddTransaction(msgspec.Struct, frozen=True):
    """Record a payment as pending. Holds if its id is not taken."""

    transaction: Transaction


class DecideTransaction(msgspec.Struct, frozen=True):
    """Give a payment its one decision and the status that follows. Holds if the payment is pending."""

    transaction_id: str
    decision: Decision
    status: Status


class MoveTransaction(msgspec.Struct, frozen=True):
    """Move a payment's status. Holds if it stands at `expected`."""

    transaction_id: str
    expected: Status
    status: Status
    cause: str
    """Why, for the change log: "cardholder_denied", "challenge_expired", "analyst_fraud"."""


class PutState(msgspec.Struct, frozen=True):
    """Replace an entity's feature state. Holds if its version is `version - 1` (absent counts as 0)."""

    entity: str
    key: str
    version: int
    blob: bytes


class PutAccount(msgspec.Struct, frozen=True):
    """Create or replace an account. Holds if the stored version is `account.version - 1` (absent counts as 0)."""

    account: Account


class EraseAccount(msgspec.Struct, frozen=True):
    """Erase an account's personal data (`domain.erasure` says what of each record goes). Holds if the account exists.

    Its row goes, and so does the feature state of the account and of its pairs with merchants; its payments,
    challenges, labels and messages stay under the same ids without personal data. Its messages are those about its
    payments or challenges, and those to or from its numbers and addresses, former ones included, that are about
    nobody's; callbacks and alerts name no person and stay as they are. An opt-out stays too: it belongs to the number,
    and never to be texted again is what its holder asked for.

    The time stays too (`Challenges.last_erasure_ms`), since nobody can tell any more which phones were asked.
    """

    user_id: str
    at_ms: int


class AddChallenge(msgspec.Struct, frozen=True):
    """Add a challenge and make it the payment's current one. Holds if the payment exists and the id is not taken."""

    challenge: Challenge


class PutChallenge(msgspec.Struct, frozen=True):
    """Replace a challenge. Holds if the stored version is `challenge.version - 1`."""

    challenge: Challenge


class SetAsideChallenge(msgspec.Struct, frozen=True):
    """Take a challenge that cannot be read out of the way: no read finds it any more. Holds if it exists.

    It is not its payment's current one any more, and its phone's history has a gap from then on, which
    `Challenges.last_erasure_ms` tells. What was stored of it is kept apart until its account is erased.
    """

    challenge_id: str
    at_ms: int


class AddMessage(msgspec.Struct, frozen=True):
    """Add a message (an outbox row, or a reply received). Holds if its message id was never seen."""

    message: Message


class PutMessage(msgspec.Struct, frozen=True):
    """Replace a message. Holds if the stored version is `message.version - 1`."""

    message: Message


class SetAsideMessage(msgspec.Struct, frozen=True):
    """Take a message that cannot be read out of the outbox, so that it holds up no other. Holds if it is in it."""

    message_id: str


class PutOptOut(msgspec.Struct, frozen=True):
    """Note that a number refuses texts from a time on, or (None) that it takes them again. Always holds."""

    phone: str
    since_ms: int | None


class AddLabel(msgspec.Struct, frozen=True):
    """Add a label and make it the payment's current one.

    Holds if the payment exists and its current label's source is `expected` (None: it has no label).
    """

    label: Label
    expected: LabelSource | None
    applied: bool = False
    """Its effect on feature state is among the same changes, or there is none: the log says "label.imported" then."""


class SetCursor(msgspec.Struct, frozen=True):
    """Move a consumer's position in the change log, together with its effects. Holds if it stands at `expected`."""

    consumer: str
    expected: int
    position: int


class AddDeadLetter(msgspec.Struct, frozen=True):
    """Set aside what could not be handled, with its cause. Always holds."""

    consumer: str
    key: str
    """What it is about: a transaction id, a message id."""
    cause: str
    payload: str
    """What an operator needs to replay it; never personal data beyond ids."""
    at_ms: int


class RemoveDeadLetter(msgspec.Struct, frozen=True):
    """Take a dead letter away once it was replayed or given up. Holds if it exists."""

    dead_letter_id: int


Change: TypeAlias = (
    AddTransaction
    | DecideTransaction
    | MoveTransaction
    | PutState
    | PutAccount
    | EraseAccount
    | AddChallenge
    | PutChallenge
    | SetAsideChallenge
    | AddMessage
    | PutMessage
    | SetAsideMessage
    | PutOptOut
    | AddLabel
    | SetCursor
    | AddDeadLetter
    | RemoveDeadLetter
)
