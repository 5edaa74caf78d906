"""Every port on one page. A docstring here is the contract that each adapter's suite in `tests/contracts` holds it to.

Reads see everything that was applied before by the same process, whether or not its group is durable yet.
Every store verb may raise StoreUnavailable (retry later; nothing was written) or StoreCorrupt.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Protocol

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.challenge import Challenge
from cardwatch.domain.changes import Change
from cardwatch.domain.decision import Explanation, Reason
from cardwatch.domain.label import Label
from cardwatch.domain.message import Message
from cardwatch.domain.place import Place
from cardwatch.domain.provider_post import DeliveryReport, Form, InboundText, PostedForm
from cardwatch.domain.transaction import Status, TransactionRecord


class Clock(Protocol):
    """The only source of the present."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z; never decreases within a process."""
        ...


class Randomness(Protocol):
    """The only source of ids and secrets."""

    def token(self, length_bytes: int) -> str:
        """Lowercase hexadecimal digits of that many random bytes, unpredictable to outsiders."""
        ...


class Ledger(Protocol):
    """All writing."""

    def apply(self, changes: Sequence[Change]) -> Change | None:
        """Apply all changes in their order or none of them; later ones see earlier ones.

        Returns None when all were applied, else the first change whose condition did not hold. What was applied is
        durable at return, or at the end of the group that stands around the call. Each added or decided or moved
        payment, challenge and label appends one entry to the change log, in the same commit.
        """
        ...

    def group(self) -> AbstractContextManager[None]:
        """Make the effects of all calls within durable together, at its end; on an exception none of them stays."""
        ...


class TransactionPage(msgspec.Struct, frozen=True):
    """A page of payments, newest first; `next_before` continues after it, None at the end."""

    records: tuple[TransactionRecord, ...]
    next_before: int | None


class Transactions(Protocol):
    """Reading payments."""

    def transaction(self, transaction_id: str) -> TransactionRecord | None:
        """Return a payment with its decision, current challenge and current label."""
        ...

    def transactions(
        self, *, user_id: str | None = None, status: Status | None = None, limit: int, before: int | None = None
    ) -> TransactionPage:
        """Return up to `limit` payments newest first, of an account, a status or both, below sequence `before`."""
        ...

    def export(self, *, after: int = 0) -> Iterable[tuple[TransactionRecord, tuple[Label, ...]]]:
        """Yield every payment in order of arrival after a sequence, each with all of its labels, oldest first."""
        ...


class Accounts(Protocol):
    """Reading accounts."""

    def account(self, user_id: str) -> Account | None:
        """Return an account."""
        ...

    def accounts(self, *, limit: int, after: str = "") -> Sequence[Account]:
        """Return up to `limit` accounts with ids greater than `after`, in order of their ids."""
        ...


class EntityStates(Protocol):
    """Reading feature state."""

    def states(self, keys: Sequence[tuple[str, str]]) -> Sequence[tuple[int, bytes] | None]:
        """Return (version, blob) of each (entity, key), None where there is none yet, in the order asked."""
        ...


class Challenges(Protocol):
    """Reading challenges."""

    def challenge(self, challenge_id: str) -> Challenge | None:
        """Return a challenge."""
        ...

    def open_challenges(self, phone: str) -> Sequence[Challenge]:
        """Return a phone's queued and asked challenges: asked before queued, then by risk, highest first."""
        ...

    def recent_challenges(self, phone: str, *, asked_since_ms: int) -> Sequence[Challenge]:
        """Return a phone's challenges in any state asked at or after a time, newest first."""
        ...

    def last_erasure_ms(self) -> int | None:
        """Return the latest time at which an account was erased or a challenge set aside, None if none ever was.

        Until well after it nobody can say of any phone that no question went there: that history may be gone.
        """
        ...

    def expired_challenge_ids(self, *, now_ms: int, limit: int) -> Sequence[str]:
        """Return the ids of open challenges whose life has ended (`expires_at_ms <= now_ms`), oldest first."""
        ...

    def open_challenges_of(self, user_id: str) -> Sequence[Challenge]:
        """Return an account's queued and asked challenges."""
        ...

    def challenge_ids_to_escalate(self, *, now_ms: int, limit: int) -> Sequence[str]:
        """Return the ids of asked challenges with `act_at_ms <= now_ms`, oldest due first."""
        ...


