"""The event stream: order, resuming, bounded work, signs of life, and its end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from cardwatch.console import feed as feed_module
from cardwatch.console.feed import ROWS_MAX, Feed, TooManyListeners
from cardwatch.console.snapshot import log_head
from cardwatch.domain.account_submission import AccountSubmission
from cardwatch.domain.submission import Submission
from cardwatch.runtime.application import Application
from cardwatch.runtime.bootstrap import open_application
from cardwatch.runtime.settings import Settings

PHONE = "+12065550101"
_TURN_S = 0.01


class Event(msgspec.Struct, frozen=True):
    """One event as a browser reads it."""

    name: str
    position: int | None
    data: dict[str, Any]

    @property
    def ids(self) -> list[str]:
        """The payments it tells of."""
        return [payment["transaction_id"] for payment in self.data.get("payments", ())]


class Page:
    """Reads the stream like a browser."""

    def __init__(self, feed: Feed, *, after: int | None = None, phone: str | None = None) -> None:
        self._stream: AsyncIterator[bytes] = feed.events(feed.join(after=after, phone=phone))
        self._waiting: list[Event] = []

    async def next(self, *names: str) -> Event:
        """Return the next event of these names (of any), within 5 s."""
        async with asyncio.timeout(5):
            while True:
                while not self._waiting:
                    self._waiting += _parse(await anext(self._stream))
                event = self._waiting.pop(0)
                if not names or event.name in names:
                    return event

    async def until(self, holds: Callable[[Event], bool]) -> Event:
        """Return the first event for which something holds."""
        while not holds(event := await self.next()):
            pass
        return event

    async def leave(self) -> None:
        """Close the stream as a browser does."""
        await self._stream.aclose()  # type: ignore[attr-defined]


def _parse(chunk: bytes) -> list[Event]:
    events = []
    for block in chunk.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line)
        if "event" in fields:
            position = int(fields["id"]) if "id" in fields else None
            events.append(Event(fields["event"], position, msgspec.json.decode(fields["data"])))
    return events


def _payment(transaction_id: str, **fields: Any) -> Submission:
    everyday = Submission(
        transaction_id=transaction_id, user_id="user_001", amount=Decimal("6.40"), merchant="Cafe", location="Seattle"
    )
    return msgspec.structs.replace(everyday, **fields)


def _suspicious(transaction_id: str) -> Submission:
    return _payment(transaction_id, amount=Decimal("9500.00"), merchant="Shop", location="Nowhere")


async def _give_phone(application: Application) -> None:
    await application.put_account("user_001", AccountSubmission(name="Alice", phone_number=PHONE))


def _run(
    application: Application,
    story: Callable[[Feed], Awaitable[None]],
    *,
    heartbeat_s: float = 15.0,
) -> None:
    async def tell() -> None:
        await application.start()
        feed = Feed(application, turn_s=_TURN_S, heartbeat_s=heartbeat_s)
        try:
            await story(feed)
        finally:
            feed.close()
            await application.stop()

    asyncio.run(tell())


def test_a_page_starts_with_everything_and_hears_of_each_decision_in_order(application: Application) -> None:
    """A snapshot comes first, then the payments in order of arrival, at growing positions."""

    async def story(feed: Feed) -> None:
        await application.record(_payment("before"), wait_ms=500)
        page = Page(feed)
        opening = await page.next()
        assert opening.name == "snapshot"
        assert opening.ids == ["before"]
        assert opening.data["counts"]["decided"] == 1
        seen: list[str] = []
        position = opening.position or 0
        for number in range(5):
            await application.record(_payment(f"p{number}"), wait_ms=500)
        while len(seen) < 5:
            event = await page.next("change")
            seen += event.ids
            assert (event.position or 0) >= position
            position = event.position or 0
        assert seen == [f"p{number}" for number in range(5)]
        assert position == log_head(application)

    _run(application, story)


def test_an_answered_question_changes_the_payment_and_the_counts(application: Application) -> None:
    """NO on the phone reaches the page as a declined payment, and moves the counts."""

    async def story(feed: Feed) -> None:
        await _give_phone(application)
        page = Page(feed)
        await application.record(_suspicious("bad"), wait_ms=500)
        asked = await page.until(lambda event: event.data.get("counts", {}).get("challenged") == 1)
        assert asked.data["payments"][-1]["question"]["phone"] == PHONE
        await page.until(lambda e: any(p["open_questions"] for p in e.data.get("phones", ())))
        await _wait_until_sent(application)
        await _type(application, "NO")
        told = await page.until(lambda event: event.data.get("counts", {}).get("declined") == 1)
        assert told.data["counts"]["challenged"] == 0
        payment = told.data["payments"][-1]
        assert (payment["status"], payment["question"]["state"]) == ("declined", "denied")

    _run(application, story)


def test_texts_of_the_watched_phone_are_announced_to_who_watches_it(application: Application) -> None:
    """Who looks at the phone hears that its texts changed; others do not."""

    async def story(feed: Feed) -> None:
        await _give_phone(application)
        watching, other = Page(feed, phone=PHONE), Page(feed, phone="+12065550102")
        assert (await watching.next("texts")).data == {"phone": PHONE}
        await application.record(_suspicious("bad"), wait_ms=500)
        assert (await watching.next("texts")).data == {"phone": PHONE}
        assert (await other.next("texts")).data == {"phone": "+12065550102"}
        await other.until(lambda event: event.ids == ["bad"])

    _run(application, story)


def test_a_stream_resumes_where_it_was(application: Application) -> None:
    """With its last position a page hears exactly what it missed."""

    async def story(feed: Feed) -> None:
        page = Page(feed)
        await application.record(_payment("heard"), wait_ms=500)
        heard = await page.until(lambda event: event.ids == ["heard"])
        await page.leave()
        for number in range(3):
            await application.record(_payment(f"missed{number}"), wait_ms=500)
        again = Page(feed, after=heard.position)
        missed: list[str] = []
        while len(missed) < 3:
            event = await again.next()
            assert event.name == "change"
            missed += event.ids
        assert missed == ["missed0", "missed1", "missed2"]

    _run(application, story)


@pytest.mark.parametrize("after", [10**9, 0])
def test_a_stream_that_cannot_resume_starts_anew(application: Application, after: int) -> None:
    """A position of another store, or one too far back for one event, brings a snapshot."""

    async def story(feed: Feed) -> None:
        for number in range(ROWS_MAX + 5):
            await application.record(_payment(f"p{number}"), wait_ms=500)
        opening = await Page(feed, after=after).next()
        assert opening.name == "snapshot"
        assert opening.ids == [f"p{number}" for number in range(5, ROWS_MAX + 5)]

    _run(application, story)


def test_a_burst_becomes_one_event_with_the_newest(application: Application) -> None:
    """However much happens in a turn, an event carries a bounded number of payments, and the counts stay exact."""

    async def story(feed: Feed) -> None:
        page = Page(feed)
        await page.next("snapshot")
        burst = [application.record(_payment(f"p{number}"), wait_ms=0) for number in range(200)]
        await asyncio.gather(*burst)
        events = [await page.until(lambda event: bool(event.ids))]
        while events[-1].ids[-1:] != ["p199"]:
            events.append(await page.until(lambda event: bool(event.ids)))
        assert max(len(event.ids) for event in events) <= ROWS_MAX
        counted = [event.data["counts"]["decided"] for event in events if "counts" in event.data]
        while counted[-1] != 200:
            counted.append((await page.until(lambda e: "counts" in e.data)).data["counts"]["decided"])

    _run(application, story)


def test_silence_is_broken_by_a_sign_of_life(application: Application) -> None:
    """A page can tell a quiet system from a dead connection."""

    async def story(feed: Feed) -> None:
        page = Page(feed)
        assert [(await page.next()).name for _ in range(3)] == ["snapshot", "beat", "beat"]

    _run(application, story, heartbeat_s=0.05)


def test_closing_ends_every_stream(application: Application) -> None:
    """When the process stops, streams end by themselves, also those that open too late."""

    async def story(feed: Feed) -> None:
        page = Page(feed)
        await page.next("snapshot")
        feed.close()
        with pytest.raises(StopAsyncIteration):
            await page.next()
        late = Page(feed)
        await late.next("snapshot")
        with pytest.raises(StopAsyncIteration):
            await late.next()

    _run(application, story)


def test_nothing_is_polled_once_nobody_listens(application: Application) -> None:
    """There is one poller for all pages, and it ends with the last of them."""

    async def story(feed: Feed) -> None:
        pages = [Page(feed) for _ in range(3)]
        poller = feed._poller
        for page in pages:
            await page.next("snapshot")
        assert feed._poller is poller
        for page in pages:
            await page.leave()
        assert poller is not None
        await asyncio.wait_for(poller, 1)

    _run(application, story)


def test_listeners_are_bounded(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """More pages than there are places are refused until one leaves."""
    monkeypatch.setattr(feed_module, "LISTENERS_MAX", 2)

    async def story(feed: Feed) -> None:
        first, second = Page(feed), Page(feed)
        await first.next()
        await second.next()
        with pytest.raises(TooManyListeners):
            feed.join(after=None, phone=None)
        await first.leave()
        await Page(feed).next("snapshot")

    _run(application, story)


def test_a_page_that_does_not_read_loses_its_stream_and_no_one_else_waits(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events do not pile up for a listener that is stuck; it comes back by its position."""
    monkeypatch.setattr(feed_module, "_BACKLOG_MAX", 2)

    async def story(feed: Feed) -> None:
        stuck = feed.join(after=None, phone=None)
        reading = Page(feed)
        for number in range(6):
            await application.record(_payment(f"p{number}"), wait_ms=500)
            await reading.until(lambda event: bool(event.ids))
        events = [event async for event in feed.events(stuck)]
        assert len(events) <= 3

    _run(application, story)


