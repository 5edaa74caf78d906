"""A real server with every provider it speaks to on a socket: the conversation, and what its log says of it."""

import html
import re
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.fakes.callback_receiver import Receiver, running_receiver
from tests.fakes.smtp_server import Sink, running_smtp
from tests.fakes.twilio.numbers import ACCOUNT_SID, AUTH_TOKEN, OWN_NUMBERS
from tests.fakes.twilio_server import ServedTwilio, running_twilio
from tests.support.server import ServerProcess

standardwebhooks = pytest.importorskip("standardwebhooks", reason="standardwebhooks is not installed")

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MOBILE, LANDLINE = "+12065550101", "+12065550102"
EMAIL = "grace.hopper@example.com"
MERCHANT = "Very Particular Bookshop"
WAIT_S = 20.0


@dataclass
class World:
    """A server and those it speaks to."""

    server: ServerProcess
    twilio: ServedTwilio
    mail: Sink
    payments: Receiver

    def account(self, user_id: str, phone: str) -> None:
        """Write an account that takes texts and e-mails."""
        body = {"name": "Grace Hopper", "phone_number": phone, "email": EMAIL, "language": "en"}
        assert self.server.client.call("PUT", f"/accounts/{user_id}", body)[0] == 201

    def pay(self, user_id: str, transaction_id: str) -> str:
        """Send a payment that is asked about; returns its status."""
        body = {
            "transaction_id": transaction_id,
            "user_id": user_id,
            "amount": "1500.00",
            "merchant": MERCHANT,
            "card": "7391",
        }
        status, answer = self.server.client.call("POST", "/transaction", body)
        assert status == 201, answer
        return str(answer["status"])

    def status(self, transaction_id: str) -> str:
        """Return where a payment stands."""
        return str(self.server.client.call("GET", f"/transaction/{transaction_id}")[1]["status"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Serve with Twilio, a mail server and a payment system, all of them ours."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running_twilio(seed=4) as twilio, running_smtp() as mail, running_receiver() as payments:
        environment = {
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "TWILIO_FROM_NUMBER": next(iter(OWN_NUMBERS)),
            "CARDWATCH_TWILIO_API_URL": twilio.url,
            "CARDWATCH_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "CARDWATCH_EMAIL_FROM": "security@bank.example",
            "CARDWATCH_SMTP_HOST": "127.0.0.1",
            "CARDWATCH_SMTP_PORT": str(mail.port),
            "CARDWATCH_SMTP_SECURITY": "none",
            "CARDWATCH_CALLBACK_URL": f"{payments.url}/cardwatch",
            "CARDWATCH_CALLBACK_SECRET": SECRET,
            "CARDWATCH_LOG_LEVEL": "debug",
            "FRAUD_THRESHOLD": "0.0000001",
        }
        server = ServerProcess(tmp_path_factory.mktemp("world"), environment, port=port)
        try:
            yield World(server, twilio, mail, payments)
        finally:
            server.client.close()
            server.stop()


def until(found: Callable[[], object]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + WAIT_S
    while not found():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def told(world: World, transaction_id: str) -> list[str]:
    """Return a payment's statuses as the payment system was told, each checked by the specification's own code."""
    judge = standardwebhooks.Webhook(SECRET)
    read = [judge.verify(post.body, post.headers) for post in world.payments.posts]
    about = [one for one in read if one["data"]["transaction_id"] == transaction_id]
    return [one["data"]["status"] for one in sorted(about, key=lambda one: one["data"]["sequence"])]


def fetch(url: str, form: dict[str, str] | None = None) -> tuple[int, str]:
    """Open a page, or post its form; returns status and body."""
    data = None if form is None else urllib.parse.urlencode(form).encode()
    try:
        with urllib.request.urlopen(url, data=data, timeout=10) as response:  # noqa: S310 - our own server
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def fields_of(page: str) -> dict[str, str]:
    """Return the hidden fields of a page's form."""
    return {name: html.unescape(value) for name, value in re.findall(r'name="([^"]+)"[^>]*?value="([^"]*)"', page)}


def links_in(world: World) -> tuple[str, str]:
    """Return the confirm and the deny link of the latest mail."""
    plain = world.mail.mails[-1].parsed().get_body(("plain",))
    assert plain is not None
    confirm, deny = re.findall(r"http://127\.0\.0\.1:\d+/answer/\S+", plain.get_content())
    return confirm, deny


def test_a_text_is_answered_and_the_payment_system_is_told(world: World) -> None:
    """Challenged by text, NO by signed webhook, declined, and both told in order."""
    world.account("mobile", MOBILE)
    assert world.pay("mobile", "txn_text") == "challenged"
    until(lambda: [text for text in world.twilio.texts if text.fields["To"] == MOBILE])
    world.twilio.post_inbound(f"{world.server.url}/webhook/twilio", phone=MOBILE, body="NO", sid="SM" + "a" * 32)
    until(lambda: world.status("txn_text") == "declined")
    until(lambda: told(world, "txn_text") == ["challenged", "declined"])


def test_a_landline_is_asked_by_email_and_answered_by_its_link(world: World) -> None:
    """The refused text moves the question on; opening the link changes nothing, its form with the digits approves."""
    world.twilio.refusals[LANDLINE] = 21614
    world.account("landline", LANDLINE)
    assert world.pay("landline", "txn_mail") == "challenged"
    until(lambda: world.mail.mails)
    assert world.mail.mails[-1].receivers == (EMAIL,)
    confirm, deny = links_in(world)
    for link in (confirm, deny, confirm):
        assert fetch(link)[0] == 200
    assert world.status("txn_mail") == "challenged"
    status, page = fetch(confirm)
    assert f'href="{deny.rpartition("/")[2]}"' in page, "a notification opens this page alone: it leads to NO"
    names = re.findall(r'<input[^>]*name="([^"]+)"', page)
    (digits,) = [name for name in names if name not in fields_of(page)]
    assert fetch(confirm, {**fields_of(page), digits: "0000"})[0] == 422
    assert world.status("txn_mail") == "challenged"
    status, page = fetch(confirm, {**fields_of(page), digits: "7391"})
    assert status == 200
    assert world.status("txn_mail") == "approved"
    until(lambda: told(world, "txn_mail") == ["challenged", "approved"])


def test_nothing_personal_and_no_secret_is_in_the_log(world: World) -> None:
    """At level debug, after texts, mails, links, replies, refusals, a wrong signature and a stop."""
    world.twilio.post_inbound(f"{world.server.url}/webhook/twilio", phone=MOBILE, body="hush hush", sid="SM" + "b" * 32)
    world.twilio.post_inbound(f"{world.server.url}/webhook/twilio", phone=MOBILE, body="STOP", sid="SM" + "c" * 32)
    assert (
        fetch(f"{world.server.url}/webhook/twilio", {"From": MOBILE, "Body": "forged", "MessageSid": "SM1"})[0] == 403
    )
    assert fetch(f"{world.server.url}/answer/not-a-token")[0] == 404
    confirm, deny = links_in(world)
    fetch(deny, {"form": "nonsense"})
    world.server.client.call("GET", f"/accounts/{urllib.parse.quote(EMAIL)}")
    log = world.server.log.read_text("utf-8", "replace")
    assert "reply_handled" in log
    secrets = {
        "numbers": [MOBILE, LANDLINE, MOBILE[1:], LANDLINE[1:], urllib.parse.quote(MOBILE)],
        "addresses": [EMAIL, "grace.hopper"],
        "bodies": [MERCHANT, "hush hush", "forged", "1500.00", "$1,500", "Grace Hopper"],
        "tokens": [confirm.rpartition("/")[2], deny.rpartition("/")[2], "not-a-token", AUTH_TOKEN, SECRET, "7391"],
    }
    log = re.sub(r"\d{2}\.\d{6}Z|127\.0\.0\.1:\d+", "", log)  # a time or a port may hold the digits of a card
    found = {kind: [one for one in values if one in log] for kind, values in secrets.items()}
    assert found == {kind: [] for kind in secrets}
