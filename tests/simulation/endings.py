"""What must hold when everything has come to rest: see `invariants.py` for the numbers."""

from itertools import pairwise

from cardwatch.domain.challenge import OPEN, ChallengeState, DefaultAction
from cardwatch.domain.label import LabelSource, LabelValue
from cardwatch.domain.message import TO_DO, Direction
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.ports import LogEntry, Store
from tests.simulation.invariants import Watch
from tests.simulation.providers import PaymentSystem

ALL = 1_000_000


def check_the_end(watch: Watch, store: Store, payment_system: PaymentSystem) -> None:
    """Check everything that must hold at the end."""
    log = store.log(after=0, limit=ALL)
    causes = _check_log(watch, log)
    for record, _ in store.export():
        if record.status is not watch.status[record.transaction.transaction_id]:
            watch.fail(4, f"{record.transaction.transaction_id} is not where the writes left it")
        _check_payment(watch, record, causes.get(record.transaction.transaction_id, ""))
    _check_messages(watch, store)
    _check_told(watch, log, payment_system)
    letters = store.dead_letters(limit=1)
    if letters:
        watch.fail(6, f"a dead letter is left: {letters[0]}")


def _check_log(watch: Watch, log: list[LogEntry] | tuple[LogEntry, ...] | object) -> dict[str, str]:
    """Check that the log tells the same story as the writes; returns the last cause of each payment's status."""
    assert isinstance(log, list | tuple)
    told, causes = [], {}
    for entry in log:
        if entry.kind in {"transaction.decided", "transaction.moved"}:
            status, _, cause = entry.detail.partition(":")
            told.append((entry.key, Status(status)))
            causes[entry.key] = cause
    if told != watch.statuses_told:
        watch.fail(4, "the log tells another story than the writes")
    if any(later.sequence <= earlier.sequence for earlier, later in pairwise(log)):
        watch.fail(4, "the log's positions do not grow")
    return causes


def _check_payment(watch: Watch, record: TransactionRecord, cause: str) -> None:
    key, challenge = record.transaction.transaction_id, record.challenge
    if record.status in {Status.PENDING, Status.CHALLENGED}:
        watch.fail(3, f"{key} is still {record.status}")
    if challenge is None:
        return
    if challenge.state in OPEN:
        watch.fail(3, f"{challenge.challenge_id} is still {challenge.state}")
    if not cause.startswith("analyst_") and (record.status, cause) not in _allowed(record):
        watch.fail(4, f"{key} is {record.status} by {cause} though its challenge is {challenge.state}")
    _check_label(watch, record, cause)


def _allowed(record: TransactionRecord) -> set[tuple[Status, str]]:
    """Return where a payment may stand, and why, by how its challenge ended."""
    challenge = record.challenge
    assert challenge is not None
    silence = Status.DECLINED if challenge.default_action is DefaultAction.DECLINE else Status.IN_REVIEW
    by_state = {
        ChallengeState.CONFIRMED: {
            (Status.APPROVED, "cardholder_confirmed"),
            (Status.IN_REVIEW, "confirmed_against_label"),
            (Status.IN_REVIEW, "confirmed_while_held"),
        },
        ChallengeState.DENIED: {
            (Status.DECLINED, "cardholder_denied"),
            (Status.IN_REVIEW, "cardholder_changed_mind"),
            (Status.IN_REVIEW, "confirmed_against_label"),
            (Status.IN_REVIEW, "confirmed_while_held"),
        },
        ChallengeState.EXPIRED: {(silence, "challenge_expired")},
        ChallengeState.UNCLEAR: {(Status.IN_REVIEW, "reply_unclear")},
        ChallengeState.UNDELIVERABLE: {(Status.IN_REVIEW, "challenge_undeliverable")},
        ChallengeState.OPTED_OUT: {(Status.IN_REVIEW, "cardholder_opted_out")},
        ChallengeState.CANCELLED: {
            (Status.IN_REVIEW, "challenge_cancelled"),
            (Status.IN_REVIEW, "phone_changed"),
        },
    }
    # A late NO takes back even what an analyst approved meanwhile.
    return by_state[challenge.state] | {(Status.IN_REVIEW, "cardholder_denied_late")}


def _check_label(watch: Watch, record: TransactionRecord, cause: str) -> None:
    """What a holder said is the label, unless somebody who knows better spoke."""
    label, challenge = record.label, record.challenge
    assert challenge is not None
    said = {ChallengeState.CONFIRMED: LabelValue.GENUINE, ChallengeState.DENIED: LabelValue.FRAUD}.get(challenge.state)
    if label is None:
        if said is not None and cause not in {"confirmed_against_label", "confirmed_while_held"}:
            watch.fail(4, f"{record.transaction.transaction_id} has no label after an answer")
    elif label.source is LabelSource.CARDHOLDER and label.value is not said:
        watch.fail(4, f"{record.transaction.transaction_id} is labelled {label.value} though {challenge.state}")


def _check_messages(watch: Watch, store: Store) -> None:
    """Check that no message is left to do."""
    for channel in ("sms", "email", "push", "callback", "alert"):
        left = store.due_message_ids(channel=channel, now_ms=2**53, limit=1)
        if left:
            watch.fail(3, f"{left[0]} is left to do")
    for message_id, times in watch.takes.items():
        message = store.message(message_id)
        if message is None or message.direction is not Direction.OUTBOUND or message.state in TO_DO:
            watch.fail(1, f"{message_id} was taken {times} times and is not known")


def _check_told(watch: Watch, log: object, payment_system: PaymentSystem) -> None:
    """Check that each status was told at least once under one id, in the same words each time, and nothing else."""
    assert isinstance(log, list | tuple)
    wanted = {f"callback_{e.sequence}": e for e in log if e.kind in {"transaction.decided", "transaction.moved"}}
    if wanted.keys() != payment_system.told.keys():
        differing = sorted(wanted.keys() ^ payment_system.told.keys())[:3]
        watch.fail(6, f"what was told is not what happened: {differing}")
    for message_id, bodies in payment_system.told.items():
        entry = wanted[message_id]
        status = entry.detail.partition(":")[0]
        if len(set(bodies)) > 1 or f'"status":"{status}"' not in bodies[0] or entry.key not in bodies[0]:
            watch.fail(6, f"{message_id} was told in different or wrong words")
