"""One function per kind of change; each checks its condition before it writes, and says whether it held.

So a change that did not hold has written nothing.
"""

from collections.abc import Callable
from typing import Any, Final

from cardwatch.adapters.sqlite.codecs import decode_label, encode
from cardwatch.adapters.sqlite.connection import Database
from cardwatch.adapters.sqlite.erase import erase_account, note_erasure
from cardwatch.domain.challenge import ChallengeState
from cardwatch.domain.changes import (
    AddChallenge,
    AddDeadLetter,
    AddLabel,
    AddMessage,
    AddTransaction,
    DecideTransaction,
    EraseAccount,
    MoveTransaction,
    PutAccount,
    PutChallenge,
    PutMessage,
    PutOptOut,
    PutState,
    RemoveDeadLetter,
    SetAsideChallenge,
    SetAsideMessage,
    SetCursor,
    require_challenge_move,
    require_payment_move,
)
from cardwatch.domain.label import log_detail
from cardwatch.domain.message import TO_DO, Direction, Message
from cardwatch.domain.transaction import Status

_LOG: Final = "INSERT INTO change_log (kind, key, detail) VALUES (?, ?, ?)"
_INSERT_TRANSACTION: Final = (
    "INSERT INTO transactions (transaction_id, user_id, status, body) VALUES (?, ?, 'pending', ?)"
    " ON CONFLICT (transaction_id) DO NOTHING"
)
_DECIDE: Final = "UPDATE transactions SET status = ?, decision = ? WHERE transaction_id = ? AND status = 'pending'"
_MOVE: Final = "UPDATE transactions SET status = ? WHERE transaction_id = ? AND status = ?"
_INSERT_STATE: Final = (
    "INSERT INTO entity_states (version, blob, entity, key) VALUES (?, ?, ?, ?) ON CONFLICT (entity, key) DO NOTHING"
)
_UPDATE_STATE: Final = (
    "UPDATE entity_states SET version = ?1, blob = ?2 WHERE entity = ?3 AND key = ?4 AND version = ?1 - 1"
)
_INSERT_ACCOUNT: Final = (
    "INSERT INTO accounts (user_id, version, body) VALUES (?, ?, ?) ON CONFLICT (user_id) DO NOTHING"
)
_UPDATE_ACCOUNT: Final = "UPDATE accounts SET version = ?2, body = ?3 WHERE user_id = ?1 AND version = ?2 - 1"
_TRANSACTION_EXISTS: Final = "SELECT 1 FROM transactions WHERE transaction_id = ?"
_INSERT_CHALLENGE: Final = (
    "INSERT INTO challenges"
    " (challenge_id, user_id, phone, state, asked_at_ms, act_at_ms, expires_at_ms, version, body)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (challenge_id) DO NOTHING"
)
_SET_CHALLENGE: Final = "UPDATE transactions SET challenge_id = ? WHERE transaction_id = ?"
_CHALLENGE_STATE: Final = "SELECT state FROM challenges WHERE challenge_id = ? AND version = ?"
_UPDATE_CHALLENGE: Final = (
    "UPDATE challenges SET user_id = ?2, phone = ?3, state = ?4, asked_at_ms = ?5, act_at_ms = ?6,"
    " expires_at_ms = ?7, version = ?8, body = ?9 WHERE challenge_id = ?1"
)
_KEEP_CHALLENGE_APART: Final = (
    "INSERT OR REPLACE INTO set_aside_challenges (challenge_id, user_id, phone, body)"
    " SELECT challenge_id, user_id, phone, body FROM challenges WHERE challenge_id = ?"
)
_UNSET_CHALLENGE: Final = "UPDATE transactions SET challenge_id = NULL WHERE challenge_id = ?"
_DELETE_CHALLENGE: Final = "DELETE FROM challenges WHERE challenge_id = ?"
_INSERT_MESSAGE: Final = (
    "INSERT INTO messages"
    " (message_id, address, channel, created_at_ms, due_at_ms, transaction_id, challenge_id, version, body)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (message_id) DO NOTHING"
)
_UPDATE_MESSAGE: Final = (
    "UPDATE messages SET address = ?2, channel = ?3, created_at_ms = ?4, due_at_ms = ?5, transaction_id = ?6,"
    " challenge_id = ?7, version = ?8, body = ?9 WHERE message_id = ?1 AND version = ?8 - 1"
)
_SET_ASIDE: Final = "UPDATE messages SET due_at_ms = NULL WHERE message_id = ? AND due_at_ms IS NOT NULL"
_OPT_OUT: Final = "INSERT OR REPLACE INTO opt_outs (phone, since_ms) VALUES (?, ?)"
_OPT_IN: Final = "DELETE FROM opt_outs WHERE phone = ?"
_CURRENT_LABEL: Final = (
    "SELECT t.sequence, l.source, l.body FROM transactions t LEFT JOIN labels l ON l.label_id = t.label_id"
    " WHERE t.transaction_id = ?"
)
_INSERT_LABEL: Final = "INSERT INTO labels (sequence, source, body) VALUES (?, ?, ?)"
_SET_LABEL: Final = "UPDATE transactions SET label_id = ? WHERE sequence = ?"
_INSERT_CURSOR: Final = (
    "INSERT INTO cursors (position, consumer) VALUES (?, ?) ON CONFLICT (consumer)"
    " DO UPDATE SET position = excluded.position WHERE position = 0"
)
_UPDATE_CURSOR: Final = "UPDATE cursors SET position = ? WHERE consumer = ? AND position = ?"
_INSERT_DEAD_LETTER: Final = "INSERT INTO dead_letters (consumer, key, cause, payload, at_ms) VALUES (?, ?, ?, ?, ?)"
_DELETE_DEAD_LETTER: Final = "DELETE FROM dead_letters WHERE dead_letter_id = ?"


