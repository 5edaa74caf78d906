"""The fake Twilio itself: what the whole suite relies on, driven by the official SDK through our adapter."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from urllib.parse import parse_qs, parse_qsl, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from cardwatch.adapters.channels.twilio import TwilioChannel
from cardwatch.adapters.channels.twilio_check import check_account
from cardwatch.adapters.channels.twilio_signature import parse_form, verify
from cardwatch.adapters.channels.twilio_webhook import delivery_report, inbound_text
from cardwatch.adapters.clock import SystemClock
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message, MessageState
from cardwatch.domain.provider_post import DeliveryReport
from cardwatch.ports import NotSent, Sent, UnknownSent
from tests.builders import OWN_NUMBER, PHONE, make_message
from tests.fakes.twilio.callbacks import Step, planned
from tests.fakes.twilio.keywords import STOP_WORDS
from tests.fakes.twilio.sink import Received, Sink, running_sink
from tests.fakes.twilio_server import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    NO_ANSWER,
    NO_CONNECTION,
    CallbackPlan,
    Fault,
    ServedTwilio,
    number_failing_with,
    running_twilio,
    signature,
)

STATUS_PATH = "/webhook/twilio/status"
INBOUND_PATH = "/webhook/twilio"


@pytest.fixture
def twilio() -> Iterator[ServedTwilio]:
    """Serve a fake with a seed that a failure can be repeated with."""
    with running_twilio(seed=20_261_122) as fake:
        yield fake


@pytest.fixture
def sink() -> Iterator[Sink]:
    """Serve the webhook of an application."""
    with running_sink() as served:
        yield served


def channel_to(twilio: ServedTwilio, sink: Sink | None = None, *, token: str = AUTH_TOKEN) -> TwilioChannel:
    """Return our adapter between the two."""
    return TwilioChannel(
        account_sid=ACCOUNT_SID,
        auth_token=token,
        own_number=OWN_NUMBER,
        clock=SystemClock(),
        status_callback_url=sink.url + STATUS_PATH if sink else None,
        api_url=twilio.url,
        timeout_s=0.5,
    )


def question(number: int = 1, **fields: object) -> Message:
    """Return a question made just now."""
    usual: dict[str, object] = {"created_at_ms": SystemClock().now_ms(), "expires_at_ms": None}
    return msgspec.structs.replace(make_message(f"chl_{number}:sms:question:1"), **{**usual, **fields})


def is_signed(sink: Sink, post: Received, *tokens: str) -> bool:
    """Judge a post as our route does."""
    return verify(
        public_url=sink.url,
        raw_path_and_query=post.path_and_query,
        body_params=parse_form(post.body) or (),
        signature=post.headers.get("x-twilio-signature"),
        tokens=tokens or (AUTH_TOKEN,),
    )


def report_of(post: Received) -> DeliveryReport:
    """Read a status callback as our route does."""
    message_id = parse_qs(urlsplit(post.path_and_query).query)["message"][0]
    report = delivery_report(parse_form(post.body) or (), message_id=message_id)
    assert report is not None
    return report


def statuses(sink: Sink) -> list[str]:
    """Return the statuses that came, in their order."""
    return [dict(parse_qsl(post.body.decode()))["MessageStatus"] for post in sink.received]


# Status callbacks


def test_callbacks_come_by_themselves_signed_and_with_our_id(twilio: ServedTwilio, sink: Sink) -> None:
    """Accepted, sent, delivered; the official SDK and our own check agree about each signature."""
    twilio.callbacks.automatic = True
    sent = channel_to(twilio, sink).send(question(message_id="chl_1:sms:question:1"))
    twilio.settle()
    reports = [report_of(post) for post in sink.received]
    assert [report.state for report in reports] == [MessageState.ACCEPTED, MessageState.SENT, MessageState.DELIVERED]
    assert sent == Sent(reports[0].provider_sid)
    assert {report.message_id for report in reports} == {"chl_1:sms:question:1"}
    for post in sink.received:
        assert is_signed(sink, post)
        assert not is_signed(sink, post, "another token")
        fields, signed = dict(parse_form(post.body) or ()), post.headers["x-twilio-signature"]
        assert RequestValidator(AUTH_TOKEN).validate(sink.url + post.path_and_query, fields, signed)


@pytest.mark.parametrize("code", [30003, 30005, 30006, 30007, 30008, 30034, 30036])
def test_magic_numbers_fail_after_they_were_taken(twilio: ServedTwilio, sink: Sink, code: int) -> None:
    """Every code of a callback, with the action that it calls for."""
    twilio.callbacks = CallbackPlan(automatic=True, delay_s=(0, 0))
    assert isinstance(channel_to(twilio, sink).send(question(address=number_failing_with(code))), Sent)
    twilio.settle()
    last = report_of(sink.received[-1])
    assert str(last.error).startswith(f"{code} ")
    assert last.state in {MessageState.UNDELIVERED, MessageState.FAILED, MessageState.EXPIRED}
    assert (last.state is MessageState.EXPIRED) is (code == 30036)
    assert (last.once_more, last.alarm) == (code in {30003, 30008}, code in {30007, 30034})


def test_any_number_can_be_made_to_fail(twilio: ServedTwilio, sink: Sink) -> None:
    """For numbers that a test has already."""
    twilio.callbacks.automatic = True
    twilio.delivery_errors[PHONE] = 30005
    twilio.refusals["+12025550102"] = 21408
    channel = channel_to(twilio, sink)
    assert isinstance(channel.send(question()), Sent)
    assert isinstance(channel.send(question(address="+12025550102")), NotSent)
    twilio.settle()
    assert statuses(sink) == ["queued", "sent", "undelivered"]


def test_a_callback_may_come_before_the_call_has_returned(twilio: ServedTwilio, sink: Sink) -> None:
    """The receiver knows the sid before the sender does."""
    twilio.callbacks = CallbackPlan(automatic=True, early=3)
    seen: list[int] = []
    sent = channel_to(twilio, sink).send(question())
    seen.append(len(sink.received))
    assert seen == [3]
    assert sent == Sent(report_of(sink.received[0]).provider_sid)


def test_callbacks_can_come_twice_shuffled_or_not_at_all(twilio: ServedTwilio, sink: Sink) -> None:
    """Each by its own switch."""
    channel = channel_to(twilio, sink)
    twilio.callbacks = CallbackPlan(automatic=True, repeat=1.0, delay_s=(0, 0))
    channel.send(question(1))
    twilio.settle()
    assert statuses(sink) == ["queued", "queued", "sent", "sent", "delivered", "delivered"]
    sink.received.clear()
    twilio.callbacks = CallbackPlan(automatic=True, loss=1.0)
    channel.send(question(2))
    twilio.settle()
    assert statuses(sink) == []
    twilio.callbacks = CallbackPlan(automatic=True, reorder=1.0, delay_s=(0, 0))
    orders = set()
    for number in range(10):
        sink.received.clear()
        channel.send(question(number))
        twilio.settle()
        orders.add(tuple(statuses(sink)))
    assert all(Counter(order) == Counter(["queued", "sent", "delivered"]) for order in orders)
    assert len(orders) > 1


def test_callbacks_come_as_late_as_they_are_told(twilio: ServedTwilio, sink: Sink) -> None:
    """Nothing waits for them but what wants to."""
    twilio.callbacks = CallbackPlan(automatic=True, delay_s=(0.15, 0.15))
    began = time.monotonic()
    channel_to(twilio, sink).send(question())
    assert time.monotonic() - began < 0.4
    twilio.settle()
    assert time.monotonic() - began > 0.4
    assert len(sink.received) == 3


PLANS = st.builds(
    CallbackPlan,
    repeat=st.floats(0, 1),
    reorder=st.floats(0, 1),
    loss=st.floats(0, 1),
    delay_s=st.just((0.0, 1.0)),
)


@given(PLANS, st.text(max_size=5))
def test_the_same_seed_plans_the_same_callbacks(plan: CallbackPlan, seed: str) -> None:
    """A failure can be repeated; every callback is one of the text's, twice at most."""
    last = Step("undelivered", 30003)
    steps = planned(plan, last, seed=seed)
    assert steps == planned(plan, last, seed=seed)
    counted = Counter(step for _, step in steps)
    assert set(counted) <= {Step("queued"), Step("sent"), last}
    assert all(count <= 2 for count in counted.values())
    assert all(0 <= wait_s <= 1 for wait_s, _ in steps)


