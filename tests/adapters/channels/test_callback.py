"""Callbacks over real HTTP: the spec's own library verifies them, and no receiver holds them up."""

import base64
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from typing import Any

import msgspec
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from cardwatch.adapters.channels import http_post
from cardwatch.adapters.channels.callback import CallbackChannel, parse_callback_secret, webhook_id
from cardwatch.adapters.clock import FixedClock
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message, MessageKind, MessageState
from cardwatch.ports import NotSent, OnUnknown, Sent, UnknownSent
from tests.builders import make_message
from tests.fakes.callback_receiver import (
    Receiver,
    Reply,
    running_receiver,
    serving,
    unused_url,
    write_certificate,
)

SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four.").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"another one, thirty-two bytes...").decode()
NOW_MS = int(time.time() * 1000)
"""The real present: the spec's library refuses what is five minutes old."""

BODY = '{"type":"payment.declined", "data":{"id":"txn_1","note":"Café  \u2615"}}'


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Serve a receiver."""
    with running_receiver() as serving_one:
        yield serving_one


def channel_to(url: str, *secrets: str, timeout_s: float = 2.0) -> CallbackChannel:
    """Return a channel to a path of a receiver, that signs with the secrets."""
    keys = tuple(parse_callback_secret(secret) for secret in secrets or (SECRET,))
    return CallbackChannel(url=f"{url}/hook?key=s3cret", secrets=keys, clock=FixedClock(NOW_MS), timeout_s=timeout_s)


def callback(**fields: object) -> Message:
    """Return a callback that was written when another address was configured."""
    elsewhere = "http://elsewhere.invalid/hook"
    message = make_message(
        "txn_1:declined:1", kind=MessageKind.CALLBACK, channel="callback", address=elsewhere, body=BODY
    )
    return msgspec.structs.replace(message, **fields)


def test_a_callback_verifies_by_the_specs_own_library(receiver: Receiver) -> None:
    """Id, whole seconds, signature; the body arrives byte for byte."""
    assert channel_to(receiver.url).send(callback()) == Sent("txn_1:declined:1")
    [post] = receiver.posts
    assert (post.path, post.body) == ("/hook?key=s3cret", BODY.encode())
    assert post.headers["content-type"] == "application/json"
    assert post.headers["webhook-id"] == "txn_1:declined:1"
    assert post.headers["webhook-timestamp"] == str(NOW_MS // 1000)
    assert Webhook(SECRET).verify(post.body, post.headers) == msgspec.json.decode(BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER_SECRET).verify(post.body, post.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(post.body + b" ", post.headers)


def test_a_callback_goes_where_is_configured_now(receiver: Receiver) -> None:
    """Also one that was written for another address, which stays a record."""
    waiting = callback(address="https://moved-away.example/hook")
    assert isinstance(channel_to(receiver.url).send(waiting), Sent)
    assert len(receiver.posts) == 1


def test_both_secrets_sign_while_one_is_rotated(receiver: Receiver) -> None:
    """A receiver with the old or the new secret verifies."""
    channel_to(receiver.url, SECRET, OTHER_SECRET).send(callback())
    [post] = receiver.posts
    assert post.headers["webhook-signature"].count("v1,") == len(post.headers["webhook-signature"].split(" ")) == 2
    for secret in (SECRET, OTHER_SECRET):
        Webhook(secret).verify(post.body, post.headers)


@pytest.mark.parametrize(
    ("message_id", "header"),
    [
        ("txn_1:declined", "txn_1:declined"),
        ("1.2:x", "1%2E2:x"),
        ("a b\r\nX-Evil: 1", "a%20b%0D%0AX-Evil:%201"),
        ("ü/%2E", "%C3%BC%2F%252E"),
    ],
)
def test_an_id_can_be_no_other_and_no_header(receiver: Receiver, message_id: str, header: str) -> None:
    """Ids come from payments: dots, which would blur what is signed, and all that is no header are encoded."""
    assert webhook_id(message_id) == header
    assert channel_to(receiver.url).send(callback(message_id=message_id)) == Sent(header)
    [post] = receiver.posts
    assert post.headers["webhook-id"] == header
    assert "x-evil" not in post.headers
    Webhook(SECRET).verify(post.body, post.headers)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_taken(receiver: Receiver, status: int) -> None:
    """Success is a matter of the status alone."""
    receiver.replies.append(Reply(status=status, body=b"" if status == 204 else b"<html>whatever</html>"))
    assert channel_to(receiver.url).send(callback()) == Sent("txn_1:declined:1")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504])
def test_what_was_not_taken_is_sent_again(receiver: Receiver, status: int) -> None:
    """The receiver knows each by its id, so nothing is lost by trying; what it answers is not kept."""
    receiver.replies.append(Reply(status=status, body=b"txn_1 of Ada is unknown"))
    assert channel_to(receiver.url).send(callback()) == NotSent(f"{status} not taken", retryable=True)


def test_gone_is_final(receiver: Receiver) -> None:
    """410 says that the receiver wants no more."""
    receiver.replies.append(Reply(status=410))
    assert channel_to(receiver.url).send(callback()) == NotSent("410 gone: the receiver wants no more", retryable=False)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    """A signed payment goes to the address that was configured, or nowhere."""
    receiver.replies.append(Reply(status=status, headers={"Location": f"{receiver.url}/elsewhere"}))
    refused = channel_to(receiver.url).send(callback())
    assert refused == NotSent(f"{status} redirected: callbacks go only to the address itself", retryable=False)
    assert len(receiver.posts) == 1


@pytest.mark.parametrize("status", [429, 503, 500])
@pytest.mark.parametrize(
    ("header", "wait_ms"),
    [
        ("120", 120_000),
        (formatdate(NOW_MS // 1000 + 90, usegmt=True), (NOW_MS // 1000 + 90) * 1000 - NOW_MS),
        (formatdate(NOW_MS // 1000 - 90, usegmt=True), 0),
        ("99999999999999999999", http_post.RETRY_AFTER_MS_MAX),
        ("soon", None),
        ("-5", None),
        ("\u0663", None),
        ("Mon, 99 Foo 0000 99:99:99 GMT", None),
    ],
)
def test_the_receiver_says_how_long_to_wait(receiver: Receiver, status: int, header: str, wait_ms: int | None) -> None:
    """Retry-After is seconds or a date, at most an hour; nonsense is no answer."""
    receiver.replies.append(Reply(status=status, headers={"Retry-After": header}))
    refused = channel_to(receiver.url).send(callback())
    assert refused == NotSent(f"{status} not taken", retryable=True, retry_after_ms=wait_ms)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(delay_s=2.0),
        Reply(drip_s=0.2),
        Reply(status=200, drip_s=0.2, body=b"x" * 500),
        Reply(status=204, drip_s=0.01, headers={"X-Padding": "x" * 500}),
        Reply(drop=True),
        Reply(half_close=True),
        Reply(raw=b"this is no HTTP at all\r\n\r\n"),
    ],
    ids=["slow", "dripping head", "dripping all", "cut off in its head", "dropped", "half closed", "not HTTP"],
)
def test_no_clear_answer_is_unknown_within_the_deadline(receiver: Receiver, reply: Reply) -> None:
    """A receiver holds a thread no longer than the deadline, however it drips."""
    receiver.replies.append(reply)
    started = time.monotonic()
    assert isinstance(channel_to(receiver.url, timeout_s=0.6).send(callback()), UnknownSent)
    assert time.monotonic() - started < 1.5


def test_a_body_that_drips_takes_nothing_from_the_status(receiver: Receiver) -> None:
    """The status came in time: it is taken, and the thread is free at the deadline."""
    receiver.replies.append(Reply(status=200, body=b"x" * 500, drip_s=0.2, head_first=True))
    started = time.monotonic()
    assert channel_to(receiver.url, timeout_s=0.6).send(callback()) == Sent("txn_1:declined:1")
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize("length", ["80000000", None])
def test_no_more_than_a_kilobyte_is_read(receiver: Receiver, length: str | None) -> None:
    """An endless answer costs neither memory nor time."""
    headers = {"Content-Length": length} if length else {"Transfer-Encoding": "chunked", "Content-Length": ""}
    body = b"x" * 80_000_000 if length else b"4c4b400\r\n" + b"x" * 80_000_000 + b"\r\n0\r\n\r\n"
    receiver.replies.append(Reply(status=200, headers=headers, body=body))
    started = time.monotonic()
    answer = http_post.post(f"{receiver.url}/", body=b"{}", headers={}, timeout_s=2.0)
    assert isinstance(answer, http_post.Answer)
    assert (answer.status, answer.body) == (200, b"x" * 1024)
    assert time.monotonic() - started < 1.5


def test_a_dead_receiver_has_certainly_not_taken_it() -> None:
    """Where no connection came about nothing is in doubt."""
    refused = channel_to(unused_url()).send(callback())
    assert isinstance(refused, NotSent)
    assert refused.retryable
    assert refused.error.startswith("no connection")


@pytest.mark.parametrize(
    "address", ["hook", "ftp://127.0.0.1/x", "http://", "http://[::1", f"http://{'a' * 70}.example/", "http://ho st/"]
)
def test_an_address_that_is_none_is_final(address: str) -> None:
    """It does not get better, and stands in no error."""
    refused = channel_to(address).send(callback())
    assert refused == NotSent("address not usable", retryable=False, tried=False)


def test_a_certificate_that_nobody_signed_is_refused(tmp_path: Path) -> None:
    """TLS is verified before anything is said."""
    receiver = Receiver()
    with serving(receiver, certificate=write_certificate(tmp_path / "own.pem")):
        refused = channel_to(receiver.url).send(callback())
    assert refused == NotSent("no connection (SSLError)", retryable=True)
    assert receiver.posts == []


def test_a_deadline_holds_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator's own authority is trusted by REQUESTS_CA_BUNDLE; a receiver that drips is cut off all the same."""
    receiver = Receiver()
    certificate = write_certificate(tmp_path / "own.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with serving(receiver, certificate=certificate):
        assert isinstance(channel_to(receiver.url).send(callback()), Sent)
        receiver.replies.append(Reply(drip_s=0.2))
        started = time.monotonic()
        assert isinstance(channel_to(receiver.url, timeout_s=0.6).send(callback()), UnknownSent)
        assert time.monotonic() - started < 1.5


def test_a_netrc_is_not_sent_and_the_urls_own_user_is(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another program keeps for a host is none of ours."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    channel_to(receiver.url).send(callback())
    channel_to(receiver.url.replace("http://", "http://user:pass@")).send(callback())
    expected = f"Basic {base64.b64encode(b'user:pass').decode()}"
    assert [post.headers.get("authorization") for post in receiver.posts] == [None, expected]


def test_an_operators_proxy_is_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that refuses the way to an encrypted receiver lets nothing through: safe to try again."""
    monkeypatch.setenv("http_proxy", receiver.url)
    monkeypatch.setenv("https_proxy", receiver.url)
    assert isinstance(channel_to("http://payments.example").send(callback()), Sent)
    assert receiver.posts[0].path == "http://payments.example/hook?key=s3cret"
    receiver.replies.append(Reply(drip_s=0.2))
    assert isinstance(channel_to("http://payments.example", timeout_s=0.6).send(callback()), UnknownSent)
    refused = channel_to("https://payments.example").send(callback())
    assert isinstance(refused, NotSent)
    assert refused.retryable


def test_a_connection_that_comes_too_late_is_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that takes longer than the deadline to be found: certainly not sent."""
    usual = socket.getaddrinfo

    def slow(*args: Any, **keywords: Any) -> Any:
        time.sleep(0.6)
        return usual(*args, **keywords)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    refused = channel_to(receiver.url, timeout_s=0.3).send(callback())
    assert isinstance(refused, NotSent)
    assert refused.retryable
    assert receiver.posts == []


def test_no_handle_is_left_behind(receiver: Receiver) -> None:
    """A process that posts for weeks keeps no connection and no thread of it."""
    channel = channel_to(receiver.url, timeout_s=0.5)
    before = (len(list(Path("/proc/self/fd").iterdir())), threading.active_count())
    for reply in (Reply(), Reply(drop=True), Reply(status=500, body=b"x" * 5_000), Reply(drip_s=0.2)) * 3:
        receiver.replies.append(reply)
        channel.send(callback())
    channel_to(unused_url(), timeout_s=0.5).send(callback())
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        after = (len(list(Path("/proc/self/fd").iterdir())), threading.active_count())
        if after[0] <= before[0] and after[1] <= before[1]:
            return
        time.sleep(0.05)
    pytest.fail(f"{before} became {after}")


def test_a_claim_that_waited_too_long_is_given_back_unsent(receiver: Receiver) -> None:
    """Another worker may have it by the time that it is sent."""
    claimed = callback(state=MessageState.SENDING, due_at_ms=NOW_MS + 6_999)
    channel = channel_to(receiver.url)
    assert channel.send(claimed) == NotSent("claim ran out before it was sent", retryable=True, tried=False)
    assert receiver.posts == []
    assert isinstance(channel.send(msgspec.structs.replace(claimed, due_at_ms=NOW_MS + 7_000)), Sent)


def test_several_threads_send_at_once(receiver: Receiver) -> None:
    """Each has its own connection, and its own signature."""
    channel = channel_to(receiver.url)
    messages = [callback(message_id=f"txn_{number}:declined") for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(channel.send, messages)) == [Sent(message.message_id) for message in messages]
    for post in receiver.posts:
        Webhook(SECRET).verify(post.body, post.headers)


def test_callbacks_are_sent_again_and_not_looked_up() -> None:
    """That is what the channel promises the outbox."""
    channel = channel_to("http://127.0.0.1")
    assert (channel.name, channel.own_address, channel.on_unknown) == ("callback", "", OnUnknown.RESEND)
    with pytest.raises(OperatingError):
        channel.find(callback())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "begins with whsec_"),
        ("YSBzZWNyZXQgb2YgdHdlbnR5LWZvdXIu", "begins with whsec_"),
        ("whsec_!!!", "is base64"),
        ("whsec_\u00fc", "is base64"),
        ("whsec_" + base64.b64encode(b"x" * 23).decode(), "24 to 64 bytes, this one 23"),
        ("whsec_" + base64.b64encode(b"x" * 65).decode(), "24 to 64 bytes, this one 65"),
    ],
)
def test_a_secret_that_will_not_do_is_told_in_a_sentence(text: str, said: str) -> None:
    """It says what is wrong and never repeats the secret."""
    with pytest.raises(ValueError, match=said) as told:
        parse_callback_secret(text)
    assert told.value.__suppress_context__ or told.value.__context__ is None
    assert len(text) < 7 or text[6:] not in str(told.value)
    with pytest.raises(ValueError, match="need a secret"):
        CallbackChannel(url="http://127.0.0.1", secrets=(), clock=FixedClock(NOW_MS))


def test_nothing_secret_is_logged_or_told(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """With every logger at its most talkative: no address, no body, no secret; others may still log by urllib3."""
    for name in ("", "urllib3", "urllib3.connectionpool", "urllib3.util.retry", "requests"):
        caplog.set_level(logging.DEBUG, logger=name)
    told = []
    for reply in (Reply(), Reply(status=500), Reply(status=302), Reply(drop=True)):
        receiver.replies.append(reply)
        told.append(channel_to(receiver.url).send(callback()))
    told.append(channel_to(unused_url()).send(callback()))
    told.append(channel_to("http://[::1").send(callback()))
    for secret in ("s3cret", "127.0.0.1", "Café", SECRET[6:], "v1,"):
        assert secret not in caplog.text
        assert secret not in str(told)
    logging.getLogger("urllib3.connectionpool").debug("of somebody else")
    assert "of somebody else" in caplog.text


def test_requests_is_imported_by_the_first_callback_only() -> None:
    """The module itself stays light."""
    check = "import sys, cardwatch.adapters.channels.callback; print('requests' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "False"
