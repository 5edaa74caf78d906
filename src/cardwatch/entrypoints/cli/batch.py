"""What batch commands share: opening a file by column, the engine of a label delay, processes and their progress."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from cardwatch.domain.times import DAY_MS
from cardwatch.entrypoints.cli.history import FileFormat
from cardwatch.entrypoints.cli.options import WrongUsage, duration_text
from cardwatch.entrypoints.cli.output import notes, phases
from cardwatch.features.engine import FeatureEngine, default_engine
from cardwatch.learning.dataset_formats import FORMATS, read_map
from cardwatch.learning.fields import Tokens
from cardwatch.models.bundle import Bundle, BundleUnusable, read_bundle, read_facts
from cardwatch.runtime.bootstrap import find_model, open_gazetteer
from cardwatch.runtime.keys import card_token_key
from cardwatch.runtime.settings import Settings

if TYPE_CHECKING:
    from cardwatch.learning.columns import PaymentColumns
    from cardwatch.learning.running import Running

DEFAULT_DELAY_MS = 7 * DAY_MS
"""How old the labels are that the packaged model's features read."""

COMPILED_FOLDER = "compiled"
"""Where the data folder keeps compiled programs."""

Model: TypeAlias = Annotated[
    Path | None, typer.Option("--model", help="Folder or name of the bundle; default: the packaged model.")
]
Workers: TypeAlias = Annotated[
    int | None, typer.Option("--workers", min=1, help="Processes that work; default: one for each core.")
]


def open_columns(data: Path, layout: FileFormat | None, columns: Path | None, settings: Settings) -> "PaymentColumns":
    """Open a file of payments by a known format or a column map; card numbers in it become tokens."""
    from cardwatch.learning.columns import PaymentColumns  # noqa: PLC0415  needs the train extra

    if (layout is None) == (columns is None):
        raise WrongUsage.at("", "give either --format or --map")
    known = FORMATS[layout.value] if layout is not None else read_map(columns or Path())
    found = PaymentColumns(data, known, tokens=Tokens(card_token_key(settings)), gazetteer=open_gazetteer())
    if found.notice:
        notes.print(found.notice, markup=False)
    return found


def engine_of(label_delay_ms: int) -> FeatureEngine:
    """Return the engine whose features read labels that are so old; raises InvalidInput when none can be."""
    try:
        return default_engine(label_delay_ms // 1000)
    except ValueError as error:
        raise WrongUsage.at("", f"--label-delay: {error}") from None


def bundle_for(engine: FeatureEngine, model: Path | None, settings: Settings) -> Bundle:
    """Open the bundle of a folder, or of a name that `cardwatch model list` gives; the packaged one for None.

    Raises BundleUnusable, and where another --label-delay is all that it needs, InvalidInput that says which.
    """
    folder = find_model("default" if model is None else str(model), settings.data_dir)
    try:
        return read_bundle(folder, feature_names=engine.names, spec_hash=engine.spec_hash)
    except BundleUnusable:
        facts = read_facts(folder)
        candidates = {DEFAULT_DELAY_MS, *([facts.window.label_delay_ms] if facts.window else [])}
        wanted = next((one for one in candidates if engine_of(one).spec_hash == facts.spec_hash), None)
        if wanted is None or wanted == engine.label_delay_s * 1000:
            raise
        given, right = duration_text(engine.label_delay_s * 1000), duration_text(wanted)
        raise WrongUsage.at(
            "", f"model bundle {folder}: trained with --label-delay {right}, not {given}: give --label-delay {right}"
        ) from None


@contextmanager
def shown(settings: Settings, workers: int | None = None) -> Iterator["Running"]:
    """Run work on processes, with its progress on standard error."""
    from cardwatch.learning.running import Running  # noqa: PLC0415  needs the train extra

    with phases() as begin:
        yield Running(
            workers=workers,
            compiled=settings.data_dir / COMPILED_FOLDER,
            phases=begin,
            say=lambda line: notes.print(line, markup=False),
        )
