"""Public names. The file is the registration: `seqgan` is `baselines/seqgan.py`, `self_bleu` is `metrics/self_bleu/`.

A user's own class is `my_gan.py:MyGAN`. A distribution that is installed beside this one adds names by entry points of
the groups `textgan_bench.models`, `textgan_bench.tasks` and `textgan_bench.metrics`; in its `pyproject.toml`:

    [project.entry-points."textgan_bench.models"]
    my_gan = "my_package.my_gan:MyGAN"

Then `textgan-bench run my_gan grammar` finds it, as do `list`, suites and records. Names of ours stay ours, so a name
in a record of this benchmark always means the same code. Listing names imports nothing.
"""

from __future__ import annotations

import ast
import difflib
import functools
import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import site
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from bench.places import ROOT, check_file

if TYPE_CHECKING:
    from metrics.common.base import Better, Meaning

__all__ = [
    "Kind",
    "find",
    "find_recorded",
    "first_line",
    "is_file",
    "meaning_of",
    "names",
    "own_modules",
    "own_source",
    "public_name",
    "source_file",
    "suggest",
]

Kind = Literal["models", "tasks", "metrics"]

_MOST_SOURCE = 1 << 20
"""Bytes of a user's file."""
_LOADED: dict[str, dict[str, bytes]] = {}
"""Module of a user's file -> digests of it and of the user's modules it imports, by name, as they were loaded."""
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


@functools.cache
def _own(kind: Kind) -> frozenset[str]:
    """What the project's own folder of a kind holds; it does not change while a program runs."""
    folder = ROOT.joinpath(*_PACKAGES[kind].split("."))
    found = {p.parent.name for p in folder.glob("*/metric.py")}
    if kind != "metrics":
        found = {p.stem for p in folder.glob("*.py") if not p.stem.startswith("_")}
        found |= {p.parent.name for p in folder.glob("*/__init__.py") if p.parent.name != "common"}
    return frozenset(found)


def first_line(kind: Kind, name: str) -> str:
    """The first sentence of what a name stands for, read without an import; of another distribution, its place."""
    folder = ROOT.joinpath(*_PACKAGES[kind].split("."))
    places = (
        [folder / name / "metric.py"] if kind == "metrics" else [folder / f"{name}.py", folder / name / "__init__.py"]
    )
    path = next((path for path in places if path.is_file()), None)
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) if path else None
    if text is None:
        return f"installed: {', '.join(point.value for point in _plugins(kind) if point.name == name)}"
    return " ".join(text.partition("\n\n")[0].split()).partition(". ")[0].removesuffix(".")


def find(kind: Kind, name: str) -> type[Any]:
    """The class behind a name or behind `file.py:Class`. Raises KeyError with the nearest name."""
    if not isinstance(name, str):
        raise KeyError(f"the name of one of {kind} is text, got {name!r:.80}")
    if is_file(name):
        return _from_file(kind, name)
    if name in _own(kind):
        module = ".".join(filter(None, (_PREFIX, _PACKAGES[kind], name)))
        return _only_class(importlib.import_module(f"{module}.metric" if kind == "metrics" else module), kind, name)
    points = [point for point in _plugins(kind) if point.name == name]
    if not points:
        for other in _BASES:
            if name in names(other):
                raise KeyError(f"{name!r} is among the {other}, not the {kind}; Known: {', '.join(names(kind))}")
        raise KeyError(f"no {name!r} in {_PACKAGES[kind].replace('.', '/')}; {suggest(name, names(kind))}")
    if len(points) > 1:
        places = ", ".join(sorted(point.value for point in points))
        raise KeyError(f"{name!r} is the name of several installed {kind}: {places}; uninstall all but one")
    with _told_in_words(name):
        loaded = points[0].load()
    return _extending(loaded, kind, f"{name} ({points[0].value})")


def source_file(kind: Kind, name: str) -> Path:
    """The file that holds the class behind a registered name; ours are not imported for it. Raises KeyError."""
    if name not in _own(kind):
        return Path(inspect.getfile(find(kind, name)))
    place = ROOT.joinpath(*_PACKAGES[kind].split("."), name)
    inside = place / ("metric.py" if kind == "metrics" else "__init__.py")
    return inside if inside.is_file() else place.with_suffix(".py")


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


def own_modules(name: str, member: type[Any]) -> dict[str, Path]:
    """Files of the user's that a user's own class imports, directly or not, by their modules' names.

    They are code of the model as much as its file is. Ours, and what is installed, are named by version and commit.
    """
    return _users_modules(sys.modules[member.__module__]) if is_file(name) else {}


def _users_modules(start: ModuleType) -> dict[str, Path]:
    found: dict[str, Path] = {}
    waiting = [start]
    while waiting:
        for module in map(sys.modules.get, _imported(waiting.pop())):
            if module in (None, start) or module.__name__ in found or (path := _users_file(module)) is None:
                continue
            found[module.__name__] = path
            waiting.append(module)
    return dict(sorted(found.items()))


