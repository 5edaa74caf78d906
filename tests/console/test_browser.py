"""What a person does with the page, in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.console.conftest import Site

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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One headless Chromium for all tests of this file."""
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(_CHROMIUM), args=_FLAGS)
        yield launched
        launched.close()


class Visit:
    """A page in the browser, and everything that the browser complained about."""

    def __init__(self, browser: Any, url: str, **context: Any) -> None:
        self.page = browser.new_context(**context).new_page()
        self.complaints: list[str] = []
        self.page.add_init_script(
            "document.addEventListener('securitypolicyviolation', (e) => console.error('CSP ' + e.violatedDirective))"
        )
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(url)
        api.expect(self.page.locator("#stream")).to_have_text("Live")

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def row(self, text: str) -> Any:
        """Return the topmost row that holds a text."""
        return self.page.locator("#rows tr", has_text=text).first

    def leave(self) -> None:
        """Close the page; nothing was wrong while it was open."""
        self.page.context.close()
        assert self.complaints == []


def test_the_cardholder_denies_a_payment(browser: Any, seeded_site: Site) -> None:
    """The guide's payment is challenged, the question arrives on the phone, NO declines it, and the page tells."""
    visit = Visit(browser, seeded_site.url)
    page = visit.page
    page.get_by_role("button", name="Pay", exact=True).click()
    row = visit.row("Suspicious Store")
    api.expect(row.locator("span.status")).to_have_text("Challenged")
    api.expect(row.locator("td.amount")).to_have_text("1,500.00 USD")
    api.expect(row.locator("span.risk")).to_have_text(re.compile("(Critical|High)"))
    api.expect(page.locator("[data-count=challenged]")).to_have_text("1")
    api.expect(page.locator("#phones [aria-pressed=true]")).to_contain_text("Alice")
    api.expect(page.locator(".bubble.theirs")).to_contain_text("Did you try to spend $1,500.00")
    row.get_by_role("button").click()
    api.expect(page.locator("#detail")).to_contain_text("usually $")
    page.get_by_label("Reply as the cardholder").fill("NO")
    page.keyboard.press("Enter")
    api.expect(row.locator("span.status")).to_have_text("Declined")
    api.expect(page.locator("#detail header span.status")).to_have_text("Declined")
    api.expect(page.locator("#detail .timeline")).to_contain_text("Denied: NO")
    api.expect(page.locator("[data-count=declined]")).to_have_text("1")
    api.expect(page.locator(".bubble")).to_have_count(3)
    visit.leave()


def test_an_everyday_payment_passes_and_a_yes_approves(browser: Any, seeded_site: Site) -> None:
    """The second button's payment is approved at once; the quick YES approves a challenged one."""
    visit = Visit(browser, seeded_site.url)
    page = visit.page
    page.locator("#everyday").click()
    api.expect(visit.row("Corner Coffee").locator("span.status")).to_have_text("Approved")
    page.get_by_role("button", name="Pay", exact=True).click()
    api.expect(page.locator(".bubble.theirs")).to_have_count(1)
    page.locator("[data-reply=YES]").click()
    api.expect(visit.row("Suspicious Store").locator("span.status")).to_have_text("Approved")
    visit.leave()


def test_an_empty_system_says_what_to_do_and_hostile_names_stay_text(browser: Any, site: Site) -> None:
    """Before the first payment the page shows the call to make; markup in a merchant's name is printed, not obeyed."""
    visit = Visit(browser, site.url)
    page = visit.page
    api.expect(page.locator("#empty")).to_contain_text("No payments yet.")
    api.expect(page.locator("#empty-curl")).to_contain_text(f"curl -X POST {site.url.rstrip('/')}/transaction")
    name = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    answer = site.client.post("/transaction", json={"user_id": "user_001", "amount": 3, "merchant": name})
    assert answer.status_code == 201
    api.expect(page.locator("#rows td.merchant")).to_have_text(name)
    api.expect(page.locator("#empty")).to_be_hidden()
    page.locator("#rows button").click()
    api.expect(page.locator("#detail-title")).to_have_text(name)
    assert page.locator("#rows img, #rows script, #detail img, #detail script").count() == 0
    visit.leave()


def test_rows_that_somebody_reads_hold_still(browser: Any, site: Site) -> None:
    """While the pointer is on the table new payments wait behind a button; arrow keys walk the rows."""
    visit = Visit(browser, site.url)
    page = visit.page
    for number in range(3):
        _pay(site, f"Shop {number}")
    api.expect(page.locator("#rows tr")).to_have_count(3)
    visit.row("Shop 0").hover()
    before = visit.row("Shop 0").bounding_box()
    _pay(site, "Shop 3")
    api.expect(page.locator("#held-back")).to_have_text("1 new, show")
    assert visit.row("Shop 0").bounding_box() == before
    page.mouse.move(1, 1)
    api.expect(page.locator("#rows tr").first).to_contain_text("Shop 3")
    page.locator("#rows button").first.focus()
    _pay(site, "Shop 4")
    api.expect(page.locator("#held-back")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    api.expect(page.locator("#detail-title")).to_have_text("Shop 2")
    visit.leave()


def test_a_scrolled_table_stays_where_it_is_until_asked(browser: Any, site: Site) -> None:
    """New payments do not push away what somebody scrolled to; the button shows them from the top."""
    for number in range(30):
        _pay(site, f"Shop {number}")
    visit = Visit(browser, site.url, viewport={"width": 1366, "height": 768})
    page = visit.page
    api.expect(page.locator("#rows tr")).to_have_count(30)
    page.locator("#scroller").evaluate("(scroller) => { scroller.scrollTop = 200; }")
    _pay(site, "The newest shop")
    api.expect(page.locator("#held-back")).to_have_text("1 new, show")
    page.locator("#held-back").click()
    api.expect(page.locator("#rows tr").first).to_contain_text("The newest shop")
    api.expect(page.locator("#rows tr").first).to_be_in_viewport()
    visit.leave()


def test_the_page_says_when_it_lost_the_server_and_catches_up(browser: Any, site: Site) -> None:
    """Without its stream the page says so; once it has it back, it hears of what it missed."""
    visit = Visit(browser, site.url)
    page = visit.page
    page.context.set_offline(True)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # opens the stream anew
    api.expect(page.locator("#stream")).to_have_text("Reconnecting…")
    _pay(site, "Paid in the meantime")
    page.context.set_offline(False)
    api.expect(page.locator("#stream")).to_have_text("Live", timeout=15_000)
    api.expect(page.locator("#rows tr")).to_contain_text("Paid in the meantime")
    visit.complaints = [text for text in visit.complaints if "ERR_INTERNET_DISCONNECTED" not in text]
    visit.leave()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1366, 768), (390, 844)])
def test_nothing_overflows_the_screen(browser: Any, site: Site, size: tuple[int, int], scheme: str) -> None:
    """At a laptop's and at a phone's width, light and dark, the page is as wide as the screen, detail open or not."""
    width, height = size
    visit = Visit(browser, site.url, viewport={"width": width, "height": height}, color_scheme=scheme)
    _pay(site, "A merchant with a name that goes on for longer than any column could ever be " * 2)
    api.expect(visit.page.locator("#rows tr")).to_have_count(1)
    visit.page.locator("#rows button").click()
    api.expect(visit.page.locator("#detail")).to_be_visible()
    assert visit.page.evaluate("document.documentElement.scrollWidth") == width
    visit.leave()


def _pay(site: Site, merchant: str) -> None:
    answer = site.client.post("/transaction", json={"user_id": "user_009", "amount": "6.40", "merchant": merchant})
    assert answer.status_code == 201
