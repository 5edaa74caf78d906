"""What the variables of the Terraform configuration turn on, and what they refuse."""

import json
import re

import pytest

from tests.support.terraform import ACCOUNT_ID, CONFIGURATION, Plan, Terraform, TerraformFailed, TerraformMissing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

VARIABLE_FILES = ("variables.tf", "variables_optional.tf")
TOPIC = "arn:aws:cognito-idp:us-east-2:123456789012:userpool/us-east-2_abcdefghi"
IMAGE = "123456789012.dkr.ecr.us-east-2.amazonaws.com/cardwatch:1"

EVERYTHING: dict[str, object] = {
    "account_id": ACCOUNT_ID,
    "public_url": "https://fraud.example.com",
    "billing_mode": "provisioned",
    "scoring": "inline",
    "scorer": "sagemaker",
    "fraud_threshold": 0.5,
    "authorization": "cognito",
    "cognito": {"user_pool_arns": [TOPIC], "scopes": ["cardwatch/payments"]},
    "cache": {"enabled": True},
    "cors_origin": "https://console.example.com",
    "reserved_concurrency": {"score": 5},
    "network": {"vpc_id": "vpc-1", "subnet_ids": ["subnet-1", "subnet-2"], "route_table_ids": ["rtb-1"]},
    "email": {
        "from": "bank@example.com",
        "identity_arn": "arn:aws:ses:us-east-2:123456789012:identity/example.com",
        "configuration_set": "fraud",
    },
    "sagemaker": {"image_uri": IMAGE, "champion_model_url": "s3://models/champion.tar.gz"},
    "budget": {"monthly_usd": 250},
    "alarm_emails": ["ops@example.com"],
    "twilio_from_number": "+12065550100",
}


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Return an initialised copy."""
    try:
        return Terraform(tmp_path_factory.mktemp("terraform"))
    except TerraformMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def everything(terraform: Terraform) -> Plan:
    """Return the plan with all that is optional."""
    return terraform.plan(**EVERYTHING)


def variables() -> dict[str, str]:
    """Return the text of each variable's block by its name."""
    text = "\n".join((CONFIGURATION / name).read_text("utf-8") for name in VARIABLE_FILES)
    return dict(re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', text, flags=re.DOTALL | re.MULTILINE))


def test_every_variable_is_described_typed_and_checked() -> None:
    """A wrong value is refused with a sentence before anything is made; true and false need no check but their type."""
    assert len(variables()) > 30
    for name, block in variables().items():
        assert re.search(r'^  description = ".+\."$', block, flags=re.MULTILINE), name
        assert re.search(r"^  type +=", block, flags=re.MULTILINE), name
        assert "validation {" in block or re.search(r"^  type +=\s+bool$", block, flags=re.MULTILINE), name
        assert "  default" in block, name


def test_every_variable_stands_in_the_readme() -> None:
    """The table of the README has every variable with its own description, and none that is no more."""
    readme = (CONFIGURATION / "README.md").read_text("utf-8")
    listed = dict(re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", readme, flags=re.MULTILINE))
    described = {
        name: re.findall(r'^  description = "(.*)"$', block, flags=re.MULTILINE)[0].replace('\\"', '"')
        for name, block in variables().items()
    }
    assert listed == described


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("runtime", "python3.9", "runtime must be python3.12 or python3.13"),
        ("account_id", "1234", "account_id must be 12 digits"),
        ("settings", {"TWILIO_AUTH_TOKEN": "x"}, "settings may hold no secret"),
        ("stream", {"retries": -1}, "stream.retries must lie between 0 and 100"),
        ("authorization", "jwt", "authorization jwt needs jwt_authorizer_function"),
        ("packages", {"trasaction": "x.zip"}, "packages knows transaction, score"),
        (
            "sagemaker",
            {"image_uri": IMAGE, "champion_model_url": "s3://mmm/a.tar.gz", "challenger_model_url": "s3://mmm/b.tar.gz",
             "shadow_model_url": "s3://mmm/c.tar.gz"},
            "sagemaker has a challenger or a shadow, not both",
        ),
    ],
)  # fmt: skip
def test_wrong_values_are_refused_with_a_sentence(
    terraform: Terraform, name: str, value: object, sentence: str
) -> None:
    """Whoever sets a variable wrongly reads what would do."""
    with pytest.raises(TerraformFailed) as refused:
        terraform.plan(**{"account_id": ACCOUNT_ID, name: value})
    assert sentence in " ".join(str(refused.value).replace("│", " ").split())


