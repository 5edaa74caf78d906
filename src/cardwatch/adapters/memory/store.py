"""Writing to the memory store."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from cardwatch.adapters.memory.reads import MemoryReads
from cardwatch.adapters.memory.tables import Tables
from cardwatch.domain.changes import (
    AddChallenge,
    AddDeadLetter,
    AddLabel,
    AddMessage,
    AddTransaction,
    Change,
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
from cardwatch.domain.erasure import (
    erased_challenge,
    erased_label,
    erased_message,
    erased_transaction,
    names_a_person,
)
from cardwatch.domain.label import log_detail
from cardwatch.domain.message import TO_DO, Direction, Message
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.features.engine import PAIR_SEPARATOR
from cardwatch.ports import DeadLetter, LogEntry


class MemoryStore(MemoryReads):
    """Everything in dictionaries; implements every port of a store."""

    def __init__(self) -> None:
        super().__init__(Tables())
        self._in_group = False
        self._writers: dict[type, Callable[[Any], bool]] = {
            AddTransaction: self._add_transaction,
            DecideTransaction: self._decide_transaction,
            MoveTransaction: self._move_transaction,
            PutState: self._put_state,
            PutAccount: self._put_account,
            EraseAccount: self._erase_account,
            AddChallenge: self._add_challenge,
            PutChallenge: self._put_challenge,
            SetAsideChallenge: self._set_aside_challenge,
            AddMessage: self._add_message,
            PutMessage: self._put_message,
            SetAsideMessage: self._set_aside_message,
            PutOptOut: self._put_opt_out,
            AddLabel: self._add_label,
            SetCursor: self._set_cursor,
            AddDeadLetter: self._add_dead_letter,
            RemoveDeadLetter: self._remove_dead_letter,
        }

    def close(self) -> None:
        """Do nothing; there is nothing to let go of."""

    # Ledger

    def apply(self, changes: Sequence[Change]) -> Change | None:
        """Apply all changes or none; return the first whose condition did not hold."""
        mark = self._tables.mark()
        try:
            for change in changes:
                if not self._writers[type(change)](change):
                    self._tables.go_back(mark)
                    return change
        except BaseException:
            self._tables.go_back(mark)
            raise
        if not self._in_group:
            self._tables.keep()
        return None

    @contextmanager
    def group(self) -> Iterator[None]:
        """Keep the effects of all calls within, or on an exception none of them."""
        self.begin_group()
        try:
            yield
        except BaseException:
            self.roll_back_group()
            raise
        self.commit_group()

    def begin_group(self) -> None:
        """Start a group; groups do not nest."""
        if self._in_group:
            raise RuntimeError("a group is already open")
        self._in_group = True

    def commit_group(self) -> None:
        """Keep the group's effects."""
        self._in_group = False
        self._tables.keep()

    def roll_back_group(self) -> None:
        """Take the group's effects back."""
        self._in_group = False
        self._tables.go_back(0)

    def trim_log(self, *, below: int) -> int:
        """Forget entries below a position, of those that every known cursor has passed; returns how many went."""
        passed = min(self._tables.cursors.values(), default=below)
        gone = [sequence for sequence in self._tables.log if sequence < below and sequence <= passed]
        for sequence in gone:
            self._tables.log.remove(sequence)
        if not self._in_group:
            self._tables.keep()
        return len(gone)

    def _next_number(self, what: str) -> int:
        number = self._tables.last_numbers.get(what, 0) + 1
        self._tables.last_numbers.put(what, number)
        return number

    def _append_log(self, kind: str, key: str, detail: str) -> None:
        sequence = self._next_number("log")
        self._tables.log.put(sequence, LogEntry(sequence, kind, key, str(detail)))

    # One writer per kind of change; False when its condition does not hold

    def _add_transaction(self, change: AddTransaction) -> bool:
        transaction = change.transaction
        key = transaction.transaction_id
        if key in self._tables.payments:
            return False
        sequence = self._next_number("payment")
        record = TransactionRecord(sequence=sequence, transaction=transaction, status=Status.PENDING)
        self._tables.payments.put(key, record)
        self._append_log("transaction.recorded", key, Status.PENDING)
        return True

    def _decide_transaction(self, change: DecideTransaction) -> bool:
        require_payment_move(Status.PENDING, change.status)
        record = self._tables.payments.get(change.transaction_id)
        if record is None or record.status is not Status.PENDING:
            return False
        decided = msgspec.structs.replace(record, status=change.status, decision=change.decision)
        self._tables.payments.put(change.transaction_id, decided)
        self._append_log("transaction.decided", change.transaction_id, change.status)
        return True

    def _move_transaction(self, change: MoveTransaction) -> bool:
        require_payment_move(change.expected, change.status)
        record = self._tables.payments.get(change.transaction_id)
        if record is None or record.status is not change.expected:
            return False
        self._tables.payments.put(change.transaction_id, msgspec.structs.replace(record, status=change.status))
        self._append_log("transaction.moved", change.transaction_id, f"{change.status}:{change.cause}")
        return True

    def _put_state(self, change: PutState) -> bool:
        key = (change.entity, change.key)
        version, _ = self._tables.states.get(key, (0, b""))
        if version != change.version - 1:
            return False
        self._tables.states.put(key, (change.version, change.blob))
        return True

    def _put_account(self, change: PutAccount) -> bool:
        stored = self._tables.accounts.get(change.account.user_id)
        if (stored.version if stored else 0) != change.account.version - 1:
            return False
        self._tables.accounts.put(change.account.user_id, change.account)
        return True

    def _erase_account(self, change: EraseAccount) -> bool:
        user_id = change.user_id
        account = self._tables.accounts.get(user_id)
        if account is None:
            return False
        challenges = [c for c in self._tables.challenges.values() if c.user_id == user_id]
        set_aside = [c for c in self._tables.set_aside.values() if c.user_id == user_id]
        addresses = {c.phone for c in [*challenges, *set_aside] if c.phone} | set(account.addresses)
        for message in list(filter(names_a_person, self._tables.messages.values())):
            if self._owner(message) == user_id or (self._owner(message) is None and message.address in addresses):
                self._keep_message(erased_message(message, user_id))
        for challenge in challenges:
            self._tables.challenges.put(challenge.challenge_id, erased_challenge(challenge))
        for challenge in set_aside:
            self._tables.set_aside.remove(challenge.challenge_id)
        for key, record in list(self._tables.payments.items()):
            if record.transaction.user_id == user_id:
                erased = msgspec.structs.replace(record, transaction=erased_transaction(record.transaction))
                self._tables.payments.put(key, erased)
        for key, labels in list(self._tables.labels.items()):
            if self._tables.payments[key].transaction.user_id == user_id:
                self._tables.labels.put(key, tuple(erased_label(label) for label in labels))
        self._erase_states(user_id)
        self._tables.accounts.remove(user_id)
        self._note_erasure(change.at_ms)
        return True

    def _note_erasure(self, at_ms: int) -> None:
        self._tables.erasures.put("last", max(at_ms, self._tables.erasures.get("last", at_ms)))

    def _erase_states(self, user_id: str) -> None:
        pairs = user_id + PAIR_SEPARATOR
        for entity, key in list(self._tables.states):
            if (entity == "account" and key == user_id) or (entity == "pair" and key.startswith(pairs)):
                self._tables.states.remove((entity, key))

    def _owner(self, message: Message) -> str | None:
        """Return the account that a text is about, None for a text about no known payment or challenge."""
        record = self._tables.payments.get(message.transaction_id or "")
        if record is not None:
            return record.transaction.user_id
        challenge = self._tables.challenges.get(message.challenge_id or "")
        return challenge.user_id if challenge else None

    def _add_challenge(self, change: AddChallenge) -> bool:
        challenge = change.challenge
        if challenge.challenge_id in self._tables.challenges or challenge.transaction_id not in self._tables.payments:
            return False
        self._tables.challenges.put(challenge.challenge_id, challenge)
        self._tables.current_challenge.put(challenge.transaction_id, challenge.challenge_id)
        self._append_log("challenge.added", challenge.transaction_id, challenge.state)
        return True

    def _put_challenge(self, change: PutChallenge) -> bool:
        challenge = change.challenge
        stored = self._tables.challenges.get(challenge.challenge_id)
        if stored is None or stored.version != challenge.version - 1:
            return False
        require_challenge_move(stored.state, challenge.state)
        self._tables.challenges.put(challenge.challenge_id, challenge)
        self._append_log("challenge.changed", challenge.transaction_id, challenge.state)
        return True

    def _set_aside_challenge(self, change: SetAsideChallenge) -> bool:
        challenge_id = change.challenge_id
        if challenge_id not in self._tables.challenges:
            return False
        self._tables.set_aside.put(challenge_id, self._tables.challenges[challenge_id])
        self._tables.challenges.remove(challenge_id)
        for key, current in list(self._tables.current_challenge.items()):
            if current == challenge_id:
                self._tables.current_challenge.remove(key)
        self._note_erasure(change.at_ms)
        return True

    def _add_message(self, change: AddMessage) -> bool:
        message = change.message
        if message.message_id in self._tables.messages:
            return False
        self._keep_message(message)
        return True

    def _put_message(self, change: PutMessage) -> bool:
        stored = self._tables.messages.get(change.message.message_id)
        if stored is None or stored.version != change.message.version - 1:
            return False
        self._keep_message(change.message)
        return True

    def _keep_message(self, message: Message) -> None:
        key = message.message_id
        self._index_message(message, self._tables.messages.get(key))
        self._tables.messages.put(key, message)
        if message.direction is Direction.OUTBOUND and message.state in TO_DO:
            self._tables.outbox.put(key, True)
        elif key in self._tables.outbox:
            self._tables.outbox.remove(key)

    def _index_message(self, message: Message, before: Message | None) -> None:
        old, new = before.challenge_id if before else None, message.challenge_id
        if old == new:
            return
        if old is not None:
            kept = tuple(key for key in self._tables.about[old] if key != message.message_id)
            self._tables.about.put(old, kept)
        if new is not None:
            self._tables.about.put(new, (*self._tables.about.get(new, ()), message.message_id))

    def _set_aside_message(self, change: SetAsideMessage) -> bool:
        if change.message_id not in self._tables.outbox:
            return False
        self._tables.outbox.remove(change.message_id)
        return True

    def _put_opt_out(self, change: PutOptOut) -> bool:
        if change.since_ms is not None:
            self._tables.opt_outs.put(change.phone, change.since_ms)
        elif change.phone in self._tables.opt_outs:
            self._tables.opt_outs.remove(change.phone)
        return True

    def _add_label(self, change: AddLabel) -> bool:
        label, key = change.label, change.label.transaction_id
        earlier = self._tables.labels.get(key, ())
        previous = earlier[-1] if earlier else None
        if key not in self._tables.payments or (previous.source if previous else None) is not change.expected:
            return False
        self._tables.labels.put(key, (*earlier, label))
        self._append_log("label.imported" if change.applied else "label.added", key, log_detail(label, previous))
        return True

    def _set_cursor(self, change: SetCursor) -> bool:
        if self.cursor(change.consumer) != change.expected:
            return False
        self._tables.cursors.put(change.consumer, change.position)
        return True

    def _add_dead_letter(self, change: AddDeadLetter) -> bool:
        number = self._next_number("dead letter")
        letter = DeadLetter(number, change.consumer, change.key, change.cause, change.payload, change.at_ms)
        self._tables.dead_letters.put(number, letter)
        return True

    def _remove_dead_letter(self, change: RemoveDeadLetter) -> bool:
        if change.dead_letter_id not in self._tables.dead_letters:
            return False
        self._tables.dead_letters.remove(change.dead_letter_id)
        return True
