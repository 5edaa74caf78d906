"""Alerts through Apprise, to receivers over real HTTP."""

import builtins
import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from cardwatch.adapters.channels.alerts import AlertChannel, check_alert_urls
from cardwatch.adapters.clock import FixedClock
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message, MessageKind, MessageState
from cardwatch.ports import Channel, NotSent, OnUnknown, Sent, UnknownSent
from tests.builders import NOW_MS, make_message
from tests.fakes.callback_receiver import Receiver, Reply, running_receiver, unused_url

SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#fraud"
BODY = "Payment txn_1 of $1,500.00 waits for a judgement."


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Serve a receiver."""
    with running_receiver() as serving_one:
        yield serving_one


def url_of(base: str, path: str = "alerts") -> str:
    """Return an Apprise URL that posts JSON, with a token in it."""
    return f"{base.replace('http://', 'json://')}/{path}?+X-Token=s3cret&rto=30&cto=2"


def channel(*urls: str, timeout_s: float = 3.0) -> AlertChannel:
    """Return a channel to receivers."""
    return AlertChannel(urls=urls, clock=FixedClock(NOW_MS), timeout_s=timeout_s)


def alert(**fields: object) -> Message:
    """Return an alert."""
    usual = make_message(
        "review:txn_1",
        kind=MessageKind.ALERT,
        channel="alert",
        address="analysts",
        own_address="",
        subject="Bank of Tests: a payment waits",
        body=BODY,
    )
    return msgspec.structs.replace(usual, **fields)


def test_an_alert_reaches_every_receiver(receiver: Receiver) -> None:
    """Subject and body as they are, with what the URL says of the receiver."""
    with running_receiver() as second:
        sent = channel(url_of(receiver.url), url_of(second.url, "others")).send(alert())
    assert sent == Sent("2 of 2 receivers")
    [post], [other] = receiver.posts, second.posts
    assert (post.path.partition("?")[0], other.path.partition("?")[0]) == ("/alerts", "/others")
    told = json.loads(post.body)
    assert (told["title"], told["message"]) == ("Bank of Tests: a payment waits", BODY)
    assert post.headers["x-token"] == "s3cret"


def test_an_alert_without_a_subject_is_told_all_the_same(receiver: Receiver) -> None:
    """Neither escapes nor braces in it mean anything."""
    body = r"a\nb ${HOME} <b> :smile: *x* " + "é"
    assert isinstance(channel(url_of(receiver.url)).send(alert(subject=None, body=body)), Sent)
    assert json.loads(receiver.posts[0].body)["message"] == body


@pytest.mark.parametrize("reply", [Reply(status=500), Reply(status=404), Reply(drop=True)])
def test_what_nobody_took_may_be_tried_again(receiver: Receiver, reply: Reply) -> None:
    """Apprise says no more than that; redirects count as refused."""
    receiver.replies.append(reply)
    assert channel(url_of(receiver.url)).send(alert()) == NotSent("no receiver took it", retryable=True)
    assert channel(url_of(unused_url())).send(alert()) == NotSent("no receiver took it", retryable=True)


def test_nobody_is_told_twice_because_another_could_not_be(receiver: Receiver) -> None:
    """One receiver is enough, and how many there were is on record."""
    assert channel(url_of(receiver.url), url_of(unused_url())).send(alert()) == Sent("1 of 2 receivers")
    assert channel(f"{url_of(unused_url())}&optional=yes").send(alert()) == NotSent(
        "no receiver took it", retryable=True
    )


@pytest.mark.parametrize("reply", [Reply(delay_s=3.0), Reply(status=200, drip_s=0.2, body=b"x" * 500)])
def test_a_receiver_that_hangs_holds_no_thread_of_ours(receiver: Receiver, reply: Reply) -> None:
    """Whether it took the alert nobody knows."""
    receiver.replies.append(reply)
    started = time.monotonic()
    assert channel(url_of(receiver.url), timeout_s=0.6).send(alert()) == UnknownSent("no answer in time")
    assert time.monotonic() - started < 2.5


def test_several_threads_send_at_once(receiver: Receiver) -> None:
    """Each with an Apprise of its own."""
    one = channel(url_of(receiver.url))
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: one.send(alert()), range(16))) == [Sent("1 of 1 receivers")] * 16
    assert len(receiver.posts) == 16


def test_urls_are_understood_before_anything_depends_on_them() -> None:
    """Those of the services that analysts use pass."""
    check_alert_urls([])
    check_alert_urls([SLACK, "json://127.0.0.1:8080/x", "discord://1234567890/token", "mailto://user:pass@example.com"])


@pytest.mark.parametrize("wrong", ["", "https", "slack://s3cret", "nosuch://s3cret@host", "s3cret", "json://"])
def test_a_url_that_is_none_is_told_by_its_position(wrong: str, caplog: pytest.LogCaptureFixture) -> None:
    """It holds a token, so it stands neither in the sentence nor in a log."""
    everything = [logging.getLogger(name) for name in ("", "apprise", "urllib3")]
    for logger in everything:
        caplog.set_level(1, logger=logger.name)
    with pytest.raises(ValueError, match="alert URL 2 is none that Apprise understands") as told:
        check_alert_urls([SLACK, wrong, SLACK])
    assert "s3cret" not in str(told.value) + caplog.text
    refused = channel(wrong).send(alert())
    assert refused == NotSent("receivers not understood: check the alert URLs", retryable=False, tried=False)


def test_without_apprise_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alerts are an extra."""
    imported = builtins.__import__

    def without_apprise(name: str, *args: Any, **keywords: Any) -> Any:
        if name.partition(".")[0] == "apprise":
            raise ImportError(name)
        return imported(name, *args, **keywords)

    monkeypatch.setattr(builtins, "__import__", without_apprise)
    with pytest.raises(ValueError, match=r"^alerts need Apprise: pip install 'cardwatch\[alerts\]'$"):
        check_alert_urls([SLACK])
    assert channel(SLACK).send(alert()) == NotSent("Apprise is not installed", retryable=False, tried=False)


