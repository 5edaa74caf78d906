"""A payment's way through the functions, on each store: asked about, answered, expired, opted out, listed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cardwatch.domain.transaction import Status
from tests.builders import NOW_MS
from tests.entrypoints.aws.events import body_of
from tests.entrypoints.aws.homes import Cloud
from tests.entrypoints.aws.stores import STORES
from tests.fakes.twilio.server import ServedTwilio, running_twilio

TTL_MS = 1_800_000


@pytest.fixture(scope="module")
def twilio() -> Iterator[ServedTwilio]:
    """Serve a fake Twilio."""
    with running_twilio(seed=5) as served:
        yield served


@pytest.fixture(params=sorted(STORES))
def cloud(request: pytest.FixtureRequest, tmp_path: Path, twilio: ServedTwilio) -> Iterator[Cloud]:
    """Yield all functions over an empty store of each backend, with one account."""
    twilio.texts.clear()
    with STORES[request.param](tmp_path) as store:
        running = Cloud(store, CARDWATCH_TWILIO_API_URL=twilio.url)
        running.put_account()
        yield running


def test_payment_is_taken_in_before_it_is_decided(cloud: Cloud) -> None:
    """202 and pending; the stream's record decides it."""
    taken = cloud.record("txn_1")
    assert (taken["status"], taken["action_required"]) == ("pending", "await_decision")
    assert cloud.score("txn_1") == []
    assert cloud.status("txn_1") is Status.CHALLENGED


def test_no_by_signed_webhook_declines(cloud: Cloud, twilio: ServedTwilio) -> None:
    """The whole loop: challenged, texted, answered NO, declined, the account held."""
    assert cloud.pay("txn_1")["status"] == "challenged"
    assert cloud.notify() == {"accepted": 1}
    assert [text.fields["To"] for text in twilio.texts] == ["+12065550101"]
    answer = cloud.text("NO")
    assert (answer["statusCode"], answer["headers"]["Content-Type"]) == (200, "text/xml; charset=utf-8")
    shown = cloud.shown("txn_1")
    assert (shown["status"], shown["challenge"]["answer"], shown["label"]["value"]) == ("declined", "no", "fraud")
    account = body_of(cloud.call("GET", "/accounts/user_001"))
    assert account["held_since"] is not None
    assert body_of(cloud.call("DELETE", "/accounts/user_001/hold"))["held_since"] is None


def test_yes_approves_and_its_answer_is_sent(cloud: Cloud, twilio: ServedTwilio) -> None:
    """Webhook wakes Notify for the text that follows from a reply."""
    cloud.pay("txn_1")
    cloud.notify()
    cloud.text("YES")
    assert cloud.status("txn_1") is Status.APPROVED
    assert cloud.notify() == {"accepted": 1}
    assert len(twilio.texts) == 2


def test_everyday_payment_of_a_known_holder_asks_nobody(cloud: Cloud) -> None:
    """Nobody is woken for what needs no message."""
    cloud.pay("txn_1", amount="4.75", merchant="Corner Cafe", location="Seattle, WA")
    assert cloud.status("txn_1") is Status.APPROVED
    assert cloud.invocations.made == []


def test_record_delivered_again_changes_nothing(cloud: Cloud, twilio: ServedTwilio) -> None:
    """No second decision, no second count in state, no second text."""
    cloud.pay("txn_1")
    first, states = cloud.stored("txn_1"), cloud.store.states([("account", "user_001")])
    assert cloud.score("txn_1", "txn_1") == []
    assert (cloud.stored("txn_1"), cloud.store.states([("account", "user_001")])) == (first, states)
    cloud.notify()
    cloud.notify(["txn_1:challenge:sms:question:1"])
    assert len(twilio.texts) == 1
    assert cloud.counted()["stream_records_total already"] == 2


def test_question_nobody_answers_expires_by_the_sweep(cloud: Cloud) -> None:
    """It goes to review, and the sweep says how many."""
    cloud.pay("txn_1")
    cloud.clock.advance(TTL_MS + 1)
    assert cloud.sweep()["expire"] == 1
    assert cloud.status("txn_1") is Status.IN_REVIEW
    assert cloud.sweep()["expire"] == 0


def test_lost_invocation_is_caught_by_the_sweep(cloud: Cloud, twilio: ServedTwilio) -> None:
    """Score decided and could not wake Notify: the sweep does, and the text goes out once."""
    cloud.invocations.failing = True
    cloud.pay("txn_1")
    cloud.invocations.failing = False
    assert cloud.counted()["notify_invocations_total failed"] == 1
    assert cloud.sweep()["send"] == 1
    cloud.notify()
    assert cloud.sweep()["send"] == 0
    assert len(twilio.texts) == 1


