"""A home is made of the environment and of secrets: read once, again after five minutes, and never shown."""

import io
import json

import pytest

from cardwatch.adapters.clock import FixedClock, SeededRandomness
from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.errors import OperatingError
from cardwatch.runtime import telemetry
from cardwatch.runtime.aws.composition import SECRETS_LIFE_MS, Composition, make_home, settings_in
from cardwatch.runtime.aws.home import World
from cardwatch.runtime.aws.speaking import own_addresses, sender_of
from cardwatch.runtime.aws.telemetry import COUNTERS, UNITS, EmfMetrics
from cardwatch.runtime.bootstrap import open_sender
from cardwatch.runtime.settings import Settings, WrongSetting, read_settings

TWILIO = {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "first-token", "TWILIO_FROM_NUMBER": "+12025550199"}


class Vault:
    """Secrets by their ARN; counts how often it is asked."""

    def __init__(self, **secrets: str) -> None:
        self.secrets = secrets
        self.asked = 0

    def read(self, arn: str) -> str:
        """Return a secret, or fail as AWS does."""
        self.asked += 1
        if arn not in self.secrets:
            raise OperatingError("the secret cannot be read (ResourceNotFoundException)")
        return self.secrets[arn]


class Process:
    """A function's process."""

    def __init__(self, vault: Vault, **environment: str) -> None:
        self.clock = FixedClock()
        self.opened = 0
        self.composition = Composition(environment, read_secret=vault.read, open_world=self._open)

    def _open(self, _: Settings) -> World:
        self.opened += 1
        return World(store=MemoryStore(), clock=self.clock, randomness=SeededRandomness(1))


def test_secrets_are_settings_and_are_read_once() -> None:
    """Every invocation of five minutes serves with the same home."""
    vault = Vault(arn=json.dumps(TWILIO))
    process = Process(vault, CARDWATCH_TWILIO_SECRET_ARN="arn")
    home = process.composition.home()
    process.clock.advance(SECRETS_LIFE_MS - 1)
    assert process.composition.home() is home
    assert (home.settings.twilio_auth_token, vault.asked, process.opened) == ("first-token", 1, 1)


def test_rotated_secret_is_in_force_after_five_minutes() -> None:
    """The store stays open; a secret that did not change makes nothing anew."""
    vault = Vault(arn=json.dumps(TWILIO))
    process = Process(vault, CARDWATCH_TWILIO_SECRET_ARN="arn")
    home = process.composition.home()
    process.clock.advance(SECRETS_LIFE_MS)
    assert process.composition.home() is home
    vault.secrets["arn"] = json.dumps({**TWILIO, "TWILIO_AUTH_TOKEN": "second-token"})
    process.clock.advance(SECRETS_LIFE_MS)
    assert process.composition.home().settings.twilio_auth_token == "second-token"
    assert process.opened == 1


def test_vault_that_is_down_leaves_the_secrets_at_hand() -> None:
    """Only the first reading must succeed."""
    vault = Vault(arn=json.dumps(TWILIO))
    process = Process(vault, CARDWATCH_TWILIO_SECRET_ARN="arn")
    home = process.composition.home()
    vault.secrets.clear()
    process.clock.advance(SECRETS_LIFE_MS)
    assert process.composition.home() is home
    with pytest.raises(OperatingError):
        Process(vault, CARDWATCH_TWILIO_SECRET_ARN="arn").composition.home()


@pytest.mark.parametrize("text", ["", "first-token", "[]", '{"TWILIO_AUTH_TOKEN": 5}', '{"TWILIO_AUTH_TOKEN": null}'])
def test_secret_of_another_form_is_refused_unseen(text: str) -> None:
    """The line names the setting that points to it."""
    with pytest.raises(WrongSetting, match="CARDWATCH_TWILIO_SECRET_ARN") as refused:
        settings_in(text, setting="CARDWATCH_TWILIO_SECRET_ARN")
    assert "first-token" not in str(refused.value)


def test_names_of_no_setting_are_left_alone() -> None:
    """Rotation keeps notes in secrets."""
    assert settings_in('{"note": 1, "CARDWATCH_LINK_KEY": "k"}', setting="CARDWATCH_API_SECRET_ARN") == {
        "CARDWATCH_LINK_KEY": "k"
    }


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"CARDWATCH_EMAIL_FROM": "bank@example.com", "AWS_REGION": "us-east-2"},
        {"CARDWATCH_CALLBACK_URL": "https://x.example/", "CARDWATCH_CALLBACK_SECRET": "whsec_" + "A" * 44},
        {"CARDWATCH_ALERT_URLS": "json://127.0.0.1/x"},
    ],
)
def test_messages_speak_as_in_the_other_home(environment: dict[str, str]) -> None:
    """From the same numbers and addresses, though nothing is opened to know them."""
    settings = read_settings(
        {
            **environment,
            **TWILIO,
            "CARDWATCH_LINK_KEY": "a key of sixteen or more",
            "CARDWATCH_PUBLIC_URL": "https://bank.example",
        }
    )
    world = World(store=MemoryStore(), clock=FixedClock(), randomness=SeededRandomness(1))
    sender, other = sender_of(make_home(settings, world)), open_sender(settings)
    assert (sender.institution, sender.own_number, dict(sender.others)) == (
        other.institution,
        other.own_number,
        dict(other.others),
    )
    assert own_addresses(settings) == dict(other.others)


def test_metrics_have_the_names_of_the_other_home() -> None:
    """With the same labels; this home has a few more."""
    embedded = {name: labels for name, (_, labels) in telemetry._COUNTERS.items()}
    assert {name: labels for name, labels in COUNTERS.items() if name in embedded} == embedded
    assert set(UNITS) == set(telemetry._HISTOGRAMS)


def test_metrics_are_lines_in_the_embedded_format() -> None:
    """One for each set of labels, values in lists of at most 100; nothing is written twice."""
    stream = io.StringIO()
    metrics = EmfMetrics(clock=FixedClock(), namespace="Bank", stream=stream)
    metrics.count("decisions_total", {"outcome": "approve", "by": "threshold"})
    metrics.count("decisions_total", {"outcome": "approve", "by": "threshold"}, 2)
    for number in range(150):
        metrics.observe("fraud_score", number / 1000)
    metrics.flush()
    metrics.flush()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == 3
    directive = lines[0]["_aws"]["CloudWatchMetrics"][0]
    assert directive["Namespace"] == "Bank"
    assert directive["Dimensions"] == [["outcome", "by"], []]
    assert directive["Metrics"] == [{"Name": "decisions_total", "Unit": "Count"}]
    assert (lines[0]["decisions_total"], lines[0]["outcome"]) == (3, "approve")
    assert [len(line["fraud_score"]) for line in lines[1:]] == [100, 50]


def test_unknown_metric_is_a_fault() -> None:
    """A misspelt name would be a metric that no alarm looks at."""
    metrics = EmfMetrics(clock=FixedClock())
    with pytest.raises(KeyError):
        metrics.count("decision_total")
    with pytest.raises(ValueError, match="labels"):
        metrics.count("decisions_total", {"outcome": "approve"})
    with pytest.raises(ValueError, match="not measured"):
        metrics.observe("seconds", 1)
