"""The page and its files: what is sent, under which headers, and what is not."""

import re
import socket
from html.parser import HTMLParser

import pytest

from cardwatch.console.assets import load_assets
from cardwatch.console.pages import CONTENT_SECURITY_POLICY
from tests.console.conftest import Site


class _Reader(HTMLParser):
    """Notes the tags of a page, and text inside scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in ("script", "style"):
            self.inline += data.strip()


def _read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    return reader


def test_page_is_sent_under_a_strict_policy_and_never_kept(site: Site) -> None:
    """The page may load its own files only, and a browser asks for it anew each time."""
    answer = site.client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_page_has_no_inline_script_style_or_handler(site: Site) -> None:
    """Nothing in the page needs more than the policy allows."""
    reader = _read(site.client.get("/").text)
    assert reader.inline == ""
    for tag, attributes in reader.tags:
        assert tag != "style"
        assert not [name for name in attributes if name == "style" or name.startswith("on")], tag


def test_page_names_its_language_and_has_one_heading_of_the_first_level(site: Site) -> None:
    """A screen reader knows the language and finds one title; every placeholder is filled."""
    page = site.client.get("/").text
    tags = _read(page).tags
    assert [attributes["lang"] for tag, attributes in tags if tag == "html"] == ["en"]
    assert sum(tag == "h1" for tag, _ in tags) == 1
    assert not re.search(r"\{[a-z]+\}", page)


def test_everything_the_page_refers_to_is_there_and_kept_for_ever(site: Site) -> None:
    """Each file of the page answers with its own type and may be kept."""
    tags = _read(site.client.get("/").text).tags
    links = {value for _, attributes in tags for name, value in attributes.items() if name in ("src", "href")}
    files = sorted(link for link in links if link and not link.startswith("#"))
    assert len(files) == 3
    types = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
    for file in files:
        answer = site.client.get(file)
        assert answer.status_code == 200, file
        assert answer.headers["content-type"].startswith(types[file.rpartition(".")[2]])
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_modules_import_only_what_is_served() -> None:
    """No script or style sheet reaches for another file than its neighbours, nor for another host."""
    assets = load_assets()
    for name, asset in assets.by_name.items():
        text = asset.body.decode()
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), name
        for wanted in re.findall(r'from "\./([^"]+)"', text):
            assert wanted in assets.by_name
        assert "innerHTML" not in text
        assert "insertAdjacentHTML" not in text


@pytest.mark.parametrize(
    "path",
    [
        "/static/{version}/../page.html",
        "/static/{version}/..%2fpage.html",
        "/static/{version}/..%2f..%2fpages.py",
        "/static/{version}/%2e%2e/%2e%2e/pages.py",
        "/static/{version}/%2fetc%2fpasswd",
        "/static/{version}/console.js%00.css",
        "/static/{version}/",
        "/static/{version}/page.html",
        "/static/{version}/__init__.py",
        "/static/0123456789ab/console.js",
        "/static/console.js",
        "/static/",
    ],
)
def test_only_the_named_files_can_be_had(site: Site, path: str) -> None:
    """A path that climbs, or names what is not a file of the page, finds nothing; clients do not tidy it before."""
    host, _, port = site.url.removeprefix("http://").rstrip("/").partition(":")
    target = path.format(version=load_assets().version)
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 404 "), answer[:200]


def test_page_is_not_shown_through_a_tunnel(site: Site) -> None:
    """Where the API needs a key, page and stream need it too."""
    for path in ("/", "/events", f"/static/{load_assets().version}/console.js"):
        assert site.client.get(path, headers={"Host": "pay.example.org"}).status_code == 401


def test_stream_refuses_what_is_no_phone_number(site: Site) -> None:
    """A wrong number is named as such before a stream opens."""
    answer = site.client.get("/events", params={"phone": "seven"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/phone"


def test_stream_is_an_event_stream_that_nobody_keeps(site: Site) -> None:
    """The stream has its type, is not stored, and begins at once."""
    with site.client.stream("GET", "/events") as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        assert next(answer.iter_lines()) == "retry: 2000"
