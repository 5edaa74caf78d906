"""Every read verb of the ports, in SQL, for the writing connection as for read-only ones."""

from collections.abc import Iterable, Sequence
from typing import Final

from cardwatch.adapters.sqlite.codecs import (
    decode_account,
    decode_challenge,
    decode_decision,
    decode_label,
    decode_message,
    decode_transaction,
)
from cardwatch.adapters.sqlite.connection import Database, Row
from cardwatch.domain.account import Account
from cardwatch.domain.challenge import Challenge, ChallengeState
from cardwatch.domain.label import Label
from cardwatch.domain.message import Message
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.ports import DeadLetter, LogEntry, TransactionPage

EXPORT_PAGE_ROWS = 500
"""Rows that an export holds at a time; between pages writing goes on."""

_STATUS: Final = {status.value: status for status in Status}
_END: Final = 2**63 - 1

_RECORD: Final = (
    "SELECT t.sequence, t.status, t.body, t.decision, c.body, l.body FROM transactions t {index}"
    " LEFT JOIN challenges c ON c.challenge_id = t.challenge_id LEFT JOIN labels l ON l.label_id = t.label_id"
)
_TRANSACTION: Final = _RECORD.format(index="") + " WHERE t.transaction_id = ?"
_NEWEST: Final = " t.sequence < ? ORDER BY t.sequence DESC LIMIT ?"
_LISTING: Final = _RECORD.format(index="NOT INDEXED") + " WHERE" + _NEWEST
_LISTING_BY_ACCOUNT: Final = (
    _RECORD.format(index="INDEXED BY transactions_by_account") + " WHERE t.user_id = ? AND" + _NEWEST
)
_LISTING_BY_ACCOUNT_AND_STATUS: Final = (
    _RECORD.format(index="INDEXED BY transactions_by_account") + " WHERE t.user_id = ? AND t.status = ? AND" + _NEWEST
)
_LISTING_APPROVED: Final = _RECORD.format(index="NOT INDEXED") + " WHERE t.status = 'approved' AND" + _NEWEST
_LISTING_BY_STATUS: Final = (
    _RECORD.format(index="INDEXED BY transactions_by_status")
    # The planner takes a partial index only if the query repeats its condition.
    + " WHERE t.status = ? AND t.status <> 'approved' AND"
    + _NEWEST
)
_EXPORT: Final = _RECORD.format(index="NOT INDEXED") + " WHERE t.sequence > ? ORDER BY t.sequence LIMIT ?"
_EXPORT_LABELS: Final = "SELECT sequence, body FROM labels WHERE sequence BETWEEN ? AND ? ORDER BY sequence, label_id"

_ACCOUNT: Final = "SELECT body FROM accounts WHERE user_id = ?"
_ACCOUNTS: Final = "SELECT body FROM accounts WHERE user_id > ? ORDER BY user_id LIMIT ?"
_STATE: Final = "SELECT version, blob FROM entity_states WHERE entity = ? AND key = ?"

_CHALLENGE: Final = "SELECT body FROM challenges WHERE challenge_id = ?"
_OPEN_BY_PHONE: Final = "SELECT body FROM challenges WHERE phone = ? AND state IN ('queued', 'asked')"
_OPEN_BY_ACCOUNT: Final = "SELECT body FROM challenges WHERE user_id = ? AND state IN ('queued', 'asked')"
_RECENT: Final = (
    "SELECT body FROM challenges WHERE phone = ? AND asked_at_ms >= ? ORDER BY asked_at_ms DESC, challenge_id DESC"
)
_LAST_ERASURE: Final = "SELECT at_ms FROM last_erasure"
_EXPIRED: Final = (
    "SELECT challenge_id FROM challenges WHERE state IN ('queued', 'asked') AND expires_at_ms <= ?"
    " ORDER BY expires_at_ms, challenge_id LIMIT ?"
)
_TO_ESCALATE: Final = (
    "SELECT challenge_id FROM challenges WHERE state = 'asked' AND act_at_ms <= ?"
    " ORDER BY act_at_ms, challenge_id LIMIT ?"
)

