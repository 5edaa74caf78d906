"""Readiness is said only once the first payment is as fast as any."""

from typing import Any, cast

import httpx
import pytest
from litestar.datastructures import State

from cardwatch.entrypoints.http.operations import readyz
from cardwatch.entrypoints.http.problems import HttpProblem
from cardwatch.runtime.application import Application
from cardwatch.runtime.bootstrap import open_application
from cardwatch.runtime.settings import read_settings
from tests.entrypoints.http.conftest import Server


def test_application_that_is_still_warming_up_is_not_ready(tmp_path: Any) -> None:
    """503 with the time to try again."""
    application = open_application(read_settings({}, data_dir=tmp_path / "data"))
    with pytest.raises(HttpProblem) as refused:
        cast("Any", readyz.fn)(State({"application": application}))
    assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "1"})
    _close(application)


def test_warming_up_leaves_no_trace(server: Server) -> None:
    """Neither payments nor accounts of it stay."""
    with server.client() as client:
        accounts = client.get("/accounts?limit=500").json()["accounts"]
        assert client.get("/transaction/warm-up").status_code == 404
    assert not [account for account in accounts if account["user_id"].startswith("warm")]


@pytest.mark.parametrize(("path", "status"), [("/healthz", "ok"), ("/readyz", "ready")])
def test_probe_answers(server: Server, path: str, status: str) -> None:
    """Both say so in JSON."""
    answer = httpx.get(server.url + path, trust_env=False)
    assert (answer.status_code, answer.json()["status"]) == (200, status)


def _close(application: Application) -> None:
    application._parts.housekeeping.close()
    application._parts.reader.close()
    application._parts.store.close()
