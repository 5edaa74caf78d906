"""What the sweeps of a running application do about what an earlier configuration left."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from cardwatch.domain.changes import AddMessage
from cardwatch.domain.message import Message, MessageKind, MessageState
from cardwatch.domain.times import HOUR_MS
from cardwatch.runtime.bootstrap import open_application, open_reader, open_store
from cardwatch.runtime.settings import Settings, read_settings
from cardwatch.services.put_away_messages import NOT_CONFIGURED
from tests.builders import make_message

WAIT_S = 20.0


def run_until(settings: Settings, done: Callable[[], bool]) -> None:
    """Let an application work until something holds."""

    async def work() -> None:
        application = open_application(settings)
        await application.start()
        try:
            async with asyncio.timeout(WAIT_S):
                while not done():  # noqa: ASYNC110  seen from outside, as an operator would
                    await asyncio.sleep(0.05)
        finally:
            await application.stop()

    asyncio.run(work())


def test_what_a_removed_channel_left_is_put_away_at_the_start(tmp_path: Path) -> None:
    """Once its life has ended; what may still go out waits for its channel to come back."""
    settings = read_settings({}, data_dir=tmp_path)
    now_ms = time.time_ns() // 1_000_000

    def message(message_id: str, channel: str, *, age_h: int, **fields: object) -> Message:
        created_at_ms = now_ms - age_h * HOUR_MS
        times = {"created_at_ms": created_at_ms, "due_at_ms": created_at_ms, "expires_at_ms": created_at_ms + HOUR_MS}
        return make_message(message_id, channel=channel, **times, **fields)

    old = [message(f"mail_{number}", "email", age_h=2) for number in range(150)]
    store = open_store(settings)
    changes = [*old, message("told", "callback", age_h=90, kind=MessageKind.CALLBACK), message("new", "push", age_h=0)]
    assert store.apply([AddMessage(each) for each in changes]) is None
    store.close()
    reader = open_reader(settings)

    def state(message_id: str) -> tuple[MessageState, str | None]:
        found = reader.message(message_id)
        assert found is not None
        return found.state, found.error

    put_away = (MessageState.EXPIRED, NOT_CONFIGURED)
    try:
        run_until(settings, lambda: state("told") == put_away)
        assert {state(each.message_id) for each in old} == {put_away}
        assert state("new") == (MessageState.QUEUED, None)
        (letter,) = reader.dead_letters(limit=9)
        assert letter.payload == "told"
    finally:
        reader.close()
