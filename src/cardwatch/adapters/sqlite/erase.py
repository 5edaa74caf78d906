"""Erasing an account: which rows are its, rewritten by the rules of `domain.erasure`.

Freed space is overwritten by SQLite (secure_delete), the store empties the write-ahead log after the commit, and its
`scrub` rewrites the file where older copies of moved rows must not survive either.
"""

from typing import Final

from cardwatch.adapters.sqlite.codecs import (
    decode_account,
    decode_challenge,
    decode_label,
    decode_message,
    decode_transaction,
    encode,
)
from cardwatch.adapters.sqlite.connection import Database
from cardwatch.domain.changes import EraseAccount
from cardwatch.domain.erasure import (
    erased_challenge,
    erased_label,
    erased_message,
    erased_transaction,
    names_a_person,
)
from cardwatch.features.engine import PAIR_SEPARATOR

_ACCOUNT: Final = "SELECT body FROM accounts WHERE user_id = ?"
_PHONES: Final = (
    "SELECT phone FROM challenges WHERE user_id = ?1 UNION SELECT phone FROM set_aside_challenges WHERE user_id = ?1"
)
_MESSAGES: Final = """
SELECT m.body FROM messages m
LEFT JOIN transactions t ON t.transaction_id = m.transaction_id
LEFT JOIN challenges c ON c.challenge_id = m.challenge_id
WHERE m.message_id IN (
    SELECT message_id FROM messages WHERE address IN (SELECT value FROM json_each(?2))
    UNION SELECT message_id FROM messages
        WHERE transaction_id IN (SELECT transaction_id FROM transactions WHERE user_id = ?1)
    UNION SELECT message_id FROM messages
        WHERE challenge_id IN (SELECT challenge_id FROM challenges WHERE user_id = ?1)
) AND coalesce(t.user_id, c.user_id, ?1) = ?1
AND (coalesce(t.user_id, c.user_id) IS NOT NULL OR m.address IN (SELECT value FROM json_each(?2)))
"""
_CHALLENGES: Final = "SELECT body FROM challenges WHERE user_id = ?"
_TRANSACTIONS: Final = "SELECT sequence, body FROM transactions WHERE user_id = ?"
_LABELS: Final = (
    "SELECT l.label_id, l.body FROM transactions t JOIN labels l ON l.sequence = t.sequence WHERE t.user_id = ?"
)
_DELETE_STATES: Final = """
DELETE FROM entity_states
WHERE (entity = 'account' AND key = ?1) OR (entity = 'pair' AND key >= ?1 || ?2 AND key < ?1 || ?3)
"""
_NOTE: Final = (
    "INSERT INTO last_erasure (number, at_ms) VALUES (1, ?)"
    " ON CONFLICT (number) DO UPDATE SET at_ms = max(at_ms, excluded.at_ms)"
)
_AFTER_SEPARATOR: Final = chr(ord(PAIR_SEPARATOR) + 1)


def erase_account(database: Database, change: EraseAccount) -> bool:
    """Erase an account's personal data in every table; False if there is no such account."""
    user_id = change.user_id
    row = database.one(_ACCOUNT, (user_id,))
    if row is None:
        return False
    phones = {phone for (phone,) in database.all(_PHONES, (user_id,))}
    addresses = {address for address in (*phones, *decode_account(row[0]).addresses) if address}
    _erase_messages(database, user_id, sorted(addresses))
    _erase_challenges(database, user_id)
    _erase_transactions(database, user_id)
    database.run("DELETE FROM set_aside_challenges WHERE user_id = ?", (user_id,))
    database.run(_DELETE_STATES, (user_id, PAIR_SEPARATOR, _AFTER_SEPARATOR))
    database.run("DELETE FROM accounts WHERE user_id = ?", (user_id,))
    note_erasure(database, change.at_ms)
    database.erased = True
    return True


def note_erasure(database: Database, at_ms: int) -> None:
    """Keep the latest time at which the history of a phone was lost."""
    database.run(_NOTE, (at_ms,))


def _erase_messages(database: Database, user_id: str, addresses: list[str]) -> None:
    sql = "UPDATE messages SET address = ?, due_at_ms = NULL, version = ?, body = ? WHERE message_id = ?"
    for (body,) in database.all(_MESSAGES, (user_id, encode(addresses).decode())):
        stored = decode_message(body)
        if not names_a_person(stored):
            continue
        message = erased_message(stored, user_id)
        database.run(sql, (message.address, message.version, encode(message), message.message_id))


def _erase_challenges(database: Database, user_id: str) -> None:
    sql = "UPDATE challenges SET phone = ?, version = ?, body = ? WHERE challenge_id = ?"
    for (body,) in database.all(_CHALLENGES, (user_id,)):
        challenge = erased_challenge(decode_challenge(body))
        database.run(sql, (challenge.phone, challenge.version, encode(challenge), challenge.challenge_id))


def _erase_transactions(database: Database, user_id: str) -> None:
    for sequence, body in database.all(_TRANSACTIONS, (user_id,)):
        erased = encode(erased_transaction(decode_transaction(body)))
        if erased != body:
            database.run("UPDATE transactions SET body = ? WHERE sequence = ?", (erased, sequence))
    for label_id, body in database.all(_LABELS, (user_id,)):
        database.run(
            "UPDATE labels SET body = ? WHERE label_id = ?", (encode(erased_label(decode_label(body))), label_id)
        )
