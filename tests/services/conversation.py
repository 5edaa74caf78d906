"""What the tests of the conversation share: a challenged payment on a phone, and a worker that sends at once."""

from cardwatch.adapters.clock import SeededRandomness
from cardwatch.domain.challenge import Challenge
from cardwatch.domain.changes import AddTransaction, DecideTransaction, PutAccount
from cardwatch.domain.decision import Outcome
from cardwatch.domain.label import LabelSource, LabelValue
from cardwatch.domain.message import MessageKind
from cardwatch.domain.money import Money
from cardwatch.domain.provider_post import InboundText
from cardwatch.domain.transaction import Status
from cardwatch.ports import Store
from cardwatch.services.ask_cardholder import ChallengePlan, plan_challenge
from cardwatch.services.expire_challenges import expire_challenges
from cardwatch.services.handle_reply import handle_reply
from cardwatch.services.questions import attempt_id
from cardwatch.services.reach import Sender
from cardwatch.services.reply_turn import Result
from cardwatch.services.send_messages import send_due
from tests.builders import NOW_MS, OWN_NUMBER, PHONE, make_account, make_decision, make_transaction
from tests.fakes.channel import ScriptedChannel

HOUR_MS = 3_600_000
TTL_MS = 1_800_000
SENDER = Sender(institution="Cardwatch", own_number=OWN_NUMBER)


def add_payment(store: Store, transaction_id: str, *, user_id: str = "user_001", phone: str = PHONE) -> None:
    """Record a payment of 1,500 dollars, and its account on first sight."""
    if store.account(user_id) is None:
        assert store.apply([PutAccount(make_account(user_id, phone_number=phone))]) is None
    payment = make_transaction(
        transaction_id, user_id=user_id, amount=Money(150_000, "USD"), merchant="Suspicious Store"
    )
    assert store.apply([AddTransaction(payment)]) is None


def challenge_payment(
    store: Store,
    transaction_id: str,
    *,
    user_id: str = "user_001",
    phone: str = PHONE,
    score: float = 0.9,
    now_ms: int = NOW_MS,
) -> Challenge:
    """Record a payment and challenge it, as scoring does: decision and question in one write."""
    add_payment(store, transaction_id, user_id=user_id, phone=phone)
    record = store.transaction(transaction_id)
    assert record is not None
    plan = plan_challenge(
        store=store,
        account=store.account(user_id),
        transaction=record.transaction,
        score=score,
        now_ms=now_ms,
        ttl_ms=TTL_MS,
        sender=SENDER,
        token="5eed",
    )
    assert isinstance(plan, ChallengePlan)
    decision = make_decision(outcome=Outcome.CHALLENGE, decided_at_ms=now_ms)
    assert store.apply([DecideTransaction(transaction_id, decision, Status.CHALLENGED), *plan.changes]) is None
    return plan.challenge


def question_id(challenge: Challenge, *, number: int = 1) -> str:
    """Return the id of an attempt to ask a challenge on its present channel."""
    return attempt_id(challenge, challenge.channel, MessageKind.QUESTION, number)


def challenge_of(store: Store, transaction_id: str) -> Challenge:
    """Return a payment's challenge; fails if it has none."""
    record = store.transaction(transaction_id)
    assert record is not None
    assert record.challenge is not None
    return record.challenge


def status_of(store: Store, transaction_id: str) -> Status:
    """Return a payment's status; fails if it is unknown."""
    record = store.transaction(transaction_id)
    assert record is not None
    return record.status


def sent_bodies(store: Store, phone: str = PHONE) -> list[str]:
    """Return the bodies of all texts to a phone, whatever became of them."""
    return [m.body for m in store.conversation(phone, limit=1000) if m.direction == "outbound"]


def send_all(store: Store, *, now_ms: int = NOW_MS) -> ScriptedChannel:
    """Let the worker send what is due through a provider that takes everything; returns that provider."""
    channel = ScriptedChannel()
    send_due(
        store=store,
        channel=channel,
        sender=SENDER,
        randomness=SeededRandomness(),
        now_ms=now_ms,
        limit=100,
    )
    return channel


def say(store: Store, body: str, *, now_ms: int = NOW_MS, sid: str | None = None, **fields: str) -> Result:
    """Let a text come in; by default from the holder's phone to our number, with a sid of its own."""
    number = sum(m.direction == "inbound" for m in store.conversation(fields.get("phone", PHONE), limit=10_000))
    text = InboundText(
        message_id=sid or f"SM{fields.get('phone', PHONE)[1:]}{number:08d}",
        phone=fields.get("phone", PHONE),
        own_number=fields.get("own_number", OWN_NUMBER),
        body=body,
        keyword=fields.get("keyword"),
    )
    return handle_reply(text, store=store, sender=SENDER, now_ms=now_ms, token="7e57").result


def asked(store: Store, transaction_id: str, *, user_id: str = "user_001", score: float = 0.9) -> Challenge:
    """Challenge a payment and send its question, if it is its turn."""
    challenge_payment(store, transaction_id, user_id=user_id, score=score)
    send_all(store)
    return challenge_of(store, transaction_id)


def account_held(store: Store, user_id: str = "user_001") -> bool:
    """Say whether an account is held."""
    account = store.account(user_id)
    return account is not None and account.held_since_ms is not None


def label_of(store: Store, transaction_id: str) -> tuple[LabelValue, LabelSource] | None:
    """Return a payment's label, without its time."""
    record = store.transaction(transaction_id)
    assert record is not None
    return (record.label.value, record.label.source) if record.label else None


def sweep(store: Store, now_ms: int) -> None:
    """Expire what is over."""
    expire_challenges(store=store, sender=SENDER, now_ms=now_ms, token="5a")
