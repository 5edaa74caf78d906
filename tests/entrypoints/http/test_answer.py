"""Links over real HTTP: who looks changes nothing, and an answer takes the page's own form and the card's digits."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from cardwatch.domain.answer_link import form_token
from cardwatch.entrypoints.http.app import make_app
from cardwatch.entrypoints.http.server import bind, make_server
from cardwatch.runtime import application as application_module
from cardwatch.runtime.bootstrap import open_application, system_randomness
from cardwatch.runtime.settings import Settings, read_settings
from tests.entrypoints.http.answering import CARD, HOUR_MS, Desk, Question, now_ms
from tests.entrypoints.http.test_edge import call
from tests.support.server import ServerProcess, running_server

MINUTE_MS = 60_000
FRESH = 60
FORM = re.compile(r'name="form" value="([^"]+)"')
FORM_TYPE = "application/x-www-form-urlencoded"
MERCHANT = "<script>alert(1)</script> \u202egnp.exe \u2066Shop\u2069"


class Site:
    """A server, and questions that wait to be answered through it."""

    def __init__(self, server: ServerProcess, key: bytes, questions: list[Question]) -> None:
        self.server = server
        self.key = key
        self.asked = questions
        self._by_name = {question.transaction_id: question for question in questions}
        self._fresh = iter([question for question in questions if question.transaction_id.startswith("fresh")])
        self.client = httpx.Client(base_url=server.url, timeout=10, trust_env=False)

    def fresh(self) -> Question:
        """Return a question that no other test knows."""
        return next(self._fresh)

    def named(self, name: str) -> Question:
        """Return one of the special questions."""
        return self._by_name[name]

    def look(self, token: str, **options: Any) -> httpx.Response:
        """Open a link."""
        return self.client.get(f"/answer/{token}", **options)

    def form(self, token: str) -> str:
        """Return what the form on a link's page carries."""
        found = FORM.search(self.look(token).text)
        assert found is not None
        return found[1]

    def press(self, token: str, digits: str | None = CARD, *, form: str | None = None) -> httpx.Response:
        """Send the form of a link's page."""
        fields = {"form": self.form(token) if form is None else form}
        return self.send(token, {**fields, **({} if digits is None else {"digits": digits})})

    def send(self, token: str, fields: dict[str, str]) -> httpx.Response:
        """Send a form as it is given."""
        return self.client.post(f"/answer/{token}", data=fields)

    def status(self, question: Question) -> str:
        """Return where a payment stands."""
        return str(self.client.get(f"/transaction/{question.transaction_id}").json()["status"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve from a folder with questions, logging everything."""
    folder = tmp_path_factory.mktemp("answer") / "data"
    desk = Desk(read_settings({}, data_dir=folder, port=0))
    questions = desk.ask(
        *((f"fresh_{number}", {}) for number in range(FRESH)),
        ("late", {"at_ms": now_ms() - HOUR_MS}),
        ("late_yes", {"at_ms": now_ms() - HOUR_MS}),
        ("over", {"at_ms": now_ms() - 80 * HOUR_MS}),
        ("german", {"language": "de"}),
        ("hostile", {"merchant": MERCHANT}),
        ("no_card", {"card": None}),
    )
    with running_server(folder, {"CARDWATCH_LOG_LEVEL": "debug"}) as server:
        opened = Site(server, desk.key, questions)
        yield opened
        opened.client.close()


# Looking


PREFETCHERS = (
    {"Purpose": "prefetch"},
    {"Sec-Purpose": "prefetch;prerender", "Sec-Fetch-Dest": "document"},
    {"X-Purpose": "preview"},
    {"User-Agent": "Mozilla/5.0 (compatible; Microsoft SafeLinks)"},
    {"User-Agent": "Slackbot-LinkExpanding 1.0", "Range": "bytes=0-32768"},
    {"X-HTTP-Method-Override": "POST"},
)


def test_whoever_fetches_the_page_answers_nothing(site: Site) -> None:
    """Scanners and previews, as often as they like; afterwards its reader still answers."""
    question = site.fresh()
    for headers in PREFETCHERS * 3:
        for token in (question.confirm, question.deny):
            assert site.look(token, headers=headers).status_code == 200
            assert site.look(f"{token}?form={site.form(token)}&digits={CARD}").status_code == 200
            head = site.client.head(f"/answer/{token}", headers=headers)
            assert (head.status_code, head.content) == (200, b"")
    assert site.status(question) == "challenged"
    assert site.press(question.confirm).status_code == 200
    assert site.status(question) == "approved"


def resolved(path: str, href: str) -> str:
    """Return where a relative reference leads (RFC 3986, 5.2; urllib.parse would drop empty segments)."""
    segments = path.split("/")[:-1]
    for segment in href.split("/"):
        if segment == "..":
            segments.pop()
        else:
            segments.append(segment)
    return "/".join(segments)


@pytest.mark.parametrize("prefix", ["", "/cardwatch", "/a/b"])
@pytest.mark.parametrize(
    "opened", ["/answer/{}", "/answer/{}/", "/answer//{}", "//answer/{}", "/answer/{}//", "/answer/{}%2F"]
)
def test_page_leads_to_the_other_answer_wherever_it_is_served(site: Site, opened: str, prefix: str) -> None:
    """A proxy serves the server under a path that only CARDWATCH_PUBLIC_URL names; a notification opens one page."""
    question = site.named("german")
    path = opened.format(question.confirm)
    page = site.client.get(f"{site.server.url}{path}")
    assert page.status_code == 200
    (href,) = re.findall(r'class="instead" href="([^"]+)"', page.text)
    led = resolved(prefix + path, href)
    assert led.replace("//", "/") == f"{prefix}/answer/{question.deny}"
    assert 'name="form"' in site.look(led.rpartition("/")[2]).text


def test_page_asks_what_the_mail_asked(site: Site) -> None:
    """Institution, amount, merchant, one button, and digits for a YES alone."""
    question = site.fresh()
    confirm, deny = site.look(question.confirm), site.look(question.deny)
    for page in (confirm, deny):
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "Did you try to spend $1,500.00 at Suspicious Store?" in page.text
        assert page.text.count("<button") == 1
        assert CARD not in page.text
    assert "Yes, it was me" in confirm.text
    assert 'name="digits"' in confirm.text
    assert "No, it was not me" in deny.text
    assert 'name="digits"' not in deny.text


def test_every_answer_keeps_the_link_to_itself(site: Site) -> None:
    """Pages are stored nowhere, framed nowhere, listed nowhere; they set no cookie and lead nowhere."""
    question = site.fresh()
    answers = [
        site.look(question.confirm),
        site.look("nothing"),
        site.client.head(f"/answer/{question.confirm}"),
        site.press(question.confirm, "0000"),
        site.press(question.deny),
        site.send(question.confirm, {}),
    ]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "noindex" in answer.headers["x-robots-tag"]
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert not {"set-cookie", "location", "link", "refresh"} & set(answer.headers)
        assert question.confirm not in answer.text


def test_the_page_of_a_yes_leads_to_the_no(site: Site) -> None:
    """A notification opens one page only; from the page of a NO nothing leads to a YES."""
    question = site.fresh()
    assert f'href="{question.deny}"' in site.look(question.confirm).text
    page = site.look(question.deny).text
    assert question.deny not in page
    assert question.confirm not in page
    assert 'class="instead"' not in page


def test_page_is_in_the_language_of_the_message(site: Site) -> None:
    """Whatever the browser would like."""
    page = site.look(site.named("german").confirm, headers={"Accept-Language": "fr"})
    assert '<html lang="de">' in page.text
    assert "Ja, das war ich" in page.text


@pytest.mark.parametrize("language", ["es", "en"])
def test_what_is_no_link_is_told_in_the_readers_language(site: Site, language: str) -> None:
    """Cut, lengthened, made up, of another key, or dead: one page for all of them."""
    question = site.fresh()
    changed = question.confirm[:-1] + ("A" if question.confirm[-1] != "A" else "B")
    tokens = ["x", "", ".", changed, question.confirm[:-5], f"{question.confirm}.", f"{question.confirm}/x",
              f"x/{question.confirm}", "%00", "%ff%fe", "\u00fc", "..%2ftransactions",
              "%2e%2e/metrics", "a" * 5000, site.named("over").confirm, site.named("over").deny]  # fmt: skip
    texts = {"es": "Este enlace no es válido", "en": "This link is not valid"}
    for token in tokens:
        for method in ("GET", "POST"):
            answer = site.client.request(
                method, f"/answer/{token}", headers={"Accept-Language": language, "Content-Type": FORM_TYPE}
            )
            assert (answer.status_code, texts[language] in answer.text) == (404, True), (method, token)
    assert site.status(question) == "challenged"


def test_hostile_names_are_printed(site: Site) -> None:
    """Markup is text, and what turns letters around is gone, before and after the answer."""
    question = site.named("hostile")
    for page in (site.look(question.confirm), site.press(question.confirm, "0000"), site.press(question.confirm)):
        assert "<script" not in page.text
        assert "&lt;script&gt;alert(1)" in page.text
        assert not re.search("[\u202a-\u202e\u2066-\u2069]", page.text)


# Answering


def test_yes_no_and_a_change_of_mind(site: Site) -> None:
    """Each answer has its page, and the payment follows."""
    question = site.fresh()
    assert "is approved" in site.press(question.confirm).text
    assert site.status(question) == "approved"
    again = site.look(question.confirm)
    assert "We already have this answer" in again.text
    assert "<form" not in again.text
    assert "We are checking" in site.press(question.deny).text
    assert site.status(question) == "in_review"
    other = site.fresh()
    assert "is blocked" in site.press(other.deny, None).text
    assert site.status(other) == "declined"
    assert "Nothing is released yet" in site.press(other.confirm).text
    assert site.status(other) == "in_review"


def test_late_question_still_takes_a_no(site: Site) -> None:
    """A YES has no form any more and releases nothing; a NO holds the account."""
    over, late = site.named("late_yes"), site.named("late")
    page = site.look(over.confirm)
    assert (page.status_code, "came too late" in page.text, "<form" in page.text) == (200, True, False)
    form = form_token(over.confirm, key=site.key, now_ms=now_ms())
    for _ in range(2):
        assert "came too late" in site.press(over.confirm, form=form).text
    assert site.status(over) == "in_review"
    page = site.look(late.deny)
    assert (page.status_code, "came too late" in page.text, "<form" in page.text) == (200, True, True)
    assert "came too late" in site.press(late.deny, None).text
    assert site.client.get("/accounts/user_of_late").json()["held_since"]


def test_without_a_known_card_the_button_is_enough(site: Site) -> None:
    """There is nothing to ask for."""
    question = site.named("no_card")
    assert 'name="digits"' not in site.look(question.confirm).text
    assert "is approved" in site.press(question.confirm, None).text


def test_digits_may_be_typed_with_spaces(site: Site) -> None:
    """As they stand on cards."""
    question = site.fresh()
    assert "is approved" in site.press(question.confirm, f" {CARD[:2]} {CARD[2:]} ").text


def test_double_click_acts_once(site: Site) -> None:
    """Of eight presses at once one confirms, and the others hear that the answer is there."""
    question = site.fresh()
    form = site.form(question.confirm)
    with ThreadPoolExecutor(8) as threads:
        pages = list(threads.map(lambda _: site.press(question.confirm, form=form).text, range(8)))
    assert sum("is approved" in page for page in pages) == 1
    assert sum("We already have this answer" in page for page in pages) == 7
    assert site.status(question) == "approved"


# Answers that are none


def test_form_of_elsewhere_or_of_another_time_confirms_nothing(site: Site) -> None:
    """The page comes again with a fresh form, and that one counts."""
    question, other = site.fresh(), site.fresh()
    forms = {
        "missing": None,
        "empty": "",
        "31 minutes old": form_token(question.confirm, key=site.key, now_ms=now_ms() - 31 * MINUTE_MS),
        "of tomorrow": form_token(question.confirm, key=site.key, now_ms=now_ms() + 1440 * MINUTE_MS),
        "of another link": site.form(other.confirm),
        "of the deny page": site.form(question.deny),
        "the link itself": question.confirm,
        "not ours": f"{now_ms()}.{'A' * 43}",
        "not ASCII": "1.\u0661",
    }
    for name, form in forms.items():
        fields = {"digits": CARD} if form is None else {"digits": CARD, "form": form}
        answer = site.send(question.confirm, fields)
        assert (answer.status_code, "could not take your answer" in answer.text) == (422, True), name
        assert FORM.search(answer.text), name
        assert site.status(question) == "challenged", name
    fresh = FORM.search(answer.text)
    assert fresh is not None
    assert "is approved" in site.press(question.confirm, form=fresh[1]).text


def test_confirm_token_on_the_deny_form_denies_nothing(site: Site) -> None:
    """Nor does a link's token stand for the proof that its page was read."""
    question = site.fresh()
    assert site.send(question.deny, {"form": site.form(question.confirm)}).status_code == 422
    assert site.send(question.deny, {"form": question.confirm}).status_code == 422
    assert site.status(question) == "challenged"


def test_script_that_presses_the_button_confirms_nothing(site: Site) -> None:
    """It does not know the digits; pressing often does not lock the link before its reader comes."""
    question = site.fresh()
    for digits in (None, "", "digits", "12", None, "") * 2:
        answer = site.press(question.confirm, digits)
        assert (answer.status_code, "not the last four digits" in answer.text) == (422, True)
    assert site.status(question) == "challenged"
    assert "is approved" in site.press(question.confirm).text


def test_three_guesses_lock_the_confirmation_but_not_the_denial(site: Site) -> None:
    """The right digits come too late then; the form of a wrong guess is fresh."""
    question = site.fresh()
    for digits in ("0001", "0002"):
        answer = site.press(question.confirm, digits)
        assert (answer.status_code, "not the last four digits" in answer.text) == (422, True)
        assert digits not in answer.text
    form = FORM.search(answer.text)
    assert form is not None
    locked = site.press(question.confirm, "0003", form=form[1])
    assert (locked.status_code, "This link is not valid" in locked.text) == (404, True)
    assert "<form" not in site.look(question.confirm).text
    late = form_token(question.confirm, key=site.key, now_ms=now_ms())
    assert site.press(question.confirm, form=late).status_code == 404
    assert site.status(question) == "challenged"
    assert "is blocked" in site.press(question.deny, None).text


def test_link_to_an_address_that_the_account_no_longer_has(site: Site) -> None:
    """A YES is not taken and an analyst looks."""
    question = site.fresh()
    account = {"email": "elsewhere@example.com", "channels": ["email"], "consent": True}
    assert site.client.put(f"/accounts/user_of_{question.transaction_id}", json=account).status_code == 200
    answer = site.press(question.confirm)
    assert (answer.status_code, "This link is not valid" in answer.text) == (404, True)
    assert site.status(question) == "in_review"


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b'{"form": "x"}', 415),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("text/plain", b"form=x", 415),
        ("", b"form=x", 415),
        (FORM_TYPE, b"form=" + b"x" * 65_536, 413),
        (FORM_TYPE, b"a=&" * 17, 422),
        (FORM_TYPE, "form=\u00fc".encode(), 422),
        (FORM_TYPE, b"form=%ff%00", 422),
        (FORM_TYPE, b"", 422),
        (FORM_TYPE.upper() + "; charset=utf-8", b"form=", 422),
    ],
)
def test_what_is_no_form_answers_nothing(site: Site, content_type: str, body: bytes, status: int) -> None:
    """Another type, too much, too many, or nothing to read."""
    question = site.named("german")
    headers = {"Content-Type": content_type} if content_type else {}
    answer = site.client.post(f"/answer/{question.deny}", content=body, headers=headers)
    assert answer.status_code == status
    assert site.status(question) == "challenged"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(site: Site, method: str) -> None:
    """With the ones that are not."""
    answer = site.client.request(method, f"/answer/{site.named('german').deny}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")


