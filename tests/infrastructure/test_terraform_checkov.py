"""checkov as an outsider's eye on the Terraform configuration: what it finds is known, each skip has its reason."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.moto import ToolMissing, tool_environment
from tests.support.terraform import CONFIGURATION

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        os.environ.get("CARDWATCH_TEST_AWS") != "1",
        reason="heavy: installs checkov into an environment of its own; set CARDWATCH_TEST_AWS=1",
    ),
]

VERSION = "3.3.30"
"""Pinned: another version has other checks."""

SKIPS = CONFIGURATION / ".checkov.yaml"


def skipped() -> dict[str, str]:
    """Return the skipped checks with their reasons."""
    return dict(re.findall(r"^  - (CKV\w+)(?:  # (.*))?$", SKIPS.read_text("utf-8"), flags=re.MULTILINE))


def test_each_skip_carries_its_reason() -> None:
    """Nothing is passed over in silence."""
    assert skipped()
    assert {check for check, reason in skipped().items() if len(reason) < 20} == set()


def test_checkov_finds_only_what_is_skipped(tmp_path: Path) -> None:
    """Every check passes but those that the list names, and the list names none that passes."""
    try:
        program = tool_environment("checkov", f"checkov=={VERSION}") / "checkov"
    except ToolMissing as missing:
        pytest.skip(str(missing))
    for path in CONFIGURATION.glob("*.tf"):
        shutil.copy(path, tmp_path / path.name)
    done = subprocess.run(
        [str(program), "-d", ".", "--framework", "terraform", "--compact", "-o", "json"],
        cwd=tmp_path,
        # It looks its guidelines up in the web unless it is kept from it, and needs none of them.
        env={**os.environ, "HTTPS_PROXY": "http://127.0.0.1:9", "LOG_LEVEL": "CRITICAL"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 200
    failed = {found["check_id"]: found["resource"] for found in report["results"]["failed_checks"]}
    assert {check: where for check, where in failed.items() if check not in skipped()} == {}
    assert set(skipped()) == set(failed)
