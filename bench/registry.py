"""Public names. The file is the registration: `seqgan` is `baselines/seqgan.py`, `self_bleu` is `metrics/self_bleu/`.

A user's own class is `my_gan.py:MyGAN`. A distribution that is installed beside this one adds names by entry points of
the groups `textgan_bench.models`, `textgan_bench.tasks` and `textgan_bench.metrics`; in its `pyproject.toml`:

    [project.entry-points."textgan_bench.models"]
    my_gan = "my_package.my_gan:MyGAN"

Then `textgan-bench run my_gan grammar` finds it, as do `list`, suites and records. Names of ours stay ours, so a name
in a record of this benchmark always means the same code. Listing names imports nothing.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from bench.places import ROOT

if TYPE_CHECKING:
    from metrics.common.base import Better, Meaning

__all__ = ["Kind", "find", "find_recorded", "is_file", "meaning_of", "names", "own_source", "public_name", "suggest"]

Kind = Literal["models", "tasks", "metrics"]

_MOST_SOURCE = 1 << 20
"""Bytes of a user's file."""
_LOADED: dict[str, str] = {}
"""Module of a user's file -> SHA-256 of the file when it was loaded."""
_PREFIX = __package__.rpartition(".")[0]  # "" in the checkout, "textgan_bench" in a wheel
_PACKAGES: dict[Kind, str] = {"models": "baselines", "tasks": "bench.tasks", "metrics": "metrics"}
_BASES: dict[Kind, tuple[str, str]] = {
    "models": ("baselines.common.interface", "TextGenerator"),
    "tasks": ("bench.task", "Task"),
    "metrics": ("metrics.common.base", "Metric"),
}


def names(kind: Kind) -> list[str]:
    """Every public name of a kind, sorted: the files of its folder and what other distributions add."""
    return sorted(_own(kind) | {point.name for point in _plugins(kind)})


def _own(kind: Kind) -> set[str]:
    folder = ROOT.joinpath(*_PACKAGES[kind].split("."))
    found = {p.parent.name for p in folder.glob("*/metric.py")}
    if kind != "metrics":
        found = {p.stem for p in folder.glob("*.py") if not p.stem.startswith("_")}
        found |= {p.parent.name for p in folder.glob("*/__init__.py") if p.parent.name != "common"}
    return found


def find(kind: Kind, name: str) -> type[Any]:
    """The class behind a name or behind `file.py:Class`. Raises KeyError with the nearest name."""
    if is_file(name):
        return _from_file(kind, name)
    if name in _own(kind):
        module = ".".join(filter(None, (_PREFIX, _PACKAGES[kind], name)))
        return _only_class(importlib.import_module(f"{module}.metric" if kind == "metrics" else module), kind, name)
    points = [point for point in _plugins(kind) if point.name == name]
    if not points:
        raise KeyError(f"no {name!r} in {_PACKAGES[kind].replace('.', '/')}; {suggest(name, names(kind))}")
    if len(points) > 1:
        places = ", ".join(sorted(point.value for point in points))
        raise KeyError(f"{name!r} is the name of several installed {kind}: {places}; uninstall all but one")
    return _extending(points[0].load(), kind, f"{name} ({points[0].value})")


@functools.lru_cache(maxsize=4096)
def meaning_of(metric: str, key: str, recorded: Better) -> Meaning:
    """What the scores of a key say, as their metric says today: so that rows of any age are compared by one rule.

    `recorded`: the direction that a record holds, for a metric that is not installed here. No file of a record is run.
    """
    from metrics.common.base import Meaning

    known = _metric(metric)
    if known is not None:
        found: Meaning = known.meaning(key)
        return found
    side: Literal["higher", "lower", ""] = "" if recorded == "real" else recorded
    return Meaning(
        better=recorded, aspect="", side=side, bounds=(None, None), ranked=True, held_out=False, by_count=True
    )


@functools.cache
def _metric(name: str) -> Any | None:
    """The metric of a name with its usual settings; None where there is none, or none that can be made here."""
    if is_file(name) or name not in names("metrics"):
        return None
    try:
        return find("metrics", name)()
    except Exception:  # noqa: BLE001 - a plug-in may fail in any way, and its scores are in the records all the same
        return None


def is_file(name: str) -> bool:
    """Whether it is `my_gan.py:MyGAN` or `my_gan.py`, not a registered name."""
    return ":" in name or name.endswith(".py")


