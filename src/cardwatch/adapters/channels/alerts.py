"""Alerts to analysts and operators (Slack, Teams, e-mail, ...) through Apprise, never questions to cardholders.

Apprise says whether a receiver took something, no more: no id, no report, and it repeats nothing by itself. Its URLs
hold tokens and it logs them, so it is silenced. Needs the extra `alerts`.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message
from cardwatch.ports import Clock, NotSent, OnUnknown, Sent, UnknownSent

if TYPE_CHECKING:
    from apprise import Apprise

TIMEOUT_S = 20.0
"""For all receivers together, which are served at the same time."""

_loading = threading.Lock()
"""Apprise finds its hundred plugins at the first URL."""


class AlertChannel:
    """The channel "alert": every alert goes to all receivers that are configured."""

    name = "alert"
    own_address = ""
    on_unknown = OnUnknown.LEAVE

    def __init__(self, *, urls: Sequence[str], clock: Clock, timeout_s: float = TIMEOUT_S) -> None:
        """Take the receivers' Apprise URLs, which `check_alert_urls` has seen; nothing is imported yet."""
        self._urls = tuple(urls)
        self._clock = clock
        self._timeout_s = timeout_s

    def send(self, message: Message) -> Sent | NotSent | UnknownSent:
        """Tell all receivers; it counts as taken if one of them took it, so that nobody is told twice."""
        from cardwatch.adapters.channels import http_post  # noqa: PLC0415 - heavy; only what sends pays for it

        if http_post.claim_may_run_out(message, now_ms=self._clock.now_ms(), longest_s=self._timeout_s):
            return NotSent("claim ran out before it was sent", retryable=True, tried=False)
        try:
            with _silent_apprise() as apprise:
                if not apprise.add(list(self._urls)) and not len(apprise):
                    return NotSent("receivers not understood: check the alert URLs", retryable=False, tried=False)
                return self._notify(apprise, message)
        except ImportError:
            return NotSent("Apprise is not installed", retryable=False, tried=False)
        except (OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
            return UnknownSent(f"Apprise failed ({type(error).__name__})")

    def find(self, message: Message) -> Sent | None:  # noqa: ARG002 - the port's form
        """Raise OperatingError: no receiver can be asked."""
        raise OperatingError("alerts cannot be looked up")

    def _notify(self, apprise: "Apprise", message: Message) -> Sent | NotSent | UnknownSent:
        from apprise import AppriseResultStatus, NotifyFormat  # noqa: PLC0415 - heavy; only what sends pays for it

        result = apprise.notify(
            body=message.body,
            title=message.subject or "",
            body_format=NotifyFormat.TEXT.value,
            interpret_escapes=False,
            timeout=self._timeout_s,
        )
        taken = sum(any(attempt.status == AppriseResultStatus.SUCCESS for attempt in one.attempts) for one in result)
        if taken:
            return Sent(f"{taken} of {len(self._urls)} receivers")
        if any(one.status == AppriseResultStatus.TIMEOUT for one in result):
            return UnknownSent("no answer in time")
        return NotSent("no receiver took it", retryable=True)


def check_alert_urls(urls: Sequence[str]) -> None:
    """Say whether Apprise understands all URLs; raises ValueError with the position of the first that it does not.

    The sentence never repeats a URL: they hold tokens. It says so too where Apprise is not installed.
    """
    try:
        with _silent_apprise() as apprise:
            for position, url in enumerate(urls, start=1):
                if not apprise.add([url]):
                    raise ValueError(f"alert URL {position} is none that Apprise understands")
    except ImportError:
        raise ValueError("alerts need Apprise: pip install 'cardwatch[alerts]'") from None


@contextmanager
def _silent_apprise() -> Iterator["Apprise"]:
    """Yield an Apprise of one's own that writes neither logs nor files; raises ImportError where there is none."""
    with _loading:
        import apprise as library  # noqa: PLC0415 - heavy; only what sends pays for it

        from cardwatch.adapters.channels.http_post import hush  # noqa: PLC0415

    with hush():
        asset = library.AppriseAsset(secure_logging=True, storage_mode=library.PersistentStoreMode.MEMORY)
        yield library.Apprise(asset=asset)
