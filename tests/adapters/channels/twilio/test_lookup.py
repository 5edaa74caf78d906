"""Looking up at Twilio what may have been taken: found where it is ours, and only there; never "no" for "unknown"."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.adapters.channels.twilio.channel import TwilioChannel
from cardwatch.adapters.channels.twilio.lookup import PAGE, PAGES_MAX, TRIAL_SENTENCE, Wanted, sid_of
from cardwatch.adapters.clock import FixedClock, SystemClock
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message
from cardwatch.ports import Clock, Sent, UnknownSent
from tests.builders import OTHER_PHONE, OWN_NUMBER, PHONE, make_message
from tests.fakes.twilio_server import ACCOUNT_SID, AUTH_TOKEN, FakeTwilio, Fault, Text, running_twilio

SERVICE_SID = "MG" + "2" * 32


@pytest.fixture
def twilio() -> Iterator[FakeTwilio]:
    """Serve a fake Twilio."""
    with running_twilio() as fake:
        yield fake


def channel_to(twilio: FakeTwilio, *, clock: Clock | None = None, **options: str) -> TwilioChannel:
    """Return a channel that talks to the fake, impatiently."""
    return TwilioChannel(
        account_sid=ACCOUNT_SID,
        auth_token=AUTH_TOKEN,
        own_number=OWN_NUMBER,
        clock=clock or SystemClock(),
        api_url=twilio.url,
        timeout_s=0.5,
        **options,
    )


def now_ms() -> int:
    """Return the present by this machine's clock."""
    return SystemClock().now_ms()


def question(message_id: str = "chl_1:sms:question:1", **fields: object) -> Message:
    """Return a question that was made just now."""
    usual: dict[str, object] = {"created_at_ms": now_ms(), "expires_at_ms": now_ms() + 1_800_000}
    return msgspec.structs.replace(make_message(message_id), **{**usual, **fields})


def listed_text(twilio: FakeTwilio, *, seconds_ago: float = 0.0, status: str = "delivered", **fields: str) -> Text:
    """Let the fake have a text that somebody sent a while ago."""
    usual = {"To": PHONE, "From": OWN_NUMBER, "Body": make_message().body}
    made = twilio.now() - timedelta(seconds=seconds_ago)
    text = Text(f"SM{len(twilio.texts):032x}", {**usual, **fields}, created=made, status=status)
    twilio.texts.append(text)
    return text


def test_a_text_whose_answer_was_lost_is_found(twilio: FakeTwilio) -> None:
    """It is there with the sid that the answer would have named."""
    channel, message = channel_to(twilio), question()
    twilio.create_faults.append(Fault(drop=True, takes=True))
    assert isinstance(channel.send(message), UnknownSent)
    assert channel.find(message) == Sent(twilio.texts[0].sid)


def test_a_text_that_was_never_taken_is_not_found(twilio: FakeTwilio) -> None:
    """Then it may be sent again."""
    channel, message = channel_to(twilio), question()
    twilio.create_faults.append(Fault(drop=True))
    assert isinstance(channel.send(message), UnknownSent)
    assert channel.find(message) is None


def test_another_body_phone_or_sender_is_not_ours(twilio: FakeTwilio) -> None:
    """Two institutions may text one number from one account."""
    channel = channel_to(twilio)
    listed_text(twilio)
    assert channel.find(question()) is not None
    assert channel.find(question(body="Another question")) is None
    assert channel.find(question(address=OTHER_PHONE)) is None
    assert channel.find(question(own_address="+12025550177")) is None


def test_a_text_whose_words_end_with_ours_is_not_ours(twilio: FakeTwilio) -> None:
    """A reminder may quote its question."""
    listed_text(twilio, Body=f"Reminder: {make_message().body}")
    assert channel_to(twilio).find(question()) is None


