"""The whole conversation under every fault at once; a failing seed is named and repeats exactly."""

import pytest

from cardwatch.domain.challenge import OPEN, Challenge, ChallengeState
from cardwatch.domain.message import Direction
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.services.reply_turn import Result
from tests.services.simulated_holders import World

STATUSES = {
    ChallengeState.CONFIRMED: {Status.APPROVED},
    ChallengeState.DENIED: {Status.DECLINED, Status.IN_REVIEW},
    ChallengeState.EXPIRED: {Status.IN_REVIEW},
    ChallengeState.UNCLEAR: {Status.IN_REVIEW},
    ChallengeState.UNDELIVERABLE: {Status.IN_REVIEW},
    ChallengeState.OPTED_OUT: {Status.IN_REVIEW},
    ChallengeState.CANCELLED: {Status.IN_REVIEW},
}
"""Where a payment may stand by how its challenge ended."""


def records_of(world: World) -> list[TransactionRecord]:
    """Return every payment."""
    return [record for record, _ in world.store.export()]


def challenges_of(world: World) -> list[Challenge]:
    """Return every challenge."""
    return [record.challenge for record in records_of(world) if record.challenge is not None]


def check_one_question_stands(world: World) -> None:
    """At any moment at most one question stands on a phone."""
    for number in range(world.phones):
        standing = [
            c for c in world.store.open_challenges(f"+1202555{1000 + number}") if c.state is ChallengeState.ASKED
        ]
        assert len(standing) <= 1, f"seed {world.seed}: {standing}"


def check_no_text_went_twice(world: World) -> None:
    """The provider keeps a record of all it took, so no text may reach it a second time."""
    twice = {message_id: sids for message_id, sids in world.taken.items() if len(sids) > 1}
    assert not twice, f"seed {world.seed}: {twice}"


def check_approvals(world: World) -> None:
    """Whatever was approved was meant by its holder: a YES about this very payment, in time, with its code."""
    for record in records_of(world):
        if record.status is not Status.APPROVED:
            continue
        challenge = record.challenge
        assert challenge is not None
        wanted = "YES" if challenge.code is None else f"YES {challenge.code}"
        meant = [
            said
            for said in world.said
            if said.phone == challenge.phone
            and said.transaction_id == record.transaction.transaction_id
            and said.body == wanted
            and said.handled_at_ms < challenge.expires_at_ms
        ]
        assert meant, f"seed {world.seed}: {record.transaction.transaction_id} was approved without its holder's YES"


def check_the_end(world: World) -> None:
    """Nothing is open, every payment stands where its challenge left it, no challenge had more than three texts."""
    texts: dict[str, int] = {}
    for number in range(world.phones):
        for message in world.store.conversation(f"+1202555{1000 + number}", limit=100_000):
            if message.direction is Direction.OUTBOUND:
                texts[message.challenge_id or ""] = texts.get(message.challenge_id or "", 0) + 1
    for record in records_of(world):
        challenge = record.challenge
        if challenge is None:
            assert record.status is Status.IN_REVIEW
            continue
        assert challenge.state not in OPEN, f"seed {world.seed}: {challenge.challenge_id} is still open"
        assert record.status in STATUSES[challenge.state], f"seed {world.seed}: {challenge.challenge_id}"
        assert texts.get(challenge.challenge_id, 0) <= 3, f"seed {world.seed}: {challenge.challenge_id}"
        assert (challenge.asked_at_ms is not None) or texts.get(challenge.challenge_id, 0) == 0
        account = world.store.account(challenge.user_id)
        assert account is not None
        if challenge.state is ChallengeState.DENIED:
            assert account.held_since_ms is not None, f"seed {world.seed}: {challenge.challenge_id}"


@pytest.mark.parametrize("seed", range(6))
def test_no_fault_releases_money_or_asks_twice(seed: int) -> None:
    """Several hundred challenges a seed over single and shared phones, with everything going wrong."""
    world = World(seed=seed, payments=300, phones=60)
    world.run(check=lambda: check_no_text_went_twice(world) if world.random.random() < 0.02 else None)
    check_no_text_went_twice(world)
    check_approvals(world)
    check_the_end(world)
    states = {challenge.state for challenge in challenges_of(world)}
    assert {ChallengeState.CONFIRMED, ChallengeState.DENIED, ChallengeState.EXPIRED} <= states


def test_one_question_stands_at_any_moment() -> None:
    """Checked after every single event of a run on few phones, many of them shared."""
    world = World(seed=99, payments=120, phones=8)
    world.run(check=lambda: check_one_question_stands(world))
    check_approvals(world)
    check_the_end(world)


def test_the_simulation_meets_what_it_is_for() -> None:
    """Over its seeds the faults do happen: late, repeated, unclear, code forgotten, taken back, opted out."""
    met: set[str] = set()
    for seed in range(3):
        world = World(seed=seed, payments=300, phones=60)
        world.run(check=lambda: None)
        met |= set(world.results)
    assert met >= {
        Result.DUPLICATE,
        Result.CONFIRMED,
        Result.DENIED,
        Result.HELD_AGAIN,
        Result.CODE_NEEDED,
        Result.PROMPTED,
        Result.LATE,
        Result.REPEATED,
        Result.OPTED_OUT,
    }


def test_a_seed_repeats_exactly() -> None:
    """The same seed gives the same log, entry for entry."""
    logs = []
    for _ in range(2):
        world = World(seed=5, payments=60, phones=12)
        world.run(check=lambda: None)
        logs.append(world.store.log(after=0, limit=100_000))
    assert logs[0] == logs[1]
