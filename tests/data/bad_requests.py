"""Bad requests over all routes, each with the exact status and the exact pointers of its answer."""

import json
from typing import Any, NamedTuple

VISA = "4111111111111111"
AMEX = "378282246310005"
MASTERCARD = "5555555555554444"
UNIONPAY_19 = "6212345678900000003"
CARDS = (VISA, AMEX, MASTERCARD, UNIONPAY_19)

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PAYMENT = {"user_id": "bad_001", "amount": 12.5, "merchant": "Corner Cafe"}


def wide(text: str) -> str:
    """Write a text in fullwidth forms, as East Asian keyboards do."""
    return "".join(chr(ord(character) + 0xFEE0) for character in text)


def arabic(digits: str) -> str:
    """Write digits in Arabic-Indic script."""
    return "".join(chr(0x660 + int(digit)) for digit in digits)


class BadRequest(NamedTuple):
    """One request, and what it must be answered with; `pointers` in order, None where the answer has no list."""

    name: str
    method: str
    path: str
    body: bytes
    headers: dict[str, str]
    status: int
    pointers: tuple[str, ...] | None
    allow: str | None = None


def _payment(name: str, /, *pointers: str, **fields: Any) -> BadRequest:
    """Build a payment with other fields, refused with 422."""
    body = {key: value for key, value in {**PAYMENT, **fields}.items() if value is not ...}
    return BadRequest(name, "POST", "/transaction", json.dumps(body).encode(), JSON, 422, pointers)


def _raw(name: str, body: str | bytes, status: int = 400, *pointers: str) -> BadRequest:
    """Build a payment of exactly these bytes."""
    raw = body.encode() if isinstance(body, str) else body
    return BadRequest(name, "POST", "/transaction", raw, JSON, status, pointers or None)


def _account(name: str, /, *pointers: str, user_id: str = "bad_001", **fields: Any) -> BadRequest:
    """Build an account, refused with 422."""
    return BadRequest(name, "PUT", f"/accounts/{user_id}", json.dumps(fields).encode(), JSON, 422, pointers)


def _label(name: str, /, *pointers: str, **fields: Any) -> BadRequest:
    """Build a label, refused with 422."""
    return BadRequest(name, "POST", "/transaction/nobody/label", json.dumps(fields).encode(), JSON, 422, pointers)


def _get(name: str, path: str, status: int, *pointers: str) -> BadRequest:
    """Build a GET without body."""
    return BadRequest(name, "GET", path, b"", {}, status, pointers or None)


def _with_headers(name: str, status: int, **headers: str) -> BadRequest:
    """Build a listing with other headers."""
    given = {key.replace("_", "-"): value for key, value in headers.items()}
    return BadRequest(name, "GET", "/transactions", b"", given, status, None)


def _method(method: str, path: str, allow: str) -> BadRequest:
    """Build a method that a route does not know."""
    return BadRequest(f"{method} {path}", method, path, b"", {}, 405, None, allow)


def _embedded(text: str) -> str:
    """Return the body of a payment in which a raw JSON text stands as one more member."""
    return json.dumps(PAYMENT)[:-1] + f", {text}" + "}"


MALFORMED = (
    _raw("nothing at all", ""),
    _raw("an object that never ends", '{"user_id": "u", '),
    _raw("a comma too many", '{"user_id": "u", "amount": 1, "merchant": "m",}'),
    _raw("two documents", "{} {}"),
    _raw("single quotes", "{'user_id': 'u'}"),
    _raw("NaN as a number", _embedded('"latitude": NaN, "longitude": 0')),
    _raw("Infinity as a number", '{"user_id": "u", "amount": Infinity, "merchant": "m"}'),
    _raw("a number beyond float", _embedded('"latitude": 1e400, "longitude": 0')),
    _raw("invalid UTF-8", b'{"user_id": "u", "amount": 1, "merchant": "\xff\xfe"}'),
    _raw("UTF-16", json.dumps(PAYMENT).encode("utf-16")),
    _raw("a byte-order mark", b"\xef\xbb\xbf" + json.dumps(PAYMENT).encode()),
    _raw("a lone surrogate", _embedded('"location": "\\ud800"')),
    _raw("a lone surrogate in a key", _embedded('"metadata": {"\\udc00": "x"}')),
    _raw("a raw line break in a string", _embedded('"location": "a\nb"')),
    _raw("ten thousand nested lists", "[" * 10_000),
    _raw("nested objects in metadata", _embedded('"metadata": ' + '{"a":' * 9_000 + "1" + "}" * 9_000)),
    _raw("a list", "[]", 422, ""),
    _raw("a string", '"payment"', 422, ""),
    _raw("null", "null", 422, ""),
)

