"""The Scorer port over a model bundle: LightGBM's C library for the numbers, the feature table for the words.

A model may use some of the computed features, in an order of its own; its columns are picked by name.
"""

import math
from collections.abc import Callable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

from cardwatch.adapters.scorers.lightgbm_library import LibraryModel
from cardwatch.adapters.scorers.reasons import Explainer, every, strongest
from cardwatch.domain.decision import Explanation, Reason
from cardwatch.domain.errors import ScorerUnavailable
from cardwatch.features.spec import Feature
from cardwatch.models.bundle import Bundle, column_places

Pick: TypeAlias = Callable[[Sequence[float]], Sequence[float]]
"""Takes a model's columns from a computed vector."""


class BundleScorer:
    """Scores and explains with one bundle; may be used by several threads (see `lightgbm_library`)."""

    def __init__(self, bundle: Bundle, *, features: Sequence[Feature], library: Path | None = None) -> None:
        """Load the bundle's model; `features` are the definition's rows in the order of the computed vector.

        Raises ScorerUnavailable when LightGBM's library or the model cannot be used, or needs what is not computed.
        """
        self.bundle = bundle
        self.model_version: str = bundle.facts.model_version
        self.threshold: float = bundle.facts.threshold
        self.spec_hash: str = bundle.facts.spec_hash
        self._model = LibraryModel(bundle.model_text, library=library)
        names = bundle.facts.feature_names
        if self._model.feature_count != len(names):
            found, wanted = self._model.feature_count, len(names)
            raise ScorerUnavailable(f"model {self.model_version} takes {found} features, its facts name {wanted}")
        by_name = {feature.name: feature for feature in features}
        missing = [name for name in names if name not in by_name]
        if missing:
            raise ScorerUnavailable(f"model {self.model_version} needs the feature {missing[0]}, which is not computed")
        self._computed = tuple(by_name)
        self._features = tuple(by_name[name] for name in names)
        self._pick = _picker(names, self._computed)

    def score(self, vector: Sequence[float]) -> float:
        """Return the probability of fraud, 0..1, of a computed vector; raises ScorerUnavailable."""
        return self._model.score(vector if self._pick is None else self._picked(self._pick, vector))

    def contributions(self, vector: Sequence[float]) -> tuple[float, ...]:
        """Return what each of the model's features adds to the margin, and last the average margin.

        In the order of the bundle's `feature_names`; they sum to the log-odds. Raises ScorerUnavailable.
        """
        return self._model.contributions(vector if self._pick is None else self._picked(self._pick, vector))

    def reasons(self, vector: Sequence[float], *, currency: str) -> tuple[Reason, ...]:
        """Return up to five reasons, those towards fraud first; raises ScorerUnavailable."""
        *contributions, _ = self.contributions(vector)
        return strongest(self._explainer(vector, currency), contributions)

    def explain(self, vector: Sequence[float], *, currency: str) -> Explanation:
        """Return what every feature of the model added to the margin, strongest first; raises ScorerUnavailable."""
        *contributions, base = self.contributions(vector)
        reasons = every(self._explainer(vector, currency), contributions)
        return Explanation(base=base, margin=math.fsum((base, *contributions)), reasons=reasons)

    def _explainer(self, vector: Sequence[float], currency: str) -> Explainer:
        values = dict(zip(self._computed, vector, strict=True))
        return Explainer(self._features, self.bundle.facts.feature_medians, values, currency)

    def _picked(self, pick: Pick, vector: Sequence[float]) -> Sequence[float]:
        if len(vector) != len(self._computed):
            raise ScorerUnavailable(f"the features do not fit: {len(vector)} given, {len(self._computed)} are computed")
        return pick(vector)


def _picker(names: Sequence[str], computed: Sequence[str]) -> Pick | None:
    """Return what takes a model's columns from the computed ones, None where they are the same."""
    if list(names) == list(computed):
        return None
    places = column_places(names, computed)
    if len(places) == 1:
        return lambda vector: (vector[places[0]],)
    return itemgetter(*places)
