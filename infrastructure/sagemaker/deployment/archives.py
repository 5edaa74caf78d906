"""Which bundle is deployed, and its archive: the same bundle gives the same bytes and the same place in S3."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infrastructure.sagemaker.deployment.errors import DeployError

from cardwatch.entrypoints.cli.options import settings_for
from cardwatch.features.engine import default_engine
from cardwatch.learning.pickled.import_model import import_model
from cardwatch.models.bundle import CARD_FILE, FACTS_FILE, MODEL_FILE, Facts, read_facts
from cardwatch.ports import Scorer
from cardwatch.runtime.bootstrap import find_model, open_model

PICKLE = "fraud_lgbm_balanced.pkl"
"""The setup guide's name of a trained model that is there already (option A)."""

TRAINED = Path("lambdas") / "score" / "model"
"""Where the setup guide's training script leaves its bundle (option B), in the checkout."""

PICKLE_SUFFIXES = (".pkl", ".pickle", ".joblib")

PREFIX = "cardwatch/models"
"""Of every key in the bucket."""


@dataclass(frozen=True)
class Archive:
    """A bundle as SageMaker takes it, with what its answers are compared with."""

    facts: Facts
    body: bytes
    """model.tar.gz, with the bundle's files at its top."""
    key: str
    """In the bucket; it holds a hash of the content."""
    scorer: Scorer


def find_bundle(given: str | None, *, script: Path, say: Callable[[str], None]) -> str:
    """Return the name or path of the bundle to deploy; `script` is the file that was started.

    Without one given: a pickle of the guide's name in the current folder, its parent or beside the script, else what
    the guide's training left in the checkout, else the shipped bundle. Raises DeployError when several could be meant.
    """
    if given is not None:
        return given
    folders = dict.fromkeys(folder.resolve() for folder in (Path(), Path(".."), script.parent, script.parents[1]))
    found = [folder / PICKLE for folder in folders if (folder / PICKLE).is_file()]
    trained = script.resolve().parents[1] / TRAINED
    found += [trained] if (trained / FACTS_FILE).is_file() else []
    if len(found) > 1:
        raise DeployError(f"there are several models: {', '.join(map(str, found))}; say which with --bundle")
    if found:
        return str(found[0])
    say("no model of yours was found: deploying the one that ships with the package")
    return "default"


def pack(name: str, *, work: Path, say: Callable[[str], None]) -> Archive:
    """Check, open and pack a bundle by name or folder; a pickle is imported first, below `work`.

    Raises CardwatchError with one line when there is no such bundle, or it cannot be used.
    """
    if name.endswith(PICKLE_SUFFIXES):
        folder = _imported(Path(name), work, say)
    else:
        folder = find_model(name, settings_for().data_dir)
    scorer, facts = open_model(folder), read_facts(folder)
    files = {one: (folder / one).read_bytes() for one in (FACTS_FILE, MODEL_FILE, CARD_FILE)}
    body, digest = _archive(files)
    return Archive(facts, body, f"{PREFIX}/{facts.model_version}/{digest}/model.tar.gz", scorer)


def _imported(path: Path, work: Path, say: Callable[[str], None]) -> Path:
    say(f"importing {path}: its code runs apart, without network, secrets or much memory")
    out = work / f"imported-{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    found = import_model(path, engine=default_engine(), open_bundle=open_model, data_dir=work, out=out)
    if not found.network_cut:
        say("note: this system does not allow cutting off the network; the file's code could have used it")
    taken = found.facts.imported.features if found.facts.imported else ()
    say("check that each means the same: " + ", ".join(f"{one.name} is {one.feature}" for one in taken))
    return found.folder


def _archive(files: dict[str, bytes]) -> tuple[bytes, str]:
    """Return a tar.gz without times, names and owners of this machine, and the hash of its tar.

    The hash is of the tar alone: another compressor gives other bytes for the same content.
    """
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), mtime=0), hashlib.sha256(raw.getvalue()).hexdigest()[:16]