class Messages(Protocol):
    """Reading messages."""

    def message(self, message_id: str) -> Message | None:
        """Return a message by our id."""
        ...

    def due_message_ids(self, *, channel: str, now_ms: int, limit: int) -> Sequence[str]:
        """Return the ids of a channel's outbound messages that a worker has to send or look up by now.

        They are queued, sending or unknown with `due_at_ms <= now_ms`, and were not set aside; oldest due first.
        """
        ...

    def messages_about(self, challenge_id: str) -> Sequence[Message]:
        """Return all messages about a challenge, in both directions, oldest first."""
        ...

    def conversation(self, address: str, *, limit: int) -> Sequence[Message]:
        """Return the latest messages to and from a phone or another address, oldest first."""
        ...

    def opted_out_since(self, phone: str) -> int | None:
        """Return when a number opted out of texts (ms), None if it did not, or opted in again."""
        ...


class LogEntry(msgspec.Struct, frozen=True):
    """One entry of the change log, about the payment with id `key`.

    Kinds: "transaction.recorded", "transaction.decided", "transaction.moved", "challenge.added",
    "challenge.changed", "label.added", and "label.imported" for labels whose effect on feature state is
    written already.
    """

    sequence: int
    kind: str
    key: str
    detail: str
    """The new status or state; for a move, with its cause: "declined:cardholder_denied".

    Of a label its value, its source, and the value before it: "genuine:analyst:fraud", "fraud:cardholder:" for a first.
    """


class DeadLetter(msgspec.Struct, frozen=True):
    """Something that could not be handled."""

    dead_letter_id: int
    consumer: str
    key: str
    cause: str
    payload: str
    at_ms: int


class Stream(Protocol):
    """The ordered change log and what its consumers keep."""

    def log(self, *, after: int, limit: int) -> Sequence[LogEntry]:
        """Return up to `limit` entries after a position, in order; positions only grow."""
        ...

    def cursor(self, consumer: str) -> int:
        """Return a consumer's position, 0 if it never moved."""
        ...

    def dead_letters(self, *, limit: int) -> Sequence[DeadLetter]:
        """Return dead letters, oldest first."""
        ...


class Store(Ledger, Transactions, Accounts, EntityStates, Challenges, Messages, Stream, Protocol):
    """What the embedded home and each test backend supply: all of the above over the same data."""

    def trim_log(self, *, below: int) -> int:
        """Forget entries below a position, of those that every known cursor has passed; returns how many went."""
        ...

    def close(self) -> None:
        """Let go of files and connections; what was applied stays."""
        ...


class Groups(Protocol):
    """Groups that are opened and closed apart, so that a commit may run in another thread."""

    def begin_group(self) -> None:
        """Open a group."""
        ...

    def commit_group(self) -> None:
        """Make the open group durable; nothing else may touch the store meanwhile. Raises StoreUnavailable."""
        ...

    def roll_back_group(self) -> None:
        """Give the open group up; may be called when none is open."""
        ...


class GroupStore(Store, Groups, Protocol):
    """A store with such groups."""


class StoreReader(Transactions, Accounts, Challenges, Messages, Stream, Protocol):
    """A view of a store that sees what is committed, also while a group is written."""

    def close(self) -> None:
        """Let go of the file."""
        ...


