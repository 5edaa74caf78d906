"""The scorer over an endpoint: AWS's own client against our container, and against a runtime that misbehaves."""

import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cardwatch.adapters.clock import FixedClock
from cardwatch.adapters.models import PACKAGED, open_scorer
from cardwatch.adapters.scorers.bundle_scorer import BundleScorer
from cardwatch.adapters.scorers.fallback import FAILURES_MAX, FallbackScorer
from cardwatch.adapters.scorers.sagemaker import SageMakerEndpoint, SageMakerScorer
from cardwatch.domain.decision import Explanation, Reason
from cardwatch.domain.errors import ScorerUnavailable
from cardwatch.features.engine import default_engine
from cardwatch.ports import Scorer
from tests.fakes.sagemaker_container import free_port, running_container
from tests.fakes.sagemaker_server import FakeSageMaker, Invocation, nobodys_credentials, running_sagemaker
from tests.support.bundles import bundle_of, train_booster

pytest.importorskip("boto3", reason="boto3 comes with the extra 'aws'")

ENGINE = default_engine()
LOCAL = open_scorer()
ROW = [1.0] * len(ENGINE.names)
SECRET = "4111111111111111"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give AWS's tools credentials that nobody has."""
    wanted = nobodys_credentials(tmp_path)
    for name in [name for name in os.environ if name not in wanted]:
        monkeypatch.delenv(name)
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run our container on the packaged bundle."""
    with running_container(PACKAGED, root=tmp_path_factory.mktemp("container")) as url:
        yield url


@pytest.fixture
def runtime() -> Iterator[FakeSageMaker]:
    """Serve an endpoint with two variants: the packaged model, and another."""
    with running_sagemaker() as fake:
        names = ("champion", "challenger")
        fake.configs["c"] = {"ProductionVariants": [{"VariantName": name, "ModelName": name} for name in names]}
        fake.endpoints["fraud-detection-endpoint"] = {"EndpointConfigName": "c", "EndpointStatus": "InService"}
        fake.models = {name: {} for name in names}
        fake.scorers = {"champion": LOCAL, "challenger": other_model()}
        yield fake


def other_model() -> BundleScorer:
    """Return a small model of another version."""
    return BundleScorer(bundle_of(train_booster(("amount", "night"))), features=ENGINE.describe())


def scorer_at(url: str, *, spec_hash: str = LOCAL.spec_hash, **fields: object) -> SageMakerScorer:
    """Return an impatient scorer of an endpoint."""
    usual: dict[str, object] = {"region": "us-east-2", "url": url, "timeout_s": 0.5, "explain_timeout_s": 0.5}
    endpoint = SageMakerEndpoint(**{**usual, **fields})  # type: ignore[arg-type]
    return SageMakerScorer(endpoint, spec_hash=spec_hash, threshold=LOCAL.threshold)


def test_scores_are_the_local_ones_in_every_bit(container: str) -> None:
    """A thousand vectors through AWS's client and our container, missing, infinite and tiny values among them."""
    numbers = np.random.default_rng(5)
    matrix = numbers.normal(size=(1000, len(ENGINE.names))) * 10.0 ** numbers.integers(-3, 7, (1000, len(ENGINE.names)))
    for value, share in ((math.nan, 0.1), (math.inf, 0.005), (-math.inf, 0.005), (5e-324, 0.01), (-0.0, 0.01)):
        matrix[numbers.random(matrix.shape) < share] = value
    scorer = scorer_at(container, timeout_s=10)
    scorer.prepare()
    rows: list[list[float]] = matrix.tolist()
    assert [scorer.score(row) for row in rows] == [LOCAL.score(row) for row in rows]
    assert scorer.model_version == LOCAL.model_version


def test_reasons_and_explanation_are_the_local_ones(container: str) -> None:
    """Word for word, in the payment's currency."""
    scorer = scorer_at(container, timeout_s=10, explain_timeout_s=10)
    row = [150_000.0, *ROW[1:]]
    scorer.score(row)
    assert scorer.reasons(row, currency="EUR") == LOCAL.reasons(row, currency="EUR")
    assert scorer.explain(row, currency="EUR") == LOCAL.explain(row, currency="EUR")


