"""What the setup guide prints works as printed against the embedded server, and its payment goes the whole loop."""

import json
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import ServerProcess, clean_environment, running_server

ROOT = Path(__file__).resolve().parents[2]

CREATE = """curl -s -X POST {url}/transaction \
  -H "Content-Type: application/json" \
  -d '{{
    "user_id": "{user}",
    "amount": 1500.00,
    "merchant": "{merchant}",
    "location": "Unknown Location"
  }}'
"""
LOOK_UP = "curl -s {url}/transaction/{id}"

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def seed(data_dir: Path) -> None:
    """Seed by the guide's own script."""
    script = ["seed_db.py", "all", "--data-dir", str(data_dir)]
    subprocess.run(
        [sys.executable, *script], cwd=ROOT / "infrastructure", check=True, capture_output=True, env=clean_environment()
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server on a freshly seeded folder, with the guide's threshold."""
    data_dir = tmp_path_factory.mktemp("guide")
    seed(data_dir)
    with running_server(data_dir, {"FRAUD_THRESHOLD": "0.5"}) as running:
        yield running


def shell(command: str) -> dict[str, Any]:
    """Run a command of the guide and read its answer."""
    done = subprocess.run(["/bin/sh", "-c", command], check=True, capture_output=True, timeout=30)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def pay(server: ServerProcess, user: str, merchant: str = "Suspicious Store") -> dict[str, Any]:
    """Send the guide's payment."""
    return shell(CREATE.format(url=server.url, user=user, merchant=merchant))


def answer_question(server: ServerProcess, user: str, payment: dict[str, Any], text: str) -> str:
    """Type an answer on the holder's phone once the question is there; returns the payment's status."""
    phone = server.client.call("GET", f"/accounts/{user}")[1]["phone_number"]
    await_question(server, phone, payment["transaction_id"])
    status, _ = server.client.call("POST", f"/phone/{phone}/messages", {"body": text})
    assert status == 201
    return str(server.client.call("GET", f"/transaction/{payment['transaction_id']}")[1]["status"])


def await_question(server: ServerProcess, phone: str, transaction_id: str) -> dict[str, Any]:
    """Wait for the question about a payment to arrive on a phone."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for text in server.client.call("GET", f"/phone/{phone}/messages")[1]["messages"]:
            if text["transaction_id"] == transaction_id and text["kind"] == "question" and text["sid"]:
                found: dict[str, Any] = text
                return found
        time.sleep(0.02)
    raise AssertionError("no question came")


@needs_curl
def test_the_guides_look_up_answers(server: ServerProcess) -> None:
    """`GET /transaction/txn_123` answers with the seeded payment, which is everyday and approved."""
    payment = shell(LOOK_UP.format(url=server.url, id="txn_123"))
    assert (payment["user_id"], payment["status"]) == ("user_001", "approved")


@needs_curl
def test_the_guides_payment_is_challenged_and_no_declines_it(server: ServerProcess) -> None:
    """The payment is asked about by text, and NO declines it, labels it and holds the account."""
    payment = pay(server, "user_001")
    assert (payment["status"], payment["decision"], payment["action_required"]) == (
        "challenged",
        "challenge",
        "await_cardholder",
    )
    assert payment["amount"] == "1500.00"
    assert answer_question(server, "user_001", payment, "NO") == "declined"
    after = shell(LOOK_UP.format(url=server.url, id=payment["transaction_id"]))
    assert after["label"]["value"] == "fraud"
    assert after["challenge"]["answer"] == "no"
    assert server.client.call("GET", "/accounts/user_001")[1]["held_since"] is not None


@needs_curl
def test_yes_approves_it(server: ServerProcess) -> None:
    """YES from the right phone approves the payment and labels it genuine."""
    payment = pay(server, "user_002")
    assert payment["status"] == "challenged"
    assert answer_question(server, "user_002", payment, "yes.") == "approved"


@needs_curl
@pytest.mark.parametrize(("user", "merchant"), [("user_003", "Bookshop on the Corner"), ("user_004", "Zz 123 GmbH")])
def test_the_merchants_name_changes_nothing(server: ServerProcess, user: str, merchant: str) -> None:
    """Any other new merchant leads to the same decision for the same reasons, none of which names it."""
    payment = pay(server, user, merchant)
    assert payment["status"] == "challenged"
    assert not any(merchant in reason["text"] for reason in payment["reasons"])


@needs_curl
def test_an_everyday_purchase_passes(server: ServerProcess) -> None:
    """A coffee of the same holder is approved without a question."""
    command = CREATE.format(url=server.url, user="user_005", merchant="Corner Coffee")
    payment = shell(command.replace("1500.00", "4.75").replace("Unknown Location", "Portland, OR"))
    assert (payment["status"], payment["reasons"]) == ("approved", [])


def test_silence_ends_in_review(tmp_path: Path) -> None:
    """A question that nobody answers in time sends the payment to an analyst, whose label ends it."""
    seed(tmp_path)
    with running_server(tmp_path, {"CARDWATCH_CHALLENGE_TTL_S": "1"}) as server:
        body = {
            "user_id": "user_001",
            "amount": 1500.00,
            "merchant": "Suspicious Store",
            "location": "Unknown Location",
        }
        payment = server.client.call("POST", "/transaction", body)[1]
        assert payment["status"] == "challenged"
        path = f"/transaction/{payment['transaction_id']}"
        deadline = time.monotonic() + 10
        while server.client.call("GET", path)[1]["status"] == "challenged" and time.monotonic() < deadline:
            time.sleep(0.1)
        silent = server.client.call("GET", path)[1]
        assert (silent["status"], silent["challenge"]["state"], silent["label"]) == ("in_review", "expired", None)
        label = {"label": "genuine", "source": "analyst"}
        assert server.client.call("POST", f"{path}/label", label)[1]["status"] == "approved"


@pytest.fixture
def uninstalled(tmp_path: Path) -> dict[str, str]:
    """An environment with every dependency but without the package, as after `pip install -r requirements.txt`."""
    packages = tmp_path / "packages"
    packages.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "cardwatch" not in entry.name and entry.suffix != ".pth":
            (packages / entry.name).symlink_to(entry)
    return {**clean_environment(), "PYTHONPATH": str(packages)}


@pytest.mark.parametrize(
    ("folder", "command"),
    [
        ("infrastructure", ["seed_db.py", "all", "--data-dir", "{out}"]),
        ("lambdas/score", ["prepare_data.py", "--accounts", "350", "--out", "{out}"]),
    ],
)
def test_the_guides_scripts_work_where_the_package_is_not_installed(
    folder: str, command: list[str], uninstalled: dict[str, str], tmp_path: Path
) -> None:
    """The scripts find `src` beside them."""
    arguments = [part.format(out=tmp_path / "out") for part in command]
    done = subprocess.run(
        [sys.executable, "-S", *arguments],
        cwd=ROOT / folder,
        capture_output=True,
        text=True,
        check=False,
        env=uninstalled,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert any((tmp_path / "out").iterdir())
