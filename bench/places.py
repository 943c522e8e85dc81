"""Where the project's own folders lie, how its programs are called, what a path must be."""

from __future__ import annotations

import difflib
import shlex
import shutil
import sys
from pathlib import Path

from bench.text.escapes import shell_words

__all__ = [
    "METRICS",
    "PAPER",
    "PUBLISHED",
    "RESULTS",
    "ROOT",
    "SCRIPTS",
    "SUITES",
    "called_as",
    "check_file",
    "check_folder",
    "check_target",
    "command",
    "examples",
    "program",
    "suite_names",
]

ROOT = Path(__file__).parent.parent
"""Holds the four packages: the top of a checkout, the folder `textgan_bench` of a wheel."""
SUITES = ROOT / "bench" / "suites"
PAPER = SUITES / "paper"
"""The presets: a suite for each published setting."""
PUBLISHED = ROOT / "leaderboards" / "published"
"""Numbers from papers."""
RESULTS = ROOT / "leaderboards" / "results"
"""The records that are part of the project; a wheel has none."""
METRICS = ROOT / "metrics"
"""Each metric's folder has its card."""

SCRIPTS = {"bench": "textgan-bench", "leaderboards": "textgan-bench-leaderboards"}
"""Package -> the script that an installation puts beside Python; shells complete what follows it."""


def program(package: str) -> str:
    """How any shell calls a package's program: `python -m bench` in a checkout, `textgan-bench` from a wheel."""
    return f"python -m {package}" if __package__ == "bench" else SCRIPTS[package]


def called_as(package: str) -> str:
    """How a package's program was called: by the name of its script, or else as any shell calls it."""
    return SCRIPTS[package] if Path(sys.argv[0]).stem == SCRIPTS[package] else program(package)


def examples(package: str, *lines: str) -> str:
    """Command lines of a package for the end of its help, each a line of its own."""
    return "\n\n".join(["Examples:", *(f"{program(package)} {line}" for line in lines)])


def check_file(path: Path) -> None:
    """Raise FileNotFoundError, with the nearest name, where there is no file to read."""
    if path.is_file():
        return
    if path.is_dir():
        example = next((f": such as {str(child)!r}" for child in sorted(path.iterdir()) if child.is_file()), "")
        raise FileNotFoundError(f"{str(path)!r} is a folder, and a file is expected{example}")
    if path.exists():
        raise FileNotFoundError(f"{str(path)!r} is a pipe or a device, and a file is expected")
    raise FileNotFoundError(f"no file {str(path)!r} in {Path.cwd()}{_nearest(path)}")


def _nearest(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        above = next((p for p in (folder, *folder.parents) if p.exists()), Path())
        return f": {str(folder)!r} is no folder" if above.is_dir() else f": {str(above)!r} is no folder but a file"
    near = difflib.get_close_matches(path.name, [child.name for child in folder.iterdir()], n=1)
    return f"; did you mean {str(folder / near[0])!r}?" if near else ""


def check_folder(path: Path, option: str) -> None:
    """Raise ValueError where `path`, given by `option`, is no folder and cannot be made one."""
    above = next((p for p in (path, *path.parents) if p.exists()), None)
    if above is not None and not above.is_dir():
        inside = "" if above == path else f", and {str(path)!r} would lie in it"
        raise ValueError(f"{option} takes a folder, and {str(above)!r} is a file{inside}")


def check_target(path: Path, option: str) -> None:
    """Raise ValueError where `path`, given by `option`, cannot be a file that is written."""
    if path.is_dir():
        raise ValueError(f"{option} takes a file to write, and {str(path)!r} is a folder: add a name, {path / 'NAME'}")
    check_folder(path.parent, option)


def command(package: str, *words: str | Path, here: bool = True) -> str:
    """A command to be copied into a shell: every command that is printed or written comes from here.

    `package` is one of ours, or another that `python -m` runs. `here`: it is printed, and works in this environment,
    activated or not; otherwise it is kept, for readers anywhere.
    """
    called = _called_here(package) if here or package not in SCRIPTS else program(package)
    return " ".join([called, *([shell_words(words)] if words else [])])


def _called_here(package: str) -> str:
    """By name where a shell would find this environment's, else by the path of this Python."""
    if __package__ != "bench" and package in SCRIPTS:
        if _is_ours(script := SCRIPTS[package]):
            return script
        package = f"{__package__.removesuffix('.bench')}.{package}"
    python = "python" if _is_ours("python") or not sys.executable else shlex.quote(sys.executable)
    return f"{python} -m {package}"


def _is_ours(name: str) -> bool:
    found = shutil.which(name)
    return found is not None and Path(found).parent.absolute() == Path(sys.executable).parent.absolute()


def suite_names(folder: Path = SUITES) -> list[str]:
    """The suites in a folder and below it, sorted: `demo`, `paper/seqgan-oracle20`."""
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.toml"))