def test_missing_packages_are_named(terraform: Terraform) -> None:
    """Who did not build the packages first is told to."""
    with pytest.raises(TerraformFailed, match="make package"):
        terraform.plan(account_id=ACCOUNT_ID, packages={"score": "elsewhere/score.zip"})


def test_provisioned_tables_scale(everything: Plan) -> None:
    """Each table and each index follows its use, for reads and writes alike."""
    tables = everything.of("aws_dynamodb_table")
    assert {table["billing_mode"] for table in tables.values()} == {"PROVISIONED"}
    places = sum(1 + len(table["global_secondary_index"]) for table in tables.values())
    scaled = [t for t in everything.of("aws_appautoscaling_target").values() if t["service_namespace"] == "dynamodb"]
    assert len(scaled) == 2 * places
    assert "table/FraudDetection-Transactions/index/by_day" in {target["resource_id"] for target in scaled}


def test_cached_answers_depend_on_credentials(everything: Plan) -> None:
    """Only GET requests that need credentials are cached, keyed on them, on the path and on the query."""
    cached = {
        route: set(integration["cache_key_parameters"])
        for route, integration in everything.of("aws_api_gateway_integration").items()
        if integration["cache_key_parameters"]
    }
    assert set(cached) == {
        "GET /transaction/{id}", "GET /transaction/{id}/reasons", "GET /transactions", "GET /accounts",
        "GET /accounts/{user_id}",
    }  # fmt: skip
    for keys in cached.values():
        assert {"method.request.header.X-API-Key", "method.request.header.Authorization"} <= keys
    assert "method.request.path.id" in cached["GET /transaction/{id}"]
    assert "method.request.querystring.cursor" in cached["GET /transactions"]
    for settings in everything.of("aws_api_gateway_method_settings").values():
        assert settings["settings"][0]["require_authorization_for_cache_control"] is True
        assert settings["settings"][0]["cache_data_encrypted"] is True


def test_tokens_take_the_place_of_keys(everything: Plan) -> None:
    """With Cognito every route that needs credentials needs a token, and no key is asked for."""
    methods = {r: m for r, m in everything.of("aws_api_gateway_method").items() if m["http_method"] != "OPTIONS"}
    assert not any(method["api_key_required"] for method in methods.values())
    tokens = {route for route, method in methods.items() if method["authorization"] == "COGNITO_USER_POOLS"}
    assert "POST /transaction" in tokens
    assert {route.split("/")[1].split(" ")[0] for route in set(methods) - tokens} == {"webhook", "answer", "healthz"}
    assert everything.of("aws_api_gateway_usage_plan") == {}


def test_another_issuers_tokens_are_judged_by_ones_own_function(terraform: Terraform) -> None:
    """With jwt the named function authorises, and API Gateway may call it for that alone."""
    plan = terraform.plan(account_id=ACCOUNT_ID, authorization="jwt", jwt_authorizer_function="judge-tokens")
    assert plan.of("aws_api_gateway_method")["POST /transaction"]["authorization"] == "CUSTOM"
    assert plan.of("aws_lambda_permission")["authorizer"]["function_name"] == "judge-tokens"


def test_endpoint_has_two_variants_that_scale(everything: Plan) -> None:
    """Champion and challenger share by weight; both follow their requests; errors take a new config back."""
    (config,) = everything.of("aws_sagemaker_endpoint_configuration").values()
    weights = {v["variant_name"]: v["initial_variant_weight"] for v in config["production_variants"]}
    assert weights == {"champion": 9, "challenger": 1}
    assert not config["shadow_production_variants"]
    (endpoint,) = everything.of("aws_sagemaker_endpoint").values()
    alarms = endpoint["deployment_config"][0]["auto_rollback_configuration"][0]["alarms"]
    assert {alarm["alarm_name"] for alarm in alarms} == {
        "FraudDetection-endpoint-errors-champion", "FraudDetection-endpoint-errors-challenger",
    }  # fmt: skip
    scaled = {t["resource_id"] for t in everything.of("aws_appautoscaling_target").values()}
    assert "endpoint/fraud-detection-endpoint/variant/champion" in scaled
    assert {m["enable_network_isolation"] for m in everything.of("aws_sagemaker_model").values()} == {True}


