"""Links in messages: looking answers nothing, the form does, once, and the page leads to the other answer beside it."""

import re
from urllib.parse import urlencode

import pytest

from cardwatch.domain.transaction import Status
from tests.entrypoints.aws.homes import FORM, LINK_KEY, Cloud
from tests.entrypoints.http.answering import Question, ask_by_email


@pytest.fixture
def cloud() -> Cloud:
    """Return the functions."""
    return Cloud(CARDWATCH_EMAIL_FROM="bank@example.com", AWS_REGION="us-east-2")


@pytest.fixture
def question(cloud: Cloud) -> Question:
    """Return a question that was e-mailed."""
    return ask_by_email(cloud.store, "txn_1", key=LINK_KEY.encode(), at_ms=cloud.clock.now_ms())


def press(cloud: Cloud, token: str, **fields: str) -> dict[str, object]:
    """Open a link's page and send its form."""
    page = cloud.call("GET", f"/answer/{token}")["body"]
    form = re.search(r'name="form" value="([^"]+)"', page)
    assert form is not None, page
    return cloud.call("POST", f"/answer/{token}", urlencode({"form": form[1], **fields}), headers=FORM)


def test_looking_changes_nothing(cloud: Cloud, question: Question) -> None:
    """Programs open links before people do; HEAD is answered too."""
    for method in ("GET", "HEAD", "GET"):
        answer = cloud.call(method, f"/answer/{question.confirm}")
        assert (answer["statusCode"], answer["headers"]["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert answer["headers"]["Cache-Control"] == "no-store"
    assert cloud.status("txn_1") is Status.CHALLENGED


def test_no_declines_and_yes_takes_the_digits(cloud: Cloud, question: Question) -> None:
    """A YES without the card's last digits does nothing; a NO needs none."""
    assert press(cloud, question.confirm)["statusCode"] == 422
    assert cloud.status("txn_1") is Status.CHALLENGED
    assert press(cloud, question.confirm, digits="7391")["statusCode"] == 200
    assert cloud.status("txn_1") is Status.APPROVED
    assert press(cloud, question.deny)["statusCode"] == 200
    assert cloud.status("txn_1") is Status.IN_REVIEW


def test_page_leads_to_the_other_answer_below_any_stage(cloud: Cloud, question: Question) -> None:
    """Its address is relative: the API's stage stands before it."""
    page = cloud.call("GET", f"/answer/{question.confirm}")["body"]
    assert f'href="{question.deny}"' in page


@pytest.mark.parametrize("token", ["nothing", "a/b/c", "%ff", "x" * 2000, ""])
def test_what_is_no_link_gets_a_page(cloud: Cloud, token: str) -> None:
    """In the reader's language, with 404."""
    answer = cloud.call("GET", f"/answer/{token}", headers={"Accept-Language": "de"})
    assert answer["statusCode"] == 404
    assert 'lang="de"' in answer["body"]


def test_form_of_another_link_is_not_taken(cloud: Cloud, question: Question) -> None:
    """And the page says that it can be sent again."""
    answer = cloud.call("POST", f"/answer/{question.deny}", "form=1.x", headers=FORM)
    assert answer["statusCode"] == 422
    assert cloud.call("POST", f"/answer/{question.deny}", "{}", headers={"Content-Type": "a/b"})["statusCode"] == 415
    assert cloud.status("txn_1") is Status.CHALLENGED


def test_without_its_key_nothing_is_shown(question: Question) -> None:
    """A page says that it does not work now; the cause is in the log."""
    cloud = Cloud(CARDWATCH_LINK_KEY="")
    assert cloud.call("GET", f"/answer/{question.confirm}")["statusCode"] == 500
