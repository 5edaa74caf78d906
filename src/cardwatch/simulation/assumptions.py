"""How holders and providers are assumed to behave. Every number is a judgement; each can be replaced by what is known.

No issuer publishes these. What is public only bounds them: notifications that are no messages lead to an action in 15
to 25 % of cases (Pielot, Vradi, Park: Dismissed!, MobileHCI 2018); half of those who ever had a fraud alert call most
of theirs false alarms (CreditCards.com poll, May 2015), while 37 % of what the packaged model asks about is genuine,
on simulated payments (its card).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from cardwatch.domain.errors import InvalidInput
from cardwatch.domain.escalation import QuietHours

_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
_Spread = Annotated[float, msgspec.Meta(ge=0, le=4)]


class OnChannel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a channel is attended to."""

    answer_share: _Share
    """Of the questions that arrive, those that are ever answered on it."""
    reminder_answer_share: _Share
    """The same for each further message on it, by those who did not answer the first."""
    answer_median_s: _Seconds
    """Half of the answers come within this long of the message."""
    answer_spread: _Spread
    """Standard deviation of the logarithm of that time; at 1.2 the slowest twentieth takes 7 times the median."""
    arrival_median_s: _Seconds
    """From the provider to the holder."""
    unreachable_share: _Share
    """Of the addresses, those at which nothing arrives."""


class Assumptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that the simulation makes up."""

    sms: OnChannel = OnChannel(
        answer_share=0.75,
        reminder_answer_share=0.3,
        answer_median_s=180,
        answer_spread=1.3,
        arrival_median_s=4,
        unreachable_share=0.03,
    )
    push: OnChannel = OnChannel(
        answer_share=0.5,
        reminder_answer_share=0.15,
        answer_median_s=120,
        answer_spread=1.3,
        arrival_median_s=2,
        unreachable_share=0.1,
    )
    email: OnChannel = OnChannel(
        answer_share=0.35,
        reminder_answer_share=0.1,
        answer_median_s=2400,
        answer_spread=1.4,
        arrival_median_s=20,
        unreachable_share=0.02,
    )
    genuine_share: _Share = 0.6
    """Of the synthetic payments that are asked about (of stored ones labels say it, else their scores)."""
    away_share: _Share = 0.08
    """Holders who see no message of that day at all."""
    asleep: QuietHours | None = QuietHours(start="23:00", end="07:00")
    """When who is not paying sleeps, and sees nothing before waking; null: nobody sleeps."""
    unclear_share: _Share = 0.05
    """First answers by text that are unclear; by a link, confirmations with wrong digits."""
    unclear_again_share: _Share = 0.3
    """Second answers that are unclear too."""
    prompted_answer_share: _Share = 0.8
    """Holders who answer once more when they are asked to."""
    prompted_median_s: _Seconds = 60
    forgets_code_share: _Share = 0.3
    """First YES answers that lack the code their question asked for."""
    wrong_yes_share: _Share = 0.01
    """Frauds that are confirmed: by mistake, or by who has the holder's phone."""
    wrong_no_share: _Share = 0.02
    """Genuine payments that their holder denies."""
    stop_share: _Share = 0.003
    """Answers by text that opt out."""
    provider_failure_share: _Share = 0.01
    """Sends that fail: half provably, half without a clear answer."""
    email_account_share: _Share = 0.8
    """Synthetic accounts with an e-mail address."""
    push_account_share: _Share = 0.4
    """Synthetic accounts with a device for notifications."""
    follow_up_share: _Share = 0.15
    """Synthetic payments that follow another one of their account within half an hour."""
    amount_median: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 180
    """Of the synthetic payments, in dollars."""
    spread_of_amounts: _Spread = 1.2

    def on(self, channel: str) -> OnChannel:
        """Return how a channel is attended to."""
        attended: OnChannel = getattr(self, channel)
        return attended


def read_assumptions(file: bytes | None, assumed: Sequence[str] = ()) -> Assumptions:
    """Return the assumptions with those of a JSON file, and then those of "name=value" texts, in their places.

    Raises InvalidInput that names what cannot be.
    """
    values: dict[str, Any] = msgspec.to_builtins(Assumptions())
    if file is not None:
        try:
            given = msgspec.json.decode(file, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise InvalidInput.at("", f"not a JSON object of assumptions: {error}") from error
        _merge(values, given)
    for text in assumed:
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidInput.at("", f'"{text}" is not NAME=VALUE, such as sms.answer_share=0.6')
        _merge(values, _nested(name.split("."), _value(value)))
    try:
        return msgspec.convert(values, Assumptions)
    except msgspec.ValidationError as error:
        raise InvalidInput.at("", f"not an assumption: {error}") from error


def rows(assumptions: Assumptions) -> Iterator[tuple[str, str]]:
    """Yield every assumption as "name" and "value", as `read_assumptions` takes them."""
    for name, value in msgspec.to_builtins(assumptions).items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{part}", _shown(inner)) for part, inner in value.items())
        else:
            yield name, _shown(value)


def _merge(values: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Put what is given into its places; an object replaces only what it names."""
    for name, value in given.items():
        if isinstance(value, dict) and isinstance(values.get(name), dict):
            _merge(values[name], value)
        else:
            values[name] = value


def _nested(names: Sequence[str], value: object) -> dict[str, Any]:
    return {names[0]: _nested(names[1:], value) if len(names) > 1 else value}


def _value(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _shown(value: object) -> str:
    return "null" if value is None else f"{value:g}" if isinstance(value, int | float) else str(value)
