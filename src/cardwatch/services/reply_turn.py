"""One answer that came in, with what it can be about, and the changes that every kind of answer shares."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from cardwatch.domain.challenge import LIFE_MAX_MS, Challenge, ChallengeState, ChannelName
from cardwatch.domain.changes import AddLabel, AddMessage, Change, PutAccount, PutChallenge, successor
from cardwatch.domain.label import Label, LabelSource, LabelValue
from cardwatch.domain.message import Direction, Message, MessageKind, MessageState
from cardwatch.domain.provider_post import InboundText
from cardwatch.domain.question import TextKind, render
from cardwatch.domain.reply import Reply
from cardwatch.domain.times import HOUR_MS
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.ports import Store
from cardwatch.services.ask_cardholder import ask_next
from cardwatch.services.questions import ASKING, may_have_reached, subject_of, texts_left
from cardwatch.services.reach import Sender

ANSWERABLE_MS = 72 * HOUR_MS
"""How long after its question a reply is still taken to be about it."""

ACK_LIFE_MS = HOUR_MS

JUDGED = frozenset({LabelSource.ANALYST, LabelSource.CHARGEBACK})
"""Sources whose word a cardholder's reply does not replace."""


class Result(StrEnum):
    """What came of a reply."""

    DUPLICATE = "duplicate"
    """This very text was handled before."""
    CONFIRMED = "confirmed"
    DENIED = "denied"
    HELD_AGAIN = "held_again"
    """NO after YES, inside the change window."""
    REOPENED = "reopened"
    """YES after NO: an analyst looks again."""
    CODE_NEEDED = "code_needed"
    PROMPTED = "prompted"
    """Unclear; asked once more."""
    GIVEN_UP = "given_up"
    """Unclear again; an analyst has it."""
    LATE = "late"
    """An answer to a question that was over."""
    TOO_LATE_TO_CHANGE = "too_late_to_change"
    """NO after YES, outside the change window."""
    REPEATED = "repeated"
    """The same answer again, or to what was settled otherwise."""
    PHONE_CHANGED = "phone_changed"
    """YES from a number that is no longer the account's."""
    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"
    HELP = "help"
    UNMATCHED = "unmatched"
    """About no question: kept, not answered."""


class ReplyOutcome(msgspec.Struct, frozen=True):
    """What a reply was about and what came of it."""

    result: Result
    challenge_id: str | None = None
    transaction_id: str | None = None


