"""The served way of `bench/parity.py`: over HTTP to a server that is killed, then read from its file.

Whatever was not answered is sent again, so every kill may leave payments that were stored without an answer. The server
is a process of this benchmark's own on the loopback interface, with a folder of its own; nothing else is touched.
"""

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from bench.keepalive import KeepAlive, connected, on_connections
from bench.parity_population import FRAUD, PAYMENT, Population, Step
from bench.parity_ways import Blobs
from bench.server_process import ServerProcess
from numpy.typing import NDArray

from cardwatch.adapters.sqlite.store import SqliteReader
from cardwatch.domain.account import Account
from cardwatch.domain.decision import Decision
from cardwatch.domain.label import fraud_change
from cardwatch.features.engine import FeatureEngine
from cardwatch.features.event import PaymentEvent, payment_event
from cardwatch.ports import LogEntry

ENVIRONMENT = {"CARDWATCH_DECISION_TIMEOUT_MS": "10000", "CARDWATCH_RETENTION_DAYS": "36500"}
CALL_S_MAX = 30.0
_KILL_DELAY_S_MAX = 0.05
_PAUSE_S = 0.002
_IDLE_ROUNDS_MAX = 3
_LOG_PAGE = 20_000

Arrival = tuple[int, int]
"""Kind and payment, as in `Arrivals`."""


class Load:
    """Sends everything that arrives until all of it is acknowledged, and kills the server now and then."""

    def __init__(
        self,
        server: ServerProcess,
        population: Population,
        *,
        connections: int,
        kills: int,
        seed: int,
        advance: Callable[[int], object],
        before_start: Callable[[int], object] = lambda _: None,
    ) -> None:
        """Choose when to kill; `before_start` hears how often that was done, before each start."""
        self.kills = 0
        self.sent_again = 0
        """Payments that were answered as known already: sent twice, or stored before a kill took the answer."""
        self._server, self._population, self._connections, self._advance = server, population, connections, advance
        self._before_start = before_start
        self._waiting: deque[Arrival] = deque(population.arrivals)
        self._acknowledged = np.zeros(population.size, dtype=np.bool_)
        self._under_way: set[Arrival] = set()
        self._answered = 0
        self._random = random.Random(seed)
        total = len(self._waiting)
        self._kill_at = sorted(self._random.sample(range(1, total), min(kills, total - 1)))

    def run(self) -> None:
        """Put the accounts, then send and kill until nothing waits; raises RuntimeError when nothing moves any more."""
        self._start()
        accounts = [at for at in range(self._population.accounts) if self._population.account(at)]
        asyncio.run(on_connections(self._server.port, self._connections, accounts, self._put))
        idle = 0
        while self._waiting:
            before = self._answered
            asyncio.run(self._round())
            idle = 0 if self._answered > before else idle + 1
            if idle > _IDLE_ROUNDS_MAX:
                raise RuntimeError(f"the server answers nothing any more: {self._server.last_words()}")
        self._server.stop()

    def _start(self) -> None:
        self._before_start(self.kills)
        self._server.start()
        self._server.wait_ready()

    async def _put(self, connection: KeepAlive, number: object) -> None:
        assert isinstance(number, int)  # noqa: S101  a number of the population's
        body = msgspec.json.encode(self._population.account(number))
        status, answer = await connection.call("PUT", f"/accounts/{self._population.user_id(number)}", body)
        if status not in (200, 201):
            raise RuntimeError(f"{status} to an account: {answer!r}")

    async def _round(self) -> None:
        """Send until nothing waits or the server is killed; then start it again."""
        due = asyncio.Event()
        senders = [asyncio.create_task(self._send_all(due)) for _ in range(self._connections)]
        killer = asyncio.create_task(self._kill(due))
        await asyncio.gather(*senders)
        if due.is_set():
            await killer
        else:
            killer.cancel()
        if due.is_set() or self._server.get("/readyz") is None:
            self._start()

    async def _kill(self, due: asyncio.Event) -> None:
        await due.wait()
        await asyncio.sleep(self._random.uniform(0, _KILL_DELAY_S_MAX))
        self._server.kill()
        self.kills += 1

    async def _send_all(self, due: asyncio.Event) -> None:
        """Send on one connection what waits; ends when nothing does or the server is gone."""
        try:
            async with connected(self._server.port) as connection:
                while self._waiting or self._under_way:
                    if not self._waiting or not await self._send_next(connection):
                        await asyncio.sleep(_PAUSE_S)
                    if self._kill_at and self._answered >= self._kill_at[0] and not due.is_set():
                        self._kill_at.pop(0)
                        due.set()
        except (OSError, EOFError):
            return

    async def _send_next(self, connection: KeepAlive) -> bool:
        """Send the next arrival; returns whether it was answered for good. What was not waits again."""
        arrival = self._waiting.popleft()
        kind, number = arrival
        if kind != PAYMENT and not self._acknowledged[number]:
            self._waiting.append(arrival)
            return False
        self._under_way.add(arrival)
        answered = False
        try:
            async with asyncio.timeout(CALL_S_MAX):
                answered = await (
                    self._pay(connection, number) if kind == PAYMENT else self._label(connection, arrival)
                )
        finally:
            self._under_way.discard(arrival)
            if not answered:
                self._waiting.appendleft(arrival)
        self._answered += answered
        self._advance(int(answered))
        return answered

    async def _pay(self, connection: KeepAlive, number: int) -> bool:
        body = msgspec.json.encode(self._population.submission(number))
        status, answer = await connection.call("POST", "/transaction", body)
        if status == 503:
            return False
        if status not in (200, 201, 202):
            raise RuntimeError(f"{status} to a payment: {answer!r}")
        self.sent_again += status == 200
        self._acknowledged[number] = True
        return True

    async def _label(self, connection: KeepAlive, arrival: Arrival) -> bool:
        kind, number = arrival
        said = {"label": "fraud" if kind == FRAUD else "genuine", "source": "analyst", "replace": True}
        path = f"/transaction/{self._population.transaction_id(number)}/label"
        status, answer = await connection.call("POST", path, msgspec.json.encode(said))
        if status in (409, 503):
            return False
        if status != 200:
            raise RuntimeError(f"{status} to a label: {answer!r}")
        return True


