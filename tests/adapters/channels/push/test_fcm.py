"""Notifications through a fake Firebase Cloud Messaging over real HTTP, with access tokens by Google's own library."""

import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from cardwatch.adapters.channels.push.channel import Notification
from cardwatch.adapters.channels.push.fcm import FcmSender, parse_service_account
from cardwatch.adapters.clock import FixedClock
from cardwatch.domain.account import PushTarget
from cardwatch.ports import NotSent, Sent, UnknownSent
from tests.builders import NOW_MS
from tests.fakes.callback_receiver import Reply, unused_url
from tests.fakes.fcm_server import (
    BAD_REQUEST,
    DEVICE,
    FCM_ERROR,
    GONE_DEVICE,
    PROJECT,
    FakeFcm,
    error_reply,
    fcm_error,
    json_reply,
    running_fcm,
    service_account,
)

LINK = "https://bank.example/answer/chl_1?token=s3cret-link"
TAG = "a-tag_of_thirty-two_letters_here"
NOTIFICATION = Notification(
    title="Bank of Tests",
    body="Did you pay $1,500.00 at Suspicious Store?",
    link=LINK,
    tag=TAG,
    life_s=1800,
    expires_at_s=NOW_MS // 1000 + 1800,
)
TARGET = PushTarget(fcm_token=DEVICE)


@pytest.fixture
def fcm() -> Iterator[FakeFcm]:
    """Serve a fake."""
    with running_fcm() as fake:
        yield fake


def sender_to(fcm: FakeFcm, *, timeout_s: float = 3.0, **fields: str) -> FcmSender:
    """Return a sender that talks to the fake; fields change the service account."""
    return FcmSender(
        service_account={**service_account(fcm.url), **fields},
        clock=FixedClock(NOW_MS),
        base_url=fcm.url,
        timeout_s=timeout_s,
    )


def ready(fcm: FakeFcm, *, timeout_s: float = 3.0) -> FcmSender:
    """Return a sender that has its access token, so that queued replies answer what is sent."""
    sender = sender_to(fcm, timeout_s=timeout_s)
    assert isinstance(sender.send(TARGET, NOTIFICATION), Sent)
    fcm.messages.clear()
    return sender


def test_a_notification_is_sent_with_all_that_each_platform_needs(fcm: FakeFcm) -> None:
    """Title, body, link, remaining life, urgency, and one place on the screen for each question."""
    assert sender_to(fcm).send(TARGET, NOTIFICATION) == Sent(f"projects/{PROJECT}/messages/0:1")
    assert fcm.messages == [
        {
            "token": DEVICE,
            "notification": {"title": "Bank of Tests", "body": "Did you pay $1,500.00 at Suspicious Store?"},
            "data": {"link": LINK, "tag": TAG},
            "android": {"priority": "HIGH", "ttl": "1800s", "collapse_key": TAG, "notification": {"tag": TAG}},
            "apns": {
                "headers": {
                    "apns-push-type": "alert",
                    "apns-priority": "10",
                    "apns-expiration": str(NOW_MS // 1000 + 1800),
                    "apns-collapse-id": TAG,
                }
            },
            "webpush": {
                "headers": {"TTL": "1800", "Urgency": "high", "Topic": TAG},
                "notification": {"tag": TAG},
                "fcm_options": {"link": LINK},
            },
        }
    ]


def test_life_is_bounded_and_a_link_without_tls_stays_out_of_the_browsers_options(fcm: FakeFcm) -> None:
    """FCM refuses the whole message for either."""
    local = msgspec.structs.replace(NOTIFICATION, link="http://127.0.0.1:8080/answer", life_s=10_000_000)
    assert isinstance(sender_to(fcm).send(TARGET, local), Sent)
    [message] = fcm.messages
    assert message["android"]["ttl"] == "2419200s"
    assert "fcm_options" not in message["webpush"]
    assert message["data"]["link"] == local.link


def test_one_access_token_serves_many_threads(fcm: FakeFcm) -> None:
    """It is asked for once, and again when its life ends."""
    sender = sender_to(fcm)
    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(lambda _: sender.send(TARGET, NOTIFICATION), range(16)))
    assert all(isinstance(one, Sent) for one in sent)
    assert (len(fcm.tokens), len(fcm.messages)) == (1, 16)
    fcm.token_life_s = 1
    short = sender_to(fcm)
    for _ in range(2):
        assert isinstance(short.send(TARGET, NOTIFICATION), Sent)
    assert len(fcm.tokens) == 3


