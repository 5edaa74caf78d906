"""Reading from the memory store: every read verb of the ports."""

from collections.abc import Iterable, Sequence

import msgspec

from cardwatch.adapters.memory.tables import Tables
from cardwatch.domain.account import Account
from cardwatch.domain.challenge import OPEN, Challenge, ChallengeState
from cardwatch.domain.label import Label
from cardwatch.domain.message import Message
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.ports import DeadLetter, LogEntry, TransactionPage


class MemoryReads:
    """Every read verb, over the tables that a store writes."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    # Transactions

    def transaction(self, transaction_id: str) -> TransactionRecord | None:
        """Return a payment with its decision, current challenge and current label."""
        record = self._tables.payments.get(transaction_id)
        if record is None:
            return None
        labels = self._tables.labels.get(transaction_id)
        return msgspec.structs.replace(
            record,
            challenge=self._tables.challenges.get(self._tables.current_challenge.get(transaction_id, "")),
            label=labels[-1] if labels else None,
        )

    def transactions(
        self, *, user_id: str | None = None, status: Status | None = None, limit: int, before: int | None = None
    ) -> TransactionPage:
        """Return up to `limit` payments newest first, of an account, a status or both, below `before`."""
        matching = [
            key
            for key, record in reversed(self._tables.payments.items())
            if (user_id is None or record.transaction.user_id == user_id)
            and (status is None or record.status is status)
            and (before is None or record.sequence < before)
        ]
        records = tuple(record for key in matching[:limit] if (record := self.transaction(key)))
        return TransactionPage(records, records[-1].sequence if len(matching) > limit else None)

    def export(self, *, after: int = 0) -> Iterable[tuple[TransactionRecord, tuple[Label, ...]]]:
        """Yield every payment in order of arrival after a sequence, each with all of its labels."""
        for key in list(self._tables.payments):
            record = self.transaction(key)
            if record is not None and record.sequence > after:
                yield record, self._tables.labels.get(key, ())

    # Accounts and entity states

    def account(self, user_id: str) -> Account | None:
        """Return an account."""
        return self._tables.accounts.get(user_id)

    def accounts(self, *, limit: int, after: str = "") -> Sequence[Account]:
        """Return up to `limit` accounts with ids greater than `after`, in order of their ids."""
        return [self._tables.accounts[key] for key in sorted(self._tables.accounts) if key > after][:limit]

    def states(self, keys: Sequence[tuple[str, str]]) -> Sequence[tuple[int, bytes] | None]:
        """Return (version, blob) of each (entity, key), in the order asked."""
        return [self._tables.states.get(key) for key in keys]

    # Challenges

    def challenge(self, challenge_id: str) -> Challenge | None:
        """Return a challenge."""
        return self._tables.challenges.get(challenge_id)

    def open_challenges(self, phone: str) -> Sequence[Challenge]:
        """Return a phone's open challenges: asked before queued, then by risk, highest first."""
        found = [c for c in self._tables.challenges.values() if c.phone == phone and c.state in OPEN]
        return sorted(
            found, key=lambda c: (c.state is ChallengeState.QUEUED, -c.risk_minor, c.created_at_ms, c.challenge_id)
        )

    def recent_challenges(self, phone: str, *, asked_since_ms: int) -> Sequence[Challenge]:
        """Return a phone's challenges in any state asked at or after a time, newest first."""
        found = [
            (c.asked_at_ms, c.challenge_id, c)
            for c in self._tables.challenges.values()
            if c.phone == phone and c.asked_at_ms is not None and c.asked_at_ms >= asked_since_ms
        ]
        return [challenge for _, _, challenge in sorted(found, key=lambda row: row[:2], reverse=True)]

    def last_erasure_ms(self) -> int | None:
        """Return the latest time at which an account was erased or a challenge set aside."""
        return self._tables.erasures.get("last")

    def expired_challenge_ids(self, *, now_ms: int, limit: int) -> Sequence[str]:
        """Return the ids of open challenges whose life has ended, oldest first."""
        found = [
            (c.expires_at_ms, c.challenge_id)
            for c in self._tables.challenges.values()
            if c.state in OPEN and c.expires_at_ms <= now_ms
        ]
        return [challenge_id for _, challenge_id in sorted(found)[:limit]]

    def open_challenges_of(self, user_id: str) -> Sequence[Challenge]:
        """Return an account's open challenges, in order of creation."""
        found = [c for c in self._tables.challenges.values() if c.user_id == user_id and c.state in OPEN]
        return sorted(found, key=lambda c: (c.created_at_ms, c.challenge_id))

    def challenge_ids_to_escalate(self, *, now_ms: int, limit: int) -> Sequence[str]:
        """Return the ids of asked challenges whose reminder or next channel is due, oldest due first."""
        found = [
            (c.act_at_ms, c.challenge_id)
            for c in self._tables.challenges.values()
            if c.state is ChallengeState.ASKED and c.act_at_ms is not None and c.act_at_ms <= now_ms
        ]
        return [challenge_id for _, challenge_id in sorted(found)[:limit]]

    # Messages

    def message(self, message_id: str) -> Message | None:
        """Return a message by our id."""
        return self._tables.messages.get(message_id)

    def due_message_ids(self, *, channel: str, now_ms: int, limit: int) -> Sequence[str]:
        """Return the ids of messages that a channel's worker has to send or look up by now, oldest due first."""
        outbox = [self._tables.messages[message_id] for message_id in self._tables.outbox]
        found = [m for m in outbox if m.channel == channel and m.due_at_ms <= now_ms]
        return [m.message_id for m in sorted(found, key=lambda m: (m.due_at_ms, m.created_at_ms, m.message_id))][:limit]

    def messages_about(self, challenge_id: str) -> Sequence[Message]:
        """Return all messages about a challenge, oldest first."""
        found = [self._tables.messages[message_id] for message_id in self._tables.about.get(challenge_id, ())]
        return sorted(found, key=lambda m: (m.created_at_ms, m.message_id))

    def conversation(self, address: str, *, limit: int) -> Sequence[Message]:
        """Return the latest messages to and from an address, oldest first."""
        found = [m for m in self._tables.messages.values() if m.address == address]
        return sorted(found, key=lambda m: (m.created_at_ms, m.message_id))[-limit:]

    def opted_out_since(self, phone: str) -> int | None:
        """Return when a number opted out of texts, None if it takes them."""
        return self._tables.opt_outs.get(phone)

    # Stream

    def log(self, *, after: int, limit: int) -> Sequence[LogEntry]:
        """Return up to `limit` entries after a position, in order."""
        return [self._tables.log[sequence] for sequence in sorted(self._tables.log) if sequence > after][:limit]

    def cursor(self, consumer: str) -> int:
        """Return a consumer's position, 0 if it never moved."""
        return self._tables.cursors.get(consumer, 0)

    def dead_letters(self, *, limit: int) -> Sequence[DeadLetter]:
        """Return dead letters, oldest first."""
        return [letter for _, letter in sorted(self._tables.dead_letters.items())][:limit]