def test_a_trial_accounts_sentence_does_not_hide_a_text(twilio: FakeTwilio) -> None:
    """Twilio puts a sentence before the body of trial accounts."""
    twilio.trial = True
    channel, message = channel_to(twilio), question()
    assert isinstance(channel.send(message), Sent)
    assert twilio.texts[0].fields["Body"].startswith(TRIAL_SENTENCE)
    assert channel.find(message) == Sent(twilio.texts[0].sid)


def test_white_space_that_twilio_trims_does_not_hide_a_text(twilio: FakeTwilio) -> None:
    """Bodies are compared by their words."""
    text = listed_text(twilio, Body="Did you pay?")
    assert channel_to(twilio).find(question(body=" Did you  pay?\n")) == Sent(text.sid)


@pytest.mark.parametrize("status", ["undelivered", "failed", "canceled"])
def test_the_second_attempts_look_up_passes_the_first_attempts_text_over(twilio: FakeTwilio, status: str) -> None:
    """Both have the same words; the first failed, which is why there is a second, and may be seconds older only."""
    channel = channel_to(twilio)
    first = question("chl_1:sms:question:1")
    assert isinstance(channel.send(first), Sent)
    twilio.texts[0].status = status
    second = question("chl_1:sms:question:2", created_at_ms=now_ms() + 1_000)
    assert channel.find(second) is None
    twilio.texts[0].created -= timedelta(seconds=60)
    assert channel.find(second) is None


def test_each_attempt_finds_its_own_text(twilio: FakeTwilio) -> None:
    """Equal words twice: the first made since our row is ours."""
    channel = channel_to(twilio)
    first_text = listed_text(twilio, seconds_ago=90, status="undelivered")
    second_text = listed_text(twilio, seconds_ago=30)
    first = question("chl_1:sms:question:1", created_at_ms=now_ms() - 91_000)
    second = question("chl_1:sms:question:2", created_at_ms=now_ms() - 60_000)
    assert channel.find(first) == Sent(first_text.sid)
    assert channel.find(second) == Sent(second_text.sid)


def test_equal_words_of_a_while_ago_are_not_ours(twilio: FakeTwilio) -> None:
    """Two payments may be alike, and the answers to their replies, too."""
    listed_text(twilio, seconds_ago=10)
    assert channel_to(twilio).find(question()) is None


def test_a_text_made_a_moment_before_ours_is_taken_for_ours(twilio: FakeTwilio) -> None:
    """Whole seconds and small differences of clocks: asking twice is the worse error."""
    text = listed_text(twilio, seconds_ago=2)
    assert channel_to(twilio).find(question()) == Sent(text.sid)


def test_only_the_later_of_two_equal_texts_was_taken(twilio: FakeTwilio) -> None:
    """This cannot be told apart: the earlier one's look-up finds the later text, and the words went out once."""
    later = listed_text(twilio)
    assert channel_to(twilio).find(question(created_at_ms=now_ms() - 60_000)) == Sent(later.sid)


@pytest.mark.parametrize("ahead_s", [-7_200.0, -150.0, 150.0, 7_200.0])
def test_a_wrong_clock_neither_hides_nor_invents_a_text(twilio: FakeTwilio, ahead_s: float) -> None:
    """Ours is translated into Twilio's by the time that its answer states."""
    twilio.clock_ahead_s = ahead_s
    channel, message = channel_to(twilio), question()
    assert channel.find(message) is None
    channel.send(message)
    assert channel.find(message) == Sent(twilio.texts[0].sid)
    assert channel.find(question(created_at_ms=now_ms() + 60_000)) is None


def test_an_answer_without_a_time_is_met_with_more_tolerance(twilio: FakeTwilio) -> None:
    """A proxy may take the header away; two minutes of difference between clocks are borne."""
    twilio.dated = False
    channel = channel_to(twilio)
    text = listed_text(twilio, seconds_ago=100)
    assert channel.find(question()) == Sent(text.sid)
    text.status = "undelivered"
    assert channel.find(question("chl_1:sms:question:2")) is None
    text.created, text.status = text.created - timedelta(seconds=60), "sent"
    assert channel.find(question()) is None


