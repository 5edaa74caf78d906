"""Deploying to SageMaker: each run against an account that remembers, and fails when told to."""

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cardwatch.models.bundle import write_bundle
from tests.fakes.sagemaker_server import FakeSageMaker, nobodys_credentials, running_sagemaker
from tests.support.bundles import make_facts, train_booster

pytest.importorskip("boto3", reason="boto3 comes with the extra 'aws'")

from infrastructure.sagemaker.deployment.archives import PICKLE
from infrastructure.sagemaker.deployment.planning import TAG

from infrastructure import deploy_sagemaker

pytestmark = pytest.mark.slow

ENDPOINT = "fraud-detection-endpoint"
GIVEN = {
    "AWS_REGION": "us-east-2",
    "SAGEMAKER_ROLE_ARN": "arn:aws:iam::123456789012:role/SageMakerExecutionRole",
    "S3_BUCKET_NAME": "models",
    "CARDWATCH_SAGEMAKER_IMAGE": "123456789012.dkr.ecr.us-east-2.amazonaws.com/cardwatch:1",
}
MAKING = {"CreateModel", "CreateEndpointConfig", "CreateEndpoint", "UpdateEndpoint", "s3:PUT"}
REMOVING = {"DeleteModel", "DeleteEndpointConfig", "DeleteEndpoint"}

Deploy = Callable[..., tuple[int, str]]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeSageMaker]:
    """Serve an empty account, and be in an empty folder with everything set."""
    here = tmp_path / "home" / "infrastructure"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    with running_sagemaker() as account:
        wanted = {**nobodys_credentials(tmp_path), **GIVEN, "CARDWATCH_AWS_ENDPOINT_URL": account.url}
        wanted["CARDWATCH_DATA_DIR"] = str(tmp_path / "data")
        for name in [name for name in os.environ if name not in wanted]:
            monkeypatch.delenv(name)
        for name, value in wanted.items():
            monkeypatch.setenv(name, value)
        yield account