# Who may come, and what is written down of it


@pytest.mark.parametrize("headers", [{"Host": "pay.example.org"}, {"X-Forwarded-For": "203.0.113.9"},
                                     {"X-API-Key": "not-one-of-ours-at-all"}])  # fmt: skip
def test_holders_need_no_key(site: Site, headers: dict[str, str]) -> None:
    """The link is the right; through a proxy too, and whatever else is sent."""
    question = site.fresh()
    assert site.look(question.deny, headers=headers).status_code == 200
    fields = {"form": site.form(question.deny)}
    answer = site.client.post(f"/answer/{question.deny}", data=fields, headers=headers)
    assert "is blocked" in answer.text
    assert site.client.get(f"/transaction/{question.transaction_id}", headers=headers).status_code in (401, 403)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/answer/x", 200), ("/answer", 401), ("/answers/x", 401), ("/Answer/x", 401), ("//answer/x", 401),
     ("/x/answer/x", 401)],
)  # fmt: skip
def test_exposed_server_lets_links_alone_in(path: str, status: int) -> None:
    """CARDWATCH_PUBLIC_URL shuts every other door; exact names only."""
    answer = call(path, {"Host": "pay.example.org"}, client=("203.0.113.9", 5), exposed=True)
    assert answer.status == status


def test_no_token_stands_in_log_or_metrics(site: Site) -> None:
    """Whatever was asked in whatever way; requests are logged and counted as /answer."""
    question = site.fresh()
    form = site.form(question.confirm)
    for path in ("/answer/{}", "//answer/{}", "/Answer/{}", "/answer/{}/x", "/webhook/twilio/{}", "/static/x/{}"):
        for method in ("GET", "POST", "PUT", "OPTIONS", "HEAD"):
            site.client.request(method, path.format(question.confirm), data={"form": form, "digits": "0000"})
    for line in (
        "GET /answer/{} HTTP/1.1\r\nno header\r\n\r\n",
        "GET /answer/{} HTTP/9.9\r\n\r\n",
        "GET /answer/{}\r\n",
    ):
        _send_raw(site.server.url, line.format(question.confirm))
    metrics = site.client.get("/metrics").text
    log = site.server.log.read_text("utf-8")
    assert '"route": "/answer"' in log
    assert '"event": "link_answered"' in log
    assert 'route="/answer"' in metrics
    for asked in site.asked:
        secrets = [asked.message.nonce or "", *asked.confirm.split("."), *asked.deny.split(".")]
        assert not [secret for secret in secrets if secret in log or secret in metrics]
    assert form not in log
    assert form.partition(".")[2] not in log
    assert "@example.com" not in log
    assert "Suspicious" not in log


