"""What is printed: two consoles for text of anybody, tables that are cut nowhere, streams that take any character.

Likewise how a program's commands are told: by name, each with a line on it, and read only when they are called.
"""

from __future__ import annotations

import ast
import functools
import importlib
import io
import logging
import os
import sys
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from bench.places import ROOT, examples
from bench.text.escapes import json_text, shown

__all__ = [
    "Command",
    "Head",
    "SafeConsole",
    "console",
    "errors",
    "fits",
    "print_prose",
    "print_table",
    "program",
    "shown",
    "take_any_text",
]

_ENDLESS = 1_000_000
"""Columns of what is no terminal: in a pipe or a file nothing is wrapped or cut."""
_PROSE = 120
"""Columns that sentences are wrapped to where there is no terminal."""
_FOLDED = 16
"""Columns that a long text of a table is folded to, rather than that the table is divided."""
_GAP = 3
"""Columns between two columns of a table."""


Groups = Sequence[Sequence[Sequence[Text | str]]]
"""Groups of rows of cells."""


@dataclass(frozen=True)
class Head:
    """The head of a column."""

    title: str
    """May have several lines."""
    left: bool = False
    """Words, which stand on the left and may be folded; numbers stand on the right and are never folded."""


class SafeConsole(Console):
    """Prints anybody's text, for whoever reads.

    `[bold]` in a name is no markup, and no character steers the terminal (`bench.text.escapes`). A reader that went
    away, or a full disk, ends no training: the rest goes nowhere.
    """

    def __init__(self, *, stderr: bool = False, quiet: bool = False) -> None:
        super().__init__(stderr=stderr, quiet=quiet, soft_wrap=True, markup=False, highlight=False)

    @property
    def size(self) -> ConsoleDimensions:
        """Of the terminal; without end where there is none."""
        return super().size if self.is_terminal else ConsoleDimensions(_ENDLESS, super().size.height)

    @size.setter
    def size(self, _size: tuple[int, int]) -> None:
        raise AttributeError("the size of a console is the terminal's")

    def render_str(self, text: str, **how: Any) -> Text:
        """Every str that is printed, in a table too, comes through here."""
        return super().render_str(shown(text), **how)

    def print_document(self, text: str) -> None:
        """Text for programs, as it is."""
        if self.quiet:
            return
        with self._lock:
            try:
                self.file.write(text if text.endswith("\n") else f"{text}\n")
                self.file.flush()
            except OSError:
                self._give_up()

    def print_json_text(self, document: str) -> None:
        """A JSON document, which reads as the same values and steers no terminal."""
        self.print_document(json_text(document))

    def _write_buffer(self) -> None:
        try:
            super()._write_buffer()
            self.file.flush()
        except OSError:
            self._buffer.clear()
            self._give_up()

    def _give_up(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())  # what Python still holds is written at the end
        os.close(nowhere)


def print_table(console: Console, heads: Sequence[Head], groups: Groups) -> None:
    """Rows in groups. Nothing is cut: what the terminal is too narrow for is folded, or goes into further tables.

    Each of those begins with the first column. A single column that is too wide goes beyond the edge.
    """
    cells = [[[Text(shown(cell)) if isinstance(cell, str) else cell for cell in row] for row in g] for g in groups]
    titles = [Text(shown(head.title)) for head in heads]
    needed = _needed(heads, groups)
    for i, columns in enumerate(_divided(needed, console.width)):
        if i:
            console.print()
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
        for c in columns:
            side: Literal["left", "right"] = "left" if heads[c].left else "right"
            table.add_column(titles[c], justify=side, overflow="fold", no_wrap=not heads[c].left)
        for rows in cells:
            for row in rows:
                table.add_row(*(row[c] for c in columns))
            table.add_section()
        least = sum(needed[c] + _GAP for c in columns)
        console.print(_NotNarrower(table, least), no_wrap=True, overflow="ignore", crop=False)


def print_prose(console: Console, text: str, style: str = "") -> None:
    """Text that is wrapped between words, and only there; where there is no terminal, as lines are in a text file."""
    width = console.width if console.is_terminal else min(console.width, _PROSE)
    for paragraph in text.split("\n"):
        lines = textwrap.wrap(paragraph, width, break_long_words=False, break_on_hyphens=False)
        console.print(Text(shown("\n".join(lines)), style=style), soft_wrap=True)


def fits(console: Console, heads: Sequence[Head], groups: Groups) -> bool:
    """Whether `print_table` makes one table of it."""
    return len(_divided(_needed(heads, groups), console.width)) == 1


@dataclass(frozen=True)
class _NotNarrower:
    """A table that goes beyond the edge rather than that it is cut."""

    table: Table
    width: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self.table, options.update_width(max(options.max_width, self.width)))


def _needed(heads: Sequence[Head], groups: Groups) -> list[int]:
    """The least columns of a terminal that each column takes."""
    widths = [_width(head.title) for head in heads]
    for row in (row for rows in groups for row in rows):
        widths = [max(width, _width(cell)) for width, cell in zip(widths, row, strict=True)]
    return [min(width, _FOLDED) if head.left else width for head, width in zip(heads, widths, strict=True)]


def _width(text: Text | str) -> int:
    plain = shown(text) if isinstance(text, str) else text.plain
    return max((cell_len(line) for line in plain.split("\n")), default=0)