AMOUNTS = (
    _payment("an amount of zero", "/amount", amount=0),
    _payment("a negative amount", "/amount", amount=-1),
    _payment("a negative zero", "/amount", amount="-0.00"),
    _payment("an amount that is no number", "/amount", amount="NaN"),
    _payment("a signalling NaN", "/amount", amount="sNaN"),
    _payment("an infinite amount", "/amount", amount="Infinity"),
    _payment("an amount in words", "/amount", amount="twelve"),
    _payment("an empty amount", "/amount", amount=""),
    _payment("a hexadecimal amount", "/amount", amount="0x10"),
    _payment("true as an amount", "/amount", amount=True),
    _payment("no amount, but null", "/amount", amount=None),
    _payment("an amount in a list", "/amount", amount=[1]),
    _payment("a tenth of a cent", "/amount", amount="10.005"),
    _payment("a tenth of a cent as a number", "/amount", amount=10.005, currency="USD"),
    _payment("a decimal of a yen", "/amount", amount="10.5", currency="JPY"),
    _payment("a fourth decimal of a dinar", "/amount", amount="1.0001", currency="KWD"),
    _payment("a cent above the largest amount", "/amount", amount="10000000000.01"),
    _payment("more yen than there may be", "/amount", amount="1000000000001", currency="JPY"),
    _payment("more dinars than there may be", "/amount", amount="1000000000.001", currency="KWD"),
    _payment("an amount with a huge exponent", "/amount", amount="1e999999"),
    _payment("an amount with a tiny exponent", "/amount", amount="1e-999999"),
    _payment("an exponent that no decimal holds", "/amount", amount="1e99999999999999999999"),
    _raw("five thousand digits", '{"user_id": "u", "amount": 1%s, "merchant": "m"}' % ("0" * 5000), 422, "/amount"),
)