def test_a_container_with_another_definition_scores_nothing(container: str) -> None:
    """It refuses what was computed otherwise; no number comes back that could be taken for a score."""
    with pytest.raises(ScorerUnavailable, match="HTTP 400"):
        scorer_at(container, spec_hash="0" * 64).score(ROW)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (Invocation(status=400, code="ThrottlingException"), "ThrottlingException .HTTP 400"),
        (Invocation(status=429, code="ModelNotReadyException"), "ModelNotReadyException"),
        (Invocation(status=500, code="InternalFailure"), "InternalFailure"),
        (Invocation(status=503, code="ServiceUnavailable"), "ServiceUnavailable"),
        (Invocation(status=403, code="AccessDeniedException"), "AccessDeniedException"),
        (
            Invocation(
                status=424,
                code="ModelError",
                body=b'{"OriginalStatusCode": 500, "OriginalMessage": "%s"}' % SECRET.encode(),
            ),
            "its container answered 500",
        ),
        (Invocation(status=502, body=b"<html>"), "HTTP 502"),
        (Invocation(body=b""), "cannot be read"),
        (Invocation(body=b"body"), "cannot be read"),
        (Invocation(body=b'{"scores": [null], "model_version": "m", "spec_hash": "s"}'), "cannot be read"),
        (Invocation(body=b'{"scores": [7.0], "model_version": "m", "spec_hash": "s"}'), "cannot be read"),
        (Invocation(body=b'{"scores": [], "model_version": "m", "spec_hash": "s"}'), "cannot be read"),
        (Invocation(body=b'{"scores": [0.1, 0.2], "model_version": "m", "spec_hash": "s"}'), "cannot be read"),
        (Invocation(body=b'{"scores": [0.1], "model_version": "", "spec_hash": "s"}'), "cannot be read"),
        (Invocation(body=b'{"scores": [0.1], "model_version": "m", "spec_hash": "s"}'), "it scores feature definition"),
        (Invocation(body=b"\xff" * 5_000_000), "cannot be read"),
    ],
)
def test_what_is_no_score_is_unavailable(runtime: FakeSageMaker, told: Invocation, why: str) -> None:
    """Errors, garbage, and numbers that are no probability of ours, in one line that quotes nothing."""
    runtime.invocation = told
    with pytest.raises(ScorerUnavailable, match=why) as raised:
        scorer_at(runtime.url).score(ROW)
    assert SECRET not in str(raised.value)
    assert str(raised.value).startswith("SageMaker endpoint fraud-detection-endpoint: ")


def test_a_slow_endpoint_is_given_up_once(runtime: FakeSageMaker) -> None:
    """After its time and no second try; the next payment is not held up by the first."""
    runtime.invocation = Invocation(delay_s=1.0)
    scorer = scorer_at(runtime.url, timeout_s=0.3)
    scorer.prepare()
    started = time.monotonic()
    with pytest.raises(ScorerUnavailable, match="ReadTimeoutError"):
        scorer.score(ROW)
    assert time.monotonic() - started < 0.9
    runtime.invocation = None
    assert scorer.score(ROW) == LOCAL.score(ROW)


def test_nobody_listening_is_unavailable() -> None:
    """No endpoint at all, and no credentials to ask with."""
    with pytest.raises(ScorerUnavailable, match="EndpointConnectionError"):
        scorer_at(f"http://127.0.0.1:{free_port()}").score(ROW)


