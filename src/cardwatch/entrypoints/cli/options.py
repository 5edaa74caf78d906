"""Options that several commands take, and the settings that they change."""

import os
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from cardwatch.domain.errors import InvalidInput
from cardwatch.domain.times import DAY_MS, HOUR_MS, MINUTE_MS
from cardwatch.runtime.settings import Settings, read_settings

DataDir: TypeAlias = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder of all embedded state (CARDWATCH_DATA_DIR).")
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
LabelDelay: TypeAlias = Annotated[
    str, typer.Option("--label-delay", help="How long after a payment its label is known: 7d, 12h.")
]

_UNITS_MS = {"d": DAY_MS, "h": HOUR_MS, "m": MINUTE_MS}


class WrongUsage(InvalidInput):
    """A command line that asks for what cannot be."""


def duration_ms(text: str) -> int:
    """Read a duration such as 7d, 12h or 30m."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS_MS or not number.isascii() or not number.isdigit() or len(number) > 5:
        raise WrongUsage.at("", "--label-delay must be a number of days, hours or minutes, such as 7d, 12h or 30m")
    return int(number) * _UNITS_MS[unit]


def duration_text(duration: int) -> str:
    """Write milliseconds as `duration_ms` reads them."""
    unit = next(unit for unit, size in _UNITS_MS.items() if duration % size == 0)
    return f"{duration // _UNITS_MS[unit]}{unit}"


def require_suffix(out: Path, suffix: str) -> None:
    """Refuse an output file whose name promises another format than is written."""
    if out.suffix != suffix:
        raise WrongUsage.at("", f"--out {out.name} must end in {suffix}, the format that is written")


def settings_for(data_dir: Path | None = None, **overrides: object) -> Settings:
    """Read the settings of the environment, with what the command line says on top."""
    return read_settings(os.environ, data_dir=data_dir, **overrides)
