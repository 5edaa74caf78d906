"""Secrets Manager and Lambda on a socket: what is asked, what comes back, and what an error says."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cardwatch.domain.errors import OperatingError
from cardwatch.entrypoints.aws.clients import AwsClients

pytest.importorskip("boto3", reason="boto3 is not installed (the extra `aws`)")


@dataclass
class Aws:
    """What was asked, and what is answered."""

    url: str = ""
    status: int = 200
    answer: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """Serve one endpoint for all services."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    state = Aws()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            state.asked.append((self.path, dict(self.headers), body))
            page = json.dumps(state.answer).encode()
            self.send_response(state.status)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: Any) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield state
    server.shutdown()
    server.server_close()


@pytest.fixture
def clients(aws: Aws) -> AwsClients:
    """Return the clients for it."""
    return AwsClients(region="us-east-2", endpoint_url=aws.url)


def test_secret_is_read_by_its_arn(aws: Aws, clients: AwsClients) -> None:
    """Its text is returned as it is."""
    aws.answer = {"SecretString": '{"TWILIO_AUTH_TOKEN": "t"}'}
    assert clients.read_secret("arn:aws:secretsmanager:x") == '{"TWILIO_AUTH_TOKEN": "t"}'
    _, headers, body = aws.asked[0]
    assert headers["X-Amz-Target"] == "secretsmanager.GetSecretValue"
    assert json.loads(body) == {"SecretId": "arn:aws:secretsmanager:x"}


def test_function_is_invoked_without_waiting(aws: Aws, clients: AwsClients) -> None:
    """As an event; its answer is nobody's."""
    aws.status = 202
    clients.invoke("FraudDetection-Notify", b'{"message_ids": []}')
    path, headers, body = aws.asked[0]
    assert path == "/2015-03-31/functions/FraudDetection-Notify/invocations"
    assert (headers["X-Amz-Invocation-Type"], body) == ("Event", b'{"message_ids": []}')


def test_refusal_says_its_code_and_no_more(aws: Aws, clients: AwsClients) -> None:
    """AWS's sentences may quote what was asked."""
    aws.status, aws.answer = 400, {"__type": "AccessDeniedException", "Message": "user +12065550101 may not"}
    with pytest.raises(OperatingError) as refused:
        clients.read_secret("arn")
    assert str(refused.value) == "the secret cannot be read (AccessDeniedException)"


def test_endpoint_out_of_reach_is_an_operating_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may pass later."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    with pytest.raises(OperatingError, match="EndpointConnectionError"):
        AwsClients(region="us-east-2", endpoint_url="http://127.0.0.1:9").invoke("f", b"{}")