FIELDS = (
    _raw("an empty object", "{}", 422, "/user_id", "/amount", "/merchant"),
    _payment("a missing merchant", "/merchant", merchant=...),
    _payment("an unknown field", "/amuont", amuont=1),
    _payment("an unknown field with / and ~", "/a~1b~0c", **{"a/b~c": 1}),
    _payment("a field in another case", "/Merchant", Merchant="x"),
    _payment("a fault of type beside faults of value", "/mcc", "/amount", "/ip", mcc=5, amount=-1, ip="here"),
    _payment("a missing field beside a fault of value", "/merchant", "/timestamp", merchant=..., timestamp="now"),
    _payment("a control character in a metadata key", "/metadata", metadata={"a\x07": "x"}),
    _payment("a control character in a metadata value", "/metadata/a", metadata={"a": "x\x1b[2J"}),
    _payment("several faults at once", "/extra", "/user_id", "/merchant", "/mcc",
             user_id="", merchant=5, mcc="12", extra=1),
    _payment("a user id with a space", "/user_id", user_id="user 001"),
    _payment("a user id with a line break at its end", "/user_id", user_id="user_001\n"),
    _payment("a user id of 65 characters", "/user_id", user_id="u" * 65),
    _payment("a numeric user id", "/user_id", user_id=1),
    _payment("an empty transaction id", "/transaction_id", transaction_id=""),
    _payment("a transaction id with a slash", "/transaction_id", transaction_id="a/b"),
    _payment("a transaction id with a line break at its end", "/transaction_id", transaction_id="abc\n"),
    _payment("a blank merchant", "/merchant", merchant=" \u3000 "),
    _payment("a merchant of 201 characters", "/merchant", merchant="m" * 201),
    _payment("a merchant with a null character", "/merchant", merchant="a\0b"),
    _payment("a merchant with a line break at its end", "/merchant", merchant="Corner Cafe\n"),
    _payment("a location with an escape", "/location", location="\x1b[31mred"),
    _payment("a location with a C1 control", "/location", location="a\x85b"),
    _payment("a currency in lower case", "/currency", currency="usd"),
    _payment("a currency that is no more", "/currency", currency="DEM"),
    _payment("gold as a currency", "/currency", currency="XAU"),
    _payment("a latitude alone", "/longitude", latitude=47.6),
    _payment("a longitude alone", "/latitude", longitude=-122.3),
    _payment("a merchant latitude alone", "/merchant_longitude", merchant_latitude=47.6),
    _payment("a latitude beyond the pole", "/latitude", latitude=90.1, longitude=0),
    _payment("a longitude beyond the date line", "/longitude", latitude=0, longitude=-180.5),
    _payment("a latitude as text", "/latitude", latitude="47.6", longitude=0),
    _payment("a country in lower case", "/country", country="us"),
    _payment("a country by its name", "/country", country="Germany"),
    _payment("a category code of letters", "/mcc", mcc="54A1"),
    _payment("a category code as a number", "/mcc", mcc=5411),
    _payment("an address that is none", "/ip", ip="300.1.1.1"),
    _payment("an address with a port", "/ip", ip="203.0.113.9:443"),
    _payment("an address with a zone", "/ip", ip="fe80::1%eth0"),
    _payment("a card token of 65 characters", "/card", card="t" * 65),
    _payment("a card as a number", "/card", card=1111),
    _payment("21 metadata entries", "/metadata", metadata={f"k{n}": "v" for n in range(21)}),
    _payment("metadata that is a list", "/metadata", metadata=[]),
    _payment("a number in metadata", "/metadata", metadata={"basket": 5}),
    _payment("an object in metadata", "/metadata", metadata={"basket": {"a": [1]}}),
    _payment("an empty metadata key", "/metadata", metadata={"": "x"}),
    _payment("a metadata key of 65 characters", "/metadata", metadata={"k" * 65: "x"}),
    _payment("a metadata value of 501 characters", "/metadata/a~1b", metadata={"a/b": "v" * 501}),
    _payment("faults of value, all at once", "/amount", "/currency", "/merchant", "/longitude", "/timestamp", "/ip",
             amount=-1, currency="XXX", merchant=" ", latitude=1, timestamp="now", ip="x"),
)  # fmt: skip

TIMES = (
    _payment("a time without an offset", "/timestamp", timestamp="2026-01-01T12:00:00"),
    _payment("a date without a time", "/timestamp", timestamp="2026-01-01"),
    _payment("seconds since 1970", "/timestamp", timestamp="1767225600"),
    _payment("seconds since 1970 as a number", "/timestamp", timestamp=1767225600),
    _payment("the year 0", "/timestamp", timestamp="0000-01-01T00:00:00Z"),
    _payment("before 1970", "/timestamp", timestamp="1969-12-31T23:59:59Z"),
    _payment("a time far ahead", "/timestamp", timestamp="9999-12-31T23:59:59Z"),
    _payment("a leap second", "/timestamp", timestamp="2016-12-31T23:59:60Z"),
    _payment("the 24th hour", "/timestamp", timestamp="2026-01-01T24:00:00Z"),
    _payment("a day that was not", "/timestamp", timestamp="2026-02-29T00:00:00Z"),
    _payment("an offset of 25 hours", "/timestamp", timestamp="2026-01-01T00:00:00+25:00"),
    _payment("a comma before the fraction", "/timestamp", timestamp="2026-01-01T00:00:00,5Z"),
    _payment("a line break after the time", "/timestamp", timestamp="2026-01-01T00:00:00Z\n"),
    _payment("digits of another script", "/timestamp", timestamp=wide("2026") + "-01-01T00:00:00Z"),
)

