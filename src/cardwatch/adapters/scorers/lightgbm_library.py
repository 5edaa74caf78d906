"""A LightGBM model through LightGBM's C library alone: no numpy, no scipy, and its Python package is never imported.

One row is scored through `LGBM_BoosterPredictForMatSingleRowFast` on a buffer made once, which gives the same bits
as `lightgbm.Booster.predict`. The C interface is described in LightGBM's `c_api.h` (version 4).

Thread-safety: a library model may be used by several threads; a lock around each of its two buffers makes them take
turns. Scoring keeps the interpreter's lock during the call (tens of microseconds: giving it away and getting it
back can cost more under load), contributions give it away (milliseconds).
"""

import ctypes
import importlib.util
import math
import struct
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from cardwatch.domain.errors import ScorerUnavailable

_FLOAT64 = 1  # C_API_DTYPE_FLOAT64
_PREDICT_NORMAL = 0  # C_API_PREDICT_NORMAL
_PREDICT_CONTRIBUTIONS = 3  # C_API_PREDICT_CONTRIB
_PARAMETERS = b"num_threads=1 verbosity=-1"
_FILE_NAMES = {"darwin": "lib_lightgbm.dylib", "win32": "lib_lightgbm.dll"}


def find_library() -> Path:
    """Find LightGBM's C library beside its Python package, without importing the package.

    Raises ScorerUnavailable when it is not installed.
    """
    spec = importlib.util.find_spec("lightgbm")
    name = _FILE_NAMES.get(sys.platform, "lib_lightgbm.so")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        for candidate in (Path(location) / "lib" / name, Path(location) / "bin" / name, Path(location) / name):
            if candidate.is_file():
                return candidate
    raise ScorerUnavailable(f"LightGBM's library {name} is not installed: pip install lightgbm")


class LibraryModel:
    """A binary LightGBM model that scores and explains one row at a time."""

    feature_count: int
    """Values that a row has."""

    def __init__(self, model_text: str, *, library: Path | None = None) -> None:
        """Load a model in LightGBM's text format; raises ScorerUnavailable when library or model cannot be used."""
        path = find_library() if library is None else library
        try:
            self._holding, self._releasing = ctypes.PyDLL(str(path)), ctypes.CDLL(str(path))
        except OSError as error:
            raise ScorerUnavailable(f"LightGBM's library {path} cannot be loaded: {error}") from None
        self._holding.LGBM_GetLastError.restype = ctypes.c_char_p
        self._booster = ctypes.c_void_p()
        self._calls: list[_RowCall] = []
        trees = ctypes.c_int()
        text = model_text.encode()
        created = self._holding.LGBM_BoosterLoadModelFromString(text, ctypes.byref(trees), ctypes.byref(self._booster))
        self._check(created, "load the model")
        self.feature_count = self._count("LGBM_BoosterGetNumFeature")
        if self._count("LGBM_BoosterGetNumClasses") != 1:
            raise ScorerUnavailable("the model has several classes; one that knows fraud and genuine is needed")
        self._score = self._prepare(self._holding, _PREDICT_NORMAL, 1)
        self._explain = self._prepare(self._releasing, _PREDICT_CONTRIBUTIONS, self.feature_count + 1)

    def score(self, vector: Sequence[float]) -> float:
        """Return the model's output for a row of `feature_count` values (NaN: missing); raises ScorerUnavailable."""
        probability = self._score(vector)[0]
        if math.isnan(probability):
            raise ScorerUnavailable("the model gave no number")
        return probability

    def contributions(self, vector: Sequence[float]) -> tuple[float, ...]:
        """Return what each feature adds to the margin (log-odds), and last the margin of an average payment.

        They are TreeSHAP values and sum to the margin. Raises ScorerUnavailable.
        """
        return tuple(self._explain(vector))

    def close(self) -> None:
        """Free the library's memory; the model cannot be used afterwards."""
        for call in self._calls:
            call.close()
        self._calls.clear()
        if self._booster:
            self._holding.LGBM_BoosterFree(self._booster)
            self._booster = ctypes.c_void_p()

    def __del__(self) -> None:
        if getattr(self, "_booster", None):
            self.close()

    def _count(self, function: str) -> int:
        count = ctypes.c_int()
        self._check(self._holding[function](self._booster, ctypes.byref(count)), "read the model")
        return count.value

    def _prepare(self, library: ctypes.CDLL, predict_type: int, outputs: int) -> "_RowCall":
        configuration = ctypes.c_void_p()
        prepared = library.LGBM_BoosterPredictForMatSingleRowFastInit(
            self._booster,
            ctypes.c_int(predict_type),
            ctypes.c_int(0),  # from the first tree
            ctypes.c_int(-1),  # to the last, or the best where early stopping recorded one
            ctypes.c_int(_FLOAT64),
            ctypes.c_int32(self.feature_count),
            ctypes.c_char_p(_PARAMETERS),
            ctypes.byref(configuration),
        )
        self._check(prepared, "prepare scoring")
        call = _RowCall(library, configuration, inputs=self.feature_count, outputs=outputs)
        self._calls.append(call)
        return call

    def _check(self, returned: int, what: str) -> None:
        if returned != 0:
            raise ScorerUnavailable(f"LightGBM could not {what}: {_last_error(self._holding)}")


class _RowCall:
    """One prepared kind of prediction with its own buffers and its own lock."""

    def __init__(self, library: ctypes.CDLL, configuration: ctypes.c_void_p, *, inputs: int, outputs: int) -> None:
        self._library = library
        self._function = library.LGBM_BoosterPredictForMatSingleRowFast
        self._configuration = configuration
        self._pack_into = struct.Struct(f"{inputs}d").pack_into
        self._input = (ctypes.c_double * inputs)()
        self._output = (ctypes.c_double * outputs)()
        self._length = ctypes.c_int64()
        self._length_reference = ctypes.byref(self._length)
        self._lock = threading.Lock()

    def __call__(self, vector: Sequence[float]) -> "ctypes.Array[ctypes.c_double] | list[float]":
        """Predict for a row and return a copy of the outputs; raises ScorerUnavailable."""
        with self._lock:
            if not self._configuration:
                raise ScorerUnavailable("the model was closed")
            try:
                self._pack_into(self._input, 0, *vector)
            except struct.error as error:
                raise ScorerUnavailable(f"the features do not fit the model: {error}") from None
            if self._function(self._configuration, self._input, self._length_reference, self._output) != 0:
                raise ScorerUnavailable(f"LightGBM could not score: {_last_error(self._library)}")
            return self._output[:]

    def close(self) -> None:
        """Free the prepared configuration."""
        with self._lock:
            self._library.LGBM_FastConfigFree(self._configuration)
            self._configuration = ctypes.c_void_p()


def _last_error(library: ctypes.CDLL) -> str:
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    message: bytes | None = library.LGBM_GetLastError()
    return (message or b"no reason given").decode(errors="replace")
