"""Every setting is checked when it is read; a wrong one stops the start with one line that names it."""

from pathlib import Path

import pytest

from cardwatch.domain.answer_link import read_link
from cardwatch.runtime.keys import link_key
from cardwatch.runtime.open_channels import link_life_ms, link_maker
from cardwatch.runtime.settings import TABLE, Setting, Settings, WrongSetting, is_loopback, read_settings
from tests.builders import make_message

SECRET = "a-secret-nobody-may-see"
GUIDE_NAMES = {"TRANSACTIONS_TABLE", "ACCOUNTS_TABLE", "SAGEMAKER_ENDPOINT_NAME", "NOTIFY_LAMBDA_NAME"}
"""Names that the setup guide gives to settings of AWS."""
WRONG = {
    "CARDWATCH_PORT": ["x", "-1", "65536", "8000.5", "1" * 20, "80\u0660\u0660"],
    "CARDWATCH_PUBLIC_URL": ["shop.example", "ftp://x", "https://", "https://x?a=b", "https://x#f", "http://[::1", "http://x:y",
                             "http://x:99999", "http://pay.example", "http://192.168.1.5:8000", "https://u:p@pay.example",
                             "https://:p@pay.example", "https://@pay.example", "https://pay.example:0", "http://127.0.0.1:0",
                             "https://pay.example/a b", "https://pay.example/a\nb"],
    "CARDWATCH_API_KEYS": ["ops", "ops:short", f"o ps:{SECRET}", f":{SECRET}", f"ops:{SECRET},ops:{SECRET}"],
    "CARDWATCH_INSTITUTION": ["Bank\r\nBcc: x@y.example", "Bank\x00"],
    "CARDWATCH_DECISION_TIMEOUT_MS": ["-1", "60001", "half"],
    "CARDWATCH_CHALLENGE_TTL_S": ["0", "36001", "30m"],
    "CARDWATCH_CHANGE_WINDOW_S": ["-1", "x"],
    "CARDWATCH_RETENTION_DAYS": ["0", "36501"],
    "CARDWATCH_LOG_LEVEL": ["loud", "trace"],
    "CARDWATCH_EMAIL_FROM": ["bank", "a@b@c", "Bank <fraud@bank.example>", "x@y, z@y", "a b@c"],
    "CARDWATCH_SMTP_SECURITY": ["ssl", "plain"],
    "CARDWATCH_SMTP_PORT": ["0", "mail"],
    "CARDWATCH_CALLBACK_URL": ["http://shop.example/hook", "shop.example", "https://u:p@x/", "ftp://x", "https://",
                               "https://:p@x/", "https://x:99999/", "https://x:0/", "https://x/a\r\nb", "https://[x/"],
    "TRANSACTIONS_TABLE": ["ab", "a table", "t/x"],
    "CARDWATCH_SCORING": ["later", "sync"],
    "CARDWATCH_CORS_ORIGIN": ["shop.example", "https://shop.example/path"],
    "FRAUD_THRESHOLD": ["0", "1.1", "-0.5", "nan", "inf", "high", "50%"],
    "TWILIO_FROM_NUMBER": ["2025550100", "+0123456789", "+1 206 555 0100", "Cardwatch"],
    "CARDWATCH_TWILIO_API_URL": ["api.twilio.com", "file:///etc/passwd"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_wrong_value_is_one_line_that_names_the_setting(name: str, value: str) -> None:
    """And says what would do, without the value."""
    with pytest.raises(WrongSetting) as refused:
        read_settings({name: value})
    line = str(refused.value)
    assert line.startswith(f"{name} must ")
    assert "\n" not in line
    assert len(value) < 9 or value not in line
    assert SECRET not in line


@pytest.mark.parametrize("setting", TABLE, ids=[setting.name for setting in TABLE])
def test_every_row_is_complete(setting: Setting) -> None:
    """Name, unit and help are there, and the default is a value that would do."""
    assert setting.name.startswith(("CARDWATCH_", "TWILIO_", "FRAUD_", "AWS_")) or setting.name in GUIDE_NAMES
    assert setting.unit
    assert setting.help.endswith(".")
    setting.parse(setting.default)


def test_table_and_settings_are_the_same() -> None:
    """Each row has its attribute, each attribute its row, each once."""
    attributes = [setting.attribute for setting in TABLE]
    assert sorted(attributes) == sorted(Settings.__struct_fields__)
    assert len({setting.name for setting in TABLE}) == len(TABLE)


def test_every_row_stands_in_the_reference_page() -> None:
    """With its default and its help."""
    page = (Path(__file__).parents[2] / "docs/reference/settings.md").read_text()
    for setting in TABLE:
        assert setting.name in page
        assert setting.help.split(":")[0][:40] in page


def test_secrets_are_marked() -> None:
    """What opens a door is a secret."""
    assert {setting.name for setting in TABLE if setting.secret} >= {"CARDWATCH_API_KEYS", "TWILIO_AUTH_TOKEN"}


def test_empty_environment_gives_the_defaults() -> None:
    """Safe ones: loopback, no key, the simulated phone."""
    settings = read_settings({})
    assert (settings.host, settings.port, settings.api_keys, settings.uses_twilio) == ("127.0.0.1", 8000, {}, False)
    assert settings.fraud_threshold is None


def test_blank_value_is_no_value() -> None:
    """As compose files and CI set them."""
    assert read_settings({"CARDWATCH_PORT": "  ", "FRAUD_THRESHOLD": ""}) == read_settings({})


def test_argument_wins_over_the_environment() -> None:
    """Unless it is None."""
    assert read_settings({"CARDWATCH_PORT": "9000"}, port=9001).port == 9001
    assert read_settings({"CARDWATCH_PORT": "9000"}, port=None).port == 9000


def test_several_keys_are_read() -> None:
    """Each by its name; spaces around them do not count."""
    keys = read_settings({"CARDWATCH_API_KEYS": f"ops:{SECRET}, shop:{SECRET}:2 ,"}).api_keys
    assert keys == {"ops": SECRET, "shop": f"{SECRET}:2"}


@pytest.mark.parametrize("host", ["::", "192.168.1.5", "example.org"])
def test_other_than_loopback_needs_a_key(host: str) -> None:
    """And the refusal says how to make one."""
    with pytest.raises(WrongSetting, match="CARDWATCH_API_KEYS is needed") as refused:
        read_settings({"CARDWATCH_HOST": host})
    assert "secrets.token_urlsafe" in str(refused.value)
    assert read_settings({"CARDWATCH_HOST": host, "CARDWATCH_API_KEYS": f"ops:{SECRET}"}).host == host


@pytest.mark.parametrize(
    "given", [{"TWILIO_ACCOUNT_SID"}, {"TWILIO_AUTH_TOKEN"}, {"TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"}]
)
def test_half_a_provider_is_refused(given: set[str]) -> None:
    """Twilio needs all of its settings, and none of them is printed."""
    with pytest.raises(WrongSetting, match="is needed beside") as refused:
        read_settings(dict.fromkeys(given, SECRET))
    assert SECRET not in str(refused.value)


def test_number_alone_is_enough_where_another_function_sends() -> None:
    """Who puts a question into the outbox says from where it comes, and needs no key to the provider."""
    settings = read_settings({"TWILIO_FROM_NUMBER": "+12025550199", "NOTIFY_LAMBDA_NAME": "FraudDetection-Notify"})
    assert (settings.twilio_sender, settings.uses_twilio) == ("+12025550199", False)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("localhost", True), ("LOCALHOST", True), ("localhost.", True),
     ("::1", True),
     ("[::1]", True), ("192.168.1.5", False), ("::", False), ("localhost.example.org", False),
     ("127.0.0.1.nip.io", False),
     ("", False), ("2130706433", False)],
)  # fmt: skip
def test_loopback_is_this_machine_alone(host: str, expected: bool) -> None:
    """By name or address, and nothing that only looks like it."""
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"CARDWATCH_HOST": "::1"}, "http://[::1]:8000"),
        ({"CARDWATCH_PUBLIC_URL": "https://pay.example.org/"}, "https://pay.example.org"),
    ],
)
def test_signatures_are_made_for_a_real_url(environment: dict[str, str], url: str) -> None:
    """An IPv6 address is bracketed, a final slash dropped."""
    assert read_settings(environment).effective_public_url == url


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        ({"CARDWATCH_SMTP_HOST": "mail"}, "CARDWATCH_EMAIL_FROM"),
        ({"CARDWATCH_EMAIL_FROM": "a@b.example"}, "CARDWATCH_SMTP_HOST (or AWS_REGION, for Amazon SES)"),
        ({"CARDWATCH_SMTP_USERNAME": "me"}, "CARDWATCH_SMTP_PASSWORD"),
        ({"CARDWATCH_SMTP_PASSWORD": SECRET}, "CARDWATCH_SMTP_USERNAME"),
        ({"CARDWATCH_VAPID_PRIVATE_KEY": SECRET}, "CARDWATCH_VAPID_SUBJECT"),
        ({"CARDWATCH_CALLBACK_URL": "https://shop.example/hook"}, "CARDWATCH_CALLBACK_SECRET"),
        ({"CARDWATCH_CALLBACK_SECRET": SECRET}, "CARDWATCH_CALLBACK_URL"),
        ({"CARDWATCH_EMAIL_FROM": "a@b.example", "CARDWATCH_SMTP_HOST": "mail"}, "CARDWATCH_PUBLIC_URL"),
        ({"CARDWATCH_EMAIL_FROM": "a@b.example", "AWS_REGION": "us-east-1"}, "CARDWATCH_PUBLIC_URL"),
        ({"CARDWATCH_FCM_CREDENTIALS": "key.json"}, "CARDWATCH_PUBLIC_URL"),
        (
            {"CARDWATCH_VAPID_PRIVATE_KEY": SECRET, "CARDWATCH_VAPID_SUBJECT": "mailto:a@b.example"},
            "CARDWATCH_PUBLIC_URL",
        ),
    ],
)
def test_half_of_a_channel_is_refused(given: dict[str, str], needed: str) -> None:
    """The line names what is missing beside what is given."""
    with pytest.raises(WrongSetting) as refused:
        read_settings(given)
    assert str(refused.value) == f"{needed} is needed beside {next(iter(given))}"


