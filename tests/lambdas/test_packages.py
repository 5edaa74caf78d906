"""The packages: the same bytes twice, nothing heavy, small enough; and each runs alone under AWS's runtime client."""

import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from tools.package_contents import FUNCTIONS, contents_of
from tools.package_lambdas import PLATFORMS, Target, build, find_python

from tests.entrypoints.aws.events import body_of, proxy_event
from tests.entrypoints.aws.homes import FORM, JSON
from tests.fakes.twilio.numbers import AUTH_TOKEN
from tests.fakes.twilio.webhooks import signature
from tests.support.runtime_api import RuntimeMissing, as_lambda_sends, running_function

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

IMPORT_MS_MAX = 300
FIRST_RECORD_S_MAX = 1.0
ZIPPED_BYTES_MAX = 50_000_000
NEVER = (
    "litestar",
    "numpy",
    "pandas",
    "scipy",
    "polars",
    "pydantic",
    "boto3",
    "botocore",
    "uvicorn",
    "sklearn/",
    "rich/",
)
PUBLIC_URL = "https://api.example.org/prod"

PYTHON = find_python("3.13") or sys.executable
VERSION = "3.13" if find_python("3.13") else f"{sys.version_info.major}.{sys.version_info.minor}"
"""Lambda's Python where this machine has it, else this one: the package is then built for it."""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return all packages, built for this machine."""
    built = build(list(FUNCTIONS), Target("x86_64", VERSION), out=tmp_path_factory.mktemp("dist"), bytecode=True)
    return {name: package.path for name, package in built.items()}


@pytest.fixture(scope="module")
def unpacked(packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the packages' folders."""
    base = tmp_path_factory.mktemp("task")
    for name, path in packages.items():
        with zipfile.ZipFile(path) as package:
            package.extractall(base / name)
    return {name: base / name for name in packages}


@pytest.fixture(scope="module")
def tables() -> tuple[Any, Any, dict[str, str]]:
    """Return clients, names and environment of fresh tables behind an emulator; skips where none can run."""
    pytest.importorskip("boto3", reason="boto3 is not installed (the extra `aws`)")
    from cardwatch.adapters.dynamodb import create_tables
    from tests.support.dynoxide import REGION, DynoxideMissing, fresh_names, session_clients, session_url

    try:
        clients = session_clients()
    except DynoxideMissing as missing:
        pytest.skip(str(missing))
    names = fresh_names()
    create_tables(clients.tables, names)
    return (
        clients,
        names,
        {
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "CARDWATCH_AWS_ENDPOINT_URL": session_url(),
            "TRANSACTIONS_TABLE": names.transactions,
            "ACCOUNTS_TABLE": names.accounts,
            "CARDWATCH_STATES_TABLE": names.states,
            "CARDWATCH_CONVERSATIONS_TABLE": names.conversations,
            "CARDWATCH_PUBLIC_URL": PUBLIC_URL,
            "TWILIO_ACCOUNT_SID": "AC1",
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "TWILIO_FROM_NUMBER": "+12025550199",
        },
    )


def call(package: Path, handler: str, event: Mapping[str, Any], environment: Mapping[str, str]) -> Any:
    """Run a package for one event; returns its answer."""
    try:
        with running_function(package, handler, python=PYTHON, environment=environment) as (api, _):
            answer = api.invoke(event)
    except RuntimeMissing as missing:
        pytest.skip(str(missing))
    assert not answer.error, answer.payload
    return answer.payload