Verdict = tuple[ReplyOutcome, list[Change]]
"""An outcome and everything to be written for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A reply being decided on: what was said, by whom, when, and where to look."""

    text: InboundText
    reply: Reply
    store: Store
    sender: Sender
    now_ms: int
    change_window_ms: int
    token: str
    channel: str = ChannelName.SMS
    """Where the answer was given; only a text is answered by a text."""

    def standing(self) -> list[Challenge]:
        """Return the questions of this phone and number that stand, whether or not their life is over."""
        open_challenges = self.store.open_challenges(self.text.phone)
        return [c for c in open_challenges if c.state is ChallengeState.ASKED and self._was_asked_from(c)]

    def answerable(self) -> list[Challenge]:
        """Return the standing questions that a reply without a code can be an answer to.

        One that still lies in the outbox is not, if the reply may be about an earlier question.
        """
        standing = self.standing()
        put = [c for c in standing if self.may_have_been_read(c)]
        return put if put or self.past() else standing

    def past(self) -> list[Challenge]:
        """Return the closed questions that a reply may still be about, newest first."""
        back_ms = max(ANSWERABLE_MS, self.change_window_ms + LIFE_MAX_MS)
        recent = self.store.recent_challenges(self.text.phone, asked_since_ms=self.now_ms - back_ms)
        return [c for c in recent if c.state is not ChallengeState.ASKED and self._was_asked_from(c)]

    def is_over(self, challenge: Challenge) -> bool:
        """Say whether a challenge's life has ended, swept or not."""
        return challenge.expires_at_ms <= self.now_ms

    def is_unasked(self, challenge: Challenge) -> bool:
        """Say whether a question certainly reached nobody: it is queued, or still lies in the outbox."""
        if challenge.state is ChallengeState.QUEUED:
            return True
        return not any(may_have_reached(message) for message in self.store.messages_about(challenge.challenge_id))

    def may_have_been_read(self, challenge: Challenge) -> bool:
        """Say whether a question may have reached the address that answers it."""
        messages = self.store.messages_about(challenge.challenge_id)
        return any(may_have_reached(m) for m in messages if m.address == self.text.phone)

    def is_called_fraud(self, challenge: Challenge) -> bool:
        """Say whether an analyst or a chargeback has called its payment fraud: a YES then releases nothing."""
        record = self.record(challenge)
        label = record.label if record else None
        return label is not None and label.value is LabelValue.FRAUD and label.source in JUDGED

    def record(self, challenge: Challenge) -> TransactionRecord | None:
        """Return a challenge's payment."""
        return self.store.transaction(challenge.transaction_id)

    def status(self, challenge: Challenge) -> Status | None:
        """Return where a challenge's payment stands."""
        record = self.record(challenge)
        return record.status if record else None

    def outcome(self, result: Result, challenge: Challenge | None = None) -> ReplyOutcome:
        """Return an outcome about a challenge, or about none."""
        if challenge is None:
            return ReplyOutcome(result)
        return ReplyOutcome(result, challenge.challenge_id, challenge.transaction_id)

    def ack(self, challenge: Challenge, kind: TextKind) -> list[Change]:
        """Return the text that answers a text; none once a challenge had its share or the number opted out."""
        if self.channel != ChannelName.SMS:
            return []
        record, account = self.record(challenge), self.store.account(challenge.user_id)
        if record is None or account is None or self.store.opted_out_since(self.text.phone) is not None:
            return []
        earlier = self.store.messages_about(challenge.challenge_id)
        if texts_left(earlier) < 1:
            return []
        number = 1 + sum(message.kind is MessageKind.ACK for message in earlier)
        subject = subject_of(challenge, record.transaction, sender=self.sender)
        text = Message(
            message_id=f"{challenge.challenge_id}:{ChannelName.SMS}:ack:{number}",
            direction=Direction.OUTBOUND,
            kind=MessageKind.ACK,
            state=MessageState.QUEUED,
            channel=ChannelName.SMS,
            address=self.text.phone,
            own_address=self.sender.own_number,
            body=render(kind, subject, language_code=account.language),
            created_at_ms=self.now_ms,
            due_at_ms=self.now_ms,
            expires_at_ms=self.now_ms + ACK_LIFE_MS,
            challenge_id=challenge.challenge_id,
            transaction_id=challenge.transaction_id,
        )
        return [AddMessage(text)]

    def label(self, challenge: Challenge, value: LabelValue) -> list[Change]:
        """Return the holder's judgement on a payment, unless an analyst or a chargeback has spoken."""
        record = self.record(challenge)
        if record is None or (record.label is not None and record.label.source in JUDGED):
            return []
        label = Label(
            transaction_id=challenge.transaction_id,
            value=value,
            source=LabelSource.CARDHOLDER,
            available_at_ms=self.now_ms,
        )
        return [AddLabel(label, record.label.source if record.label else None)]

    def hold(self, user_ids: Collection[str]) -> list[Change]:
        """Return the changes that hold accounts until an analyst releases them."""
        accounts = [self.store.account(user_id) for user_id in sorted(user_ids)]
        return [
            PutAccount(successor(account, held_since_ms=self.now_ms))
            for account in accounts
            if account is not None and account.held_since_ms is None
        ]

    def note_answer(self, challenge: Challenge, **fields: object) -> list[Change]:
        """Return the change that keeps on a closed challenge what was answered to it."""
        noted = successor(challenge, answer=self.reply.meaning.value, answered_at_ms=self.now_ms, **fields)
        return [PutChallenge(noted)]

    def ask_next(self, closed: Sequence[Challenge], *, unreachable: Collection[str] = ()) -> tuple[Change, ...]:
        """Return the changes that ask the next question of the phone that these were asked on."""
        return ask_next(
            store=self.store,
            phone=closed[0].phone,
            closing={challenge.challenge_id for challenge in closed},
            unreachable=unreachable,
            sender=self.sender,
            now_ms=self.now_ms,
            token=self.token,
        )

    def _was_asked_from(self, challenge: Challenge) -> bool:
        """Say whether a question went out from the number the reply came to (a sender pool has no one number)."""
        texts = [
            m
            for m in self.store.messages_about(challenge.challenge_id)
            if m.channel == ChannelName.SMS and m.kind in ASKING
        ]
        return not texts or any(
            text.own_address == self.text.own_number or not text.own_address.startswith("+") for text in texts
        )
