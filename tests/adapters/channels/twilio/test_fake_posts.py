"""What the fake Twilio posts of its own accord: replies, their repetitions, opt-outs, and signatures in rotation."""

from collections.abc import Iterator

import msgspec
import pytest

from cardwatch.adapters.channels.twilio.channel import TwilioChannel
from cardwatch.adapters.channels.twilio.signature import parse_form, verify
from cardwatch.adapters.channels.twilio.webhook import inbound_text
from cardwatch.adapters.clock import SystemClock
from cardwatch.domain.message import Message
from cardwatch.ports import NotSent, Sent
from tests.builders import OWN_NUMBER, PHONE, make_message
from tests.fakes.twilio.keywords import STOP_WORDS
from tests.fakes.twilio.sink import Received, Sink, running_sink
from tests.fakes.twilio_server import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    NO_ANSWER,
    NO_CONNECTION,
    ServedTwilio,
    running_twilio,
    signature,
)

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


def channel_to(twilio: ServedTwilio, *, token: str = AUTH_TOKEN) -> TwilioChannel:
    """Return our adapter to the fake."""
    return TwilioChannel(
        account_sid=ACCOUNT_SID,
        auth_token=token,
        own_number=OWN_NUMBER,
        clock=SystemClock(),
        api_url=twilio.url,
        timeout_s=0.5,
    )


def question() -> Message:
    """Return a question made just now."""
    return msgspec.structs.replace(make_message(), created_at_ms=SystemClock().now_ms(), expires_at_ms=None)


def is_signed(sink: Sink, post: Received, *tokens: str) -> bool:
    """Judge a post as our route does."""
    return verify(
        public_url=sink.url,
        raw_path_and_query=post.path_and_query,
        body_params=parse_form(post.body) or (),
        signature=post.headers.get("x-twilio-signature"),
        tokens=tokens or (AUTH_TOKEN,),
    )


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