def stream_records(clients: Any, names: Any) -> list[dict[str, Any]]:
    """Return the records of the payments table's stream as Lambda sends them."""
    arn = clients.tables.describe_table(TableName=names.transactions)["Table"]["LatestStreamArn"]
    shard = clients.streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    start = {"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
    iterator = clients.streams.get_shard_iterator(**start)["ShardIterator"]
    records: list[dict[str, Any]] = as_lambda_sends(clients.streams.get_records(ShardIterator=iterator)["Records"])
    return records


@pytest.mark.parametrize("architecture", sorted(PLATFORMS))
def test_same_tree_gives_the_same_bytes(architecture: str, tmp_path: Path) -> None:
    """Twice, for each architecture; with the libraries of that architecture."""
    target = Target(architecture, "3.13")
    first, second = (build(["score"], target, out=tmp_path / each, bytecode=True)["score"].path for each in ("a", "b"))
    assert _differing(first, second) == []
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as package:
        libraries = {name: package.read(name)[18] for name in package.namelist() if ".so" in name}
    machine = {"x86_64": 0x3E, "arm64": 0xB7}[architecture]
    assert {"lib/libgomp.so.1", "lightgbm/lib/lib_lightgbm.so"} <= libraries.keys()
    assert set(libraries.values()) == {machine}


def _differing(first: Path, second: Path) -> list[str]:
    """Return the names of entries that are not the same in two packages."""
    with zipfile.ZipFile(first) as one, zipfile.ZipFile(second) as other:
        sums = [{entry.filename: entry.CRC for entry in package.infolist()} for package in (one, other)]
    return sorted(name for name, _ in sums[0].items() ^ sums[1].items())


def test_packages_hold_what_is_needed_and_no_more(packages: dict[str, Path]) -> None:
    """No framework, no training, no path of this machine; Twilio's client only where texts are sent."""
    for function, path in packages.items():
        with zipfile.ZipFile(path) as package:
            names = package.namelist()
        assert names == sorted(names)
        assert path.stat().st_size < ZIPPED_BYTES_MAX
        assert not [name for name in names if name.startswith(NEVER)], function
        assert not [name for name in names if name.startswith(("cardwatch/learning", "cardwatch/console"))]
        assert not [name for name in names if name.endswith(("RECORD", "direct_url.json")) or "/tests/" in name]
        twilio = [name for name in names if name.startswith("twilio/") and name.endswith(".py")]
        expected = {"notify": "twilio/rest/__init__.py", "webhook": "twilio/request_validator.py"}.get(function)
        assert (expected in twilio) if expected else not twilio
        assert len(twilio) == 2 or function != "webhook"


def test_every_import_of_a_function_is_known() -> None:
    """A new library in the code has to be named, or the build says so."""
    for function in FUNCTIONS:
        assert contents_of(function).handlers


@pytest.mark.parametrize(
    ("function", "module"), [("score", "score"), ("score", "score_sagemaker"), ("transaction", "transaction")]
)
def test_hot_handlers_import_fast_and_light(unpacked: dict[str, Path], function: str, module: str) -> None:
    """Within 300 ms of processor time besides boto3, the best of three clean processes."""
    probe = (
        f"import sys, time; sys.path.insert(0, {str(unpacked[function])!r}); started = time.process_time(); "
        f"import {module}; print((time.process_time() - started) * 1000); "
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    runs = [
        subprocess.run([PYTHON, "-B", "-S", "-s", "-c", probe], capture_output=True, text=True, check=True).stdout
        for _ in range(3)
    ]
    loaded = set(runs[0].splitlines()[1].split())
    assert not loaded & {"numpy", "pandas", "scipy", "lightgbm", "pydantic", "twilio", "litestar", "boto3"}
    assert min(float(run.splitlines()[0]) for run in runs) < IMPORT_MS_MAX


def test_score_answers_its_first_record_within_a_second(
    unpacked: dict[str, Path], tables: tuple[Any, Any, dict[str, str]]
) -> None:
    """From the unpacked zip in a process of its own, over real stream records; the best of three cold starts."""
    clients, names, environment = tables
    took = []
    for number in range(3):
        body = {"transaction_id": f"txn_{number}", "user_id": "u", "amount": "4.75", "merchant": "Corner Cafe"}
        body["location"] = "Seattle, WA"
        event = proxy_event("POST", "/transaction", json.dumps(body), headers=JSON)
        taken = call(unpacked["transaction"], "transaction.lambda_handler", event, environment)
        assert taken["statusCode"] == 202
        record = next(
            r for r in stream_records(clients, names) if r["dynamodb"]["Keys"]["transaction_id"]["S"] == f"txn_{number}"
        )
        with running_function(unpacked["score"], "score.lambda_handler", python=PYTHON, environment=environment) as (
            api,
            _,
        ):
            while api.asked_at is None:
                time.sleep(0.005)
            answer = api.invoke({"Records": [record]})
        assert answer.payload == {"batchItemFailures": []}
        took.append(answer.took_s)
        shown = call(
            unpacked["user_response"],
            "user_response.lambda_handler",
            proxy_event("GET", f"/transaction/txn_{number}"),
            environment,
        )
        assert body_of(shown)["status"] == "approved"
    assert min(took) < FIRST_RECORD_S_MAX, took


def test_every_other_package_answers(unpacked: dict[str, Path], tables: tuple[Any, Any, dict[str, str]]) -> None:
    """Each with what it holds alone."""
    _, _, environment = tables
    account = call(
        unpacked["accounts"],
        "accounts.lambda_handler",
        proxy_event(
            "PUT",
            "/accounts/user_1",
            '{"phone_number": "+12065550101", "home": {"location": "Madison, WI"}, "time_zone": "America/Chicago"}',
            headers=JSON,
        ),
        environment,
    )
    assert account["statusCode"] == 201
    assert round(body_of(account)["home"]["latitude"]) == 43
    fields = {"MessageSid": "SM1", "From": "+12065550101", "To": "+12025550199", "Body": "NO"}
    signed = {**FORM, "X-Twilio-Signature": signature(f"{PUBLIC_URL}/webhook/twilio", fields)}
    text = call(
        unpacked["webhook"],
        "twilio_webhook.lambda_handler",
        proxy_event("POST", "/webhook/twilio", urlencode(fields), headers=signed),
        environment,
    )
    assert text["statusCode"] == 200
    assert call(unpacked["notify"], "notify.lambda_handler", {}, environment) == {}
    swept = call(unpacked["sweep"], "sweep.lambda_handler", {}, environment)
    assert swept == {"expire": 0, "escalate": 0, "send": 0}
    shown = call(
        unpacked["user_response"], "user_response.lambda_handler", proxy_event("GET", "/transaction/x"), environment
    )
    assert shown["statusCode"] == 404
