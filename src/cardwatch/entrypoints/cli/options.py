"""Options that several commands take, and the settings that they change."""

import os
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from cardwatch.domain.errors import InvalidInput
from cardwatch.runtime.settings import Settings, read_settings

DataDir: TypeAlias = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder of all embedded state (CARDWATCH_DATA_DIR).")
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def require_suffix(out: Path, suffix: str) -> None:
    """Refuse an output file whose name promises another format than is written."""
    if out.suffix != suffix:
        raise InvalidInput.at("", f"--out {out.name} must end in {suffix}, the format that is written")


def settings_for(data_dir: Path | None = None, **overrides: object) -> Settings:
    """Read the settings of the environment, with what the command line says on top."""
    return read_settings(os.environ, data_dir=data_dir, **overrides)