CARD_NUMBERS = (
    _payment("a card number as the card", "/card", card=VISA),
    _payment("a card number with spaces", "/card", card="4111 1111 1111 1111"),
    _payment("a card number with hyphens", "/card", card="4111-1111-1111-1111"),
    _payment("a card number in odd groups", "/merchant", merchant="Pay 41 111111-1111 1111 11 now"),
    _payment("an American Express number", "/merchant", merchant=f"Cafe {AMEX}"),
    _payment("a number of 19 digits", "/card", card=UNIONPAY_19),
    _payment("fullwidth digits", "/merchant", merchant=wide(VISA)),
    _payment("Arabic digits", "/merchant", merchant=arabic(VISA)),
    _payment("a card number as the user id", "/user_id", user_id=VISA),
    _payment("a card number as the transaction id", "/transaction_id", transaction_id=VISA),
    _payment("a card number in an id", "/transaction_id", transaction_id=f"pay_{VISA}"),
    _payment("a card number in the location", "/location", location=f"Seattle, {MASTERCARD}"),
    _payment("a card number as the merchant's id", "/merchant_id", merchant_id=MASTERCARD),
    _payment("a card number as the category", "/category", category=MASTERCARD),
    _payment("a card number as the channel", "/channel", channel=MASTERCARD),
    _payment("a card number as the device", "/device_id", device_id=f"({MASTERCARD})"),
    _payment("a card number in the zone of an address", "/ip", ip=f"fe80::1%{VISA}"),
    _payment("a card number in metadata", "/metadata/pan", metadata={"pan": VISA}),
    _payment("a card number as a metadata key", "/metadata", metadata={VISA: "x"}),
    _payment("a card number as a field's name", "", **{VISA: "x"}),
    _payment("a card number as an unknown field", "/pan", pan=VISA),
    _payment("a card number among other faults", "/mcc", "/card", card=VISA, mcc="1"),
    _payment("a card number as the amount", "/amount", amount=int(VISA)),
    _payment("a card number as the amount's text", "/amount", amount=VISA),
    _payment("a card number as a number", "/card", card=int(VISA)),
    _payment("a card number as the currency", "/currency", "/currency", currency=VISA),
    _payment("a card number as the category code", "/mcc", "/mcc", mcc=VISA),
    _payment("a card number as the timestamp", "/timestamp", timestamp=VISA),
    _payment("a card number as the latitude", "/latitude", latitude=int(VISA), longitude=0),
    _raw("a card number in JSON escapes", _embedded('"card": "\\u0034111111111111111"'), 422, "/card"),
    _raw("a card number in malformed JSON", _embedded(f'"card": "{VISA}"')[:-1], 400),
    _account("a card number as a name", "/name", name=VISA),
    _account("a card number as an e-mail address", "/email", email=f"{VISA}@example.com"),
    _account("a card number as a home", "/home/location", home={"location": VISA}),
    _account("a card number as a telephone number", "/phone_number", phone_number=f"+{VISA}"),
    _account("a card number as a language", "/language", "/language", language=VISA),
    _account("a card number as a time zone", "/time_zone", time_zone=VISA),
    _account("a card number as an account's id", "", user_id=VISA),
    _label("a card number in a note", "/note", label="fraud", note=f"card {VISA}"),
)

ACCOUNTS = (
    _account("another id in the body", "/user_id", user_id="bad_002", name="Ada")._replace(
        body=b'{"user_id": "bad_003"}'
    ),
    _account("an id with a space in the path", "", user_id="bad%20id"),
    _account("an id with a line break at its end in the path", "", user_id="bad%0A"),
    _account("an id of 65 characters in the path", "", user_id="u" * 65),
    _account("an unknown account field", "/telephone", telephone="+12065550100"),
    _account("a telephone number without its country", "/phone_number", phone_number="206 555 0100"),
    _account("a telephone number that cannot be", "/phone_number", phone_number="+1555"),
    _account("a country code that is not given out", "/phone_number", phone_number="+999123456789"),
    _account("a telephone number with an extension", "/phone_number", phone_number="+12065550100 ext. 5"),
    _account("a telephone number with an RFC 3966 extension", "/phone_number", phone_number="+12065550100;ext=5"),
    _account("a telephone number in letters", "/phone_number", phone_number="+1 800 FLOWERS"),
    _account("a telephone number in fullwidth digits", "/phone_number", phone_number=wide("+12065550100")),
    _account("a telephone number with a line break", "/phone_number", phone_number="+12065550100\n"),
    _account("an e-mail address without a domain", "/email", email="ada"),
    _account("an e-mail address with a line break", "/email", email="ada@example.com\n"),
    _account("an e-mail address with a null character", "/email", email="a\0da@example.com"),
    _account("a language in three letters", "/language", language="eng"),
    _account("a time zone that is not", "/time_zone", time_zone="Mars/Olympus"),
    _account("a time zone as a path", "/time_zone", time_zone="../../etc/passwd"),
    _account("an account currency that is not", "/currency", currency="ZZZ"),
    _account("a channel that is not", "/channels/1", channels=["sms", "pigeon"]),
    _account("nine channels", "/channels", channels=["sms"] * 9),
    _account("a channel that is a number", "/channels/0", channels=[1]),
    _account("consent as text", "/consent", consent="yes"),
    _account("a home latitude alone", "/home/longitude", home={"latitude": 1}),
    _account("a home beyond the pole", "/home/latitude", home={"latitude": 91, "longitude": 0}),
    _account("an unknown field of the home", "/home/zip", home={"zip": "98101"}),
    _account("a card number as a field of the home", "/home", home={VISA: 1}),
    _account("a home that is text", "/home", home="Seattle"),
    _account("a name with a line break at its end", "/name", name="Ada\n"),
    _account("a home with a line break at its end", "/home/location", home={"location": "Seattle\n"}),
    _account("several account faults", "/email", "/time_zone", "/currency", "/channels/0",
             email="x", time_zone="x", currency="XXX", channels=["fax"]),
)  # fmt: skip

