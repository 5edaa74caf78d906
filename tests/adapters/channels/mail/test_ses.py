"""E-mail through Amazon SES: against moto, which is another's idea of SES, and against a fake that misbehaves."""

import logging
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path

import httpx
import pytest

from cardwatch.adapters.channels.links import LinkMaker
from cardwatch.adapters.channels.mail.ses import SesChannel, SesServer, check_ses
from cardwatch.adapters.clock import FixedClock
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message
from cardwatch.ports import NotSent, OnUnknown, Sent, UnknownSent
from tests.builders import NOW_MS, make_message
from tests.fakes.ses_server import FakeSes, SesAnswer, running_ses

pytest.importorskip("boto3", reason="boto3 comes with the extra 'aws'")

FROM = "cards@bank.example"
HOLDER = "ada@example.com"
REGION = "eu-west-1"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
MOTO_SERVER = Path.home() / ".cache" / "cardwatch" / "moto" / "bin" / "moto_server"
"""Made by `uv venv` and `uv pip install 'moto[server]'`, apart from the product's own packages."""


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give AWS's tools credentials that nobody has, and nowhere else to look."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
def ses() -> Iterator[FakeSes]:
    """Serve a fake SES."""
    with running_ses() as fake:
        yield fake


def server_at(url: str, **fields: object) -> SesServer:
    """Return an impatient SES at a URL."""
    return SesServer(**{"region": REGION, "endpoint_url": url, "timeout_s": 0.5, **fields})  # type: ignore[arg-type]


def channel_to(url: str, *, now_ms: int = NOW_MS, **fields: object) -> SesChannel:
    """Return a channel to an SES at a URL."""
    return SesChannel(
        server=server_at(url, **fields),
        from_address=FROM,
        institution="First Bank",
        links=LinkMaker(public_url="https://cards.example.com", key=b"a key of the tests, 32 bytes long"),
        clock=FixedClock(now_ms),
    )


def question(**fields: object) -> Message:
    """Return a question by e-mail."""
    usual: dict[str, object] = {
        "channel": "email",
        "address": HOLDER,
        "own_address": FROM,
        "subject": "First Bank: did you try to spend $1,500.00 at Süspicious Store?",
        "body": "Did you pay $1,500.00 at Süspicious Store?\n\nWe never ask for your password.",
        "language": "en",
        "nonce": "0123456789abcdef" * 2,
    }
    return make_message("txn_1:challenge:email:question:1", **{**usual, **fields})


def test_a_mail_is_handed_over_as_composed(ses: FakeSes) -> None:
    """Raw, from our address to one holder, by the configuration set; the answer's id is kept."""
    assert channel_to(ses.url, configuration_set="cards").send(question()) == Sent("0100-1")
    request = ses.requests[0]
    assert request["FromEmailAddress"] == FROM
    assert request["Destination"] == {"ToAddresses": [HOLDER]}
    assert request["ConfigurationSetName"] == "cards"
    mail = message_from_bytes(ses.mails[0], policy=policy.default)
    assert (mail["To"], mail["Subject"]) == (HOLDER, question().subject)
    channel_to(ses.url).send(question())
    assert "ConfigurationSetName" not in ses.requests[1]


def test_the_channel_says_what_it_is(ses: FakeSes) -> None:
    """It is "email", comes from our address, is left alone where nobody knows, and cannot be asked."""
    channel = channel_to(ses.url)
    channel.prepare()
    assert (channel.name, channel.own_address, channel.on_unknown) == ("email", FROM, OnUnknown.LEAVE)
    with pytest.raises(OperatingError):
        channel.find(question())


CREDENTIALS = "not authenticated: check the AWS credentials and their policy"
VERIFY = "not accepted: check that sender and, in the sandbox, receivers are verified"