def test_a_seed_is_printed() -> None:
    """And drawn where none was given."""
    with running_twilio(seed=7) as twilio:
        assert repr(twilio) == "FakeTwilio(seed=7)"
    with running_twilio() as twilio:
        assert str(twilio.seed) in repr(twilio)


# Inbound posts


def test_a_reply_is_posted_signed_with_all_that_twilio_sends(twilio: ServedTwilio, sink: Sink) -> None:
    """Blank and unannounced fields included; media have their addresses."""
    twilio.unannounced = True
    url = sink.url + INBOUND_PATH + "?x="
    assert twilio.post_inbound(url, phone=PHONE, body=" Sí & é\n", sid="SM1", media=["https://m.example/1"]) == 200
    post = sink.received[0]
    assert is_signed(sink, post)
    fields = dict(parse_form(post.body) or ())
    assert (fields["FromCity"], fields["NumMedia"], fields["MediaUrl0"]) == ("", "1", "https://m.example/1")
    assert any(name.startswith("X") for name in fields)
    text = inbound_text(fields.items())
    assert text is not None
    assert (text.message_id, text.phone, text.own_number, text.body) == ("SM1", PHONE, OWN_NUMBER, " Sí & é\n")


def test_each_reply_has_a_sid_of_its_own(twilio: ServedTwilio, sink: Sink) -> None:
    """Unless the test names it."""
    for _ in range(3):
        twilio.post_inbound(sink.url, phone=PHONE, body="YES")
    assert len({dict(parse_form(post.body) or ())["MessageSid"] for post in sink.received}) == 3