LABELS = (
    _label("a label without a value", "/label"),
    _label("a label that is neither", "/label", label="maybe"),
    _label("a source that may not be sent", "/source", label="fraud", source="cardholder"),
    _label("import as a source", "/source", label="fraud", source="import"),
    _label("an unknown label field", "/reason", label="fraud", reason="x"),
    _label("a note of 501 characters", "/note", label="fraud", note="n" * 501),
    _label("a note with a line break at its end", "/note", label="fraud", note="seen\n"),
    _label("replace as text", "/replace", label="fraud", replace="true"),
    _label("a label for an unknown payment", label="fraud")._replace(status=404, pointers=None),
)

QUERIES = (
    _get("a limit of zero", "/transactions?limit=0", 422, "/limit"),
    _get("a limit of 501", "/transactions?limit=501", 422, "/limit"),
    _get("a negative limit", "/transactions?limit=-1", 422, "/limit"),
    _get("an empty limit", "/transactions?limit=", 422, "/limit"),
    _get("a limit in another script", "/transactions?limit=%D9%A3", 422, "/limit"),
    _get("a limit of many digits", "/transactions?limit=" + "9" * 400, 422, "/limit"),
    _get("a cursor that is none", "/transactions?cursor=abc", 422, "/cursor"),
    _get("an empty cursor", "/transactions?cursor=", 422, "/cursor"),
    _get("a cursor beyond all numbers", "/transactions?cursor=t" + "f" * 16, 422, "/cursor"),
    _get("a status that is not", "/transactions?status=open", 422, "/status"),
    _get("an unknown query", "/transactions?user=user_001", 422, ""),
    _get("a query given twice", "/transactions?limit=1&limit=2", 422, "/limit"),
    _get("accounts with an unknown query", "/accounts?status=open", 422, ""),
    _get("accounts with a wrong limit", "/accounts?limit=x", 422, "/limit"),
)

ROUTES = (
    _get("an unknown payment", "/transaction/nobody", 404),
    _get("a payment's id in invalid UTF-8", "/transaction/%ff%fe", 404),
    _get("an unknown account", "/accounts/nobody", 404),
    _get("an account's id with a null character", "/accounts/%00", 404),
    _get("an unknown route", "/nope", 404),
    _get("a path outside", "/../../etc/passwd", 404),
    BadRequest("the hold of an unknown account", "DELETE", "/accounts/nobody/hold", b"", {}, 404, None),
    _method("GET", "/transaction", "POST"),
    _method("PUT", "/transaction", "POST"),
    _method("OPTIONS", "/transaction", "POST"),
    _method("POST", "/transactions", "GET"),
    _method("DELETE", "/transaction/x", "GET"),
    _method("GET", "/transaction/x/label", "POST"),
    _method("POST", "/accounts", "GET"),
    _method("DELETE", "/accounts/x", "GET, PUT"),
    _method("OPTIONS", "/accounts/x", "GET, PUT"),
    _method("GET", "/accounts/x/hold", "DELETE"),
    _method("GET", "/webhook/twilio", "POST"),
    _method("PUT", "/webhook/twilio/status", "POST"),
    _method("POST", "/healthz", "GET"),
    _method("PATCH", "/phone/+12065550100/messages", "GET, POST"),
)

