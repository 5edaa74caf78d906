"""A training job: hyperparameters and one file of labelled payments in, a bundle out, by the training of the package.

Reads /opt/ml/input/config/hyperparameters.json and the channel "train"; writes /opt/ml/model, which SageMaker packs as
the archive that `infrastructure/deploy_sagemaker.py --bundle` and an endpoint take. What went wrong stands in one line
in /opt/ml/output/failure, which `describe-training-job` shows. Neither names a person or repeats a value of the file.
"""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import structlog

from cardwatch.domain.errors import CardwatchError, InvalidInput
from cardwatch.entrypoints.cli.history import instant
from cardwatch.entrypoints.cli.options import duration_ms
from cardwatch.features.engine import default_engine
from cardwatch.learning.columns import PaymentColumns
from cardwatch.learning.dataset_formats import FORMATS, Format, read_map
from cardwatch.learning.fields import Tokens
from cardwatch.learning.running import Running
from cardwatch.learning.train import TrainingSpec, train
from cardwatch.models.bundle import Bundle, Costs
from cardwatch.runtime.bootstrap import open_gazetteer, system_randomness
from cardwatch.runtime.json_logs import configure_logging

CHANNEL = "train"

MAP_FILE = "columns.json"
"""Beside the payments: names the columns of a format of one's own."""

_SUFFIXES = (".csv", ".csv.gz", ".parquet")

_NOT_OURS = ("sagemaker_", "_tuning_")
"""How names begin that SageMaker's tools and its tuner add."""

_FAILURE_MAX = 1024
"""Characters of the failure that SageMaker shows."""

_log = structlog.get_logger(__name__)


class Hyperparameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """What a job can be told, each value as text. Names and meanings are those of `cardwatch train`."""

    format: str = "cardwatch"
    from_: str | None = msgspec.field(name="from", default=None)
    until: str | None = None
    label_delay: str = "7d"
    seed: int = TrainingSpec(source="").seed
    trees: int | None = None
    members: int = 1
    genuine_share: float = 1.0
    fraud_weight: float = 1.0
    wrong_challenge_minor: int = Costs().wrong_challenge_minor
    text_minor: int = Costs().text_minor


def run_job(root: Path) -> int:
    """Run a job in a folder laid out as SageMaker's /opt/ml; returns the exit code."""
    configure_logging("INFO")
    try:
        facts = train_in(root).facts
    except (CardwatchError, OSError) as error:
        return _fail(root, _line(error))
    except Exception as error:  # noqa: BLE001  a job says how it ended, whatever happened
        return _fail(root, f"training failed: {type(error).__name__}")
    measured = facts.metrics
    _log.info("model trained", model_version=facts.model_version, summary=facts.summary)
    if measured is not None:  # one line that the metric definitions of a job can find by a pattern
        _log.info(f"average_precision={measured.average_precision.value:.6f}; roc_auc={measured.roc_auc.value:.6f};")
    return 0


def train_in(root: Path) -> Bundle:
    """Train on what lies under `root`/input and write the bundle into `root`/model.

    Raises CardwatchError with one line when hyperparameters, file or window are not as they have to be.
    """
    given = read_hyperparameters(root / "input" / "config" / "hyperparameters.json")
    data, layout = _data(root / "input" / "data" / CHANNEL, given)
    spec = TrainingSpec(
        source=f"{data.name} ({layout.name}).",
        from_ms=instant(given.from_, "from"),
        until_ms=instant(given.until, "until"),
        label_delay_ms=duration_ms(given.label_delay),
        seed=given.seed,
        trees=given.trees,
        members=given.members,
        genuine_share=given.genuine_share,
        fraud_weight=given.fraud_weight,
        costs=Costs(given.wrong_challenge_minor, given.text_minor),
    )
    try:
        engine = default_engine(spec.label_delay_ms // 1000)
    except ValueError as error:
        raise InvalidInput.at("", f"label-delay: {error}") from None
    # Tokens of card numbers need a key of this job alone: they never leave it.
    tokens = Tokens(system_randomness().token(32).encode())
    columns = PaymentColumns(data, layout, tokens=tokens, gazetteer=open_gazetteer())
    if columns.notice:
        _log.info(columns.notice)
    out = root / "model"
    with TemporaryDirectory(prefix="cardwatch-") as work:
        running = Running(compiled=Path(work) / "compiled", say=_log.info)
        bundle = train(columns, spec=spec, engine=engine, out=Path(work) / "model", running=running)
        out.mkdir(parents=True, exist_ok=True)
        for file in sorted(bundle.folder.iterdir()):
            shutil.copyfile(file, out / file.name)
    return msgspec.structs.replace(bundle, folder=out)


def read_hyperparameters(path: Path) -> Hyperparameters:
    """Read the file, nothing where there is none; raises InvalidInput that names what is wrong."""
    try:
        given = msgspec.json.decode(path.read_bytes(), type=dict[str, str]) if path.exists() else {}
        ours = {name: value for name, value in given.items() if not name.startswith(_NOT_OURS)}
        return msgspec.convert(ours, Hyperparameters, strict=False)
    except msgspec.MsgspecError as error:
        raise InvalidInput.at("", f"hyperparameters: {error}") from None


def _data(folder: Path, given: Hyperparameters) -> tuple[Path, Format]:
    files = sorted(path for path in folder.iterdir() if path.name.endswith(_SUFFIXES)) if folder.is_dir() else []
    if len(files) != 1:
        wanted = f"one file of payments ({', '.join(_SUFFIXES)})"
        raise InvalidInput.at("", f"the channel {CHANNEL} must hold {wanted}, it holds {len(files)}")
    if (folder / MAP_FILE).is_file():
        return files[0], read_map(folder / MAP_FILE)
    if given.format not in FORMATS:
        known = ", ".join(sorted(FORMATS))
        raise InvalidInput.at("", f"hyperparameters: there is no format {given.format}; known are {known}")
    return files[0], FORMATS[given.format]


def _line(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    return " ".join(str(error).split())


def _fail(root: Path, line: str) -> int:
    _log.error("training failed", cause=line)
    folder = root / "output"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "failure").write_text(line[:_FAILURE_MAX] + "\n", "utf-8")
    except OSError as error:
        _log.error("failure not written", cause=error.strerror)
    return 1
