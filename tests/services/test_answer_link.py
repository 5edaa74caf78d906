"""A link answers once, in time, from the form of its page; a NO always counts, a YES only with the card's digits."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.answer_link import AnswerLink, read_link
from cardwatch.domain.challenge import ChallengeState
from cardwatch.domain.changes import AddMessage, Change, EraseAccount, PutAccount, PutChallenge, PutMessage, successor
from cardwatch.domain.errors import Contended
from cardwatch.domain.label import LabelSource, LabelValue
from cardwatch.domain.message import MessageKind, MessageState
from cardwatch.domain.transaction import Status
from cardwatch.ports import Store
from cardwatch.services.answer_link import LinkPage, LinkResult, answer_link, look_at_link
from cardwatch.services.expire_challenges import expire_challenges
from cardwatch.services.label_transaction import label_transaction
from cardwatch.services.reply_turn import Result
from tests.builders import NOW_MS, PHONE
from tests.contracts.backends import BACKENDS, QUICK_FIRST
from tests.entrypoints.http.answering import CARD, HOUR_MS, LINK_LIFE_AFTER_MS, MAILER, TTL_MS, Question, ask_by_email
from tests.services.conversation import challenge_payment

KEY = b"0123456789abcdef"
END_MS = NOW_MS + TTL_MS
LINKS_END_MS = END_MS + LINK_LIFE_AFTER_MS


@pytest.fixture(params=QUICK_FIRST)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Yield an empty store of each backend."""
    opened = BACKENDS[request.param](tmp_path)
    yield opened
    opened.close()


def ask(store: Store, transaction_id: str = "txn_1", **special: object) -> Question:
    """Put a question by e-mail at the present of the tests."""
    return ask_by_email(store, transaction_id, key=KEY, at_ms=NOW_MS, **special)  # type: ignore[arg-type]


def link_of(token: str) -> AnswerLink:
    """Read a token of ours."""
    link = read_link(token, key=KEY)
    assert link is not None
    return link


def press(store: Store, token: str, digits: str | None = CARD, *, at_ms: int = NOW_MS) -> Result | LinkResult:
    """Press the button behind a link; by default with the right digits."""
    return answer_link(link_of(token), digits=digits, store=store, sender=MAILER, now_ms=at_ms, token="7e57")


def look(store: Store, token: str, *, at_ms: int = NOW_MS) -> LinkPage | None:
    """Look at the page of a link."""
    return look_at_link(link_of(token), store=store, sender=MAILER, now_ms=at_ms)


def stands(store: Store, question: Question) -> tuple[ChallengeState, Status, bool]:
    """Return where challenge and payment stand, and whether the account is held."""
    record = store.transaction(question.transaction_id)
    assert record is not None
    assert record.challenge is not None
    account = store.account(record.transaction.user_id)
    return record.challenge.state, record.status, account is not None and account.held_since_ms is not None


def label(store: Store, question: Question) -> tuple[LabelValue, LabelSource] | None:
    """Return the payment's label."""
    record = store.transaction(question.transaction_id)
    assert record is not None
    return (record.label.value, record.label.source) if record.label else None


def expire_all(store: Store, at_ms: int = END_MS) -> None:
    """Sweep what is over."""
    expire_challenges(store=store, sender=MAILER, now_ms=at_ms, token="5a")


CONFIRMED = (ChallengeState.CONFIRMED, Status.APPROVED, False)
DENIED = (ChallengeState.DENIED, Status.DECLINED, True)
ASKED = (ChallengeState.ASKED, Status.CHALLENGED, False)


# One answer


def test_confirm_releases_once(store: Store) -> None:
    """The right digits approve the payment; pressing again says that the answer is there."""
    question = ask(store)
    assert press(store, question.confirm) is Result.CONFIRMED
    assert stands(store, question) == CONFIRMED
    assert label(store, question) == (LabelValue.GENUINE, LabelSource.CARDHOLDER)
    position = store.log(after=0, limit=1000)[-1].sequence
    assert press(store, question.confirm) is LinkResult.USED
    assert press(store, question.confirm, "0000") is LinkResult.USED
    assert store.log(after=0, limit=1000)[-1].sequence == position


