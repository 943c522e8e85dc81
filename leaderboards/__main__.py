"""`python -m leaderboards build RUNS…`: records in, tables out. Needs no torch and no tracker."""

from __future__ import annotations

import dataclasses
import json
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # what is imported below begins nothing (see `run_program`)

import typer

from bench.interrupts import run_program
from bench.places import called_as, check_folder, check_target, examples
from bench.streams import SafeGroup, Version, console, errors, help_by
from leaderboards.repository.cli import add_command, published_command, upgrade_command, verify_command
from leaderboards.schema import Boards

__all__ = ["app", "main"]

app = typer.Typer(
    cls=SafeGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=help_by(),
)


@app.callback()
def _described(version: Version = False) -> None:
    """Comparison tables from run records."""


@app.command(
    epilog=examples(
        "leaderboards",
        "build runs",
        "build runs leaderboards/results --html page --plots",
        "build runs --out tables --latex",
    )
)
def build(
    runs: Annotated[list[Path], typer.Argument(help="Folders with record.json at any depth, or record files.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of leaderboard.md and .csv. Default: RUNS/leaderboard; of the kept rows ./leaderboard."
        ),
    ] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Also leaderboard.tex, with booktabs.")] = False,
    plots: Annotated[
        bool, typer.Option("--plots", help="Also plots/, PNG and SVG, as wide as a paper's column.")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="Also a page, in this folder.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Only the Markdown, in this file; with --out both, and the CSV.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document in place of the tables.")] = False,
) -> None:
    """Print the tables of all runs below RUNS, and write them as Markdown and CSV.

    Exit status 1: a record could not be read, or there was none; the tables of the others are made all the same.
    """
    from leaderboards.boards import build as build_boards  # pandas and scipy: not for --help
    from leaderboards.render.markdown import write as write_markdown
    from leaderboards.render.terminal import print_boards

    try:
        _check_outputs(out, html, markdown)
        boards = build_boards(runs)
    except (FileNotFoundError, ValueError) as error:
        errors.print(f"error: {error}")
        raise typer.Exit(2) from error
    written, failure = [], None  # before anything is printed: a reader that goes away costs no file
    if boards.boards:
        folder = out or _usual_folder(runs[0]) / "leaderboard"
        try:
            if markdown is not None:
                written.append(write_markdown(boards, markdown))
            tables = markdown is None or out is not None
            written += _write(boards, folder, tables=tables, latex=latex, plots=plots, html=html)
        except OSError as error:
            failure = f"the tables cannot be written: {error}; name another folder with --out or --html"
    if as_json:
        console.print_json_text(json.dumps(dataclasses.asdict(boards), indent=2, sort_keys=True, allow_nan=False))
    else:
        print_boards(boards)
    for path in written:
        errors.print(f"written: {path}")
    if failure is not None:
        errors.print(f"error: {failure}")
        raise typer.Exit(1)
    if boards.problems:
        errors.print(f"error: {len(boards.problems)} problem(s) with records, named above")
    if boards.problems or not boards.boards:
        raise typer.Exit(1)


def _check_outputs(out: Path | None, html: Path | None, markdown: Path | None) -> None:
    for folder, option in ((out, "--out"), (html, "--html")):
        if folder is not None:
            check_folder(folder, option)
    if markdown is not None:
        check_target(markdown, "--markdown")


def _usual_folder(first: Path) -> Path:
    """Beside the records; but among the rows of the repository nothing else may lie."""
    from leaderboards.repository.results import root_of

    if root_of(first) is not None:
        return Path()
    return first.parent if first.is_file() else first


def _write(
    boards: Boards, folder: Path, *, tables: bool, latex: bool, plots: bool, html: Path | None
) -> Iterator[Path]:
    """Write what was asked for; each part loads its libraries only then."""
    if tables:
        from leaderboards.render.csv import write as write_csv
        from leaderboards.render.markdown import write as write_markdown

        yield write_markdown(boards, folder / "leaderboard.md")
        yield write_csv(boards, folder / "leaderboard.csv")
    if latex:
        from leaderboards.render.latex import write as write_latex

        yield write_latex(boards, folder)
    if plots:
        from leaderboards.render.plots import write as write_plots

        write_plots(boards, folder / "plots")
        yield folder / "plots"
    if html is not None:
        from leaderboards.render.page.site import write_page

        yield write_page(boards, html)


app.command("add")(add_command)
app.command("verify")(verify_command)
app.command("upgrade")(upgrade_command)
app.command("published")(published_command)


def main() -> None:
    """Entry point of `python -m leaderboards` and of the console script."""
    run_program(lambda: partial(app, prog_name=called_as("leaderboards")))


if __name__ == "__main__":
    main()