@pytest.mark.parametrize(
    ("overrides", "answers", "expected"),
    [
        ("", [500], (1, 500)),
        ("#rc=3", [500, 500], (1, 500)),
        ("#rc=3&rp=5xx", [500, 503, 200], (3, 200)),
        ("#rc=3&rp=all", [404, 500, 0, 200], (4, 200)),
        ("#rc=1&rp=all", [500, 500, 500], (2, 500)),
        ("#rc=2&rp=4xx,rt", [404, 0, 500], (3, 500)),
        ("#rc=0&rp=all", [0], (1, NO_ANSWER)),
    ],
)
def test_posts_are_repeated_as_the_address_asks(
    twilio: ServedTwilio, sink: Sink, overrides: str, answers: list[int], expected: tuple[int, int]
) -> None:
    """With one idempotency token and one sid; the fragment is neither sent nor signed."""
    posts, last = expected
    sink.answers.extend(answers)
    assert twilio.post_inbound(f"{sink.url}/in?a=1{overrides}", phone=PHONE, body="YES") == last
    assert len(sink.received) == posts
    assert len({post.headers["i-twilio-idempotency-token"] for post in sink.received}) == 1
    assert len({post.body for post in sink.received}) == 1
    assert all(post.path_and_query == "/in?a=1" and is_signed(sink, post) for post in sink.received)
    assert [made.attempt for made in twilio.webhooks.made] == list(range(posts))


def test_two_replies_have_two_idempotency_tokens(twilio: ServedTwilio, sink: Sink) -> None:
    """The token names the event, not the account."""
    twilio.post_inbound(sink.url, phone=PHONE, body="YES")
    twilio.post_inbound(sink.url, phone=PHONE, body="YES")
    assert len({post.headers["i-twilio-idempotency-token"] for post in sink.received}) == 2


def test_without_a_fragment_only_a_missing_connection_is_repeated(twilio: ServedTwilio, sink: Sink) -> None:
    """Once; a slow answer is not waited for longer than asked."""
    with running_sink() as gone:
        url = gone.url
    assert twilio.post_inbound(url, phone=PHONE, body="YES") == NO_CONNECTION
    assert len(twilio.webhooks.made) == 2
    sink.delay_s = 0.4
    assert twilio.post_inbound(f"{sink.url}#rt=100&rc=1&rp=rt", phone=PHONE, body="YES") == NO_ANSWER
    assert len(sink.received) == 2


# Opt-outs and tokens


@pytest.mark.parametrize("word", sorted(STOP_WORDS))
def test_a_stop_word_stops_later_texts(twilio: ServedTwilio, sink: Sink, word: str) -> None:
    """In any case, and it still reaches the webhook; START lets them through again."""
    channel = channel_to(twilio)
    twilio.post_inbound(sink.url, phone=PHONE, body=f" {word.lower()} ")
    assert channel.send(question()) == NotSent("21610 opted out", retryable=False, opted_out=True)
    twilio.post_inbound(sink.url, phone=PHONE, body="Start")
    assert isinstance(channel.send(question()), Sent)
    assert len(sink.received) == 2
    assert twilio.opt_outs.answered == [(PHONE, "STOP"), (PHONE, "START")]


@pytest.mark.parametrize("body", ["please stop", "STOP it", "stop.", "NO", ""])
def test_more_than_a_word_stops_nothing(twilio: ServedTwilio, sink: Sink, body: str) -> None:
    """Twilio takes single words only."""
    twilio.post_inbound(sink.url, phone=PHONE, body=body)
    assert isinstance(channel_to(twilio).send(question()), Sent)


@pytest.mark.parametrize("allowed", [True, False])
def test_yes_may_be_an_opt_in_word(twilio: ServedTwilio, sink: Sink, allowed: bool) -> None:
    """It is on long codes by default, which a service can change."""
    if not allowed:
        twilio.opt_outs.start_words.discard("YES")
    twilio.opted_out.add(PHONE)
    twilio.post_inbound(sink.url, phone=PHONE, body="YES")
    assert isinstance(channel_to(twilio).send(question()), Sent if allowed else NotSent)


