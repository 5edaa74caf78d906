"""Notifications to browsers: a push service over real HTTP verifies the sender, and the browser decrypts."""

import base64
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cardwatch.adapters.channels.push.channel import Notification
from cardwatch.adapters.channels.push.web import WebPushSender, check_vapid, vapid_public_key
from cardwatch.adapters.clock import FixedClock
from cardwatch.domain.account import PushTarget, push_target
from cardwatch.ports import NotSent, Sent, UnknownSent
from tests.fakes.callback_receiver import Reply, unused_url
from tests.fakes.push_service import FakePushService, encoded, point, running_push_service

NOW_MS = int(time.time() * 1000)
"""The real present: signatures are checked against it."""

KEY = ec.generate_private_key(ec.SECP256R1())
RAW_KEY = encoded(KEY.private_numbers().private_value.to_bytes(32, "big"))
SUBJECT = "mailto:fraud@bank.example"
NOTIFICATION = Notification(
    title="Bank of Tests",
    body="Did you pay 1.500,00 € at Café Straße?",
    link="https://bank.example/answer/chl_1?token=s3cret-link",
    tag="a-tag_of_thirty-two_letters_here",
    life_s=1800,
    expires_at_s=NOW_MS // 1000 + 1800,
)


@pytest.fixture
def service() -> Iterator[FakePushService]:
    """Serve a push service whose browser subscribed with our key."""
    with running_push_service() as fake:
        fake.server_key = encoded(point(KEY.public_key()))
        yield fake


def sender(*, key: str = RAW_KEY, timeout_s: float = 2.0) -> WebPushSender:
    """Return a sender with a key."""
    return WebPushSender(vapid_private_key=key, subject=SUBJECT, clock=FixedClock(NOW_MS), timeout_s=timeout_s)


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, form: serialization.PrivateFormat) -> str:
    """Return a key as PEM."""
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def test_the_browser_reads_what_was_sealed_for_it(service: FakePushService) -> None:
    """Signed for this service, twelve hours at most; sealed for this browser; urgent, for the remaining life."""
    target = push_target(service.target.address)
    assert sender().send(target, NOTIFICATION) == Sent(NOTIFICATION.tag)
    assert service.shown == [
        {
            "title": "Bank of Tests",
            "body": "Did you pay 1.500,00 € at Café Straße?",
            "link": NOTIFICATION.link,
            "tag": NOTIFICATION.tag,
        }
    ]
    assert service.claims == [{"aud": service.url, "exp": NOW_MS // 1000 + 43_200, "sub": SUBJECT}]
    [post] = service.posts
    kept = {name: post.headers[name] for name in ("ttl", "urgency", "topic", "content-encoding")}
    assert kept == {"ttl": "1800", "urgency": "high", "topic": NOTIFICATION.tag, "content-encoding": "aes128gcm"}
    assert b"s3cret" not in post.body


def test_the_longest_question_fits(service: FakePushService) -> None:
    """Push services take 4096 bytes."""
    long = msgspec.structs.replace(NOTIFICATION, body="ü" * 180, link="https://bank.example/" + "x" * 500)
    assert isinstance(sender().send(service.target, long), Sent)


@pytest.mark.parametrize(
    "key",
    [
        RAW_KEY,
        base64.urlsafe_b64encode(KEY.private_numbers().private_value.to_bytes(32, "big")).decode() + "\n",
        pem(KEY, serialization.PrivateFormat.PKCS8),
        pem(KEY, serialization.PrivateFormat.TraditionalOpenSSL),
    ],
    ids=["raw", "padded", "PKCS8", "SEC1"],
)
def test_the_key_may_be_written_in_every_usual_form(service: FakePushService, key: str) -> None:
    """As `web-push` prints it, or as openssl does."""
    check_vapid(private_key=key, subject=SUBJECT)
    assert vapid_public_key(key) == service.server_key
    assert isinstance(sender(key=key).send(service.target, NOTIFICATION), Sent)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "none",
        "ü",
        "A" * 43,
        encoded(b"\xff" * 32),
        encoded(b"\x01" * 31),
        "-----BEGIN PRIVATE KEY-----\nnone\n-----END PRIVATE KEY-----",
        pem(ec.generate_private_key(ec.SECP384R1()), serialization.PrivateFormat.PKCS8),
        pem(rsa.generate_private_key(public_exponent=65537, key_size=2048), serialization.PrivateFormat.PKCS8),
    ],
)
def test_a_key_that_will_not_do_is_told_in_a_sentence(key: str) -> None:
    """It says what would do, and never repeats the key."""
    wanted = "neither PEM nor base64 of a key on the curve P-256"
    with pytest.raises(ValueError, match=wanted):
        sender(key=key).prepare()
    with pytest.raises(ValueError, match=wanted) as told:
        check_vapid(private_key=key, subject=SUBJECT)
    assert len(key) < 5 or key not in str(told.value)


@pytest.mark.parametrize("subject", ["", "fraud@bank.example", "http://bank.example", "mailto:nobody"])
def test_a_subject_that_will_not_do_is_told_in_a_sentence(subject: str) -> None:
    """Push services want to be able to write to somebody."""
    with pytest.raises(ValueError, match="neither mailto: and an e-mail address nor an https URL"):
        check_vapid(private_key=RAW_KEY, subject=subject)
    check_vapid(private_key=RAW_KEY, subject="https://bank.example")