def _divided(needed: Sequence[int], width: int) -> list[list[int]]:
    """Columns -> the columns of each table; the first is in all."""
    tables: list[list[int]] = []
    left = 0
    for i in range(1, len(needed)):
        if not tables or left < needed[i] + _GAP:
            tables.append([0])
            left = width - needed[0] - _GAP
        tables[-1].append(i)
        left -= needed[i] + _GAP
    return tables or [[0]]


def _print_version(asked: bool) -> None:
    """The version of this package, the commit of a checkout, and Python's."""
    if not asked:
        return
    from bench.environment import describe_environment

    facts = describe_environment()
    commit = f", commit {facts['git.sha'][:12]}" if "git.sha" in facts else ""
    changed = " with uncommitted changes" if facts.get("git.dirty") else ""
    console.print(
        f"textgan-bench {facts.get('textgan_bench', '(not installed)')}{commit}{changed}, Python {facts['python']}"
    )
    raise typer.Exit


def _said_of_itself(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and the commit."),
    ] = False,
) -> None:
    """What every program takes before its commands."""


@dataclass(frozen=True)
class Command:
    """Where a command of a program is written. It is read from there when it is called, and not before."""

    place: str
    """Module and function, `launch.cli:run_command`, below the program's package."""
    examples: tuple[str, ...] = ()
    """Command lines for the end of its help, without the name of the program."""


def program(package: str, about: str, commands: Mapping[str, Command]) -> typer.Typer:
    """A program of these commands, by name. `package`: where they lie, `__package__` of who calls this.

    A command costs its name until it is called or its own help is asked for; the lines of the program's help are the
    first ones of the functions' docstrings, which are read without an import.
    """

    class Commands(_SafeGroup):
        def __init__(self, **settings: Any) -> None:
            told = {name: _NotRead(name, package, each) for name, each in commands.items()}
            super().__init__(**{**settings, "commands": told})

    app = typer.Typer(cls=Commands, no_args_is_help=True, context_settings=dict(_HELP), **_PLAIN)
    app.callback(help=about)(_said_of_itself)
    return app


_HELP: Mapping[str, Any] = {"help_option_names": ["-h", "--help"]}
_PLAIN: Mapping[str, Any] = {"add_completion": False, "pretty_exceptions_enable": False}


class _NotRead(TyperCommand):
    """Stands for a command whose module is not imported."""

    def __init__(self, name: str, package: str, command: Command) -> None:
        super().__init__(name)
        module, _, self._function = command.place.partition(":")
        self._module = f"{package}.{module}"
        top = package.rpartition(".")[2]  # in a wheel the package is `textgan_bench.bench`
        self._file = ROOT.joinpath(top, *module.split(".")).with_suffix(".py")
        self._epilog = examples(top, *command.examples) if command.examples else None

    def read_help(self) -> None:
        """Its docstring, without an import."""
        self.help = _docstrings(self._file)[self._function]

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """That of the command itself, imported now: it parses the words, gives help, completes and runs."""
        alone = typer.Typer(**_PLAIN)
        alone.command(self.name, epilog=self._epilog)(getattr(importlib.import_module(self._module), self._function))
        return typer.main.get_command(alone).make_context(info_name, args, parent=parent, **extra)


@functools.cache
def _docstrings(file: Path) -> Mapping[str, str]:
    """Of each function of a file."""
    found = (node for node in ast.parse(file.read_bytes()).body if isinstance(node, ast.FunctionDef))
    return {node.name: ast.get_docstring(node) or "" for node in found}


class _SafeGroup(TyperGroup):
    """Commands whose complaints about what was typed steer no terminal."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Answers a shell that asks how a word goes on, or does the command."""
        if any(name.startswith("_TEXTGAN_BENCH") and name.endswith("_COMPLETE") for name in os.environ):
            from typer._completion_classes import completion_init

            completion_init()
        return super().main(*args, **extra)

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, asked for where each is told with its line: in help, and by a shell."""
        for command in self.commands.values():
            if isinstance(command, _NotRead):
                command.read_help()
        return super().list_commands(ctx)

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Parses the options of the program."""
        with _shown_errors():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Parses the words and options of a command, and runs it."""
        with _shown_errors():
            return super().invoke(ctx)


@contextmanager
def _shown_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if hasattr(error, "format_message") and hasattr(error, "message"):  # click's own, which typer may have vendored
            error.message = shown(error.message)
        raise


console = SafeConsole()
errors = SafeConsole(stderr=True)


def take_any_text() -> None:
    """Make this process print anybody's text; for programs and worker processes at their start, not for imports.

    What the encoding of a stream lacks (cp1252 has no ✓, ASCII no ·) is written as an escape, `\\u2713`. What is logged
    or warned of, a server's answer among it, steers no terminal.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(OSError, ValueError):  # closed, or a pipe in the place of a file that was written to
                stream.reconfigure(errors="backslashreplace")
    logging.setLogRecordFactory(_ShownRecord)
    usual = warnings.formatwarning
    warnings.formatwarning = lambda *args, **more: shown(usual(*args, **more))


class _ShownRecord(logging.LogRecord):
    def getMessage(self) -> str:  # noqa: N802 - logging's name
        """What every handler writes."""
        return shown(super().getMessage())