def test_deny_declines_and_holds_without_digits(store: Store) -> None:
    """A NO needs no proof."""
    question = ask(store)
    assert press(store, question.deny, None) is Result.DENIED
    assert stands(store, question) == DENIED
    assert label(store, question) == (LabelValue.FRAUD, LabelSource.CARDHOLDER)
    assert press(store, question.deny, None) is LinkResult.USED


def test_answers_to_links_are_not_texted_back(store: Store) -> None:
    """The page is the answer; nothing goes to a phone or by mail."""
    question = ask(store)
    press(store, question.deny)
    assert [m for m in store.messages_about(f"{question.transaction_id}:challenge") if m.kind == "ack"] == []


def test_looking_changes_nothing(store: Store) -> None:
    """However often, at either link."""
    question = ask(store)
    position = store.log(after=0, limit=1000)[-1].sequence
    for token in (question.confirm, question.deny) * 20:
        page = look(store, token)
        assert page is not None
        assert (page.notice, page.answerable) == (None, True)
    assert store.log(after=0, limit=1000)[-1].sequence == position
    assert stands(store, question) == ASKED


# Digits


@pytest.mark.parametrize("digits", ["7390", "0000", "1739", "9137"])
def test_wrong_digits_confirm_nothing_and_lock_at_the_third(store: Store, digits: str) -> None:
    """The right ones do not unlock it; the other link still denies."""
    question = ask(store)
    assert press(store, question.confirm, digits) is LinkResult.WRONG_DIGITS
    assert press(store, question.confirm, digits) is LinkResult.WRONG_DIGITS
    page = look(store, question.confirm)
    assert page is not None
    assert page.answerable
    assert press(store, question.confirm, digits) is LinkResult.LOCKED
    assert press(store, question.confirm, CARD) is LinkResult.LOCKED
    locked = look(store, question.confirm)
    assert locked is not None
    assert (locked.notice, locked.answerable) == (LinkResult.LOCKED, False)
    assert stands(store, question) == ASKED
    assert press(store, question.deny, None) is Result.DENIED
    assert stands(store, question) == DENIED


def test_another_message_about_the_question_gives_no_more_guesses(store: Store) -> None:
    """A reminder's link counts the same wrong digits, and locks with it; the other link still denies."""
    question = ask(store)
    reminder = msgspec.structs.replace(
        question.message,
        message_id=f"{question.message.message_id}:reminder",
        kind=MessageKind.REMINDER,
        nonce="f" * 32,
    )
    assert store.apply([AddMessage(reminder)]) is None
    first = link_of(question.confirm)
    second = msgspec.structs.replace(first, message_id=reminder.message_id, nonce="f" * 32)

    def guess(link: AnswerLink, digits: str) -> Result | LinkResult:
        return answer_link(link, digits=digits, store=store, sender=MAILER, now_ms=NOW_MS, token="7e57")

    assert [guess(link, "0000") for link in (first, second, first)] == [
        LinkResult.WRONG_DIGITS,
        LinkResult.WRONG_DIGITS,
        LinkResult.LOCKED,
    ]
    for link in (first, second):
        assert guess(link, CARD) is LinkResult.LOCKED
        page = look_at_link(link, store=store, sender=MAILER, now_ms=NOW_MS)
        assert page is not None
        assert page.notice is LinkResult.LOCKED
    assert stands(store, question) == ASKED
    assert press(store, question.deny, None) is Result.DENIED


@pytest.mark.parametrize("digits", [None, "", "739", "73910", "739a", "\u0667\u0663\u0669\u0661", "7391\n", " 7391"])
def test_what_no_card_ends_in_confirms_nothing_and_locks_nothing(store: Store, digits: str | None) -> None:
    """A program that presses the button must not lock the link before its reader comes."""
    question = ask(store)
    for _ in range(10):
        assert press(store, question.confirm, digits) is LinkResult.WRONG_DIGITS
    assert stands(store, question) == ASKED
    assert press(store, question.confirm) is Result.CONFIRMED