@dataclass
class Served:
    """What the file of a server holds: every payment as it was decided, and the log."""

    events: dict[str, PaymentEvent]
    decisions: dict[str, Decision]
    log: list[LogEntry]
    states: Blobs
    wrong: Counter[str] = field(default_factory=Counter)
    """What does not hold together, by kind of fault."""

    def steps(self) -> Iterator[Step]:
        """Yield payments and labels in the order in which the consumer applied them: that of the log."""
        for entry in self.log:
            if entry.kind == "transaction.recorded" and entry.key in self.decisions:
                yield Step(entry.key, self.events[entry.key])
            elif entry.kind == "label.added" and entry.key in self.decisions and fraud_change(entry.detail):
                yield Step(entry.key, self.events[entry.key], fraud_change(entry.detail))

    def write_vectors(self, vectors: NDArray[np.float64]) -> None:
        """Write the vectors that the model saw, in the same order."""
        row = 0
        for step in self.steps():
            if not step.change:
                vectors[row] = np.frombuffer(self.decisions[step.transaction_id].vector or b"", dtype="<f8")
                row += 1

    def check_order(self, engine: FeatureEngine) -> None:
        """Count payments whose states had another version, when they were read, than the order says."""
        versions: Counter[str] = Counter()
        for step in self.steps():
            keys = engine.labelled_keys(step.event) if step.change else engine.keys(step.event)
            named = [f"{entity}:{key}" for entity, key in keys]
            if not step.change:
                read = self.decisions[step.transaction_id].state_versions
                self.wrong["read in another order"] += read != {name: versions[name] for name in named}
            versions.update(named)


def read_served(database: Path, engine: FeatureEngine) -> Served:
    """Read the file of a server that has stopped."""
    reader = SqliteReader(database)
    try:
        served = Served({}, {}, list(_log(reader)), {})
        accounts: dict[str, Account | None] = {}
        for record, _ in reader.export():
            payment = record.transaction
            if payment.user_id not in accounts:
                accounts[payment.user_id] = reader.account(payment.user_id)
            served.events[payment.transaction_id] = payment_event(payment, accounts[payment.user_id])
            if record.decision is None or record.decision.vector is None:
                served.wrong["without a vector"] += 1
            else:
                served.wrong["of another feature definition"] += record.decision.spec_hash != engine.spec_hash
                # The words for people are not compared.
                served.decisions[payment.transaction_id] = msgspec.structs.replace(record.decision, reasons=())
        keys = sorted({key for event in served.events.values() for key in engine.keys(event)})
        states = zip(keys, reader.states(keys), strict=True)
        served.states = {key: state[1] for key, state in states if state is not None}
    finally:
        reader.close()
    decided = Counter(entry.key for entry in served.log if entry.kind == "transaction.decided")
    served.wrong["not decided exactly once"] += sum(decided[key] != 1 for key in served.events)
    served.check_order(engine)
    return served


def _log(reader: SqliteReader) -> Iterator[LogEntry]:
    after = 0
    while entries := reader.log(after=after, limit=_LOG_PAGE):
        yield from entries
        after = entries[-1].sequence
