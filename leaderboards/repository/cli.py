"""The commands about the repository's rows: add, verify, published."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.streams import console, errors

if TYPE_CHECKING:
    from leaderboards.repository.verify import Verification

__all__ = ["add_command", "published_command", "verify_command"]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
_DIFFERENT, _NOT_CHECKED = 1, 3


def add_command(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs, at any depth, or record files.")],
    results: Annotated[Path | None, typer.Option(help="Where rows are kept. Default: leaderboards/results.")] = None,
    source_file: Annotated[
        Path | None, typer.Option(help="The published file of the samples, if it may not be handed on.")
    ] = None,
    source_url: Annotated[str | None, typer.Option(help="Its address, kept in place of the samples.")] = None,
    most_weights: Annotated[
        int | None, typer.Option(min=0, help="Bytes of weights that are kept with a row. Default: 2,000,000; 0: none.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Copy runs with their samples to the rows of the repository, if anybody can make and score them again.

    Exit status 1: some run was refused; the others are added all the same.
    """
    from bench.places import RESULTS, check_file, check_folder
    from leaderboards.repository.add import MOST_WEIGHTS, PublishedFile, add, find_runs

    try:
        if source_file is not None:
            check_file(source_file)
        if results is not None:
            check_folder(results, "--results")
        files = find_runs(runs)
        if (source_file is None) != (source_url is None) or (source_file and len(files) != 1):
            raise ValueError("--source-file and --source-url go together, with one run")
        if results is None and not (RESULTS.parents[1] / "pyproject.toml").is_file():
            raise ValueError("this is an installed package, which keeps no rows: name a folder with --results")
    except (FileNotFoundError, ValueError) as error:
        errors.print(f"error: {error}")
        raise typer.Exit(2) from error
    source = PublishedFile(file=source_file, url=source_url) if source_file and source_url else None
    added, refused = [], []
    for file in files:
        try:
            most = MOST_WEIGHTS if most_weights is None else most_weights
            added.append(add(file, results or RESULTS, source, most_weights=most))
        except (ValueError, OSError) as error:
            refused.append(str(error))
    if as_json:
        document = {"added": [dataclasses.asdict(one) for one in added], "refused": refused}
        console.print_json_text(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        for one in added:
            told = f"{len(one.files)} files, {one.bytes / 1000:.0f} kB" if one.new else "there already"
            console.print(f"{'added' if one.new else 'kept '}  {one.folder}: {told}")
    for reason in refused:
        errors.print(f"refused: {reason}")
    if refused:
        raise typer.Exit(_DIFFERENT)


def verify_command(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Folders with records, or record files. Default: leaderboards/results.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes side by side.")] = 1,
    write: Annotated[
        bool, typer.Option("--write", help="Keep in verified.json what was verified, for the tables.")
    ] = False,
    allow_missing_data: Annotated[
        bool, typer.Option("--allow-missing-data", help="Exit with 0 though rows were not checked for lack of data.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Compute rows again too of which nothing has changed since `--write`.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compute the scores of rows again, from their samples, and compare.

    What `--write` kept of a row stands as long as record, samples, data, code and libraries are the same.
    Exit status 1: something differs. 3: nothing differs, but a row could not be checked here, or none was verified.
    """
    from bench.places import RESULTS
    from leaderboards.repository.verify import describe, summary, verify

    try:
        reports = verify(paths or [RESULTS], jobs, everything=everything)
    except FileNotFoundError as error:
        errors.print(f"error: {error}")
        raise typer.Exit(2) from error
    if as_json:
        console.print_json_text(
            json.dumps([dataclasses.asdict(report) for report in reports], indent=2, ensure_ascii=False)
        )
    else:
        for report in reports:
            console.print(describe(report))
    states = [report.state for report in reports]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)) or "there is no record"
    errors.print(f"{sum(r.scores for r in reports)} scores equal; records: {counts}")
    if told := summary(reports):
        errors.print(told)
    kept = not write or _keep(paths or [RESULTS], reports)
    if "different" in states:
        raise typer.Exit(_DIFFERENT)
    if not kept:
        raise typer.Exit(2)
    if not allow_missing_data and ("not checked" in states or "verified" not in states):
        raise typer.Exit(_NOT_CHECKED)


def _keep(paths: list[Path], reports: list[Verification]) -> bool:
    """Write down what was verified; False, with the reason said, where that cannot be."""
    from leaderboards.repository.verify import write_verified

    try:
        for file in write_verified(paths, [report for report in reports if report.sha256]):
            errors.print(f"written: {file}")
    except OSError as error:
        errors.print(f"error: what was verified cannot be kept: {error}; the report above is whole")
        return False
    return True


def upgrade_command(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Folders with records, or record files. Default: leaderboards/results.")
    ] = None,
) -> None:
    """Write records of an older schema anew in today's, every score unchanged. Verify them again afterwards."""
    from bench.places import RESULTS
    from leaderboards.repository.upgrade import upgrade

    n = 0
    try:
        for file in upgrade(paths or [RESULTS]):
            console.print(f"upgraded {file}")
            n += 1
    except (FileNotFoundError, ValueError) as error:
        errors.print(f"error: {error}")
        raise typer.Exit(2) from error
    errors.print(f"{n} records upgraded")


def published_command(
    task: Annotated[str | None, typer.Option(help="Only numbers of this task: oracle_lstm, image_coco …")] = None,
    as_json: Json = False,
) -> None:
    """Numbers from papers and their authors' pages: source, protocol, and what keeps them apart from ours."""
    from bench.published import read_published

    known = sorted({row.task for row in read_published() if row.task})
    if task is not None and task not in known:
        errors.print(f"error: no published numbers of {task!r}; there are some of {', '.join(known)}")
        raise typer.Exit(2)
    rows = [row for row in read_published() if task in (None, row.task)]
    if as_json:
        console.print_json_text(json.dumps([dataclasses.asdict(row) for row in rows], indent=2, ensure_ascii=False))
        return
    from leaderboards.render.terminal import print_tables
    from leaderboards.tables import published_tables

    print_tables(published_tables(rows))
