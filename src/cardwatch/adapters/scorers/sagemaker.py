"""The Scorer port over a SageMaker endpoint whose container is ours (`entrypoints/sagemaker`).

boto3 is imported with the first score (`prepare` does it ahead) and never tries again by itself: whoever asks knows how
long a payment may wait. Every way in which there is no usable answer is ScorerUnavailable, with AWS's codes only: what
it says in words may quote a request.

An endpoint may hold several models (an A/B test). Which of them scored is known from each answer: `model_version` is
that of the calling thread's last score, and its reasons are asked of the variant that gave it, never of another.
"""

import logging
import math
import re
import threading
from collections.abc import Sequence
from contextlib import closing
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from cardwatch.domain.decision import Explanation, Reason
from cardwatch.domain.errors import ScorerUnavailable

ENDPOINT_NAME = "fraud-detection-endpoint"
"""The setup guide's."""

TIMEOUT_S = 2.0
"""For connecting, and again for the answer: a warm endpoint answers in tens of milliseconds."""

EXPLAIN_TIMEOUT_S = 0.5
"""The same for reasons: a decision is not held up by its explanation."""

_ANSWER_BYTES_MAX = 1024**2
"""A score with its whole explanation takes 30 KB."""

_CODE = re.compile(r"[A-Za-z0-9.]{1,60}")

_NOT_READABLE = (AttributeError, KeyError, TypeError, ValueError)
"""What botocore raises over an answer of another shape; msgspec's errors are ValueErrors."""


class SageMakerEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Which endpoint is asked, and for how long; credentials are found where AWS tools look for them."""

    region: str
    name: str = ENDPOINT_NAME
    target_variant: str | None = None
    """One of its variants; None: as their weights say."""
    url: str | None = None
    """Instead of AWS's own, for tests and private endpoints."""
    timeout_s: float = TIMEOUT_S
    explain_timeout_s: float = EXPLAIN_TIMEOUT_S


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the container answers, of which more may come to be."""

    scores: tuple[Annotated[float, Meta(ge=0, le=1)]]
    model_version: Annotated[str, Meta(min_length=1, max_length=200)]
    spec_hash: str
    reasons: tuple[tuple[Reason, ...], ...] = ()
    explanations: tuple[Explanation, ...] = ()


class _Last(threading.local):
    """What scored last in a thread."""

    version: str | None = None
    variant: str | None = None


class SageMakerScorer:
    """Scores with an endpoint; may be used by several threads."""

    def __init__(self, endpoint: SageMakerEndpoint, *, spec_hash: str, threshold: float) -> None:
        """Take what is needed; nothing is imported or connected yet.

        `spec_hash` is that of the vectors that will be given: an endpoint with another definition scores nothing.
        `threshold` is the one in force where none is set, that of the packaged model; an endpoint cannot be asked
        before there is a payment.
        """
        self.spec_hash: str = spec_hash
        self.threshold: float = threshold
        self._endpoint = endpoint
        self._last = _Last()
        self._lock = threading.Lock()
        self._clients: dict[float, Any] = {}

    @property
    def model_version(self) -> str:
        """The model of this thread's last score; before the first, the endpoint's name."""
        return self._last.version or f"sagemaker:{self._endpoint.name}"

    @model_version.setter
    def model_version(self, version: str) -> None:
        """Set it for this thread; the port has it as an attribute."""
        self._last.version = version

    def prepare(self) -> None:
        """Import boto3 and make its client, so that the first payment does not wait for that."""
        self._client(self._endpoint.timeout_s)

    def score(self, vector: Sequence[float]) -> float:
        """Return the probability of fraud, 0..1; raises ScorerUnavailable."""
        self._last.version = self._last.variant = None
        answer, variant = self._ask(
            {"vector": _values(vector)}, variant=self._endpoint.target_variant, timeout_s=self._endpoint.timeout_s
        )
        self._last.version, self._last.variant = answer.model_version, variant
        return answer.scores[0]

    def reasons(self, vector: Sequence[float], *, currency: str) -> tuple[Reason, ...]:
        """Return up to five reasons, those towards fraud first; raises ScorerUnavailable."""
        answer = self._explained(vector, currency)
        if len(answer.reasons) != 1:
            raise self._unavailable("the answer has no reasons")
        return answer.reasons[0]

    def explain(self, vector: Sequence[float], *, currency: str) -> Explanation:
        """Return what every feature of the model added to the margin, strongest first; raises ScorerUnavailable."""
        answer = self._explained(vector, currency)
        if len(answer.explanations) != 1:
            raise self._unavailable("the answer has no explanation")
        return answer.explanations[0]

    def _explained(self, vector: Sequence[float], currency: str) -> _Answer:
        asked = {"vector": _values(vector), "explain": True, "currency": currency}
        variant = self._last.variant or self._endpoint.target_variant
        answer, _ = self._ask(asked, variant=variant, timeout_s=self._endpoint.explain_timeout_s)
        if self._last.version is not None and answer.model_version != self._last.version:
            raise self._unavailable("another model than the one that scored would explain")
        return answer

    def _ask(self, asked: dict[str, Any], *, variant: str | None, timeout_s: float) -> tuple[_Answer, str | None]:
        """Return the answer, and the variant that gave it."""
        body, invoked = self._invoke({**asked, "spec_hash": self.spec_hash}, variant, timeout_s)
        try:
            answer = msgspec.json.decode(body, type=_Answer)
        except ValueError:
            raise self._unavailable("the answer cannot be read") from None
        if answer.spec_hash != self.spec_hash:
            raise self._unavailable(f"it scores feature definition {answer.spec_hash[:12]}, not {self.spec_hash[:12]}")
        return answer, invoked or variant

    def _invoke(self, asked: dict[str, Any], variant: str | None, timeout_s: float) -> tuple[bytes, str | None]:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  heavy; only what asks pays for it

        request = {
            "EndpointName": self._endpoint.name,
            "ContentType": "application/json",
            "Accept": "application/json",
            "Body": msgspec.json.encode(asked),
            **({"TargetVariant": variant} if variant else {}),
        }
        try:
            answer = self._client(timeout_s).invoke_endpoint(**request)
            with closing(answer["Body"]) as stream:
                body: bytes = stream.read(_ANSWER_BYTES_MAX)
            return body, answer.get("InvokedProductionVariant")
        except ClientError as error:
            raise self._unavailable(_refused(error.response)) from None
        except BotoCoreError as error:
            raise self._unavailable(type(error).__name__) from None
        except _NOT_READABLE:
            raise self._unavailable("the answer cannot be read") from None

    def _client(self, timeout_s: float) -> Any:
        with self._lock:
            if timeout_s not in self._clients:
                self._clients[timeout_s] = _make_client(self._endpoint, timeout_s)
            return self._clients[timeout_s]

    def _unavailable(self, why: str) -> ScorerUnavailable:
        return ScorerUnavailable(f"SageMaker endpoint {self._endpoint.name}: {why}")


def _values(vector: Sequence[float]) -> list[float | str]:
    """Return a vector for JSON: msgspec writes NaN as null, and infinities need a word."""
    return [_word(float(value)) for value in vector]


def _word(value: float) -> float | str:
    return value if not math.isinf(value) else "Infinity" if value > 0 else "-Infinity"


def _refused(response: dict[str, Any]) -> str:
    """Return AWS's code, its status, and the container's where that is known."""
    code = str(response.get("Error", {}).get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    word = code if _CODE.fullmatch(code) else "refused"
    said = f"{word} (HTTP {status})" if isinstance(status, int) else word
    inner = response.get("OriginalStatusCode")
    return f"{said}, its container answered {inner}" if isinstance(inner, int) else said


def _make_client(endpoint: SageMakerEndpoint, timeout_s: float) -> Any:
    import boto3.session  # noqa: PLC0415  heavy; only what asks pays for it
    from botocore.config import Config  # noqa: PLC0415

    for name in ("boto3", "botocore", "urllib3.connectionpool"):
        # At DEBUG they log requests with all that is in them.
        logging.getLogger(name).setLevel(logging.INFO)
    config = Config(
        connect_timeout=timeout_s,
        read_timeout=timeout_s,
        tcp_keepalive=True,
        retries={"total_max_attempts": 1, "mode": "standard"},
    )
    # A session of its own: boto3's default one is not made for threads.
    session = boto3.session.Session(region_name=endpoint.region)
    return session.client("sagemaker-runtime", endpoint_url=endpoint.url, config=config)
