"""A server that is killed again and again under load, and what must hold of its folder each time it comes back.

Payments come over HTTP on many connections; texts go to a Twilio of our own that outlives the kills, answers late, and
now and then takes a text without saying so. Every kill is SIGKILL of exactly the server's process at a random instant.
"""

import asyncio
import random
import sqlite3
from collections import Counter, deque
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
from bench.keepalive import KeepAlive, connected, on_connections
from bench.population import person
from bench.server_process import ServerProcess
from bench.stored import decisions_by_payment

from cardwatch.adapters.sqlite.store import SqliteReader
from cardwatch.domain.challenge import OPEN
from cardwatch.domain.message import TO_DO, Message
from cardwatch.domain.transaction import Status, TransactionRecord
from tests.fakes.twilio_server import ACCOUNT_SID, AUTH_TOKEN, OWN_NUMBERS, FakeTwilio, Fault
from tests.runtime.labels import states_of_log, stored_states

CONNECTIONS = 16
SUSPICIOUS_SHARE = 0.4
KILLED_AT_START_SHARE = 0.1
"""Kills before the server is ready: recovery, too, may be interrupted."""
LABELLED_SHARE = 0.1
"""Requests that label a payment, often otherwise than before."""
NAMELESS_SHARE = 0.2
"""Payments sent without an id of the sender's: the server makes one."""
LOAD_S_MAX = 1.2

_FAULTS_KEPT = 4_000
_RESENT_MAX = 20


class Sent(msgspec.Struct):
    """A payment that was sent, and what the server said of it."""

    body: dict[str, str]
    transaction_id: str | None
    acknowledged: bool = False
    fraud_score: float | None = None
    """As the answer gave it, if it gave a decision."""


class Found(msgspec.Struct):
    """What the folder held at the last look."""

    payments: int = 0
    acknowledged: int = 0
    unanswered: int = 0
    """Sent, and the server was killed before it answered."""
    questions: int = 0
    """Questions at the provider."""
    labels: int = 0
    """Labels that were acknowledged."""
    in_flight: int = 0
    """Most texts whose sending a kill had interrupted, or whose fate the provider left open."""


