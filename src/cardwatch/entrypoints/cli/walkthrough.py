"""`cardwatch demo --once`: the whole loop against a real server on this machine, told in the terminal."""

import textwrap
import threading
import time
from typing import Any

from rich.panel import Panel
from rich.text import Text

from cardwatch.domain.errors import CardwatchError
from cardwatch.entrypoints.cli.client import Client
from cardwatch.entrypoints.cli.output import console
from cardwatch.entrypoints.cli.serve import listen
from cardwatch.runtime.bootstrap import open_application, system_randomness
from cardwatch.runtime.json_logs import configure_logging
from cardwatch.runtime.settings import Settings

_WAIT_S = 10.0
_PANEL_WIDTH = 72

_EVERYDAY = {"user_id": "user_001", "amount": 4.75, "merchant": "Corner Coffee", "location": "Seattle, WA"}
_SUSPICIOUS = {"amount": 1500.00, "merchant": "Suspicious Store", "location": "Unknown Location"}


def walk_through(settings: Settings) -> None:
    """Pay everyday, pay suspiciously, answer NO; pay suspiciously from another account, answer YES."""
    from cardwatch.entrypoints.http.app import make_app  # noqa: PLC0415  as in `serve`
    from cardwatch.entrypoints.http.server import make_server  # noqa: PLC0415

    configure_logging("error")
    listening, settings = listen(settings)
    server = make_server(make_app(open_application(settings), randomness=system_randomness()))
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]), daemon=True)
    thread.start()
    client = Client(f"http://{settings.host}:{settings.port}")
    try:
        _wait_until_ready(client)
        _tell(client)
    finally:
        client.close()
        server.should_exit = True
        thread.join(_WAIT_S)


def _tell(client: Client) -> None:
    everyday = _pay(client, "An everyday payment", _EVERYDAY)
    _expect(everyday, "approved")
    for user_id, answer, outcome in (("user_001", "NO", "declined"), ("user_002", "YES", "approved")):
        payment = _pay(client, f"A payment that does not look like {user_id}", {"user_id": user_id, **_SUSPICIOUS})
        _expect(payment, "challenged")
        _converse(client, user_id, payment["transaction_id"], answer)
        _expect(_get(client, f"/transaction/{payment['transaction_id']}"), outcome)
        console.print(f"   The payment is now [bold]{outcome}[/].\n")


def _pay(client: Client, title: str, body: dict[str, Any]) -> dict[str, Any]:
    started = time.perf_counter()
    status, payment = client.call("POST", "/transaction", body)
    took_ms = (time.perf_counter() - started) * 1000
    if status != 201:
        raise CardwatchError(f"the payment was answered with {status}: {payment.get('detail')}")
    console.print(f"[bold]{title}[/]: ${body['amount']:,.2f} at {body['merchant']}, {body['location']}")
    console.print(
        f"   {payment['status']} in {took_ms:.1f} ms, stored on disk; "
        f"score {payment['fraud_score']:.4f}, threshold {payment['threshold']:.4f}"
    )
    for reason in payment["reasons"][:3]:
        console.print(f"   - {reason['text']}", markup=False)
    console.print()
    result: dict[str, Any] = payment
    return result


def _converse(client: Client, user_id: str, transaction_id: str, answer: str) -> None:
    phone = _get(client, f"/accounts/{user_id}")["phone_number"]
    path = f"/phone/{phone}/messages"
    question = _await_text(client, path, transaction_id, "question")
    _show(question["body"], f"text to {phone} (simulated)")
    status, _ = client.call("POST", path, {"body": answer})
    if status != 201:
        raise CardwatchError(f"the reply was answered with {status}")
    _show(answer, f"reply from {phone}")
    acknowledgement = _await_text(client, path, transaction_id, "ack")
    _show(acknowledgement["body"], f"text to {phone} (simulated)")


def _show(text: str, title: str) -> None:
    width = min(_PANEL_WIDTH, console.width)
    console.print(Panel(Text(textwrap.fill(text, width - 4)), title=title, width=width, title_align="left"))


def _await_text(client: Client, path: str, transaction_id: str, kind: str) -> dict[str, Any]:
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        for text in _get(client, path)["messages"]:
            if text["transaction_id"] == transaction_id and text["kind"] == kind and text["sid"]:
                found: dict[str, Any] = text
                return found
        time.sleep(0.02)
    raise CardwatchError(f"no {kind} came to the phone within {_WAIT_S:.0f} s")


def _get(client: Client, path: str) -> dict[str, Any]:
    status, body = client.call("GET", path)
    if status != 200:
        raise CardwatchError(f"GET {path} was answered with {status}")
    result: dict[str, Any] = body
    return result


def _expect(payment: dict[str, Any], status: str) -> None:
    if payment["status"] != status:
        raise CardwatchError(f"the payment is {payment['status']}, {status} was expected")


def _wait_until_ready(client: Client) -> None:
    deadline = time.monotonic() + _WAIT_S
    while client.call("GET", "/readyz")[0] != 200:
        if time.monotonic() > deadline:
            raise CardwatchError("the server did not become ready")
        time.sleep(0.02)
