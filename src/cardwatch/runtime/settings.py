"""Every setting in one table: name, default, unit, help. Read once, checked as a whole, passed inward.

The names of the setup guide are kept as they are; all others begin with CARDWATCH_. `docs/reference/settings.md` is
generated from this table. Values are never printed back: they may be secrets.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from cardwatch.domain.errors import CardwatchError


class WrongSetting(CardwatchError):
    """A setting has a value that cannot be used; the message says which, why, and what would do."""


class Setting(msgspec.Struct, frozen=True):
    """One row of the table."""

    name: str
    attribute: str
    default: str
    unit: str
    help: str
    parse: Callable[[str], object]
    secret: bool = False


_SECRET_LENGTH_MIN = 16
_DAY_S = 86_400


def _text(value: str) -> str:
    return value


def _optional(value: str) -> str | None:
    return value or None


def _key(value: str) -> str | None:
    if value and len(value.encode()) < _SECRET_LENGTH_MIN:
        raise ValueError(f"must have at least {_SECRET_LENGTH_MIN} characters")
    return value or None


def _path(value: str) -> Path:
    return Path(value).expanduser()


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", value) or not low <= int(value) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(value)

    return parse


def _probability(value: str) -> float | None:
    if not value:
        return None
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 < number <= 1:
        raise ValueError("must be a probability greater than 0 and at most 1, such as 0.5")
    return number


def _phone(value: str) -> str | None:
    if value and not re.fullmatch(r"\+[1-9][0-9]{6,14}", value):
        raise ValueError("must be a number in E.164, such as +12065550100")
    return value or None


def _url(value: str) -> str | None:
    if not value:
        return None
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an http or https URL without query, such as https://pay.example.org")
    return value.rstrip("/")


def _api_keys(value: str) -> dict[str, str]:
    keys: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in value.split(","))):
        name, colon, secret = pair.partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) or len(secret) < _SECRET_LENGTH_MIN:
            raise ValueError(
                f"must be name:secret pairs separated by commas, each secret of {_SECRET_LENGTH_MIN} or more characters"
            )
        if name in keys:
            raise ValueError("must name each key once")
        keys[name] = secret
    return keys


def _one_of(value: str, allowed: tuple[str, ...]) -> str:
    if value.lower() not in allowed:
        raise ValueError(f"must be one of {', '.join(allowed)}")
    return value.lower()


TABLE: tuple[Setting, ...] = (
    Setting(
        "CARDWATCH_DATA_DIR", "data_dir", "cardwatch-data", "path",
        "Folder of all embedded state: database, models, policy, keys.", _path,
    ),
    Setting("CARDWATCH_HOST", "host", "127.0.0.1", "address", "Address that the server listens on.", _text),
    Setting("CARDWATCH_PORT", "port", "8000", "port", "Port that the server listens on.", _whole(0, 65535)),
    Setting(
        "CARDWATCH_PUBLIC_URL", "public_url", "", "URL",
        "The server as providers see it: webhook signatures and links are made for this URL, never for the Host "
        "header. Default: http://HOST:PORT.", _url,
    ),
    Setting(
        "CARDWATCH_API_KEYS", "api_keys", "", "name:secret, ...",
        "Keys accepted in X-API-Key. None is needed from this machine itself, unless CARDWATCH_PUBLIC_URL says that "
        "others reach the server too; without any key it answers on loopback only.", _api_keys, secret=True,
    ),
    Setting(
        "CARDWATCH_DECISION_TIMEOUT_MS", "decision_timeout_ms", "500", "ms",
        "How long POST /transaction waits for the decision before it answers 202.", _whole(0, 60_000),
    ),
    Setting(
        "CARDWATCH_CHALLENGE_TTL_S", "challenge_ttl_s", "1800", "s",
        "Life of a question, from the decision on; without a clear answer the payment then goes to review.",
        _whole(1, 36_000),
    ),
    Setting(
        "CARDWATCH_CHANGE_WINDOW_S", "change_window_s", "3600", "s",
        "How long after a YES a NO still takes the payment back into review.", _whole(0, 30 * _DAY_S),
    ),
    Setting(
        "CARDWATCH_RETENTION_DAYS", "retention_days", "400", "days",
        "How long the change log is kept once every consumer has read it.", _whole(1, 36_500),
    ),
    Setting(
        "CARDWATCH_INSTITUTION", "institution", "Cardwatch", "text",
        "Name that texts begin with: the bank or shop that the cardholder knows.", _text,
    ),
    Setting(
        "CARDWATCH_MODEL", "model", "", "name or path",
        "Model bundle: its name in DATA_DIR/models, or its folder. Default: the packaged model.", _optional,
    ),
    Setting(
        "CARDWATCH_POLICY", "policy", "", "path",
        "File of deny list, rules and allow list (JSON). Default: DATA_DIR/policy.json where it exists.", _optional,
    ),
    Setting(
        "CARDWATCH_TOKEN_KEY", "token_key", "", "text of 16 or more characters",
        "Key that card numbers in imported files are tokenised with. Default: DATA_DIR/token.key, made at first use.",
        _key, secret=True,
    ),
    Setting(
        "CARDWATCH_LINK_KEY", "link_key", "", "text of 16 or more characters",
        "Key that the links in e-mails and notifications are signed with. Default: DATA_DIR/link.key, made at first "
        "use.", _key, secret=True,
    ),
    Setting(
        "CARDWATCH_COMPILED_FEATURES", "compiled_features", "auto", "auto or off",
        "auto: where numba is installed, a server that has run a while compiles the features in a process beside it, "
        "keeps the result in DATA_DIR/compiled and goes over to it. off: features are interpreted. Values are the same "
        "to the bit.", lambda value: _one_of(value, ("auto", "off")),
    ),
    Setting(
        "CARDWATCH_LOG_LEVEL", "log_level", "info", "debug, info, warning or error", "What is logged.",
        lambda value: _one_of(value, ("debug", "info", "warning", "error")),
    ),
    Setting(
        "FRAUD_THRESHOLD", "fraud_threshold", "", "probability",
        "Score from which a payment is challenged. Default: the model bundle's own threshold.", _probability,
    ),
    Setting("TWILIO_ACCOUNT_SID", "twilio_account_sid", "", "sid", "Twilio account.", _optional),
    Setting(
        "TWILIO_AUTH_TOKEN", "twilio_auth_token", "", "token",
        "Twilio's primary auth token; during a rotation the old and the new one, separated by a comma.",
        _optional, secret=True,
    ),
    Setting("TWILIO_FROM_NUMBER", "twilio_from_number", "", "E.164", "Number that texts come from.", _phone),
    Setting(
        "TWILIO_MESSAGING_SERVICE_SID", "twilio_messaging_service_sid", "", "sid",
        "Twilio messaging service, instead of a number.", _optional,
    ),
    Setting(
        "CARDWATCH_TWILIO_API_URL", "twilio_api_url", "https://api.twilio.com", "URL",
        "Where Twilio's API is; tests and proxies change it.", _url,
    ),
)  # fmt: skip


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The values of the table for one process."""

    data_dir: Path
    host: str
    port: int
    public_url: str | None
    api_keys: dict[str, str]
    decision_timeout_ms: int
    challenge_ttl_s: int
    change_window_s: int
    retention_days: int
    institution: str
    model: str | None
    policy: str | None
    token_key: str | None
    link_key: str | None
    compiled_features: str
    log_level: str
    fraud_threshold: float | None
    twilio_account_sid: str | None
    twilio_auth_token: str | None
    twilio_from_number: str | None
    twilio_messaging_service_sid: str | None
    twilio_api_url: str

    @property
    def database(self) -> Path:
        """The embedded store's file."""
        return self.data_dir / "cardwatch.db"

    @property
    def compiled_folder(self) -> Path:
        """Where compiled features are kept; what lies there is run."""
        return self.data_dir / "compiled"

    @property
    def policy_file(self) -> Path | None:
        """The policy file to load, None where there is none."""
        if self.policy:
            return Path(self.policy).expanduser()
        default = self.data_dir / "policy.json"
        return default if default.exists() else None

    @property
    def effective_public_url(self) -> str:
        """The URL that signatures are made for."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{self.port}"

    @property
    def exposed(self) -> bool:
        """Whether the public URL says that others reach this server, through a proxy or a tunnel on this machine."""
        return self.public_url is not None and not is_loopback(urlsplit(self.public_url).hostname or "")

    @property
    def twilio_auth_tokens(self) -> tuple[str, ...]:
        """The token that sends first; during a rotation the other one, which is still accepted in signatures."""
        return tuple(token.strip() for token in (self.twilio_auth_token or "").split(","))

    @property
    def twilio_sender(self) -> str:
        """What texts are sent from: a messaging service where one is set, else the number."""
        return self.twilio_messaging_service_sid or self.twilio_from_number or ""

    @property
    def uses_twilio(self) -> bool:
        """Whether a real provider sends the texts; otherwise the simulated phone does."""
        return self.twilio_account_sid is not None


def read_settings(environment: Mapping[str, str], **overrides: object) -> Settings:
    """Read the table from an environment; keyword arguments that are not None win over it.

    Raises WrongSetting with one line for the first wrong value.
    """
    values: dict[str, object] = {}
    for setting in TABLE:
        override = overrides.get(setting.attribute)
        raw = str(override) if override is not None else environment.get(setting.name, "").strip() or setting.default
        try:
            values[setting.attribute] = setting.parse(raw)
        except ValueError as error:
            raise WrongSetting(f"{setting.name} {error}") from None
    settings = Settings(**values)  # type: ignore[arg-type]  # each row's parser gives its attribute's type
    _check_together(settings)
    return settings


def _check_together(settings: Settings) -> None:
    twilio = {
        "TWILIO_ACCOUNT_SID": settings.twilio_account_sid,
        "TWILIO_AUTH_TOKEN": settings.twilio_auth_token,
        "TWILIO_FROM_NUMBER (or TWILIO_MESSAGING_SERVICE_SID)": settings.twilio_from_number
        or settings.twilio_messaging_service_sid,
    }
    given = [name for name, value in twilio.items() if value]
    missing = [name for name, value in twilio.items() if not value]
    if given and missing:
        raise WrongSetting(f"{missing[0]} is needed beside {given[0]}; unset both for the simulated phone")
    if not is_loopback(settings.host) and not settings.api_keys:
        raise WrongSetting(
            "CARDWATCH_HOST is not a loopback address, so CARDWATCH_API_KEYS is needed: make one with "
            "`python3 -c \"import secrets; print('ops:' + secrets.token_urlsafe(32))\"`"
        )


def is_loopback(host: str) -> bool:
    """Say whether a host name or address reaches this machine alone."""
    if host.lower() in ("localhost", "localhost."):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
