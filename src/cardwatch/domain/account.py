"""A cardholder: how to reach them, where they live, and whether they may be asked."""

import msgspec

from cardwatch.domain.place import Place


class Home(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a cardholder lives: the free text as sent and the place it resolved to."""

    location: str | None = None
    place: Place | None = None


class PushTarget(msgspec.Struct, frozen=True, omit_defaults=True):
    """A device that takes notifications: a token of Firebase Cloud Messaging, or a browser's push subscription."""

    fcm_token: str | None = None
    endpoint: str | None = None
    p256dh: str | None = None
    auth: str | None = None

    @property
    def address(self) -> str:
        """The target in one line; `push_target` reads it back."""
        return f"fcm {self.fcm_token}" if self.fcm_token else f"web {self.endpoint} {self.p256dh} {self.auth}"


def push_target(address: str) -> PushTarget:
    """Return the target that a line names; raises ValueError if it names none."""
    match address.split(" "):
        case ["fcm", token]:
            return PushTarget(fcm_token=token)
        case ["web", endpoint, p256dh, auth]:
            return PushTarget(endpoint=endpoint, p256dh=p256dh, auth=auth)
    raise ValueError("not a push target")


class Account(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A cardholder's account; `phone_number` is E.164, `time_zone` an IANA name, `language` a two-letter code."""

    user_id: str
    currency: str = "USD"
    name: str | None = None
    phone_number: str | None = None
    email: str | None = None
    language: str = "en"
    time_zone: str = "UTC"
    home: Home = Home()
    channels: tuple[str, ...] = ("sms",)
    push: PushTarget | None = None
    """The device that notifications go to."""
    consent: bool = False
    """Whether the holder agreed to security messages."""
    held_since_ms: int | None = None
    """Set by a NO: suspicious payments go to review until an analyst releases the account."""
    phone_changed_at_ms: int | None = None
    """When its number was last replaced or taken away, or given after that; None while it has its first."""
    former_addresses: tuple[str, ...] = ()
    """Numbers and e-mail addresses that it had before, oldest first: an erasure finds by them what came from there."""
    created_at_ms: int = 0
    version: int = 1

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address that messages to its holder may have gone to by now, or come from."""
        push = self.push.address if self.push else None
        present = (self.phone_number, self.email, push)
        return tuple(dict.fromkeys(address for address in (*present, *self.former_addresses) if address))
