"""The commands `list` and `show`."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from bench.commands import names as words
from bench.places import PAPER, SUITES, command, suite_names
from bench.run_folder import RECORD
from bench.terminal import UserErrors, console

if TYPE_CHECKING:
    from bench.registry import Kind

__all__ = ["list_command", "show_command"]

_Listed = Literal["models", "tasks", "metrics", "suites", "presets"]


def list_command(kind: Annotated[_Listed | None, typer.Argument(help="One kind only.")] = None) -> None:
    """Models, tasks, metrics, suites and presets by name, each with a line on it; `show NAME` tells the rest.

    A suite is a file of runs; a preset is one that `reproduce` compares with what was published.
    """
    kinds: Iterable[_Listed] = [kind] if kind else get_args(_Listed)
    for each in kinds:
        lines = _lines(each)
        console.print(f"{each}:")
        width = max(map(len, lines))
        for name, line in lines.items():
            console.print(f"  {name:<{width}}  {line}".rstrip())


def _lines(kind: _Listed) -> dict[str, str]:
    """Name -> what it is, read without an import. Suites of ours are checked by tests, and not once more here."""
    from bench.registry import first_line, names

    match kind:
        case "presets":
            return {name: _description(PAPER, name) for name in suite_names(PAPER)}
        case "suites":
            own = [name for name in suite_names() if not name.startswith(f"{PAPER.name}/")]
            return {name: _description(SUITES, name) for name in own}
        case _:
            return {name: first_line(kind, name) for name in names(kind)}


def _description(folder: Path, name: str) -> str:
    text = (folder / f"{name}.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["description"])


def show_command(
    name: Annotated[
        str,
        typer.Argument(
            help="A model, task, metric, suite or preset; `run`: its settings.", autocompletion=words.everything
        ),
    ],
) -> None:
    """What a model, task or metric is, with its settings and their defaults; what a suite does."""
    from bench.commands.describe import describe, describe_run, describe_suite
    from bench.registry import Kind, find, is_file, names

    with UserErrors():
        kinds: list[Kind] = [kind for kind in get_args(Kind) if name in names(kind)]
        if kinds or is_file(name):
            console.print(describe(find(kinds[0] if kinds else _kind_of_file(name), name), name))
        elif name == words.RUN:
            console.print(describe_run())
        elif name in suite_names() or name in suite_names(PAPER):
            console.print(describe_suite(name))
        elif (path := Path(name)).is_dir() or path.name == RECORD:
            place = path if path.is_dir() else path.parent
            raise KeyError(f"{name} is no name of ours; the table of runs: {command('leaderboards', 'build', place)}")
        elif path.is_file():
            console.print(describe_suite(name))
        else:
            near = difflib.get_close_matches(name.lower(), words.everything(""), n=1)
            nearest = f"did you mean {near[0]!r}? " if near else ""
            known = f"All names: {command('bench', 'list')}"
            raise KeyError(f"no {name!r} among {', '.join(get_args(_Listed))}; {nearest}{known}")


def _kind_of_file(name: str) -> Kind:
    """What `file.py:Class` is; a model, where it is neither a task nor a metric."""
    from bench.registry import find

    others: list[Kind] = ["tasks", "metrics"]
    for kind in others:
        with suppress(KeyError):
            find(kind, name)
            return kind
    return "models"
