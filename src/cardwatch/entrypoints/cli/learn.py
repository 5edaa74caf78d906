"""`features`, `train` and `score`: batch work on files, with the same feature code that serves."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from cardwatch.domain.errors import InvalidInput
from cardwatch.entrypoints.cli.batch import Model, Workers, bundle_for, engine_of, open_columns, shown
from cardwatch.entrypoints.cli.costs import TextCost, WrongChallenge, costs_from
from cardwatch.entrypoints.cli.history import Columns, Data, Format, From, Until, instant
from cardwatch.entrypoints.cli.options import DataDir, Json, LabelDelay, duration_ms, require_suffix, settings_for
from cardwatch.entrypoints.cli.output import console, print_json
from cardwatch.entrypoints.cli.threads import wait_quietly
from cardwatch.models.bundle import Costs

GenuineShare: TypeAlias = Annotated[
    float, typer.Option("--genuine-share", help="Share of genuine payments that trees grow on, weighted for all.")
]
Trees: TypeAlias = Annotated[
    int | None, typer.Option("--trees", help="Number of trees; default: as many as later payments say.")
]
FeaturesFile: TypeAlias = Annotated[
    Path | None, typer.Option("--features", help="File of feature names to learn from, one a line; default: all.")
]


def features(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="File to write, .parquet.")],
    layout: Format = None,
    columns: Columns = None,
    data_dir: DataDir = None,
    since: From = None,
    until: Until = None,
    label_delay: LabelDelay = "7d",
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Compute the features of every payment in a file, as the server would have; stopped, it goes on when repeated."""
    from cardwatch.learning.feature_file import feature_file  # noqa: PLC0415  needs the train extra
    from cardwatch.learning.offline.pipeline import Options  # noqa: PLC0415

    engine = engine_of(duration_ms(label_delay))
    require_suffix(out, ".parquet")
    settings = settings_for(data_dir)
    options = Options(from_ms=instant(since, "--from"), until_ms=instant(until, "--until"))
    payments = open_columns(data, layout, columns, settings)
    with shown(settings, workers) as running:
        count = feature_file(payments, engine=engine, out=out, options=options, running=running)
    if as_json:
        print_json({"payments": count, "file": str(out)})
        return
    console.print(f"{count:,} rows of features written to {out}", markup=False)


def train(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Folder of the bundle.")],
    layout: Format = None,
    columns: Columns = None,
    data_dir: DataDir = None,
    since: From = None,
    until: Until = None,
    label_delay: LabelDelay = "7d",
    genuine_share: GenuineShare = 1.0,
    wrong_challenge: WrongChallenge = None,
    text: TextCost = None,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same bytes.")] = 1,
    trees: Trees = None,
    features_file: FeaturesFile = None,
    members: Annotated[int, typer.Option("--members", help="Models of other seeds that are averaged into one.")] = 1,
    threads: Annotated[int, typer.Option("--threads", help="0: all cores; the bytes do not depend on it.")] = 0,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Train a model bundle on a file of labelled payments; earlier rows feed the state."""
    wait_quietly()
    from cardwatch.learning.train import TrainingSpec  # noqa: PLC0415  needs the train extra
    from cardwatch.learning.train import train as train_bundle  # noqa: PLC0415

    spec = TrainingSpec(
        source=data.name,
        from_ms=instant(since, "--from"),
        until_ms=instant(until, "--until"),
        label_delay_ms=duration_ms(label_delay),
        genuine_share=genuine_share,
        costs=costs_from(wrong_challenge, text, otherwise=Costs()),
        seed=seed,
        trees=trees,
        members=members,
        threads=threads,
        features=_names(features_file) if features_file is not None else (),
    )
    engine, settings = engine_of(spec.label_delay_ms), settings_for(data_dir)
    payments = open_columns(data, layout, columns, settings)
    with shown(settings, workers) as running:
        bundle = train_bundle(payments, spec=spec, engine=engine, out=out, running=running)
    facts = bundle.facts
    if as_json:
        print_json(facts)
        return
    console.print(f"{facts.model_version} written to {out}: {facts.summary}", markup=False)


def score(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="File to write, .parquet: transaction_id and score.")],
    layout: Format = None,
    columns: Columns = None,
    model: Model = None,
    data_dir: DataDir = None,
    since: From = None,
    until: Until = None,
    label_delay: LabelDelay = "7d",
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Score the payments of a file with a model; earlier rows feed the state. Stopped, it goes on when repeated."""
    wait_quietly()
    from cardwatch.learning.offline.pipeline import Options  # noqa: PLC0415  needs the train extra
    from cardwatch.learning.score_file import score_file  # noqa: PLC0415

    engine = engine_of(duration_ms(label_delay))
    require_suffix(out, ".parquet")
    settings = settings_for(data_dir)
    options = Options(from_ms=instant(since, "--from"), until_ms=instant(until, "--until"))
    bundle = bundle_for(engine, model, settings)
    payments = open_columns(data, layout, columns, settings)
    with shown(settings, workers) as running:
        count = score_file(payments, bundle=bundle, engine=engine, out=out, options=options, running=running)
    if as_json:
        print_json({"payments": count, "file": str(out)})
        return
    console.print(f"{count:,} scores written to {out}", markup=False)


def _names(path: Path) -> tuple[str, ...]:
    """Read names, one a line; empty lines and what follows a # are no names."""
    try:
        lines = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput.at("", f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    names = tuple(line for line in lines if line)
    if not names:
        raise InvalidInput.at("", f"{path}: names no feature")
    return names
