"""A pickle may do what it likes: the importer gets a checked artifact or one clear line, never a traceback."""

import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardwatch.learning.pickled.sandbox import Limits, ModelRefused, unpickle
from tests.support.bundles import train_booster

SMALL = Limits(wall_s=30, cpu_s=5)


class Calls:
    """Unpickles into a call of what is built in or importable."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> Any:
        """Say what unpickling calls."""
        return self._call


def runs(code: str) -> Calls:
    """Unpickles by running code."""
    return Calls(exec, code)


def pickled(folder: Path, value: object) -> Path:
    """Write a pickle."""
    path = folder / "model.pkl"
    path.write_bytes(pickle.dumps(value))
    return path


def artifact(**parts: object) -> dict[str, object]:
    """Return what an artifact holds."""
    booster = train_booster(("amt", "hour"), rows=300)
    return {"model": booster, "threshold": 0.4, "feature_names": ["amt", "hour"], **parts}


def test_an_artifact_comes_back_as_text(tmp_path: Path) -> None:
    """Model, threshold and names, as they were."""
    given = artifact()
    found = unpickle(pickled(tmp_path, given)).artifact
    assert found.model == given["model"].model_to_string()  # type: ignore[attr-defined]
    assert (found.threshold, found.feature_names, found.classes) == (0.4, ["amt", "hour"], None)


def test_a_classifier_gives_its_booster_and_labels(tmp_path: Path) -> None:
    """As scikit-learn users keep it, compressed by joblib."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    joblib = pytest.importorskip("joblib", reason="joblib is not installed")
    import lightgbm
    import numpy as np

    rows = np.random.default_rng(1).normal(size=(300, 2))
    model = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(rows, (rows[:, 0] > 0).astype(int))
    joblib.dump(artifact(model=model, threshold=np.float64(0.7)), tmp_path / "model.pkl", compress=3)
    found = unpickle(tmp_path / "model.pkl").artifact
    assert (found.model, found.classes) == (model.booster_.model_to_string(), ["0", "1"])
    assert found.threshold == 0.7


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (["a", "list"], "holds list, not a dict"),
        ({"model": 1}, "has no threshold"),
        (artifact(model="a model"), "has str as its model"),
        (artifact(threshold="high"), "has str as its threshold"),
        (artifact(threshold=float("nan")), "has float as its threshold"),
        (artifact(feature_names="amt"), "has str as its feature_names"),
        (artifact(feature_names=[1, 2]), "has list as its feature_names"),
        (artifact(feature_names=["a\nb", "c"]), "no model artifact"),
        (Calls(os.system, "echo owned"), "holds int, not a dict"),
        (Calls(os._exit, 0), "ended the process before"),
        (Calls(os.abort), "crashed"),
        (Calls(bytearray, 64 * 1024**3), "needs more memory"),
        (runs("raise SystemExit"), "ended the process before"),
        (runs("import nothing_like_this"), "needs the Python package nothing_like_this"),
        (runs("def f(): f()\nf()"), "could not be unpickled"),
        (runs("print('{}', flush=True)"), "holds NoneType"),
        (
            runs("import os\nfor fd in range(3, 9):\n try: os.write(fd, b'{\"model\": 1}')\n except OSError: pass"),
            "no mod",
        ),
        (runs("open('big', 'wb').write(b'0' * 10**6)"), "could not be unpickled"),
        (runs("while True: pass"), "processor time"),
    ],
    ids=range(19),
)
def test_whatever_else_a_file_holds_or_does_is_one_clear_line(tmp_path: Path, value: object, complaint: str) -> None:
    """Wrong objects, shell commands, exits, crashes, huge allocations, prints, forged answers, files, endless loops."""
    path = pickled(tmp_path, value)
    with pytest.raises(ModelRefused, match=complaint) as caught:
        unpickle(path, limits=SMALL)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_what_hangs_is_ended(tmp_path: Path) -> None:
    """Also what sleeps, and takes no processor time."""
    started = time.monotonic()
    with pytest.raises(ModelRefused, match="took longer than 2 s"):
        unpickle(pickled(tmp_path, Calls(time.sleep, 600)), limits=Limits(wall_s=2))
    assert time.monotonic() - started < 20


def test_more_output_than_a_model_can_have_is_refused(tmp_path: Path) -> None:
    """Whatever prints for ever."""
    flood = "import os\nwhile True:\n for fd in range(3, 9):\n  try: os.write(fd, b'0' * 65536)\n  except OSError: pass"
    with pytest.raises(ModelRefused, match="larger than"):
        unpickle(pickled(tmp_path, runs(flood)), limits=Limits(output_bytes=10**6, wall_s=30))


def test_a_huge_file_is_not_opened(tmp_path: Path) -> None:
    """Its size is enough."""
    path = tmp_path / "huge.pkl"
    with path.open("wb") as file:
        file.truncate(10**9)
    with pytest.raises(ModelRefused, match="at most"):
        unpickle(path)


@pytest.mark.parametrize("content", [b"", b"\x80", b"garbage", b"\x80\x05" + b"\xff" * 100, b"\x1f\x8b" + b"0" * 50])
def test_what_is_no_pickle_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    """Empty, cut off, or something else."""
    (tmp_path / "broken.pkl").write_bytes(content)
    with pytest.raises(ModelRefused, match=r"broken\.pkl"):
        unpickle(tmp_path / "broken.pkl", limits=SMALL)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    """By its name."""
    with pytest.raises(ModelRefused, match=r"absent\.pkl: No such file"):
        unpickle(tmp_path / "absent.pkl")


def raised_by(tmp_path: Path, code: str) -> str:
    """Return the name of the error that ends some code in the child, or of the type that the file then holds."""
    with pytest.raises(ModelRefused) as caught:
        unpickle(pickled(tmp_path, runs(code)), limits=SMALL)
    return str(caught.value)


def test_the_code_sees_no_secret_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens and keys of the process that imports are not there."""
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "a-secret-of-this-process")
    code = "import os\nclass Clean(Exception): pass\nif 'TWILIO_AUTH_TOKEN' not in os.environ: raise Clean"
    assert "(Clean)" in raised_by(tmp_path, code)


def test_the_code_starts_in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not where the import was started."""
    monkeypatch.chdir(tmp_path)
    code = "import os\nclass Empty(Exception): pass\nif not os.listdir('.'): raise Empty"
    assert "(Empty)" in raised_by(tmp_path, code)


def test_the_code_reaches_no_network_where_it_is_cut_off(tmp_path: Path) -> None:
    """Not even this machine's own."""
    if not unpickle(pickled(tmp_path, artifact())).network_cut:
        pytest.skip("this system does not allow network namespaces")
    code = (
        "import socket\nclass Unreachable(Exception): pass\n"
        "try: socket.create_connection(('127.0.0.1', 9), 2)\n"
        "except ConnectionRefusedError: raise\nexcept OSError: raise Unreachable"
    )
    assert "(Unreachable)" in raised_by(tmp_path, code)


def test_what_the_code_leaves_running_ends_with_it(tmp_path: Path) -> None:
    """A process that it started in a session of its own does not outlive the import where namespaces are allowed."""
    if not unpickle(pickled(tmp_path, artifact())).network_cut:
        pytest.skip("this system does not allow process namespaces")
    code = f"import os, time\nif os.fork() == 0:\n os.setsid(); time.sleep(3); os.mkdir({str(tmp_path / 'late')!r})"
    raised_by(tmp_path, code)
    time.sleep(4)
    assert not (tmp_path / "late").exists()