def test_no_credentials_is_unavailable(runtime: FakeSageMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function without a role scores nothing and stops nothing."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(ScorerUnavailable, match="NoCredentialsError"):
        scorer_at(runtime.url).score(ROW)


def test_the_variant_that_scored_is_the_one_that_explains(runtime: FakeSageMaker) -> None:
    """Each answer names its model; reasons come from the variant that gave the score, whatever the weights say."""
    scorer = scorer_at(runtime.url, target_variant="challenger")
    assert scorer.model_version == "sagemaker:fraud-detection-endpoint"
    scorer.score(ROW)
    assert scorer.model_version == other_model().model_version
    scorer.reasons(ROW, currency="USD")
    untargeted = scorer_at(runtime.url)
    untargeted.score(ROW)
    untargeted.explain(ROW, currency="USD")
    assert runtime.invoked == ["challenger", "challenger", "champion", "champion"]


def test_reasons_of_another_model_are_refused(runtime: FakeSageMaker) -> None:
    """After an update between the score and its reasons."""
    scorer = scorer_at(runtime.url)
    scorer.score(ROW)
    runtime.scorers["champion"] = other_model()
    with pytest.raises(ScorerUnavailable, match="another model"):
        scorer.reasons(ROW, currency="USD")


def test_each_thread_knows_its_own_model(runtime: FakeSageMaker) -> None:
    """The version beside a score is that of this score, also while other threads are answered by other variants."""
    runtime.alternate = True
    scorer, wrong = scorer_at(runtime.url, timeout_s=5), list[tuple[float, str]]()
    versions = {model.score(ROW): model.model_version for model in (LOCAL, other_model())}
    assert len(versions) == 2

    def run() -> None:
        for _ in range(20):
            score = scorer.score(ROW)
            if versions[score] != scorer.model_version:
                wrong.append((score, scorer.model_version))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert set(runtime.invoked) == {"champion", "challenger"}
    assert scorer.model_version == "sagemaker:fraud-detection-endpoint"  # this thread has scored nothing


class Fickle:
    """A scorer that is down when told to, and counts who asks."""

    def __init__(self, inner: Scorer) -> None:
        self.inner, self.down, self.asked, self.explained = inner, False, 0, 0
        self.model_version: str = inner.model_version
        self.threshold: float = 0.25
        self.spec_hash: str = inner.spec_hash

    def score(self, vector: Sequence[float]) -> float:
        """Score, or not."""
        self.asked += 1
        if self.down:
            raise ScorerUnavailable("down")
        return self.inner.score(vector)

    def reasons(self, vector: Sequence[float], *, currency: str) -> tuple[Reason, ...]:
        """Explain by the model inside."""
        self.explained += 1
        return self.inner.reasons(vector, currency=currency)

    def explain(self, vector: Sequence[float], *, currency: str) -> Explanation:
        """Explain by the model inside."""
        self.explained += 1
        return self.inner.explain(vector, currency=currency)


def with_fallback(first: Scorer, clock: FixedClock | None = None) -> FallbackScorer:
    """Return a scorer with the packaged model behind it."""
    return FallbackScorer(first, LOCAL, clock=clock or FixedClock(0), rest_ms=1000)


def test_the_record_says_which_model_scored(runtime: FakeSageMaker) -> None:
    """The endpoint's while it answers; with a mark, the packaged one's while it does not."""
    scorer = with_fallback(scorer_at(runtime.url, target_variant="challenger"))
    assert (scorer.score(ROW), scorer.model_version) == (other_model().score(ROW), "small-1")
    runtime.invocation = Invocation(status=500, code="InternalFailure")
    assert scorer.score(ROW) == LOCAL.score(ROW)
    assert scorer.model_version == f"{LOCAL.model_version}; fallback"
    assert scorer.reasons(ROW, currency="USD") == LOCAL.reasons(ROW, currency="USD")
    runtime.invocation = None
    scorer.score(ROW)
    assert scorer.model_version == "small-1"


def test_a_model_that_is_at_hand_explains_at_hand() -> None:
    """The endpoint is asked for reasons only where it holds another model."""
    same, other = Fickle(LOCAL), Fickle(other_model())
    for first, explained in ((same, 0), (other, 2)):
        scorer = with_fallback(first)
        scorer.score(ROW)
        scorer.reasons(ROW, currency="USD")
        scorer.explain(ROW, currency="USD")
        assert first.explained == explained


def test_a_scorer_that_stays_down_is_left_alone_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    """After three failures in a row nobody waits for it; then one payment tries it, and all do once it is back."""
    clock, first = FixedClock(0), Fickle(LOCAL)
    scorer = with_fallback(first, clock)
    first.down = True
    for _ in range(10):
        scorer.score(ROW)
    assert first.asked == FAILURES_MAX
    assert caplog.messages == [f"scored by fallback: down ({at} in a row)" for at in (1, 2, 3)]
    clock.advance(1000)
    scorer.score(ROW)
    scorer.score(ROW)
    assert first.asked == FAILURES_MAX + 1
    clock.advance(1000)
    first.down = False
    scorer.score(ROW)
    scorer.score(ROW)
    assert first.asked == FAILURES_MAX + 3
    assert scorer.model_version == LOCAL.model_version


def test_two_definitions_are_never_mixed() -> None:
    """What one cannot read the other must not score."""
    first = Fickle(LOCAL)
    first.spec_hash = "0" * 64
    with pytest.raises(ValueError, match="one feature definition"):
        with_fallback(first)


def test_threshold_is_the_first_scorers() -> None:
    """As it was given."""
    assert with_fallback(Fickle(LOCAL)).threshold == 0.25


def test_making_the_scorer_imports_no_boto3() -> None:
    """A function that never asks the endpoint does not pay for its client."""
    probe = (
        "import sys, cardwatch.adapters.scorers.fallback; from cardwatch.adapters.scorers.sagemaker import *;"
        "SageMakerScorer(SageMakerEndpoint(region='x'), spec_hash='', threshold=0.5);"
        "print({'boto3', 'botocore', 'numpy', 'lightgbm', 'structlog'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "set()"


def test_an_answer_may_say_more_than_is_read(runtime: FakeSageMaker) -> None:
    """A newer container serves an older function."""
    said = {"scores": [0.25], "model_version": "m", "spec_hash": LOCAL.spec_hash, "drift": 0.1}
    runtime.invocation = Invocation(body=msgspec.json.encode(said))
    assert scorer_at(runtime.url).score(ROW) == 0.25