@pytest.mark.parametrize("card", [None, "tok_8f2a9c"])
def test_where_the_digits_are_not_known_none_are_asked(store: Store, card: str | None) -> None:
    """A token says nothing that its holder could type."""
    question = ask(store, card=card)
    page = look(store, question.confirm)
    assert page is not None
    assert not page.asks_digits
    assert press(store, question.confirm, None) is Result.CONFIRMED


def test_the_page_never_tells_the_digits_for_a_no(store: Store) -> None:
    """Only the confirming link asks."""
    question = ask(store)
    asks = [page.asks_digits for token in (question.confirm, question.deny) if (page := look(store, token))]
    assert asks == [True, False]


# Links that are none


def test_nonce_of_another_message_opens_nothing(store: Store) -> None:
    """A signed link whose nonce is not the message's was not in the message."""
    first, second = ask(store, "txn_1"), ask(store, "txn_2")
    mixed = msgspec.structs.replace(link_of(first.confirm), nonce=link_of(second.confirm).nonce)
    assert look_at_link(mixed, store=store, sender=MAILER, now_ms=NOW_MS) is None
    result = answer_link(mixed, digits=CARD, store=store, sender=MAILER, now_ms=NOW_MS, token="7e57")
    assert result is LinkResult.INVALID
    assert (stands(store, first), stands(store, second)) == (ASKED, ASKED)


def test_unknown_message_and_message_without_links_open_nothing(store: Store) -> None:
    """A text has no links, and an id that nobody wrote has no message."""
    question = ask(store)
    link = msgspec.structs.replace(link_of(question.confirm), message_id="nobody:question:1")
    assert look_at_link(link, store=store, sender=MAILER, now_ms=NOW_MS) is None


def test_link_ends(store: Store) -> None:
    """At its end, to the millisecond."""
    question = ask(store)
    assert look(store, question.deny, at_ms=LINKS_END_MS - 1) is not None
    assert look(store, question.deny, at_ms=LINKS_END_MS) is None
    assert press(store, question.deny, at_ms=LINKS_END_MS) is LinkResult.INVALID
    assert press(store, question.confirm, at_ms=LINKS_END_MS) is LinkResult.INVALID
    assert stands(store, question) == ASKED


# Late


@pytest.mark.parametrize("swept", [True, False])
def test_a_late_yes_releases_nothing_however_often_it_is_pressed(store: Store, swept: bool) -> None:
    """The second press says the same as the first: a browser shows only that one of a double click."""
    question = ask(store)
    if swept:
        expire_all(store)
    page = look(store, question.confirm, at_ms=END_MS)
    assert page is not None
    assert (page.notice, page.answerable) == (Result.LATE, False)
    for _ in range(2):
        assert press(store, question.confirm, at_ms=END_MS) is Result.LATE
    assert stands(store, question) == (ChallengeState.EXPIRED, Status.IN_REVIEW, False)
    assert label(store, question) is None


@pytest.mark.parametrize("swept", [True, False])
def test_a_late_no_opens_a_case(store: Store, swept: bool) -> None:
    """The account is held and the payment stays with an analyst; the page still offers it."""
    question = ask(store)
    if swept:
        expire_all(store)
    page = look(store, question.deny, at_ms=END_MS)
    assert page is not None
    assert (page.notice, page.answerable) == (Result.LATE, True)
    for _ in range(2):
        assert press(store, question.deny, None, at_ms=END_MS + HOUR_MS) is Result.LATE
    assert stands(store, question) == (ChallengeState.EXPIRED, Status.IN_REVIEW, True)


# A change of mind


def test_no_after_yes_inside_the_window_holds_again(store: Store) -> None:
    """The deny link still asks, without a notice, and takes the YES back."""
    question = ask(store)
    press(store, question.confirm)
    page = look(store, question.deny, at_ms=NOW_MS + HOUR_MS)
    assert page is not None
    assert (page.notice, page.answerable) == (None, True)
    assert press(store, question.deny, None, at_ms=NOW_MS + HOUR_MS) is Result.HELD_AGAIN
    assert stands(store, question) == (ChallengeState.DENIED, Status.IN_REVIEW, True)
    assert press(store, question.deny, None, at_ms=NOW_MS + HOUR_MS) is LinkResult.USED


