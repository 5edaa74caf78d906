"""The settings of a process: read once, checked as a whole, passed inward.

Values are never printed back: they may be secrets.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from cardwatch.domain.errors import CardwatchError
from cardwatch.runtime.setting_table import TABLE, Setting
from cardwatch.runtime.setting_values import is_loopback

__all__ = ["TABLE", "Setting", "Settings", "WrongSetting", "is_loopback", "read_settings"]


class WrongSetting(CardwatchError):
    """A setting has a value that cannot be used; the message says which, why, and what would do."""


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
    email_from: str | None
    smtp_host: str | None
    smtp_port: int
    smtp_security: str
    smtp_username: str | None
    smtp_password: str | None
    aws_region: str | None
    transactions_table: str
    accounts_table: str
    states_table: str
    conversations_table: str
    aws_endpoint_url: str | None
    sagemaker_endpoint_name: str | None
    notify_lambda_name: str | None
    scoring: str
    twilio_secret_arn: str | None
    api_secret_arn: str | None
    metrics_namespace: str
    cors_origin: str | None
    ses_configuration_set: str | None
    fcm_credentials: str | None
    vapid_private_key: str | None
    vapid_subject: str | None
    callback_url: str | None
    callback_secret: tuple[str, ...]
    alert_urls: tuple[str, ...]
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
    def twilio_is_near(self) -> bool:
        """Whether what stands in for Twilio runs on this machine, and so reaches a loopback address."""
        return is_loopback(urlsplit(self.twilio_api_url).hostname or "")

    @property
    def twilio_auth_tokens(self) -> tuple[str, ...]:
        """The token that sends first; during a rotation the other one, which is still accepted in signatures."""
        return tuple(token.strip() for token in (self.twilio_auth_token or "").split(","))

    @property
    def twilio_sender(self) -> str:
        """What replies come to: the number where one is set, else whichever the messaging service picks."""
        return self.twilio_from_number or self.twilio_messaging_service_sid or ""

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
    _check_pairs(settings)
    given = [name for name, value in twilio.items() if value]
    missing = [name for name, value in twilio.items() if not value]
    others_send = settings.notify_lambda_name is not None and not (
        settings.twilio_account_sid or settings.twilio_auth_token
    )
    if given and missing and not others_send:  # who leaves sending to another function needs no more than the number
        raise WrongSetting(f"{missing[0]} is needed beside {given[0]}; unset both for the simulated phone")
    if not is_loopback(settings.host) and not settings.api_keys:
        raise WrongSetting(
            "CARDWATCH_HOST is not a loopback address, so CARDWATCH_API_KEYS is needed: make one with "
            "`python3 -c \"import secrets; print('ops:' + secrets.token_urlsafe(32))\"`"
        )


def _check_pairs(settings: Settings) -> None:
    """Refuse half of what only works as a whole."""
    pairs = (
        ("CARDWATCH_SMTP_HOST", settings.smtp_host, "CARDWATCH_EMAIL_FROM", settings.email_from),
        ("CARDWATCH_SMTP_USERNAME", settings.smtp_username, "CARDWATCH_SMTP_PASSWORD", settings.smtp_password),
        ("CARDWATCH_SMTP_PASSWORD", settings.smtp_password, "CARDWATCH_SMTP_USERNAME", settings.smtp_username),
        ("CARDWATCH_VAPID_PRIVATE_KEY", settings.vapid_private_key, "CARDWATCH_VAPID_SUBJECT", settings.vapid_subject),
        ("CARDWATCH_CALLBACK_URL", settings.callback_url, "CARDWATCH_CALLBACK_SECRET", settings.callback_secret),
        ("CARDWATCH_CALLBACK_SECRET", settings.callback_secret, "CARDWATCH_CALLBACK_URL", settings.callback_url),
        (
            "CARDWATCH_EMAIL_FROM",
            settings.email_from,
            "CARDWATCH_SMTP_HOST (or AWS_REGION, for Amazon SES)",
            settings.smtp_host or settings.aws_region,
        ),
        # Without it their links would lead to the reader's own machine.
        ("CARDWATCH_EMAIL_FROM", settings.email_from, "CARDWATCH_PUBLIC_URL", settings.public_url),
        ("CARDWATCH_FCM_CREDENTIALS", settings.fcm_credentials, "CARDWATCH_PUBLIC_URL", settings.public_url),
        ("CARDWATCH_VAPID_PRIVATE_KEY", settings.vapid_private_key, "CARDWATCH_PUBLIC_URL", settings.public_url),
    )
    for name, value, needed, beside in pairs:
        if value and not beside:
            raise WrongSetting(f"{needed} is needed beside {name}")
