"""Builds the functions' packages: `make package`, or `python tools/package_lambdas.py --help`.

The same tree gives the same bytes: versions and hashes are those of requirements-dev.txt, entries are sorted, times
fixed. Wheels are those of the target (Python 3.13 on x86-64 or arm64), whatever machine builds. Bytecode goes in
where that Python is at hand: a function's folder is read-only, and every cold start would compile anew.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.package_contents import FUNCTIONS, ONLY, ONLY_IN, ROOT, SOURCE, Contents, contents_of

REQUIREMENTS = ROOT / "requirements-dev.txt"

PLATFORMS: dict[str, str] = {"x86_64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
"""Lambda's architectures as uv calls them; Amazon Linux 2023 has glibc 2.34."""

ZIPPED_BYTES_MAX = 50 * 1000**2
UNZIPPED_BYTES_MAX = 250 * 1000**2
"""AWS, Lambda quotas: what may be uploaded directly, and what a function may weigh."""

WHEN = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold."""

_NOT_SHIPPED = re.compile(
    r"(^|/)(__pycache__|tests?|testing)/|\.(pyc|pyi|pyx|pxd|c|h|so\.a)$|(^|/)py\.typed$"
    r"|\.dist-info/(RECORD|INSTALLER|REQUESTED|WHEEL|direct_url\.json|uv_cache\.json|top_level\.txt|zip-safe)$|^bin/|^\.lock$"
)
_LICENCE = re.compile(r"\.dist-info/(METADATA$|entry_points\.txt$|licenses?/|LICEN[CS]E|NOTICE|COPYING)", re.IGNORECASE)
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==\S+", re.MULTILINE)


class Target(NamedTuple):
    """What is built for."""

    architecture: str
    python: str
    """Major and minor version."""


class Built(NamedTuple):
    """A finished package."""

    path: Path
    zipped: int
    unzipped: int
    entries: int


def main(arguments: list[str] | None = None) -> int:
    """Build, print a table of sizes, and return the exit code."""
    parser = argparse.ArgumentParser(description="Build the packages of the Lambda functions.")
    parser.add_argument("functions", nargs="*", default=list(FUNCTIONS), help="which (default: all)")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder of the zips (default: dist)")
    parser.add_argument("--architecture", choices=sorted(PLATFORMS), default="x86_64", help="default: %(default)s")
    parser.add_argument("--python", default="3.13", help="version of the runtime (default: %(default)s)")
    parser.add_argument("--no-bytecode", action="store_true", help="leave compiling to each cold start")
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.functions) - FUNCTIONS.keys())
    if unknown:
        parser.error(f"there is no function {unknown[0]}; known are {', '.join(FUNCTIONS)}")
    target = Target(chosen.architecture, chosen.python)
    try:
        built = build(chosen.functions, target, out=chosen.out, bytecode=not chosen.no_bytecode)
    except (ValueError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"package_lambdas: {_plainly(error)}\n")
        return 1
    for name, package in built.items():
        sys.stdout.write(
            f"{name:14} {package.zipped / 1e6:6.2f} MB zipped {package.unzipped / 1e6:7.2f} MB unzipped "
            f"{package.entries:5} files  {package.path}\n"
        )
    return 0


def build(functions: list[str], target: Target, *, out: Path, bytecode: bool) -> dict[str, Built]:
    """Build packages; raises ValueError for one that is too large, CalledProcessError where a tool fails."""
    interpreter = find_python(target.python) if bytecode else None
    if bytecode and interpreter is None:
        sys.stderr.write(
            f"package_lambdas: Python {target.python} is not on this machine, so the packages hold no bytecode "
            "and each cold start takes longer\n"
        )
    wanted = {function: contents_of(function) for function in functions}
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        wheels = _install(sorted({d for each in wanted.values() for d in each.distributions}), target, Path(scratch))
        built = {}
        for function, contents in wanted.items():
            folder = Path(scratch) / "packages" / function
            _fill(folder, function, contents, wheels)
            if interpreter is not None:
                _compile(interpreter, folder)
            built[function] = _zip(folder, out / f"{function}.zip")
        return built


def find_python(version: str) -> str | None:
    """Return an interpreter of a version on this machine, None where there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates = [sys.executable, shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python"))]
    for candidate in filter(None, candidates):
        command = [str(candidate), "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        if said.returncode == 0 and said.stdout.strip() == version:
            return str(candidate)
    return None


def pins() -> dict[str, str]:
    """Return each pinned requirement with its hashes, by its name."""
    blocks = re.split(r"\n(?=[A-Za-z0-9])", REQUIREMENTS.read_text("utf-8"))
    return {found[1].lower(): block for block in blocks if (found := _PIN.match(block))}


def _install(distributions: list[str], target: Target, scratch: Path) -> dict[str, Path]:
    """Install each distribution into a folder of its own, checked against its hashes."""
    pinned, folders = pins(), {}
    for name in distributions:
        if name not in pinned:
            raise ValueError(f"{name} is not pinned in {REQUIREMENTS.name}")
        folders[name] = scratch / "wheels" / name
        requirement = scratch / f"{name}.txt"
        # Without its marker: what a package needs on the target is decided by now.
        requirement.write_text(re.sub(r" ; [^\\\n]*", " ", pinned[name]) + "\n", "utf-8")
        command = [
            sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:",
            "--require-hashes", "--python-platform", PLATFORMS[target.architecture],
            "--python-version", target.python, "--link-mode", "copy", "--target", str(folders[name]),
            "--requirement", str(requirement),
        ]  # fmt: skip
        if name in _SOURCE_ONLY:
            command[command.index(":all:")] = ":none:"
        subprocess.run(command, check=True, capture_output=True, text=True)
    return folders


_SOURCE_ONLY = frozenset({"http-ece"})
"""Published without a wheel; pure Python."""


def _fill(folder: Path, function: str, contents: Contents, wheels: dict[str, Path]) -> None:
    for handler in contents.handlers:
        _copy(handler, folder / handler.name)
    for ours in (*contents.modules, *contents.data):
        _copy(ours, folder / ours.relative_to(SOURCE))
    for name in contents.distributions:
        _copy_distribution(wheels[name], folder, ONLY_IN.get((function, name)) or ONLY.get(name))


def _copy_distribution(wheel: Path, folder: Path, only: tuple[str, ...] | None) -> None:
    for source in sorted(path for path in wheel.rglob("*") if path.is_file()):
        name = source.relative_to(wheel).as_posix()
        if _NOT_SHIPPED.search(name) or (only and not (name.startswith(only) or _LICENCE.search(name))):
            continue
        # The loader looks for OpenMP's library by this name, in a folder that Lambda has on its path.
        place = "lib/libgomp.so.1" if re.search(r"\.libs/libgomp[^/]*$", name) else name
        _copy(source, folder / place)


def _copy(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, place)


def _compile(interpreter: str, folder: Path) -> None:
    """Compile everything, never checked against the source: it cannot change in a function."""
    command = [interpreter, "-I", "-m", "compileall", "-q", "-j", "1", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([*command, "-s", str(folder), "-p", "/var/task", str(folder)], check=True, capture_output=True)


def _zip(folder: Path, path: Path) -> Built:
    files = sorted((each for each in folder.rglob("*") if each.is_file()), key=lambda each: each.as_posix())
    unzipped = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as package:
        for each in files:
            entry = zipfile.ZipInfo(each.relative_to(folder).as_posix(), WHEN)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = (0o755 if ".so" in each.name else 0o644) << 16
            content = each.read_bytes()
            unzipped += len(content)
            package.writestr(entry, content, compresslevel=9)
    built = Built(path, path.stat().st_size, unzipped, len(files))
    if built.zipped > ZIPPED_BYTES_MAX or built.unzipped > UNZIPPED_BYTES_MAX:
        raise ValueError(f"{path.name} is too large: {built.zipped:,} bytes zipped, {built.unzipped:,} unzipped")
    return built


def _plainly(error: Exception) -> str:
    said = getattr(error, "stderr", None)
    return f"{error}: {str(said).strip()}" if said else str(error)


if __name__ == "__main__":
    raise SystemExit(main())