def test_stop_opts_out_and_the_next_payment_goes_to_review(cloud: Cloud) -> None:
    """Nobody is asked by text any more; START ends it."""
    cloud.pay("txn_1")
    cloud.notify()
    cloud.text("STOP")
    assert cloud.status("txn_1") is Status.IN_REVIEW
    cloud.pay("txn_2")
    shown = cloud.shown("txn_2")
    assert (shown["status"], shown["reasons"][0]["code"]) == ("in_review", "OPTED_OUT")
    assert body_of(cloud.call("GET", "/accounts/user_001"))["opted_out_at"] is not None


def test_delivery_report_ends_a_question_that_cannot_arrive(cloud: Cloud, twilio: ServedTwilio) -> None:
    """The report's own address carries the message's id, encoded."""
    cloud.pay("txn_1")
    cloud.notify()
    sid = twilio.texts[0].sid
    message = next(iter(cloud.store.messages_about("txn_1:challenge")))
    target = f"/webhook/twilio/status?message={message.message_id.replace(':', '%3A')}"
    answer = cloud.post_signed(target, {"MessageSid": sid, "MessageStatus": "undelivered", "ErrorCode": "30005"})
    assert answer["statusCode"] == 204
    assert cloud.status("txn_1") is Status.IN_REVIEW


def test_label_counts_in_feature_state_with_its_own_write(cloud: Cloud) -> None:
    """There is no log to follow: the states that know the fraud are written with the label, and once."""
    cloud.pay("txn_1", amount="4.75", merchant="Corner Cafe")
    key = [("account", "user_001")]
    before = cloud.store.states(key)
    answer = cloud.call("POST", "/transaction/txn_1/label", {"label": "fraud"})
    assert body_of(answer)["label"]["value"] == "fraud"
    after = cloud.store.states(key)
    assert after != before
    cloud.call("POST", "/transaction/txn_1/label", {"label": "fraud"})
    assert cloud.store.states(key) == after
    cloud.call("POST", "/transaction/txn_1/label", {"label": "genuine", "replace": True})
    assert cloud.store.states(key) != after


def test_no_to_two_payments_counts_both(cloud: Cloud) -> None:
    """One reply, two labels of one account in one write."""
    cloud.pay("txn_1")
    cloud.pay("txn_2", merchant="Other Store")
    cloud.notify()
    cloud.text("NO", sid="SM1")
    cloud.call("POST", "/transaction/txn_2/label", {"label": "fraud"})
    labelled = cloud.store.states([("account", "user_001")])[0]
    twin = Cloud()
    twin.put_account()
    for each in ("txn_1", "txn_2"):
        twin.pay(each, merchant="Suspicious Store" if each == "txn_1" else "Other Store")
    for each in ("txn_1", "txn_2"):
        twin.call("POST", f"/transaction/{each}/label", {"label": "fraud"})
    expected = twin.store.states([("account", "user_001")])[0]
    assert labelled is not None
    assert expected is not None
    assert labelled[1] == expected[1]


def test_payments_are_listed_by_pages(cloud: Cloud) -> None:
    """Newest first; the cursor goes on where the page ended."""
    for number in range(5):
        cloud.clock.advance(1000)
        cloud.pay(f"txn_{number}", amount="4.75", merchant="Corner Cafe")
    page = body_of(cloud.call("GET", "/transactions?user_id=user_001&limit=3"))
    assert [each["transaction_id"] for each in page["transactions"]] == ["txn_4", "txn_3", "txn_2"]
    rest = body_of(cloud.call("GET", f"/transactions?user_id=user_001&limit=3&cursor={page['next_cursor']}"))
    assert [each["transaction_id"] for each in rest["transactions"]] == ["txn_1", "txn_0"]
    assert rest["next_cursor"] is None


def test_reasons_are_explained_from_the_stored_vector(cloud: Cloud) -> None:
    """By the model at hand."""
    cloud.pay("txn_1")
    explained = body_of(cloud.call("GET", "/transaction/txn_1/reasons"))
    assert explained["transaction_id"] == "txn_1"
    assert len(explained["reasons"]) > 10


def test_payment_nobody_delivered_is_found(cloud: Cloud) -> None:
    """What has been pending for minutes was lost; the sweep's rarer task decides it."""
    cloud.record("txn_1")
    assert cloud.sweep("pending")["pending"] == 0
    cloud.clock.advance(180_000)
    assert cloud.sweep("pending")["pending"] == 1
    assert cloud.status("txn_1") is Status.CHALLENGED
    decision = cloud.stored("txn_1").decision
    assert decision is not None
    assert decision.decided_at_ms == NOW_MS + 180_000
