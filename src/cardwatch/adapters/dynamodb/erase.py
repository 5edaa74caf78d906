"""Erasing an account: which items are its, rewritten by the rules of `domain.erasure`.

Up to 100 items go in one transaction; an account with more is erased in several, its own row last, so that one that
was interrupted is erased by asking again. The stream keeps old images for 24 hours, and backups keep what they hold.
"""

from collections.abc import Iterator

from cardwatch.adapters.dynamodb import codecs
from cardwatch.adapters.dynamodb.conversation_items import (
    about_key,
    challenge_key,
    challenge_of,
    message_key,
    message_of,
    phone_head,
    user_head,
)
from cardwatch.adapters.dynamodb.conversation_writes import (
    list_challenge,
    note_erasure,
    replace_challenge,
    replace_message,
)
from cardwatch.adapters.dynamodb.database import key_of
from cardwatch.adapters.dynamodb.names import Key, Table
from cardwatch.adapters.dynamodb.payments import is_payment, labels_of, payment_key
from cardwatch.adapters.dynamodb.states import state_key
from cardwatch.adapters.dynamodb.tables import TABLES, Index
from cardwatch.adapters.dynamodb.values import Item, data, text, texts
from cardwatch.adapters.dynamodb.workspace import Workspace
from cardwatch.domain.challenge import Challenge
from cardwatch.domain.changes import EraseAccount
from cardwatch.domain.erasure import (
    erased_challenge,
    erased_label,
    erased_message,
    erased_transaction,
    names_a_person,
)
from cardwatch.domain.message import Message

_INDEXES: dict[str, Index] = {index.name: index for definition in TABLES.values() for index in definition.indexes}


def erase_account(work: Workspace, change: EraseAccount) -> bool:
    """Erase an account's personal data in every table; False if there is no such account."""
    user_id = change.user_id
    key: Key = (Table.ACCOUNTS, user_id, "")
    item = work.load(key)
    if item is None:
        return False
    challenges = list(_challenges(work, user_id))
    account = codecs.decode_account(data(item, "body"))
    set_aside = list(_set_aside(work, user_id))
    phones = {text(stored, "phone") for stored in [*(stored for stored, _ in challenges), *set_aside]}
    addresses = (phones - {""}) | set(account.addresses)
    payments = {text(entry, "transaction_id") for entry in _entries(work, Table.TRANSACTIONS, "by_account", user_id)}
    _erase_messages(work, user_id, addresses, [c.challenge_id for _, c in challenges], payments)
    for stored, challenge in challenges:
        _erase_challenge(work, stored, challenge)
    for stored in set_aside:
        work.put(key_of(Table.CONVERSATIONS, stored), None)
    for transaction_id in sorted(payments):
        _erase_payment(work, transaction_id)
    _erase_states(work, user_id)
    if (head := work.load(user_head(user_id))) is not None and not texts(head, "open"):
        work.put(user_head(user_id), None)
    note_erasure(work, change.at_ms)
    work.staged.pop(key, None)  # last, so that an erasure in several transactions can be asked for again
    work.put(key, None)
    return True


def _entries(work: Workspace, table: Table, index: str, partition: str) -> Iterator[Item]:
    return work.items.query(table, partition, index=_INDEXES[index], over=work.view())


def _challenges(work: Workspace, user_id: str) -> Iterator[tuple[Item, Challenge]]:
    for entry in _entries(work, Table.CONVERSATIONS, "by_subject", f"user#{user_id}"):
        item = work.load(key_of(Table.CONVERSATIONS, entry)) if entry["sk"] == "challenge" else None
        if item is not None and (challenge := challenge_of(item)).user_id == user_id:
            yield item, challenge


def _set_aside(work: Workspace, user_id: str) -> Iterator[Item]:
    for entry in _entries(work, Table.CONVERSATIONS, "by_subject", f"user#{user_id}"):
        item = work.load(key_of(Table.CONVERSATIONS, entry)) if entry["sk"] == "set-aside" else None
        if item is not None:
            yield item


def _erase_challenge(work: Workspace, item: Item, challenge: Challenge) -> None:
    erased = erased_challenge(challenge)
    list_challenge(work, challenge, erased, guarded=False)
    replace_challenge(work, item, erased)
    head = work.load(phone_head(challenge.phone)) if challenge.phone else None
    if head is not None and not texts(head, "open"):
        work.put(phone_head(challenge.phone), None)


def _erase_messages(
    work: Workspace, user_id: str, addresses: set[str], challenge_ids: list[str], payments: set[str]
) -> None:
    for message_id in sorted(_message_ids(work, addresses, challenge_ids, payments)):
        item = work.load(message_key(message_id))
        if item is None:
            continue
        message = message_of(item)
        if not names_a_person(message):
            continue
        owner = _owner(work, message)
        if owner == user_id or (owner is None and message.address in addresses):
            replace_message(work, item, erased_message(message, user_id))


def _message_ids(work: Workspace, addresses: set[str], challenge_ids: list[str], payments: set[str]) -> set[str]:
    partitions = [("by_address", address) for address in sorted(addresses)]
    partitions += [("by_subject", f"payment#{transaction_id}") for transaction_id in sorted(payments)]
    found = {
        text(entry, "pk").removeprefix("message#")
        for index, partition in partitions
        for entry in _entries(work, Table.CONVERSATIONS, index, partition)
    }
    return found.union(*(texts(work.load(about_key(each)) or {}, "ids") for each in challenge_ids))


def _owner(work: Workspace, message: Message) -> str | None:
    """Return the account that a message is about, None for one about no known payment or challenge."""
    payment = work.load(payment_key(message.transaction_id)) if message.transaction_id else None
    if payment is not None and is_payment(payment):
        return text(payment, "user_id")
    challenge = work.load(challenge_key(message.challenge_id)) if message.challenge_id else None
    return challenge_of(challenge).user_id if challenge is not None else None


def _erase_payment(work: Workspace, transaction_id: str) -> None:
    key = payment_key(transaction_id)
    item = work.load(key)
    if item is None:
        return
    erased = {**item, "body": codecs.encode(erased_transaction(codecs.decode_transaction(data(item, "body"))))}
    labels = labels_of(item)
    if labels:
        erased["labels"] = [codecs.encode(erased_label(label)) for label in labels]
    work.put(key, erased)


def _erase_states(work: Workspace, user_id: str) -> None:
    keys = [state_key("account", user_id)]
    keys += [key_of(Table.STATES, entry) for entry in _entries(work, Table.STATES, "by_owner", user_id)]
    for key in keys:
        if work.load(key) is not None:
            work.put(key, None)
