"""Notify sends what it is named and no more: not twice, not early, not what others have claimed."""

import json
from collections.abc import Iterator

import pytest

from cardwatch.domain.message import MessageState
from cardwatch.domain.transaction import Status
from cardwatch.entrypoints.aws import notify
from cardwatch.runtime.settings import WrongSetting
from tests.entrypoints.aws.events import FakeContext
from tests.entrypoints.aws.homes import Cloud
from tests.fakes.callback_receiver import running_receiver
from tests.fakes.twilio.numbers import number_failing_with
from tests.fakes.twilio.server import ServedTwilio, running_twilio
from tests.fakes.twilio.texts import Fault

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def twilio() -> Iterator[ServedTwilio]:
    """Serve a fake Twilio."""
    with running_twilio(seed=6) as served:
        yield served


@pytest.fixture
def cloud(twilio: ServedTwilio) -> Cloud:
    """Return the functions, with an account and a challenged payment."""
    running = Cloud(CARDWATCH_TWILIO_API_URL=twilio.url)
    running.put_account()
    running.pay("txn_1")
    return running


def test_unknown_and_foreign_ids_are_passed_over(cloud: Cloud, twilio: ServedTwilio) -> None:
    """An id is a hint, not an order."""
    cloud.text("hello", sid="SM9")
    assert cloud.notify(["nobody", "SM9"]) == {}
    assert twilio.texts == []


def test_event_without_ids_sends_what_is_due(cloud: Cloud, twilio: ServedTwilio) -> None:
    """As a call by hand."""
    assert notify.handle({}, FakeContext(), cloud.home) == {"accepted": 1}
    assert notify.handle({}, FakeContext(), cloud.home) == {}
    assert len(twilio.texts) == 1


def test_two_workers_with_the_same_ids_send_once(cloud: Cloud, twilio: ServedTwilio) -> None:
    """Lambda delivers asynchronous events at least once."""
    ids = cloud.invocations.take_ids()
    cloud.notify(ids)
    assert cloud.notify(ids) == {}
    assert len(twilio.texts) == 1


def test_refused_text_sends_the_payment_to_review(cloud: Cloud, twilio: ServedTwilio) -> None:
    """With the provider's code in the message's row."""
    twilio.refusals["+12065550101"] = 21610
    assert cloud.notify() == {"failed": 1}
    assert cloud.status("txn_1") is Status.IN_REVIEW
    assert cloud.counted()["messages_total sms question failed"] == 1


def test_unknown_answer_is_looked_up_and_never_sent_again(cloud: Cloud, twilio: ServedTwilio) -> None:
    """Twilio took it and the answer was lost: the sweep wakes Notify, which asks."""
    twilio.create_faults.append(Fault(takes=True, drop=True))
    assert cloud.notify() == {"unknown": 1}
    cloud.clock.advance(20_000)
    assert cloud.sweep()["send"] == 1
    assert cloud.notify() == {"accepted": 1}
    assert len(twilio.texts) == 1


def test_message_for_which_there_is_no_time_is_left_to_the_sweep(cloud: Cloud, twilio: ServedTwilio) -> None:
    """A send that is cut off would have to be looked up."""
    event = {"message_ids": cloud.invocations.take_ids()}
    assert notify.handle(event, FakeContext(left_ms=5_000), cloud.home) == {}
    assert twilio.texts == []
    assert cloud.sweep()["send"] == 1


def test_failed_delivery_is_put_otherwise_by_the_webhook(twilio: ServedTwilio) -> None:
    """A landline: review at once."""
    cloud = Cloud(CARDWATCH_TWILIO_API_URL=twilio.url)
    cloud.put_account(phone_number=number_failing_with(30006))
    cloud.pay("txn_1")
    cloud.notify()
    message = next(iter(cloud.store.messages_about("txn_1:challenge")))
    fields = {"MessageSid": twilio.texts[0].sid, "MessageStatus": "undelivered", "ErrorCode": "30006"}
    target = f"/webhook/twilio/status?message={message.message_id.replace(':', '%3A')}"
    assert cloud.post_signed(target, fields)["statusCode"] == 204
    assert cloud.status("txn_1") is Status.IN_REVIEW


def test_without_a_provider_the_function_fails_loudly() -> None:
    """The event goes to its failure queue, and the message stays due."""
    cloud = Cloud(TWILIO_ACCOUNT_SID="", TWILIO_AUTH_TOKEN="")
    cloud.put_account()
    cloud.pay("txn_1")
    ids = cloud.invocations.take_ids()
    with pytest.raises(WrongSetting, match="CARDWATCH_TWILIO_SECRET_ARN"):
        cloud.notify(ids)
    message = cloud.store.message(ids[0])
    assert message is not None
    assert message.state is MessageState.QUEUED


def test_callbacks_are_written_with_the_decision_and_sent(twilio: ServedTwilio) -> None:
    """The payment system hears of the challenge and of the NO, once each."""
    with running_receiver() as payments:
        cloud = Cloud(
            CARDWATCH_TWILIO_API_URL=twilio.url,
            CARDWATCH_CALLBACK_URL=f"{payments.url}/hook",
            CARDWATCH_CALLBACK_SECRET=SECRET,
        )
        cloud.put_account()
        cloud.pay("txn_1")
        assert cloud.notify() == {"accepted": 2}
        cloud.score("txn_1")
        cloud.clock.advance(60_000)
        cloud.text("NO")
        cloud.notify()
        told = [json.loads(each.body)["data"] for each in payments.posts]
    assert [(each["status"], each["transaction_id"]) for each in told] == [
        ("challenged", "txn_1"),
        ("declined", "txn_1"),
    ]
    assert told[0]["sequence"] < told[1]["sequence"]
    assert told[1]["sequence"] < 2**53
    assert told[1]["answer"] == "no"
