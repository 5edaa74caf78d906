"""The files at the guide's paths: thin, each with its handler, over the home of their process."""

import importlib.util
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cardwatch.domain.errors import OperatingError
from cardwatch.entrypoints.aws.cold_start import use_home
from cardwatch.runtime.aws.home import Home
from cardwatch.runtime.json_logs import configure_logging
from cardwatch.runtime.settings import WrongSetting
from tests.entrypoints.aws.events import FakeContext, body_of, proxy_event, stream_of
from tests.entrypoints.aws.homes import JSON, Cloud

LAMBDAS = Path(__file__).parents[2] / "lambdas"
HANDLERS = {
    "transaction/transaction.py": "Transaction",
    "score/score.py": "Score",
    "score/score_sagemaker.py": "Score",
    "notify/notify.py": "Notify",
    "webhook/twilio_webhook.py": "Webhook",
    "accounts/accounts.py": "Accounts",
    "user_response/user_response.py": "UserResponse",
    "sweep/sweep.py": "Sweep",
}
LINES_MAX = 60


def handler_of(name: str) -> Any:
    """Return the handler in a file, loaded as Lambda does: by its name alone."""
    spec = importlib.util.spec_from_file_location(f"lambda_{Path(name).stem}", LAMBDAS / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.lambda_handler


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """Serve the handlers with a home of the test's."""
    running = Cloud()
    use_home(lambda: running.home)
    yield running
    use_home(None)


@pytest.mark.parametrize("name", HANDLERS)
def test_handler_is_thin(name: str) -> None:
    """Parse, one use case, respond: the rest is the package's."""
    text = (LAMBDAS / name).read_text("utf-8")
    assert text.count("\n") <= LINES_MAX
    assert f"FraudDetection-{HANDLERS[name]}" in text
    assert callable(handler_of(name))


def test_handlers_work_together(cloud: Cloud) -> None:
    """A payment through the files themselves."""
    body = {"transaction_id": "txn_1", "user_id": "user_001", "amount": "4.75", "merchant": "Corner Cafe"}
    post = proxy_event("POST", "/transaction", json.dumps(body), headers=JSON)
    assert handler_of("transaction/transaction.py")(post, FakeContext())["statusCode"] == 202
    assert handler_of("score/score.py")(stream_of(["txn_1"]), FakeContext()) == {"batchItemFailures": []}
    shown = handler_of("user_response/user_response.py")(proxy_event("GET", "/transaction/txn_1"), FakeContext())
    assert body_of(shown)["status"] == cloud.status("txn_1").value == "approved"
    account = handler_of("accounts/accounts.py")(proxy_event("GET", "/accounts/user_001"), FakeContext())
    assert account["statusCode"] == 200
    assert handler_of("sweep/sweep.py")({}, FakeContext()) == {"expire": 0, "escalate": 0, "send": 0}


@pytest.mark.parametrize(
    ("error", "status"), [(OperatingError("the secret cannot be read"), 503), (WrongSetting("X must be Y"), 500)]
)
def test_function_without_a_home_answers_a_problem(error: Exception, status: int) -> None:
    """API Gateway would say 502 and nothing else."""

    def broken() -> Home:
        raise error

    use_home(broken)
    try:
        answer = handler_of("accounts/accounts.py")(proxy_event("GET", "/accounts"), FakeContext())
    finally:
        use_home(None)
    assert answer["statusCode"] == status
    assert body_of(answer)["status"] == status


def test_logs_are_json_lines_without_personal_data(cloud: Cloud) -> None:
    """Each of an invocation carries its id; no number, name, text or merchant stands in any."""
    log = io.StringIO()
    configure_logging("debug", log)
    cloud.put_account(name="Grace Hopper", email="grace@example.com")
    cloud.pay("txn_1")
    cloud.text("NO, it was not me")
    cloud.call("POST", "/transaction", '{"user_id": "4111111111111111"}')
    cloud.call("PUT", "/accounts/user_001", {"phone_number": "+1555"})
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert len(lines) >= 5
    assert all(line["request_id"] for line in lines)
    shown = log.getvalue() + cloud.metrics.getvalue()
    for secret in ("+1206", "Grace", "grace@", "not me", "Suspicious", "4111", "+1555", "user_001"):
        assert secret not in shown
