"""What Terraform will make, read from its plan: nothing is open, nothing lost, nothing unencrypted, no secret in sight.

The plan is made offline. It proves what is asked of AWS, not that AWS grants it: docs and `tests/support/moto.py` say
what stays unproven.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.terraform import (
    ACCOUNT_ID,
    CONFIGURATION,
    FUNCTIONS,
    Plan,
    Terraform,
    TerraformMissing,
    default_plan,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NO_NARROWER_RESOURCE = frozenset({
    "dynamodb:ListStreams", "xray:PutTraceSegments", "xray:PutTelemetryRecords",
})  # fmt: skip
"""Actions that AWS allows on all resources or none (Service Authorization Reference)."""

ARN = f"arn:aws:{{}}:us-east-2:{ACCOUNT_ID}:{{}}"


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Return an initialised copy."""
    try:
        return Terraform(tmp_path_factory.mktemp("terraform"))
    except TerraformMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def plan(terraform: Terraform) -> Plan:
    """Return the plan with every variable at its default."""
    del terraform  # it is here, or the test was skipped
    return default_plan()


def test_configuration_is_formatted_and_valid(terraform: Terraform) -> None:
    """`terraform fmt -check` and `validate` find nothing."""
    terraform.run("fmt", "-check", "-diff", str(CONFIGURATION))
    terraform.run("validate")


def test_only_the_aws_provider_is_used(terraform: Terraform) -> None:
    """No other provider has to be trusted or downloaded."""
    providers = terraform.run("providers")
    assert {line.split("provider[")[1].split("]")[0] for line in providers.splitlines() if "provider[" in line} == {
        "registry.terraform.io/hashicorp/aws"
    }


def test_no_action_has_a_wildcard(plan: Plan) -> None:
    """Every policy names its actions; the key's own policy alone leaves the account its administrators."""
    wild = {s.policy: s.actions for s in plan.statements() if any("*" in action for action in s.actions)}
    assert set(wild) == {"data.aws_iam_policy_document.key"}
    assert sum(1 for _ in plan.statements()) > 40


def test_resources_are_named_where_aws_knows_names(plan: Plan) -> None:
    """All resources are allowed only for actions that cannot be narrowed."""
    for statement in plan.statements():
        if "*" in statement.resources and statement.policy != "data.aws_iam_policy_document.key":
            assert statement.actions <= NO_NARROWER_RESOURCE, statement


def test_each_function_has_a_role_of_its_own(plan: Plan) -> None:
    """No function can do what another one needs."""
    roles = plan.of("aws_iam_role")
    assert set(FUNCTIONS) <= set(roles)
    assert len({roles[function]["name"] for function in FUNCTIONS}) == len(FUNCTIONS)
    assert set(plan.of("aws_iam_role_policy")) >= set(FUNCTIONS)


def allowed(plan: Plan, function: str, action: str) -> set[str | None]:
    """Return on what a function may do something."""
    policy = f'data.aws_iam_policy_document.function["{function}"]'
    return {r for s in plan.statements() if s.policy == policy and action in s.actions for r in s.resources}


def test_functions_may_do_no_more_than_their_part(plan: Plan) -> None:
    """Score and Sweep alone read the stream; who sends nothing reads no secret; nobody scans or makes tables."""
    tables = {name: ARN.format("dynamodb", f"table/FraudDetection-{name}") for name in ("Transactions", "Accounts")}
    for function in FUNCTIONS:
        assert bool(allowed(plan, function, "dynamodb:GetRecords")) == (function in {"score", "sweep"})
        assert bool(allowed(plan, function, "secretsmanager:GetSecretValue")) == (
            function not in {"transaction", "accounts"}
        )
        for action in ("dynamodb:Scan", "dynamodb:CreateTable", "secretsmanager:PutSecretValue", "iam:PassRole"):
            assert allowed(plan, function, action) == set()
    assert tables["Transactions"] not in allowed(plan, "accounts", "dynamodb:PutItem")
    assert allowed(plan, "transaction", "lambda:InvokeFunction") == set()
    assert allowed(plan, "score", "lambda:InvokeFunction") == {ARN.format("lambda", "function:FraudDetection-Notify")}
    assert allowed(plan, "accounts", "sqs:SendMessage") == {ARN.format("sqs", "FraudDetection-Accounts-DLQ")}


def test_every_function_and_mapping_has_a_failure_destination(plan: Plan) -> None:
    """What cannot be handled lies in a queue for 14 days, whoever called."""
    queues = plan.of("aws_sqs_queue")
    assert set(queues) - {"given_up"} == set(plan.of("aws_lambda_function")) == set(FUNCTIONS)
    assert {queue["message_retention_seconds"] for queue in queues.values()} == {14 * 86_400}
    configs = plan.of("aws_lambda_function_event_invoke_config")
    assert set(configs) == set(FUNCTIONS)
    for config in configs.values():
        assert len(config["destination_config"][0]["on_failure"]) == 1
    mappings = plan.of("aws_lambda_event_source_mapping")
    assert set(mappings) == {"score", "given_up"}
    assert len(mappings["score"]["destination_config"][0]["on_failure"]) == 1
    # A mapping of a queue has no destination of its own (AWS): the queue's redrive is it.
    redrive = json.loads(queues["given_up"]["redrive_policy"])
    assert redrive == {"deadLetterTargetArn": ARN.format("sqs", "FraudDetection-Score-DLQ"), "maxReceiveCount": 5}
    for schedule in plan.of("aws_scheduler_schedule").values():
        assert len(schedule["target"][0]["dead_letter_config"]) == 1


