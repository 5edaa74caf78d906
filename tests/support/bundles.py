"""Small models of chosen features, as bundles."""

import math
from collections.abc import Sequence
from pathlib import Path

import lightgbm
import numpy as np

from cardwatch.features.engine import default_engine
from cardwatch.models.bundle import FORMAT_VERSION, Bundle, Facts


def train_booster(names: Sequence[str], *, seed: int = 7, rows: int = 2000) -> lightgbm.Booster:
    """Train a model of these features on random rows, with missing values among them."""
    numbers = np.random.default_rng(seed)
    matrix = numbers.normal(size=(rows, len(names))) * 100
    matrix[numbers.random(matrix.shape) < 0.1] = math.nan
    labels = (np.nan_to_num(matrix).sum(axis=1) > 120).astype(float)
    parameters = {"objective": "binary", "num_leaves": 15, "verbose": -1, "num_threads": 1, "seed": 1}
    return lightgbm.train(parameters, lightgbm.Dataset(matrix, labels, feature_name=list(names)), 20)


def make_facts(names: Sequence[str], **fields: object) -> Facts:
    """Return what is known of a model that was measured by nobody."""
    known: dict[str, object] = {
        "format_version": FORMAT_VERSION,
        "model_version": "small-1",
        "source": "random numbers",
        "threshold": 0.5,
        "threshold_chosen_by": "a test",
        "feature_names": tuple(names),
        "feature_medians": (1.0,) * len(names),
        "spec_hash": default_engine().spec_hash,
        "window": None,
        "seeds": {},
        "parameters": {},
        "trees": 20,
        "metrics": None,
        "costs": None,
        "libraries": {},
        "checksums": {},
    }
    return Facts(**{**known, **fields})  # type: ignore[arg-type]


def bundle_of(booster: lightgbm.Booster, **fields: object) -> Bundle:
    """Return a bundle of a model, on no disk."""
    names = booster.feature_name()
    return Bundle(folder=Path(), facts=make_facts(names, **fields), model_text=booster.model_to_string())
