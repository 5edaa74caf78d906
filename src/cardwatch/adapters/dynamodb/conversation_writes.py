"""Writing challenges and messages, and the lists in which they are found.

What a single writer gives SQLite for nothing is held here by revisions. Each phone and each account has a head, the
list of its open challenges, which every write of an open challenge's state raises. A service reads the head through
`open_challenges`, decides who may be asked, and its write holds only if the head is still as it was read: two
services can never both put a question on one phone. `about` lists do the same for the texts of one challenge.
"""

from cardwatch.adapters.dynamodb import codecs
from cardwatch.adapters.dynamodb.conversation_items import (
    LAST_ERASURE,
    about_key,
    asked_key,
    challenge_item,
    challenge_key,
    challenge_of,
    message_item,
    message_key,
    new_item,
    opt_out_key,
    phone_head,
    set_aside_key,
    user_head,
)
from cardwatch.adapters.dynamodb.names import Key, Table
from cardwatch.adapters.dynamodb.payments import is_payment, payment_key
from cardwatch.adapters.dynamodb.values import Item, number, text, texts
from cardwatch.adapters.dynamodb.workspace import REVISION, Workspace
from cardwatch.domain.challenge import OPEN, Challenge, ChallengeState
from cardwatch.domain.changes import (
    AddChallenge,
    AddMessage,
    PutChallenge,
    PutMessage,
    PutOptOut,
    SetAsideChallenge,
    SetAsideMessage,
    require_challenge_move,
)
from cardwatch.domain.message import Message


def add_challenge(work: Workspace, change: AddChallenge) -> bool:
    """Add a challenge, list it, and make it its payment's current one."""
    challenge = change.challenge
    key = challenge_key(challenge.challenge_id)
    payment = payment_key(challenge.transaction_id)
    item = work.load(payment)
    if item is None or not is_payment(item) or work.expect(key, None) is not None:
        return False
    if not list_challenge(work, None, challenge) or not hold_account(work, challenge.user_id):
        return False
    work.put(key, challenge_item(challenge, home=challenge.transaction_id))
    work.put(payment, item | {"challenge_id": challenge.challenge_id, "challenge": codecs.encode(challenge)})
    work.log(payment, "challenge.added", challenge.state.value)
    return True


def hold_account(work: Workspace, user_id: str) -> bool:
    """Let the list hold only if an account is still as it was read for it, where it was: a NO may have held it."""
    key: Key = (Table.ACCOUNTS, user_id, "")
    seen = work.items.seen.get(key)
    if seen is None or key in work.staged:
        return True
    work.checks[key] = {REVISION: number(seen, REVISION)}
    current = work.known.get(key, seen)
    return current is not None and current[REVISION] == seen[REVISION]


def put_challenge(work: Workspace, change: PutChallenge) -> bool:
    """Replace a challenge wherever it stands: its item, its lists, the copy in its payment."""
    challenge = change.challenge
    key = challenge_key(challenge.challenge_id)
    item = work.load(key)
    if item is None or number(item, "version") != challenge.version - 1:
        return False
    before = challenge_of(item)
    require_challenge_move(before.state, challenge.state)
    if not list_challenge(work, before, challenge):
        return False
    is_put_to_holder = before.state is ChallengeState.QUEUED and challenge.state is ChallengeState.ASKED
    if is_put_to_holder and not hold_account(work, challenge.user_id):
        return False
    replace_challenge(work, item, challenge)
    _log_change(work, challenge)
    return True


def replace_challenge(work: Workspace, item: Item, challenge: Challenge) -> None:
    """Leave a challenge's item and the copy in its payment as the challenge now is."""
    home = text(item, "home")
    work.put(challenge_key(challenge.challenge_id), challenge_item(challenge, home=home))
    payment = payment_key(home)
    kept = work.load(payment)
    if kept is not None and kept.get("challenge_id") == challenge.challenge_id:
        work.put(payment, kept | {"challenge": codecs.encode(challenge)})


def set_aside_challenge(work: Workspace, change: SetAsideChallenge) -> bool:
    """Take a challenge out of every list and off its payment; it need not be readable."""
    challenge_id = change.challenge_id
    key, apart = challenge_key(challenge_id), set_aside_key(challenge_id)
    item = work.load(key)
    if item is None:
        return False
    work.load(apart)
    kept = {name: item[name] for name in ("pk", "home", "subject", "phone", "body") if name in item}
    work.put(apart, kept | {"sk": apart[2]})
    work.put(key, None)
    phone = text(item, "phone")
    user_id = text(item, "subject").removeprefix("user#")
    for head in (phone_head(phone), user_head(user_id)):
        if challenge_id in texts(work.load(head) or {}, "open"):
            _touch_head(work, head, challenge_id, listed=False)
    if "asked" in item and work.load(asked := (Table.CONVERSATIONS, f"phone#{phone}", text(item, "asked"))) is not None:
        work.put(asked, None)
    payment = payment_key(text(item, "home"))
    current = work.load(payment)
    if current is not None and current.get("challenge_id") == challenge_id:
        work.put(payment, {n: v for n, v in current.items() if n not in ("challenge_id", "challenge")})
    note_erasure(work, change.at_ms)
    return True


