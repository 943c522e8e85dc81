"""The code behind a score, found by its imports: a hash of it, and the libraries that it uses.

Begun at the file of a metric, a task or the scoring itself, every definition that is used there is followed to where it
is written, file by file. So a change of a definition that no score uses changes no hash, and neither do comments,
docstrings or the order of a file. Nothing is imported.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.places import ROOT

__all__ = ["Code", "code_of", "library_versions"]

Place = tuple[Path, str | None]
"""A file, and a name that is defined in it; None: the whole file."""
_INSTALLED = "textgan_bench"
"""What the names of our packages begin with in a wheel."""


@dataclass(frozen=True)
class Code:
    """What some code is made of."""

    hash: str
    files: frozenset[Path]
    """Ours, and those of a plug-in's own package."""
    libraries: frozenset[str]
    """Names of the top-level packages that it imports from elsewhere; none of Python's own."""


@dataclass
class _File:
    """The top level of a file, without texts that are no code."""

    package: tuple[str, ...]
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    always: list[ast.stmt] = field(default_factory=list)
    """Statements that define nothing and run at every import."""
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """Name in this file -> module, and what of it; None: the module."""

    @property
    def statements(self) -> list[ast.stmt]:
        """All but imports, each once."""
        return list(dict.fromkeys([*(s for of_name in self.definitions.values() for s in of_name), *self.always]))


@functools.cache
def code_of(path: Path, name: str | None = None) -> Code:
    """A file, or one definition in it, with all that it uses."""
    texts: dict[tuple[str, str], list[str]] = {}
    libraries: set[str] = set()
    seen: set[Place] = set()
    root = _root_of(path)
    waiting: list[Place] = [(path, name)]
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        file, part = place
        own = _read(file)
        statements = own.statements if part is None else own.definitions[part] + own.always
        texts[_told(file, root), part or ""] = [_text(statement) for statement in statements]
        if part is not None:
            waiting += ((file, used) for used in _names(statements) & own.definitions.keys())
        for module, what in _used_imports(own, statements, whole=part is None):
            found = _find(module, what, root)
            waiting += found
            libraries |= set() if found else {module.split(".")[0]}
    digest = hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()[:16]
    files = frozenset(file for file, _ in seen)
    return Code(digest, files, frozenset(libraries - sys.stdlib_module_names))


def library_versions(names: Iterable[str]) -> dict[str, str]:
    """Distribution -> its version, of top-level packages, and Python's; one that is not installed has none."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in names:
        for distribution in _distributions().get(name, ()):
            found[distribution] = _version(distribution)
    return dict(sorted(found.items()))


_version = functools.cache(importlib.metadata.version)


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


@functools.cache
def _read(path: Path) -> _File:
    found = _File(package=path.parent.relative_to(_root_of(path)).parts)
    for statement in _WithoutTexts().visit(ast.parse(path.read_bytes(), str(path))).body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            found.imports |= dict(_imported(statement, found.package))
        elif isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
            continue
        elif names := list(_defined(statement)):
            for name in names:
                found.definitions.setdefault(name, []).append(statement)
        else:
            found.always.append(statement)
    return found


class _WithoutTexts(ast.NodeTransformer):
    """Takes docstrings away, and bare texts below fields."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """None takes the statement away."""
        return None if isinstance(node.value, ast.Constant) else node


def _imported(
    statement: ast.Import | ast.ImportFrom, package: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, str | None]]]:
    """Name in this file -> module, and what of it."""
    for alias in statement.names:
        if isinstance(statement, ast.Import):
            yield alias.asname or alias.name.split(".")[0], (_ours(alias.name), None)
        else:
            above = package[: len(package) - statement.level + 1] if statement.level else ()
            module = ".".join([*above, *([statement.module] if statement.module else [])])
            yield alias.asname or alias.name, (_ours(module), alias.name)


def _ours(module: str) -> str:
    return module.removeprefix(f"{_INSTALLED}.")


def _defined(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement at the top of a file defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
            stored = (node for node in ast.walk(target) if isinstance(node, ast.Name))
            yield from (node.id for node in stored if isinstance(node.ctx, ast.Store))


@functools.cache
def _text(statement: ast.stmt) -> str:
    return ast.dump(statement, annotate_fields=False)


def _names(statements: Iterable[ast.stmt]) -> set[str]:
    return set().union(*map(_names_of, statements))


@functools.cache
def _names_of(statement: ast.stmt) -> frozenset[str]:
    return frozenset(node.id for node in ast.walk(statement) if isinstance(node, ast.Name))


def _used_imports(own: _File, statements: Sequence[ast.stmt], *, whole: bool) -> Iterator[tuple[str, str | None]]:
    """(Module, what of it) that statements use; all imports of a whole file."""
    for statement in statements:
        yield from _imports_inside(statement, own.package)
    yield from (own.imports[name] for name in (own.imports if whole else _names(statements) & own.imports.keys()))


@functools.cache
def _imports_inside(statement: ast.stmt, package: tuple[str, ...]) -> tuple[tuple[str, str | None], ...]:
    found: list[tuple[str, str | None]] = []
    for node in ast.walk(statement):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found += dict(_imported(node, package)).values()
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names = (a.value for a in node.args[:1] if isinstance(a, ast.Constant))
            found += ((_ours(name), None) for name in names if isinstance(name, str))
    return tuple(found)


def _find(module: str, part: str | None, root: Path) -> list[Place]:
    """Where it is written; empty for what is not ours and not of the plug-in. A folder runs its `__init__.py` too."""
    for top in dict.fromkeys((ROOT, root)):
        whole = top.joinpath(*module.split("."))
        below = [whole / part] if part is not None else []
        for path, name in [*((p, None) for p in below), (whole, part)]:
            file = next((f for f in (path.with_suffix(".py"), path / "__init__.py") if f.is_file()), None)
            if file is not None:
                return [*_packages(file, top), (file, name if name in _read(file).definitions else None)]
    return []


def _packages(file: Path, top: Path) -> list[Place]:
    """The `__init__.py` of the folders around a file."""
    around = [parent / "__init__.py" for parent in file.relative_to(top).parents]
    return [(top / init, None) for init in around if (top / init).is_file() and top / init != file]


def _root_of(path: Path) -> Path:
    """The folder from which a file's own package is imported."""
    folder = path.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def _told(file: Path, root: Path) -> str:
    top = ROOT if file.is_relative_to(ROOT) else root
    return file.relative_to(top).as_posix()