class Crashes:
    """One folder, one provider, and all that was ever sent; broken promises raise AssertionError with the seed."""

    def __init__(
        self, folder: Path, twilio: FakeTwilio, *, seed: int, accounts: int, challenge_ttl_s: int = 1800
    ) -> None:
        environment = {
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "TWILIO_FROM_NUMBER": next(iter(OWN_NUMBERS)),
            "CARDWATCH_TWILIO_API_URL": twilio.url,
            "CARDWATCH_CHALLENGE_TTL_S": str(challenge_ttl_s),
            "CARDWATCH_DECISION_TIMEOUT_MS": "5000",
        }
        self.server = ServerProcess(folder / "data", log=folder / "server.log", environment=environment)
        self.found = Found()
        self.kills = 0
        self.kills_at_start = 0
        self._database = folder / "data" / "cardwatch.db"
        self._twilio = twilio
        self._seed = seed
        self._random = random.Random(seed)
        self._accounts = accounts
        self._sent: list[Sent] = []
        self._unchecked: list[Sent] = []
        self._log_position = 0
        self._decisions: Counter[str] = Counter()
        self._start_s = 1.0

    def open_accounts(self) -> None:
        """Start for the first time and put the accounts."""
        self._start()
        asyncio.run(on_connections(self.server.port, CONNECTIONS, range(self._accounts), self._put))
        self.server.stop()

    async def _put(self, connection: KeepAlive, number: object) -> None:
        assert isinstance(number, int)
        body = msgspec.json.encode(person(number))
        status, answer = await connection.call("PUT", f"/accounts/holder_{number}", body)
        assert status in (200, 201), answer

    def round(self) -> None:
        """Start, look at what is there, pay, and kill at a random instant."""
        self._feed_faults()
        if self._random.random() < KILLED_AT_START_SHARE:
            self.server.start()
            asyncio.run(asyncio.sleep(self._random.uniform(0, self._start_s)))
            self.server.kill()
            self.kills_at_start += 1
            return
        self._start()
        self.examine()
        asyncio.run(self._pay_and_kill(self._random.uniform(0, LOAD_S_MAX)))
        self.kills += 1

    def finish(self) -> None:
        """Start once more, look at everything, and stop in good order."""
        self._start()
        self.examine()
        self.server.stop()
        self._examine_file()

    def _start(self) -> None:
        self.server.start()
        self.server.wait_ready()
        self._start_s = self.server.start_s

    def _feed_faults(self) -> None:
        """Let the provider be slow, and at times lose the answer to what it took or the request itself."""
        faults: deque[Fault] = self._twilio.create_faults
        while len(faults) < _FAULTS_KEPT:
            draw, delay_s = self._random.random(), self._random.uniform(0, 0.06)
            if draw < 0.03:
                faults.append(Fault(drop=True, takes=True, delay_s=delay_s))
            elif draw < 0.05:
                faults.append(Fault(status=503, takes=self._random.random() < 0.5, delay_s=delay_s))
            elif draw < 0.06:
                faults.append(Fault(status=429, code=20429, delay_s=delay_s))
            else:
                faults.append(Fault(delay_s=delay_s))

    # Load

    async def _pay_and_kill(self, after_s: float) -> None:
        again = [sent for sent in self._sent[-2_000:] if not sent.acknowledged and sent.transaction_id][-_RESENT_MAX:]
        payers = [asyncio.create_task(self._pay(again)) for _ in range(CONNECTIONS)]
        await asyncio.sleep(after_s)
        self.server.kill()
        await asyncio.gather(*payers)

    async def _pay(self, again: list[Sent]) -> None:
        """Pay without end; ends when the server is gone."""
        try:
            async with connected(self.server.port) as connection:
                while True:
                    if self._random.random() < LABELLED_SHARE:
                        await self._label(connection)
                    await self._send(connection, again.pop() if again else self._new_payment())
        except (OSError, EOFError):
            return

    def _new_payment(self) -> Sent:
        draw = self._random
        body = {"user_id": f"holder_{draw.randrange(self._accounts)}", "amount": f"{draw.randrange(100, 6_000) / 100}"}
        body |= {"merchant": f"Shop {draw.randrange(50)}", "location": "Seattle, WA", "device_id": f"d{draw.random()}"}
        if draw.random() < SUSPICIOUS_SHARE:
            body |= {"amount": f"{draw.randrange(1_400, 9_000)}.00", "location": "Unknown Location"}
        if draw.random() >= NAMELESS_SHARE:
            body["transaction_id"] = f"sent:{self._seed}:{len(self._sent)}"
        sent = Sent(body, body.get("transaction_id"))
        self._sent.append(sent)
        return sent

    async def _send(self, connection: KeepAlive, sent: Sent) -> None:
        self._unchecked.append(sent)
        status, answer = await connection.call("POST", "/transaction", msgspec.json.encode(sent.body))
        if status == 503:
            return
        self._require(status in (200, 201, 202), f"{status} to {sent.body}: {answer!r}")
        shown = msgspec.json.decode(answer)
        sent.transaction_id, sent.acknowledged = shown["transaction_id"], True
        sent.fraud_score = shown["fraud_score"]

    async def _label(self, connection: KeepAlive) -> None:
        known = [sent.transaction_id for sent in self._sent[-500:] if sent.acknowledged]
        if not known:
            return
        draw = self._random
        said = {"label": draw.choice(("fraud", "genuine")), "source": draw.choice(("analyst", "chargeback"))}
        body = msgspec.json.encode({**said, "replace": True})
        status, answer = await connection.call("POST", f"/transaction/{draw.choice(known)}/label", body)
        self._require(status in (200, 409, 503), f"{status} to a label: {answer!r}")
        self.found.labels += status == 200

    # What must hold

    def _require(self, holds: bool, what: str) -> None:
        assert holds, f"seed {self._seed}, after {self.kills} kills: {what}"

    def examine(self) -> None:
        """Check every promise about what was sent since the last look, and those about the whole."""
        reader = SqliteReader(self._database)
        try:
            self._count_decisions(reader)
            for sent in self._unchecked:
                self._examine_payment(sent, reader)
            self._unchecked = []
            self._examine_texts(reader)
        finally:
            reader.close()
        self.found.payments = len(self._sent)
        self.found.acknowledged = sum(sent.acknowledged for sent in self._sent)
        self.found.unanswered = len(self._sent) - self.found.acknowledged
        self._require_sound_file()

    def _count_decisions(self, reader: SqliteReader) -> None:
        entries = reader.log(after=self._log_position, limit=1_000_000)
        self._decisions.update(entry.key for entry in entries if entry.kind == "transaction.decided")
        self._log_position = entries[-1].sequence if entries else self._log_position

    def _examine_payment(self, sent: Sent, reader: SqliteReader) -> None:
        record = reader.transaction(sent.transaction_id) if sent.transaction_id else None
        if record is None:
            self._require(not sent.acknowledged, f"{sent.transaction_id} was acknowledged and is gone")
            return
        key = record.transaction.transaction_id
        self._require(record.status is not Status.PENDING, f"{key} stayed pending")
        self._require(self._decisions[key] == 1, f"{key} was decided {self._decisions[key]} times")
        self._require(_same(sent.body, record), f"{key} is not what was sent")
        if sent.acknowledged and sent.fraud_score is not None and record.decision is not None:
            self._require(record.decision.score == sent.fraud_score, f"{key} was decided again")

    def _examine_texts(self, reader: SqliteReader) -> None:
        """No question stands at the provider twice, and none that the folder does not know."""
        ids = [_message_id(text.fields) for text in list(self._twilio.texts)]
        questions = Counter(message_id.partition(":question:")[0] for message_id in ids if ":question:" in message_id)
        twice = [challenge for challenge, count in questions.items() if count > 1]
        self._require(not twice, f"asked twice: {twice[:3]}")
        unknown = [message_id for message_id in ids if reader.message(message_id) is None]
        self._require(not unknown, f"texts that nobody recorded: {unknown[:3]}")
        self.found.questions = len(questions)
        in_flight = due_texts(reader)
        self.found.in_flight = max(
            self.found.in_flight, sum(m.state.value in ("sending", "unknown") for m in in_flight)
        )

    def _require_sound_file(self) -> None:
        connection = sqlite3.connect(f"{self._database.as_uri()}?mode=ro", uri=True)
        try:
            found = connection.execute("PRAGMA integrity_check").fetchall()
        finally:
            connection.close()
        self._require(found == [("ok",)], f"integrity_check: {found[:3]}")

    def _examine_file(self) -> None:
        """Read the whole folder from the beginning: each payment is decided once, and counted once with its label."""
        reader = SqliteReader(self._database)
        try:
            decisions = decisions_by_payment(reader)
            records = [record for record, _ in reader.export()]
            self._require(stored_states(reader) == states_of_log(reader), "feature state is not that of the log")
        finally:
            reader.close()
        self._require(all(record.status is not Status.PENDING for record in records), "some payment is pending")
        ids = {record.transaction.transaction_id for record in records}
        self._require(len(ids) == len(records), "an id is there twice")
        self._require(ids == set(decisions) and set(decisions.values()) <= {1}, "decisions and payments differ")
        acknowledged = {sent.transaction_id for sent in self._sent if sent.acknowledged}
        self._require(acknowledged <= ids, "an acknowledged payment is gone")

    def unsettled(self) -> int:
        """Return how many challenges are open or texts still to be sent, for whoever waits until all is done."""
        reader = SqliteReader(self._database)
        try:
            due = sum(m.state in TO_DO for m in due_texts(reader))
            page = reader.transactions(status=Status.CHALLENGED, limit=100_000)
            opened = sum(r.challenge is not None and r.challenge.state in OPEN for r in page.records)
        finally:
            reader.close()
        return due + opened


def due_texts(reader: SqliteReader) -> list[Message]:
    """Return every text that a worker still has to act on."""
    ids = reader.due_message_ids(channel="sms", now_ms=2**60, limit=100_000)
    return [message for message_id in ids if (message := reader.message(message_id)) is not None]


def _same(body: dict[str, str], record: TransactionRecord) -> bool:
    stored = record.transaction
    return (
        stored.user_id == body["user_id"]
        and float(stored.amount.decimal) == float(body["amount"])
        and stored.merchant == body["merchant"]
        and stored.location == body["location"]
        and stored.device_id == body["device_id"]
    )


def _message_id(fields: dict[str, str]) -> str:
    """Return our id of a text: the callback that the provider was given names it."""
    return parse_qs(urlsplit(fields["StatusCallback"]).query)["message"][0]
