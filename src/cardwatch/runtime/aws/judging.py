"""What decides in the serverless home: features, policy, threshold, and the model at hand or an endpoint before it."""

from collections.abc import Sequence

from cardwatch.adapters.models import open_scorer
from cardwatch.adapters.scorers.fallback import FallbackScorer
from cardwatch.adapters.scorers.sagemaker import ENDPOINT_NAME, SageMakerEndpoint, SageMakerScorer
from cardwatch.domain.decision import Explanation, Reason
from cardwatch.domain.errors import ScorerUnavailable
from cardwatch.features.engine import FeatureEngine
from cardwatch.models.bundle import read_facts
from cardwatch.ports import Scorer
from cardwatch.runtime.aws.home import Home
from cardwatch.runtime.aws.model_folder import engine_of, model_folder
from cardwatch.runtime.aws.speaking import policy_of, sender_of
from cardwatch.services.score_transaction import Asking, Judges

SAGEMAKER_ENDPOINT_NAME = ENDPOINT_NAME
"""What score_sagemaker asks where nothing else is named."""


def local_judges(home: Home) -> Judges:
    """Return what decides with the bundle at hand; raises OperatingError or WrongSetting."""
    engine = home.part(engine_of)
    local = open_scorer(model_folder(home.settings), engine=engine)
    return _judges(home, engine, local)


def chosen_judges(home: Home) -> Judges:
    """Return what decides as the settings say: an endpoint where one is named, with the bundle at hand behind it."""
    name = home.settings.sagemaker_endpoint_name
    return home.part(local_judges) if name is None else _endpoint_judges(home, name)


def endpoint_judges(home: Home) -> Judges:
    """Return what decides with an endpoint, by its usual name where none is set."""
    return _endpoint_judges(home, home.settings.sagemaker_endpoint_name or SAGEMAKER_ENDPOINT_NAME)


def asking_of(home: Home) -> Asking:
    """Return how cardholders are asked."""
    return Asking(home.part(sender_of), home.settings.challenge_ttl_s * 1000, home.randomness)


def _endpoint_judges(home: Home, name: str) -> Judges:
    engine = home.part(engine_of)
    folder = model_folder(home.settings)
    endpoint = SageMakerEndpoint(
        region=home.settings.aws_region or "us-east-1", name=name, url=home.settings.aws_endpoint_url
    )
    first = SageMakerScorer(endpoint, spec_hash=engine.spec_hash, threshold=read_facts(folder).threshold)
    try:
        second: Scorer = open_scorer(folder, engine=engine)
    except ScorerUnavailable as error:
        second = _NoScorer(first, str(error))
    return _judges(home, engine, FallbackScorer(first, second, clock=home.clock))


def _judges(home: Home, engine: FeatureEngine, scorer: Scorer) -> Judges:
    threshold = home.settings.fraud_threshold
    return Judges(
        engine=engine,
        scorer=scorer,
        policy=home.part(policy_of),
        threshold=scorer.threshold if threshold is None else threshold,
    )


class _NoScorer:
    """Stands where LightGBM's library is missing: an endpoint alone still scores."""

    def __init__(self, first: Scorer, why: str) -> None:
        self.model_version, self.threshold, self.spec_hash = "none", first.threshold, first.spec_hash
        self._why = why

    def score(self, _: Sequence[float]) -> float:
        raise ScorerUnavailable(self._why)

    def reasons(self, _: Sequence[float], *, currency: str) -> tuple[Reason, ...]:
        raise ScorerUnavailable(f"{self._why} ({currency})")

    def explain(self, _: Sequence[float], *, currency: str) -> Explanation:
        raise ScorerUnavailable(f"{self._why} ({currency})")
