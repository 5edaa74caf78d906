"""Every read verb of the ports but those about payments."""

from collections.abc import Iterable, Sequence
from itertools import islice

from cardwatch.adapters.dynamodb import codecs
from cardwatch.adapters.dynamodb.conversation_items import (
    AFTER_ALL,
    ESCALATION,
    EXPIRY,
    LAST_ERASURE,
    about_key,
    challenge_key,
    challenge_of,
    cursor_key,
    dead_letter_of,
    message_key,
    message_of,
    opt_out_key,
    outbox,
    phone_head,
    user_head,
    when,
)
from cardwatch.adapters.dynamodb.database import key_of
from cardwatch.adapters.dynamodb.names import Key, Table
from cardwatch.adapters.dynamodb.payment_reads import PaymentReads
from cardwatch.adapters.dynamodb.states import state_key, state_of
from cardwatch.adapters.dynamodb.tables import TABLES, Index
from cardwatch.adapters.dynamodb.values import Item, data, number, text, texts
from cardwatch.adapters.dynamodb.workspace import REVISION
from cardwatch.domain.account import Account
from cardwatch.domain.challenge import OPEN, Challenge, ChallengeState
from cardwatch.domain.message import Message
from cardwatch.ports import DeadLetter

_BY_ID = TABLES[Table.ACCOUNTS].indexes[0]
_BY_DUE, _BY_ACT, _BY_ADDRESS, _ = TABLES[Table.CONVERSATIONS].indexes