def _add_transaction(database: Database, change: AddTransaction) -> bool:
    transaction = change.transaction
    key = transaction.transaction_id
    if not database.run(_INSERT_TRANSACTION, (key, transaction.user_id, encode(transaction))):
        return False
    database.run(_LOG, ("transaction.recorded", key, "pending"))
    return True


def _decide_transaction(database: Database, change: DecideTransaction) -> bool:
    status, key = change.status, change.transaction_id
    require_payment_move(Status.PENDING, status)
    if not database.run(_DECIDE, (status, encode(change.decision), key)):
        return False
    database.run(_LOG, ("transaction.decided", key, status))
    return True


def _move_transaction(database: Database, change: MoveTransaction) -> bool:
    require_payment_move(change.expected, change.status)
    if not database.run(_MOVE, (change.status, change.transaction_id, change.expected)):
        return False
    database.run(_LOG, ("transaction.moved", change.transaction_id, f"{change.status}:{change.cause}"))
    return True


def _put_state(database: Database, change: PutState) -> bool:
    version = change.version
    sql = _INSERT_STATE if version == 1 else _UPDATE_STATE
    return database.run(sql, (version, change.blob, change.entity, change.key)) == 1


def _put_account(database: Database, change: PutAccount) -> bool:
    account = change.account
    sql = _INSERT_ACCOUNT if account.version == 1 else _UPDATE_ACCOUNT
    return database.run(sql, (account.user_id, account.version, encode(account))) == 1


def _add_challenge(database: Database, change: AddChallenge) -> bool:
    challenge = change.challenge
    if database.one(_TRANSACTION_EXISTS, (challenge.transaction_id,)) is None:
        return False
    if not database.run(_INSERT_CHALLENGE, _challenge_row(change)):
        return False
    database.run(_SET_CHALLENGE, (challenge.challenge_id, challenge.transaction_id))
    database.run(_LOG, ("challenge.added", challenge.transaction_id, challenge.state))
    return True


def _put_challenge(database: Database, change: PutChallenge) -> bool:
    challenge = change.challenge
    stored = database.one(_CHALLENGE_STATE, (challenge.challenge_id, challenge.version - 1))
    if stored is None:
        return False
    require_challenge_move(ChallengeState(stored[0]), challenge.state)
    database.run(_UPDATE_CHALLENGE, _challenge_row(change))
    database.run(_LOG, ("challenge.changed", challenge.transaction_id, challenge.state))
    return True


