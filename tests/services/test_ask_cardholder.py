"""Who is asked, when, and with a code or without."""

import msgspec
import pytest

from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.account import Account
from cardwatch.domain.challenge import Challenge, ChallengeState
from cardwatch.domain.changes import AddChallenge, AddMessage, PutAccount, PutOptOut
from cardwatch.domain.transaction import Status
from cardwatch.services.ask_cardholder import (
    ChallengePlan,
    ask_next,
    close,
    expected_loss_minor,
    plan_challenge,
)
from cardwatch.services.reach import NotReachable, Unreachable
from tests.builders import NOW_MS, OTHER_PHONE, PHONE, make_account, make_transaction
from tests.services.conversation import (
    HOUR_MS,
    SENDER,
    TTL_MS,
    add_payment,
    challenge_of,
    challenge_payment,
    say,
    send_all,
    status_of,
    sweep,
)


def plan(store: MemoryStore, account: Account | None, *, now_ms: int = NOW_MS) -> ChallengePlan | NotReachable:
    """Plan the question about txn_new."""
    return plan_challenge(
        store=store,
        account=account,
        transaction=make_transaction("txn_new"),
        score=0.9,
        now_ms=now_ms,
        ttl_ms=TTL_MS,
        sender=SENDER,
        token="00",
    )


def planned(store: MemoryStore, account: Account, *, now_ms: int = NOW_MS) -> Challenge:
    """Return the challenge planned for txn_new; fails if there is none."""
    result = plan(store, account, now_ms=now_ms)
    assert isinstance(result, ChallengePlan)
    return result.challenge


@pytest.mark.parametrize(
    ("account", "reason"),
    [
        (None, Unreachable.NO_ACCOUNT),
        (make_account(held_since_ms=1), Unreachable.ACCOUNT_HELD),
        (make_account(phone_number=None), Unreachable.NO_PHONE),
        (make_account(channels=("email",)), Unreachable.NO_CHANNEL),
        (make_account(consent=False), Unreachable.NO_CONSENT),
    ],
)
def test_a_holder_who_cannot_be_asked_is_said_so_with_the_reason(account: Account | None, reason: Unreachable) -> None:
    """Held, opted out, without number, channel or consent: not reachable, with a word for the record."""
    assert plan(MemoryStore(), account) == NotReachable(reason)


def test_a_number_that_opted_out_is_not_texted() -> None:
    """The opt-out is the number's, whatever account has it."""
    store = MemoryStore()
    assert store.apply([PutOptOut(PHONE, 1)]) is None
    assert plan(store, make_account("user_777")) == NotReachable(Unreachable.OPTED_OUT)


def test_the_first_question_of_a_phone_is_asked_at_once_without_a_code() -> None:
    """Nothing else went to that phone: the question stands, bare, in the outbox, for the challenge's life."""
    result = plan(MemoryStore(), make_account())
    assert isinstance(result, ChallengePlan)
    assert (result.challenge.state, result.challenge.code) == (ChallengeState.ASKED, None)
    assert result.challenge.expires_at_ms == NOW_MS + TTL_MS
    added, text = result.changes
    assert added == AddChallenge(result.challenge)
    assert isinstance(text, AddMessage)
    assert text.message.expires_at_ms == NOW_MS + TTL_MS
    assert text.message.body.startswith("Cardwatch: Did you try to spend $21.40 at Corner Cafe?")


def test_a_second_question_waits_behind_the_one_that_stands() -> None:
    """One question per phone at a time: the next is queued and nothing is sent."""
    store = MemoryStore()
    challenge_payment(store, "txn_1")
    result = plan(store, make_account())
    assert isinstance(result, ChallengePlan)
    assert result.challenge.state is ChallengeState.QUEUED
    assert result.changes == (AddChallenge(result.challenge),)


@pytest.mark.parametrize(("hours", "coded"), [(1, True), (23.9, True), (24.1, False)])
def test_a_question_carries_a_code_for_24_hours_after_another_went_out(hours: float, coded: bool) -> None:
    """A bare YES would be ambiguous as long as another question reached that phone within 24 hours."""
    store = MemoryStore()
    challenge_payment(store, "txn_1")
    send_all(store)
    sent = challenge_of(store, "txn_1")
    assert store.apply(close(sent, ChallengeState.EXPIRED, status=None, cause="")) is None
    later = planned(store, make_account(), now_ms=NOW_MS + round(hours * HOUR_MS))
    assert (later.code is not None) is coded


def test_a_phone_that_serves_two_holders_always_needs_a_code() -> None:
    """Another account was ever asked on that number: who answers is not clear from the number alone."""
    store = MemoryStore()
    challenge = challenge_payment(store, "txn_1", user_id="user_other")
    assert store.apply(close(challenge, ChallengeState.EXPIRED, status=Status.CHALLENGED, cause="x")) is None
    assert planned(store, make_account(), now_ms=NOW_MS + 100 * HOUR_MS).code is not None
    on_own_phone = make_account(phone_number=OTHER_PHONE)
    assert planned(store, on_own_phone, now_ms=NOW_MS + 100 * HOUR_MS).code is None


