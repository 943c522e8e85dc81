"""`python -m leaderboards build RUNS…`: records in, tables out. Needs no torch and no tracker."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Comparison tables from run records."""


@app.command()
def build(
    runs: Annotated[list[Path], typer.Argument(help="Folders with record.json at any depth, or record files.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of leaderboard.md and leaderboard.csv. Default: RUNS/leaderboard.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document in place of the tables.")] = False,
) -> None:
    """Print the tables of all runs below RUNS, and write them as Markdown and CSV.

    Exit status 1: a record could not be read, or there was none; the tables of the others are made all the same.
    """
    from leaderboards.aggregate import build as build_boards  # pandas and scipy: not for --help
    from leaderboards.markdown import write
    from leaderboards.terminal import print_boards

    try:
        boards = build_boards(runs)
    except FileNotFoundError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(boards), indent=2, sort_keys=True, allow_nan=False))
    else:
        print_boards(boards)
    if boards.boards:
        folder = out or (runs[0].parent if runs[0].is_file() else runs[0]) / "leaderboard"
        try:
            markdown, table = write(boards, folder)
        except OSError as error:
            typer.echo(
                f"error: the tables cannot be written to {folder}: {error}; name another folder with --out", err=True
            )
            raise typer.Exit(1) from error
        typer.echo(f"written: {markdown}, {table}", err=True)
    if boards.problems:
        typer.echo(f"error: {len(boards.problems)} problem(s) with records, named above", err=True)
    if boards.problems or not boards.boards:
        raise typer.Exit(1)


if __name__ == "__main__":
    app(prog_name="python -m leaderboards")
