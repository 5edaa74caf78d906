"""A stop loses no question: what a provider is being told is recorded, what it was not told yet goes back."""

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from cardwatch.adapters.clock import SystemClock, SystemRandomness
from cardwatch.adapters.sqlite import SqliteStore
from cardwatch.domain.message import Message, MessageState
from cardwatch.ports import NotSent, OnUnknown, Sent
from cardwatch.runtime.background import Means
from cardwatch.runtime.outbox import Outbox
from cardwatch.runtime.telemetry import PrometheusMetrics
from cardwatch.runtime.writer import Writer
from tests.entrypoints.http.answering import MAILER, ask_by_email, now_ms
from tests.fakes.channel import Answer
from tests.fakes.smtp_server import Sink, running_smtp
from tests.runtime.groups import QuietStep
from tests.support.server import ServerProcess

KEY = b"0123456789abcdef"
WAIT_S = 20.0


class SlowMail:
    """A mail server that nobody can ask about a mail, and that answers when it is told to."""

    name = "email"
    own_address = "bank@example.com"
    on_unknown = OnUnknown.LEAVE

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.told: list[str] = []
        self.reached = threading.Event()
        self.answers = threading.Event()

    def send(self, message: Message) -> Answer:
        """Take a mail and answer late."""
        self.told.append(message.message_id)
        self.reached.set()
        assert self.answers.wait(WAIT_S)
        return self._answer

    def find(self, message: Message) -> Sent | None:
        """Never asked."""
        raise AssertionError(message.message_id)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """Yield a store with one question that is due by e-mail."""
    opened = SqliteStore(tmp_path / "cardwatch.db")
    ask_by_email(opened, "txn_1", key=KEY, state=MessageState.QUEUED)
    yield opened
    opened.close()


def question(store: SqliteStore) -> Message:
    """Return the question as it stands."""
    (message,) = store.messages_about("txn_1:challenge")
    return message


def working(
    store: SqliteStore, channel: SlowMail, scenario: Callable[[Outbox, Writer], Awaitable[None]]
) -> list[threading.Thread]:
    """Let an outbox work with a writer until a scenario ends, which stops it; returns threads that are left."""

    async def run() -> None:
        reader, writer = store.reader(), Writer(store, QuietStep())
        means = Means(
            store=store,
            reader=reader,
            writer=writer,
            sender=MAILER,
            clock=SystemClock(),
            randomness=SystemRandomness(),
            metrics=PrometheusMetrics(),
        )
        outbox, writing = Outbox(means, [channel]), asyncio.create_task(writer.run())
        outbox.start()
        await scenario(outbox, writer)
        writer.stop()
        await writing
        reader.close()

    asyncio.run(run())
    return [thread for thread in threading.enumerate() if thread.name.startswith("outbox")]


async def reached(channel: SlowMail) -> None:
    """Wait until the provider is being told."""
    assert await asyncio.to_thread(channel.reached.wait, WAIT_S)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Sent("1"), MessageState.ACCEPTED),
        (NotSent("421 not now", retryable=True), MessageState.QUEUED),
        (NotSent("550 no such mailbox", retryable=False), MessageState.FAILED),
    ],
)
def test_a_stop_records_what_a_provider_answers_meanwhile(
    store: SqliteStore, answer: Answer, state: MessageState
) -> None:
    """Taken, refused for now or for good: all of it is known after the stop."""
    channel = SlowMail(answer)

    async def stop_while_sending(outbox: Outbox, _: Writer) -> None:
        await reached(channel)
        stopping = asyncio.create_task(outbox.stop(within_s=WAIT_S))
        await asyncio.sleep(0.1)
        assert not stopping.done()
        channel.answers.set()
        await stopping

    assert working(store, channel, stop_while_sending) == []
    assert (question(store).state, question(store).attempts) == (state, 1)
    assert len(channel.told) == 1


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_what_was_claimed_but_not_handed_over_goes_back(store: SqliteStore, turns: int) -> None:
    """Stopped before, in and after the commit of the claim: it is queued again, and no attempt is counted."""
    channel = SlowMail(Sent("1"))
    channel.answers.set()

    async def stop_while_claiming(outbox: Outbox, writer: Writer) -> None:
        while not writer.waiting:  # noqa: ASYNC110  the writer has no event for it
            await asyncio.sleep(0)
        for _ in range(turns):
            await asyncio.sleep(0)
        await outbox.stop(within_s=WAIT_S)

    assert working(store, channel, stop_while_claiming) == []
    assert channel.told == []
    assert (question(store).state, question(store).attempts) == (MessageState.QUEUED, 0)


