"""Puts the embedded application together; the one module that names adapters."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from cardwatch.adapters.channels.breaker import CircuitBreaker
from cardwatch.adapters.channels.provider import (
    SIMULATED_NUMBER,
    MessagingProvider,
    simulated_provider,
    twilio_provider,
)
from cardwatch.adapters.channels.twilio.check import check_account
from cardwatch.adapters.clock import SystemClock, SystemRandomness
from cardwatch.adapters.gazetteer import OfflineGazetteer
from cardwatch.adapters.models import find_model, label_delay_of, list_models, open_scorer
from cardwatch.adapters.scorers.bundle_scorer import BundleScorer
from cardwatch.adapters.sqlite.store import SqliteReader, SqliteStore
from cardwatch.domain.errors import InvalidInput, StoreUnavailable
from cardwatch.domain.policy import Policy, parse_policy
from cardwatch.domain.transaction import TransactionRecord
from cardwatch.models.bundle import read_facts
from cardwatch.ports import Channel, Clock, Gazetteer, Metrics, Provider, Randomness, Store
from cardwatch.runtime.application import Application, Parts
from cardwatch.runtime.background import Means
from cardwatch.runtime.compiled_features import FeatureCompiler, open_engine
from cardwatch.runtime.housekeeping import Housekeeping
from cardwatch.runtime.keys import link_key
from cardwatch.runtime.open_channels import check_email, open_channels, own_addresses
from cardwatch.runtime.outbox import Outbox
from cardwatch.runtime.scoring import ScoringConsumer
from cardwatch.runtime.settings import Settings, WrongSetting
from cardwatch.runtime.sweeps import Sweeps
from cardwatch.runtime.telemetry import PrometheusMetrics
from cardwatch.runtime.writer import Writer
from cardwatch.services.label_effect import label_effect
from cardwatch.services.reach import Sender
from cardwatch.services.score_transaction import Asking, Decided, Judges, score_transaction

__all__ = ["check_email", "find_model", "list_models", "open_channels"]


def system_clock() -> Clock:
    """Return the machine's clock."""
    return SystemClock()


def system_randomness() -> Randomness:
    """Return the machine's source of ids and secrets."""
    return SystemRandomness()


def open_gazetteer() -> Gazetteer:
    """Load the offline gazetteer."""
    return OfflineGazetteer()


def open_model(folder: Path | None) -> BundleScorer:
    """Open a model bundle, None for the packaged one; raises OperatingError."""
    return open_scorer(folder)


def active_model(settings: Settings) -> Path:
    """Return the folder of the model that serves under these settings; raises OperatingError when there is none."""
    return find_model(settings.model or "default", settings.data_dir)


def open_application(settings: Settings) -> Application:
    """Open the data folder and everything that serves it; raises OperatingError or WrongSetting."""
    clock, randomness = SystemClock(), SystemRandomness()
    judges = load_judges(settings)
    store = open_store(settings)
    reader = store.reader()
    metrics = PrometheusMetrics()
    provider = open_provider(settings, reader=reader, clock=clock, randomness=randomness)
    channels = open_channels(settings, clock=clock)
    sender = _sender(settings, judges, provider.channel.own_address, own_addresses(settings, channels))
    asking = Asking(sender, settings.challenge_ttl_s * 1000, randomness)
    scoring = _consumer(store, judges, asking, clock, metrics)
    writer = Writer(store, scoring)
    means = Means(
        store=store,
        reader=reader,
        writer=writer,
        sender=sender,
        clock=clock,
        randomness=randomness,
        metrics=metrics,
    )
    outbox = Outbox(means, [_guarded(provider, clock), *channels.values()])
    scoring.on_texts = outbox.wake
    return Application(
        Parts(
            settings=settings,
            store=store,
            reader=reader,
            housekeeping=_housekeeping(settings, store, writer, clock),
            compiler=FeatureCompiler(judges.engine, settings),
            clock=clock,
            randomness=randomness,
            gazetteer=OfflineGazetteer(),
            metrics=metrics,
            judges=judges,
            writer=writer,
            scoring=scoring,
            outbox=outbox,
            sweeps=Sweeps(means, on_messages=outbox.wake),
            provider=provider,
            link_key=link_key(settings),
        )
    )


