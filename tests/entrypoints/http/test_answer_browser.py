"""What a cardholder does with the page behind a link, in a real browser with scripts switched off."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cardwatch.domain.languages import languages
from cardwatch.runtime.settings import read_settings
from tests.entrypoints.http.answering import CARD, HOUR_MS, Desk, Question, Special, now_ms
from tests.support.server import running_server

_CHROMIUM = Path("/usr/bin/chromium")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not _CHROMIUM.exists(), reason=f"there is no {_CHROMIUM}"),
]

_AHEAD_MS = 1_500
"""By then the browser has fetched what it wanted to; prerendering goes on for as long as the page is open."""

LONG_NAME = "Donaudampfschifffahrtsgesellschaftskapitaenskajuetenwirtschaft"
RIGHT_TO_LEFT = "متجر السعادة"


class Bank:
    """A server with questions, and a browser to answer them in."""

    def __init__(self, browser: Any, url: str, questions: list[Question]) -> None:
        self.browser = browser
        self.url = url.rstrip("/")
        self._by_name = {question.transaction_id: question for question in questions}

    def question(self, name: str) -> Question:
        """Return a question by its name."""
        return self._by_name[name]

    def status(self, name: str) -> str:
        """Return where a payment stands."""
        return str(httpx.get(f"{self.url}/transaction/{name}", trust_env=False).json()["status"])

    def visit(self, token: str, **context: Any) -> "Visit":
        """Open a link."""
        return Visit(self, f"{self.url}/answer/{token}", **context)


class Visit:
    """A page in the browser, what it asked the network for, and what the browser complained about."""

    def __init__(self, bank: Bank, url: str, **context: Any) -> None:
        self.page = bank.browser.new_context(**{"java_script_enabled": False, **context}).new_page()
        self.page.set_default_timeout(10_000)
        self.asked_for: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked_for.append(f"{request.method} {request.url}"))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.url = url
        self.page.goto(url)

    def leave(self) -> None:
        """Close the page: it loaded nothing but itself, and kept no cookie."""
        assert {line.split(" ")[1] for line in self.asked_for} <= {self.url, "data:,"}
        assert self.page.context.cookies() == []
        self.page.context.close()
        assert [text for text in self.complaints if "status of 4" not in text] == []


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    """One server and one headless Chromium for all tests of this file."""
    folder = tmp_path_factory.mktemp("answer") / "data"
    desk = Desk(read_settings({}, data_dir=folder, port=0))
    usual = ("prefetch", "digits", "deny", "yes_no", "no_yes", "double", "keyboard", "script")
    by_language: list[Special] = [(f"in_{code}", {"language": code, "merchant": LONG_NAME}) for code in languages()]
    questions = desk.ask(
        *((name, {}) for name in usual),
        *by_language,
        ("arabic", {"merchant": RIGHT_TO_LEFT}),
        ("late", {"at_ms": now_ms() - HOUR_MS}),
    )
    with running_server(folder) as server, api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(_CHROMIUM), args=_FLAGS)
        yield Bank(launched, server.url, questions)
        launched.close()


def test_what_a_browser_fetches_ahead_confirms_nothing(bank: Bank) -> None:
    """A page elsewhere that prefetches, prerenders, frames and loads the link as picture changes nothing."""
    question = bank.question("prefetch")
    link = f"{bank.url}/answer/{question.confirm}"
    page = bank.browser.new_context().new_page()
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    rules = f'{{"prerender": [{{"source": "list", "urls": ["{link}"]}}]}}'
    body = (
        f'<link rel="prefetch" href="{link}"><img src="{link}"><iframe src="{link}"></iframe>'
        f'<script type="speculationrules">{rules}</script><script>fetch("{link}")</script>'
    )
    page.route(
        f"{bank.url}/elsewhere",
        lambda route: route.fulfill(status=200, content_type="text/html", body=f"<!doctype html>{body}"),
    )
    page.goto(f"{bank.url}/elsewhere")
    page.wait_for_timeout(_AHEAD_MS)
    assert fetched.count(link) >= 3
    assert "<form" not in page.frames[1].content()  # frame-ancestors 'none'
    page.context.close()
    assert bank.status("prefetch") == "challenged"


def test_digits_are_asked_until_they_are_right(bank: Bank) -> None:
    """None and letters are stopped by the browser, wrong ones by the server, which puts the cursor back."""
    visit = bank.visit(bank.question("digits").confirm)
    page = visit.page
    field, button = page.get_by_label("Last four digits of your card"), page.get_by_role("button")
    button.click()
    field.fill("12a4")
    button.click()
    assert [line for line in visit.asked_for if line.startswith("POST")] == []
    field.fill("0001")
    button.click()
    api.expect(page.get_by_role("alert")).to_contain_text("These are not the last four digits")
    api.expect(field).to_be_focused()
    api.expect(field).to_have_value("")
    api.expect(field).to_have_accessible_description(
        "These are not the last four digits of the card that this payment was made with. Please try again."
    )
    assert bank.status("digits") == "challenged"
    field.fill(CARD)
    button.click()
    api.expect(page.get_by_role("status")).to_contain_text("Thank you. $1,500.00 at Suspicious Store is approved.")
    assert bank.status("digits") == "approved"
    visit.leave()


def test_no_declines_with_one_press(bank: Bank) -> None:
    """Nothing is typed; opening the link again says that the answer is there."""
    visit = bank.visit(bank.question("deny").deny)
    page = visit.page
    api.expect(page.get_by_role("heading")).to_have_text("Did you try to spend $1,500.00 at Suspicious Store?")
    assert page.get_by_role("textbox").count() == 0
    page.get_by_role("button", name="No, it was not me").click()
    api.expect(page.get_by_role("status")).to_contain_text("is blocked and your account is on hold")
    assert bank.status("deny") == "declined"
    page.goto(visit.url)
    api.expect(page.get_by_role("status")).to_contain_text("We already have this answer")
    assert page.get_by_role("button").count() == 0
    visit.leave()


def test_yes_taken_back_and_no_taken_back(bank: Bank) -> None:
    """NO after YES holds again, YES after NO goes to a person: neither releases money."""
    for name, first, second in (("yes_no", "confirm", "deny"), ("no_yes", "deny", "confirm")):
        question = bank.question(name)
        tokens = {"confirm": question.confirm, "deny": question.deny}
        for action in (first, second):
            visit = bank.visit(tokens[action])
            if action == "confirm":
                visit.page.get_by_label("Last four").fill(CARD)
            visit.page.get_by_role("button").click()
            api.expect(visit.page.get_by_role("status")).to_be_visible()
            visit.leave()
        assert bank.status(name) == "in_review"


def test_double_click_answers_once(bank: Bank) -> None:
    """Whichever answer the browser shows, it says that the answer is there."""
    visit = bank.visit(bank.question("double").deny)
    visit.page.get_by_role("button").dblclick()
    api.expect(visit.page.get_by_role("status")).to_contain_text("$1,500.00 at Suspicious Store")
    assert bank.status("double") == "declined"
    visit.leave()


def test_keyboard_is_enough(bank: Bank) -> None:
    """Field, then button, in the order in which they are read; Enter sends."""
    visit = bank.visit(bank.question("keyboard").confirm)
    page = visit.page
    page.keyboard.press("Tab")
    api.expect(page.get_by_label("Last four")).to_be_focused()
    page.keyboard.press("Tab")
    api.expect(page.get_by_role("button")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.type(CARD)
    page.keyboard.press("Enter")
    api.expect(page.get_by_role("status")).to_contain_text("is approved")
    visit.leave()


def test_script_in_the_page_would_not_run(bank: Bank) -> None:
    """With scripts switched on the policy still refuses one, and a style of elsewhere."""
    visit = bank.visit(bank.question("script").confirm, java_script_enabled=True)
    violated: list[str] = visit.page.evaluate(
        """() => new Promise((resolve) => {
            const violated = [];
            document.addEventListener('securitypolicyviolation', (event) => violated.push(event.effectiveDirective));
            const script = document.createElement('script');
            script.textContent = 'window.ran = true';
            const style = document.createElement('style');
            style.textContent = 'main { display: none }';
            const image = document.createElement('img');
            image.src = '/static/x';
            document.body.append(script, style, image);
            setTimeout(() => resolve(violated.concat(window.ran ? ['it ran'] : [])), 300);
        })"""
    )
    assert {directive.removesuffix("-elem") for directive in violated} == {"script-src", "style-src", "img-src"}
    visit.page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 800])
def test_nothing_overflows_the_screen(bank: Bank, width: int, scheme: str) -> None:
    """In every language, with the longest name, at a small phone's width and at a window's; no field is too small."""
    tokens = [bank.question(f"in_{code}").confirm for code in languages()]
    tokens += [bank.question("late").deny, bank.question("arabic").deny, "nothing"]
    for token in tokens:
        visit = bank.visit(
            token, viewport={"width": width, "height": 568}, color_scheme=scheme, java_script_enabled=True
        )
        assert visit.page.evaluate("document.documentElement.scrollWidth") == width
        assert visit.page.evaluate("getComputedStyle(document.querySelector('main')).borderRadius") == "16px"
        for box in [element.bounding_box() for element in visit.page.locator("button, input[type=text]").all()]:
            assert box["height"] >= 44
        visit.leave()