CONTENT_TYPES = (
    _raw("no content type", json.dumps(PAYMENT), 415)._replace(headers={}),
    _raw("a form", "user_id=u", 415)._replace(headers=FORM),
    _raw("text", json.dumps(PAYMENT), 415)._replace(headers={"Content-Type": "text/plain"}),
    _raw("JSON in name only", json.dumps(PAYMENT), 415)._replace(headers={"Content-Type": "application/jsonp"}),
    _account("an account as text")._replace(status=415, pointers=None, headers={"Content-Type": "text/plain"}),
    _label("a label as a form", label="fraud")._replace(status=415, pointers=None, headers=FORM),
)

SIZES = (
    _raw("a byte too many", json.dumps(PAYMENT).ljust(64 * 1024 + 1), 413),
    _account("an account too large")._replace(body=b"{}".ljust(64 * 1024 + 1), status=413, pointers=None),
    _label("a label too large")._replace(body=b"{}".ljust(64 * 1024 + 1), status=413, pointers=None),
    BadRequest("a webhook too large", "POST", "/webhook/twilio", b"a=b&" * 17_000, FORM, 413, None),
)

WEBHOOKS = (
    BadRequest("a text without signature", "POST", "/webhook/twilio", b"From=%2B1&Body=YES", FORM, 403, None),
    BadRequest(
        "a text with a wrong signature", "POST", "/webhook/twilio", b"Body=YES",
        {**FORM, "X-Twilio-Signature": "d3Jvbmc="}, 403, None,
    ),
    BadRequest("an empty text without signature", "POST", "/webhook/twilio", b"", FORM, 403, None),
    BadRequest("a text as JSON", "POST", "/webhook/twilio", b'{"Body": "YES"}', JSON, 415, None),
    BadRequest("a text that is no form", "POST", "/webhook/twilio", b"\xff\xfe", FORM, 400, None),
    BadRequest("a form of 201 fields", "POST", "/webhook/twilio", b"a=b&" * 200 + b"a=b", FORM, 400, None),
    BadRequest("a report without signature", "POST", "/webhook/twilio/status?message=m", b"a=b", FORM, 403, None),
    BadRequest("a report as JSON", "POST", "/webhook/twilio/status", b"{}", JSON, 415, None),
)  # fmt: skip

PHONE = (
    _get("a phone that cannot be", "/phone/12/messages", 422, ""),
    BadRequest(
        "a typed text without words", "POST", "/phone/+12065550100/messages", b'{"body": ""}', JSON, 422, ("/body",)
    ),
    BadRequest("a typed text as a form", "POST", "/phone/+12065550100/messages", b"body=YES", FORM, 415, None),
)  # fmt: skip

KEYS = (
    _with_headers("a wrong key", 403, X_API_Key="ops:not-this-secret-at-all"),
    _with_headers("an empty key", 403, X_API_Key=""),
    _with_headers("the key's name alone", 403, X_API_Key="ops"),
    _with_headers("the host of a tunnel", 401, Host="cardwatch.ngrok.app"),
    _with_headers("a host that begins like loopback", 401, Host="127.0.0.1.example.com"),
    _with_headers("a host that is no address", 401, Host="[::1"),
    _with_headers("through a proxy", 401, X_Forwarded_For="203.0.113.9"),
    _with_headers("through a proxy on this machine", 401, X_Forwarded_For="127.0.0.1"),
    _with_headers("through a standard proxy", 401, Forwarded="for=203.0.113.9"),
    _with_headers("through another proxy", 401, X_Real_IP="203.0.113.9"),
)

BAD_REQUESTS: tuple[BadRequest, ...] = (
    *MALFORMED, *AMOUNTS, *FIELDS, *TIMES, *CARD_NUMBERS, *ACCOUNTS, *LABELS, *QUERIES, *ROUTES, *CONTENT_TYPES, *SIZES,
    *WEBHOOKS, *PHONE, *KEYS,
)  # fmt: skip
