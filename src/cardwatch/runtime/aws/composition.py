"""Puts a home together: settings from the environment and from secrets, read once and again when they have aged."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, TextIO

import msgspec
import structlog

from cardwatch.domain.errors import OperatingError
from cardwatch.ports import Clock
from cardwatch.runtime.aws.following import follow_of
from cardwatch.runtime.aws.home import Home, World
from cardwatch.runtime.aws.telemetry import EmfMetrics
from cardwatch.runtime.json_logs import configure_logging
from cardwatch.runtime.settings import TABLE, Settings, WrongSetting, read_settings

SECRETS_LIFE_MS: Final = 300_000
"""Age at which secrets are read again: a rotated token is in force within five minutes."""

SECRET_SETTINGS: Final = ("CARDWATCH_TWILIO_SECRET_ARN", "CARDWATCH_API_SECRET_ARN")

ReadSecret = Callable[[str], str]
"""Returns the text of a secret by its ARN or name; raises OperatingError."""

_NAMES: Final = frozenset(setting.name for setting in TABLE)

_log = structlog.get_logger(__name__)


def make_home(settings: Settings, world: World, *, stream: TextIO | None = None) -> Home:
    """Put a home together; metrics go to a stream, by default to standard output."""
    metrics = EmfMetrics(clock=world.clock, namespace=settings.metrics_namespace, stream=stream)
    return Home(settings, world, metrics=metrics, follow=follow_of)


class Composition:
    """The home of a process, made with its first invocation; made anew when a secret has changed."""

    def __init__(
        self, environment: Mapping[str, str], *, read_secret: ReadSecret, open_world: Callable[[Settings], World]
    ) -> None:
        """`open_world` makes what a home stands on, once for the life of the process."""
        self._environment = dict(environment)
        self._read_secret = read_secret
        self._open_world = open_world
        self._world: World | None = None
        self._home: Home | None = None
        self._secrets: dict[str, str] = {}
        self._read_at_ms = 0

    def home(self) -> Home:
        """Return the home of now; raises WrongSetting, or OperatingError where the first secrets cannot be had."""
        if self._home is None or self._world is None:
            return self._begin()
        if self._has_secrets() and self._world.clock.now_ms() - self._read_at_ms >= SECRETS_LIFE_MS:
            self._refresh(self._home, self._world.clock)
        return self._home

    def _begin(self) -> Home:
        self._secrets = self._read_secrets()
        settings = self._settings()
        configure_logging(settings.log_level, sys.stdout)
        self._world = self._world or self._open_world(settings)
        self._read_at_ms = self._world.clock.now_ms()
        self._home = make_home(settings, self._world)
        return self._home

    def _refresh(self, home: Home, clock: Clock) -> None:
        """Read the secrets again; where that fails, those at hand serve on."""
        self._read_at_ms = clock.now_ms()
        try:
            secrets = self._read_secrets()
        except (OperatingError, WrongSetting) as error:
            _log.warning("secrets_not_read", error=type(error).__name__)
            return
        if secrets == self._secrets:
            return
        self._secrets = secrets
        assert self._world is not None  # noqa: S101  a home stands on it
        self._home = make_home(self._settings(), self._world)
        _log.info("secrets_changed")
        home.metrics.flush()

    def _settings(self) -> Settings:
        return read_settings({**self._environment, **self._secrets})

    def _has_secrets(self) -> bool:
        return any(self._environment.get(name) for name in SECRET_SETTINGS)

    def _read_secrets(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in SECRET_SETTINGS:
            arn = self._environment.get(name, "").strip()
            if arn:
                found |= settings_in(self._read_secret(arn), setting=name)
        return found


def settings_in(secret: str, *, setting: str) -> dict[str, str]:
    """Return the settings that a secret's text holds; raises WrongSetting that names `setting`, never the text.

    It is a JSON object of names of the table of settings. Other names are left alone: rotation keeps notes there.
    """
    try:
        values: dict[str, Any] = msgspec.json.decode(secret, type=dict[str, Any])
    except ValueError:
        raise WrongSetting(f"{setting} must name a secret that is a JSON object of settings") from None
    unknown = sorted(values.keys() - _NAMES)
    if unknown:
        _log.warning("secret_names_no_setting", setting=setting, names=unknown)
    wrong = sorted(name for name in values.keys() & _NAMES if not isinstance(values[name], str))
    if wrong:
        raise WrongSetting(f"{setting}: {wrong[0]} must be a text")
    return {name: value for name, value in values.items() if name in _NAMES}
