"""What the API's requests may say and what its outcomes answer, in every home: bodies, preferences, pages, sentences.

Homes differ in how a request reaches them; what is in it is read here, and what came of it is put into words here.
"""

import re
from functools import partial
from typing import Annotated

import msgspec
from msgspec import Meta

from cardwatch.domain.account import Account
from cardwatch.domain.account_submission import AccountSubmission, check_account_submission
from cardwatch.domain.bodies import CARD_NUMBER_REFUSED, ID, NO_CONTROL
from cardwatch.domain.card_number import contains_card_number
from cardwatch.domain.errors import InvalidInput
from cardwatch.domain.label import LabelValue
from cardwatch.domain.submission import Submission, check_submission
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.entrypoints.problem_details import HttpProblem
from cardwatch.entrypoints.request_bodies import BodyReader
from cardwatch.services.label_transaction import Labelled, Labelling
from cardwatch.services.record_transaction import Recorded, Recording

LIMIT_DEFAULT = 50
LIMIT_MAX = 500

CURSOR = "t(?:[0-9a-f]{1,15}|[0-7][0-9a-f]{15})"
"""A position of up to 63 bits, for nobody to read: clients pass on what they were given."""

WAIT_S_MAX = 30
"""Longest wait that `Prefer: wait=N` is granted, in seconds."""

USER_ID_LENGTH_MAX = 64

PAYMENTS_QUERY = ("user_id", "status", "limit", "cursor")
ACCOUNTS_QUERY = ("limit", "cursor")

_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?([0-9]{1,6})(?![0-9])")
_ASYNC = re.compile(r"(?:^|,)\s*respond-async\s*(?:$|[,;=])")


class LabelSubmission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /transaction/{id}/label`."""

    label: LabelValue
    source: Annotated[str, Meta(pattern=r"^(analyst|chargeback)\Z")] = "analyst"
    note: Annotated[str, Meta(max_length=500, pattern=NO_CONTROL)] | None = None
    replace: bool = False


def _check_label(body: LabelSubmission) -> None:
    if body.note is not None and contains_card_number(body.note):
        raise InvalidInput.at("/note", CARD_NUMBER_REFUSED)


PAYMENT = BodyReader(Submission, check=check_submission, fill={"user_id": "any", "amount": "1", "merchant": "any"})
LABEL = BodyReader(LabelSubmission, check=_check_label, fill={"label": LabelValue.FRAUD})


def account_reader(user_id: str) -> BodyReader[AccountSubmission]:
    """Return the reader of the account that a path names; raises InvalidInput where no account may have that id."""
    if len(user_id) > USER_ID_LENGTH_MAX or not re.fullmatch(ID.rstrip("$"), user_id):
        raise InvalidInput.at("", "the user_id in the path must be 1 to 64 letters, digits or any of _ . : @ -")
    if contains_card_number(user_id):
        raise InvalidInput.at("", f"the user_id in the path {CARD_NUMBER_REFUSED}")
    return BodyReader(AccountSubmission, check=partial(check_account_submission, user_id=user_id))


def waiting_ms(prefer: str, default_ms: int) -> int:
    """Return how long to wait for a decision by the Prefer header (RFC 7240), in ms.

    Both preferences together ask to wait, and to be answered 202 after that (section 4.3).
    """
    if not prefer:
        return default_ms
    preferences = prefer.lower()
    wait = _WAIT.search(preferences)
    if wait:
        return min(int(wait.group(1)), WAIT_S_MAX) * 1000
    return 0 if _ASYNC.search(preferences) else default_ms


def page_limit(text: str | None) -> int:
    """Read the size of a page; raises InvalidInput."""
    if text is None:
        return LIMIT_DEFAULT
    if not re.fullmatch("[0-9]{1,4}", text, re.ASCII) or not 1 <= int(text) <= LIMIT_MAX:
        raise InvalidInput.at("/limit", f"must be a whole number from 1 to {LIMIT_MAX}")
    return int(text)


def status_filter(text: str | None) -> Status | None:
    """Read the status that is listed; raises InvalidInput."""
    if text is None:
        return None
    try:
        return Status(text)
    except ValueError:
        raise InvalidInput.at("/status", f"must be one of {', '.join(status.value for status in Status)}") from None


def cursor_of(position: int | None) -> str | None:
    """Print the position of a page's end."""
    return None if position is None else f"t{position:x}"


def position_of(cursor: str | None) -> int | None:
    """Read a cursor that was printed by `cursor_of`; raises InvalidInput."""
    if cursor is None:
        return None
    if not re.fullmatch(CURSOR, cursor):
        raise InvalidInput.at("/cursor", "must be a next_cursor that this API gave")
    return int(cursor[1:], 16)


def recorded_status(recorded: Recorded) -> int:
    """Return the status of the answer to a payment taken in; raises HttpProblem 409 where its id is another's."""
    if recorded.recording is Recording.CONFLICT:
        transaction_id = recorded.record.transaction.transaction_id
        raise HttpProblem(409, f"transaction_id {transaction_id} is taken by a payment with other content")
    if recorded.record.status is Status.PENDING:
        return 202
    return 200 if recorded.recording is Recording.SAME else 201


def payment_found(record: TransactionRecord | None) -> TransactionRecord:
    """Return a payment; raises HttpProblem 404 where there is none."""
    if record is None:
        raise HttpProblem(404, "there is no transaction with this id")
    return record


def account_found(account: Account | None) -> Account:
    """Return an account; raises HttpProblem 404 where there is none."""
    if account is None:
        raise HttpProblem(404, "there is no account with this id")
    return account


def labelled_record(labelled: Labelled) -> TransactionRecord:
    """Return the payment after its label; raises HttpProblem where the label was not taken."""
    record = payment_found(labelled.record)
    if labelled.labelling is Labelling.CONFLICT:
        raise HttpProblem(409, 'an analyst has labelled this payment otherwise; send "replace": true to replace it')
    if labelled.labelling is Labelling.UNDECIDED:
        raise HttpProblem(409, "this payment is not decided yet; try again in a moment")
    return record
