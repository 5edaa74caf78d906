"""Twilio out of reach: what was certainly not sent is told apart from what nobody knows, over real sockets."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from cardwatch.adapters.channels.twilio.channel import TwilioChannel
from cardwatch.adapters.clock import FixedClock
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message
from cardwatch.ports import NotSent, Sent, UnknownSent
from tests.builders import NOW_MS, OWN_NUMBER, make_message
from tests.fakes.twilio_server import ACCOUNT_SID, AUTH_TOKEN, Fault, ServedTwilio, running_twilio


@pytest.fixture
def twilio() -> Iterator[ServedTwilio]:
    """Serve a fake Twilio."""
    with running_twilio() as fake:
        yield fake


def channel_to(url: str) -> TwilioChannel:
    """Return a channel to an address, impatiently."""
    return TwilioChannel(
        account_sid=ACCOUNT_SID,
        auth_token=AUTH_TOKEN,
        own_number=OWN_NUMBER,
        clock=FixedClock(),
        api_url=url,
        timeout_s=0.5,
    )


def question() -> Message:
    """Return a question made just now."""
    return msgspec.structs.replace(make_message(), created_at_ms=NOW_MS)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500, code=20500, takes=True),
        Fault(status=502),
        Fault(status=503, takes=True),
        Fault(delay_s=1.2),
        Fault(drop=True, takes=True),
        Fault(status=408, takes=True),
        Fault(status=302, takes=True, headers={"Location": "/elsewhere"}),
        Fault(status=200, code=1, takes=True),
        Fault(body="", takes=True),
        Fault(body="<html>welcome to the hotel</html>", takes=True),
        Fault(body="[]", takes=True),
        Fault(body="null", takes=True),
        Fault(body='"SM1"', takes=True),
        Fault(body='{"sid": 7}', takes=True),
        Fault(body='{"sid": "SM', takes=True),
        Fault(body="[" * 100_000, takes=True),
        Fault(body='{"sid": "' + "S" * 100 + '"}', takes=True, stall_s=1.2),
        Fault(body='{"sid": "' + "S" * 100 + '"}', takes=True, cut=True),
    ],
    ids=[
        "500", "502 page", "503 taken", "slow", "dropped", "408", "redirect", "no sid", "empty", "page", "list", "null",
        "text", "numeric sid", "half JSON", "deep JSON", "stalled body", "cut body",
    ],
)  # fmt: skip
def test_no_clear_answer_is_unknown_and_can_be_looked_up(twilio: ServedTwilio, fault: Fault) -> None:
    """Timeouts, 5xx and closed connections may or may not have been taken; the list says which."""
    channel = channel_to(twilio.url)
    message = question()
    twilio.create_faults.append(fault)
    assert isinstance(channel.send(message), UnknownSent)
    found = channel.find(message)
    assert found == (Sent(twilio.texts[0].sid) if twilio.texts else None)
    assert bool(twilio.texts) is (fault.takes or fault.delay_s > 0)


def refusing_url() -> str:
    """Return an address of this machine where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def test_a_dead_provider_has_certainly_not_taken_the_text() -> None:
    """Where no connection came about it is safe to try again; a look-up cannot be answered."""
    channel = channel_to(refusing_url())
    assert channel.send(question()) == NotSent("no connection", retryable=True)
    with pytest.raises(OperatingError):
        channel.find(question())


def test_a_name_that_does_not_exist_is_no_connection() -> None:
    """Nothing was sent to anybody (RFC 6761: .invalid never resolves)."""
    assert channel_to("http://twilio.invalid").send(question()) == NotSent("no connection", retryable=True)


def test_a_dead_proxy_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK goes through the environment's proxy, which may be what is down."""
    monkeypatch.setenv("HTTPS_PROXY", refusing_url())
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    channel = channel_to("https://twilio.invalid")
    assert channel.send(question()) == NotSent("no connection", retryable=True)


def test_a_connection_that_is_never_taken_is_not_sent() -> None:
    """A full backlog: connecting takes longer than the timeout."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        others = [socket.socket() for _ in range(4)]
        for other in others:
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        try:
            channel = channel_to(f"http://127.0.0.1:{full.getsockname()[1]}")
            assert channel.send(question()) == NotSent("no connection", retryable=True)
        finally:
            for other in others:
                other.close()


def test_a_server_that_speaks_no_tls_is_unknown(twilio: ServedTwilio) -> None:
    """Only a certificate that is refused says for sure that nothing went out."""
    assert isinstance(channel_to(twilio.url.replace("http:", "https:")).send(question()), UnknownSent)


def self_signed(folder: Path) -> Path:
    """Write a certificate of nobody with its key, good for a day."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(datetime.now(UTC) - timedelta(days=1))
    certificate = made.not_valid_after(datetime.now(UTC) + timedelta(days=1)).sign(key, hashes.SHA256())
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "nobody.pem"
    file.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    return file


def test_a_certificate_that_is_not_accepted_is_no_connection(tmp_path: Path) -> None:
    """The request is not sent to somebody else; an operator has to look."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))

    def greet(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            context.wrap_socket(connection, server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=greet, args=(listening,), daemon=True)
        thread.start()
        outcome = channel_to(f"https://127.0.0.1:{listening.getsockname()[1]}").send(question())
        thread.join(5)
    assert outcome == NotSent("no connection: certificate not accepted", retryable=True, alarm=True)


def test_a_reset_after_the_request_is_unknown() -> None:
    """The request was written; whether it was read nobody knows."""

    def reset(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        connection.recv(65_536)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=reset, args=(listening,), daemon=True)
        thread.start()
        outcome = channel_to(f"http://127.0.0.1:{listening.getsockname()[1]}").send(question())
        thread.join(5)
    assert isinstance(outcome, UnknownSent)


def test_a_provider_that_dies_and_comes_back_is_used_again(twilio: ServedTwilio) -> None:
    """Kept connections do not outlive the server; nothing is sent twice by the SDK itself."""
    channel = channel_to(twilio.url)
    assert isinstance(channel.send(question()), Sent)
    twilio.die()
    assert channel.send(question()) == NotSent("no connection", retryable=True)
    twilio.revive()
    assert isinstance(channel.send(question()), Sent)
    twilio.die(hanging=True)
    assert isinstance(channel.send(question()), UnknownSent)
    twilio.revive()
    assert len(twilio.texts) == 2
