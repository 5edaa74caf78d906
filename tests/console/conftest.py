"""An application on a scratch folder, and a real server of it with the page mounted."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from cardwatch.console.pages import PAGES
from cardwatch.entrypoints.http.app import make_app
from cardwatch.entrypoints.http.server import bind, make_server
from cardwatch.runtime.application import Application
from cardwatch.runtime.bootstrap import (
    load_judges,
    open_application,
    open_gazetteer,
    open_store,
    system_clock,
    system_randomness,
)
from cardwatch.runtime.seeding import seed_store
from cardwatch.runtime.settings import Settings, read_settings

_READY_S = 20.0


class Site(msgspec.Struct, frozen=True):
    """A running server."""

    url: str
    client: httpx.Client


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an empty scratch folder, without Twilio."""
    return read_settings({}, data_dir=tmp_path / "data", port=0)


@pytest.fixture
def application(settings: Settings) -> Application:
    """An application that is not started; who starts it stops it."""
    return open_application(settings)


@pytest.fixture
def seeded(settings: Settings) -> Settings:
    """The same settings once their folder holds the five accounts with their history."""
    store = open_store(settings)
    seed_store(
        store,
        judges=load_judges(settings),
        gazetteer=open_gazetteer(),
        clock=system_clock(),
        randomness=system_randomness(),
    )
    store.close()
    return settings


@pytest.fixture
def site(settings: Settings) -> Iterator[Site]:
    """A server on an empty folder."""
    yield from run(settings)


@pytest.fixture
def seeded_site(seeded: Settings) -> Iterator[Site]:
    """A server on a seeded folder."""
    yield from run(seeded)


def run(settings: Settings) -> Iterator[Site]:
    """Serve in a thread until the test is over."""
    listening = bind("127.0.0.1", 0)
    settings = msgspec.structs.replace(settings, port=listening.getsockname()[1])
    server = make_server(make_app(open_application(settings), randomness=system_randomness(), pages=PAGES))
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]), daemon=True)
    thread.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{settings.port}", timeout=10.0) as client:
        deadline = time.monotonic() + _READY_S
        while not server.started or client.get("/readyz").status_code != 200:
            assert time.monotonic() < deadline, "the server did not become ready"
            time.sleep(0.02)
        yield Site(str(client.base_url), client)
    server.should_exit = True
    thread.join(_READY_S)
