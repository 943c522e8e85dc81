"""The commands about the repository's rows: pack, add, verify, extend, upgrade, published."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.terminal import UserErrors, console, errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leaderboards.repository.add import Added
    from leaderboards.repository.retrain import Again, StoredRow
    from leaderboards.repository.verify import Verification

__all__ = ["add_command", "extend_command", "pack_command", "published_command", "upgrade_command", "verify_command"]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
TrainedBy = Annotated[
    str | None, typer.Option(help="Who trained them: a person or a group, shown with the row.", metavar="NAME")
]
MostWeights = Annotated[
    int | None, typer.Option(min=0, help="Bytes of weights that are kept with a row. Default: 2,000,000; 0: none.")
]
_DIFFERENT, _NOT_CHECKED = 1, 3


def pack_command(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs, at any depth, or record files.")],
    out: Annotated[Path, typer.Option(help="The file to write, such as bundle.zip.")],
    trained_by: TrainedBy = None,
    most_weights: MostWeights = None,
    as_json: Json = False,
) -> None:
    """Pack finished runs into one file, to be handed in: records, samples, hashes. `add` takes it.

    The same runs give the same bytes. Exit status 1: some run could not be packed; the others are all the same.
    """
    from bench.hand_in.bundle import MOST_WEIGHTS, pack
    from bench.places import check_target
    from leaderboards.repository.add import find_runs

    with UserErrors():
        check_target(out, "--out")
        most = MOST_WEIGHTS if most_weights is None else most_weights
        packed = pack(find_runs(runs), out, trained_by=trained_by, most_weights=most)
    if as_json:
        told = dataclasses.asdict(packed) | {"path": str(packed.path)}
        console.print_json_text(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        console.print(packed.told())
    for line in packed.remarks():
        errors.print(line)
    if packed.left_out:
        raise typer.Exit(_DIFFERENT)


def add_command(
    runs: Annotated[
        list[Path], typer.Argument(help="Bundles (bundle.zip), folders of finished runs at any depth, or record files.")
    ],
    results: Annotated[Path | None, typer.Option(help="Where rows are kept. Default: leaderboards/results.")] = None,
    source_file: Annotated[
        list[Path] | None,
        typer.Option(help="The published file of the samples, if it may not be handed on; several, where they are so."),
    ] = None,
    source_url: Annotated[
        list[str] | None, typer.Option(help="Its address, kept in place of the samples; one for each file.")
    ] = None,
    most_weights: MostWeights = None,
    trained_by: TrainedBy = None,
    as_json: Json = False,
) -> None:
    """Copy runs with their samples to the rows of the repository, if anybody can make and score them again.

    Exit status 1: some run was refused; the others are added all the same.
    """
    from bench.hand_in.bundle import MOST_WEIGHTS, is_bundle
    from bench.hand_in.trained_by import check_name
    from bench.places import RESULTS, check_file, check_folder
    from leaderboards.repository.add import PublishedFile, add, find_runs
    from leaderboards.repository.bundles import add_bundle

    with UserErrors():
        for file in source_file or ():
            check_file(file)
        if results is not None:
            check_folder(results, "--results")
        if trained_by is not None:
            check_name(trained_by)
        bundles = [path for path in runs if is_bundle(path)]
        files = find_runs(path for path in runs if path not in bundles)
        named, told = len(source_file or ()), len(source_url or ())
        if named != told or (named and (bundles or len(files) != 1)):
            raise ValueError(
                f"--source-file and --source-url go together, one address a file, with one run; got {named} and {told}"
            )
        if results is None and not (RESULTS.parents[1] / "pyproject.toml").is_file():
            raise ValueError("this is an installed package, which keeps no rows: name a folder with --results")
    sources = [PublishedFile(file=file, url=url) for file, url in zip(source_file or (), source_url or (), strict=True)]
    most, home = MOST_WEIGHTS if most_weights is None else most_weights, results or RESULTS
    added, refused = [], []
    for file in files:
        try:
            added.append(add(file, home, sources, most_weights=most, trained_by=trained_by))
        except (ValueError, OSError) as error:
            refused.append(str(error))
    for bundle in dict.fromkeys(bundles):
        try:
            taken, not_taken = add_bundle(bundle, home, most_weights=most, trained_by=trained_by)
        except (ValueError, OSError) as error:
            taken, not_taken = [], [str(error)]
        added, refused = [*added, *taken], [*refused, *not_taken]
    _tell_added(added, refused, as_json=as_json)


def _tell_added(added: Sequence[Added], refused: Sequence[str], *, as_json: bool) -> None:
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


_Retrain = Annotated[
    int | None,
    typer.Option(min=1, metavar="K", help="Then train K seeds of each row again, from their records, and compare."),
]
_Rows = Annotated[
    list[str] | None,
    typer.Option("--row", help="With --retrain: only this row, by its label, model or the beginning of its hash."),
]
_Into = Annotated[
    Path | None,
    typer.Option(help="With --retrain: a folder for the new runs; with it, what was stopped goes on. Default: none."),
]
_By = Annotated[str | None, typer.Option(help="With --retrain and --write: who trained again.", metavar="NAME")]
_Model = Annotated[
    str | None, typer.Option(help="With --retrain, for a row of a model in a file: that file, my_gan.py:MyGAN.")
]


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
    retrain: _Retrain = None,
    row: _Rows = None,
    into: _Into = None,
    by: _By = None,
    model: _Model = None,
    as_json: Json = False,
) -> None:
    """Compute the scores of rows again, from their samples, and compare; with --retrain train seeds again as well.

    What `--write` kept of a row stands as long as record, samples, data, code and libraries are the same.
    Exit status 1: something differs. 3: nothing differs, but a row could not be checked here, or none was verified.
    """
    from bench.places import RESULTS
    from leaderboards.repository.retrain import rows_below
    from leaderboards.repository.verify import verify

    paths = paths or [RESULTS]
    with UserErrors():
        _check_retrain({"--row": row, "--into": into, "--by": by, "--model": model}, retrain, write=write)
        rows = rows_below(paths, row or ()) if retrain else []
        checked = [entry.path for each in rows for entry in each.entries] if retrain else paths
        reports = verify(checked, jobs, everything=everything)
    states: list[str] = [report.state for report in reports]
    again: list[Again] | None = None
    _tell_verified(reports, as_json=as_json)
    kept = not write or _keep(paths, reports)
    if retrain:
        again = _train_again(rows, retrain, {r.record: r.state for r in reports}, into, by=by, model=model, jobs=jobs)
        states += [_STATES[each.result] for each in again]
        kept = kept and (not write or _keep_retrained(paths, again, by))
    _tell_retrained(reports, again, as_json=as_json)
    if "different" in states:
        raise typer.Exit(_DIFFERENT)
    if not kept:
        raise typer.Exit(2)
    if not allow_missing_data and ("not checked" in states or "verified" not in states):
        raise typer.Exit(_NOT_CHECKED)


_STATES = {"equal": "verified", "agrees": "verified", "differs": "different", "not decided": "not checked"}
"""How what `--retrain` found counts for the exit status."""


def _check_retrain(options: Mapping[str, object], k: int | None, *, write: bool) -> None:
    """Raise ValueError for options that need another one."""
    if k is None:
        if given := next((name for name, value in options.items() if value), None):
            raise ValueError(f"{given} goes with --retrain K, the number of seeds to train again")
    elif write and not options["--by"]:
        raise ValueError("--write keeps who trained again: say it with --by NAME")
    if isinstance(folder := options["--into"], Path):
        from bench.places import check_folder

        check_folder(folder, "--into")
    if isinstance(name := options["--by"], str):
        from bench.hand_in.trained_by import check_name

        check_name(name)


def _tell_verified(reports: Sequence[Verification], *, as_json: bool) -> None:
    from leaderboards.repository.verify import describe, summary

    for report in () if as_json else reports:
        console.print(describe(report))
    states = [report.state for report in reports]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)) or "there is no record"
    errors.print(f"{sum(r.scores for r in reports)} scores equal; records: {counts}")
    if told := summary(reports):
        errors.print(told)


def _train_again(
    rows: Sequence[StoredRow],
    k: int,
    states: Mapping[str, str],
    into: Path | None,
    *,
    by: str | None,
    model: str | None,
    jobs: int,
) -> list[Again]:
    """Train seeds of rows again, in a folder that is kept or one that goes with the answer. Exits where it stops."""
    from bench.interrupts import INTERRUPTED
    from leaderboards.repository.retrain import retrain

    with tempfile.TemporaryDirectory(prefix="retrained-") as passing, UserErrors():
        again, stopped = retrain(rows, k, into or Path(passing), verified=states, by=by, model=model, jobs=jobs)
    if stopped:
        goes_on = "the same command goes on" if into else "with --into FOLDER the same command would go on"
        errors.print(f"Stopped; {goes_on}.")
        raise typer.Exit(INTERRUPTED)
    return again


def _tell_retrained(reports: Sequence[Verification], again: Sequence[Again] | None, *, as_json: bool) -> None:
    from leaderboards.repository.retrain import describe

    if as_json:
        records = [dataclasses.asdict(report) for report in reports]
        document = records if again is None else {"records": records, "retrained": list(map(dataclasses.asdict, again))}
        console.print_json_text(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        for each in again or ():
            console.print(describe(each))


def _keep(paths: Sequence[Path], reports: Sequence[Verification]) -> bool:
    """Write down what was verified; False, with the reason said, where that cannot be."""
    from leaderboards.repository.verify import write_verified

    try:
        for file in write_verified(paths, [report for report in reports if report.sha256]):
            errors.print(f"written: {file}")
    except OSError as error:
        errors.print(f"error: what was verified cannot be kept: {error}; the report above is whole")
        return False
    return True


def _keep_retrained(paths: Sequence[Path], again: Sequence[Again], by: str | None) -> bool:
    """The same of what was trained again."""
    from leaderboards.repository.retrain import write_retrained

    try:
        for file in write_retrained(paths, again, by or ""):
            errors.print(f"written: {file}")
    except (OSError, ValueError) as error:
        errors.print(f"error: what was trained again cannot be kept: {error}; it is told above")
        return False
    return True


def extend_command(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Folders with records, or record files. Default: leaderboards/results.")
    ] = None,
    metric: Annotated[list[str] | None, typer.Option(help="A metric by name; several, where they are so.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of one: ngram_jsd.order=3.", metavar="METRIC.KEY=VALUE")
    ] = None,
) -> None:
    """Give rows the scores of further metrics, from their kept samples at the end. Then `verify --all --write` them.

    They are other records than those that were verified. What a record has stays as it is. Exit status 1: some record
    could not be scored; the others are all the same.
    """
    from bench.places import RESULTS
    from leaderboards.repository.extend import extend
    from leaderboards.repository.rescore import metrics_named

    n, failed = 0, False
    with UserErrors():
        if not metric:
            raise ValueError("name a metric with --metric, such as --metric bleu")
        for report in extend(paths or [RESULTS], metrics_named(metric, settings or ())):
            n += bool(report.keys)
            failed |= bool(report.absent)
            told = ", ".join(report.keys) or "nothing new"
            console.print(f"{'extended' if report.keys else 'kept    '}  {report.path}: {told}")
            for name, why in report.absent.items():
                errors.print(f"absent: {report.path}: {name}: {why}")
    errors.print(f"{n} records extended")
    if failed:
        raise typer.Exit(_DIFFERENT)


def upgrade_command(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Folders with records, or record files. Default: leaderboards/results.")
    ] = None,
) -> None:
    """Write records of an older schema anew in today's, every score unchanged. Verify them again afterwards."""
    from bench.places import RESULTS
    from leaderboards.repository.upgrade import upgrade

    n = 0
    with UserErrors():
        for file in upgrade(paths or [RESULTS]):
            console.print(f"upgraded {file}")
            n += 1
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
    from leaderboards.tables.reported import published_tables

    print_tables(published_tables(rows))
