"""What the types of request bodies leave unsaid, written into their schemas: pairs, lists of codes, sizes, formats.

So that what the document allows is accepted and what it forbids is refused; only what needs a clock or the plan of
telephone numbers is left to a format's name.
"""

from typing import Any
from zoneinfo import available_timezones

from cardwatch.domain.account_submission import CHANNELS, PUSH_ENDPOINT
from cardwatch.domain.bodies import NO_CONTROL
from cardwatch.domain.money import AMOUNT_MINOR_MAX, MINOR_DIGITS
from cardwatch.domain.submission import METADATA_ENTRIES_MAX

_NOT_BLANK = r"[^\s\x00-\x1f\x7f-\x9f]"
_WHOLE_DIGITS = 9
"""Digits before the point that an amount may have in every currency."""

_NO_CONTROL = NO_CONTROL.replace(r"\Z", "$")


def refine(components: dict[str, Any]) -> None:
    """Refine the schemas of the request bodies in place."""
    for schema in components.values():
        _end_patterns_plainly(schema)
    _refine_payment(components["Submission"])
    _refine_account(components["AccountSubmission"])
    _pair(components["HomeSubmission"], "latitude", "longitude")
    _refine_push(components["PushSubmission"])


def _end_patterns_plainly(schema: Any) -> None:
    """Write the end of a text as ECMA 262 does, where "$" lets no line break pass."""
    if isinstance(schema, dict):
        if "pattern" in schema:
            schema["pattern"] = schema["pattern"].replace(r"\Z", "$")
        for part in schema.values():
            _end_patterns_plainly(part)
    elif isinstance(schema, list):
        for part in schema:
            _end_patterns_plainly(part)


def _refine_payment(schema: dict[str, Any]) -> None:
    fields = schema["properties"]
    fields["merchant"]["pattern"] = f"^.*{_NOT_BLANK}.*$".replace(".", r"[^\x00-\x1f\x7f-\x9f]")
    fields["timestamp"] = _optional(
        {"type": "string", "format": "date-time", "description": "RFC 3339; at most 5 minutes ahead; default now"}
    )
    fields["ip"] = _optional({"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"})
    fields["currency"] = _optional(_currency(*MINOR_DIGITS))
    fields["metadata"] = _optional(
        {
            "type": "object",
            "maxProperties": METADATA_ENTRIES_MAX,
            "propertyNames": {"minLength": 1, "maxLength": 64, "pattern": _NO_CONTROL},
            "additionalProperties": {"type": "string", "maxLength": 500, "pattern": _NO_CONTROL},
        }
    )
    fields["amount"] = {
        "description": "Major units, more than 0, at most the currency's decimals; a number or a decimal string"
    }
    _pair(schema, "latitude", "longitude")
    _pair(schema, "merchant_latitude", "merchant_longitude")
    schema.setdefault("allOf", []).append({"anyOf": [_amount_in(digits) for digits in (2, 0, 3)]})


def _refine_account(schema: dict[str, Any]) -> None:
    fields = schema["properties"]
    del fields["user_id"]  # may be repeated, but no schema can say that it must be the one in the path
    schema["description"] += " A user_id in it must be the one in the path."
    fields["phone_number"] = _optional(
        {"type": "string", "format": "phone-number", "description": "E.164, such as +12065550100"}
    )
    fields["email"] = _optional(
        {"type": "string", "maxLength": 254, "pattern": r"^[!-?A-~]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$"}
    )
    fields["time_zone"] = {"enum": sorted(available_timezones()), "default": "UTC", "description": "IANA name"}
    fields["currency"] = {**_currency(*MINOR_DIGITS), "default": "USD"}
    fields["channels"] = _optional({"type": "array", "maxItems": 8, "items": {"enum": list(CHANNELS)}})


def _refine_push(schema: dict[str, Any]) -> None:
    """Say that a device is named by a token alone, or by the three parts of a browser's subscription."""
    fields = schema["properties"]
    fields["endpoint"] = _optional({"type": "string", "maxLength": 1024, "pattern": f"^{PUSH_ENDPOINT}$"})
    web = ("endpoint", "p256dh", "auth")
    by_token = {name: {"type": "null"} for name in web} | {"fcm_token": {"type": "string"}}
    by_browser = {name: {"type": "string"} for name in web} | {"fcm_token": {"type": "null"}}
    schema["anyOf"] = [
        {"properties": by_token, "required": ["fcm_token"]},
        {"properties": by_browser, "required": list(web)},
    ]


def _optional(*schemas: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [*schemas, {"type": "null"}], "default": None}


def _currency(*codes: str) -> dict[str, Any]:
    return {"enum": sorted(codes), "description": "ISO 4217"}


def _pair(schema: dict[str, Any], first: str, second: str) -> None:
    """Say that two coordinates come together or not at all."""
    given = {"properties": {first: {"type": "number"}, second: {"type": "number"}}, "required": [first, second]}
    left_out = {"properties": {first: {"type": "null"}, second: {"type": "null"}}}
    schema.setdefault("allOf", []).append({"anyOf": [given, left_out]})


def _amount_in(digits: int) -> dict[str, Any]:
    """Say what amounts a currency of so many decimals takes; without a currency two decimals stand for most."""
    codes = [code for code, decimals in MINOR_DIGITS.items() if decimals == digits]
    fraction = rf"(\.[0-9]{{1,{digits}}})?" if digits else ""
    small = {0: "", 2: r"|0\.([1-9][0-9]?|0[1-9])", 3: r"|0\.([1-9][0-9]{0,2}|0[1-9][0-9]?|00[1-9])"}[digits]
    number = {
        "type": "number" if digits else "integer",
        "exclusiveMinimum": 0,
        "maximum": AMOUNT_MINOR_MAX // 10**digits,
        **({"multipleOf": float(f"1e-{digits}")} if digits else {}),
    }
    text = {"type": "string", "pattern": rf"^([1-9][0-9]{{0,{_WHOLE_DIGITS - 1}}}{fraction}{small})$"}
    currency = {"enum": [*sorted(codes), None] if digits == 2 else sorted(codes)}
    return {
        "properties": {"currency": currency, "amount": {"anyOf": [number, text]}},
        "required": ["amount"] if digits == 2 else ["amount", "currency"],
    }
