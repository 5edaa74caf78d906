"""The container of SageMaker: its server as a process, its bodies, and its training job."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardwatch.adapters.models import PACKAGED, open_scorer
from cardwatch.entrypoints.sagemaker.invocations import (
    BODY_BYTES_MAX,
    CSV,
    EXPLAINED_MAX,
    JSON,
    Answer,
    answer_invocation,
)
from cardwatch.features.engine import default_engine
from tests.fakes.sagemaker_container import await_status, free_port, running_container

NAMES = default_engine().names
SCORER = open_scorer()
SPEC = SCORER.spec_hash
SCRIPTS = Path(__file__).parents[2] / "infrastructure" / "sagemaker"

number = st.one_of(st.none(), st.floats(allow_nan=False))
vectors = st.lists(number, min_size=len(NAMES), max_size=len(NAMES))


def random_vectors(count: int, *, seed: int = 11) -> list[list[float]]:
    """Return vectors of all magnitudes, a tenth of their values missing."""
    numbers = np.random.default_rng(seed)
    matrix = numbers.normal(size=(count, len(NAMES))) * 10.0 ** numbers.integers(-3, 6, (count, len(NAMES)))
    matrix[numbers.random(matrix.shape) < 0.1] = math.nan
    rows: list[list[float]] = matrix.tolist()
    return rows


def as_json(vector: list[float]) -> list[float | None]:
    """Return a vector with null where a value is missing."""
    return [None if math.isnan(value) else value for value in vector]


def body_of(**fields: object) -> bytes:
    """Return a request for one vector, with other fields instead."""
    usual: dict[str, object] = {"spec_hash": SPEC, "vector": [1.0] * len(NAMES)}
    return json.dumps({**usual, **fields}).encode()


def ask(body: bytes, kind: str = JSON) -> Answer:
    """Answer a body."""
    return answer_invocation(body, kind, scorer=SCORER, features=len(NAMES))


def sentence(answer: Answer) -> str:
    """Return what a refusal says."""
    said: str = json.loads(answer.body)["error"]
    return said


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the server on the packaged bundle."""
    with running_container(PACKAGED, root=tmp_path_factory.mktemp("container")) as url:
        yield url


@settings(max_examples=150, deadline=None)
@given(vector=vectors)
def test_json_gives_the_scorers_bits_for_any_vector(vector: list[float | None]) -> None:
    """What goes through JSON both ways is the same float64, whatever the values."""
    floats = [math.nan if value is None else value for value in vector]
    worded = [v if v is None or math.isfinite(v) else "Infinity" if v > 0 else "-Infinity" for v in vector]
    answer = ask(body_of(vector=worded))
    assert answer.status == 200, answer.body
    assert json.loads(answer.body)["scores"] == [SCORER.score(floats)]


@settings(max_examples=80, deadline=None)
@given(rows=st.lists(vectors, min_size=1, max_size=3))
def test_csv_gives_the_scorers_bits_for_any_vector(rows: list[list[float | None]]) -> None:
    """A vector a line, a score a line."""
    floats = [[math.nan if value is None else value for value in row] for row in rows]
    text = "\n".join(",".join("" if value is None else repr(value) for value in row) for row in rows)
    answer = ask(text.encode(), "text/csv; charset=utf-8")
    assert (answer.status, answer.content_type) == (200, CSV)
    assert [float(line) for line in answer.body.decode().splitlines()] == [SCORER.score(row) for row in floats]


def test_an_answer_names_the_model() -> None:
    """Version, definition and threshold stand beside the scores; reasons only where they were asked for."""
    said = json.loads(ask(body_of()).body)
    facts = SCORER.bundle.facts
    assert (said["model_version"], said["spec_hash"], said["threshold"]) == (facts.model_version, SPEC, facts.threshold)
    assert set(said) == {"scores", "model_version", "spec_hash", "threshold"}


