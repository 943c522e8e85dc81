"""The commands `run` and `suite`: what they train is looked up and checked before anything slow starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands import names as words
from bench.interrupts import INTERRUPTED
from bench.launch.asked import PLAN_FIELDS, Asked, with_options
from bench.places import RESULTS, command
from bench.run.scales import Scale
from bench.terminal import Metrics, Seeds, UserErrors, console, errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.config import Resolved, RunConfig
    from bench.launch.options import LaunchOptions

__all__ = ["run_command", "suite_command"]

_Rerun = Annotated[bool, typer.Option("--rerun", help="Train again what is finished already.")]
_PlanAsJson = Annotated[
    bool, typer.Option("--json", help=f"With --dry-run: print one JSON document and no text, {PLAN_FIELDS}")
]


@with_options
def run_command(
    model: Annotated[
        str, typer.Argument(help="A name from `list models`, or my_gan.py:MyGAN.", autocompletion=words.models)
    ],
    task: Annotated[
        str, typer.Argument(help="A name from `list tasks`, or my_task.py:MyTask.", autocompletion=words.tasks)
    ],
    *,
    seed: Seeds = None,
    scale: Annotated[Scale, typer.Option(help="paper is the published setting.")] = "paper",
    temperature: Annotated[list[float] | None, typer.Option(help="Temperatures scored at the end, beside 1.")] = None,
    metric: Metrics = None,
    asked: Asked,
    rerun: _Rerun = False,
    as_json: _PlanAsJson = False,
) -> None:
    """Train a model on a task, one run per seed, and score it."""
    from bench.api import configs_of
    from bench.config import read_seeds
    from bench.registry import names

    with UserErrors():
        asked.check(json=as_json)
        if model in names("tasks") and task in names("models"):
            raise ValueError(f"the model comes first: {command('bench', 'run', task, model)}")
        configs = configs_of(
            model,
            task,
            seeds=read_seeds(seed or [0]),
            scale=scale,
            settings=asked.values(),
            temperatures=temperature or (1.0,),
            metrics=metric or (),
        )
        _do(configs, asked, rerun=rerun, as_json=as_json)


@with_options
def suite_command(
    path: Annotated[
        Path, typer.Argument(help="A suite file, or the name of one of `list suites`.", autocompletion=words.suites)
    ],
    *,
    seed: Seeds = None,
    asked: Asked,
    rerun: _Rerun = False,
    as_json: _PlanAsJson = False,
) -> None:
    """Do all runs of a suite. Run it again to go on where it stopped."""
    from bench.config import read_seeds
    from bench.suite import read_suite

    with UserErrors():
        asked.check(json=as_json)
        configs = read_suite(words.suite_path(path), asked.values(), read_seeds(seed or ()))
        _do(configs, asked, rerun=rerun, as_json=as_json)


def _do(configs: Sequence[RunConfig], asked: Asked, *, rerun: bool, as_json: bool) -> None:
    """Look everything up; then train or submit, or say what would be done."""
    options = asked.options(configs, rerun=rerun)
    resolved = [config.resolve() for config in configs]
    if asked.dry_run:
        _plan(resolved, options, asked.executor, measure=asked.measure, as_json=as_json)
    else:
        _launch(resolved, options, asked.executor)


def _plan(
    resolved: Sequence[Resolved], options: LaunchOptions, executor: str | None, *, measure: bool, as_json: bool
) -> None:
    """Say what `_launch` would do, and do none of it."""
    from bench.reproduce import report
    from bench.reproduce.plan import plan_runs
    from bench.reproduce.state import read_found

    submitted = None
    if executor is not None:
        from bench.executors.start import target

        to = target(executor, options)
        resolved = [to.resolve(each.run) for each in resolved]
        submitted = to.planned(resolved, options.runs)
    found = read_found([RESULTS, options.runs], {(each.config_hash,) for each in resolved})
    plans = plan_runs(resolved, found, options.runs, rerun=options.rerun, measure=measure)
    if as_json:
        console.print_json_text(report.plan_json(plans, len(options.slots), executor=submitted))
        return
    for line in report.dry_lines(plans, len(options.slots), submitted, measured=measure):
        console.print(line)


def _launch(resolved: Sequence[Resolved], options: LaunchOptions, executor: str | None = None) -> None:
    """Train, say where the records are, and end with the exit code of how it went; or submit, and end."""
    from bench.launch.findings import came_out
    from bench.launch.start import start, summary, table_hint

    if executor is not None:
        from bench.executors.start import submit_runs

        submit_runs(resolved, options, executor, console=console)
        return
    outcomes = start(resolved, options, console=console)
    for line in came_out(resolved, outcomes, options.runs):
        console.print(line)
    console.print(f"\n{summary(outcomes, options.runs)}. Table: {table_hint(options.runs)}")
    bad = [outcome for outcome in outcomes if outcome.status != "completed"]
    if any(outcome.status == "stopped" for outcome in bad):
        errors.print("Stopped. The same command goes on where it stopped.")
        raise typer.Exit(INTERRUPTED)
    if bad:
        raise typer.Exit(1)
