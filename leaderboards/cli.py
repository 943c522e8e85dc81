"""The commands that make tables of records, or say what is known of a row: build, show, export."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.places import check_folder, check_target
from bench.terminal import UserErrors, console, errors

if TYPE_CHECKING:
    from leaderboards.schema import Boards

__all__ = ["build_command", "export_command", "show_command"]


@dataclasses.dataclass(frozen=True)
class _Outputs:
    """Files and folders to write, as they were asked for."""

    out: Path | None
    latex: bool
    plots: bool
    html: Path | None
    markdown: Path | None
    pages: Path | None
    readme: Path | None
    scores: tuple[Path | None, Path | None]
    """Of every score: CSV, parquet."""

    def check(self) -> None:
        """Raises ValueError for what cannot be written, before anything is read."""
        for folder, option in ((self.out, "--out"), (self.html, "--html"), (self.pages, "--pages")):
            if folder is not None:
                check_folder(folder, option)
        files = zip(
            (self.markdown, *self.scores, self.readme), ("--markdown", "--csv", "--parquet", "--readme"), strict=True
        )
        for file, option in files:
            if file is not None:
                check_target(file, option)
        if self.pages is not None and self.markdown is None:
            raise ValueError("--pages goes with --markdown FILE, the short leaderboard that leads to the pages")
        if self.readme is not None:
            if self.pages is None:
                raise ValueError("--readme goes with --markdown FILE and --pages FOLDER, which it leads to")
            from leaderboards.render.front import check_readme  # matplotlib: not for --help

            check_readme(self.readme)


_Runs = Annotated[list[Path], typer.Argument(help="Folders with record.json at any depth, or record files.")]
_Out = Annotated[
    Path | None,
    typer.Option(help="Folder of leaderboard.md and .csv. Default: RUNS/leaderboard; of the kept rows ./leaderboard."),
]
_Full = Annotated[bool, typer.Option("--full", help="Print every table, not only the main one of each board.")]
_Latex = Annotated[bool, typer.Option("--latex", help="Also leaderboard.tex, with booktabs.")]
_Plots = Annotated[bool, typer.Option("--plots", help="Also plots/, PNG, SVG and PDF, as wide as a paper's column.")]
_Html = Annotated[Path | None, typer.Option(help="Also a page, in this folder.")]
_Markdown = Annotated[Path | None, typer.Option(help="Only the Markdown, in this file; with --out both, and the CSV.")]
_Pages = Annotated[
    Path | None, typer.Option(help="With --markdown: keep that file short, and put all tables into this folder.")
]
_Readme = Annotated[
    Path | None, typer.Option(help="With --pages: also the figure and the main table, between the marks of this file.")
]
_Csv = Annotated[Path | None, typer.Option("--csv", help="Also every score of every seed, in this CSV file.")]
_Parquet = Annotated[Path | None, typer.Option(help="The same as parquet, in this file.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document in place of the tables.")]


def build_command(
    runs: _Runs,
    out: _Out = None,
    full: _Full = False,
    latex: _Latex = False,
    plots: _Plots = False,
    html: _Html = None,
    markdown: _Markdown = None,
    pages: _Pages = None,
    readme: _Readme = None,
    csv: _Csv = None,
    parquet: _Parquet = None,
    as_json: _Json = False,
) -> None:
    """Print the main table of every board below RUNS, and write all tables as Markdown and CSV.

    Exit status 1: a record could not be read, or there was none; the tables of the others are made all the same.
    """
    from leaderboards.boards import build  # pandas and scipy: not for --help

    outputs = _Outputs(out, latex, plots, html, markdown, pages, readme, (csv, parquet))
    with UserErrors():
        outputs.check()
        boards = build(runs)
    written: list[Path] = []  # before anything is printed: a reader that goes away costs no file
    failure = None
    if boards.boards:
        try:
            written.extend(_write(boards, out or _usual_folder(runs[0]) / "leaderboard", outputs))
        except (OSError, ImportError) as error:
            failure = f"the tables cannot be written: {error}; name another folder with --out or --html"
    _print(boards, written, full=full, as_json=as_json)
    for path in written:
        errors.print(f"written: {path}")
    if failure is not None:
        errors.print(f"error: {failure}")
        raise typer.Exit(1)
    if boards.problems:
        errors.print(f"error: {len(boards.problems)} problem(s) with records, named above")
    if boards.problems or not boards.boards:
        raise typer.Exit(1)


def _print(boards: Boards, written: list[Path], *, full: bool, as_json: bool) -> None:
    from leaderboards.render.terminal import print_boards, print_overview

    if as_json:
        console.print_json_text(json.dumps(dataclasses.asdict(boards), indent=2, sort_keys=True, allow_nan=False))
    elif full:
        print_boards(boards)
    else:
        whole = next((path for path in written if path.suffix == ".md"), None)
        where = f"All tables: {whole}, or --full. " if whole is not None else "All tables: --full. "
        print_overview(boards, f"{where}--html FOLDER makes a page with curves, samples and every run.")


def _usual_folder(first: Path) -> Path:
    """Beside the records; but among the rows of the repository nothing else may lie."""
    from leaderboards.repository.results import root_of

    if root_of(first) is not None:
        return Path()
    return first.parent if first.is_file() else first


def _write(boards: Boards, folder: Path, outputs: _Outputs) -> Iterator[Path]:
    """Write what was asked for; each part loads its libraries only then."""
    if outputs.markdown is not None:
        yield from _write_markdown(boards, outputs.markdown, outputs)
    if outputs.markdown is None or outputs.out is not None:
        from leaderboards.render.csv import write as write_csv
        from leaderboards.render.markdown import write as write_markdown

        yield write_markdown(boards, folder / "leaderboard.md")
        yield write_csv(boards, folder / "leaderboard.csv")
    if any(outputs.scores):
        from leaderboards.render.scores import write_csv as write_scores
        from leaderboards.render.scores import write_parquet

        for path, write in zip(outputs.scores, (write_scores, write_parquet), strict=True):
            if path is not None:
                yield write(boards, path)
    if outputs.latex:
        from leaderboards.render.latex import write as write_latex

        yield write_latex(boards, folder)
    if outputs.plots:
        from leaderboards.render.plots import write as write_plots

        write_plots(boards, folder / "plots")
        yield folder / "plots"
    if outputs.html is not None:
        from leaderboards.render.page.site import write_page

        yield write_page(boards, outputs.html)


def _write_markdown(boards: Boards, path: Path, outputs: _Outputs) -> Iterator[Path]:
    """Everything in one file; or short, with a page for each board, and the README's block."""
    if outputs.pages is None:
        from leaderboards.render.markdown import write as write_markdown

        yield write_markdown(boards, path)
        return
    from leaderboards.render.front import write_overview, write_readme

    yield from write_overview(boards, path, outputs.pages)
    if outputs.readme is not None:
        yield write_readme(boards, outputs.readme, path, outputs.pages)


