"""The sweep: silence ends in review, never in an approval, and frees the phone for the next question."""

from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.challenge import ChallengeState
from cardwatch.domain.transaction import Status
from cardwatch.services.expire_challenges import expire_challenges
from tests.builders import NOW_MS
from tests.services.conversation import SENDER, TTL_MS, asked, challenge_of, challenge_payment, say, status_of


def sweep(store: MemoryStore, now_ms: int) -> tuple[str, ...]:
    """Run the sweep."""
    return expire_challenges(store=store, sender=SENDER, now_ms=now_ms, token="5a")


def test_silence_ends_in_review() -> None:
    """From the end of its life on a challenge is expired and its payment is an analyst's, with the cause kept."""
    store = MemoryStore()
    asked(store, "txn_1")
    assert sweep(store, NOW_MS + TTL_MS - 1) == ()
    assert sweep(store, NOW_MS + TTL_MS) == (challenge_of(store, "txn_1").challenge_id,)
    assert challenge_of(store, "txn_1").state is ChallengeState.EXPIRED
    assert status_of(store, "txn_1") is Status.IN_REVIEW
    assert store.log(after=0, limit=100)[-1].detail == "in_review:challenge_expired"


def test_a_second_sweep_changes_nothing() -> None:
    """What was expired stays as it is."""
    store = MemoryStore()
    asked(store, "txn_1")
    sweep(store, NOW_MS + TTL_MS)
    entries = len(store.log(after=0, limit=100))
    assert sweep(store, NOW_MS + TTL_MS + 1) == ()
    assert len(store.log(after=0, limit=100)) == entries


def test_a_question_still_queued_at_the_end_of_its_life_expires_too() -> None:
    """Life runs from the decision, not from the asking; none of the dead ones is asked on the way."""
    store = MemoryStore()
    asked(store, "txn_1")
    challenge_payment(store, "txn_2")
    assert len(sweep(store, NOW_MS + TTL_MS)) == 2
    assert challenge_of(store, "txn_2").state is ChallengeState.EXPIRED
    assert challenge_of(store, "txn_2").asked_at_ms is None
    assert status_of(store, "txn_2") is Status.IN_REVIEW


def test_the_next_question_is_asked_when_one_expires() -> None:
    """A younger one behind it keeps what life it has left."""
    store = MemoryStore()
    asked(store, "txn_1")
    challenge_payment(store, "txn_2", now_ms=NOW_MS + TTL_MS // 2)
    sweep(store, NOW_MS + TTL_MS)
    second = challenge_of(store, "txn_2")
    assert (second.state, second.code is not None) == (ChallengeState.ASKED, True)


def test_an_answered_challenge_does_not_expire() -> None:
    """Only open challenges are swept."""
    store = MemoryStore()
    asked(store, "txn_1")
    say(store, "YES")
    assert sweep(store, NOW_MS + TTL_MS) == ()
    assert status_of(store, "txn_1") is Status.APPROVED


def test_a_sweep_is_bounded() -> None:
    """At most so many in one go, the oldest first."""
    store = MemoryStore()
    for number in range(5):
        challenge_payment(store, f"txn_{number}", now_ms=NOW_MS + number)
    ended = expire_challenges(store=store, sender=SENDER, now_ms=NOW_MS + 2 * TTL_MS, token="5a", limit=3)
    assert [challenge_id.split(":")[0] for challenge_id in ended] == ["txn_0", "txn_1", "txn_2"]
