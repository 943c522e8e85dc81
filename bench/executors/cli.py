"""The command `collect`: how far submitted runs are, and the lost ones once more."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from bench.places import check_folder, command
from bench.terminal import Runs, UserErrors, console, counted

if TYPE_CHECKING:
    from bench.executors.jobs import RunState, Submitted  # what a command without an executor need not load

__all__ = ["collect_command"]


def collect_command(
    runs: Runs = Path("runs"),
    resubmit: Annotated[bool, typer.Option("--resubmit", help="Submit the lost runs again.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="End the jobs that are queued or running.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Until nothing is queued or running.")] = False,
) -> None:
    """How far the runs are that --executor submitted: done, running, queued, failed, or lost: ended without a record.

    1 if any is failed or lost, unless --cancel was to lose them. What is lost goes on from its last checkpoint.
    """
    from bench.executors.jobs import executor_of, read_submitted, states

    with UserErrors():
        if cancel and resubmit:
            raise ValueError("--cancel ends what --resubmit begins: give one of them")
        check_folder(runs, "--runs")
        if not (submitted := read_submitted(runs)):
            raise ValueError(f"nothing was submitted below {runs}: --executor of run, suite and reproduce does it")
        found = states(submitted)
        if resubmit:
            _resubmit([each for each, state in found if state == "lost"], runs)
            found = states(submitted := read_submitted(runs))
        if cancel:
            _cancel([each for each, state in found if state in ("queued", "running")])
            found = states(submitted)
        pause = max(executor_of(engine).pause for engine in {each.options.settings.engine for each in submitted})
        with console.status("waiting for the jobs"):
            while wait and any(state in ("queued", "running") for _, state in found):
                time.sleep(pause)
                found = states(submitted)
        _show(found, runs)
        if not cancel and any(state in ("failed", "lost") for _, state in found):
            raise typer.Exit(1)


def _cancel(under_way: list[Submitted]) -> None:
    from bench.executors import jobs

    n = jobs.cancel(under_way)
    console.print(f"{counted(len(under_way), 'run')} cancelled, in {counted(n, 'job')}; --resubmit goes on with them")


def _resubmit(lost: list[Submitted], runs: Path) -> None:
    """Each as it was submitted."""
    from bench.executors.jobs import executor_of, submit

    n = 0
    while lost:
        options = lost[0].options
        elsewhere = executor_of(options.settings.engine).elsewhere
        again = []
        for each in [each for each in lost if each.options == options]:
            lost.remove(each)
            resolved = each.config.resolve(elsewhere=elsewhere)
            if resolved.run_id != each.run_id:
                raise ValueError(f"{each.title} is another run by now, as the code has changed: submit it anew")
            again.append(resolved)
        n += submit(again, options, runs)
    console.print(f"{counted(n, 'run')} submitted again")


def _show(found: list[tuple[Submitted, RunState]], runs: Path) -> None:
    from bench.executors.jobs import RunState

    for state in get_args(RunState):
        those = [each for each, its in found if its == state]
        console.print(f"{state}: {len(those)}")
        if state == "done":
            continue
        for each in those:
            told = f"  {each.log}" if each.log is not None and state == "lost" else ""
            console.print(f"  {each.title}  job {each.job.id}  {each.folder}{told}")
    if any(state == "done" for _, state in found):
        console.print(f"Into MLflow: {command('bench', 'sync', runs)}")
        console.print(f"Table: {command('leaderboards', 'build', runs)}")