_MESSAGE: Final = "SELECT body FROM messages WHERE message_id = ?"
_DUE: Final = (
    "SELECT message_id FROM messages WHERE channel = ? AND due_at_ms <= ?"
    " ORDER BY due_at_ms, created_at_ms, message_id LIMIT ?"
)
_ABOUT: Final = "SELECT body FROM messages WHERE challenge_id = ? ORDER BY created_at_ms, message_id"
_OPTED_OUT: Final = "SELECT since_ms FROM opt_outs WHERE phone = ?"
_CONVERSATION: Final = (
    "SELECT body FROM messages WHERE address = ? ORDER BY created_at_ms DESC, message_id DESC LIMIT ?"
)

_LOG: Final = "SELECT sequence, kind, key, detail FROM change_log WHERE sequence > ? ORDER BY sequence LIMIT ?"
_CURSOR: Final = "SELECT position FROM cursors WHERE consumer = ?"
_DEAD_LETTERS: Final = (
    "SELECT dead_letter_id, consumer, key, cause, payload, at_ms FROM dead_letters ORDER BY dead_letter_id LIMIT ?"
)


class SqliteReads:
    """The reading half of the store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Transactions

    def transaction(self, transaction_id: str) -> TransactionRecord | None:
        """Return a payment with its decision, current challenge and current label."""
        row = self._database.one(_TRANSACTION, (transaction_id,))
        return None if row is None else _record(row)

    def transactions(
        self, *, user_id: str | None = None, status: Status | None = None, limit: int, before: int | None = None
    ) -> TransactionPage:
        """Return up to `limit` payments newest first, of an account, a status or both, below `before`."""
        sql, filters = _listing(user_id, status)
        rows = self._database.all(sql, (*filters, _END if before is None else before, limit + 1))
        records = tuple(_record(row) for row in rows[:limit])
        return TransactionPage(records, records[-1].sequence if len(rows) > limit else None)

    def export(self, *, after: int = 0) -> Iterable[tuple[TransactionRecord, tuple[Label, ...]]]:
        """Yield every payment in order of arrival after a sequence, each with all of its labels, oldest first."""
        while rows := self._database.all(_EXPORT, (after, EXPORT_PAGE_ROWS)):
            first, after = rows[0][0], rows[-1][0]
            labels: dict[int, list[Label]] = {}
            for sequence, body in self._database.all(_EXPORT_LABELS, (first, after)):
                labels.setdefault(sequence, []).append(decode_label(body))
            for row in rows:
                yield _record(row), tuple(labels.get(row[0], ()))

    # Accounts and entity states

    def account(self, user_id: str) -> Account | None:
        """Return an account."""
        row = self._database.one(_ACCOUNT, (user_id,))
        return None if row is None else decode_account(row[0])

    def accounts(self, *, limit: int, after: str = "") -> Sequence[Account]:
        """Return up to `limit` accounts with ids greater than `after`, in order of their ids."""
        return [decode_account(body) for (body,) in self._database.all(_ACCOUNTS, (after, limit))]

    def states(self, keys: Sequence[tuple[str, str]]) -> Sequence[tuple[int, bytes] | None]:
        """Return (version, blob) of each (entity, key), None where there is none yet, in the order asked."""
        one = self._database.one
        return [one(_STATE, key) for key in keys]

    # Challenges

    def challenge(self, challenge_id: str) -> Challenge | None:
        """Return a challenge."""
        row = self._database.one(_CHALLENGE, (challenge_id,))
        return None if row is None else decode_challenge(row[0])

    def open_challenges(self, phone: str) -> Sequence[Challenge]:
        """Return a phone's open challenges: asked before queued, then by risk, highest first."""
        found = self._challenges(_OPEN_BY_PHONE, (phone,))
        return sorted(
            found, key=lambda c: (c.state is ChallengeState.QUEUED, -c.risk_minor, c.created_at_ms, c.challenge_id)
        )

    def recent_challenges(self, phone: str, *, asked_since_ms: int) -> Sequence[Challenge]:
        """Return a phone's challenges in any state asked at or after a time, newest first."""
        return self._challenges(_RECENT, (phone, asked_since_ms))

    def last_erasure_ms(self) -> int | None:
        """Return the latest time at which an account was erased or a challenge set aside."""
        row = self._database.one(_LAST_ERASURE)
        return None if row is None else int(row[0])

    def expired_challenge_ids(self, *, now_ms: int, limit: int) -> Sequence[str]:
        """Return the ids of open challenges whose life has ended (`expires_at_ms <= now_ms`), oldest first."""
        return [challenge_id for (challenge_id,) in self._database.all(_EXPIRED, (now_ms, limit))]

    def open_challenges_of(self, user_id: str) -> Sequence[Challenge]:
        """Return an account's open challenges, in order of creation."""
        return sorted(self._challenges(_OPEN_BY_ACCOUNT, (user_id,)), key=lambda c: (c.created_at_ms, c.challenge_id))

    def challenge_ids_to_escalate(self, *, now_ms: int, limit: int) -> Sequence[str]:
        """Return the ids of asked challenges whose reminder or next channel is due, oldest due first."""
        return [challenge_id for (challenge_id,) in self._database.all(_TO_ESCALATE, (now_ms, limit))]

    def _challenges(self, sql: str, parameters: Sequence[object]) -> list[Challenge]:
        return [decode_challenge(body) for (body,) in self._database.all(sql, parameters)]

    # Messages

    def message(self, message_id: str) -> Message | None:
        """Return a message by our id."""
        row = self._database.one(_MESSAGE, (message_id,))
        return None if row is None else decode_message(row[0])

    def due_message_ids(self, *, channel: str, now_ms: int, limit: int) -> Sequence[str]:
        """Return the ids of messages that a channel's worker has to send or look up by now, oldest due first."""
        return [message_id for (message_id,) in self._database.all(_DUE, (channel, now_ms, limit))]

    def messages_about(self, challenge_id: str) -> Sequence[Message]:
        """Return all messages about a challenge, oldest first."""
        return [decode_message(body) for (body,) in self._database.all(_ABOUT, (challenge_id,))]

    def conversation(self, address: str, *, limit: int) -> Sequence[Message]:
        """Return the latest messages to and from an address, oldest first."""
        return [decode_message(body) for (body,) in reversed(self._database.all(_CONVERSATION, (address, limit)))]

    def opted_out_since(self, phone: str) -> int | None:
        """Return when a number opted out of texts, None if it takes them."""
        row = self._database.one(_OPTED_OUT, (phone,))
        return None if row is None else int(row[0])

    # Stream

    def log(self, *, after: int, limit: int) -> Sequence[LogEntry]:
        """Return up to `limit` entries after a position, in order."""
        return [LogEntry(*row) for row in self._database.all(_LOG, (after, limit))]

    def cursor(self, consumer: str) -> int:
        """Return a consumer's position, 0 if it never moved."""
        row = self._database.one(_CURSOR, (consumer,))
        return 0 if row is None else int(row[0])

    def dead_letters(self, *, limit: int) -> Sequence[DeadLetter]:
        """Return dead letters, oldest first."""
        return [DeadLetter(*row) for row in self._database.all(_DEAD_LETTERS, (limit,))]


def _listing(user_id: str | None, status: Status | None) -> tuple[str, tuple[str, ...]]:
    """Return the statement for a combination of filters and its first parameters."""
    if user_id is not None:
        if status is not None:
            return _LISTING_BY_ACCOUNT_AND_STATUS, (user_id, status)
        return _LISTING_BY_ACCOUNT, (user_id,)
    if status is Status.APPROVED:
        return _LISTING_APPROVED, ()
    return (_LISTING, ()) if status is None else (_LISTING_BY_STATUS, (status,))


def _record(row: Row) -> TransactionRecord:
    sequence, status, body, decision, challenge, label = row
    return TransactionRecord(
        sequence=sequence,
        transaction=decode_transaction(body),
        status=_STATUS[status],
        decision=None if decision is None else decode_decision(decision),
        challenge=None if challenge is None else decode_challenge(challenge),
        label=None if label is None else decode_label(label),
    )