@pytest.fixture
def deploy(fake: FakeSageMaker, capsys: pytest.CaptureFixture[str]) -> Deploy:
    """Return what runs the script quickly; it gives the exit code and what was printed."""

    def run(*arguments: str, wait_minutes: float = 1.0) -> tuple[int, str]:
        fake.calls.clear()
        quick = ["--poll-seconds", "0.005", "--wait-minutes", str(wait_minutes)]
        code = deploy_sagemaker.main([*quick, *arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return code, said.out

    return run


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Write another bundle than the shipped one."""
    folder = tmp_path_factory.mktemp("other") / "bundle"
    text = train_booster(("amount", "night")).model_to_string()
    write_bundle(folder, facts=make_facts(("amount", "night")), model_text=text, card="# Other")
    return str(folder)


def made(fake: FakeSageMaker) -> list[str]:
    """Return the calls that change something, in order."""
    return [call for call in fake.calls if call in MAKING | REMOVING]


def standing(fake: FakeSageMaker) -> tuple[int, int, int]:
    """Count endpoints, configs and models."""
    return len(fake.endpoints), len(fake.configs), len(fake.models)


def serving(fake: FakeSageMaker) -> str:
    """Return the config that the endpoint serves with."""
    found = fake.endpoints[ENDPOINT]
    assert found["EndpointStatus"] == "InService"
    name: str = found["EndpointConfigName"]
    return name


def test_the_first_run_makes_everything_in_order_and_proves_it(fake: FakeSageMaker, deploy: Deploy) -> None:
    """Without arguments the shipped bundle; what is made is tagged and runs without network."""
    code, said = deploy()
    assert code == 0, said
    assert made(fake) == ["s3:PUT", "CreateModel", "CreateEndpointConfig", "CreateEndpoint"]
    assert "smoke test of champion: scores equal to this machine's in every bit" in said
    assert f"{ENDPOINT}: Creating" in said
    [model], [config] = fake.models.values(), fake.configs.values()
    assert model["EnableNetworkIsolation"] is True
    assert model["ExecutionRoleArn"] == GIVEN["SAGEMAKER_ROLE_ARN"]
    assert model["PrimaryContainer"]["Image"] == GIVEN["CARDWATCH_SAGEMAKER_IMAGE"]
    for one in (model, config, fake.endpoints[ENDPOINT]):
        assert one["Tags"] == [{"Key": TAG, "Value": ENDPOINT}]
    assert "DataCaptureConfig" not in config
    assert serving(fake) in fake.configs


def test_the_same_again_changes_nothing(fake: FakeSageMaker, deploy: Deploy) -> None:
    """Everything is found, and the endpoint proves itself again."""
    deploy()
    code, said = deploy()
    assert (code, made(fake)) == (0, [])
    assert "has this config already" in said
    assert "smoke test of champion" in said


def test_another_bundle_updates_in_place(fake: FakeSageMaker, deploy: Deploy, other: str) -> None:
    """By a new config beside the former one, which stays for the way back."""
    deploy()
    former = serving(fake)
    code, said = deploy("--bundle", other)
    assert code == 0, said
    assert made(fake) == ["s3:PUT", "CreateModel", "CreateEndpointConfig", "UpdateEndpoint"]
    assert serving(fake) != former
    assert former in fake.configs


@pytest.mark.parametrize("end", ["Failed", "never"])
def test_a_first_creation_that_fails_leaves_nothing(fake: FakeSageMaker, deploy: Deploy, end: str) -> None:
    """Whether SageMaker gives up or we do; the line says why, the archive stays."""
    fake.fails = [end]
    code, said = deploy(wait_minutes=0.003)
    assert code == 1
    assert standing(fake) == (0, 0, 0)
    why = "did not pass the ping health check" if end == "Failed" else "still Creating after"
    assert why in said
    assert "everything that was made is removed again" in said
    assert len(fake.objects) == 1


@pytest.mark.parametrize("end", ["kept", "Failed"])
def test_an_update_that_fails_leaves_the_former_config_serving(
    fake: FakeSageMaker, deploy: Deploy, other: str, end: str
) -> None:
    """Kept by SageMaker itself, or made again where the endpoint failed as a whole."""
    deploy()
    former = serving(fake)
    fake.fails = [end]
    code, said = deploy("--bundle", other)
    assert code == 1
    assert serving(fake) == former
    assert standing(fake) == (1, 1, 1)
    assert f"serves with {former} again" in said
    assert "did not pass the ping health check" in said


def test_an_update_that_takes_too_long_is_left_to_end(fake: FakeSageMaker, deploy: Deploy, other: str) -> None:
    """SageMaker takes no other change meanwhile; nothing is removed, and the next run goes on."""
    deploy()
    former = serving(fake)
    fake.fails = ["never"]
    code, said = deploy("--bundle", other, wait_minutes=0.003)
    assert code == 1
    assert f"until it ends {former} serves: run this again to go on" in said
    assert standing(fake) == (1, 2, 2)
    fake.endpoints[ENDPOINT]["end"] = "InService"
    code, said = deploy("--bundle", other)
    assert (code, made(fake)) == (0, []), said
    assert serving(fake) != former


def test_a_model_that_scores_otherwise_is_rolled_back(fake: FakeSageMaker, deploy: Deploy, other: str) -> None:
    """The smoke test compares with this machine; the endpoint was updated, and is updated back."""
    deploy()
    former = serving(fake)
    fake.shift = 0.001
    code, said = deploy("--bundle", other)
    assert code == 1
    assert "smoke test: champion scores" in said
    assert made(fake)[-4:] == ["UpdateEndpoint", "UpdateEndpoint", "DeleteEndpointConfig", "DeleteModel"]
    assert serving(fake) == former


def test_a_first_model_that_scores_otherwise_is_removed(fake: FakeSageMaker, deploy: Deploy) -> None:
    """Nothing serves that was not proved."""
    fake.shift = 1e-6
    assert deploy()[0] == 1
    assert standing(fake) == (0, 0, 0)


@pytest.mark.parametrize("operation", ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"])
def test_what_aws_refuses_is_one_line_and_leaves_nothing(fake: FakeSageMaker, deploy: Deploy, operation: str) -> None:
    """A role without rights, a quota: its code and its words, and what was made before is removed."""
    fake.refuse[operation] = ("ResourceLimitExceeded", "The account-level service limit is 0 Instances")
    code, said = deploy()
    assert code == 1
    assert "ResourceLimitExceeded: The account-level service limit is 0 Instances" in said.splitlines()[-1]
    assert standing(fake) == (0, 0, 0)


def test_going_back_that_fails_too_is_said(fake: FakeSageMaker, deploy: Deploy) -> None:
    """Both causes, in one line."""
    fake.fails, fake.refuse["DeleteEndpoint"] = ["Failed"], ("AccessDeniedException", "not allowed")
    code, said = deploy()
    assert code == 1
    assert "ping health check" in said.splitlines()[-1]
    assert "going back failed too: removing endpoint" in said.splitlines()[-1]


def test_an_earlier_failure_of_ours_is_cleared_away(fake: FakeSageMaker, deploy: Deploy) -> None:
    """A failed endpoint can only be removed; one that was not made here is not touched."""
    deploy()
    fake.endpoints[ENDPOINT]["EndpointStatus"] = "Failed"
    assert deploy()[0] == 0
    assert made(fake) == ["DeleteEndpoint", "CreateEndpoint"]
    fake.endpoints[ENDPOINT] |= {"EndpointStatus": "Failed", "Tags": []}
    code, said = deploy()
    assert (code, made(fake)) == (1, [])
    assert "was not made by this script: remove it with `aws sagemaker delete-endpoint" in said


def test_delete_removes_what_was_made_and_nothing_else(fake: FakeSageMaker, deploy: Deploy, other: str) -> None:
    """By its tag: neither another endpoint's things nor what has a like name but no tag."""
    deploy()
    deploy("--bundle", other)
    deploy("--endpoint-name", f"{ENDPOINT}-eu")
    fake.models[f"{ENDPOINT}-mine"] = {"ModelArn": "arn:mine", "ModelName": f"{ENDPOINT}-mine"}
    assert deploy("--delete", "--dry-run")[0] == 0
    assert made(fake) == []
    code, said = deploy("--delete")
    assert code == 0, said
    assert made(fake) == ["DeleteEndpoint", *["DeleteEndpointConfig"] * 2, *["DeleteModel"] * 2]
    assert set(fake.endpoints) == {f"{ENDPOINT}-eu"}
    assert standing(fake) == (1, 1, 2)
    assert "there is nothing to remove" in deploy("--delete")[1]


def test_delete_leaves_an_endpoint_of_others_alone(fake: FakeSageMaker, deploy: Deploy) -> None:
    """One without our tag."""
    deploy()
    fake.endpoints[ENDPOINT]["Tags"] = []
    code, said = deploy("--delete")
    assert (code, made(fake)) == (1, [])
    assert "was not made by this script (it lacks its tag): it is left alone" in said


def test_two_variants_share_requests_and_both_are_proved(fake: FakeSageMaker, deploy: Deploy, other: str) -> None:
    """An A/B test by weights, with what passed through kept on request."""
    code, said = deploy("--challenger", other, "--challenger-weight", "0.2", "--capture-percent", "5")
    assert code == 0, said
    [config] = fake.configs.values()
    weights = {one["VariantName"]: one["InitialVariantWeight"] for one in config["ProductionVariants"]}
    assert weights == {"champion": 0.8, "challenger": 0.2}
    assert fake.invoked == ["champion", "challenger"]
    assert config["DataCaptureConfig"]["InitialSamplingPercentage"] == 5
    assert config["DataCaptureConfig"]["DestinationS3Uri"].startswith("s3://models/")


def test_a_shadow_gets_copies(fake: FakeSageMaker, deploy: Deploy, other: str) -> None:
    """It answers nobody, also not the smoke test."""
    code, said = deploy("--shadow", other)
    assert code == 0, said
    [config] = fake.configs.values()
    assert [one["VariantName"] for one in config["ShadowProductionVariants"]] == ["shadow"]
    assert fake.invoked == ["champion"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--challenger", "default", "--shadow", "default"), "a challenger or a shadow, not both"),
        (("--challenger", "default", "--challenger-weight", "1"), "--challenger-weight must be above 0 and below 1"),
        (("--capture-percent", "101"), "--capture-percent must be between 0 and 100"),
        (("--instances", "0"), "--instances must be at least 1"),
        (("--endpoint-name", "fraud_endpoint"), "letters, digits and hyphens"),
        (("--bundle", "nowhere"), "there is no model nowhere"),
    ],
)
def test_what_cannot_be_is_refused_before_aws_is_asked(
    fake: FakeSageMaker, deploy: Deploy, arguments: tuple[str, ...], line: str
) -> None:
    """In one line."""
    code, said = deploy(*arguments)
    assert code == 1
    assert line in said.splitlines()[-1]
    assert fake.calls == []


def test_every_missing_value_is_a_line_that_says_how_to_get_it(
    fake: FakeSageMaker, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them at once; the guide's placeholder is no role."""
    for name in GIVEN:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SAGEMAKER_ROLE_ARN", "arn:aws:iam::YOUR_ACCOUNT:role/SageMakerExecutionRole")
    code, said = deploy()
    assert (code, fake.calls) == (2, [])
    lines = said.splitlines()
    assert [line.split()[0] for line in lines] == list(GIVEN)
    assert "export AWS_REGION=" in lines[0]
    assert "YOUR_ACCOUNT:role/SageMakerExecutionRole, which cannot be" in lines[1]
    assert "aws s3 mb" in lines[2]
    assert "--image" in lines[3]
    assert deploy("--delete")[0] == 2


def test_a_dry_run_asks_nothing_of_aws(fake: FakeSageMaker, deploy: Deploy) -> None:
    """It names everything that would be made."""
    code, said = deploy("--dry-run")
    assert (code, fake.calls) == (0, [])
    assert said.splitlines()[-1] == "nothing was done"
    deploy()
    assert all(name in said for name in (*fake.models, *fake.configs, *fake.objects))


def test_no_bucket_and_no_credentials_are_a_line_each(
    fake: FakeSageMaker, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each says what to do."""
    fake.buckets.clear()
    assert "there is no bucket models: make it with `aws s3 mb s3://models --region us-east-2`" in deploy()[1]
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert "there are no AWS credentials: run `aws configure`" in deploy()[1]


@pytest.mark.parametrize("where", [".", ".."])
def test_a_pickled_model_is_imported_and_deployed(fake: FakeSageMaker, deploy: Deploy, where: str) -> None:
    """Option A of the guide: the file in the current folder or its parent, with no argument."""
    names = ("amt", "hour", "is_night", "is_weekend")
    model = {"model": train_booster(names), "threshold": 0.4, "feature_names": list(names)}
    (Path(where) / PICKLE).write_bytes(pickle.dumps(model))
    code, said = deploy()
    assert code == 0, said
    assert "its code runs apart" in said
    assert "amt is amount" in said
    assert "imported-" in next(iter(fake.objects))


def test_a_pickle_that_cannot_be_used_is_one_line(fake: FakeSageMaker, deploy: Deploy) -> None:
    """And nothing is asked of AWS."""
    Path(PICKLE).write_bytes(b"no pickle")
    code, said = deploy()
    assert (code, fake.calls) == (1, [])
    assert PICKLE in said.splitlines()[-1]
