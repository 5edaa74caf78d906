"""A model bundle: a folder of text with the model, what is known about it, and checksums that hold them together.

`model.txt` is LightGBM's own format, `bundle.json` the facts below, `card.md` the model card for people. Reading
verifies everything that can be verified without the model's library; each fault is one clear line. Nothing here
carries a date or a machine's name, so the same training gives the same bytes.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from cardwatch.domain.errors import OperatingError

FORMAT_VERSION = 1
MODEL_FILE = "model.txt"
FACTS_FILE = "bundle.json"
CARD_FILE = "card.md"

_NAMES = "feature_names="


class BundleUnusable(OperatingError):
    """A model bundle cannot be used as it is; the message says which and why. Retrying does not help."""

    retryable = False


class Interval(msgspec.Struct, frozen=True):
    """A measured value with the bounds of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class Bin(msgspec.Struct, frozen=True):
    """One bar of the reliability table: payments, their mean predicted probability, and the share that was fraud."""

    payments: int
    predicted: float
    observed: float


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured on the out-of-time slice, which neither trees nor their number were chosen on."""

    payments: int
    frauds: int
    average_precision: Interval
    roc_auc: Interval
    log_loss: float
    calibration_error: float
    """Expected calibration error over `reliability`: mean gap of predicted and observed, weighted by payments."""
    reliability: tuple[Bin, ...]
    recall_at_threshold: float
    precision_at_threshold: float
    challenged_share: float
    """Share of genuine payments that reach the threshold."""


class Costs(msgspec.Struct, frozen=True):
    """What the threshold was weighed with, in minor units; a missed fraud costs its own amount."""

    wrong_challenge_minor: int = 5000
    """A genuine holder who is asked: the sale given up, the call, the card that stays in the drawer; judgement."""
    text_minor: int = 1
    """One text sent."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """Platt scaling, folded into the trees: what they gave, in log-odds, became `slope * margin + intercept`.

    Slope 1 and intercept 0: the scores were better as they came. The two numbers were measured before, on the slice
    of `Metrics`, which says what they are with it.
    """

    slope: float
    intercept: float
    log_loss_before: float
    calibration_error_before: float


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The times that training used, milliseconds since 1970 UTC, each from inclusive, until exclusive."""

    from_ms: int
    stopping_from_ms: int
    """From here on payments choose the number of trees."""
    slice_from_ms: int
    """From here on payments choose the threshold and give the metrics; only then do the final trees see them."""
    until_ms: int
    label_delay_ms: int
    payments: int
    frauds: int


class TakenFeature(msgspec.Struct, frozen=True):
    """A feature of an imported model, and what it is here: `feature` in our units is theirs times `scale`."""

    name: str
    feature: str
    scale: float


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """Where an imported model came from."""

    file: str
    sha256: str
    """Of the file, in hexadecimal."""
    features: tuple[TakenFeature, ...]
    """In the order of the model."""


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything known about a model, as `bundle.json` holds it; None stands for what an import could not tell."""

    format_version: int
    model_version: str
    source: str
    """What it was trained on, in words."""
    threshold: float
    threshold_chosen_by: str
    feature_names: tuple[str, ...]
    feature_medians: tuple[float | None, ...]
    """What is usual among the training payments, by feature; None where no payment had a value, or nobody knows."""
    spec_hash: str
    window: Window | None
    seeds: dict[str, int]
    parameters: dict[str, str | int | float | bool]
    trees: int
    metrics: Metrics | None
    """Of a model with the same settings whose trees had not seen the slice; the bundle's own grew on the window."""
    calibration: Calibration | None = None
    """None in bundles of before there was any."""
    costs: Costs | None
    libraries: dict[str, str]
    checksums: dict[str, str]
    """SHA-256 of every other file of the bundle, in hexadecimal, by its name."""
    imported: Imported | None = None
    """None for a model that was trained here."""

    @property
    def summary(self) -> str:
        """The model in one line: its size, its threshold, and what was measured."""
        size = f"{self.trees} trees, {len(self.feature_names)} features, threshold {self.threshold:.4f}"
        if self.metrics is None:
            return f"{size}, never measured"
        precision, area = self.metrics.average_precision.value, self.metrics.roc_auc.value
        return f"{size}, average precision {precision:.4f}, AUC {area:.4f}"


class Bundle(msgspec.Struct, frozen=True):
    """A bundle that was read and verified."""

    folder: Path
    facts: Facts
    model_text: str