def test_score_is_woken_by_new_payments_alone(plan: Plan) -> None:
    """The mapping filters, halves bad batches, reports single failures, and gives up in bounded tries and time."""
    mapping = plan.of("aws_lambda_event_source_mapping")["score"]
    pattern = json.loads(mapping["filter_criteria"][0]["filter"][0]["pattern"])
    assert pattern == {"eventName": ["INSERT"], "dynamodb": {"NewImage": {"status": {"S": ["pending"]}}}}
    assert mapping["bisect_batch_on_function_error"] is True
    assert mapping["function_response_types"] == ["ReportBatchItemFailures"]
    assert 0 <= mapping["maximum_retry_attempts"] <= 100
    assert 60 <= mapping["maximum_record_age_in_seconds"] <= 86_400
    assert mapping["batch_size"] == 100


def test_every_table_is_encrypted_and_recoverable(plan: Plan) -> None:
    """Under the key of the stack, with recovery to any point in time, safe from a slip of the hand."""
    tables = plan.of("aws_dynamodb_table")
    assert len(tables) == 4
    for key, table in tables.items():
        assert table["server_side_encryption"][0]["enabled"] is True
        # The key is ours: its ARN is not known before it exists. AWS's own would be null here.
        assert plan.unknown(f'aws_dynamodb_table.this["{key}"]')["server_side_encryption"] == [{"kms_key_arn": True}]
        assert table["point_in_time_recovery"][0]["enabled"] is True
        assert table["deletion_protection_enabled"] is True
        assert table["billing_mode"] == "PAY_PER_REQUEST"


def test_tables_are_those_that_the_adapter_uses(plan: Plan) -> None:
    """Names, keys, indexes, stream and expiry are those of the adapter's own table of tables."""
    tables = pytest.importorskip("cardwatch.adapters.dynamodb.tables", reason="the DynamoDB adapter is not here yet")
    names = pytest.importorskip("cardwatch.adapters.dynamodb.names").TableNames()
    planned = plan.of("aws_dynamodb_table")
    assert {table.value for table in tables.TABLES} == set(planned)
    for table, definition in tables.TABLES.items():
        request = tables.create_request(definition, names.of(table))
        assert _as_request(planned[table.value]) == _sorted(request), table
        expiry = [ttl["attribute_name"] for ttl in planned[table.value].get("ttl") or () if ttl["enabled"]]
        assert expiry == ([tables.TTL_ATTRIBUTE] if definition.ttl else [])