def test_a_device_that_is_gone_is_forgotten(fcm: FakeFcm) -> None:
    """UNREGISTERED is FCM's word for an app that was removed."""
    refused = sender_to(fcm).send(PushTarget(fcm_token=GONE_DEVICE), NOTIFICATION)
    assert refused == NotSent("404 UNREGISTERED device not registered any more", retryable=False, gone=True)


@pytest.mark.parametrize(
    ("reply", "refused"),
    [
        (
            fcm_error(404, "UNREGISTERED"),
            NotSent("404 UNREGISTERED device not registered any more", retryable=False, gone=True),
        ),
        (
            error_reply(404, "NOT_FOUND"),
            NotSent("404 NOT_FOUND device not registered any more", retryable=False, gone=True),
        ),
        (Reply(status=410), NotSent("410 device not registered any more", retryable=False, gone=True)),
        (
            Reply(status=404, body=b"<html>"),
            NotSent("404 no such address: check the project", retryable=False, alarm=True),
        ),
        (
            fcm_error(400, "INVALID_ARGUMENT", message="The registration token is not a valid FCM registration token"),
            NotSent("400 INVALID_ARGUMENT not a device's token", retryable=False, gone=True),
        ),
        (
            error_reply(
                400,
                "INVALID_ARGUMENT",
                details=[
                    {"@type": FCM_ERROR, "errorCode": "INVALID_ARGUMENT"},
                    {"@type": BAD_REQUEST, "fieldViolations": [{"field": "message.token"}]},
                ],
            ),
            NotSent("400 INVALID_ARGUMENT not a device's token", retryable=False, gone=True),
        ),
        (
            error_reply(
                400,
                "INVALID_ARGUMENT",
                message="Invalid value at 'message.android.ttl' beside the registration token",
                details=[{"@type": BAD_REQUEST, "fieldViolations": [{"field": "message.android.ttl"}]}],
            ),
            NotSent("400 INVALID_ARGUMENT message not valid", retryable=False),
        ),
        (
            fcm_error(400, "INVALID_ARGUMENT", message="Request contains an invalid argument."),
            NotSent("400 INVALID_ARGUMENT message not valid", retryable=False),
        ),
        (Reply(status=400, body=b"[]"), NotSent("400 refused", retryable=False)),
        (Reply(status=302, headers={"Location": "/"}), NotSent("302 refused", retryable=False)),
        (Reply(status=413), NotSent("413 refused", retryable=False)),
    ],
)
def test_what_is_refused_for_good_says_why(fcm: FakeFcm, reply: Reply, refused: NotSent) -> None:
    """Only an error about the token makes the device forgotten; Google's own sentences are not kept."""
    sender = ready(fcm)
    fcm.replies.append(reply)
    assert sender.send(TARGET, NOTIFICATION) == refused


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (fcm_error(403, "SENDER_ID_MISMATCH", grpc="PERMISSION_DENIED"), "403 SENDER_ID_MISMATCH device"),
        (fcm_error(401, "THIRD_PARTY_AUTH_ERROR", grpc="UNAUTHENTICATED"), "401 THIRD_PARTY_AUTH_ERROR Apple"),
        (error_reply(401, "UNAUTHENTICATED"), "401 UNAUTHENTICATED not"),
        (error_reply(403, "PERMISSION_DENIED"), "403 PERMISSION_DENIED not"),
        (Reply(status=401), "401 not authenticated"),
        (Reply(status=403, body=b"<html>"), "403 not permitted"),
    ],
)
def test_what_an_operator_must_mend_is_an_alarm(fcm: FakeFcm, reply: Reply, said: str) -> None:
    """No retry mends credentials; the device stays."""
    sender = ready(fcm)
    fcm.replies.append(reply)
    refused = sender.send(TARGET, NOTIFICATION)
    assert isinstance(refused, NotSent)
    assert refused.error.startswith(said)
    assert (refused.alarm, refused.retryable, refused.gone) == (True, False, False)