def test_reasons_are_the_scorers() -> None:
    """In the currency that was given, and with the whole explanation."""
    vector = random_vectors(1)[0]
    said = json.loads(ask(body_of(vector=as_json(vector), explain=True, currency="EUR")).body)
    assert [one["text"] for one in said["reasons"][0]] == [one.text for one in SCORER.reasons(vector, currency="EUR")]
    explained = SCORER.explain(vector, currency="EUR")
    assert said["explanations"][0]["margin"] == explained.margin
    assert len(said["explanations"][0]["reasons"]) == len(explained.reasons)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"vector": [1.0] * 3}, f"vector 1 has 3 values, the feature definition has {len(NAMES)}"),
        ({"spec_hash": "0" * 64}, f"the vectors are of another feature definition than this model's, {SPEC}"),
        ({"vectors": [[1.0]]}, "give either vector or vectors"),
        ({"vector": None}, "give either vector or vectors"),
        ({"vector": None, "vectors": []}, "there is no vector to score"),
        ({"vector": ["4111111111111111"]}, "a vector must hold numbers, and null where one is missing"),
        ({"vector": 7}, "a vector must hold numbers, and null where one is missing"),
        ({"currency": "usd"}, "the currency must be a code of ISO 4217, such as USD"),
        ({"colour": 1}, "the request does not fit: Object contains unknown field `colour`"),
        (
            {"vector": None, "vectors": [[1.0] * len(NAMES)] * (EXPLAINED_MAX + 1), "explain": True},
            f"at most {EXPLAINED_MAX} vectors can be explained at once",
        ),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_sentence(fields: dict[str, object], expected: str) -> None:
    """With 400, and without a value of the request."""
    answer = ask(body_of(**fields))
    assert (answer.status, sentence(answer)) == (400, expected)


@pytest.mark.parametrize(
    ("body", "kind", "status", "expected"),
    [
        (b'{"vector": [1]}', JSON, 400, "the request does not fit: Object missing required field `spec_hash`"),
        (b"{", JSON, 400, "the body is not JSON"),
        (b"\xff\xfe", JSON, 400, "the body is not JSON"),
        (b"[" * 100_000, JSON, 400, None),
        (b"", CSV, 400, "there is no vector to score"),
        (b"1,2,3", CSV, 400, f"vector 1 has 3 values, the feature definition has {len(NAMES)}"),
        (b"1,ada", CSV, 400, "a line must hold numbers with commas between them, nothing where one is missing"),
        (b"1_0,2", CSV, 400, "a line must hold numbers with commas between them, nothing where one is missing"),
        (b"\xff", CSV, 400, "a line must hold numbers with commas between them, nothing where one is missing"),
        (b"{}", "application/x-npy", 415, "the body must be application/json or text/csv"),
        (b" " * (BODY_BYTES_MAX + 1), CSV, 413, f"the body is larger than {BODY_BYTES_MAX} bytes"),
    ],
)
def test_other_bodies_are_refused(body: bytes, kind: str, status: int, expected: str | None) -> None:
    """Each with its status and one sentence."""
    answer = ask(body, kind)
    assert answer.status == status
    assert expected is None or sentence(answer) == expected


def test_the_server_scores_as_the_scorer_does(container: str) -> None:
    """A thousand vectors in one request, bit for bit; at the path of AWS's clients too."""
    rows = random_vectors(1000)
    asked = {"spec_hash": SPEC, "vectors": [as_json(row) for row in rows]}
    for path in ("/invocations", "/endpoints/fraud-detection-endpoint/invocations"):
        answer = httpx.post(container + path, json=asked, timeout=30)
        assert answer.status_code == 200
        assert answer.json()["scores"] == [SCORER.score(row) for row in rows]


def test_the_server_knows_its_two_routes(container: str) -> None:
    """Anything else is 404 or 405; /ping answers empty."""
    assert httpx.get(f"{container}/ping").status_code == 200
    assert httpx.get(f"{container}/models").status_code == 404
    assert httpx.get(f"{container}/invocations").status_code == 405
    assert httpx.post(f"{container}/ping").status_code == 405


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused(container: str, *, chunked: bool) -> None:
    """Whether its length was said or comes in chunks; the server goes on."""
    body = b" " * (BODY_BYTES_MAX + 1)
    content = iter([body[:1000], body[1000:]]) if chunked else body
    try:
        status = httpx.post(f"{container}/invocations", content=content, headers={"Content-Type": JSON}).status_code
    except httpx.TransportError:  # the server may hang up on whoever still sends
        status = 413
    assert status == 413
    assert httpx.get(f"{container}/ping").status_code == 200