def _send_raw(url: str, text: str) -> None:
    """Send what no client would."""
    host, _, port = url.removeprefix("http://").strip("/").partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(text.encode())
        connection.shutdown(socket.SHUT_WR)
        connection.recv(4096)


# When the store cannot


class Broken(NamedTuple):
    """A server in this process whose application the test may break."""

    client: httpx.Client
    application: application_module.Application
    question: Question


@pytest.fixture
def breakable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broken]:
    """Serve in a thread; what cannot be written is tried twice and not for eight seconds."""
    monkeypatch.setattr(application_module, "_RETRIES_S", (0.01,))
    listening = bind("127.0.0.1", 0)
    settings: Settings = read_settings({}, data_dir=tmp_path / "data", port=listening.getsockname()[1])
    (question,) = Desk(settings).ask(("txn_1", {"language": "fr"}))
    application = open_application(settings)
    server = make_server(make_app(application, randomness=system_randomness()))
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]), daemon=True)
    thread.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{settings.port}", timeout=10, trust_env=False) as client:
        deadline = time.monotonic() + 20
        while not server.started or client.get("/readyz").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield Broken(client, application, question)
    server.should_exit = True
    thread.join(20)


def test_answer_that_cannot_be_written_can_be_sent_again(breakable: Broken) -> None:
    """503 with the holder's page and its form, in the holder's language."""
    client, application, question = breakable
    form = FORM.search(client.get(f"/answer/{question.confirm}").text)
    assert form is not None
    application._parts.writer.stop()
    answer = client.post(f"/answer/{question.confirm}", data={"form": form[1], "digits": CARD})
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert '<html lang="fr">' in answer.text
    assert 'role="alert"' in answer.text
    assert FORM.search(answer.text)


def test_page_that_cannot_be_read_says_so(breakable: Broken) -> None:
    """Whatever broke, a person gets a page, and nothing of its inside."""
    client, application, question = breakable
    application._parts.reader.close()
    for method in ("GET", "POST"):
        answer = client.request(
            method, f"/answer/{question.confirm}", headers={"Accept-Language": "de", "Content-Type": FORM_TYPE}
        )
        assert answer.status_code in (500, 503)
        assert '<html lang="de">' in answer.text
        assert "sqlite" not in answer.text.lower()
        assert answer.headers["cache-control"] == "no-store"


def test_settings_are_what_links_are_signed_with(tmp_path: Path) -> None:
    """Links of one folder are nothing to another's server."""
    settings = read_settings({}, data_dir=tmp_path / "data", port=0)
    other = msgspec.structs.replace(settings, data_dir=tmp_path / "other")
    assert Desk(settings).key == Desk(settings).key != Desk(other).key