def _as_request(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a planned table as the request that would make it."""

    def keys(of: Mapping[str, Any]) -> list[dict[str, str]]:
        pairs = [(of["hash_key"], "HASH"), (of["range_key"], "RANGE")]
        return [{"AttributeName": name, "KeyType": role} for name, role in pairs if name]

    request: dict[str, Any] = {
        "TableName": table["name"],
        "AttributeDefinitions": [{"AttributeName": a["name"], "AttributeType": a["type"]} for a in table["attribute"]],
        "KeySchema": keys(table),
        "BillingMode": table["billing_mode"],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": index["name"],
                "KeySchema": keys(index),
                "Projection": {"ProjectionType": index["projection_type"]},
            }
            for index in table["global_secondary_index"]
        ],
    }
    if table["stream_enabled"]:
        request["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": table["stream_view_type"]}
    return _sorted(request)


def _sorted(request: dict[str, Any]) -> dict[str, Any]:
    return request | {
        "AttributeDefinitions": sorted(request["AttributeDefinitions"], key=lambda a: str(a["AttributeName"])),
        "GlobalSecondaryIndexes": sorted(request.get("GlobalSecondaryIndexes", ()), key=lambda i: str(i["IndexName"])),
    }


def test_functions_are_the_guides(plan: Plan) -> None:
    """Names, handlers and runtime are those that the setup guide and its packages have."""
    functions = plan.of("aws_lambda_function")
    assert {key: (f["function_name"], f["handler"]) for key, f in functions.items()} == {
        "transaction": ("FraudDetection-Transaction", "transaction.lambda_handler"),
        "score": ("FraudDetection-Score", "score.lambda_handler"),
        "notify": ("FraudDetection-Notify", "notify.lambda_handler"),
        "webhook": ("FraudDetection-Webhook", "twilio_webhook.lambda_handler"),
        "accounts": ("FraudDetection-Accounts", "accounts.lambda_handler"),
        "user_response": ("FraudDetection-UserResponse", "user_response.lambda_handler"),
        "sweep": ("FraudDetection-Sweep", "sweep.lambda_handler"),
    }
    assert {f["runtime"] for f in functions.values()} == {"python3.13"}
    assert {tuple(f["architectures"]) for f in functions.values()} == {("arm64",)}
    assert {f["tracing_config"][0]["mode"] for f in functions.values()} == {"Active"}


def settings_of(plan: Plan) -> Iterator[tuple[str, str, object]]:
    """Yield function, name and value (None: not known yet) of every variable of a function's environment."""
    change = plan.content["output_changes"]["function_settings"]
    for function in FUNCTIONS:
        unknown = change["after_unknown"]
        names = {**change["after"].get(function, {})}
        if isinstance(unknown, dict):
            names |= dict.fromkeys(unknown.get(function, {}), None) | change["after"].get(function, {})
        for name, value in names.items():
            yield function, name, value


def test_no_secret_stands_in_an_environment_or_in_state(plan: Plan) -> None:
    """Functions are told where secrets are; Terraform makes places for them and knows no value."""
    for _, name, _value in settings_of(plan):
        secret = any(word in name for word in ("TOKEN", "SECRET", "PASSWORD", "KEY", "CREDENTIAL", "ALERT_URLS"))
        assert not secret or name.endswith("_SECRET_ARN"), name
    assert set(plan.of("aws_secretsmanager_secret")) == {"twilio", "api"}
    assert plan.of("aws_secretsmanager_secret_version") == {}
    assert plan.of("aws_api_gateway_api_key") == {}


def test_functions_are_told_what_the_setting_table_knows(plan: Plan) -> None:
    """Every variable of an environment is a setting of Cardwatch."""
    from cardwatch.runtime.setting_table import TABLE

    known = {setting.name for setting in TABLE}
    if "CARDWATCH_TWILIO_SECRET_ARN" not in known:
        pytest.skip("the settings of the serverless home are not here yet")
    assert {name for _, name, _ in settings_of(plan)} - known == set()
    told = {(function, name): value for function, name, value in settings_of(plan)}
    assert told["score", "NOTIFY_LAMBDA_NAME"] == "FraudDetection-Notify"
    assert ("score", "CARDWATCH_TWILIO_SECRET_ARN") not in told
    assert {told[function, "TRANSACTIONS_TABLE"] for function in FUNCTIONS} == {"FraudDetection-Transactions"}


def test_every_log_is_kept_for_a_year_and_encrypted(plan: Plan) -> None:
    """Functions, API and firewall: no group is left to be made without a retention."""
    groups = plan.of("aws_cloudwatch_log_group")
    assert {group["retention_in_days"] for group in groups.values()} == {365}
    assert {f"/aws/lambda/{f['function_name']}" for f in plan.of("aws_lambda_function").values()} <= {
        group.get("name") for group in groups.values()
    }
    for address in plan.created:
        if address.startswith("aws_cloudwatch_log_group."):
            assert plan.unknown(address)["kms_key_id"] is True, address


def test_alarms_watch_every_function_and_queue(plan: Plan) -> None:
    """Errors, throttles and depth of each; age of the stream, answers and late redeliveries once."""
    names = set(plan.of("aws_cloudwatch_metric_alarm"))
    for function in plan.of("aws_lambda_function").values():
        name = function["function_name"]
        assert {f"{name}-errors", f"{name}-throttles", f"{name}-DLQ-depth"} <= names
    assert {"FraudDetection-iterator-age", "FraudDetection-late-redeliveries", "answer_rate", "sweep_silent"} <= names


def test_own_metrics_are_those_that_the_functions_write(plan: Plan) -> None:
    """Alarms and dashboard name metrics and dimensions that exist."""
    telemetry = pytest.importorskip("cardwatch.runtime.aws.telemetry", reason="the serverless home is not here yet")
    known = set(telemetry.COUNTERS) | set(telemetry.UNITS)
    for alarm in plan.of("aws_cloudwatch_metric_alarm").values():
        queries = [query["metric"][0] for query in alarm["metric_query"] if query["metric"]]
        for metric in queries or [alarm]:
            if not metric["namespace"].startswith("AWS/"):
                name, dimensions = metric["metric_name"], set(metric["dimensions"] or ())
                bare = name in telemetry.ALARMED and not dimensions
                assert bare or dimensions == set(telemetry.COUNTERS[name]), name
    shown = (Path(CONFIGURATION) / "dashboard.tf").read_text("utf-8")
    assert {name for name in known if name in shown} >= {"fraud_score", "decisions_total", "replies_total"}


def test_dashboard_shows_the_model_and_the_tables(plan: Plan) -> None:
    """Scores, precision from answers, and item counts have their places."""
    (dashboard,) = plan.of("aws_cloudwatch_dashboard").values()
    titles = {widget["properties"]["title"] for widget in json.loads(dashboard["dashboard_body"])["widgets"]}
    assert {"Scores: percentiles", "Alert precision and answer rate, percent", "Items by table"} <= titles
