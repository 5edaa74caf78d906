"""Small factories of valid domain values; a test names only the fields that it is about."""

from typing import Any

import msgspec

from cardwatch.domain.account import Account, Home
from cardwatch.domain.challenge import Challenge, ChallengeState
from cardwatch.domain.decision import DecidedBy, Decision, Outcome, Reason
from cardwatch.domain.label import Label, LabelSource, LabelValue
from cardwatch.domain.message import Direction, Message, MessageKind, MessageState
from cardwatch.domain.money import Money
from cardwatch.domain.place import Place, place_at
from cardwatch.domain.transaction import Transaction

NOW_MS = 1_790_000_000_000
"""The present of most tests: 2026-09-21T14:13:20Z."""

PHONE = "+12025550101"
OTHER_PHONE = "+12025550102"
OWN_NUMBER = "+12025550199"


def make_place(**fields: Any) -> Place:
    """Return Seattle, or Seattle with other fields."""
    seattle = place_at(47.60621, -122.33207, name="Seattle", country="US")
    return msgspec.structs.replace(seattle, **fields)


def make_account(user_id: str = "user_001", **fields: Any) -> Account:
    """Return an account that can be asked by SMS."""
    account = Account(
        user_id=user_id,
        name="Ada Example",
        phone_number=PHONE,
        email="ada@example.com",
        time_zone="America/Los_Angeles",
        home=Home(location="Seattle, WA", place=make_place()),
        consent=True,
        created_at_ms=NOW_MS,
    )
    return msgspec.structs.replace(account, **fields)


def make_transaction(transaction_id: str = "txn_1", **fields: Any) -> Transaction:
    """Return an everyday payment of user_001."""
    transaction = Transaction(
        transaction_id=transaction_id,
        user_id="user_001",
        amount=Money(2140, "USD"),
        merchant="Corner Cafe",
        merchant_id="corner cafe",
        timestamp_ms=NOW_MS,
        received_at_ms=NOW_MS,
        fingerprint=f"fingerprint of {transaction_id}",
        account_currency="USD",
        utc_offset_s=-25_200,
        location="Seattle, WA",
        place=make_place(),
    )
    return msgspec.structs.replace(transaction, **fields)


def make_decision(**fields: Any) -> Decision:
    """Return an approval by the threshold."""
    decision = Decision(
        outcome=Outcome.APPROVE,
        decided_by=DecidedBy.THRESHOLD,
        decided_at_ms=NOW_MS,
        score=0.01,
        threshold=0.5,
        model_version="test-1",
        state_versions={"account:user_001": 1},
        vector=b"\x00" * 16,
    )
    return msgspec.structs.replace(decision, **fields)


def make_reason(**fields: Any) -> Reason:
    """Return a reason that the model gave."""
    reason = Reason(
        code="AMOUNT_UNUSUAL",
        feature="amount_ratio",
        value="$1,500.00",
        usual="$21.40",
        contribution=2.5,
        text="$1,500.00 is far above this account's usual $21.40",
    )
    return msgspec.structs.replace(reason, **fields)


def make_challenge(challenge_id: str = "chl_1", **fields: Any) -> Challenge:
    """Return a question about txn_1 that waits to be asked; give `state=ChallengeState.ASKED` for one that stands."""
    challenge = Challenge(
        challenge_id=challenge_id,
        transaction_id="txn_1",
        user_id="user_001",
        phone=PHONE,
        channel="sms",
        state=ChallengeState.QUEUED,
        created_at_ms=NOW_MS,
        expires_at_ms=NOW_MS + 1_800_000,
        risk_minor=135_000,
    )
    return msgspec.structs.replace(challenge, **fields)


def make_message(message_id: str = "chl_1:question", **fields: Any) -> Message:
    """Return a question to the holder that waits in the outbox."""
    message = Message(
        message_id=message_id,
        direction=Direction.OUTBOUND,
        kind=MessageKind.QUESTION,
        state=MessageState.QUEUED,
        channel="sms",
        address=PHONE,
        own_address=OWN_NUMBER,
        body="Did you pay $1,500.00 at Suspicious Store? Reply YES or NO.",
        created_at_ms=NOW_MS,
        due_at_ms=NOW_MS,
        expires_at_ms=NOW_MS + 1_800_000,
        challenge_id="chl_1",
        transaction_id="txn_1",
    )
    return msgspec.structs.replace(message, **fields)


def make_reply(message_id: str = "SM00000001", body: str = "YES", **fields: Any) -> Message:
    """Return a text that the holder sent."""
    reply = Message(
        message_id=message_id,
        direction=Direction.INBOUND,
        kind=MessageKind.REPLY,
        state=MessageState.RECEIVED,
        channel="sms",
        address=PHONE,
        own_address=OWN_NUMBER,
        body=body,
        created_at_ms=NOW_MS,
        provider_sid=message_id,
    )
    return msgspec.structs.replace(reply, **fields)


def make_label(transaction_id: str = "txn_1", **fields: Any) -> Label:
    """Return an analyst's judgement that a payment was fraud."""
    label = Label(
        transaction_id=transaction_id, value=LabelValue.FRAUD, source=LabelSource.ANALYST, available_at_ms=NOW_MS
    )
    return msgspec.structs.replace(label, **fields)