def public_name(name: str, member: type[Any]) -> str:
    """What records and tables call a class: `my_gan.py:MyGAN` however the path to its file was spelled."""
    return f"{Path(inspect.getfile(member)).name}:{member.__name__}" if is_file(name) else name


def own_source(name: str, member: type[Any]) -> bytes | None:
    """The file of a user's own class, which nobody else has; None for registered names. Raises ValueError."""
    if not is_file(name):
        return None
    content = Path(inspect.getfile(member)).read_bytes()
    if len(content) > _MOST_SOURCE:
        raise ValueError(f"the file of {name} has {len(content)} bytes; its source is kept, up to {_MOST_SOURCE}")
    return content


def find_recorded(kind: Kind, name: str, given: str | None, option: str) -> type[Any]:
    """The class that a record names. A record is data, and may be anybody's: code in a file runs only if it is given.

    `given` is what the user named by `option`. Raises KeyError, before anything is imported, where that is needed.
    """
    if given is not None:
        return find(kind, given)
    if is_file(name):
        raise KeyError(
            f"the record names code in a file, {name!r}, and a record may be anybody's: if you trust that file, name "
            f"it yourself by {option} {name}"
        )
    return find(kind, name)


@functools.cache
def _plugins(kind: Kind) -> tuple[EntryPoint, ...]:
    """What other distributions add. Read once in a process: it opens a file of every installed distribution."""
    return tuple(entry_points(group=f"textgan_bench.{kind}"))


def suggest(name: str, known: Iterable[str]) -> str:
    """`did you mean 'seqgan'? Known: mle, seqgan`."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    return (f"did you mean {near[0]!r}? " if near else "") + f"Known: {', '.join(known) or 'none'}"


def _base(kind: Kind) -> type[Any]:
    """The class that every member of a kind extends; imported only when a member is looked up."""
    package = ".".join(filter(None, (_PREFIX, _BASES[kind][0])))
    return getattr(importlib.import_module(package), _BASES[kind][1])


def _from_file(kind: Kind, name: str) -> type[Any]:
    """`my_gan.py:MyGAN`, or `my_gan.py` where it holds one class of the kind."""
    path_text, _, class_name = name.partition(":")
    path = Path(path_text)
    if not path.is_file():
        raise KeyError(f"no file {path_text!r} in {Path.cwd()} (from {name!r})")
    module_name = path.stem
    if module_name in sys.modules and getattr(sys.modules[module_name], "__file__", None) != str(path.resolve()):
        raise KeyError(
            f"{path_text} has the name of the module {module_name!r}, which is loaded already; rename the file"
        )
    if module_name in sys.modules and _LOADED.get(module_name) == _sha256(path):
        module = sys.modules[module_name]
    else:  # a file that was changed since is another model
        module = _load(path.resolve(), module_name)
    if not class_name:
        return _only_class(module, kind, name)
    if not inspect.isclass(found := getattr(module, class_name, None)):
        raise KeyError(f"no class {class_name!r} in {path_text}; {suggest(class_name, _members(module, kind))}")
    return _extending(found, kind, name)


def _extending(found: Any, kind: Kind, name: str) -> type[Any]:
    """What was found, if it is a class of the kind; else KeyError."""
    if not inspect.isclass(found) or not issubclass(found, _base(kind)):
        raise KeyError(f"{name} is not a {_base(kind).__name__}: it must extend it")
    return found


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _load(path: Path, module_name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(module_name, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    _LOADED[module_name] = _sha256(path)
    sys.modules[module_name] = module  # dataclasses look their module up by name
    try:
        specification.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module


def _members(module: ModuleType, kind: Kind) -> list[str]:
    """Classes of a kind that a module itself defines."""
    base = _base(kind)
    return [
        n
        for n, c in vars(module).items()
        if inspect.isclass(c) and c.__module__ == module.__name__ and issubclass(c, base)
    ]


def _only_class(module: ModuleType, kind: Kind, name: str) -> type[Any]:
    members = [n for n in _members(module, kind) if not n.startswith("_")]
    if len(members) != 1:
        raise KeyError(
            f"{name}: expected one {_base(kind).__name__} in {module.__name__}, found {', '.join(members) or 'none'}"
        )
    return getattr(module, members[0])
