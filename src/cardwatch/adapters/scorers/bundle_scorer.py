"""The Scorer port over a model bundle: LightGBM's C library for the numbers, the feature table for the words."""

from collections.abc import Sequence
from pathlib import Path

from cardwatch.adapters.scorers.lightgbm_library import LibraryModel
from cardwatch.adapters.scorers.reasons import explain
from cardwatch.domain.decision import Reason
from cardwatch.domain.errors import ScorerUnavailable
from cardwatch.features.spec import Feature
from cardwatch.models.bundle import Bundle


class BundleScorer:
    """Scores and explains with one bundle; may be used by several threads (see `lightgbm_library`)."""

    def __init__(self, bundle: Bundle, *, features: Sequence[Feature], library: Path | None = None) -> None:
        """Load the bundle's model; `features` are the definition's rows in the order of the vector.

        Raises ScorerUnavailable when LightGBM's library or the model cannot be used.
        """
        self.bundle = bundle
        self.model_version: str = bundle.facts.model_version
        self.threshold: float = bundle.facts.threshold
        self.spec_hash: str = bundle.facts.spec_hash
        self._features = tuple(features)
        self._model = LibraryModel(bundle.model_text, library=library)
        if self._model.feature_count != len(self._features):
            found, wanted = self._model.feature_count, len(self._features)
            raise ScorerUnavailable(f"model {self.model_version} takes {found} features, {wanted} are computed")

    def score(self, vector: Sequence[float]) -> float:
        """Return the probability of fraud, 0..1; raises ScorerUnavailable."""
        return self._model.score(vector)

    def contributions(self, vector: Sequence[float]) -> tuple[float, ...]:
        """Return what each feature adds to the margin, and last the average margin; they sum to the log-odds."""
        return self._model.contributions(vector)

    def reasons(self, vector: Sequence[float], *, currency: str) -> tuple[Reason, ...]:
        """Return up to five reasons, those towards fraud first; raises ScorerUnavailable."""
        return explain(
            vector,
            self._model.contributions(vector)[:-1],
            features=self._features,
            medians=self.bundle.facts.feature_medians,
            currency=currency,
        )
