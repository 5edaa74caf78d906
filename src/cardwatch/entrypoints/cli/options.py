"""Options that several commands take, and the settings that they change."""

import os
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from cardwatch.runtime.settings import Settings, read_settings

DataDir: TypeAlias = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder of all embedded state (CARDWATCH_DATA_DIR).")
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def settings_for(data_dir: Path | None = None, **overrides: object) -> Settings:
    """Read the settings of the environment, with what the command line says on top."""
    return read_settings(os.environ, data_dir=data_dir, **overrides)