def _imported(module: ModuleType) -> list[str]:
    """Names that may be modules in the import statements of a module, wherever they stand in it."""
    found: list[str] = []
    file = str(module.__file__)
    for node in ast.walk(ast.parse(Path(file).read_bytes(), file)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(base, module.__package__) if node.level else base
            found += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return [".".join(parts[:n]) for parts in (name.split(".") for name in found) for n in range(1, len(parts) + 1)]


def _users_file(module: ModuleType) -> Path | None:
    """The file of a module that is neither ours nor Python's nor installed; None for those."""
    if not (file := str(getattr(module, "__file__", None))).endswith(".py"):
        return None
    path = Path(file).resolve()
    return None if any(path.is_relative_to(place) for place in _not_users()) else path


@functools.cache
def _not_users() -> list[Path]:
    """Where the code lies that a version or a commit names."""
    installed = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    ours = [ROOT / name for name in ("bench", "baselines", "metrics", "leaderboards", "textgan_bench.py")]
    return [Path(str(p)).resolve() for p in [*installed, *site.getsitepackages(), site.getusersitepackages(), *ours]]


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
    """`did you mean 'seqgan'? Known: mle, seqgan`; capitals are no difference."""
    known = sorted(known)
    spelled = {one.casefold(): one for one in known}
    near = difflib.get_close_matches(name.casefold(), spelled, n=1)
    return (f"did you mean {spelled[near[0]]!r}? " if near else "") + f"Known: {', '.join(known) or 'none'}"


def _base(kind: Kind) -> type[Any]:
    """The class that every member of a kind extends; imported only when a member is looked up."""
    package = ".".join(filter(None, (_PREFIX, _BASES[kind][0])))
    return getattr(importlib.import_module(package), _BASES[kind][1])


def _from_file(kind: Kind, name: str) -> type[Any]:
    """`my_gan.py:MyGAN`, or `my_gan.py` where it holds one class of the kind."""
    path_text, _, class_name = name.rpartition(":")
    if not path_text or not (class_name.isidentifier() or not class_name):  # the colon is of a drive, or there is none
        path_text, class_name = name, ""
    path = Path(path_text)
    try:
        check_file(path)
    except FileNotFoundError as error:
        raise KeyError(f"{error} (from {name!r})") from None
    except OSError:  # no name of a file on this system
        raise KeyError(f"no file {path_text!r} in {Path.cwd()} (from {name!r})") from None
    module = _module_of(path, path_text)
    if not class_name:
        return _only_class(module, kind, path_text)
    if not inspect.isclass(found := getattr(module, class_name, None)):
        raise KeyError(f"no class {class_name!r} in {path_text}; {suggest(class_name, _members(module, kind))}")
    return _extending(found, kind, name)


def _module_of(path: Path, named: str) -> ModuleType:
    """A user's file, imported; once for each content. Raises KeyError, or ValueError for what its code raises."""
    name, file = path.stem, str(path.resolve())
    if name in sys.modules and getattr(sys.modules[name], "__file__", None) != file:
        if name not in _LOADED:
            raise KeyError(f"{named} has the name of the module {name!r}, which is loaded already; rename the file")
        name = f"{name}_{hashlib.sha256(file.encode()).hexdigest()[:8]}"  # another user's file, as a run's model.py is
    if name in sys.modules:
        with _told_in_words(path.name, path):
            unchanged = _LOADED.get(name) == _digests(sys.modules[name])
        if unchanged:
            return sys.modules[name]
    for loaded in _LOADED.pop(name, {}):  # a file that was changed since is another model
        sys.modules.pop(loaded, None)
    module = _load(path.resolve(), name)
    _LOADED[name] = _digests(module)
    return module


def _extending(found: Any, kind: Kind, name: str) -> type[Any]:
    """What was found, if it is a class of the kind; else KeyError."""
    if not inspect.isclass(found) or not issubclass(found, _base(kind)):
        raise KeyError(f"{name} is not a {_base(kind).__name__}: it must extend it")
    if lacking := sorted(getattr(found, "__abstractmethods__", ())):
        line = inspect.getsourcelines(found)[1]
        raise KeyError(
            f"{Path(inspect.getfile(found)).name}, line {line}: {found.__name__} lacks the method "
            f"{' and '.join(lacking)}, which every {_base(kind).__name__} has"
        )
    return found


def _digests(module: ModuleType) -> dict[str, bytes]:
    files = {module.__name__: Path(str(module.__file__)), **_users_modules(module)}
    return {name: hashlib.sha256(path.read_bytes()).digest() for name, path in files.items()}


def _load(path: Path, module_name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(module_name, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[module_name] = module  # dataclasses look their module up by name
    try:
        with _told_in_words(path.name, path):
            specification.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module


@contextmanager
def _told_in_words(name: str, path: Path | None = None) -> Iterator[None]:
    """What goes wrong while somebody's code is imported becomes a ValueError: file, line, its text, the error."""
    try:
        yield
    except Exception as error:
        if isinstance(error, SyntaxError):
            file, number, text = error.filename, error.lineno, error.text
            what = f"{type(error).__name__}: {error.msg}"
        else:
            frames = traceback.extract_tb(error.__traceback__)
            frame = next((f for f in reversed(frames) if path and f.filename == str(path)), frames[-1])
            file, number, text = frame.filename, frame.lineno, frame.line
            what = f"{type(error).__name__}: {error}"
        where = f"{Path(file or name).name}, line {number}: `{(text or '').strip()}`"
        raise ValueError(f"{where}: {what}{_import_hint(error)}") from error


def _import_hint(error: Exception) -> str:
    """The nearest module; for one of ours, what is imported everywhere in its place."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    if error.name.partition(".")[0] in ("baselines", "bench", "metrics"):
        return ": write `from textgan_bench import TextGenerator, …`, which is the same from a checkout and a wheel"
    known = [module.name for module in pkgutil.iter_modules()]
    near = difflib.get_close_matches(error.name.partition(".")[0], known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; `pip install` what provides {error.name!r}"


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
        which = f": name one, {name}:{members[0]}" if members and is_file(name) else ""
        found = ", ".join(members) or "none"
        raise KeyError(f"{name}: expected one {_base(kind).__name__} in {module.__name__}, found {found}{which}")
    return _extending(getattr(module, members[0]), kind, name)
