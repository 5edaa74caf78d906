"""Proxy events are read as the requests they were, and answers have the shape that API Gateway takes."""

import base64

import pytest

from cardwatch.entrypoints.aws.proxy import ApiResponse, find_route, read_event, write_event
from cardwatch.entrypoints.problem_details import HttpProblem
from tests.entrypoints.aws.events import body_of, proxy_event
from tests.entrypoints.aws.homes import FORM, JSON, PUBLIC_URL, Cloud
from tests.fakes.twilio.webhooks import signature


def test_headers_are_found_whatever_their_case() -> None:
    """HTTP/2 sends them in lower case, others as they like."""
    request = read_event(proxy_event("POST", "/transaction", "{}", headers={"CONTENT-type": "application/json"}))
    assert request.headers["content-type"] == "application/json"


def test_single_values_serve_where_there_are_no_lists() -> None:
    """A test event from the console has only those."""
    event = proxy_event("GET", "/transactions?limit=3", headers={"Prefer": "wait=1"})
    event |= {"multiValueHeaders": None, "multiValueQueryStringParameters": None}
    request = read_event(event)
    assert (request.headers["prefer"], request.query) == ("wait=1", (("limit", "3"),))


def test_event_with_nothing_in_it_is_a_request() -> None:
    """To nowhere; nothing raises."""
    request = read_event({})
    assert (request.method, request.path, request.query, request.body) == ("", "/", (), b"")


@pytest.mark.parametrize("binary", [False, True])
def test_body_is_the_same_base64_or_not(binary: bool) -> None:
    """A declared binary media type encodes it."""
    assert read_event(proxy_event("POST", "/transaction", "é=1", binary=binary)).body == "é=1".encode()


def test_broken_base64_is_malformed() -> None:
    """Nothing is read of it."""
    event = proxy_event("POST", "/transaction", "x", headers=JSON) | {"isBase64Encoded": True, "body": "%%%"}
    with pytest.raises(HttpProblem) as refused:
        read_event(event).read_body()
    assert refused.value.status == 400


@pytest.mark.parametrize("base_path", ["", "/v1", "/bank/cards"])
def test_base_path_of_a_custom_domain_is_no_part_of_the_route(base_path: str) -> None:
    """API Gateway puts it before the path, and not into the resource."""
    assert read_event(proxy_event("GET", "/accounts/user_001", base_path=base_path)).path == "/accounts/user_001"


@pytest.mark.parametrize(
    ("given", "kept"), [("my-request-0001", True), ("short", False), ("x" * 65, False), ("4111111111111111", False)]
)
def test_request_id_is_the_senders_where_it_is_usable(given: str, kept: bool) -> None:
    """Else API Gateway's; it is on the answer either way."""
    answer = Cloud().call("GET", "/healthz", headers={"X-Request-Id": given})
    assert (answer["headers"]["X-Request-Id"] == given) is kept
    assert len(answer["headers"]["X-Request-Id"]) >= 8


def test_text_goes_as_text_and_bytes_as_base64() -> None:
    """API Gateway decodes what is marked."""
    text = write_event(ApiResponse(body=b"{}"), request_id="r")
    picture = write_event(ApiResponse(body=b"\x89PNG", media_type="image/png"), request_id="r")
    assert (text["body"], text["isBase64Encoded"]) == ("{}", False)
    assert (base64.b64decode(picture["body"]), picture["isBase64Encoded"]) == (b"\x89PNG", True)


def test_unknown_path_and_method_are_problems() -> None:
    """As in the other home."""
    with pytest.raises(HttpProblem) as nowhere:
        find_route(read_event(proxy_event("GET", "/nope")), [])
    assert nowhere.value.status == 404
    answer = Cloud().call("DELETE", "/accounts/user_001")
    assert (answer["statusCode"], answer["headers"]["Allow"]) == (405, "GET, PUT")


@pytest.mark.parametrize("query", ["", "?message=a%3Ab", "?a=1+2&b=%C3%A9", "?a=1%202&b=", "?x=1&x=2"])
@pytest.mark.parametrize("binary", [False, True])
def test_signature_holds_for_the_address_as_it_was_written(query: str, binary: bool) -> None:
    """API Gateway decodes the query; both ways of writing a blank are tried."""
    fields = {"MessageSid": "SM1", "From": "+12065550101", "To": "+12025550199", "Body": "Grüße + 100%"}
    target = f"/webhook/twilio{query}"
    assert Cloud().post_signed(target, fields, binary=binary)["statusCode"] == 200


@pytest.mark.parametrize(
    "url", ["https://abc123.execute-api.us-east-2.amazonaws.com", "https://evil.example/prod", PUBLIC_URL + "/x"]
)
def test_signature_for_another_address_is_refused(url: str) -> None:
    """The Host header is never asked."""
    fields = {"MessageSid": "SM1", "From": "+12065550101", "To": "+12025550199", "Body": "YES"}
    headers = {**FORM, "X-Twilio-Signature": signature(f"{url}/webhook/twilio", fields)}
    body = "MessageSid=SM1&From=%2B12065550101&To=%2B12025550199&Body=YES"
    answer = Cloud().call("POST", "/webhook/twilio", body, headers={**headers, "Host": "evil.example"})
    assert answer["statusCode"] == 403
    assert body_of(answer)["type"] == "urn:cardwatch:problem:forbidden"


def test_key_is_needed_where_keys_are_configured() -> None:
    """Besides API Gateway's own; signed posts and links need none."""
    cloud = Cloud(CARDWATCH_API_KEYS="shop:a-secret-of-these-tests")
    assert cloud.call("GET", "/transactions")["statusCode"] == 401
    assert cloud.call("GET", "/transactions", headers={"X-API-Key": "shop:wrong"})["statusCode"] == 403
    for key in ("a-secret-of-these-tests", "shop:a-secret-of-these-tests"):
        assert cloud.call("GET", "/transactions", headers={"x-api-key": key})["statusCode"] == 200
    assert cloud.text("YES")["statusCode"] == 200
    assert cloud.call("GET", "/answer/no-such-link")["statusCode"] == 404
    assert cloud.call("GET", "/healthz")["statusCode"] == 200


def test_pages_of_one_origin_may_read_answers() -> None:
    """Where one is configured, errors too."""
    assert "Access-Control-Allow-Origin" not in Cloud().call("GET", "/transaction/none")["headers"]
    answer = Cloud(CARDWATCH_CORS_ORIGIN="https://shop.example").call("GET", "/transaction/none")
    assert answer["headers"]["Access-Control-Allow-Origin"] == "https://shop.example"
