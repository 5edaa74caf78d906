"""Create or replace an account; the hold that a NO put on it outlives a replacement."""

import msgspec

from cardwatch.domain.account import Account, Home, PushTarget
from cardwatch.domain.account_submission import AccountSubmission, HomeSubmission, PushSubmission, parse_phone_number
from cardwatch.domain.changes import PutAccount, successor
from cardwatch.domain.errors import Contended
from cardwatch.domain.place import Place, place_at
from cardwatch.ports import Gazetteer, Store

FORMER_ADDRESSES_MAX = 20
"""Numbers and e-mail addresses that an account remembers to have had; the oldest go first."""

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

    Consent to security messages defaults to true when a contact is given.
    """
    phone = parse_phone_number(submission.phone_number) if submission.phone_number else None
    contact = phone is not None or submission.email is not None or submission.push is not None
    channels = submission.channels
    if channels is None:
        given = (("sms", phone), ("email", submission.email), ("push", submission.push))
        channels = tuple(channel for channel, address in given if address)
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
        push=_push(submission.push),
        phone_changed_at_ms=_phone_changed_at_ms(current, phone, now_ms),
        former_addresses=_former_addresses(current, phone, submission.email),
        created_at_ms=current.created_at_ms if current else now_ms,
        version=current.version + 1 if current else 1,
    )


def _phone_changed_at_ms(current: Account | None, phone: str | None, now_ms: int) -> int | None:
    """Return when the account's number last changed; a first number is no change, one after a removal is."""
    if current is None:
        return None
    had_one = current.phone_number is not None or current.phone_changed_at_ms is not None
    return now_ms if had_one and phone != current.phone_number else current.phone_changed_at_ms


def _former_addresses(current: Account | None, phone: str | None, email: str | None) -> tuple[str, ...]:
    """Return the numbers and e-mail addresses that an account had before, the latest last, each once."""
    if current is None:
        return ()
    replaced = [
        before for before, now in ((current.phone_number, phone), (current.email, email)) if before and before != now
    ]
    kept = [address for address in current.former_addresses if address not in (*replaced, phone, email)]
    return (*kept, *replaced)[-FORMER_ADDRESSES_MAX:]


def _push(submission: PushSubmission | None) -> PushTarget | None:
    if submission is None:
        return None
    return PushTarget(
        fcm_token=submission.fcm_token,
        endpoint=submission.endpoint,
        p256dh=submission.p256dh,
        auth=submission.auth,
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
