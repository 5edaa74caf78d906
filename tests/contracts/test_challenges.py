"""The contract of reading challenges: who may be asked next, what stands, what has run out."""

import pytest

from cardwatch.domain.challenge import MOVES, OPEN, Challenge, ChallengeState
from cardwatch.domain.changes import AddChallenge, AddTransaction, IllegalMove, PutChallenge, SetAsideChallenge
from cardwatch.ports import Store
from tests.builders import NOW_MS, OTHER_PHONE, PHONE, make_challenge, make_transaction

ASKED, QUEUED = ChallengeState.ASKED, ChallengeState.QUEUED


def add(store: Store, *challenges: Challenge) -> None:
    """Add challenges to one payment."""
    store.apply([AddTransaction(make_transaction())])
    for challenge in challenges:
        assert store.apply([AddChallenge(challenge)]) is None


def ids(challenges: object) -> list[str]:
    """Return the ids of challenges."""
    assert isinstance(challenges, list)
    return [challenge.challenge_id for challenge in challenges]


def test_a_challenge_comes_back_as_put(store: Store) -> None:
    """The latest version counts; an unknown id is None."""
    later = make_challenge(state=ASKED, code="42", asked_at_ms=NOW_MS, sent_at_ms=NOW_MS + 1, version=2)
    add(store, make_challenge())
    assert store.apply([PutChallenge(later)]) is None
    assert store.challenge("chl_1") == later
    assert store.challenge("absent") is None


def test_a_phones_open_challenges_are_ordered(store: Store) -> None:
    """Asked before queued, then by risk, highest first; closed ones and other phones are not among them."""
    add(
        store,
        make_challenge("queued-low", risk_minor=1),
        make_challenge("queued-high", risk_minor=900),
        make_challenge("asked-low", risk_minor=2, state=ASKED),
        make_challenge("asked-high", risk_minor=800, state=ASKED),
        make_challenge("closed", risk_minor=999, state=ChallengeState.CONFIRMED),
        make_challenge("elsewhere", phone=OTHER_PHONE),
    )
    assert ids(store.open_challenges(PHONE)) == ["asked-high", "asked-low", "queued-high", "queued-low"]
    assert ids(store.open_challenges(OTHER_PHONE)) == ["elsewhere"]
    assert ids(store.open_challenges("+10000000000")) == []


def test_recent_challenges_have_any_state(store: Store) -> None:
    """Asked at or after the time, newest first, whatever became of them; never those that were not asked."""
    add(
        store,
        make_challenge("before", asked_at_ms=NOW_MS - 1, state=ASKED),
        make_challenge("at", asked_at_ms=NOW_MS, state=ChallengeState.EXPIRED),
        make_challenge("after", asked_at_ms=NOW_MS + 1, state=ChallengeState.CONFIRMED),
        make_challenge("queued"),
        make_challenge("elsewhere", asked_at_ms=NOW_MS + 1, phone=OTHER_PHONE),
    )
    assert ids(store.recent_challenges(PHONE, asked_since_ms=NOW_MS)) == ["after", "at"]


def test_expired_challenges_are_open_and_over(store: Store) -> None:
    """Up to the limit, oldest first, the very millisecond included."""
    add(
        store,
        make_challenge("late", expires_at_ms=NOW_MS + 1),
        make_challenge("now", expires_at_ms=NOW_MS, state=ASKED),
        make_challenge("long-ago", expires_at_ms=NOW_MS - 1000),
        make_challenge("answered", expires_at_ms=NOW_MS - 2000, state=ChallengeState.DENIED),
    )
    assert store.expired_challenge_ids(now_ms=NOW_MS, limit=10) == ["long-ago", "now"]
    assert store.expired_challenge_ids(now_ms=NOW_MS, limit=1) == ["long-ago"]


def test_open_challenges_of_an_account(store: Store) -> None:
    """All of the account's open ones, on any phone."""
    add(
        store,
        make_challenge("one"),
        make_challenge("two", phone=OTHER_PHONE, state=ASKED),
        make_challenge("closed", state=ChallengeState.CANCELLED),
        make_challenge("other", user_id="user_002"),
    )
    assert sorted(ids(store.open_challenges_of("user_001"))) == ["one", "two"]


@pytest.mark.parametrize("end", [state for state in ChallengeState if state not in OPEN])
def test_a_closed_challenge_leaves_every_open_listing(store: Store, end: ChallengeState) -> None:
    """Once answered, expired or cancelled it is neither asked nor expired again."""
    add(store, make_challenge(state=ASKED, asked_at_ms=NOW_MS))
    assert store.apply([PutChallenge(make_challenge(state=end, asked_at_ms=NOW_MS, version=2))]) is None
    assert ids(store.open_challenges(PHONE)) == []
    assert ids(store.open_challenges_of("user_001")) == []
    assert store.expired_challenge_ids(now_ms=NOW_MS * 2, limit=10) == []
    assert ids(store.recent_challenges(PHONE, asked_since_ms=NOW_MS)) == ["chl_1"]


def test_a_challenge_that_is_set_aside_is_found_by_no_read(store: Store) -> None:
    """Its payment has no challenge any more, and the phone's history a gap from then on; others stay."""
    standing = make_challenge(state=ASKED, asked_at_ms=NOW_MS, act_at_ms=NOW_MS)
    assert store.apply([AddTransaction(make_transaction()), AddTransaction(make_transaction("txn_2"))]) is None
    other = make_challenge("chl_2", transaction_id="txn_2")
    assert store.apply([AddChallenge(standing), AddChallenge(other)]) is None
    assert store.challenge_ids_to_escalate(now_ms=NOW_MS, limit=10) == ["chl_1"]
    assert store.apply([SetAsideChallenge("chl_1", NOW_MS + 1)]) is None
    assert store.challenge("chl_1") is None
    assert ids(store.open_challenges(PHONE)) == ids(store.open_challenges_of("user_001")) == ["chl_2"]
    assert store.recent_challenges(PHONE, asked_since_ms=0) == []
    assert store.expired_challenge_ids(now_ms=NOW_MS * 2, limit=10) == ["chl_2"]
    assert store.challenge_ids_to_escalate(now_ms=NOW_MS * 2, limit=10) == []
    records = [store.transaction(key) for key in ("txn_1", "txn_2")]
    assert [record.challenge if record else standing for record in records] == [None, other]
    assert store.last_erasure_ms() == NOW_MS + 1


def test_only_what_is_there_is_set_aside(store: Store) -> None:
    """Once; a change that was decided before does not bring it back."""
    add(store, make_challenge())
    absent, twice = SetAsideChallenge("absent", NOW_MS), SetAsideChallenge("chl_1", NOW_MS)
    assert store.apply([absent]) is absent
    assert store.last_erasure_ms() is None
    assert store.apply([twice]) is None
    assert store.apply([twice]) is twice
    stale = PutChallenge(make_challenge(state=ASKED, version=2))
    assert store.apply([stale]) is stale


@pytest.mark.parametrize("after", list(ChallengeState))
@pytest.mark.parametrize("before", list(ChallengeState))
def test_only_known_moves_are_made(store: Store, before: ChallengeState, after: ChallengeState) -> None:
    """A challenge keeps its state or makes one of the domain's moves; any other is refused."""
    add(store, make_challenge(state=before))
    change = PutChallenge(make_challenge(state=after, version=2))
    if before is after or (before, after) in MOVES:
        assert store.apply([change]) is None
        assert store.challenge("chl_1") == change.challenge
    else:
        with pytest.raises(IllegalMove):
            store.apply([change])
        assert store.challenge("chl_1") == make_challenge(state=before)