def test_a_claim_that_waited_too_long_is_given_back_unsent(receiver: Receiver) -> None:
    """Its lease could end while it is being sent."""
    claimed = alert(state=MessageState.SENDING, due_at_ms=NOW_MS + 2_999)
    expected = NotSent("claim ran out before it was sent", retryable=True, tried=False)
    assert channel(url_of(receiver.url)).send(claimed) == expected
    assert receiver.posts == []


def test_alerts_are_left_and_not_looked_up() -> None:
    """That is what the channel promises the outbox."""
    one: Channel = channel()
    assert (one.name, one.own_address, one.on_unknown) == ("alert", "", OnUnknown.LEAVE)
    with pytest.raises(OperatingError):
        one.find(alert())


def test_nothing_secret_is_logged_printed_or_told(
    receiver: Receiver, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """With every logger at its most talkative, in Apprise's own threads too."""
    for name in ("", "apprise", "urllib3", "urllib3.connectionpool", "requests", "asyncio"):
        caplog.set_level(1, logger=name)
    told = []
    for reply in (Reply(), Reply(status=500, body=b"s3cret"), Reply(drop=True), Reply(delay_s=1.5)):
        receiver.replies.append(reply)
        told.append(channel(url_of(receiver.url), url_of(unused_url()), timeout_s=1.0).send(alert()))
    time.sleep(1.5)
    everything = caplog.text + str(told) + "".join(capfd.readouterr())
    for secret in ("s3cret", "127.0.0.1", BODY, "txn_1"):
        assert secret not in everything
    logging.getLogger("apprise").warning("of somebody else")
    assert "of somebody else" in caplog.text


def test_apprise_is_imported_by_the_first_alert_only() -> None:
    """The module itself stays light."""
    check = "import sys, cardwatch.adapters.channels.alerts; print({'apprise', 'requests'} & {*sys.modules})"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "set()"
