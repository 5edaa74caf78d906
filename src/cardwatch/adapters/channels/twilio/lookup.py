"""Which of the texts that Twilio lists is ours: the decision between "it has it" and "send it again".

Twilio keeps no key of the sender's with a text, so a text is known by receiver, sender, body and when it was created.
The time is what tells the second attempt at a question from the first, whose body is the same: a text made before ours
is not ours. Our clock is translated into Twilio's by the time that its answer states. What this cannot tell:

- Two texts with equal words to one number where only the later was taken: the earlier's look-up finds the later one.
  The holder then has the words once, and neither is sent twice.
- An equal text created within the tolerance before ours, and not failed: it is taken for ours. Of two attempts at a
  question the first has failed when the second is made, so that it is passed over.
- A text that Twilio takes only after the look-up (a request still in its queues) is not found, and may arrive twice.
- A clock of ours that jumped between making the text and looking it up, and an account that hides numbers
  (phone number redaction), under which nothing can be found by receiver. Hidden bodies are noticed: nobody can say.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec

from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message

PAGE = 50
"""Texts that are asked for at a time, newest first (Twilio's own default)."""
PAGES_MAX = 20
"""Pages that are looked through before the look-up is given up."""

CLOCK_TOLERANCE_MS = 5_000
"""Twilio's times are whole seconds, and clocks are kept to within seconds."""
CLOCK_UNKNOWN_TOLERANCE_MS = 120_000
"""Where the answer states no time."""

MESSAGING_SERVICE_PREFIX = "MG"
"""What the sid of a messaging service begins with."""

TRIAL_SENTENCE = "Sent from your Twilio trial account"
"""What Twilio puts before the body of trial accounts, with a dash."""

_NOT_ARRIVED = frozenset({"failed", "undelivered", "canceled"})
_REDACTED = "redacted"


class ListedText(Protocol):
    """What is read of a text as the SDK lists it."""

    sid: str | None
    body: str | None
    from_: str | None
    messaging_service_sid: str | None
    date_created: object


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What our text looks like at Twilio."""

    body: str
    number: str | None
    """The number it goes out from, None where a messaging service chooses."""
    service: str | None
    """The messaging service, None where there is none."""
    created_at_ms: int
    """When we made it, by Twilio's clock."""
    tolerance_ms: int


def wanted(message: Message, *, service: str | None, now_ms: int, provider_now_ms: int | None) -> Wanted:
    """Return what to look for; `provider_now_ms` is Twilio's time at our `now_ms`, None if it is not known."""
    by_service = message.own_address.startswith(MESSAGING_SERVICE_PREFIX)
    ahead_ms = 0 if provider_now_ms is None else provider_now_ms - now_ms
    return Wanted(
        body=_words(message.body),
        number=None if by_service else message.own_address,
        service=message.own_address if by_service else service,
        created_at_ms=message.created_at_ms + ahead_ms,
        tolerance_ms=CLOCK_UNKNOWN_TOLERANCE_MS if provider_now_ms is None else CLOCK_TOLERANCE_MS,
    )


def sid_of(pages: Iterable[Iterable[ListedText]], text: Wanted) -> str | None:
    """Return the sid of our text among those listed, newest page first, None if it is not there.

    Of several that fit it is the first made since ours. Raises OperatingError where the list does not tell.
    """
    fitting: list[tuple[int, int, str]] = []
    hidden = False
    for candidate in _recent(pages, text):
        if str(getattr(candidate, "direction", "")) != "outbound-api" or not _same_sender(candidate, text):
            continue
        later_ms = _created_at_ms(candidate, text.created_at_ms) - text.created_at_ms
        if later_ms < 0 and str(getattr(candidate, "status", "")) in _NOT_ARRIVED:
            continue
        if candidate.sid and _same_words(candidate.body or "", text.body):
            fitting.append((later_ms < 0, abs(later_ms), candidate.sid))
        elif _is_hidden(candidate.body):
            hidden = True
    if fitting:
        return min(fitting)[2]
    if hidden:
        raise OperatingError("the provider hides the bodies of texts: whether it has one cannot be looked up")
    return None


def _recent(pages: Iterable[Iterable[ListedText]], text: Wanted) -> Iterator[ListedText]:
    """Yield texts that may have been made since ours; ends with a page on which all are older."""
    oldest_ms = text.created_at_ms - text.tolerance_ms
    for page in pages:
        listed = list(page)
        recent = [found for found in listed if _created_at_ms(found, text.created_at_ms) >= oldest_ms]
        yield from recent
        if listed and not recent:
            return


def _created_at_ms(candidate: ListedText, otherwise: int) -> int:
    """Return when a text was created; one without a time is taken for ours, since asking twice is worse."""
    stamp = getattr(candidate.date_created, "timestamp", None)
    return otherwise if stamp is None else int(stamp() * 1000)


def _same_sender(candidate: ListedText, text: Wanted) -> bool:
    """Compare senders as far as both are known: a service chooses its number only when it sends."""
    if text.number is not None and candidate.from_:
        return candidate.from_ == text.number
    return text.service is None or candidate.messaging_service_sid in {None, text.service}


def _same_words(body: str, words: str) -> bool:
    said = _words(body)
    return said == words or (said.startswith(TRIAL_SENTENCE) and said.endswith(f" {words}"))


def _words(body: str) -> str:
    """Return a body as it is compared: Twilio trims it."""
    return " ".join(body.split())


def _is_hidden(body: str | None) -> bool:
    """Say whether the account's redaction has taken a body away; ours always say something."""
    said = (body or "").casefold()
    return not any(map(str.isalnum, said)) or said.strip("[]*() ") == _REDACTED or set(said) == {"x"}
