"""Create or replace an account; what the conversation did to it (a hold, an opt-out) outlives a replacement."""

import msgspec

from cardwatch.domain.account import Account, Home
from cardwatch.domain.account_submission import AccountSubmission, HomeSubmission, parse_phone_number
from cardwatch.domain.changes import PutAccount, successor
from cardwatch.domain.errors import Contended
from cardwatch.domain.place import Place, place_at
from cardwatch.ports import Gazetteer, Store

_ATTEMPTS = 3


class AccountPut(msgspec.Struct, frozen=True):
    """The account as it stands now, and whether it is new."""

    account: Account
    created: bool


def put_account(
    user_id: str, submission: AccountSubmission, *, store: Store, gazetteer: Gazetteer, now_ms: int
) -> AccountPut:
    """Write a checked account under its id."""
    for _ in range(_ATTEMPTS):
        current = store.account(user_id)
        account = build_account(user_id, submission, current=current, gazetteer=gazetteer, now_ms=now_ms)
        if store.apply([PutAccount(account)]) is None:
            return AccountPut(account, current is None)
    raise Contended("the account kept changing while it was written")


def build_account(
    user_id: str, submission: AccountSubmission, *, current: Account | None, gazetteer: Gazetteer, now_ms: int
) -> Account:
    """Make the account that a submission describes, as the successor of the current one.

    Consent to security messages defaults to true when a contact is given; an opt-out belongs to the number that
    opted out and ends with it.
    """
    phone = parse_phone_number(submission.phone_number) if submission.phone_number else None
    contact = phone is not None or submission.email is not None
    same_phone = current is not None and current.phone_number == phone
    channels = submission.channels
    if channels is None:
        channels = (("sms",) if phone else ()) + (("email",) if submission.email else ())
    return Account(
        user_id=user_id,
        currency=submission.currency,
        name=submission.name,
        phone_number=phone,
        email=submission.email,
        language=submission.language,
        time_zone=submission.time_zone,
        home=_home(submission.home, gazetteer),
        channels=channels,
        consent=contact if submission.consent is None else submission.consent,
        held_since_ms=current.held_since_ms if current else None,
        opted_out_at_ms=current.opted_out_at_ms if current and same_phone else None,
        created_at_ms=current.created_at_ms if current else now_ms,
        version=current.version + 1 if current else 1,
    )


def _home(home: HomeSubmission | None, gazetteer: Gazetteer) -> Home:
    if home is None:
        return Home()
    place: Place | None = None
    if home.latitude is not None and home.longitude is not None:
        place = place_at(home.latitude, home.longitude, name=home.location)
    elif home.location:
        place = gazetteer.resolve(home.location)
    return Home(location=home.location, place=place)


def release_account(user_id: str, *, store: Store) -> Account | None:
    """End the hold that a NO put on an account; None when the account is unknown."""
    for _ in range(_ATTEMPTS):
        account = store.account(user_id)
        if account is None or account.held_since_ms is None:
            return account
        released = successor(account, held_since_ms=None)
        if store.apply([PutAccount(released)]) is None:
            return released
    raise Contended("the account kept changing while its hold was released")
