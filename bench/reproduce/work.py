"""What the command `reproduce` does: it lists, plans, scores, trains, compares, packs. Exit codes as `cli.py` says."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from bench.config import Resolved, RunConfig
from bench.hand_in.bundle import pack
from bench.interrupts import INTERRUPTED
from bench.launch.options import LaunchOptions
from bench.places import RESULTS, command
from bench.record import write_atomic
from bench.reproduce.durations import duration_text
from bench.reproduce.presets import Preset, ScoredRow, TrainedRow, read_preset
from bench.run_folder import RECORD
from bench.streams import shown
from bench.suite import RealText, Rewritten, SamplesFile
from bench.terminal import console, errors
from bench.text.escapes import json_text

if TYPE_CHECKING:
    from bench.launch.workers import Outcome  # torch: not where verdicts are only listed

__all__ = ["list_all", "pack_runs", "plan", "reproduce", "started", "submit"]

_BUDGET_SPENT = 75
"""EX_TEMPFAIL of sysexits.h: try again later."""
_MISSING = 2
"""A file of samples is not here; everything else is done."""


def pack_runs(preset: Preset, runs: Path, out: Path, trained_by: str | None, show: Callable[[str], None]) -> bool:
    """Pack the runs of a preset that have ended, and say how many have not. False: some of them could not be packed."""
    resolved = [config.resolve() for row in preset.trained for config in row.configs]
    records = [path for each in resolved if (path := each.folder(runs) / RECORD).is_file()]
    try:
        packed = pack(records, out, trained_by=trained_by)
    except (ValueError, OSError) as error:
        errors.print(f"{out} is not written: {error}", style="red")
        return False
    show(packed.told() + (f"; {rest} not finished" if (rest := len(resolved) - len(records)) else ""))
    for line in packed.remarks():
        errors.print(line, style="yellow")
    return not packed.left_out


def started() -> float:
    """When this process began, seconds since the epoch."""
    import psutil  # type: ignore[import-untyped]

    return float(psutil.Process().create_time())


def list_all(names: Sequence[str], runs: Path, *, as_markdown: bool, as_json: bool, out: Path | None) -> None:
    """What is known of presets, from the records below `runs` and those of the project."""
    from bench.reproduce import report
    from bench.reproduce.state import read_found, state_of

    presets = [read_preset(name) for name in names]
    found = read_found([RESULTS], {row.named for preset in presets for row in preset.rows})
    found += read_found([] if as_markdown else [runs])
    states = [state_of(preset, found) for preset in presets]
    whose = [f"Done is what {runs} or the repository has a record of; `reproduce NAME` trains your own."]
    if as_markdown:
        text = report.markdown(states)
    elif as_json:
        text = json_text(report.as_json(states) + "\n")
    elif len(states) == 1:
        text = "\n".join([*names, *report.result_lines(states[0]), *whose]) + "\n"
    else:
        text = "\n".join([*report.list_lines(states), *whose]) + "\n"
    if out:
        write_atomic(out, text.encode())
    else:
        console.print_document(text if as_json else shown(text))
    for problem in found.unreadable:
        errors.print(f"not read: {problem}", style="yellow")


def plan(preset: Preset, options: LaunchOptions, executor: str | None, *, measure: bool, as_json: bool) -> None:
    """What `reproduce` or `submit` would do; nothing is scored, trained, submitted or written."""
    from bench.reproduce import report
    from bench.reproduce.plan import make_plan
    from bench.reproduce.state import read_found

    submitted = None
    resolve: Callable[[RunConfig], Resolved] = RunConfig.resolve
    if executor is not None:
        from bench.executors.start import target

        to = target(executor, options)
        resolve = to.resolve
        runs = [resolve(config) for row in preset.trained for config in row.configs]
        submitted = to.planned(runs, options.runs)
    found = read_found([RESULTS, options.runs], {row.named for row in preset.trained})
    plans = make_plan(preset, found, options.runs, measure=measure, resolve=resolve)
    if as_json:
        console.print_json_text(report.plan_json(plans, len(options.slots), preset.scored, submitted))
        return
    console.print(f"{preset.name}: {preset.description}")
    for row in preset.scored:
        console.print(f"{row.label}: scored on {row.task_name}, not trained")
    for line in report.dry_lines(plans, len(options.slots), submitted, measured=measure):
        console.print(line)


def reproduce(
    preset: Preset,
    options: LaunchOptions,
    *,
    as_json: bool,
    packing: Callable[[Callable[[str], None]], bool] | None = None,
) -> None:
    """Plan, score what is only scored, train, compare, pack; end with the exit code that the module lists."""
    from bench.launch.start import BudgetSpent, summary, until
    from bench.reproduce import report
    from bench.reproduce.plan import make_plan
    from bench.reproduce.state import read_found, state_of

    runs, screen = options.runs, errors if as_json else console
    mark = next((f"[{row.scale} scale, a rehearsal] " for row in preset.trained if row.reduced), "")

    def show(*lines: str) -> None:
        for line in lines:
            screen.print(f"{mark}{line}")

    show(f"{preset.name}: {preset.description}")
    try:
        with until(options.deadline):
            plans = make_plan(preset, read_found([RESULTS, runs], {row.named for row in preset.trained}), runs)
            show(*report.plan_lines(plans, len(options.slots)))
            if not math.isinf(options.deadline):
                show(report.budget_line(plans, len(options.slots), options.deadline - time.time()))
            missing = _score_all(preset.scored, options, show)
    except BudgetSpent:
        show(f"The budget is used up before the first step; {_up_to_here()}. What is scored is kept.")
        raise typer.Exit(_BUDGET_SPENT) from None
    outcomes = _train(preset.trained, options, screen)
    found = read_found([runs])  # what was measured here, and not what the project says
    state = state_of(preset, found)
    show(*report.result_lines(state), *(f"not read: {problem}" for problem in found.unreadable))
    if as_json:
        console.print_json_text(report.as_json([state], plan=plans))
    statuses = {outcome.status for outcome in outcomes}
    if outcomes:
        show(summary(outcomes, runs))
    handed_in = packing is None or packing(show)
    if "stopped" in statuses:
        spent = any(outcome.at_deadline for outcome in outcomes)
        if spent and not any(outcome.trained for outcome in outcomes):
            show(f"The budget is used up before the first step; {_up_to_here()}.")
        else:
            show(f"{'The budget is used up' if spent else 'Stopped'}, the state is saved; the same command goes on.")
        raise typer.Exit(_BUDGET_SPENT if spent else INTERRUPTED)
    if statuses - {"completed"} or not handed_in:
        raise typer.Exit(1)
    if missing:
        raise typer.Exit(_MISSING)


def submit(executor: str, preset: Preset, options: LaunchOptions, *, as_json: bool) -> None:
    """Give the runs to an executor, and score here what is only scored; `--list` has the verdicts, once all is done."""
    from bench.executors.start import submit_runs

    if as_json:
        raise ValueError("--json goes without --executor: `reproduce NAME --list --json` has the verdicts")
    resolved = [config.resolve() for row in preset.trained for config in row.configs]
    if resolved:
        submit_runs(resolved, options, executor, console=console)
    missing = _score_all(preset.scored, options, console.print)
    console.print(f"Verdicts: {command('bench', 'reproduce', preset.name, '--list', '--runs', options.runs)}")
    if missing:
        raise typer.Exit(_MISSING)


def _score_all(rows: Sequence[ScoredRow], options: LaunchOptions, show: Callable[[str], None]) -> int:
    """Score what is only scored; how many rows lack their file."""
    missing = 0
    for row in rows:
        try:
            _score(row, options.runs, show)
        except OSError as error:  # a file that is not here costs its own row alone
            show(f"{row.label}: not scored: {error}")
            missing += 1
    return missing


def _up_to_here() -> str:
    return f"it took {duration_text(time.time() - started())} up to here: give it more than that"


def _score(row: ScoredRow, runs: Path, show: Callable[[str], None]) -> None:
    """Score a published file, or the task's real text, and keep the record; what is there is not scored again."""
    from bench.rewriting.data import RewritingText
    from bench.rewriting.files import read_rewritten
    from bench.score.compare import Source, score_files
    from bench.score.records import LoadedTask, record_real_text
    from bench.text.sample_files import read_samples

    def load() -> LoadedTask:
        return LoadedTask(name=row.task_name, task=row.task, data=row.task.load(), metrics=row.metrics)

    match row.text:
        case RealText(n_samples=n):
            show(f"{row.label}: scoring real text on {row.task_name}")
            record_real_text(load(), n, runs)
        case SamplesFile(name=name, format=format) as file:
            path = file.fetch()
            show(f"{row.label}: scoring {path.name} on {row.task_name}")
            loaded = load()
            vocabulary, eos_id = loaded.data.vocabulary, loaded.data.spec.eos_id
            samples = read_samples(path, row.task, vocabulary, eos_id=eos_id, format=format)
            score_files([Source(name=name, path=path, samples=samples)], loaded, runs, with_real_text=False)
        case Rewritten(name=name, files=files):
            paths = [file.fetch() for file in files]
            show(f"{row.label}: scoring {', '.join(path.name for path in paths)} on {row.task_name}")
            loaded = load()
            if not isinstance(loaded.data, RewritingText):
                raise ValueError(f"{row.label}: {row.task_name} is no task of rewriting")
            samples = read_rewritten(paths, row.task, loaded.data)
            score_files([Source(name=name, path=paths[0], samples=samples)], loaded, runs, with_real_text=False)


def _train(rows: Sequence[TrainedRow], options: LaunchOptions, screen: Console) -> list[Outcome]:
    """The runs of all rows; what is finished is not run again, and what was begun goes on."""
    resolved = [config.resolve() for row in rows for config in row.configs]
    if not resolved:
        return []
    from bench.launch.start import start

    return start(resolved, options, console=screen)
