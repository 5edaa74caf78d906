"""The API that Terraform will make, read from its plan: who may call it, what it refuses, what it never logs."""

import json
import re
from pathlib import Path

import pytest

from tests.support.terraform import Plan, TerraformMissing, default_plan

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SERVING = Path(__file__).parents[2] / "src" / "cardwatch" / "entrypoints" / "aws"

OPEN_ROUTES = frozenset({
    "POST /webhook/twilio", "POST /webhook/twilio/status", "GET /answer/{token+}", "HEAD /answer/{token+}",
    "POST /answer/{token+}", "GET /healthz",
})  # fmt: skip


@pytest.fixture
def plan() -> Plan:
    """Return the plan with every variable at its default."""
    try:
        return default_plan()
    except TerraformMissing as missing:
        pytest.skip(str(missing))


def test_api_needs_a_key_but_where_senders_are_proved_otherwise(plan: Plan) -> None:
    """Webhooks and links are signed, healthz tells nothing; every other route needs a key."""
    methods = {route: m for route, m in plan.of("aws_api_gateway_method").items() if m["http_method"] != "OPTIONS"}
    assert {route for route, method in methods.items() if not method["api_key_required"]} == OPEN_ROUTES
    assert {
        "POST /transaction", "GET /transaction/{id}", "GET /transactions", "POST /transaction/{id}/label",
        "GET /accounts", "GET /accounts/{user_id}", "PUT /accounts/{user_id}",
    } <= set(methods)  # fmt: skip
    assert len(plan.of("aws_api_gateway_usage_plan")) == 1


def test_each_route_goes_to_the_function_that_serves_it(plan: Plan) -> None:
    """API Gateway and the functions know the same routes."""
    served = {
        (f"{method} {path}", source.stem)
        for source in SERVING.glob("*.py")
        for method, path in re.findall(r'Route\("([A-Z]+)", "([^"]+)"', source.read_text("utf-8"))
    }
    if not served:
        pytest.skip("the functions are not here yet")
    function_of = {f["function_name"]: key for key, f in plan.of("aws_lambda_function").items()}
    allowed = plan.of("aws_lambda_permission")
    assert {(route, function_of[p["function_name"]]) for route, p in allowed.items()} == served


def test_api_validates_throttles_and_caches_nothing(plan: Plan) -> None:
    """Bodies that are no object are refused before a function runs; limits stand; nothing is answered from a cache."""
    methods = plan.of("aws_api_gateway_method")
    assert {route for route, method in methods.items() if method["request_models"]} == {
        "POST /transaction", "POST /transaction/{id}/label", "PUT /accounts/{user_id}",
    }  # fmt: skip
    ((settings,),) = [m["settings"] for m in plan.of("aws_api_gateway_method_settings").values()]
    assert settings["throttling_rate_limit"] == 100
    assert settings["caching_enabled"] is False
    assert settings["data_trace_enabled"] is False
    assert settings["logging_level"] == "ERROR"
    (stage,) = plan.of("aws_api_gateway_stage").values()
    assert stage["cache_cluster_enabled"] is False


def test_access_log_names_routes_and_never_paths_or_addresses(plan: Plan) -> None:
    """Paths carry tokens of links; addresses are personal."""
    (stage,) = plan.of("aws_api_gateway_stage").values()
    logged = set(json.loads(stage["access_log_settings"][0]["format"]).values())
    assert "$context.resourcePath" in logged
    assert not logged & {"$context.path", "$context.identity.sourceIp", "$context.identity.userAgent"}


def test_browsers_may_ask_first_everywhere_but_on_a_links_page(plan: Plan) -> None:
    """Every path of the API answers OPTIONS with the configured origin."""
    routes = {route for route, m in plan.of("aws_api_gateway_method").items() if m["http_method"] != "OPTIONS"}
    paths = {route.split(" ")[1] for route in routes}
    answers = plan.of("aws_api_gateway_integration_response")
    assert set(answers) == paths - {"/answer/{token+}"}
    for answer in answers.values():
        assert answer["response_parameters"]["method.response.header.Access-Control-Allow-Origin"] == "'*'"


def test_api_answers_problems_as_the_functions_do(plan: Plan) -> None:
    """What API Gateway answers by itself has the types and statuses of the API."""
    for kind, response in plan.of("aws_api_gateway_gateway_response").items():
        problem = json.loads(response["response_templates"]["application/json"])
        assert problem["type"].startswith("urn:cardwatch:problem:"), kind
        assert str(problem["status"]) == response["status_code"]
        retry = "gatewayresponse.header.Retry-After" in response["response_parameters"]
        assert retry == (problem["status"] in {429, 503})


def test_firewall_reads_no_cardholders_words(plan: Plan) -> None:
    """Managed rules and the limit pass the webhooks by; what is logged has neither keys nor paths."""
    (acl,) = plan.of("aws_wafv2_web_acl").values()
    for rule in acl["rule"]:
        scope = json.dumps(rule["statement"])
        assert "not_statement" in scope, rule["name"]
        assert json.dumps("^(/v1)/webhook/twilio(/status)?$") in scope, rule["name"]
    (logging,) = plan.of("aws_wafv2_web_acl_logging_configuration").values()
    redacted = json.dumps(logging["redacted_fields"])
    for field in ("x-api-key", "authorization", "x-twilio-signature"):
        assert field in redacted
    assert sum(bool(field["uri_path"]) for field in logging["redacted_fields"]) == 1