def test_codes_do_not_repeat_on_a_phone() -> None:
    """Forty questions in a row on one phone carry forty different codes, but the first carries none."""
    store = MemoryStore()
    codes = []
    for number in range(41):
        challenge = challenge_payment(store, f"txn_{number}")
        codes.append(challenge.code)
        assert store.apply(close(challenge, ChallengeState.EXPIRED, status=Status.CHALLENGED, cause="x")) is None
    assert codes[0] is None
    assert len(set(codes)) == 41
    assert all(code and len(code) == 2 and code.isdigit() for code in codes[1:])


def test_the_queued_question_with_the_most_at_stake_is_next() -> None:
    """Of two that wait, the riskier is asked, with a code; it keeps the life it had."""
    store = MemoryStore()
    first = challenge_payment(store, "txn_1")
    challenge_payment(store, "txn_small", score=0.5)
    large = challenge_payment(store, "txn_large", score=0.99)
    changes = ask_next(
        store=store, phone=PHONE, closing={first.challenge_id}, sender=SENDER, now_ms=NOW_MS + 5, token="a"
    )
    closing = close(first, ChallengeState.EXPIRED, status=Status.CHALLENGED, cause="challenge_expired")
    assert store.apply([*closing, *changes]) is None
    asked = store.challenge(large.challenge_id)
    assert asked is not None
    assert (asked.state, asked.asked_at_ms, asked.expires_at_ms) == (
        ChallengeState.ASKED,
        NOW_MS + 5,
        large.expires_at_ms,
    )
    assert asked.code is not None
    assert status_of(store, "txn_1") is Status.IN_REVIEW


def test_nothing_is_asked_while_a_question_stands() -> None:
    """Closing a queued question does not ask another while one stands."""
    store = MemoryStore()
    challenge_payment(store, "txn_1")
    waiting = challenge_payment(store, "txn_2")
    changes = ask_next(
        store=store, phone=PHONE, closing={waiting.challenge_id}, sender=SENDER, now_ms=NOW_MS, token="a"
    )
    assert changes == ()


def test_a_queued_question_of_a_holder_who_became_unreachable_goes_to_review() -> None:
    """Held meanwhile: the question is cancelled, its payment goes to review, the next in line is asked."""
    store = MemoryStore()
    first = challenge_payment(store, "txn_1", user_id="user_a")
    challenge_payment(store, "txn_2", user_id="user_held", score=0.99)
    challenge_payment(store, "txn_3", user_id="user_b")
    held = store.account("user_held")
    assert held is not None
    assert store.apply([PutAccount(msgspec.structs.replace(held, held_since_ms=1, version=held.version + 1))]) is None
    changes = ask_next(store=store, phone=PHONE, closing={first.challenge_id}, sender=SENDER, now_ms=NOW_MS, token="")
    closing = close(first, ChallengeState.EXPIRED, status=Status.CHALLENGED, cause="challenge_expired")
    assert store.apply([*closing, *changes]) is None
    assert [(c.transaction_id, c.state) for c in store.open_challenges(PHONE)] == [("txn_3", ChallengeState.ASKED)]
    assert status_of(store, "txn_2") is Status.IN_REVIEW


def test_a_queued_question_without_life_is_left_to_the_sweep() -> None:
    """What expired while it waited is not asked."""
    store = MemoryStore()
    first = challenge_payment(store, "txn_1")
    challenge_payment(store, "txn_2")
    late = NOW_MS + TTL_MS
    assert ask_next(store=store, phone=PHONE, closing={first.challenge_id}, sender=SENDER, now_ms=late, token="") == ()


def test_expected_loss_is_integer_money() -> None:
    """Score times amount, without a float amount on the way."""
    assert expected_loss_minor(0.9, 150_000) == 135_000
    assert expected_loss_minor(0.123456, 10**12) == 123_456_000_000


def test_a_payment_is_asked_about_once() -> None:
    """The challenge and its question have ids made from the payment's: a second plan cannot be applied."""
    store = MemoryStore()
    add_payment(store, "txn_new")
    result = plan(store, make_account())
    assert isinstance(result, ChallengePlan)
    assert store.apply(result.changes) is None
    assert store.apply(result.changes) == result.changes[0]


def test_a_prompt_counts_as_the_question_it_repeats() -> None:
    """The 24 hours run from the last text about a question, not from the first."""
    store = MemoryStore()
    challenge_payment(store, "txn_1")
    send_all(store)
    say(store, "what?", now_ms=NOW_MS + TTL_MS - 60_000)
    send_all(store, now_ms=NOW_MS + TTL_MS - 60_000)
    sweep(store, NOW_MS + TTL_MS)
    assert planned(store, make_account(), now_ms=NOW_MS + 24 * HOUR_MS + 60_000).code is not None
    assert planned(store, make_account(), now_ms=NOW_MS + 24 * HOUR_MS + TTL_MS).code is None