def test_what_outlasts_the_bound_stays_claimed(store: SqliteStore) -> None:
    """The stop ends in time; the lease says later that nobody knows what became of it."""
    channel = SlowMail(Sent("1"))
    took_s: list[float] = []

    async def stop_while_sending(outbox: Outbox, _: Writer) -> None:
        await reached(channel)
        begun = time.monotonic()
        await outbox.stop(within_s=0.2)
        took_s.append(time.monotonic() - begun)

    try:
        working(store, channel, stop_while_sending)
        assert 0.2 <= took_s[0] < 2.0
        claimed = question(store)
        assert (claimed.state, claimed.attempts) == (MessageState.SENDING, 1)
        assert claimed.due_at_ms > now_ms()
    finally:
        channel.answers.set()


def test_nothing_is_claimed_once_a_stop_began(store: SqliteStore) -> None:
    """However often the lanes are woken."""
    channel = SlowMail(Sent("1"))
    channel.answers.set()

    async def stop_then_wake(outbox: Outbox, _: Writer) -> None:
        await outbox.stop(within_s=WAIT_S)
        outbox.wake()
        await asyncio.sleep(0.1)

    working(store, channel, stop_then_wake)
    assert channel.told == []
    assert question(store).state is MessageState.QUEUED


def asked_by_email(folder: Path, mail: Sink) -> ServerProcess:
    """Return a server that has just put a question by e-mail."""
    environment = {
        "CARDWATCH_EMAIL_FROM": "security@bank.example",
        "CARDWATCH_SMTP_HOST": "127.0.0.1",
        "CARDWATCH_SMTP_PORT": str(mail.port),
        "CARDWATCH_SMTP_SECURITY": "none",
        "CARDWATCH_PUBLIC_URL": "http://127.0.0.1:8000",
        "FRAUD_THRESHOLD": "0.0000001",
    }
    server = ServerProcess(folder, environment)
    account = {"email": "grace.hopper@example.com", "channels": ["email"]}
    assert server.client.call("PUT", "/accounts/grace", account)[0] == 201
    payment = {"transaction_id": "txn_1", "user_id": "grace", "amount": "1500.00", "merchant": "Books"}
    status, answer = server.client.call("POST", "/transaction", payment)
    assert (status, answer["status"]) == (201, "challenged")
    server.client.close()
    return server


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_told_to_stop_records_the_mail_that_is_under_way(tmp_path: Path, number: signal.Signals) -> None:
    """The mail server looks the mail over for a while; then it has it once, and the folder says so."""
    with running_smtp() as mail:
        mail.delays_s["DATA"] = 2.0
        server = asked_by_email(tmp_path / "data", mail)
        try:
            deadline = time.monotonic() + WAIT_S
            while "DATA" not in mail.commands:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            server.process.send_signal(number)
            server.process.wait(WAIT_S)
        finally:
            server.kill()
        assert len(mail.mails) == 1
    store = SqliteStore(tmp_path / "data" / "cardwatch.db")
    try:
        recorded = question(store)
        assert (recorded.state, recorded.attempts, recorded.error) == (MessageState.ACCEPTED, 1, None)
    finally:
        store.close()