def _set_aside_challenge(database: Database, change: SetAsideChallenge) -> bool:
    key = (change.challenge_id,)
    if not database.run(_KEEP_CHALLENGE_APART, key):
        return False
    database.run(_UNSET_CHALLENGE, key)
    database.run(_DELETE_CHALLENGE, key)
    note_erasure(database, change.at_ms)
    return True


def _challenge_row(change: AddChallenge | PutChallenge) -> tuple[object, ...]:
    challenge = change.challenge
    return (
        challenge.challenge_id,
        challenge.user_id,
        challenge.phone,
        challenge.state,
        challenge.asked_at_ms,
        challenge.act_at_ms,
        challenge.expires_at_ms,
        challenge.version,
        encode(challenge),
    )


def _add_message(database: Database, change: AddMessage) -> bool:
    return database.run(_INSERT_MESSAGE, _message_row(change.message)) == 1


def _put_message(database: Database, change: PutMessage) -> bool:
    return database.run(_UPDATE_MESSAGE, _message_row(change.message)) == 1


def _set_aside_message(database: Database, change: SetAsideMessage) -> bool:
    return database.run(_SET_ASIDE, (change.message_id,)) == 1


def _put_opt_out(database: Database, change: PutOptOut) -> bool:
    if change.since_ms is None:
        database.run(_OPT_IN, (change.phone,))
    else:
        database.run(_OPT_OUT, (change.phone, change.since_ms))
    return True


def _message_row(message: Message) -> tuple[object, ...]:
    to_do = message.direction is Direction.OUTBOUND and message.state in TO_DO
    return (
        message.message_id,
        message.address,
        message.channel,
        message.created_at_ms,
        message.due_at_ms if to_do else None,
        message.transaction_id,
        message.challenge_id,
        message.version,
        encode(message),
    )


def _add_label(database: Database, change: AddLabel) -> bool:
    label = change.label
    row = database.one(_CURRENT_LABEL, (label.transaction_id,))
    if row is None or row[1] != change.expected:
        return False
    previous = None if row[2] is None else decode_label(row[2])
    label_id = database.insert(_INSERT_LABEL, (row[0], label.source, encode(label)))
    database.run(_SET_LABEL, (label_id, row[0]))
    kind = "label.imported" if change.applied else "label.added"
    database.run(_LOG, (kind, label.transaction_id, log_detail(label, previous)))
    return True


def _set_cursor(database: Database, change: SetCursor) -> bool:
    if change.expected == 0:
        return database.run(_INSERT_CURSOR, (change.position, change.consumer)) == 1
    return database.run(_UPDATE_CURSOR, (change.position, change.consumer, change.expected)) == 1


def _add_dead_letter(database: Database, change: AddDeadLetter) -> bool:
    values = (change.consumer, change.key, change.cause, change.payload, change.at_ms)
    return database.run(_INSERT_DEAD_LETTER, values) == 1


def _remove_dead_letter(database: Database, change: RemoveDeadLetter) -> bool:
    return database.run(_DELETE_DEAD_LETTER, (change.dead_letter_id,)) == 1


def _erase_account(database: Database, change: EraseAccount) -> bool:
    return erase_account(database, change)


WRITERS: Final[dict[type, Callable[[Database, Any], bool]]] = {
    AddTransaction: _add_transaction,
    DecideTransaction: _decide_transaction,
    MoveTransaction: _move_transaction,
    PutState: _put_state,
    PutAccount: _put_account,
    EraseAccount: _erase_account,
    AddChallenge: _add_challenge,
    PutChallenge: _put_challenge,
    SetAsideChallenge: _set_aside_challenge,
    AddMessage: _add_message,
    PutMessage: _put_message,
    SetAsideMessage: _set_aside_message,
    PutOptOut: _put_opt_out,
    AddLabel: _add_label,
    SetCursor: _set_cursor,
    AddDeadLetter: _add_dead_letter,
    RemoveDeadLetter: _remove_dead_letter,
}