class DynamoReads(PaymentReads):
    """Every read verb but the change log's."""

    _states_read: dict[Key, Item | None]

    # Accounts and entity states

    def account(self, user_id: str) -> Account | None:
        """Return an account: half a read unit, so perhaps as it was a moment ago.

        What is written because of it holds only if the account still is at that version: replacing it as its
        version says, and asking its holder by a check of the same transaction.
        """
        item = self._items.get((Table.ACCOUNTS, user_id, ""), consistent=False) if user_id else None
        return None if item is None else codecs.decode_account(data(item, "body"))

    def accounts(self, *, limit: int, after: str = "") -> Sequence[Account]:
        """Return up to `limit` accounts with ids greater than `after`, in order of their ids."""
        entries = self._items.query(
            Table.ACCOUNTS, "accounts", index=_BY_ID, low=after or None, limit=min(limit + 1, 1_000)
        )
        wanted = list(islice((entry for entry in entries if text(entry, "user_id") != after), limit))
        keys = [key_of(Table.ACCOUNTS, entry) for entry in wanted]
        found = self._items.get_many(keys, consistent=False)
        return [codecs.decode_account(data(found[key], "body")) for key in keys if key in found]

    def states(self, keys: Sequence[tuple[str, str]]) -> Sequence[tuple[int, bytes] | None]:
        """Return (version, blob) of each (entity, key), in the order asked; perhaps as they were a moment ago.

        Whoever writes a state on that ground loses to whoever wrote it meanwhile; it is read again consistently.
        """
        places = [state_key(entity, key) for entity, key in keys]
        contended = any(place in self._contended for place in places)
        found = self._items.get_many(places, consistent=contended)
        self._contended.difference_update(places)
        self._states_read = {place: found.get(place) for place in places}
        return [state_of(found.get(place)) for place in places]

    _contended: set[Key]

    # Challenges

    def challenge(self, challenge_id: str) -> Challenge | None:
        """Return a challenge."""
        item = self._items.get(challenge_key(challenge_id))
        return None if item is None else challenge_of(item)

    def open_challenges(self, phone: str) -> Sequence[Challenge]:
        """Return a phone's open challenges: asked before queued, then by risk, highest first; none of no phone.

        The next write that opens, asks or closes a challenge of this phone holds only if no other did so since.
        """
        found = self._open(phone_head(phone)) if phone else []
        return sorted(
            found, key=lambda c: (c.state is ChallengeState.QUEUED, -c.risk_minor, c.created_at_ms, c.challenge_id)
        )

    def open_challenges_of(self, user_id: str) -> Sequence[Challenge]:
        """Return an account's open challenges, in order of creation; guards the next write like `open_challenges`."""
        return sorted(self._open(user_head(user_id)), key=lambda c: (c.created_at_ms, c.challenge_id))

    def _open(self, head: Key) -> list[Challenge]:
        item = self._guarding(head)
        found = self._challenges([challenge_key(each) for each in texts(item or {}, "open")])
        return [challenge for challenge in found if challenge.state in OPEN]

    def _guarding(self, head: Key) -> Item | None:
        """Return a list's item; the next write that changes the list holds only if it still is as first read."""
        item = self._items.get(head)
        revision = number(item, REVISION) if item is not None and REVISION in item else 0
        self._items.expected.setdefault(head, revision)
        return item

    def recent_challenges(self, phone: str, *, asked_since_ms: int) -> Sequence[Challenge]:
        """Return a phone's challenges in any state asked at or after a time, newest first."""
        if not phone:
            return []
        asked = self._items.query(
            Table.CONVERSATIONS,
            f"phone#{phone}",
            low=f"asked#{when(asked_since_ms)}",
            high=f"asked#{AFTER_ALL}",
            reverse=True,
        )
        return self._challenges([challenge_key(text(entry, "challenge_id")) for entry in asked])

    def last_erasure_ms(self) -> int | None:
        """Return the latest time at which an account was erased or a challenge set aside."""
        item = self._items.get(LAST_ERASURE)
        return None if item is None else number(item, "at_ms")

    def expired_challenge_ids(self, *, now_ms: int, limit: int) -> Sequence[str]:
        """Return the ids of open challenges whose life has ended (`expires_at_ms <= now_ms`), oldest first."""
        return self._due_ids(EXPIRY, now_ms, limit, index=_BY_DUE)

    def challenge_ids_to_escalate(self, *, now_ms: int, limit: int) -> Sequence[str]:
        """Return the ids of asked challenges whose reminder or next channel is due, oldest due first."""
        return self._due_ids(ESCALATION, now_ms, limit, index=_BY_ACT)

    def _due_ids(self, partition: str, now_ms: int, limit: int, *, index: Index) -> list[str]:
        """Return the ids of challenges or messages that are due, from the index alone."""
        entries = self._items.query(
            Table.CONVERSATIONS, partition, index=index, high=when(now_ms) + AFTER_ALL, limit=limit
        )
        return [text(entry, "pk").partition("#")[2] for entry in islice(entries, limit)]

    def _challenges(self, keys: Sequence[Key]) -> list[Challenge]:
        found = self._items.get_many(keys)
        return [challenge_of(found[key]) for key in keys if key in found]

    # Messages

    def message(self, message_id: str) -> Message | None:
        """Return a message by our id."""
        item = self._items.get(message_key(message_id))
        return None if item is None else message_of(item)

    def due_message_ids(self, *, channel: str, now_ms: int, limit: int) -> Sequence[str]:
        """Return the ids of messages that a channel's worker has to send or look up by now, oldest due first."""
        return self._due_ids(outbox(channel), now_ms, limit, index=_BY_DUE)

    def messages_about(self, challenge_id: str) -> Sequence[Message]:
        """Return all messages about a challenge, oldest first; the next that is added holds only if none was since."""
        item = self._guarding(about_key(challenge_id))
        found = self._messages([message_key(each) for each in texts(item or {}, "ids")])
        return sorted(found, key=lambda m: (m.created_at_ms, m.message_id))

    def conversation(self, address: str, *, limit: int) -> Sequence[Message]:
        """Return the latest messages to and from an address, oldest first."""
        if not address:
            return []
        entries = self._items.query(Table.CONVERSATIONS, address, index=_BY_ADDRESS, reverse=True, limit=limit)
        keys = [key_of(Table.CONVERSATIONS, entry) for entry in islice(entries, limit)]
        return self._messages(keys[::-1])

    def _messages(self, keys: Sequence[Key]) -> list[Message]:
        found = self._items.get_many(keys)
        return [message_of(found[key]) for key in keys if key in found]

    def opted_out_since(self, phone: str) -> int | None:
        """Return when a number opted out of texts, None if it takes them."""
        item = self._items.get(opt_out_key(phone))
        return None if item is None else number(item, "since_ms")

    # Positions and dead letters

    def cursor(self, consumer: str) -> int:
        """Return a consumer's position, 0 if it never moved."""
        item = self._items.get(cursor_key(consumer))
        return 0 if item is None else number(item, "position")

    def dead_letters(self, *, limit: int) -> Sequence[DeadLetter]:
        """Return dead letters, oldest first."""
        found: Iterable[Item] = self._items.query(Table.CONVERSATIONS, "dead-letter", limit=limit)
        return [dead_letter_of(item) for item in islice(found, limit)]
