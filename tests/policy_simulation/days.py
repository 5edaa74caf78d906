"""Small days and policies for the simulation's tests; a test names only what it is about."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from cardwatch.domain.account import PushTarget
from cardwatch.domain.policy import Policy, parse_policy
from cardwatch.domain.times import HOUR_MS
from cardwatch.simulation.assumptions import Assumptions, OnChannel
from cardwatch.simulation.chance import Chance
from cardwatch.simulation.day import Case
from cardwatch.simulation.household import End, Rules
from cardwatch.simulation.run import CHANNELS, live_through
from tests.builders import make_account, make_transaction

NOON_MS = int(datetime(2026, 3, 17, 12, tzinfo=UTC).timestamp() * 1000)
TTL_MS = HOUR_MS // 2

PROMPT = OnChannel(
    answer_share=1,
    reminder_answer_share=1,
    answer_median_s=60,
    answer_spread=0,
    arrival_median_s=1,
    unreachable_share=0,
)
"""Everything arrives, and is answered a minute later."""
SILENT = msgspec.structs.replace(PROMPT, answer_share=0, reminder_answer_share=0)
UNREACHABLE = msgspec.structs.replace(PROMPT, unreachable_share=1)


def assume(**fields: Any) -> Assumptions:
    """Return a world without mistakes or faults, in which holders answer a minute later, but for what is named."""
    flawless = {
        "away_share": 0,
        "asleep": None,
        "unclear_share": 0,
        "forgets_code_share": 0,
        "wrong_yes_share": 0,
        "wrong_no_share": 0,
        "stop_share": 0,
        "provider_failure_share": 0,
    }
    return Assumptions(**{"sms": PROMPT, "push": PROMPT, "email": PROMPT, **flawless, **fields})


def case(number: int = 1, *, fraud: bool = False, at_ms: int = NOON_MS, **account: Any) -> Case:
    """Return a payment that the threshold challenges, of an account of its own with every channel, in UTC."""
    user_id = account.pop("user_id", f"user_{number}")
    owner = {
        "phone_number": f"+1202555{1000 + number}",
        "time_zone": "UTC",
        "channels": ("sms", "push", "email"),
        "push": PushTarget(fcm_token=f"device {number}"),
    }
    return Case(
        transaction=make_transaction(f"txn_{number}", user_id=user_id, timestamp_ms=at_ms, card="4242"),
        account=make_account(user_id, **{**owner, **account}),
        score=0.9,
        threshold=0.5,
        decided_at_ms=at_ms,
        fraud=fraud,
    )


def policy(*steps: dict[str, Any], **escalation: Any) -> Policy:
    """Return a policy that asks everybody by these steps; `quiet_hours` may be given beside the escalation's own."""
    quiet = {"quiet_hours": escalation.pop("quiet_hours")} if "quiet_hours" in escalation else {}
    asking = {"escalations": [{"name": "only", "steps": steps, **escalation}], **quiet}
    return parse_policy(msgspec.json.encode({"asking": asking}))


def live(
    cases: list[Case], tried: Policy, assumptions: Assumptions, *, seed: int = 1, channels: frozenset[str] = CHANNELS
) -> list[End]:
    """Let payments happen under a policy."""
    return live_through(cases, rules=Rules(tried, channels, TTL_MS), assumptions=assumptions, chance=Chance(seed))
