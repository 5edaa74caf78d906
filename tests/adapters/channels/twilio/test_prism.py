"""Every request that the Twilio adapter makes is valid by Twilio's own API description, as Prism judges it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from cardwatch.adapters.channels.twilio.channel import TwilioChannel
from cardwatch.adapters.clock import FixedClock
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message
from cardwatch.ports import NotSent, Sent, UnknownSent
from tests.builders import NOW_MS, OWN_NUMBER, make_message
from tests.fakes.twilio_server import ACCOUNT_SID, AUTH_TOKEN
from tests.support.prism import Prism, PrismMissing, running_prism

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
SERVICE_SID = "MG" + "a1" * 16


@pytest.fixture(scope="module")
def served() -> Iterator[Prism]:
    """Run Prism on Twilio's description of the Messages resource."""
    beside = Path(__file__).parents[5] / "shared" / "contracts"
    contract = Path(os.environ.get("CARDWATCH_CONTRACTS", beside)) / "twilio" / "messages_openapi.json"
    if not contract.is_file():
        pytest.skip(f"no API description at {contract}; set CARDWATCH_CONTRACTS")
    try:
        with running_prism(contract) as prism:
            yield prism
    except PrismMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def prism(served: Prism) -> Prism:
    """Return Prism with nothing judged and nothing preferred yet."""
    served.judged.clear()
    served.prefer = None
    return served


def channel_to(prism: Prism, *, account_sid: str = ACCOUNT_SID, **options: Any) -> TwilioChannel:
    """Return our adapter, with Prism in Twilio's place."""
    return TwilioChannel(
        account_sid=account_sid,
        auth_token=AUTH_TOKEN,
        own_number=OWN_NUMBER,
        clock=FixedClock(NOW_MS),
        api_url=prism.url,
        **options,
    )


def question(**fields: object) -> Message:
    """Return a question."""
    return msgspec.structs.replace(make_message("txn/1:sms:question:1 &x"), **fields)


CALLBACK_URL = "https://cardwatch.example.com/webhook/twilio/status"


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({}, {}),
        ({}, {"expires_at_ms": None}),
        ({}, {"expires_at_ms": NOW_MS - 5}),
        ({}, {"expires_at_ms": NOW_MS + 10**9}),
        ({}, {"own_address": SERVICE_SID}),
        ({"messaging_service_sid": SERVICE_SID}, {}),
        ({"status_callback_url": CALLBACK_URL}, {}),
        ({"status_callback_url": "https://abc.execute-api.us-east-2.amazonaws.com/prod/webhook/twilio/status"}, {}),
        ({"status_callback_url": CALLBACK_URL}, {"message_id": "ünï/1 + ?#&=%\n"}),
        ({}, {"body": "¿Hizo usted este pago de 1.500,00 € en «Café Ñandú»? Responda SÍ o NO & nada más; 👍"}),
        ({}, {"body": "x" * 1600}),
    ],
    ids=[
        "number", "no validity", "least validity", "most validity", "service", "service beside number", "callback",
        "callback with stage", "odd id", "other alphabets", "longest",
    ],
)  # fmt: skip
def test_every_text_is_a_valid_request(prism: Prism, options: dict[str, str], fields: dict[str, object]) -> None:
    """Numbers, services, validity, callbacks: taken with 201, and nothing is wrong with the request."""
    outcome = channel_to(prism, **options).send(question(**fields))
    assert prism.violations == []
    assert [(judged.method, judged.path, judged.status) for judged in prism.judged] == [("POST", MESSAGES, 201)]
    assert outcome == Sent("SM" + "a" * 32)


def test_every_look_up_is_a_valid_request(prism: Prism) -> None:
    """The list by receiver; the description's own example is not ours."""
    assert channel_to(prism).find(question()) is None
    assert prism.violations == []
    assert [(judged.method, judged.path, judged.status) for judged in prism.judged] == [("GET", MESSAGES, 200)]


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [
        ("code=400, example=21211", NotSent("21211 not a valid number", retryable=False)),
        ("code=400, example=21610", NotSent("21610 opted out", retryable=False, opted_out=True)),
        (
            "code=400, example=21408",
            NotSent("21408 country not enabled: check the geographic permissions", retryable=False, alarm=True),
        ),
        ("code=429, example=20429", NotSent("20429 too many requests", retryable=True)),
        ("code=500, example=20500", UnknownSent("HTTP 500")),
    ],
)
def test_described_errors_are_judged(prism: Prism, prefer: str, expected: NotSent | UnknownSent) -> None:
    """As the description prints them, to a request with which nothing is wrong."""
    prism.prefer = prefer
    assert channel_to(prism).send(question()) == expected
    assert prism.violations == []


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"address": ""}, "request.body.To"),
        ({"address": "2025550101"}, "request.body.To"),
        ({"own_address": "MG123"}, "request.body.MessagingServiceSid"),
        ({"body": "x" * 1601}, "request.body.Body"),
    ],
)
def test_a_broken_text_is_caught(prism: Prism, fields: dict[str, object], wrong: str) -> None:
    """The judge does judge: what our adapter would send of a broken message is named, and the text is not taken."""
    outcome = channel_to(prism).send(question(**fields))
    assert any(violation.startswith(wrong) for violation in prism.violations), prism.judged
    assert isinstance(outcome, NotSent)


def test_a_broken_address_is_caught(prism: Prism) -> None:
    """An account that is none, for texts and lists."""
    channel = channel_to(prism, account_sid="AC-none")
    assert isinstance(channel.send(question()), NotSent)
    with pytest.raises(OperatingError):
        channel.find(question())
    assert len([violation for violation in prism.violations if violation.startswith("request.path")]) >= 2


@pytest.mark.parametrize(
    "form", [b"To=%2B12025550101&Body=x", b"To=%2B12025550101&From=%2B12025550199", b"Body=x&From=%2B12025550199"]
)
def test_a_broken_request_is_caught(prism: Prism, form: bytes) -> None:
    """Without a sender, words or a receiver, which our adapter cannot even leave out."""
    refused = httpx.post(
        prism.url + MESSAGES,
        content=form,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        auth=("x", "y"),
        timeout=30,
    )
    assert refused.status_code in {400, 422}
    assert prism.violations
