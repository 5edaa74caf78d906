"""What a deployment packs and finds, and the script as a process; against moto, another's idea of SageMaker."""

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from cardwatch.adapters.models import PACKAGED, open_scorer
from cardwatch.features.engine import default_engine
from cardwatch.models.bundle import write_bundle
from tests.fakes.sagemaker_container import free_port, running_container
from tests.fakes.sagemaker_server import nobodys_credentials, running_sagemaker
from tests.support.bundles import make_facts, train_booster

pytest.importorskip("boto3", reason="boto3 comes with the extra 'aws'")

import boto3
from infrastructure.sagemaker.deployment.archives import PICKLE, find_bundle, pack
from infrastructure.sagemaker.deployment.errors import DeployError

SCRIPT = Path(__file__).parents[2] / "infrastructure" / "deploy_sagemaker.py"
ENDPOINT = "fraud-detection-endpoint"
GIVEN = {
    "AWS_REGION": "us-east-2",
    "SAGEMAKER_ROLE_ARN": "arn:aws:iam::123456789012:role/SageMakerExecutionRole",
    "S3_BUCKET_NAME": "models",
    "CARDWATCH_SAGEMAKER_IMAGE": "123456789012.dkr.ecr.us-east-2.amazonaws.com/cardwatch:1",
}
MOTO_SERVER = Path.home() / ".cache" / "cardwatch" / "moto" / "bin" / "moto_server"
"""Made by `uv venv` and `uv pip install 'moto[server]'`, apart from the product's own packages."""


def quiet(_: str) -> None:
    """Hear a line."""


def run(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the script as the guide does: in its own folder."""
    command = [sys.executable, SCRIPT.name, "--poll-seconds", "0.05", *arguments]
    return subprocess.run(
        command, cwd=SCRIPT.parent, env=environment, capture_output=True, text=True, check=False, timeout=110
    )


def test_the_archive_is_the_same_twice_and_holds_the_bundle_alone(tmp_path: Path) -> None:
    """No time, owner or stray file of this machine goes along; it opens as it lies in /opt/ml/model."""
    copy = tmp_path / "copy"
    shutil.copytree(PACKAGED, copy)
    (copy / "notes.txt").write_text("mine", "utf-8")
    os.utime(copy / "model.txt", (1, 1))
    first, second = (pack(one, work=tmp_path, say=quiet) for one in ("default", str(copy)))
    assert (first.body, first.key) == (second.body, second.key)
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(first.body))) as tar:
        assert tar.getnames() == ["bundle.json", "card.md", "model.txt"]
        tar.extractall(tmp_path / "opt", filter="data")
    row = [1.0] * len(default_engine().names)
    assert open_scorer(tmp_path / "opt").score(row) == first.scorer.score(row)


def test_the_guides_own_training_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Option B leaves its bundle in lambdas/score/model; with a pickle there too, neither is guessed."""
    script = tmp_path / "checkout" / "infrastructure" / "deploy_sagemaker.py"
    trained = tmp_path / "checkout" / "lambdas" / "score" / "model"
    for folder in (script.parent, trained):
        folder.mkdir(parents=True)
    monkeypatch.chdir(script.parent)
    lines = list[str]()
    assert find_bundle(None, script=script, say=lines.append) == "default"
    assert len(lines) == 1
    (trained / "bundle.json").touch()
    assert find_bundle(None, script=script, say=lines.append) == str(trained)
    (script.parent / PICKLE).touch()
    assert find_bundle("default", script=script, say=lines.append) == "default"
    with pytest.raises(DeployError, match="there are several models"):
        find_bundle(None, script=script, say=lines.append)


def test_the_script_runs_as_the_guide_prints_it(tmp_path: Path) -> None:
    """`cd infrastructure; python deploy_sagemaker.py`, as a process of its own."""
    with running_sagemaker() as fake:
        environment = {**nobodys_credentials(tmp_path), **GIVEN, "CARDWATCH_AWS_ENDPOINT_URL": fake.url}
        done = run("--bundle", "default", environment=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        assert fake.endpoints[ENDPOINT]["EndpointStatus"] == "InService"
    assert done.stdout.splitlines()[-1].startswith(f"done: {ENDPOINT} serves")


def test_it_runs_from_a_checkout_without_the_package_installed() -> None:
    """With the libraries alone on the path, and the package nowhere, the script finds `src` by itself."""
    libraries = str(Path(msgspec.__file__).parents[1])
    command = [sys.executable, "-S", str(SCRIPT), "--help"]  # -S leaves out what the editable install put on the path
    environment = {**os.environ, "PYTHONPATH": libraries}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "--challenger-weight" in done.stdout


@pytest.fixture
def moto(tmp_path: Path) -> Iterator[str]:
    """Run a moto server."""
    if not MOTO_SERVER.exists():
        pytest.skip(f"moto is not installed in {MOTO_SERVER.parents[1]}")
    url = f"http://127.0.0.1:{free_port()}"
    with (tmp_path / "moto.log").open("wb") as log:
        process = subprocess.Popen(
            [str(MOTO_SERVER), "-H", "127.0.0.1", "-p", url.rpartition(":")[2]], stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"{url}/moto-api/", timeout=5)
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline, "moto did not start"
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(15)


@pytest.mark.slow
def test_moto_takes_every_call_that_it_knows(moto: str, tmp_path: Path) -> None:
    """Made, found again, gone back from, and removed; our own container gives the scores.

    moto 5.2 has no UpdateEndpoint: it answers 500, and what was made for the update goes again.
    """
    environment = {**nobodys_credentials(tmp_path), **GIVEN, "CARDWATCH_AWS_ENDPOINT_URL": moto}
    keys: dict[str, Any] = {
        "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
        "endpoint_url": moto,
        "region_name": "us-east-2",
    }
    where = {"LocationConstraint": "us-east-2"}
    boto3.client("s3", **keys).create_bucket(Bucket="models", CreateBucketConfiguration=where)
    text = train_booster(("amount", "night")).model_to_string()
    write_bundle(tmp_path / "other", facts=make_facts(("amount", "night")), model_text=text, card="# Other")
    sagemaker = boto3.client("sagemaker", **keys)

    def counted() -> tuple[int, int, int]:
        endpoints, models = sagemaker.list_endpoints()["Endpoints"], sagemaker.list_models()["Models"]
        return len(endpoints), len(sagemaker.list_endpoint_configs()["EndpointConfigs"]), len(models)

    with running_container(PACKAGED, root=tmp_path) as url:
        environment["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"] = url
        for said in ("made model", "has this config already"):
            done = run("--bundle", "default", environment=environment)
            assert done.returncode == 0, done.stdout + done.stderr
            assert said in done.stdout
        done = run("--bundle", "default", "--capture-percent", "5", environment=environment)
        assert "updating endpoint" in done.stdout.splitlines()[-1]
        assert (done.returncode, counted()) == (1, (1, 1, 1))
        # The container holds the packaged model alone: a challenger of another version is found out.
        beside = ("--endpoint-name", "beside", "--challenger", str(tmp_path / "other"))
        done = run("--bundle", "default", *beside, environment=environment)
        assert "smoke test: challenger holds model simulated-" in done.stdout, done.stdout + done.stderr
        assert (done.returncode, counted()) == (1, (1, 1, 1))
    done = run("--delete", environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert counted() == (0, 0, 0)