def test_a_services_texts_are_found_before_and_after_it_chose_a_number(twilio: FakeTwilio) -> None:
    """Until it sends, a text names no sender; another service's text is not ours."""
    channel = channel_to(twilio)
    message = question(own_address=SERVICE_SID)
    assert isinstance(channel.send(message), Sent)
    text = twilio.texts[0]
    assert text.as_json()["from"] is None
    assert channel.find(message) == Sent(text.sid)
    text.status = "sent"
    assert text.as_json()["from"] == OWN_NUMBER
    assert channel.find(message) == Sent(text.sid)
    assert channel.find(question(own_address="MG" + "3" * 32)) is None
    beside = channel_to(twilio, messaging_service_sid=SERVICE_SID)
    assert beside.find(question()) == Sent(text.sid)


def test_replies_and_texts_of_calls_are_not_ours() -> None:
    """Twilio's own answers to keywords are outbound, too."""
    wanted = Wanted(body="x", number=None, service=None, created_at_ms=0, tolerance_ms=0)
    for direction in ("inbound", "outbound-reply", "outbound-call", "", None):
        assert sid_of([[Candidate(direction=direction)]], wanted) is None


@pytest.mark.parametrize("texts_since", [PAGE - 1, PAGE, 3 * PAGE + 7])
def test_a_text_is_found_behind_any_page(twilio: FakeTwilio, texts_since: int) -> None:
    """Other texts to the number may have followed."""
    channel, message = channel_to(twilio), question()
    channel.send(message)
    for _ in range(texts_since):
        listed_text(twilio, Body="Another text")
    assert channel.find(message) == Sent(twilio.texts[0].sid)
    pages = [query for method, _, query in twilio.requests if method == "GET"]
    assert len(pages) == texts_since // PAGE + 1 + (1 if (texts_since + 1) % PAGE == 0 and texts_since >= PAGE else 0)
    assert all(query["To"] == PHONE for query in pages)


def test_looking_ends_with_a_page_of_older_texts(twilio: FakeTwilio) -> None:
    """A number's history may be long; a few old ones in between do not end it."""
    for _ in range(20 * PAGE):
        listed_text(twilio, seconds_ago=86_400)
    assert channel_to(twilio).find(question()) is None
    assert len([method for method, _, _ in twilio.requests if method == "GET"]) == 1
    ours = listed_text(twilio)
    for _ in range(PAGE - 1):
        listed_text(twilio, seconds_ago=86_400)
    assert channel_to(twilio).find(question()) == Sent(ours.sid)


def test_too_many_recent_texts_are_no_answer(twilio: FakeTwilio) -> None:
    """Giving up is not the same as not found."""
    for _ in range(PAGES_MAX * PAGE + 1):
        listed_text(twilio, Body="Another text")
    with pytest.raises(OperatingError, match="too many"):
        channel_to(twilio).find(question())