def test_ping_answers_while_the_largest_requests_are_scored(container: str) -> None:
    """Within SageMaker's 2 s, beside four requests of 6 MiB, which take seconds of the 60 they may."""
    row = b"0," * (len(NAMES) - 1) + b"0\n"
    body = row * (BODY_BYTES_MAX // len(row))
    with ThreadPoolExecutor(4) as pool:
        started = time.monotonic()
        asked = [
            pool.submit(httpx.post, f"{container}/invocations", content=body, headers={"Content-Type": CSV}, timeout=60)
            for _ in range(4)
        ]
        time.sleep(0.1)
        while not all(one.done() for one in asked):
            assert httpx.get(f"{container}/ping", timeout=2).status_code == 200
        assert all(one.result().status_code == 200 for one in asked)
        assert time.monotonic() - started < 60


def test_an_idle_connection_stays_open(container: str) -> None:
    """SageMaker's proxy keeps its connections; one that closes under a request would be a lost score."""
    connection = HTTPConnection(container.removeprefix("http://"), timeout=5)
    connection.connect()
    local = connection.sock.getsockname()
    for pause_s in (5.5, 0):  # uvicorn's own limit is 5 s
        connection.request("GET", "/ping")
        answer = connection.getresponse()
        answer.read()
        time.sleep(pause_s)
        assert answer.status == 200
        assert connection.sock.getsockname() == local
    connection.close()


def start(root: Path, port: int) -> subprocess.Popen[bytes]:
    """Start the image's own script, with what the image gives it."""
    environment = {**os.environ, "SAGEMAKER_BIND_TO_PORT": str(port), "PATH": f"{Path(sys.executable).parent}:/bin"}
    command = ["/bin/sh", str(SCRIPTS / "serve"), "--root", str(root), "--host", "127.0.0.1"]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)


def test_a_bundle_that_cannot_be_used_is_503_and_its_cause_logged(tmp_path: Path) -> None:
    """SageMaker sees a container that is not healthy, and the log says why."""
    (tmp_path / "model").mkdir()
    port = free_port()
    process = start(tmp_path, port)
    try:
        await_status(f"http://127.0.0.1:{port}", 503)
        answer = httpx.post(f"http://127.0.0.1:{port}/invocations", json={})
        assert (answer.status_code, answer.json()) == (503, {"error": "the model is not loaded"})
    finally:
        process.terminate()
        _, log = process.communicate(timeout=15)
    assert "bundle.json" in next(line for line in log.decode().splitlines() if "model not loaded" in line)


def test_sigterm_ends_it_in_good_order(tmp_path: Path) -> None:
    """Well within SageMaker's 30 s, with the request that is under way answered first; the script is replaced by it."""
    (tmp_path / "model").symlink_to(PACKAGED)
    port = free_port()
    process = start(tmp_path, port)
    url = f"http://127.0.0.1:{port}"
    await_status(url, 200)
    row = b"0," * (len(NAMES) - 1) + b"0\n"
    body = row * (BODY_BYTES_MAX // len(row) // 2)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(httpx.post, f"{url}/invocations", content=body, headers={"Content-Type": CSV}, timeout=30)
        time.sleep(0.15)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)
        assert asked.result().status_code == 200
    assert time.monotonic() - started < 10
    assert process.returncode in (0, -signal.SIGTERM)
    assert "Traceback" not in log.decode()


def test_a_port_that_is_taken_is_one_line(container: str, tmp_path: Path) -> None:
    """Exit code 1, no traceback."""
    process = start(tmp_path, int(container.rpartition(":")[2]))
    _, log = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "cannot listen on 127.0.0.1" in log.decode()
    assert "Traceback" not in log.decode()