@pytest.mark.parametrize("status", [404, 410])
def test_a_subscription_that_ended_is_forgotten(service: FakePushService, status: int) -> None:
    """The browser unsubscribed, or was removed."""
    service.replies.append(Reply(status=status))
    refused = sender().send(service.target, NOTIFICATION)
    assert isinstance(refused, NotSent)
    assert (refused.gone, refused.retryable, refused.alarm) == (True, False, False)


@pytest.mark.parametrize(
    "changed",
    [
        {"p256dh": "none"},
        {"p256dh": encoded(b"\x04" + b"\x01" * 64)},
        {"p256dh": encoded(b"\x04" * 64)},
        {"p256dh": ""},
        {"p256dh": None},
        {"auth": ""},
        {"auth": "!"},
        {"endpoint": "ftp://push.example/x"},
        {"endpoint": "https://[::1"},
        {"endpoint": None},
    ],
)
def test_a_subscription_that_never_was_one_is_forgotten(service: FakePushService, changed: dict[str, str]) -> None:
    """Nothing can be sealed for it or sent to it, now or later."""
    refused = sender().send(msgspec.structs.replace(service.target, **changed), NOTIFICATION)
    assert isinstance(refused, NotSent)
    assert (refused.gone, refused.retryable) == (True, False)
    assert service.posts == []


def test_a_key_that_browsers_did_not_subscribe_with_is_an_alarm(service: FakePushService) -> None:
    """An operator changed it, or the subject is refused; the subscriptions stay."""
    other = encoded(ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value.to_bytes(32, "big"))
    refused = sender(key=other).send(service.target, NOTIFICATION)
    assert isinstance(refused, NotSent)
    assert (refused.error[:3], refused.alarm, refused.gone, refused.retryable) == ("403", True, False, False)
    service.replies.append(Reply(status=401))
    refused = sender().send(service.target, NOTIFICATION)
    assert isinstance(refused, NotSent)
    assert (refused.error[:3], refused.alarm) == ("401", True)


@pytest.mark.parametrize("status", [301, 307, 400, 413])
def test_other_refusals_are_final(service: FakePushService, status: int) -> None:
    """The same notification would be refused again; nothing is sent to where a redirect points."""
    service.replies.append(Reply(status=status, headers={"Location": service.url}, body=b"about s3cret-link"))
    refused = sender().send(service.target, NOTIFICATION)
    assert isinstance(refused, NotSent)
    assert (refused.error[:3], refused.gone, refused.retryable, refused.alarm) == (str(status), False, False, False)
    assert len(service.posts) == 1


def test_too_many_may_be_tried_again(service: FakePushService) -> None:
    """After the wait that the service asks for."""
    service.replies.append(Reply(status=429, headers={"Retry-After": "7"}))
    expected = NotSent("429 too many notifications", retryable=True, retry_after_ms=7_000)
    assert sender().send(service.target, NOTIFICATION) == expected


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=500),
        Reply(status=502, body=b"<html>"),
        Reply(status=503, headers={"Retry-After": "5"}),
        Reply(delay_s=2.0),
        Reply(drip_s=0.2),
        Reply(drop=True),
        Reply(half_close=True),
    ],
)
def test_no_clear_answer_is_unknown(service: FakePushService, reply: Reply) -> None:
    """It may be on its way to the browser; nobody can be asked."""
    service.replies.append(reply)
    started = time.monotonic()
    assert isinstance(sender(timeout_s=0.6).send(service.target, NOTIFICATION), UnknownSent)
    assert time.monotonic() - started < 1.5


def test_without_a_connection_nothing_was_sent(service: FakePushService) -> None:
    """Safe to try again."""
    target = msgspec.structs.replace(service.target, endpoint=f"{unused_url()}/x")
    refused = sender().send(target, NOTIFICATION)
    assert isinstance(refused, NotSent)
    assert refused.error.startswith("no connection")
    assert refused.retryable


def test_several_threads_send_at_once(service: FakePushService) -> None:
    """The sender keeps nothing but its key."""
    one = sender()
    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(lambda _: one.send(service.target, NOTIFICATION), range(16)))
    assert sent == [Sent(NOTIFICATION.tag)] * 16
    assert len(service.shown) == 16


def test_nothing_secret_is_logged_printed_or_told(
    service: FakePushService, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """With every logger at its most talkative: no endpoint, no text, no link, no key."""
    for name in ("", "urllib3", "urllib3.connectionpool", "requests", "pywebpush", "py_vapid", "http_ece"):
        caplog.set_level(logging.DEBUG, logger=name)
    one = sender()
    told = []
    for reply in (None, Reply(status=410), Reply(status=500, body=b"s3cret-link"), Reply(drop=True)):
        service.replies.extend([reply] if reply else [])
        told.append(one.send(service.target, NOTIFICATION))
    told.append(one.send(msgspec.structs.replace(service.target, p256dh="s3cret-link"), NOTIFICATION))
    told.append(one.send(PushTarget(endpoint=f"{unused_url()}/s3cret-link", p256dh="x", auth="y"), NOTIFICATION))
    everything = caplog.text + str(told) + "".join(capfd.readouterr())
    secrets = ("SecretSubscription", "s3cret-link", "Straße", RAW_KEY, service.target.auth or "?", "127.0.0.1")
    for secret in secrets:
        assert secret not in everything


def test_the_libraries_are_imported_by_the_first_notification_only() -> None:
    """The module itself stays light."""
    heavy = "{'requests', 'pywebpush', 'cryptography'}"
    check = f"import sys, cardwatch.adapters.channels.push.web; print({heavy} & {{*sys.modules}})"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "set()"
