"""Questions that were e-mailed, on the data folder of a server, and the links that stood in their messages."""

import time
from pathlib import Path
from typing import TypeAlias

import msgspec

from cardwatch.adapters.sqlite import SqliteStore
from cardwatch.domain.answer_link import AnswerLink, LinkAction, sign_link
from cardwatch.domain.challenge import ChannelName
from cardwatch.domain.changes import AddTransaction, DecideTransaction, PutAccount, PutMessage, successor
from cardwatch.domain.decision import Outcome
from cardwatch.domain.message import Message, MessageState
from cardwatch.domain.money import Money
from cardwatch.domain.transaction import Status
from cardwatch.ports import Store
from cardwatch.runtime.keys import link_key
from cardwatch.runtime.settings import Settings
from cardwatch.services.ask_cardholder import ChallengePlan, plan_challenge
from cardwatch.services.reach import Sender
from tests.builders import OWN_NUMBER, make_account, make_decision, make_transaction

HOUR_MS = 3_600_000
TTL_MS = 1_800_000
LINK_LIFE_AFTER_MS = 72 * HOUR_MS
CARD = "7391"
MAILER = Sender(institution="Cardwatch", own_number=OWN_NUMBER, others={"email": "bank@example.com"})

Special: TypeAlias = tuple[str, dict[str, object]]
"""The id of a payment, and what is special about the question: arguments of `ask_by_email`."""


class Question(msgspec.Struct, frozen=True):
    """An e-mailed question and its links' tokens."""

    transaction_id: str
    message: Message
    confirm: str
    deny: str


def now_ms() -> int:
    """Return the present of a real server."""
    return time.time_ns() // 1_000_000


def ask_by_email(
    store: Store,
    transaction_id: str,
    *,
    key: bytes,
    at_ms: int | None = None,
    card: str | None = CARD,
    merchant: str = "Suspicious Store",
    language: str = "en",
    ttl_ms: int = TTL_MS,
    state: MessageState = MessageState.SENT,
) -> Question:
    """Challenge a payment of 1,500 dollars by an e-mail that was taken, each of an account of its own."""
    at_ms = now_ms() if at_ms is None else at_ms
    user_id = f"user_of_{transaction_id}"
    account = make_account(
        user_id,
        email=f"{user_id}@example.com",
        phone_number=None,
        language=language,
        channels=(ChannelName.EMAIL.value,),
    )
    payment = make_transaction(
        transaction_id,
        user_id=user_id,
        amount=Money(150_000, "USD"),
        merchant=merchant,
        card=card,
        timestamp_ms=at_ms,
        received_at_ms=at_ms,
    )
    plan = plan_challenge(
        store=store, account=account, transaction=payment, score=0.9, now_ms=at_ms, ttl_ms=ttl_ms, sender=MAILER,
        token="5eed",
    )  # fmt: skip
    assert isinstance(plan, ChallengePlan)
    decision = make_decision(outcome=Outcome.CHALLENGE, decided_at_ms=at_ms)
    changes = [
        PutAccount(account),
        AddTransaction(payment),
        DecideTransaction(transaction_id, decision, Status.CHALLENGED),
        *plan.changes,
    ]
    assert store.apply(changes) is None
    message = next(iter(store.messages_about(plan.challenge.challenge_id)))
    assert store.apply([PutMessage(successor(message, state=state, sent_at_ms=at_ms))]) is None
    ends_at_ms = at_ms + ttl_ms + LINK_LIFE_AFTER_MS

    def link(action: LinkAction) -> str:
        return sign_link(AnswerLink(message.message_id, action, ends_at_ms, message.nonce or ""), key=key)

    return Question(transaction_id, message, link(LinkAction.CONFIRM), link(LinkAction.DENY))


class Desk:
    """A data folder that questions are written to before a server opens it."""

    def __init__(self, settings: Settings) -> None:
        self.key = link_key(settings)
        self._database: Path = settings.database

    def ask(self, *questions: Special) -> list[Question]:
        """Write questions."""
        store = SqliteStore(self._database)
        try:
            return [
                ask_by_email(store, transaction_id, key=self.key, **special)  # type: ignore[arg-type]
                for transaction_id, special in questions
            ]
        finally:
            store.close()
