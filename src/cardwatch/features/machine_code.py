"""The programs and the codec of all entities as machine code in one file: numba makes it, llvmlite alone loads it.

A server that serves from machine code would pay 150 MB for numba in its memory; the loader costs a third of that, of
which nearly all is a shared library's pages. Making it takes half a minute, so another process does that. The file's
name is a hash of everything that went into it: the text, the versions of the compiler, the processor.
"""

import ctypes
import hashlib
import inspect
import os
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from math import nan, sqrt
from pathlib import Path
from typing import Any

import msgspec

from cardwatch.domain.errors import CardwatchError
from cardwatch.features import packing
from cardwatch.features.aggregations import expected_distinct
from cardwatch.features.compiled import LOOPS, as_loops
from cardwatch.features.encode import FIELDS
from cardwatch.features.engine import FeatureEngine

READ, UPDATE = 16, 32
"""What a step does; the lower bits say which entities the payment has."""

_OPTIONS = {"boundscheck": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Every index is checked, since a damaged state may hold any number. There is nobody but ctypes to call."""

_POINTER, _INTEGER = ctypes.c_void_p, ctypes.c_int64

_ENTRIES: dict[str, tuple[object, ...]] = {
    "step": (*[_POINTER] * 6, _INTEGER),
    "unpack_state": (_POINTER, _INTEGER, ctypes.c_char_p, _INTEGER, _POINTER, _INTEGER),
    "pack_state": (_POINTER, _INTEGER, _POINTER, _INTEGER, _POINTER, _INTEGER),
}
"""What is called from outside, and what each takes."""

_NAME = "<machine code of features>"


class MachineCodeUnusable(CardwatchError):
    """Machine code cannot be made or loaded here; the message says why. What is interpreted goes on."""


# What is compiled

_OPENING = """\
DISTINCT = {distinct}
"""

_ENTRY_TEXT = """\

def step(account, merchant, device, pair, event, vector, what):
    e = carray(event, ({fields},))
    o = carray(vector, ({features},))
    if what & {read}:
        payment_read(e, e, o)
{entities}
    return 0


def unpack_state(layout, layout_size, blob, blob_size, state, state_size):
    return unpack(carray(layout, (layout_size,)), carray(blob, (blob_size,)), carray(state, (state_size,)))

def pack_state(layout, layout_size, state, state_size, out, out_size):
    return pack(carray(layout, (layout_size,)), carray(state, (state_size,)), carray(out, (out_size,)))
"""

_ENTITY = """\
    if what & {bit}:
        state = carray({entity}, ({size},))
        if what & {read}:
            {entity}_read(state, e, o)
        if what & {update}:
            {entity}_update(state, e)
"""


def stateful(engine: FeatureEngine) -> tuple[str, ...]:
    """Return the entities that have states, in the order of their bits."""
    return tuple(entity for entity in engine.programs if entity != "payment")


def program_text(engine: FeatureEngine) -> str:
    """Return the source of everything that is compiled."""
    parts = [_OPENING.format(distinct=expected_distinct()) + LOOPS]
    for entity, program in engine.programs.items():
        parts.append(re.sub(r"\b(fold|read|update|relabel)\(", rf"{entity}_\1(", as_loops(program.source)))
    source = inspect.getsource(packing)
    parts.append(source[source.index("PREFIX = ") :])
    entities = "".join(
        _ENTITY.format(entity=entity, bit=1 << at, size=engine.programs[entity].plan.size(), read=READ, update=UPDATE)
        for at, entity in enumerate(stateful(engine))
    )
    parts.append(_ENTRY_TEXT.format(fields=len(FIELDS), features=len(engine.names), read=READ, entities=entities))
    return "\n\n".join(parts)


def file_name(engine: FeatureEngine) -> str:
    """Return the name of the file for this engine on this machine; raises MachineCodeUnusable without numba."""
    try:
        versions = [version("numba"), version("llvmlite")]
    except PackageNotFoundError as error:
        raise MachineCodeUnusable("numba is not installed") from error
    machine = [_llvm().get_process_triple(), _llvm().get_host_cpu_name(), _llvm().get_host_cpu_features().flatten()]
    maker = [inspect.getsource(making) for making in (make, _compiled, _target)]
    everything = msgspec.json.encode([program_text(engine), maker, versions, machine])
    return f"features-{hashlib.sha256(everything).hexdigest()[:32]}.bin"


def make(engine: FeatureEngine, folder: Path) -> Path:
    """Compile everything and write the file, in place of older ones. Imports numba, and takes half a minute."""
    symbols, module = {}, _llvm().parse_assembly("")
    for name, (symbol, assembly) in _compiled(program_text(engine)).items():
        symbols[name] = symbol
        module.link_in(_llvm().parse_assembly(assembly))
    code: bytes = _target().emit_object(module)
    header = {"symbols": symbols, "sha256": hashlib.sha256(code).hexdigest()}
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / file_name(engine)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix="features-", suffix=".bin")
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(header) + b"\n" + code)
    Path(temporary).replace(path)
    for older in folder.glob("features-*.bin"):
        if older != path:
            older.unlink(missing_ok=True)
    return path


def _compiled(text: str) -> dict[str, tuple[str, str]]:
    """Compile a text of functions; returns the symbol and the assembly of each entry."""
    numba = import_module("numba")
    scope: dict[str, Any] = {"carray": numba.carray, "nan": nan, "sqrt": sqrt}
    scope |= {"MutableSequence": list, "Sequence": list}  # what annotations name; they decide nothing here
    exec(compile(text, _NAME, "exec"), scope)  # noqa: S102 - the text is generated above
    for name, found in list(scope.items()):
        if inspect.isfunction(found) and found.__code__.co_filename == _NAME:
            # Entries alone touch numba's counting of references, and only of arrays that have none.
            scope[name] = numba.njit(found, _nrt=name in _ENTRIES, **_OPTIONS)
    integer = numba.types.int64
    integers, vector = numba.types.CPointer(integer), numba.types.CPointer(numba.types.float64)
    blob = numba.types.CPointer(numba.types.uint8)
    signatures = {
        "step": (*[integers] * 5, vector, integer),
        "unpack_state": (integers, integer, blob, integer, integers, integer),
        "pack_state": (integers, integer, integers, integer, blob, integer),
    }
    found_code = {}
    for name, signature in signatures.items():
        scope[name].compile(signature)
        symbol = scope[name].overloads[signature].fndesc.llvm_func_name
        found_code[name] = (symbol, scope[name].inspect_llvm(signature))
    return found_code


# Loading


class MachineCode:
    """The loaded functions. They hold the interpreter's lock, and take addresses, which callers keep alive."""

    def __init__(self, symbols: dict[str, str], code: bytes) -> None:
        llvm = _llvm()
        # Named by the code, never called: arrays made of addresses have no owner to be told.
        self._nothing = ctypes.CFUNCTYPE(None, _POINTER)(lambda _: None)
        llvm.add_symbol("NRT_MemInfo_call_dtor", ctypes.cast(self._nothing, _POINTER).value)
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target())
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        self.step = self._function(symbols, "step")
        self.unpack = self._function(symbols, "unpack_state")
        self.pack = self._function(symbols, "pack_state")

    def _function(self, symbols: dict[str, str], name: str) -> Callable[..., int]:
        """Return an entry as a function; it raises IndexError for a state whose numbers lead nowhere."""
        address = self._engine.get_function_address(symbols[name])
        if not address:
            raise MachineCodeUnusable(f"{name} is missing in the machine code")
        call = ctypes.PYFUNCTYPE(ctypes.c_int, _POINTER, _POINTER, *_ENTRIES[name])(address)  # type: ignore[arg-type]

        def run(*arguments: object) -> int:
            result, error = _INTEGER(), _POINTER()
            if call(ctypes.addressof(result), ctypes.addressof(error), *arguments):
                raise IndexError("a feature state holds numbers that cannot be")
            return result.value

        return run


def load(path: Path) -> MachineCode:
    """Load a file that `make` wrote; raises MachineCodeUnusable, also where the file is damaged."""
    try:
        header, _, code = path.read_bytes().partition(b"\n")
        found = msgspec.json.decode(header, type=dict[str, Any])
        if hashlib.sha256(code).hexdigest() != found["sha256"]:
            raise MachineCodeUnusable(f"{path} is damaged; remove it")
        return MachineCode(found["symbols"], code)
    except (OSError, msgspec.MsgspecError, KeyError, RuntimeError) as error:
        raise MachineCodeUnusable(f"{path} cannot be loaded: {type(error).__name__}") from error


@cache
def _llvm() -> Any:
    """Import llvmlite's binding, which takes 60 ms and 45 MB that only compiled serving should pay."""
    try:
        binding = import_module("llvmlite.binding")
    except (ImportError, OSError) as error:
        raise MachineCodeUnusable("llvmlite cannot be imported") from error
    with suppress(RuntimeError):  # what newer releases raise, which need it no more
        binding.initialize()
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


def _target() -> Any:
    """Return this machine as a target; no floating-point operations are joined, so that bits stay as interpreted."""
    llvm = _llvm()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=2,
        codemodel="jitdefault",
        jit=True,
    )
