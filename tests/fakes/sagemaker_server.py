"""SageMaker on the loopback interface: an account that remembers what it was told, and fails when told to.

It speaks the wire formats of SageMaker's control plane (JSON 1.1), of S3 (the few verbs that are needed)
and of the runtime; its endpoints take a polled time to come up, fail when told to, and score by the model archive that
was uploaded. It does not judge roles, quotas, images or instance types.
"""

import gzip
import io
import json
import os
import re
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cardwatch.adapters.models import open_scorer
from cardwatch.adapters.scorers.bundle_scorer import BundleScorer
from cardwatch.entrypoints.sagemaker.invocations import Answer, answer_invocation
from cardwatch.features.engine import default_engine

ACCOUNT = "arn:aws:sagemaker:us-east-2:123456789012"


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """How the runtime answers instead of scoring."""

    status: int = 200
    code: str | None = None
    """AWS's name of the error."""
    body: bytes | None = None
    delay_s: float = 0.0


@dataclass
class FakeSageMaker:
    """An account: what is in it, what was asked, and what shall go wrong."""

    url: str = ""
    calls: list[str] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)
    """By bucket/key."""
    buckets: set[str] = field(default_factory=lambda: {"models"})
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    polls: int = 2
    """How often an endpoint is looked at before it has changed."""
    fails: list[str] = field(default_factory=list)
    """Status that each next change ends with instead of InService: "Failed", "kept" (the former one stays), "never"."""
    refuse: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Operation -> error code and message."""
    invocation: Invocation | None = None
    alternate: bool = False
    """Whether variants take turns; else the first answers whoever names none."""
    shift: float = 0.0
    """Added to every score: a model that is not the one that was packed."""
    scorers: dict[str, BundleScorer] = field(default_factory=dict)
    invoked: list[str] = field(default_factory=list)
    """The variants that were asked."""

    def control(self, operation: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Do one operation of the control plane."""
        self.calls.append(operation)
        if operation in self.refuse:
            code, message = self.refuse[operation]
            return 400, {"__type": code, "message": message}
        try:
            done: dict[str, Any] = getattr(self, "_" + re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower())(asked)
        except LookupError as error:
            return 400, {"__type": "ValidationException", "message": str(error)}
        return 200, done

    def _create_model(self, asked: dict[str, Any]) -> dict[str, Any]:
        return self._create(self.models, "model", asked["ModelName"], asked)

    def _create_endpoint_config(self, asked: dict[str, Any]) -> dict[str, Any]:
        for variant in (*asked["ProductionVariants"], *asked.get("ShadowProductionVariants", ())):
            self._find(self.models, variant["ModelName"], "model")
        return self._create(self.configs, "endpoint-config", asked["EndpointConfigName"], asked)

    def _create_endpoint(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._find(self.configs, asked["EndpointConfigName"], "endpoint configuration")
        made = self._create(self.endpoints, "endpoint", asked["EndpointName"], asked)
        self._change(asked["EndpointName"], "Creating", asked["EndpointConfigName"])
        return made

    def _update_endpoint(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = self._find(self.endpoints, asked["EndpointName"], "endpoint")
        self._find(self.configs, asked["EndpointConfigName"], "endpoint configuration")
        if found["EndpointStatus"] not in ("InService", "UpdateRollbackFailed"):
            raise LookupError(f"Cannot update a {found['EndpointStatus']} endpoint")
        self._change(asked["EndpointName"], "Updating", asked["EndpointConfigName"])
        return {"EndpointArn": found["EndpointArn"]}

    def _change(self, name: str, status: str, config: str) -> None:
        end = self.fails.pop(0) if self.fails else "InService"
        self.endpoints[name] |= {"EndpointStatus": status, "polls": self.polls, "end": end, "next": config}

    def _describe_endpoint(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = self._find(self.endpoints, asked["EndpointName"], "endpoint")
        if found["EndpointStatus"] == "Deleting":
            del self.endpoints[asked["EndpointName"]]
        elif found["EndpointStatus"] in ("Creating", "Updating") and found["end"] != "never":
            found["polls"] -= 1
            if found["polls"] < 0:
                self._settle(found)
        shown = {"EndpointName", "EndpointArn", "EndpointStatus", "EndpointConfigName", "FailureReason"}
        return {key: value for key, value in found.items() if key in shown} | {
            "CreationTime": 1.7e9,
            "LastModifiedTime": 1.7e9,
        }

    def _settle(self, found: dict[str, Any]) -> None:
        reason, config = "The primary container did not pass the ping health check.", found.pop("next")
        if found["end"] == "InService":
            found |= {"EndpointStatus": "InService", "EndpointConfigName": config}
            found.pop("FailureReason", None)
        elif found["end"] == "kept":
            found |= {"EndpointStatus": "InService", "FailureReason": reason}
        else:
            found |= {"EndpointStatus": "Failed", "FailureReason": reason}

    def _delete_endpoint(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._find(self.endpoints, asked["EndpointName"], "endpoint")["EndpointStatus"] = "Deleting"
        return {}

    def _delete_endpoint_config(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["EndpointConfigName"]
        self._find(self.configs, name, "endpoint configuration")
        live = [one for one in self.endpoints.values() if one["EndpointStatus"] != "Deleting"]
        assert all(name not in (one["EndpointConfigName"], one.get("next")) for one in live), f"{name} is in use"
        del self.configs[name]
        return {}

    def _delete_model(self, asked: dict[str, Any]) -> dict[str, Any]:
        del self.models[self._find(self.models, asked["ModelName"], "model")["ModelName"]]
        return {}

    def _describe_model(self, asked: dict[str, Any]) -> dict[str, Any]:
        return self._find(self.models, asked["ModelName"], "model") | {"CreationTime": 1.7e9}

    def _describe_endpoint_config(self, asked: dict[str, Any]) -> dict[str, Any]:
        return self._find(self.configs, asked["EndpointConfigName"], "endpoint configuration") | {"CreationTime": 1.7e9}

    def _list_models(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"Models": self._listed(self.models, "Model", asked)}

    def _list_endpoint_configs(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"EndpointConfigs": self._listed(self.configs, "EndpointConfig", asked)}

    def _listed(self, table: dict[str, dict[str, Any]], kind: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
        wanted = asked.get("NameContains", "")
        return [
            {f"{kind}Name": name, f"{kind}Arn": one[f"{kind}Arn"], "CreationTime": 1.7e9}
            for name, one in table.items()
            if wanted in name
        ]

    def _list_tags(self, asked: dict[str, Any]) -> dict[str, Any]:
        for table in (self.models, self.configs, self.endpoints):
            for one in table.values():
                if asked["ResourceArn"] in one.values():
                    return {"Tags": one.get("Tags", [])}
        raise LookupError("Could not find resource")

    def _create(self, table: dict[str, dict[str, Any]], kind: str, name: str, asked: dict[str, Any]) -> dict[str, Any]:
        if name in table:
            raise LookupError(f"Cannot create already existing {kind}")
        arn_name = {"model": "ModelArn", "endpoint-config": "EndpointConfigArn", "endpoint": "EndpointArn"}[kind]
        table[name] = {**asked, arn_name: f"{ACCOUNT}:{kind}/{name}"}
        return {arn_name: table[name][arn_name]}

    @staticmethod
    def _find(table: dict[str, dict[str, Any]], name: str, kind: str) -> dict[str, Any]:
        if name not in table:
            raise LookupError(f'Could not find {kind} "{ACCOUNT}:{kind}/{name}".')
        return table[name]

    def invoke(self, name: str, variant: str | None, body: bytes, content_type: str) -> tuple[int, str, str, bytes]:
        """Answer as the runtime does: status, error code, variant, body."""
        told = self.invocation
        if told is not None:
            time.sleep(told.delay_s)
            if told.code or told.body is not None:
                return told.status, told.code or "", "", told.body or b"{}"
        if name not in self.endpoints:
            return 400, "ValidationError", "", b"{}"
        variants = self.configs[self.endpoints[name]["EndpointConfigName"]]["ProductionVariants"]
        if self.alternate and variant is None:
            variants = [variants[len(self.invoked) % len(variants)]]
        chosen = next((one for one in variants if variant in (None, one["VariantName"])), None)
        if chosen is None:
            return 400, "ValidationError", "", b"{}"
        self.invoked.append(chosen["VariantName"])
        answer = self._scored(chosen["ModelName"], body, content_type)
        if answer.status == 200:
            return 200, "", chosen["VariantName"], answer.body
        model_error = {"OriginalStatusCode": answer.status, "OriginalMessage": answer.body.decode()}
        return 424, "ModelError", "", json.dumps(model_error).encode()

    def _scored(self, model: str, body: bytes, content_type: str) -> Answer:
        if model not in self.scorers:
            self.scorers[model] = self._loaded(self.models[model]["PrimaryContainer"]["ModelDataUrl"])
        features = len(default_engine().names)
        answer = answer_invocation(body, content_type, scorer=self.scorers[model], features=features)
        if not self.shift or answer.status != 200:
            return answer
        said = json.loads(answer.body)
        said["scores"] = [score + self.shift for score in said["scores"]]
        return Answer(200, answer.content_type, json.dumps(said).encode())

    def _loaded(self, url: str) -> BundleScorer:
        archive = self.objects[url.removeprefix("s3://")]
        with tempfile.TemporaryDirectory() as folder:
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive))) as tar:
                tar.extractall(folder, filter="data")
            return open_scorer(Path(folder))

    def s3(self, method: str, path: str, body: bytes) -> int:
        """Do one operation of S3; returns the status."""
        bucket, _, key = path.lstrip("/").partition("/")
        self.calls.append(f"s3:{method}")
        if bucket not in self.buckets:
            return 404
        if method == "PUT":
            self.objects[f"{bucket}/{key}"] = body
            return 200
        return 200 if not key or f"{bucket}/{key}" in self.objects else 404


_INVOCATIONS = re.compile(r"/endpoints/([^/]+)/invocations")


class _Handler(BaseHTTPRequestHandler):
    """Serves one connection."""

    protocol_version = "HTTP/1.1"
    fake: FakeSageMaker
    lock: threading.Lock

    def do_POST(self) -> None:
        """Take an invocation, or an operation of the control plane."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        found = _INVOCATIONS.fullmatch(self.path)
        if found:
            variant, kind = self.headers["X-Amzn-SageMaker-Target-Variant"], self.headers["Content-Type"]
            status, code, invoked, answer = self.fake.invoke(found[1], variant, body, kind)
            self._answer(status, answer, {"x-amzn-errortype": code, "x-Amzn-Invoked-Production-Variant": invoked})
            return
        operation = self.headers["X-Amz-Target"].partition(".")[2]
        with self.lock:
            status, done = self.fake.control(operation, json.loads(body))
        self._answer(status, json.dumps(done).encode())

    def do_HEAD(self) -> None:
        """Say whether a bucket or an object is there."""
        self._answer(self.fake.s3("HEAD", self.path.partition("?")[0], b""), b"")

    def do_PUT(self) -> None:
        """Keep an object, which comes whole and not in signed chunks."""
        assert "aws-chunked" not in self.headers.get("Content-Encoding", "")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(self.fake.s3("PUT", self.path.partition("?")[0], body), b"")

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        try:
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # who asked has stopped waiting
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def running_sagemaker() -> Iterator[FakeSageMaker]:
    """Serve an empty account on a free port of 127.0.0.1."""
    fake = FakeSageMaker()
    handler = type("Handler", (_Handler,), {"fake": fake, "lock": threading.Lock()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5.0)


def nobodys_credentials(folder: Path) -> dict[str, str]:
    """Return an environment for AWS's tools with credentials that nobody has, and nowhere else to look."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CARDWATCH_", "S3_"))}
    kept.pop("SAGEMAKER_ROLE_ARN", None)
    return {
        **kept,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
    }
