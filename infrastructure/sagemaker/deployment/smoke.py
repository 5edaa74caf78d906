"""The smoke test: vectors whose scores are known from the local bundle, asked of each variant that answers."""

import math

import msgspec
from infrastructure.sagemaker.deployment.account import Account
from infrastructure.sagemaker.deployment.archives import Archive
from infrastructure.sagemaker.deployment.errors import DeployError
from infrastructure.sagemaker.deployment.planning import Plan

from cardwatch.features.engine import default_engine

TOLERANCE = 1e-9
"""Relative: another processor's exponential function may differ in the last bits, another model never so little."""


class _Said(msgspec.Struct, frozen=True):
    scores: tuple[float, ...]
    model_version: str


def known_vectors(archive: Archive) -> list[list[float]]:
    """Return a payment of which nothing is known, and one with what is usual where the bundle says so, else ones."""
    usual = dict(zip(archive.facts.feature_names, archive.facts.feature_medians, strict=True))
    names = default_engine().names
    medians = [usual.get(name) for name in names]
    return [[math.nan] * len(names), [1.0 if median is None else median for median in medians]]


def smoke_test(plan: Plan, account: Account) -> list[str]:
    """Ask every variant for known scores; returns a line each, raises DeployError on the first that differs."""
    lines = []
    for variant in plan.variants:
        archive = variant.archive
        vectors = known_vectors(archive)
        asked = {"vectors": vectors, "spec_hash": archive.facts.spec_hash}
        answer = account.invoke(plan.shape.endpoint, variant=variant.name, body=msgspec.json.encode(asked))
        try:
            said = msgspec.json.decode(answer, type=_Said)
        except msgspec.MsgspecError:
            raise DeployError(f"smoke test: {variant.name} gives no scores") from None
        expected = tuple(archive.scorer.score(vector) for vector in vectors)
        version = archive.facts.model_version
        if said.model_version != version:
            raise DeployError(f"smoke test: {variant.name} holds model {said.model_version}, not {version}")
        if len(said.scores) != len(expected) or not all(map(_close, said.scores, expected)):
            raise DeployError(f"smoke test: {variant.name} scores {said.scores}, this machine {expected}")
        how = "in every bit" if said.scores == expected else f"to within {TOLERANCE:g}"
        lines.append(f"smoke test of {variant.name}: scores equal to this machine's {how}")
    return lines


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=1e-15)