def read_bundle(folder: Path, *, feature_names: Sequence[str], spec_hash: str) -> Bundle:
    """Read a bundle and verify its checksums, feature names and spec hash.

    `feature_names` are those that are computed; the model may use any of them, in any order. Raises BundleUnusable
    with one line that names the folder and the fault.
    """
    facts = read_facts(folder)
    for name, expected in facts.checksums.items():
        if hashlib.sha256(_read(folder, name)).hexdigest() != expected:
            raise BundleUnusable(f"model bundle {folder}: {name} is not the file that was trained (checksum differs)")
    if MODEL_FILE not in facts.checksums:
        raise BundleUnusable(f"model bundle {folder}: {FACTS_FILE} has no checksum of {MODEL_FILE}")
    model_text = _read(folder, MODEL_FILE).decode("utf-8", "replace")
    fault = _name_fault(facts, computed=feature_names, in_model=names_in_model(model_text))
    if fault is not None:
        raise BundleUnusable(f"model bundle {folder}: {fault}; train it again")
    if spec_hash != facts.spec_hash:
        detail = f"trained with feature definition {facts.spec_hash}, this version computes {spec_hash}; train it again"
        raise BundleUnusable(f"model bundle {folder}: {detail}")
    return Bundle(folder=folder, facts=facts, model_text=model_text)


def read_facts(folder: Path) -> Facts:
    """Read a bundle's facts alone, without verifying the files beside them; raises BundleUnusable."""
    try:
        facts = msgspec.json.decode(_read(folder, FACTS_FILE), type=Facts)
    except msgspec.MsgspecError as error:
        raise BundleUnusable(f"model bundle {folder}: {FACTS_FILE} cannot be read: {error}") from None
    if facts.format_version != FORMAT_VERSION:
        detail = f"format version {facts.format_version}, this version of Cardwatch reads {FORMAT_VERSION}"
        raise BundleUnusable(f"model bundle {folder}: {detail}")
    return facts


def write_bundle(folder: Path, *, facts: Facts, model_text: str, card: str) -> Bundle:
    """Write a bundle into a folder (made if missing) and return it, with the checksums of what was written.

    Raises BundleUnusable when the folder cannot be written.
    """
    files = {MODEL_FILE: model_text.encode(), CARD_FILE: card.encode()}
    facts = msgspec.structs.replace(facts, checksums=checksums(files))
    encoded = msgspec.json.format(msgspec.json.encode(facts), indent=2) + b"\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in {**files, FACTS_FILE: encoded}.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise BundleUnusable(f"model bundle {folder}: cannot be written: {error.strerror}") from None
    return Bundle(folder=folder, facts=facts, model_text=model_text)


def checksums(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the SHA-256 of each content, in hexadecimal, by file name."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}


def column_places(names: Sequence[str], computed: Sequence[str]) -> tuple[int, ...]:
    """Return where the columns of a model stand among the computed features; raises KeyError for one that is not there.

    >>> column_places(("night", "amount"), ("amount", "weekend", "night"))
    (2, 0)
    """
    place = {name: at for at, name in enumerate(computed)}
    return tuple(place[name] for name in names)


def names_in_model(model_text: str) -> tuple[str, ...]:
    """Return the feature names in a model in LightGBM's text format, in the order of its rows; empty if it has none."""
    start = model_text.find("\n" + _NAMES)
    if start < 0:
        return ()
    line, _, _ = model_text[start + 1 + len(_NAMES) :].partition("\n")
    return tuple(line.split())


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise BundleUnusable(f"model bundle {folder}: {name} cannot be read: {error.strerror}") from None


def _name_fault(facts: Facts, *, computed: Sequence[str], in_model: Sequence[str]) -> str | None:
    """Say why a model's features cannot be given to it, None if they can."""
    names, known = facts.feature_names, set(computed)
    missing = [name for name in names if name not in known]
    if missing:
        return f"it needs the feature {missing[0]}, which is not computed"
    if len(set(names)) != len(names):
        return "it names a feature twice"
    if len(facts.feature_medians) != len(names):
        return f"{FACTS_FILE} has {len(facts.feature_medians)} medians for {len(names)} features"
    # The columns are picked by the names in the facts: names or an order that are not the model's would score nonsense.
    if tuple(in_model) != names:
        return f"{FACTS_FILE} names other features than {MODEL_FILE}, or in another order"
    return None