def _housekeeping(settings: Settings, store: SqliteStore, writer: Writer, clock: Clock) -> Housekeeping:
    return Housekeeping(
        store=store,
        writer=writer,
        checkpointer=store.checkpointer(),
        clock=clock,
        retention_days=settings.retention_days,
    )


def _sender(settings: Settings, judges: Judges, own_number: str, others: Mapping[str, str]) -> Sender:
    return Sender(institution=settings.institution, own_number=own_number, others=others, rules=judges.policy.asking)


def open_sender(settings: Settings) -> Sender:
    """Return our end of the conversation where nothing is sent: who speaks, on which channels, by which rules."""
    others, rules = own_addresses(settings, open_channels(settings, clock=SystemClock())), load_policy(settings).asking
    own_number = settings.twilio_sender if settings.uses_twilio else SIMULATED_NUMBER
    return Sender(institution=settings.institution, own_number=own_number, others=others, rules=rules)


def _guarded(provider: Provider, clock: Clock) -> Channel:
    """Return what sends texts, behind a circuit breaker; the simulated phone is never down."""
    return provider.channel if provider.simulated else CircuitBreaker(provider.channel, clock=clock)


def open_provider(
    settings: Settings, *, reader: SqliteReader, clock: Clock, randomness: Randomness
) -> MessagingProvider:
    """Make the provider that the settings name: Twilio, or the simulated phone."""
    if settings.twilio_account_sid is None:
        return simulated_provider(store=reader, public_url=settings.effective_public_url, randomness=randomness)
    return twilio_provider(
        account_sid=settings.twilio_account_sid,
        auth_tokens=settings.twilio_auth_tokens,
        own_number=settings.twilio_sender,
        messaging_service_sid=settings.twilio_messaging_service_sid if settings.twilio_from_number else None,
        public_url=settings.effective_public_url,
        reports=settings.exposed or settings.twilio_is_near,
        api_url=settings.twilio_api_url,
        clock=clock,
    )


def open_store(settings: Settings) -> SqliteStore:
    """Open the data folder for writing; raises StoreUnavailable when another process has it."""
    return SqliteStore(settings.database)


def open_reader(settings: Settings) -> SqliteReader:
    """Open the data folder for reading, whoever writes it; raises StoreUnavailable when nothing is there."""
    if not settings.database.exists():
        raise StoreUnavailable(f"there is no data in {settings.data_dir}; `cardwatch seed` or `serve` makes some")
    return SqliteReader(settings.database)


def load_judges(settings: Settings) -> Judges:
    """Load what decides: features, model, policy, threshold."""
    engine = open_engine(settings, label_delay_s=active_label_delay(settings))
    scorer = open_scorer(active_model(settings), engine=engine)
    threshold = settings.fraud_threshold if settings.fraud_threshold is not None else scorer.threshold
    return Judges(engine=engine, scorer=scorer, policy=load_policy(settings), threshold=threshold)


def active_label_delay(settings: Settings) -> int:
    """Return how many seconds old payments are before the active model's features read their labels."""
    return label_delay_of(read_facts(active_model(settings)))


def load_policy(settings: Settings) -> Policy:
    """Load the policy file, or the empty policy where there is none; raises WrongSetting that names the fault."""
    path = settings.policy_file
    if path is None:
        return Policy()
    try:
        return parse_policy(path.read_bytes())
    except OSError as error:
        raise WrongSetting(f"CARDWATCH_POLICY: {path} cannot be read: {error.strerror}") from error
    except InvalidInput as error:
        raise WrongSetting(f"CARDWATCH_POLICY: {path}: {error}") from error


def check_twilio(settings: Settings) -> str:
    """Ask Twilio whether credentials and number are good; returns what it said. Raises OperatingError."""
    return check_account(
        account_sid=settings.twilio_account_sid or "",
        auth_token=settings.twilio_auth_tokens[0],
        own_number=settings.twilio_sender,
        api_url=settings.twilio_api_url,
    )


def _consumer(store: Store, judges: Judges, asking: Asking, clock: Clock, metrics: Metrics) -> ScoringConsumer:
    decide = partial(_decide, store=store, judges=judges, asking=asking)
    return ScoringConsumer(store, decide, partial(label_effect, store=store, engine=judges.engine), clock, metrics)


def _decide(record: TransactionRecord, now_ms: int, *, store: Store, judges: Judges, asking: Asking) -> Decided:
    return score_transaction(record, store=store, judges=judges, asking=asking, now_ms=now_ms)