def alarm(error: str) -> NotSent:
    """Return what an operator has to act on."""
    return NotSent(error, retryable=False, alarm=True)


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (400, "MessageRejected", alarm(f"MessageRejected {VERIFY}")),
        (400, "MailFromDomainNotVerifiedException", alarm("MailFromDomainNotVerified sender's domain not verified")),
        (400, "AccountSuspendedException", alarm("AccountSuspended account suspended")),
        (400, "SendingPausedException", alarm("SendingPaused sending paused")),
        (404, "NotFoundException", alarm("NotFound configuration set or identity not found")),
        (400, "BadRequestException", NotSent("BadRequest request not accepted", retryable=False)),
        (429, "TooManyRequestsException", NotSent("TooManyRequests too many requests", retryable=True)),
        (400, "ThrottlingException", NotSent("Throttling too many requests", retryable=True)),
        (400, "Throttling", NotSent("Throttling too many requests", retryable=True)),
        (400, "LimitExceededException", NotSent("LimitExceeded limit reached", retryable=True)),
        (429, "SomethingNew", NotSent("429 too many requests", retryable=True)),
        (403, "AccessDeniedException", alarm(f"AccessDenied {CREDENTIALS}")),
        (403, "InvalidSignatureException", alarm(f"InvalidSignature {CREDENTIALS}")),
        (403, "ExpiredTokenException", alarm(f"ExpiredToken {CREDENTIALS}")),
        (403, "RequestTimeTooSkewed", alarm("RequestTimeTooSkewed this machine's clock is wrong")),
        (403, "SomethingNew", alarm(f"403 {CREDENTIALS}")),
        (400, "ada@example.com", NotSent("400 refused", retryable=False)),
        (500, "InternalServiceErrorException", UnknownSent("HTTP 500")),
        (503, "ServiceUnavailable", UnknownSent("HTTP 503")),
        (503, "ThrottlingException", UnknownSent("HTTP 503")),
    ],
)
def test_a_refusal_is_judged_by_its_code(ses: FakeSes, status: int, code: str, outcome: NotSent | UnknownSent) -> None:
    """Ours to mend, the address's, later, or unknown; asked once only, and no word of AWS's is kept."""
    ses.answers.append(SesAnswer(status=status, code=code))
    assert channel_to(ses.url).send(question()) == outcome
    assert len(ses.requests) == 1


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (SesAnswer(drop=True), UnknownSent("no answer")),
        (SesAnswer(delay_s=1.5), UnknownSent("no answer")),
        (SesAnswer(delay_in_body_s=1.5), UnknownSent("no answer")),
        (SesAnswer(body=b"<html>gateway</html>"), UnknownSent("answer without an id")),
        (SesAnswer(body=b"[1]"), UnknownSent("answer not readable")),
        (SesAnswer(body=b"null"), UnknownSent("answer not readable")),
        (SesAnswer(body=b"\xff\xfe"), UnknownSent("answer not readable")),
        (SesAnswer(body=b'{"MessageId": 7}'), UnknownSent("answer without an id")),
        (SesAnswer(body=b"{}"), UnknownSent("answer without an id")),
        (SesAnswer(status=502, body=b"<html>gateway</html>"), UnknownSent("HTTP 502")),
        (SesAnswer(status=400, body=b"<html>gateway</html>"), NotSent("400 refused", retryable=False)),
        (SesAnswer(status=302, body=b""), UnknownSent("HTTP 302")),
    ],
    ids=lambda given: None if isinstance(given, SesAnswer) else given.error,
)
def test_what_is_no_answer_is_unknown(ses: FakeSes, answer: SesAnswer, outcome: NotSent | UnknownSent) -> None:
    """SES may have the mail: it is asked once and never again."""
    ses.answers.append(answer)
    assert channel_to(ses.url).send(question()) == outcome
    assert len(ses.requests) == 1


def test_nobody_there_is_no_send() -> None:
    """A port that refuses, and a name that nobody has, may be tried again."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        assert channel_to(url).send(question()) == NotSent("no connection", retryable=True)
    assert channel_to("http://ses.invalid").send(question()) == NotSent("no connection", retryable=True)


def test_settings_of_aws_that_cannot_be_alarm(ses: FakeSes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile that is not there, and a URL that is none: nothing is asked."""
    assert channel_to("no URL").send(question()) == alarm("no SES client: check the AWS settings")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert channel_to(ses.url).send(question()) == alarm("no SES client: check the AWS settings")
    with pytest.raises(OperatingError, match="SES in eu-west-1: no SES client: check the AWS settings"):
        check_ses(server_at(ses.url))
    assert ses.requests == []


def test_without_credentials_an_operator_is_told(ses: FakeSes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked then."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert channel_to(ses.url).send(question()) == alarm("no AWS credentials")
    assert ses.requests == []


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"expires_at_ms": NOW_MS}, "life ended"),
        ({"address": "ada,eve@example.com"}, "address not mailable"),
        ({"nonce": None}, "message without links"),
        ({"address": "jörg@example.com"}, "address needs SMTPUTF8, which SES lacks"),
    ],
)
def test_what_is_not_to_go_out_is_not_asked(ses: FakeSes, fields: dict[str, object], error: str) -> None:
    """A question whose life ended, and addresses that SES does not take."""
    assert channel_to(ses.url).send(question(**fields)) == NotSent(error, retryable=False)
    assert ses.requests == []