def test_shadow_stands_beside_one_variant(terraform: Terraform) -> None:
    """SageMaker shadows a single variant only: with a shadow there is no challenger."""
    shadowed = {"image_uri": IMAGE, "champion_model_url": "s3://mmm/a.tar.gz", "shadow_model_url": "s3://mmm/b.tar.gz"}
    plan = terraform.plan(account_id=ACCOUNT_ID, scorer="sagemaker", sagemaker=shadowed)
    (config,) = plan.of("aws_sagemaker_endpoint_configuration").values()
    assert [variant["variant_name"] for variant in config["production_variants"]] == ["champion"]
    assert [variant["variant_name"] for variant in config["shadow_production_variants"]] == ["shadow"]


def test_functions_follow_the_variables(everything: Plan) -> None:
    """Handler, settings, concurrency and permissions change with the scorer, scoring and e-mail."""
    functions = everything.of("aws_lambda_function")
    assert functions["score"]["handler"] == "score_sagemaker.lambda_handler"
    assert functions["score"]["reserved_concurrent_executions"] == 5
    assert functions["notify"]["reserved_concurrent_executions"] == -1
    told = everything.output("function_settings")
    assert told["score"]["SAGEMAKER_ENDPOINT_NAME"] == "fraud-detection-endpoint"
    assert told["score"]["FRAUD_THRESHOLD"] == "0.5"
    assert told["score"]["TWILIO_FROM_NUMBER"] == "+12065550100"
    assert told["transaction"]["NOTIFY_LAMBDA_NAME"] == "FraudDetection-Notify"
    assert "SAGEMAKER_ENDPOINT_NAME" not in told["notify"]
    mail = [s for s in everything.statements() if "ses:SendEmail" in s.actions]
    assert [statement.policy for statement in mail] == ['data.aws_iam_policy_document.function["notify"]']


def test_no_action_has_a_wildcard_with_everything_on(everything: Plan) -> None:
    """What is optional is no less narrow."""
    wild = {s.policy for s in everything.statements() if any("*" in action for action in s.actions)}
    assert wild == {"data.aws_iam_policy_document.key"}


def test_urls_are_those_of_ones_own_domain(everything: Plan) -> None:
    """The webhook to paste into Twilio, and what signatures are made for, name the domain before the API."""
    assert everything.output("webhook_url") == "https://fraud.example.com/webhook/twilio"
    assert everything.output("function_settings")["webhook"]["CARDWATCH_PUBLIC_URL"] == "https://fraud.example.com"
    (acl,) = everything.of("aws_wafv2_web_acl").values()
    assert json.dumps("^(/v1)?/webhook/twilio(/status)?$") in json.dumps(acl)


def test_network_has_endpoints_for_what_functions_call(everything: Plan) -> None:
    """Functions run in the VPC, reach AWS by endpoints, and the endpoint of the tables lets no other table through."""
    assert set(everything.of("aws_vpc_endpoint")) >= {
        "dynamodb",
        "secretsmanager",
        "sqs",
        "lambda",
        "sagemaker.runtime",
    }
    for function in everything.of("aws_lambda_function").values():
        assert function["vpc_config"][0]["subnet_ids"] == ["subnet-1", "subnet-2"]
    (rule,) = everything.of("aws_vpc_security_group_egress_rule").values()
    assert (rule["from_port"], rule["to_port"]) == (443, 443)


def test_budget_and_alarms_reach_people(everything: Plan) -> None:
    """Alarms go to the topic and its subscribers; the budget rings before it is spent."""
    assert set(everything.of("aws_sns_topic_subscription")) == {"ops@example.com"}
    (budget,) = everything.of("aws_budgets_budget").values()
    assert budget["limit_amount"] == "250"
    assert {(n["threshold"], n["notification_type"]) for n in budget["notification"]} == {
        (80, "ACTUAL"), (100, "ACTUAL"), (100, "FORECASTED"),
    }  # fmt: skip
    alarms = everything.of("aws_cloudwatch_metric_alarm")
    assert alarms["FraudDetection-endpoint-latency-champion"]["threshold"] == 500_000
    (dashboard,) = everything.of("aws_cloudwatch_dashboard").values()
    assert "ModelLatency" in json.dumps(json.loads(dashboard["dashboard_body"]))