class Checkpointer(Protocol):
    """Carries a write-ahead log over into its database, beside the commits."""

    def run(self) -> bool:
        """Carry over what can be, without making anyone wait; returns whether everything was."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class Scorer(Protocol):
    """A model that scores one payment at a time."""

    model_version: str
    threshold: float
    """Probability from which the model's own cost analysis challenges."""
    spec_hash: str
    """Of the feature definition that the model was trained with."""

    def score(self, vector: Sequence[float]) -> float:
        """Return the calibrated probability of fraud, 0..1, of a vector in the definition's order (NaN: missing).

        Raises ScorerUnavailable.
        """
        ...

    def reasons(self, vector: Sequence[float], *, currency: str) -> tuple[Reason, ...]:
        """Return what moved the score most, strongest first, in plain words; contributions are log-odds."""
        ...

    def explain(self, vector: Sequence[float], *, currency: str) -> Explanation:
        """Return what every feature of the model did to the score; raises ScorerUnavailable."""
        ...


class Gazetteer(Protocol):
    """Free text to places, offline."""

    def resolve(self, text: str, *, country: str | None = None) -> Place | None:
        """Return the most populous place that the text names ("Seattle, WA", "Paris"), None if it names none."""
        ...


class Sent(msgspec.Struct, frozen=True):
    """The provider took the message."""

    provider_sid: str


class NotSent(msgspec.Struct, frozen=True):
    """The provider provably did not take the message."""

    error: str
    """Code and word, for the record: "21610 opted out"."""
    retryable: bool
    """The same message may pass later."""
    opted_out: bool = False
    """The number refuses our texts."""
    gone: bool = False
    """The address is dead for good and is to be forgotten: a push target that no device has any more."""
    alarm: bool = False
    """An operator has to act before anything passes: credentials, sender, registration."""
    retry_after_ms: int | None = None
    """How long the provider wants to be left alone."""
    tried: bool = True
    """False where nothing was even tried, because the provider is known to be down: it does not count as a send."""


class UnknownSent(msgspec.Struct, frozen=True):
    """No clear answer (timeout, 5xx): the message may or may not go out."""

    error: str


class OnUnknown(StrEnum):
    """What is done about a message of which nobody knows whether the provider has it."""

    LOOK_UP = "look_up"
    """Ask the provider; send again only what it does not have."""
    RESEND = "resend"
    """Send it again: the receiver knows it by its id, and takes it once."""
    LEAVE = "leave"
    """Never send it again: nobody can be asked, and twice is worse than perhaps not at all."""


class Channel(Protocol):
    """A way to reach somebody: a cardholder by text, e-mail or push, a payment system, an analyst."""

    name: str
    own_address: str
    """What its messages come from."""
    on_unknown: OnUnknown

    def send(self, message: Message) -> Sent | NotSent | UnknownSent:
        """Hand a message to the provider; `message.expires_at_ms` bounds how long it may be delivered."""
        ...

    def find(self, message: Message) -> Sent | None:
        """Look up whether the provider has this message; None if it has not. Only asked of LOOK_UP channels.

        It has the same receiver, the same body, and was created since ours was. Raises OperatingError when the
        provider cannot say now.
        """
        ...


class Provider(Protocol):
    """The messaging provider of a process: sends, and reads what is posted back once it proved to be its own."""

    channel: Channel
    simulated: bool

    def read_form(self, body: bytes) -> Form | None:
        """Return the fields of a form post, None if it is not a form."""
        ...

    def authentic(self, *, path_and_query: str, form: Form, signature: str | None) -> bool:
        """Say whether a form posted to a path carries the provider's signature for the public URL."""
        ...

    def inbound_text(self, form: Form) -> InboundText | None:
        """Read a cardholder's text, None if it names no sid or no numbers."""
        ...

    def delivery_report(self, form: Form, *, message_id: str) -> DeliveryReport | None:
        """Read what became of a text, None if the report says nothing that is kept."""
        ...

    def typed_reply(self, phone: str, body: str) -> PostedForm:
        """Make the signed post of a text typed on the simulated phone."""
        ...


class Metrics(Protocol):
    """Counting what happens; names and labels never carry personal data."""

    def count(self, name: str, labels: Mapping[str, str] | None = None, amount: int = 1) -> None:
        """Add to a counter."""
        ...

    def observe(self, name: str, value: float, labels: Mapping[str, str] | None = None) -> None:
        """Record a measured value, in the unit that the name ends with."""
        ...