@pytest.mark.parametrize(
    "url", ["https://pay.example", "https://pay.example:8443/cardwatch", "http://127.0.0.1:8000", "http://[::1]:8000"]
)
def test_links_lead_over_https_or_to_this_machine(url: str) -> None:
    """Loopback in clear is for trials on one machine."""
    settings = read_settings(
        {"CARDWATCH_EMAIL_FROM": "a@b.example", "CARDWATCH_SMTP_HOST": "mail", "CARDWATCH_PUBLIC_URL": url}
    )
    assert settings.effective_public_url == url


@pytest.mark.parametrize(
    ("change_window_s", "life_h"), [(0, 72), (3600, 72), (62 * 3600, 72), (63 * 3600, 73), (30 * 86_400, 730)]
)
def test_links_live_as_long_as_a_yes_can_be_taken_back(change_window_s: int, life_h: int) -> None:
    """Three days after the question at least; a question itself lives for ten hours at most."""
    settings = read_settings({"CARDWATCH_CHANGE_WINDOW_S": str(change_window_s)})
    assert link_life_ms(settings) == life_h * 3_600_000


def test_a_mailed_link_lives_as_the_settings_say(tmp_path: Path) -> None:
    """The maker that the channels are given takes the life from them."""
    message = make_message(channel="email", nonce="f" * 32)
    ends_ms = []
    for window in ("3600", str(30 * 86_400)):
        settings = read_settings(
            {
                "CARDWATCH_EMAIL_FROM": "a@b.example",
                "CARDWATCH_SMTP_HOST": "mail",
                "CARDWATCH_PUBLIC_URL": "https://pay.example",
                "CARDWATCH_LINK_KEY": SECRET,
                "CARDWATCH_CHANGE_WINDOW_S": window,
            },
            data_dir=tmp_path,
        )
        link = read_link(link_maker(settings).links(message).deny_url.rpartition("/")[2], key=link_key(settings))
        assert link is not None
        ends_ms.append(link.expires_at_ms)
    assert ends_ms[1] - ends_ms[0] == (730 - 72) * 3_600_000