def show_command(
    row: Annotated[str, typer.Argument(help="A row's label, its model, or the beginning of its or a run's hash.")],
    runs: _Runs,
) -> None:
    """What is known of a row beside its scores: its tier, who trained it and trained it again, on what, and how."""
    from bench.registry import suggest
    from leaderboards.boards import build  # pandas and scipy: not for --help
    from leaderboards.render.terminal import print_row
    from leaderboards.words import names_of

    with UserErrors():
        boards = build(runs)
        every = [(board, each) for board in boards.boards for each in (*board.rows, *board.apart)]
        meant = [(board, each) for board, each in every if each.is_called(row)]
        if not meant:
            known = dict.fromkeys(name for _, each in every for name in (each.model, each.label))
            raise ValueError(f"no row {row!r} on these boards; {suggest(row, known)}")
    names = names_of(boards)
    for board, each in meant:
        print_row(each, names[board.number])


class _Exchange(StrEnum):
    """What other programs read."""

    parquet = "parquet"
    csv = "csv"
    every_eval_ever = "every-eval-ever"


def export_command(
    runs: _Runs,
    out: Annotated[Path, typer.Option(help="The file to write; for every-eval-ever the folder.")],
    form: Annotated[
        _Exchange,
        typer.Option("--format", help="every-eval-ever: a JSON file for each run, by that schema, version 0.3.0."),
    ] = _Exchange.parquet,
) -> None:
    """Write every score of every seed of every row below RUNS into one file, a line each, and no table.

    Exit status 1: a record could not be read, or there was none; what could be read is written all the same.
    """
    from leaderboards.boards import build  # pandas and scipy: not for --help
    from leaderboards.render.every_eval_ever import write_documents
    from leaderboards.render.scores import write_csv, write_parquet

    write: Callable[[Boards, Path], Path] = {"parquet": write_parquet, "csv": write_csv}.get(form, write_documents)
    with UserErrors():
        (check_folder if write is write_documents else check_target)(out, "--out")
        boards = build(runs)
    for problem in boards.problems:
        errors.print(f"not read: {problem}")
    if not boards.boards:
        errors.print("error: there is no record to export; nothing is written")
        raise typer.Exit(1)
    try:
        written = write(boards, out)
    except (OSError, ImportError) as error:
        errors.print(f"error: {out} cannot be written: {error}; name another place with --out")
        raise typer.Exit(1) from error
    errors.print(f"written: {written}")
    if boards.problems:
        raise typer.Exit(1)