def test_advanced_opt_out_says_what_a_text_was_taken_for(twilio: ServedTwilio, sink: Sink) -> None:
    """Custom words included; an ordinary answer is nothing special."""
    twilio.opt_outs.advanced = True
    twilio.opt_outs.stop_words.add("BASTA")
    for body in ("BASTA", "UNSTOP", "help", "NO", "YES"):
        twilio.post_inbound(sink.url, phone=PHONE, body=body)
    kinds = [dict(parse_form(post.body) or ()).get("OptOutType") for post in sink.received]
    assert kinds == ["STOP", "START", "HELP", None, None]


def test_either_token_sends_while_they_are_rotated(twilio: ServedTwilio, sink: Sink) -> None:
    """Posts are signed with the primary one until the other is promoted."""
    twilio.begin_rotation("new")
    assert isinstance(channel_to(twilio, token=AUTH_TOKEN).send(question()), Sent)
    assert isinstance(channel_to(twilio, token="new").send(question()), Sent)
    twilio.post_inbound(sink.url + INBOUND_PATH, phone=PHONE, body="YES")
    twilio.promote()
    twilio.post_inbound(sink.url + INBOUND_PATH, phone=PHONE, body="YES")
    before, after = sink.received
    assert (is_signed(sink, before, AUTH_TOKEN), is_signed(sink, before, "new")) == (True, False)
    assert (is_signed(sink, after, AUTH_TOKEN), is_signed(sink, after, "new")) == (False, True)
    assert all(is_signed(sink, post, "new", AUTH_TOKEN) for post in (before, after))
    assert isinstance(channel_to(twilio, token=AUTH_TOKEN).send(question()), NotSent)


def test_the_two_signatures_agree() -> None:
    """Twilio's published example by our own code of the fake."""
    fields = {"CallSid": "CA1234567890ABCDE", "Caller": "+14158675309", "Digits": "1234", "From": "+14158675309"}
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    signed = signature(url, {**fields, "To": "+18005551212"}, token="12345")
    assert signed == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


# Slow and dead


def test_a_slow_provider_answers_late(twilio: ServedTwilio) -> None:
    """Everybody, until it is told otherwise."""
    channel = channel_to(twilio)
    channel.prepare()
    twilio.slow_s = 0.2
    began = time.monotonic()
    assert isinstance(channel.send(question()), Sent)
    assert time.monotonic() - began >= 0.2
    twilio.slow_s = 1.0
    assert isinstance(channel.send(question()), UnknownSent)


def test_a_dead_provider_refuses_or_hangs_and_comes_back(twilio: ServedTwilio) -> None:
    """At the same address, with all that it had; hanging takes nothing."""
    channel = channel_to(twilio)
    channel.send(question())
    twilio.die()
    assert channel.send(question()) == NotSent("no connection", retryable=True)
    twilio.revive()
    twilio.die(hanging=True)
    assert isinstance(channel.send(question()), UnknownSent)
    with pytest.raises(OperatingError):
        channel.find(question())
    twilio.revive()
    assert len(twilio.texts) == 1
    assert isinstance(channel.send(question(body="another")), Sent)


def test_many_clients_at_once(twilio: ServedTwilio, sink: Sink) -> None:
    """Every text has its own sid and its own callbacks."""
    twilio.callbacks = CallbackPlan(automatic=True, delay_s=(0, 0))
    channel = channel_to(twilio, sink)
    channel.prepare()
    threads = [threading.Thread(target=channel.send, args=(question(number),)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    twilio.settle()
    reports = [report_of(post) for post in sink.received]
    assert Counter(report.message_id for report in reports) == {question(n).message_id: 3 for n in range(20)}
    assert len({report.provider_sid for report in reports}) == 20


# The check of an account


def test_an_account_is_checked_over_http(twilio: ServedTwilio) -> None:
    """Credentials, number and balance, in one line; what is wrong is named."""

    def check(**changes: str) -> str:
        usual = {"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN, "own_number": OWN_NUMBER, "api_url": twilio.url}
        return check_account(**{**usual, **changes})

    assert check() == "Twilio account active, balance 12.50 USD"
    assert check(own_number="MG" + "1" * 32).startswith("Twilio account active")
    with pytest.raises(OperatingError, match="TWILIO_AUTH_TOKEN"):
        check(auth_token="wrong")
    with pytest.raises(OperatingError, match="TWILIO_FROM_NUMBER"):
        check(own_number="+12025550177")
    twilio.die()
    with pytest.raises(OperatingError, match="cannot be reached"):
        check()


def test_a_fault_serves_one_request(twilio: ServedTwilio) -> None:
    """In the order in which they were queued."""
    channel = channel_to(twilio)
    twilio.create_faults.extend([Fault(status=400, code=21614), Fault(status=503)])
    outcomes = [channel.send(question()) for _ in range(3)]
    assert [type(outcome) for outcome in outcomes] == [NotSent, UnknownSent, Sent]
