"""The push channel: which service a device belongs to, and what a notification says and for how long."""

import subprocess
import sys
from dataclasses import dataclass

import msgspec
import pytest

from cardwatch.adapters.channels.push.channel import TAG_LENGTH, PushChannel
from cardwatch.adapters.channels.push.fcm import FcmSender
from cardwatch.adapters.channels.push.web import WebPushSender
from cardwatch.adapters.clock import FixedClock
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message, MessageKind, MessageState
from cardwatch.ports import Channel, NotSent, OnUnknown, Sent
from tests.adapters.channels.push.test_web import NOW_MS, RAW_KEY, SUBJECT
from tests.builders import make_message
from tests.fakes.fcm_server import DEVICE, FakeFcm, running_fcm, service_account
from tests.fakes.push_service import FakePushService, encoded, point, running_push_service


@dataclass
class MadeLinks:
    """The links of one message."""

    confirm_url: str
    deny_url: str


class LinkMaker:
    """Makes links that name their message."""

    def links(self, message: Message) -> MadeLinks:
        """Return both links."""
        url = f"https://bank.example/answer/{message.message_id}"
        return MadeLinks(f"{url}?yes", f"{url}?no")


def channel(*, fcm: FakeFcm | None = None, web: FakePushService | None = None, now_ms: int = NOW_MS) -> PushChannel:
    """Return a channel with what is configured."""
    clock = FixedClock(now_ms)
    firebase = web_push = None
    if fcm is not None:
        firebase = FcmSender(service_account=service_account(fcm.url), clock=clock, base_url=fcm.url, timeout_s=2.0)
    if web is not None:
        web_push = WebPushSender(vapid_private_key=RAW_KEY, subject=SUBJECT, clock=clock, timeout_s=2.0)
        web.server_key = own_key(web_push)
    return PushChannel(links=LinkMaker(), clock=clock, fcm=firebase, web_push=web_push)


def own_key(sender: WebPushSender) -> str:
    """Return the public key of a sender."""
    return encoded(point(sender._load().public_key))


def notification(address: str = f"fcm {DEVICE}", **fields: object) -> Message:
    """Return a question that is to appear on a device."""
    usual = make_message(
        "chl_1:push:question:1",
        channel="push",
        address=address,
        own_address="push",
        subject="Bank of Tests",
        created_at_ms=NOW_MS,
        expires_at_ms=NOW_MS + 60_500,
    )
    return msgspec.structs.replace(usual, **fields)


def test_a_telephone_gets_it_through_firebase() -> None:
    """Title from the subject, the link made when it is sent, the remaining life."""
    with running_fcm() as fcm:
        assert isinstance(channel(fcm=fcm).send(notification()), Sent)
    [message] = fcm.messages
    assert message["token"] == DEVICE
    assert message["notification"] == {"title": "Bank of Tests", "body": notification().body}
    assert message["data"]["link"] == "https://bank.example/answer/chl_1:push:question:1?yes"
    assert (message["android"]["ttl"], message["apns"]["headers"]["apns-expiration"]) == (
        "60s",
        str((NOW_MS + 60_500) // 1000),
    )


def test_a_browser_gets_it_through_its_own_service() -> None:
    """The same words and the same link, sealed."""
    with running_push_service() as web, running_fcm() as fcm:
        both = channel(fcm=fcm, web=web)
        assert isinstance(both.send(notification(web.target.address)), Sent)
        [shown] = web.shown
        assert shown["link"] == "https://bank.example/answer/chl_1:push:question:1?yes"
        assert (shown["title"], shown["body"]) == ("Bank of Tests", notification().body)
        assert web.posts[0].headers["ttl"] == "60"
    assert fcm.posts == []


def test_a_reminder_takes_the_place_of_its_question() -> None:
    """One place on the screen for each challenge; its tag tells nobody which payment it is."""
    with running_push_service() as web:
        one = channel(web=web)
        for message_id, kind in (("chl_1:q", MessageKind.QUESTION), ("chl_1:r", MessageKind.REMINDER)):
            one.send(notification(web.target.address, message_id=message_id, kind=kind))
        one.send(notification(web.target.address, challenge_id="chl_2"))
        first, reminder, other = (shown["tag"] for shown in web.shown)
    assert first == reminder != other
    assert len(first) == TAG_LENGTH
    assert "chl_1" not in first


@pytest.mark.parametrize("left_ms", [-1, 0, 999])
def test_what_has_no_life_left_is_not_sent(left_ms: int) -> None:
    """Nobody could answer it."""
    with running_fcm() as fcm:
        refused = channel(fcm=fcm).send(notification(expires_at_ms=NOW_MS + left_ms))
    assert refused == NotSent("life ended", retryable=False, tried=False)
    assert fcm.posts == []


def test_a_notification_without_an_end_waits_a_day() -> None:
    """A device that is off for longer does not light up with old news."""
    with running_fcm() as fcm:
        channel(fcm=fcm).send(notification(expires_at_ms=None))
    assert fcm.messages[0]["android"]["ttl"] == "86400s"


def test_a_device_of_a_kind_that_is_not_configured_is_final() -> None:
    """The next channel's turn."""
    expected = NotSent("devices of this kind are not configured", retryable=False, tried=False)
    with running_push_service() as web, running_fcm() as fcm:
        assert channel(web=web).send(notification()) == expected
        assert channel(fcm=fcm).send(notification(web.target.address)) == expected
    assert fcm.posts == web.posts == []


@pytest.mark.parametrize("address", ["", "+12025550101", "fcm", "web https://push.example", "apns x"])
def test_an_address_that_names_no_device_is_final(address: str) -> None:
    """It stands in no error."""
    assert channel().send(notification(address)) == NotSent("not a push target", retryable=False, tried=False)


def test_a_claim_that_waited_too_long_is_given_back_unsent() -> None:
    """Its lease could end, and it be left for lost, while it is being sent."""
    with running_fcm() as fcm:
        one = channel(fcm=fcm)
        claimed = notification(state=MessageState.SENDING, due_at_ms=NOW_MS + 10_999)
        assert one.send(claimed) == NotSent("claim ran out before it was sent", retryable=True, tried=False)
        assert fcm.posts == []
        assert isinstance(one.send(msgspec.structs.replace(claimed, due_at_ms=NOW_MS + 11_000)), Sent)


def test_notifications_are_left_and_not_looked_up() -> None:
    """That is what the channel promises the outbox."""
    one: Channel = channel()
    assert (one.name, one.own_address, one.on_unknown) == ("push", "push", OnUnknown.LEAVE)
    with pytest.raises(OperatingError):
        one.find(notification())


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told at the start, not with the first question."""
    for package in ("google.oauth2.service_account", "pywebpush"):
        monkeypatch.setitem(sys.modules, package, None)
    clock = FixedClock(NOW_MS)
    for sender in (
        FcmSender(service_account=service_account("http://127.0.0.1"), clock=clock),
        WebPushSender(vapid_private_key=RAW_KEY, subject=SUBJECT, clock=clock),
    ):
        with pytest.raises(ValueError, match=r"pip install 'cardwatch\[push\]'$"):
            sender.prepare()


def test_nothing_heavy_is_imported_before_the_first_notification() -> None:
    """A process without devices pays nothing."""
    check = "import sys, cardwatch.adapters.channels.push; print('requests' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "False"