def test_an_access_token_that_was_refused_is_not_used_again(fcm: FakeFcm) -> None:
    """The next notification asks for another."""
    sender = ready(fcm)
    fcm.replies.append(error_reply(401, "UNAUTHENTICATED"))
    assert isinstance(sender.send(TARGET, NOTIFICATION), NotSent)
    assert isinstance(sender.send(TARGET, NOTIFICATION), Sent)
    assert len(fcm.tokens) == 2


@pytest.mark.parametrize(
    ("reply", "wait_ms"),
    [
        (fcm_error(429, "QUOTA_EXCEEDED", headers={"Retry-After": "30"}), 30_000),
        (error_reply(429, "RESOURCE_EXHAUSTED"), None),
        (Reply(status=429), None),
        (fcm_error(503, "UNAVAILABLE", headers={"Retry-After": "60"}), 60_000),
        (error_reply(503, "UNAVAILABLE"), None),
        (Reply(status=503, headers={"Retry-After": "10"}), 10_000),
    ],
)
def test_what_google_did_not_take_may_be_tried_again(fcm: FakeFcm, reply: Reply, wait_ms: int | None) -> None:
    """Quota and overload are refused before anything is sent; the wait asked for is passed on."""
    sender = ready(fcm)
    fcm.replies.append(reply)
    refused = sender.send(TARGET, NOTIFICATION)
    assert isinstance(refused, NotSent)
    assert (refused.retryable, refused.retry_after_ms, refused.alarm, refused.gone) == (True, wait_ms, False, False)
    assert refused.error.startswith(f"{reply.status} ")


@pytest.mark.parametrize(
    "reply",
    [
        fcm_error(500, "INTERNAL"),
        error_reply(500, "NOT_FOUND"),
        Reply(status=502, body=b"<html>"),
        Reply(status=503, body=b"<html>"),
        Reply(status=200, body=b"no JSON"),
        Reply(status=200, body=b"\xff\xfe"),
        json_reply({"name": ""}),
        Reply(status=200, headers={"Content-Length": "500"}, body=b'{"name": "proj'),
        Reply(delay_s=2.0),
        Reply(drip_s=0.2),
        Reply(drop=True),
        Reply(half_close=True),
    ],
)
def test_no_clear_answer_is_unknown(fcm: FakeFcm, reply: Reply) -> None:
    """It may be on its way to the device; nobody can be asked, and twice is worse."""
    sender = ready(fcm, timeout_s=0.6)
    fcm.replies.append(reply)
    started = time.monotonic()
    assert isinstance(sender.send(TARGET, NOTIFICATION), UnknownSent)
    assert time.monotonic() - started < 1.5


def test_without_a_connection_nothing_was_sent(fcm: FakeFcm) -> None:
    """Neither to Google's token endpoint nor to FCM: safe to try again."""
    dead = FcmSender(service_account=service_account(fcm.url), clock=FixedClock(NOW_MS), base_url=unused_url())
    refused = dead.send(TARGET, NOTIFICATION)
    assert isinstance(refused, NotSent)
    assert refused.error.startswith("no connection")
    assert refused.retryable
    refused = sender_to(fcm, token_uri=f"{unused_url()}/token").send(TARGET, NOTIFICATION)
    assert refused == NotSent("no access token: no connection", retryable=True)


def test_an_account_that_google_refuses_is_an_alarm(fcm: FakeFcm) -> None:
    """A deleted key is told to an operator at once."""
    fcm.replies.append(json_reply({"error": "invalid_grant", "error_description": f"of {DEVICE}"}, status=400))
    expected = NotSent("service account refused by Google: check it", retryable=False, alarm=True)
    assert sender_to(fcm).send(TARGET, NOTIFICATION) == expected
    assert fcm.messages == []


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=200, body=b"no JSON"),
        json_reply({"expires_in": 5}),
        json_reply([]),
        Reply(drop=True),
        Reply(delay_s=2.0),
        Reply(drip_s=0.2),
        Reply(status=302, headers={"Location": "http://127.0.0.1:1/"}),
    ],
)
def test_without_an_access_token_nothing_was_sent(fcm: FakeFcm, reply: Reply) -> None:
    """Whatever the token endpoint does, the notification is certainly not out, and the thread is free in time."""
    fcm.replies.append(reply)
    started = time.monotonic()
    refused = sender_to(fcm, timeout_s=0.6).send(TARGET, NOTIFICATION)
    assert time.monotonic() - started < 1.5
    assert isinstance(refused, NotSent)
    assert fcm.messages == []
    assert "token" in refused.error or "account" in refused.error