def test_no_after_yes_outside_the_window_says_so_each_time(store: Store) -> None:
    """Nothing moves, and pressing again does not call it done."""
    question = ask(store)
    press(store, question.confirm)
    late = NOW_MS + HOUR_MS + 1
    for _ in range(2):
        assert press(store, question.deny, None, at_ms=late) is Result.TOO_LATE_TO_CHANGE
    assert stands(store, question) == CONFIRMED
    page = look(store, question.deny, at_ms=late)
    assert page is not None
    assert (page.notice, page.answerable) == (Result.TOO_LATE_TO_CHANGE, False)


def test_yes_after_no_goes_to_an_analyst(store: Store) -> None:
    """With the digits; nothing is released and the account stays held."""
    question = ask(store)
    press(store, question.deny, None)
    assert press(store, question.confirm, "0000") is LinkResult.WRONG_DIGITS
    assert press(store, question.confirm) is Result.REOPENED
    assert stands(store, question) == (ChallengeState.DENIED, Status.IN_REVIEW, True)
    assert press(store, question.confirm) is LinkResult.USED


def test_the_same_answer_by_the_other_message_is_repeated(store: Store) -> None:
    """Who denied by one way and opens the same answer's link of another is told that it is there."""
    question = ask(store)
    press(store, question.confirm)
    page = look(store, question.confirm)
    assert page is not None
    assert (page.notice, page.answerable) == (LinkResult.USED, False)
    reminder = msgspec.structs.replace(question.message, message_id="again", nonce="ab" * 16)
    assert store.apply([AddMessage(reminder)]) is None
    link = msgspec.structs.replace(link_of(question.confirm), message_id="again", nonce="ab" * 16)
    again = look_at_link(link, store=store, sender=MAILER, now_ms=NOW_MS)
    assert again is not None
    assert (again.notice, again.answerable) == (Result.REPEATED, False)
    result = answer_link(link, digits=CARD, store=store, sender=MAILER, now_ms=NOW_MS, token="7e57")
    assert result is Result.REPEATED
    assert stands(store, question) == CONFIRMED


# Who may no longer be the one who answers


def test_yes_from_an_address_that_the_account_no_longer_has(store: Store) -> None:
    """The question is taken back and an analyst looks; a NO is still taken."""
    yes, no = ask(store, "txn_1"), ask(store, "txn_2")
    for question in (yes, no):
        move_mail(store, question)
    assert press(store, yes.confirm) is Result.PHONE_CHANGED
    assert stands(store, yes) == (ChallengeState.CANCELLED, Status.IN_REVIEW, False)
    assert press(store, no.deny, None) is Result.DENIED
    assert stands(store, no) == DENIED


def move_mail(store: Store, question: Question) -> None:
    """Give a question's account another address."""
    account = store.account(f"user_of_{question.transaction_id}")
    assert account is not None
    assert store.apply([PutAccount(successor(account, email="elsewhere@example.com"))]) is None


def test_links_of_an_erased_account_are_none(store: Store) -> None:
    """Their pages show nothing, and their buttons do nothing."""
    question = ask(store)
    assert store.apply([EraseAccount(f"user_of_{question.transaction_id}", NOW_MS)]) is None
    assert look(store, question.confirm) is None
    for link, digits in ((question.confirm, CARD), (question.confirm, None), (question.deny, None)):
        assert press(store, link, digits) is LinkResult.INVALID
    assert stands(store, question) == (ChallengeState.ASKED, Status.CHALLENGED, False)


def test_what_an_analyst_called_fraud_is_not_released(store: Store) -> None:
    """A YES by link then releases nothing."""
    question = ask(store)
    label_transaction(
        question.transaction_id,
        value=LabelValue.FRAUD,
        source=LabelSource.ANALYST,
        note=None,
        replace=False,
        store=store,
        now_ms=NOW_MS,
    )
    assert press(store, question.confirm) is not Result.CONFIRMED
    assert stands(store, question)[1] is not Status.APPROVED


