"""The body of `POST /invocations` in, scores out: JSON that names its feature definition, or CSV, a vector a line.

A score leaves as the shortest decimal that reads back as the same float64, so that it is the scorer's in every bit.
What is refused is refused in one sentence that repeats no value. Nothing here knows of HTTP but the status.
"""

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from cardwatch.domain.decision import Explanation, Reason
from cardwatch.domain.errors import ScorerUnavailable
from cardwatch.domain.money import MINOR_DIGITS
from cardwatch.ports import Scorer

JSON, CSV = "application/json", "text/csv"

BODY_BYTES_MAX = 6 * 1024**2
"""SageMaker's own limit for a request to a real-time endpoint."""

EXPLAINED_MAX = 1000
"""Vectors that one request may have explained: TreeSHAP takes a millisecond each, SageMaker waits 60 s at most."""

Value: TypeAlias = float | Literal["Infinity", "-Infinity"] | None
"""A feature's value; null where it is missing, the words where JSON has no number."""

_WORDS: dict[object, float] = {None: math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked; exactly one of `vector` and `vectors` is given."""

    spec_hash: str
    """Of the feature definition that computed the vectors."""
    vector: list[Value] | None = None
    vectors: list[list[Value]] | None = None
    explain: bool = False
    """Whether reasons and explanations are wanted too."""
    currency: str = "USD"
    """Of the amounts in the reasons' words."""


class Scores(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is answered, in the order of the vectors."""

    scores: tuple[float, ...]
    model_version: str
    spec_hash: str
    threshold: float
    """Probability from which the model's own cost analysis challenges."""
    reasons: tuple[tuple[Reason, ...], ...] = ()
    explanations: tuple[Explanation, ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """Status, type and bytes of an answer."""

    status: int
    content_type: str
    body: bytes


class _Refused(Exception):
    """The request cannot be answered as it is; the message says why in one sentence."""


def refusal(status: int, sentence: str) -> Answer:
    """Answer with one sentence."""
    return Answer(status, JSON, msgspec.json.encode({"error": sentence}))


TOO_LARGE = refusal(413, f"the body is larger than {BODY_BYTES_MAX} bytes")


def answer_invocation(body: bytes, content_type: str, *, scorer: Scorer, features: int) -> Answer:
    """Score what a body asks for; `features` is how many values the definition computes."""
    kind = content_type.partition(";")[0].strip().lower()
    if len(body) > BODY_BYTES_MAX:
        return TOO_LARGE
    if kind not in (JSON, CSV):
        return refusal(415, f"the body must be {JSON} or {CSV}")
    try:
        return _answer_json(body, scorer, features) if kind == JSON else _answer_csv(body, scorer, features)
    except _Refused as error:
        return refusal(400, str(error))
    except ScorerUnavailable:
        return refusal(500, "the model could not score this")


def _answer_json(body: bytes, scorer: Scorer, features: int) -> Answer:
    try:
        request = msgspec.json.decode(body, type=Request)
    except msgspec.ValidationError as error:
        raise _Refused(_fault(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _Refused("the body is not JSON") from None
    if request.spec_hash != scorer.spec_hash:
        raise _Refused(f"the vectors are of another feature definition than this model's, {scorer.spec_hash}")
    if (request.vector is None) == (request.vectors is None):
        raise _Refused("give either vector or vectors")
    given = [request.vector] if request.vector is not None else request.vectors or []
    vectors = [[value if value.__class__ is float else _WORDS[value] for value in vector] for vector in given]
    _check(vectors, features)
    if request.currency not in MINOR_DIGITS:
        raise _Refused("the currency must be a code of ISO 4217, such as USD")
    if request.explain and len(vectors) > EXPLAINED_MAX:
        raise _Refused(f"at most {EXPLAINED_MAX} vectors can be explained at once")
    scores = Scores(
        scores=tuple(map(scorer.score, vectors)),
        model_version=scorer.model_version,
        spec_hash=scorer.spec_hash,
        threshold=scorer.threshold,
        reasons=tuple(scorer.reasons(one, currency=request.currency) for one in vectors if request.explain),
        explanations=tuple(scorer.explain(one, currency=request.currency) for one in vectors if request.explain),
    )
    return Answer(200, JSON, msgspec.json.encode(scores))


def _answer_csv(body: bytes, scorer: Scorer, features: int) -> Answer:
    try:
        lines = body.decode("utf-8").splitlines()
        vectors = [[_number(value) for value in line.split(",")] for line in lines if line.strip()]
    except ValueError:
        raise _Refused("a line must hold numbers with commas between them, nothing where one is missing") from None
    _check(vectors, features)
    scores = "".join(f"{score!r}\n" for score in map(scorer.score, vectors))
    return Answer(200, CSV, scores.encode())


def _number(text: str) -> float:
    if "_" in text:  # Python's own way of writing numbers, nobody else's
        raise ValueError
    return float(text) if text.strip() else math.nan


def _check(vectors: Sequence[Sequence[float]], features: int) -> None:
    if not vectors:
        raise _Refused("there is no vector to score")
    for number, vector in enumerate(vectors, start=1):
        if len(vector) != features:
            raise _Refused(f"vector {number} has {len(vector)} values, the feature definition has {features}")


def _fault(said: str) -> str:
    """Return what msgspec found without the values that it may quote."""
    if said.startswith(("Object missing required field", "Object contains unknown field")):
        return f"the request does not fit: {said.partition(' - at')[0]}"
    if "vector" in said:
        return "a vector must hold numbers, and null where one is missing"
    return 'the request does not fit: {"spec_hash": text, "vectors": [[number or null, ...], ...], "explain": false}'
