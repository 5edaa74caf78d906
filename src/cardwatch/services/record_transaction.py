"""Take a payment in: check it, give it its context, and make it durable as pending before anyone hears of it."""

from enum import StrEnum

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.changes import AddTransaction, Change, PutAccount
from cardwatch.domain.errors import Contended, InvalidInput
from cardwatch.domain.money import parse_amount
from cardwatch.domain.place import Place, place_at
from cardwatch.domain.submission import Submission
from cardwatch.domain.times import MINUTE_MS, parse_instant, utc_offset_s
from cardwatch.domain.transaction import Transaction, TransactionRecord
from cardwatch.ports import Gazetteer, Randomness, Store

AHEAD_MAX_MS = 5 * MINUTE_MS
"""How far a sender's clock may be ahead of ours."""

_ATTEMPTS = 3


class Recording(StrEnum):
    """What came of taking a payment in."""

    NEW = "new"
    SAME = "same"
    """The same id with the same content: the stored payment stands."""
    CONFLICT = "conflict"
    """The same id with other content: nothing was changed."""


class Recorded(msgspec.Struct, frozen=True):
    """A payment as it is stored now."""

    recording: Recording
    record: TransactionRecord


def record_transaction(
    submission: Submission, *, store: Store, gazetteer: Gazetteer, randomness: Randomness, now_ms: int
) -> Recorded:
    """Record a checked payment; an unknown user's account is created without contact.

    Raises InvalidInput for what only the account or the clock can tell (decimals, a timestamp ahead of now).
    """
    for _ in range(_ATTEMPTS):
        known = store.transaction(submission.transaction_id) if submission.transaction_id else None
        if known is not None:
            same = known.transaction.fingerprint == submission.fingerprint()
            return Recorded(Recording.SAME if same else Recording.CONFLICT, known)
        account = store.account(submission.user_id)
        transaction = build_transaction(
            submission, account=account, gazetteer=gazetteer, randomness=randomness, now_ms=now_ms
        )
        changes: list[Change] = [AddTransaction(transaction)]
        if account is None:
            changes.append(PutAccount(_unknown_account(transaction, now_ms)))
        if store.apply(changes) is None:
            stored = store.transaction(transaction.transaction_id)
            assert stored is not None  # noqa: S101  it was just written
            return Recorded(Recording.NEW, stored)
    raise Contended("the account kept changing while a payment was recorded")


def build_transaction(
    submission: Submission, *, account: Account | None, gazetteer: Gazetteer, randomness: Randomness, now_ms: int
) -> Transaction:
    """Give a checked payment its id, its instant and the context that features read."""
    account_currency = account.currency if account else "USD"
    try:
        amount = parse_amount(submission.amount, submission.currency or account_currency)
    except ValueError as error:
        raise InvalidInput.at("/amount", str(error)) from error
    timestamp_ms = _instant(submission.timestamp, now_ms)
    return Transaction(
        transaction_id=submission.transaction_id or new_transaction_id(randomness, now_ms),
        user_id=submission.user_id,
        amount=amount,
        merchant=submission.merchant,
        merchant_id=submission.merchant_id or normalised_merchant(submission.merchant),
        timestamp_ms=timestamp_ms,
        received_at_ms=now_ms,
        fingerprint=submission.fingerprint(),
        account_currency=account_currency,
        utc_offset_s=utc_offset_s(account.time_zone if account else "UTC", timestamp_ms),
        location=submission.location,
        place=_place(submission, gazetteer),
        merchant_place=_coordinates(submission.merchant_latitude, submission.merchant_longitude),
        country=submission.country,
        category=submission.category,
        mcc=submission.mcc,
        channel=submission.channel,
        device_id=submission.device_id,
        ip=submission.ip,
        card=submission.card,
        metadata=submission.metadata or {},
    )


def new_transaction_id(randomness: Randomness, now_ms: int) -> str:
    """Make an id that sorts by time: 48 bits of milliseconds, 80 random bits, in hexadecimal."""
    return f"txn_{now_ms:012x}{randomness.token(10)}"


def normalised_merchant(name: str) -> str:
    """Make the key of a merchant that came without an id: case and runs of spaces do not count."""
    return " ".join(name.casefold().split())


def _instant(timestamp: str | None, now_ms: int) -> int:
    if timestamp is None:
        return now_ms
    timestamp_ms = parse_instant(timestamp)
    if timestamp_ms > now_ms + AHEAD_MAX_MS:
        raise InvalidInput.at("/timestamp", "is more than 5 minutes ahead of now")
    return timestamp_ms


def _place(submission: Submission, gazetteer: Gazetteer) -> Place | None:
    if submission.latitude is not None and submission.longitude is not None:
        return place_at(submission.latitude, submission.longitude, name=submission.location, country=submission.country)
    if submission.location:
        return gazetteer.resolve(submission.location, country=submission.country)
    return None


def _coordinates(latitude: float | None, longitude: float | None) -> Place | None:
    return place_at(latitude, longitude) if latitude is not None and longitude is not None else None


def _unknown_account(transaction: Transaction, now_ms: int) -> Account:
    return Account(user_id=transaction.user_id, currency=transaction.account_currency, created_at_ms=now_ms)