def test_link_of_a_message_that_nobody_got_is_not_used_up(store: Store) -> None:
    """A YES to a question that lies in the outbox counts for nothing, and later for what it is."""
    question = ask(store, state=MessageState.QUEUED)
    assert press(store, question.confirm) is Result.UNMATCHED
    message = store.message(question.message.message_id)
    assert message is not None
    assert store.apply([PutMessage(successor(message, state=MessageState.SENT))]) is None
    assert press(store, question.confirm) is Result.CONFIRMED


# Other questions


def test_a_no_by_link_sets_the_phone_free_for_the_next_question(store: Store) -> None:
    """The hold takes back a text not yet sent; whose question waits on that phone behind it is asked then."""
    mailed = ask(store)
    holder = store.account("user_of_txn_1")
    assert holder is not None
    moved = successor(holder, phone_number=PHONE, channels=("sms", "email"))
    assert store.apply([PutAccount(moved)]) is None
    unsent = challenge_payment(store, "txn_2", user_id="user_of_txn_1")
    waiting = challenge_payment(store, "txn_3", user_id="user_009")
    assert (unsent.state, waiting.state) == (ChallengeState.ASKED, ChallengeState.QUEUED)
    assert press(store, mailed.deny, None) is Result.DENIED
    states = [record.challenge.state for i in (2, 3) if (record := store.transaction(f"txn_{i}")) and record.challenge]
    assert states == [ChallengeState.CANCELLED, ChallengeState.ASKED]


# Changes meanwhile


class Meddled(MemoryStore):
    """A store in which something happens just before a write, so many times."""

    def __init__(self) -> None:
        super().__init__()
        self.meddle: Callable[[MemoryStore], None] | None = None
        self.times = 0
        self.calm = False

    def apply(self, changes: Sequence[Change]) -> Change | None:
        """Let the meddler go first."""
        if self.times and not self.calm and self.meddle is not None:
            self.times -= 1
            self.calm = True
            self.meddle(self)
            self.calm = False
        return super().apply(changes)


def touch_challenge(store: Store) -> None:
    """Change the challenge as another writer would."""
    challenge = store.challenge("txn_1:challenge")
    assert challenge is not None
    assert store.apply([PutChallenge(successor(challenge, prompts=challenge.prompts + 1))]) is None


def test_concurrent_change_is_decided_anew() -> None:
    """What changed between reading and writing makes the answer be thought over, not lost."""
    store = Meddled()
    question = ask(store)
    store.meddle, store.times = touch_challenge, 4
    assert press(store, question.confirm) is Result.CONFIRMED
    assert stands(store, question) == CONFIRMED


def test_the_other_link_pressed_in_between_wins() -> None:
    """A NO that comes first makes a YES a change of mind: an analyst looks, nothing is released."""
    store = Meddled()
    question = ask(store)
    results: list[Result | LinkResult] = []
    store.meddle, store.times = (lambda inner: results.append(press(inner, question.deny, None))), 1
    results.append(press(store, question.confirm))
    assert results == [Result.DENIED, Result.REOPENED]
    assert stands(store, question) == (ChallengeState.DENIED, Status.IN_REVIEW, True)


def test_the_same_link_pressed_at_once_acts_once() -> None:
    """The second finds the first one's answer."""
    store = Meddled()
    question = ask(store)
    results: list[Result | LinkResult] = []
    store.meddle, store.times = (lambda inner: results.append(press(inner, question.confirm))), 1
    results.append(press(store, question.confirm))
    assert results == [Result.CONFIRMED, LinkResult.USED]


def test_three_guesses_at_once_count_three() -> None:
    """Each guess takes a note of its own, so that many at once are not taken for one."""
    store = Meddled()
    question = ask(store)
    results: list[Result | LinkResult] = []
    store.meddle, store.times = (lambda inner: results.append(press(inner, question.confirm, "0001"))), 1
    results.append(press(store, question.confirm, "0002"))
    assert results == [LinkResult.WRONG_DIGITS, LinkResult.WRONG_DIGITS]
    assert press(store, question.confirm, "0003") is LinkResult.LOCKED


def test_what_keeps_changing_is_given_up() -> None:
    """Its caller may try again; nothing was written."""
    store = Meddled()
    question = ask(store)
    store.meddle, store.times = touch_challenge, 1000
    with pytest.raises(Contended):
        press(store, question.confirm)
    assert stands(store, question) == ASKED
