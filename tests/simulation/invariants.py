"""What must hold at every write of a run, judged by a second account of the facts that the watch keeps itself.

1  No message is taken twice, unless its provider lost the record of it.
2  Nothing is approved without a clear YES of its holder, in time, to a message about it, with its code or digits.
3  Nothing is open after its expiry once a sweep ran, and nothing is open or challenged at the end.
4  Moves of payments and challenges are legal and chain; a payment is decided once; state, status, label, hold agree.
5  One question stands on a phone; three texts a challenge; none after an opt-out; no reminder in quiet hours.
6  Every status a payment takes is told at least once, under one id.
7  What is unclear, or a NO, never approves; a clear answer in time is never lost.
8  A seed repeats exactly.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NoReturn

from cardwatch.domain.challenge import MOVES as CHALLENGE_MOVES
from cardwatch.domain.challenge import Challenge, ChallengeState, ChannelName
from cardwatch.domain.changes import (
    AddChallenge,
    AddMessage,
    AddTransaction,
    Change,
    DecideTransaction,
    MoveTransaction,
    PutChallenge,
    PutOptOut,
)
from cardwatch.domain.label import LabelSource
from cardwatch.domain.message import Direction, Message, MessageKind
from cardwatch.domain.question import last_four_of
from cardwatch.domain.reply import Meaning
from cardwatch.domain.times import format_instant
from cardwatch.domain.transaction import MOVES as PAYMENT_MOVES
from cardwatch.domain.transaction import Status
from cardwatch.ports import Store
from cardwatch.services.answer_link import WRONG_DIGITS_MAX
from cardwatch.services.questions import ASKING, TEXTS_MAX
from cardwatch.services.reach import Sender
from cardwatch.services.reply_turn import Result
from tests.simulation.acts import Act
from tests.simulation.stage import Stage


class Violation(AssertionError):
    """An invariant does not hold; the text says which, where, and how to see it again."""

    def __init__(self, number: int, text: str, *, seed: int) -> None:
        super().__init__(f"invariant {number}: {text} (seed {seed})")
        self.number = number
        self.seed = seed


class Watch:
    """Sees every write, every message that is taken and every answer that is being handled."""

    def __init__(self, stage: Stage, sender: Sender) -> None:
        self.stage = stage
        self.sender = sender
        self.challenges = 0
        self.acts: list[tuple[Act, int]] = []
        """The answer that is being handled, and what time its handler thinks it is."""
        self.status: dict[str, Status] = {}
        self.statuses_told: list[tuple[str, Status]] = []
        """Every status that a payment took after it was recorded, in order."""
        self.state: dict[str, ChallengeState] = {}
        self.takes: dict[str, int] = defaultdict(int)
        self.lost_records: set[str] = set()
        self._asked: dict[str, set[str]] = defaultdict(set)
        self._texts: dict[str, int] = defaultdict(int)
        self._opted_out: set[str] = set()
        self._denied: set[str] = set()

    def fail(self, number: int, text: str) -> NoReturn:
        """Stop the run."""
        raise Violation(number, f"{text} at {format_instant(self.stage.now_ms)}", seed=self.stage.seed)

    # What happens outside

    def taken(self, message: Message) -> int:
        """Note that a provider takes a message; returns how often it did before."""
        before = self.takes[message.message_id]
        self.takes[message.message_id] += 1
        if message.kind is not MessageKind.CALLBACK and before and message.message_id not in self.lost_records:
            self.fail(1, f"{message.message_id} was sent twice")
        if before:
            self.stage.count(f"sent again: {message.channel}")
        return before

    def record_lost(self, message_id: str) -> None:
        """Note that a provider forgets what it took: it may be sent again."""
        self.lost_records.add(message_id)

    def claimed(self, message: Message, *, store: Store, now_ms: int) -> None:
        """Check a message that a worker is about to send at a time by its clock."""
        if message.channel == ChannelName.SMS and message.address in self._opted_out:
            self.fail(5, f"{message.message_id} goes to a number that opted out")
        if message.kind in ASKING and self.state[message.challenge_id or ""] is not ChallengeState.ASKED:
            self.fail(5, f"{message.message_id} asks what is settled")
        if message.kind is MessageKind.REMINDER:
            self._check_awake(message, store, now_ms)

    def swept(self, store: Store, *, now_ms: int) -> None:
        """Check that an expiry sweep that ran through left nothing open whose life was over by its clock."""
        left = store.expired_challenge_ids(now_ms=now_ms, limit=1)
        if left:
            self.fail(3, f"{left[0]} is open after its expiry and a sweep")

    # What is written

    def written(self, changes: Sequence[Change], store: Store) -> None:
        """Check what was just written."""
        for change in changes:
            match change:
                case AddTransaction(transaction=transaction):
                    self.status[transaction.transaction_id] = Status.PENDING
                case DecideTransaction(transaction_id=key, status=status):
                    self._move(key, Status.PENDING, status)
                case MoveTransaction(transaction_id=key, expected=expected, status=status, cause=cause):
                    self._move(key, expected, status)
                    self._check_approval(key, status, cause, store)
                case AddChallenge(challenge=challenge):
                    self.challenges += 1
                    self._challenge(challenge, None)
                case PutChallenge(challenge=challenge):
                    self._challenge(challenge, self.state.get(challenge.challenge_id))
                case AddMessage(message=message):
                    self._message(message, store)
                case PutOptOut(phone=phone, since_ms=since_ms):
                    (self._opted_out.discard if since_ms is None else self._opted_out.add)(phone)
        self._check_standing()
        self._check_holds(store)

    # What is answered

    def wanted(self, act: Act, store: Store, *, now_ms: int) -> object | None:
        """Return what has to come of an answer, None where several things may."""
        record, message = store.transaction(act.transaction_id), store.message(act.message_id)
        challenge = record.challenge if record else None
        if record is None or challenge is None or message is None or act.message_id in self.lost_records:
            return None
        used = act.sid or f"link:{message.nonce}:{'confirm' if act.meaning is Meaning.YES else 'deny'}"
        standing = challenge.state is ChallengeState.ASKED and now_ms < challenge.expires_at_ms
        by_text = act.channel == ChannelName.SMS
        if not standing or store.message(used) is not None or (by_text and act.address != challenge.phone):
            return None
        if act.meaning is Meaning.NO:
            return Result.DENIED
        account = store.account(challenge.user_id)
        judged = record.label is not None and record.label.source is not LabelSource.CARDHOLDER
        own = account is not None and act.address in account.addresses and account.held_since_ms is None
        if act.meaning is not Meaning.YES or judged or not own or record.status is not Status.CHALLENGED:
            return None
        locked = store.message(f"link:{challenge.challenge_id}:wrong:{WRONG_DIGITS_MAX}") is not None
        proven = act.code == challenge.code if by_text else act.digits == last_four_of(record.transaction.card)
        return Result.CONFIRMED if proven and not locked else None

    def answered(self, act: Act, result: object, wanted: object | None) -> None:
        """Check what came of an answer."""
        if wanted is not None and result is not wanted:
            self.fail(7, f"a clear {act.meaning} about {act.transaction_id} in time was {result}, not {wanted}")

    def _move(self, key: str, expected: Status, status: Status) -> None:
        if self.status.get(key) is not expected or (expected, status) not in PAYMENT_MOVES:
            self.fail(4, f"{key} went from {self.status.get(key)} to {status}")
        self.status[key] = status
        self.statuses_told.append((key, status))
        self.stage.tell(f"{key} is {status}")

    def _challenge(self, challenge: Challenge, before: ChallengeState | None) -> None:
        key, state = challenge.challenge_id, challenge.state
        if before is not None and before is not state and (before, state) not in CHALLENGE_MOVES:
            self.fail(4, f"{key} went from {before} to {state}")
        if before is not state:
            self.stage.tell(f"{key} is {state}")
        self.state[key] = state
        for standing in self._asked.values():
            standing.discard(key)  # it may have given up its phone
        if state is ChallengeState.ASKED:
            self._asked[challenge.phone].add(key)
        if state is ChallengeState.DENIED and before is not state:
            self._denied.add(challenge.user_id)

    def _message(self, message: Message, store: Store) -> None:
        if message.direction is not Direction.OUTBOUND:
            return
        if message.channel == ChannelName.SMS:
            self._texts[message.challenge_id or ""] += 1
            if self._texts[message.challenge_id or ""] > TEXTS_MAX:
                self.fail(5, f"{message.challenge_id} has more than {TEXTS_MAX} texts")
        if message.kind is MessageKind.REMINDER:
            self._check_awake(message, store, message.created_at_ms)

    def _check_awake(self, message: Message, store: Store, now_ms: int) -> None:
        challenge = store.challenge(message.challenge_id or "")
        account = store.account(challenge.user_id) if challenge else None
        quiet = self.sender.rules.quiet_hours
        if account and quiet and quiet.end_after(now_ms, time_zone=account.time_zone) != now_ms:
            self.fail(5, f"{message.message_id} reminds in quiet hours")

    def _check_standing(self) -> None:
        for phone, standing in self._asked.items():
            if phone and len(standing) > 1:
                self.fail(5, f"{sorted(standing)} stand on one phone")

    def _check_holds(self, store: Store) -> None:
        """A NO holds the account with the same write."""
        while self._denied:
            account = store.account(self._denied.pop())
            if account is None or account.held_since_ms is None:
                self.fail(4, "an account is not held after a NO")

    def _check_approval(self, key: str, status: Status, cause: str, store: Store) -> None:
        if status is not Status.APPROVED or cause == "analyst_genuine":
            return
        record = store.transaction(key)
        challenge = record.challenge if record else None
        if cause != "cardholder_confirmed" or not self.acts or record is None or challenge is None:
            self.fail(2, f"{key} was approved by {cause}")
        act, now_ms = self.acts[-1]
        if act.meaning is not Meaning.YES:
            self.fail(7, f'{key} was approved by "{act.body}", which means {act.meaning}')
        if act.transaction_id != key:
            self.fail(2, f"{key} was approved by a YES about {act.transaction_id}")
        if now_ms >= challenge.expires_at_ms:
            self.fail(2, f"{key} was approved after its expiry")
        if not self.takes[act.message_id]:
            self.fail(2, f"{key} was approved through {act.message_id}, which nobody took")
        if act.channel == ChannelName.SMS:
            if challenge.phone != act.address or challenge.code not in {None, act.code}:
                self.fail(2, f"{key} was approved from another phone or without its code")
        elif (last_four_of(record.transaction.card) or act.digits) != act.digits:
            self.fail(2, f"{key} was approved with wrong digits")
