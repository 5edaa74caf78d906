"""The comparison of `bench/parity.py` on few payments: every way gives the same bits, and differences are seen."""

from pathlib import Path

import numpy as np
import pytest

from cardwatch.features.compiled import numba_installed

pytest.importorskip("polars", reason="polars is not installed (extra: train)")

from bench.parity_population import PAYMENT, Population, Step, steps
from bench.parity_run import compare, read_options
from bench.parity_server import Served
from bench.parity_ways import (
    Columns,
    Interpreted,
    ThroughBytes,
    differing_bits,
    differing_states,
    named_features,
    run_offline,
)

from cardwatch.domain.decision import DecidedBy, Decision, Outcome
from cardwatch.features.engine import default_engine
from cardwatch.ports import LogEntry
from cardwatch.runtime.bootstrap import open_gazetteer
from tests.features.payments import START_S, payment

ENGINE = default_engine()
PAYMENTS = 600


def ignore(_: int) -> None:
    """Hear nothing."""


def test_a_population_is_late_repeats_itself_and_takes_labels_back() -> None:
    """Each payment is applied once, in another order than that of time and than that of ids; labels move both ways."""
    population = Population(2_000, seed=5)
    arrived = population.arrivals.payments[population.arrivals.kinds == PAYMENT]
    assert len(arrived) > len(set(arrived.tolist())) == 2_000
    applied = list(steps(population, open_gazetteer()))
    payments = [step for step in applied if not step.change]
    assert len(payments) == len({step.transaction_id for step in payments}) == 2_000
    times = [step.event.time_s for step in payments]
    assert times != sorted(times)
    assert [step.transaction_id for step in payments] != sorted(step.transaction_id for step in payments)
    assert {step.change for step in applied} == {-1, 0, 1}
    assert len({step.event.device for step in payments}) > 50
    assert None in {step.event.device for step in payments}
    assert population.submission(7) == Population(2_000, seed=5).submission(7)


def test_crashes_between_reading_and_storing_change_nothing() -> None:
    """States in memory, states through bytes, and offline replay of the same steps give the same bits."""
    population = Population(PAYMENTS, seed=2)
    columns = Columns.of_size(len(population.arrivals), ENGINE)
    first, second, third = (np.full((PAYMENTS, len(ENGINE.names)), 0.5) for _ in range(3))
    interpreted, through = Interpreted(ENGINE, seed=1), ThroughBytes(ENGINE, seed=2)
    gazetteer = open_gazetteer()
    interpreted.run(steps(population, gazetteer), columns, first, advance=ignore)
    through.run(steps(population, gazetteer), second, advance=ignore)
    assert interpreted.crashes
    assert through.crashes
    assert differing_bits(first, second) == 0
    assert differing_states(interpreted.blobs(), through.blobs) == 0
    run_offline(ENGINE, columns, third, compiled=None, advance=ignore)
    assert differing_bits(first, third, ~columns.island[columns.changes == 0]) == 0


def test_one_bit_and_one_state_are_seen() -> None:
    """Of a NaN, too: missing is one pattern of bits."""
    vectors = np.full((5, 3), np.nan)
    other = vectors.copy()
    other.view(np.int64)[3, 1] ^= 1
    assert differing_bits(vectors, other) == 1
    assert differing_bits(vectors, other, np.array([True, True, True, False, True])) == 0
    assert named_features(vectors, other, ["a", "b", "c"]) == ["b"]
    assert differing_states({("pair", "a"): b"1", ("pair", "b"): b"2"}, {("pair", "a"): b"1"}) == 1


def test_a_way_that_loses_one_update_is_seen() -> None:
    """What a crash would do that lost a payment's effect: vectors after it and a state differ."""
    population = Population(PAYMENTS, seed=2)
    applied = list(steps(population, open_gazetteer()))
    whole, lossy = np.zeros((PAYMENTS, len(ENGINE.names))), np.zeros((PAYMENTS, len(ENGINE.names)))
    good, bad = ThroughBytes(ENGINE, seed=1), ThroughBytes(ENGINE, seed=1)
    good.run(applied, whole, advance=ignore)
    lost = next(at for at, step in enumerate(applied) if step.event.account == applied[-1].event.account)
    bad.run([*applied[:lost], *applied[lost + 1 :]], lossy[1:], advance=ignore)
    assert differing_states(good.blobs, bad.blobs) > 0
    assert differing_bits(whole[lost + 1 :], lossy[lost + 1 :]) > 0


def test_an_order_that_is_not_the_order_of_application_is_seen() -> None:
    """Each decision names the versions of the states it read; they must be those that the order gives."""
    events = [payment(START_S, account=account, device=account) for account in ("one", "other")]
    both = [Step(event.account or "", event) for event in events]
    assert served(both, read_first=both[0]).wrong["read in another order"] == 0
    assert served(both, read_first=both[1]).wrong["read in another order"] == 2


def served(both: list[Step], *, read_first: Step) -> Served:
    """Return what a file would hold of two payments in the order given, of which one was read first."""
    found = Served({}, {}, [], {})
    for number, step in enumerate(both, 1):
        keys = [f"{entity}:{key}" for entity, key in ENGINE.keys(step.event)]
        versions = {key: int(key.startswith("merchant") and step is not read_first) for key in keys}
        found.events[step.transaction_id] = step.event
        found.decisions[step.transaction_id] = Decision(
            outcome=Outcome.APPROVE, decided_by=DecidedBy.THRESHOLD, decided_at_ms=0, state_versions=versions
        )
        found.log.append(LogEntry(number, "transaction.recorded", step.transaction_id, ""))
    found.check_order(ENGINE)
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not numba_installed(), reason="numba is not installed")
def test_all_ways_and_a_server_that_is_killed_agree(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Interpreted, machine code, compiled, offline, and served over HTTP under kill -9."""
    kept = tmp_path_factory.getbasetemp().parent / "cardwatch-compiled"
    arguments = ["--payments", "2000", "--http", "2000", "--kills", "4", "--compiled", str(kept)]
    rows = compare(read_options(arguments), tmp_path)
    assert [row.way for row in rows] == [
        "interpreted", "machine code", "compiled", "offline",
        "over HTTP", "interpreted", "machine code", "compiled", "offline",
    ]  # fmt: skip
    assert all(row.sound for row in rows), "\n".join(map(str, rows))
    assert sum(row.compared for row in rows) > 12_000
    assert "4 times kill -9" in rows[4].note