def test_pages_without_end_are_no_answer(twilio: FakeTwilio) -> None:
    """Empty ones that always name a next one."""
    more = {"messages": [], "next_page_uri": f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json?Page=1"}
    twilio.list_faults.extend([Fault(body=msgspec.json.encode(more).decode())] * 100)
    with pytest.raises(OperatingError, match="too many"):
        channel_to(twilio).find(question())
    assert len(twilio.requests) == PAGES_MAX + 1


def test_a_page_that_fails_is_no_answer(twilio: FakeTwilio) -> None:
    """What was on it is not known."""
    for _ in range(2 * PAGE):
        listed_text(twilio, Body="Another text")
    twilio.list_faults.extend([Fault(), Fault(status=500)])
    with pytest.raises(OperatingError, match="HTTP 500"):
        channel_to(twilio).find(question())


@pytest.mark.parametrize("body", ["", "***", "XXXX", "[REDACTED]", "Redacted"])
def test_hidden_bodies_are_no_answer(twilio: FakeTwilio, body: str) -> None:
    """An account that redacts its texts would have every one of them sent twice; an old one says nothing."""
    text = listed_text(twilio, Body=body)
    with pytest.raises(OperatingError, match="hides the bodies"):
        channel_to(twilio).find(question())
    text.created -= timedelta(hours=1)
    assert channel_to(twilio).find(question()) is None


def test_an_account_that_redacts_is_noticed(twilio: FakeTwilio) -> None:
    """The whole way: taken, not answered, looked up."""
    twilio.redacts = True
    channel, message = channel_to(twilio), question()
    twilio.create_faults.append(Fault(drop=True, takes=True))
    channel.send(message)
    with pytest.raises(OperatingError, match="hides the bodies"):
        channel.find(message)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=401),
        Fault(delay_s=1.2),
        Fault(drop=True),
        Fault(status=429, code=20429),
        Fault(body=""),
        Fault(body="[]"),
        Fault(body="null"),
        Fault(body="{}"),
        Fault(body='{"messages": null}'),
        Fault(body='{"messages": [7]}'),
        Fault(body='{"messages": [], "a": [], "b": []}'),
        Fault(body="[" * 100_000),
        Fault(cut=True),
    ],
)
def test_a_look_up_without_an_answer_says_so(twilio: FakeTwilio, fault: Fault) -> None:
    """Not knowing is not the same as not found; neither number nor address stand in what is said."""
    twilio.list_faults.append(fault)
    with pytest.raises(OperatingError) as raised:
        channel_to(twilio).find(question())
    assert PHONE[1:] not in repr(raised.value)
    assert twilio.url not in repr(raised.value)
    assert raised.value.__suppress_context__


def test_a_fixed_clock_far_away_finds_its_own(twilio: FakeTwilio) -> None:
    """Simulated time is translated like any other."""
    clock = FixedClock()
    channel = channel_to(twilio, clock=clock)
    message = question(created_at_ms=clock.now_ms(), expires_at_ms=None)
    channel.send(message)
    assert channel.find(message) == Sent(twilio.texts[0].sid)


class Candidate(msgspec.Struct):
    """A text as the SDK lists it."""

    sid: str | None = "SM1"
    body: str | None = "x"
    from_: str | None = None
    messaging_service_sid: str | None = None
    date_created: object = None
    direction: str | None = "outbound-api"
    status: str | None = "queued"


TIMES = st.one_of(st.none(), st.integers(-200_000, 200_000))


@given(st.lists(st.tuples(TIMES, st.sampled_from(["queued", "failed", "delivered"])), max_size=12))
def test_the_first_since_ours_wins(made: list[tuple[int | None, str]]) -> None:
    """In any order on a page: the first made since ours, else the latest shortly before that did not fail."""
    recent = [at is None or at >= -5_000 for at, _ in made[:4]]
    if made and not any(recent):
        made = made[:4]
    base_ms = 1_790_000_000_000
    candidates = [
        Candidate(
            sid=f"SM{number}",
            status=status,
            date_created=None if at is None else datetime.fromtimestamp((base_ms + at) / 1000, UTC),
        )
        for number, (at, status) in enumerate(made)
    ]
    wanted = Wanted(body="x", number=None, service=None, created_at_ms=base_ms, tolerance_ms=5_000)
    since = [at or 0 for at, _ in made if at is None or at >= 0]
    before = [at for at, status in made if at is not None and -5_000 <= at < 0 and status != "failed"]
    sid = sid_of([candidates[:4], [], candidates[4:]], wanted)
    if not since and not before:
        assert sid is None
    else:
        found = made[int((sid or "SM-1")[2:])][0] or 0
        assert found == (min(since) if since else max(before))