def test_an_overloaded_token_endpoint_is_tried_again_later(fcm: FakeFcm) -> None:
    """google-auth tries three times within the deadline, then the outbox goes on."""
    fcm.replies.extend([Reply(status=503)] * 3)
    started = time.monotonic()
    refused = sender_to(fcm, timeout_s=8.0).send(TARGET, NOTIFICATION)
    assert refused == NotSent("no access token: Google is overloaded", retryable=True)
    assert time.monotonic() - started < 8


def test_threads_do_not_queue_behind_a_hanging_token_endpoint(fcm: FakeFcm) -> None:
    """Each is free after its own wait, whatever the others do."""
    fcm.replies.extend([Reply(delay_s=3.0)] * 8)
    sender = sender_to(fcm, timeout_s=0.5)
    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        refused = list(pool.map(lambda _: sender.send(TARGET, NOTIFICATION), range(8)))
    assert time.monotonic() - started < 2.5
    assert all(isinstance(one, NotSent) and one.retryable for one in refused)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"type": "authorized_user"}, "another type"),
        ({"project_id": None}, "lacks project_id"),
        ({"private_key": ""}, "lacks private_key"),
        ({"client_email": 5}, "lacks client_email"),
        ({"token_uri": None}, "lacks token_uri"),
    ],
)
def test_a_service_account_that_will_not_do_is_told_in_a_sentence(changed: dict[str, object], said: str) -> None:
    """It names the field and repeats nothing."""
    account = service_account("https://oauth2.googleapis.com")
    assert parse_service_account(json.dumps(account)) == account
    with pytest.raises(ValueError, match=said) as told:
        parse_service_account(json.dumps({**account, **changed}))
    assert "BEGIN" not in str(told.value)
    for text in ("", "[]", "{", '"x"', json.dumps(account)[:300]):
        with pytest.raises(ValueError, match="not a JSON object") as told:
            parse_service_account(text)
        assert told.value.__suppress_context__


def test_a_private_key_that_is_none_is_told_at_the_start(fcm: FakeFcm) -> None:
    """`prepare` says so; what is sent nevertheless is an alarm."""
    broken = sender_to(fcm, private_key="-----BEGIN PRIVATE KEY-----\nnone\n-----END PRIVATE KEY-----\n")
    with pytest.raises(ValueError, match="private key of the service account is not usable"):
        broken.prepare()
    refused = broken.send(TARGET, NOTIFICATION)
    assert refused == NotSent("service account not usable: check its private key", retryable=False, alarm=True)
    sender_to(fcm).prepare()


def test_nothing_secret_is_logged_or_told(fcm: FakeFcm, caplog: pytest.LogCaptureFixture) -> None:
    """With every logger at its most talkative: no device, no text, no link, no token."""
    names = ("", "urllib3", "urllib3.connectionpool", "requests", "google", "google.auth", "google.oauth2._client")
    for name in (*names, "google.auth.transport.requests"):
        caplog.set_level(logging.DEBUG, logger=name)
        logging.getLogger(name).propagate = True
    sender = sender_to(fcm)
    told = [sender.send(TARGET, NOTIFICATION)]
    for reply in (fcm_error(404, "UNREGISTERED"), Reply(status=500), Reply(drop=True), error_reply(401, "UNKNOWN")):
        fcm.replies.append(reply)
        told.append(sender.send(TARGET, NOTIFICATION))
    fcm.replies.append(json_reply({"error": "invalid_grant", "error_description": DEVICE}, status=400))
    told.append(sender_to(fcm).send(TARGET, NOTIFICATION))
    everything = caplog.text + str([record.__dict__ for record in caplog.records]) + str(told)
    for secret in (DEVICE, "s3cret-link", "Suspicious", "ya29.", "BEGIN PRIVATE", "127.0.0.1"):
        assert secret not in everything


def test_google_auth_is_imported_by_the_first_notification_only() -> None:
    """The module itself stays light."""
    loaded = "'requests' in sys.modules, 'google.auth' in sys.modules"
    check = f"import sys, cardwatch.adapters.channels.push.fcm; print({loaded})"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.split() == ["False", "False"]