def test_hostile_names_stay_text_inside_one_event(application: Application) -> None:
    """A merchant's name cannot end an event or begin another."""
    name = "</script><script>alert(1)</script> data: {} \u2028event: snapshot"

    async def story(feed: Feed) -> None:
        page = Page(feed)
        await application.record(_payment("odd", merchant=name), wait_ms=500)
        event = await page.until(lambda event: event.ids == ["odd"])
        assert event.data["payments"][0]["merchant"] == name

    _run(application, story)


def test_imported_history_is_not_shown_as_decided(seeded: Settings) -> None:
    """What was decided elsewhere fills neither the table nor the counts, and the accounts' phones are offered."""
    application = open_application(seeded)

    async def story(feed: Feed) -> None:
        opening = await Page(feed).next("snapshot")
        assert opening.ids == ["txn_123"]
        assert opening.data["counts"]["decided"] == 0
        assert [phone["user_id"] for phone in opening.data["phones"]] == [f"user_00{n}" for n in range(1, 6)]

    _run(application, story)


async def _type(application: Application, body: str) -> None:
    posted = application.provider.typed_reply(PHONE, body)
    form = application.provider.read_form(posted.body)
    assert form is not None
    text = application.provider.inbound_text(form)
    assert text is not None
    await application.receive_text(text)


async def _wait_until_sent(application: Application) -> None:
    async with asyncio.timeout(5):
        while not any(text.provider_sid for text in application.conversation(PHONE, limit=5)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