def note_erasure(work: Workspace, at_ms: int) -> None:
    """Keep the latest time at which the history of a phone was lost."""
    item = work.load(LAST_ERASURE)
    latest_ms = max(at_ms, number(item, "at_ms")) if item else at_ms
    work.put(LAST_ERASURE, (item or new_item(LAST_ERASURE)) | {"at_ms": latest_ms})


def _log_change(work: Workspace, challenge: Challenge) -> None:
    """Log a change with its payment; where there is no such payment, with an item that carries nothing else."""
    transaction_id = challenge.transaction_id
    carrier = payment_key(transaction_id)
    item = work.load(carrier)
    if not is_payment(item):
        carrier = payment_key(f"log#{challenge.challenge_id}")
        item = (work.load(carrier) or {"transaction_id": carrier[1]}) | {"about": transaction_id}
    work.put(carrier, item)
    work.log(carrier, "challenge.changed", challenge.state.value, key=transaction_id)


def list_challenge(work: Workspace, before: Challenge | None, after: Challenge, *, guarded: bool = True) -> bool:
    """Move a challenge between lists; False if a head is not as a service read it before it decided (`guarded`)."""
    heads = {_head(before, of) for of in ("phone", "user")} | {_head(after, of) for of in ("phone", "user")}
    for key in sorted(head for head in heads if head is not None):
        was, stays = _is_in(before, key), _is_in(after, key)
        if was == stays and (before is None or before.state is after.state):
            continue
        if guarded and not _is_as_read(work, key):
            return False
        _touch_head(work, key, after.challenge_id, listed=stays)
    old, new = asked_key(before) if before else None, asked_key(after)
    if old != new:
        if old is not None and work.load(old) is not None:
            work.put(old, None)
        if new is not None:
            work.load(new)
            work.put(new, new_item(new) | {"challenge_id": after.challenge_id})
    return True


def _head(challenge: Challenge | None, of: str) -> Key | None:
    if challenge is None or challenge.state not in OPEN:
        return None
    if of == "user":
        return user_head(challenge.user_id)
    # All questions without a phone would share one head, which nobody reads.
    return phone_head(challenge.phone) if challenge.phone else None


def _is_in(challenge: Challenge | None, key: Key) -> bool:
    return key in (_head(challenge, "phone"), _head(challenge, "user"))


def _is_as_read(work: Workspace, key: Key) -> bool:
    """Say whether a head is as the service that decided on this list has read it, where it has."""
    if key in work.staged:
        return True
    item = work.load(key)
    revision = number(item, REVISION) if item is not None and REVISION in item else 0
    return work.items.expected.get(key, revision) == revision


def _touch_head(work: Workspace, key: Key, challenge_id: str, *, listed: bool) -> None:
    item = work.load(key) or new_item(key)
    others = [each for each in texts(item, "open") if each != challenge_id]
    work.put(key, item | {"open": [*others, challenge_id] if listed else others})
    work.touched.add(key)


def add_message(work: Workspace, change: AddMessage) -> bool:
    """Add a message and list it; not if a service read its challenge's messages and others were added since."""
    message = change.message
    key = message_key(message.message_id)
    if work.expect(key, None) is not None:
        return False
    if message.challenge_id is not None and not _is_as_read(work, about_key(message.challenge_id)):
        return False
    work.put(key, message_item(message))
    _list_message(work, message.message_id, None, message.challenge_id)
    return True


def put_message(work: Workspace, change: PutMessage) -> bool:
    """Replace a message."""
    item = work.load(message_key(change.message.message_id))
    if item is None or number(item, "version") != change.message.version - 1:
        return False
    replace_message(work, item, change.message)
    return True


def replace_message(work: Workspace, item: Item, message: Message) -> None:
    """Leave a message's item and its list as the message now is."""
    work.put(message_key(message.message_id), message_item(message))
    listed = text(item, "about") if "about" in item else None
    _list_message(work, message.message_id, listed, message.challenge_id)


def _list_message(work: Workspace, message_id: str, old: str | None, new: str | None) -> None:
    """Move a message between the lists of messages about challenges."""
    if old == new:
        return
    if old is not None:
        _relist(work, about_key(old), message_id, listed=False)
    if new is not None:
        _relist(work, about_key(new), message_id, listed=True)


def _relist(work: Workspace, key: Key, message_id: str, *, listed: bool) -> None:
    item = work.load(key) or new_item(key)
    others = [each for each in texts(item, "ids") if each != message_id]
    work.put(key, item | {"ids": [*others, message_id] if listed else others})


def set_aside_message(work: Workspace, change: SetAsideMessage) -> bool:
    """Take a message out of the outbox; it need not be readable."""
    key = message_key(change.message_id)
    item = work.load(key)
    if item is None or "due" not in item:
        return False
    work.put(key, {name: value for name, value in item.items() if name not in ("due", "due_at")})
    return True


def put_opt_out(work: Workspace, change: PutOptOut) -> bool:
    """Keep or drop a number's opt-out."""
    key = opt_out_key(change.phone)
    item = work.load(key)
    if change.since_ms is None:
        if item is not None:
            work.put(key, None)
        return True
    work.put(key, (item or new_item(key)) | {"since_ms": change.since_ms})
    return True