def test_several_threads_send_at_once(ses: FakeSes) -> None:
    """One client serves them all, also while it is made."""
    channel = channel_to(ses.url, timeout_s=10.0)
    outcomes: list[object] = []
    threads = [threading.Thread(target=lambda: outcomes.append(channel.send(question()))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20.0)
    assert sorted(map(repr, outcomes)) == sorted(repr(Sent(f"0100-{number}")) for number in range(1, 13))


def test_the_check_tells_account_and_quota(ses: FakeSes) -> None:
    """One line, without a mail."""
    assert check_ses(server_at(ses.url)) == "SES in eu-west-1 sends, 120 of 50000 mails in 24 hours (production)"
    ses.account["ProductionAccessEnabled"] = False
    assert check_ses(server_at(ses.url)).endswith("(sandbox: only verified addresses get mail)")
    assert ses.requests == []


def test_the_check_names_what_is_wrong(ses: FakeSes) -> None:
    """Switched off, refused, or not there."""
    ses.answers.append(SesAnswer(status=403, code="AccessDeniedException"))
    with pytest.raises(OperatingError, match="SES in eu-west-1: AccessDenied not authenticated"):
        check_ses(server_at(ses.url))
    ses.answers.append(SesAnswer(body=b"<html>"))
    with pytest.raises(OperatingError, match="answer not readable"):
        check_ses(server_at(ses.url))
    ses.answers.append(SesAnswer(drop=True))
    with pytest.raises(OperatingError, match="no answer"):
        check_ses(server_at(ses.url))
    ses.account["SendingEnabled"] = False
    with pytest.raises(OperatingError, match="switched off"):
        check_ses(server_at(ses.url))


def test_nothing_private_is_logged_or_shown(
    ses: FakeSes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither address nor text nor link nor key, at any level, whether it went well or not."""
    with caplog.at_level(logging.DEBUG):
        channel = channel_to(ses.url)
        outcomes = [channel.send(question())]
        for answer in (SesAnswer(status=400, code="MessageRejected"), SesAnswer(drop=True), SesAnswer(status=500)):
            ses.answers.append(answer)
            outcomes.append(channel.send(question()))
    shown = capfd.readouterr()
    everything = caplog.text + shown.out + shown.err + repr(outcomes)
    for secret in (HOLDER, "ada@", "spicious", "/answer/", SECRET_KEY, "AKIA"):
        assert secret not in everything


@pytest.fixture
def moto(tmp_path: Path) -> Iterator[str]:
    """Serve moto's SES; skips where moto cannot be had."""
    if not MOTO_SERVER.exists():
        uv = shutil.which("uv") or pytest.skip(f"{MOTO_SERVER} is missing, and there is no uv to make it")
        folder = MOTO_SERVER.parents[1]
        made = subprocess.run([uv, "venv", "-q", folder], check=False).returncode == 0
        python = folder / "bin" / "python"
        wanted = [uv, "pip", "install", "-q", "--python", str(python), "moto[server]>=5.2"]
        if not made or subprocess.run(wanted, check=False, timeout=100).returncode:
            pytest.skip("moto could not be installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with (tmp_path / "moto.log").open("wb") as log:
        process = subprocess.Popen([MOTO_SERVER, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
        try:
            wait_for(url)
            yield url
        finally:
            process.terminate()
            process.wait(10.0)


def wait_for(url: str) -> None:
    """Wait until moto answers, for a minute at most."""
    deadline = time.monotonic() + 60.0
    while True:
        try:
            httpx.get(f"{url}/moto-api/data.json", timeout=2.0)
        except httpx.TransportError:
            assert time.monotonic() < deadline, "moto did not start"
            time.sleep(0.2)
        else:
            return


@pytest.mark.slow
def test_moto_takes_the_mail_of_a_verified_sender(moto: str) -> None:
    """Refused before the sender is verified, taken after, and in moto's outbox it is the mail that we made."""
    import boto3

    channel = channel_to(moto, timeout_s=20.0)
    assert channel.send(question()) == alarm(f"MessageRejected {VERIFY}")
    boto3.client("sesv2", region_name=REGION, endpoint_url=moto).create_email_identity(EmailIdentity=FROM)
    outcome = channel.send(question())
    assert isinstance(outcome, Sent)
    kept = httpx.get(f"{moto}/moto-api/data.json", timeout=10.0).json()["ses"]["RawMessage"]
    assert [message["id"] for message in kept] == [outcome.provider_sid]
    assert set(kept[0]["destinations"]) == {HOLDER}
    mail = message_from_bytes(kept[0]["raw_data"].encode(), policy=policy.default)
    assert (mail["To"], mail["Subject"]) == (HOLDER, question().subject)
