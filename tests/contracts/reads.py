"""Everything that a store can be asked about the ids of these tests, as one comparable value."""

from collections.abc import Iterable
from typing import Any

from cardwatch.domain.transaction import Status
from cardwatch.ports import Store
from tests.builders import NOW_MS, OTHER_PHONE, PHONE

LATER_MS = NOW_MS + 10**9
CONSUMERS = ("score", "notify")
PAIRS = ("user_001\x1fcorner cafe", "user_002\x1fcorner cafe")


def everything(store: Store, *, user_ids: Iterable[str], challenge_ids: Iterable[str]) -> dict[str, Any]:
    """Read through every verb of every port."""
    exported = list(store.export())
    ids = [record.transaction.transaction_id for record, _ in exported]
    phones = [PHONE, OTHER_PHONE, *(f"erased:{user_id}" for user_id in user_ids)]
    keys = ("user_001", "user_002", "corner cafe", *PAIRS)
    entities = [(entity, key) for entity in ("account", "merchant", "pair") for key in keys]
    return {
        "export": exported,
        "transactions": [store.transaction(key) for key in ids],
        "listings": [
            store.transactions(user_id=user_id, status=status, limit=3)
            for user_id in (None, *user_ids)
            for status in (None, *Status)
        ],
        "accounts": store.accounts(limit=100),
        "account": [store.account(user_id) for user_id in user_ids],
        "states": list(store.states(entities)),
        "challenges": [store.challenge(key) for key in challenge_ids],
        "open": [store.open_challenges(phone) for phone in phones],
        "open_of": [store.open_challenges_of(user_id) for user_id in user_ids],
        "recent": [store.recent_challenges(phone, asked_since_ms=NOW_MS) for phone in phones],
        "last_erasure": store.last_erasure_ms(),
        "expired": store.expired_challenge_ids(now_ms=LATER_MS, limit=100),
        "due": [store.due_message_ids(channel=name, now_ms=LATER_MS, limit=100) for name in ("sms", "email")],
        "to_escalate": store.challenge_ids_to_escalate(now_ms=LATER_MS, limit=100),
        "about": [store.messages_about(key) for key in challenge_ids],
        "opt_outs": [store.opted_out_since(phone) for phone in phones],
        "conversations": [store.conversation(phone, limit=100) for phone in phones],
        "log": store.log(after=0, limit=1000),
        "cursors": [store.cursor(consumer) for consumer in CONSUMERS],
        "dead_letters": store.dead_letters(limit=100),
    }
