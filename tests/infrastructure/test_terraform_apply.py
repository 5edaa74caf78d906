"""`terraform apply` and `destroy` against moto's server: types, references and arguments are right.

Not proved by it: that permissions suffice (moto enforces none), quotas, key policies, throttling, caching. Off here,
because moto lacks them: autoscaling, the stage cache and its settings by path, notifications of budgets.
"""

import json
import os
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.moto import ACCOUNT_ID, REGION, Moto, ToolMissing, running_moto
from tests.support.terraform import FUNCTIONS, State, Terraform, TerraformMissing, plugin_folder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        os.environ.get("CARDWATCH_TEST_AWS") != "1",
        reason="heavy: installs moto into an environment of its own, takes minutes; set CARDWATCH_TEST_AWS=1",
    ),
]

FORGOTTEN = {
    "aws_lambda_function": "the logging config of a function",
    "aws_sagemaker_model": "network isolation",
    "aws_sagemaker_endpoint_configuration": "that nothing is captured",
    "aws_sagemaker_endpoint": "the deployment config, and what it is made of is replaced",
    "aws_sqs_queue": "the spaces in a redrive policy",
    "aws_vpc_security_group_ingress_rule": "the description of a rule",
}
"""What moto does not give back as it was given, by type of resource: a second plan wants to set it again."""


@pytest.fixture(scope="module")
def moto() -> Iterator[Moto]:
    """Run moto's server."""
    try:
        plugin_folder()
        with running_moto() as server:
            yield server
    except (ToolMissing, TerraformMissing) as missing:
        pytest.skip(str(missing))


def ask(moto: Moto, service: str, action: str) -> Any:
    """Ask moto something, with credentials that it does not check."""
    import boto3.session

    session = boto3.session.Session("testing", "testing", region_name=REGION)
    return getattr(session.client(service, endpoint_url=moto.url), action)()


def variables(moto: Moto) -> dict[str, object]:
    """Return all that moto knows to make, in its own VPC."""
    vpc = ask(moto, "ec2", "describe_vpcs")["Vpcs"][0]["VpcId"]
    return {
        "deletion_protection": False,
        "deletion_window_days": 7,
        "api_key_names": ["test"],
        "alarm_emails": ["ops@example.com"],
        "scorer": "sagemaker",
        "scoring": "inline",
        "reserved_concurrency": {"score": 5},
        "email": {
            "from": "bank@example.com",
            "identity_arn": f"arn:aws:ses:{REGION}:{ACCOUNT_ID}:identity/example.com",
        },
        "network": {
            "vpc_id": vpc,
            "subnet_ids": [subnet["SubnetId"] for subnet in ask(moto, "ec2", "describe_subnets")["Subnets"]][:2],
            "route_table_ids": [
                table["RouteTableId"] for table in ask(moto, "ec2", "describe_route_tables")["RouteTables"]
            ],
        },
        "sagemaker": {
            "image_uri": f"{ACCOUNT_ID}.dkr.ecr.{REGION}.amazonaws.com/cardwatch:1",
            "champion_model_url": "s3://models/champion.tar.gz",
            "autoscaling": False,
        },
    }


@pytest.fixture(scope="module")
def home(moto: Moto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Terraform, State, dict[str, object]]]:
    """Apply once; whatever is left is destroyed."""
    terraform = Terraform(tmp_path_factory.mktemp("terraform"), environment=moto.environment)
    chosen = variables(moto)
    state = terraform.apply(**chosen)
    yield terraform, state, chosen
    terraform.destroy(**chosen)
    assert ask(moto, "dynamodb", "list_tables")["TableNames"] == []
    assert ask(moto, "lambda", "list_functions")["Functions"] == []
    assert ask(moto, "sqs", "list_queues").get("QueueUrls", []) == []


def test_apply_makes_everything(home: tuple[Terraform, State, dict[str, object]]) -> None:
    """One apply makes all; its outputs are what the guide asks for."""
    _, state, _ = home
    assert len(state.resources) > 200
    outputs = state.outputs
    url = urllib.parse.urlsplit(outputs["webhook_url"])
    assert (url.scheme, url.path) == ("https", "/v1/webhook/twilio")
    assert outputs["webhook_url"] == f"{outputs['api_url']}/webhook/twilio"
    assert outputs["table_names"]["transactions"] == "FraudDetection-Transactions"
    assert set(outputs["dlq_urls"]) == set(FUNCTIONS)
    assert outputs["function_settings"]["webhook"]["CARDWATCH_PUBLIC_URL"] == outputs["api_url"]


def test_policies_that_were_made_are_narrow(home: tuple[Terraform, State, dict[str, object]]) -> None:
    """No policy in the account has a wildcard action, whatever the plan knew."""
    _, state, _ = home
    policies = {a: r["policy"] for a, r in state.resources.items() if a.startswith("aws_iam_role_policy.")}
    assert len(policies) == len(FUNCTIONS) + 2
    for address, text in policies.items():
        for statement in json.loads(text)["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            assert not any("*" in action for action in actions), address


def test_secrets_are_empty_and_tables_encrypted(home: tuple[Terraform, State, dict[str, object]]) -> None:
    """No state holds a secret; tables, queues and secrets are under the one key."""
    _, state, _ = home
    key = state.resources["aws_kms_key.this"]["arn"]
    assert not any(address.startswith("aws_secretsmanager_secret_version") for address in state.resources)
    for address, values in state.resources.items():
        if address.startswith("aws_dynamodb_table."):
            assert values["server_side_encryption"][0]["kms_key_arn"] == key
        if address.startswith(("aws_sqs_queue.", "aws_sns_topic.")):
            assert values["kms_master_key_id"] == key
        if address.startswith(("aws_secretsmanager_secret.", "aws_cloudwatch_log_group.")):
            assert values["kms_key_id"] == key


def test_second_plan_changes_only_what_moto_forgot(home: tuple[Terraform, State, dict[str, object]]) -> None:
    """Applying again finds everything as it was left."""
    terraform, _, chosen = home
    changes = terraform.plan(**chosen).content["resource_changes"]
    changed = {c["address"]: c["type"] for c in changes if c["change"]["actions"] not in (["no-op"], ["read"])}
    assert {address: kind for address, kind in changed.items() if kind not in FORGOTTEN} == {}
