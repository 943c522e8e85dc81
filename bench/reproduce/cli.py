"""The command `reproduce`: what a paper printed, what comes out here, and whether they agree.

Exit codes: 0 everything is done, whatever the verdicts; 1 a run failed, or could not be packed by --hand-in; 2 a wrong
name or setting, or missing data; 75 the budget is used up; 130 stopped. After 75 and 130 the state is saved, and the
same command goes on.
"""

from __future__ import annotations

import math
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bench.commands import names as words
from bench.launch.asked import PLAN_FIELDS, Asked, with_options
from bench.places import check_target
from bench.run.scales import Scale
from bench.terminal import UserErrors

__all__ = ["reproduce_command"]

_LEAVING = 0.02
"""Share of the budget for the last checkpoint, the comparison and the way out; at least 2 s, or what loading took."""


_Seeds = Annotated[
    list[str] | None,
    typer.Option(help="Default: the preset's own seeds, which alone enter a verdict. 0 1 2, or 0-2.", metavar="SEED"),
]
_Row = Annotated[list[str] | None, typer.Option(help="Only the rows with this label.")]
_HandIn = Annotated[
    Path | None,
    typer.Option(help="At the end, pack the runs that are finished into this file, for `leaderboards add`."),
]
_TrainedBy = Annotated[
    str | None, typer.Option(help="With --hand-in: who trained them, a person or a group.", metavar="NAME")
]
_AsJson = Annotated[
    bool,
    typer.Option("--json", help=f"Print one JSON document; progress goes to stderr. With --dry-run: {PLAN_FIELDS}"),
]


@with_options
def reproduce_command(
    name: Annotated[
        str | None,
        typer.Argument(help="A preset from --list, such as seqgan-oracle20.", autocompletion=words.presets),
    ] = None,
    *,
    as_list: Annotated[bool, typer.Option("--list", help="Only say how far it is, of this preset or of all.")] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="With --list: as REPRODUCTION.md, from the project's own records only.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="With --list: write to this file.")] = None,
    scale: Annotated[Scale, typer.Option(help="small is a quick rehearsal and decides nothing.")] = "paper",
    seed: _Seeds = None,
    row: _Row = None,
    budget: Annotated[str | None, typer.Option(help="Stop cleanly within this time: 540s, 9m, 2h, 1d.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, or auto.")] = "auto",
    asked: Asked,
    as_json: _AsJson = False,
    hand_in: _HandIn = None,
    trained_by: _TrainedBy = None,
) -> None:
    """Reproduce a published setting: the plan, the training, then expected, got and verdict. Stop and go on at will."""
    from bench.config import read_seeds
    from bench.reproduce import work
    from bench.reproduce.presets import preset_names, read_preset

    with UserErrors():
        asked.check()
        _check_hand_in(hand_in, trained_by, trains=not (asked.dry_run or as_list or asked.executor))
        deadline = _deadline(budget) if budget else math.inf
        if out is not None:
            check_target(out, "--out")
        if as_list:
            work.list_all(
                [name] if name else preset_names(), asked.runs, as_markdown=as_markdown, as_json=as_json, out=out
            )
            return
        if name is None:
            raise ValueError(f"which preset? Known: {', '.join(preset_names())}. --list says how far each is")
        if as_markdown or out:
            raise ValueError("--markdown and --out go with --list")
        preset = read_preset(name).only(row or ())
        preset = preset.at(scale, read_seeds(seed or ()), asked.values(), device=device)
        preset.check()
        options = asked.options([config for each in preset.trained for config in each.configs], deadline=deadline)
        if asked.dry_run:
            work.plan(preset, options, asked.executor, measure=asked.measure, as_json=as_json)
            return
        packing = None if hand_in is None else partial(work.pack_runs, preset, asked.runs, hand_in, trained_by)
        if asked.executor is None:
            work.reproduce(preset, options, as_json=as_json, packing=packing)
        else:
            work.submit(asked.executor, preset, options, as_json=as_json)


def _check_hand_in(hand_in: Path | None, trained_by: str | None, *, trains: bool) -> None:
    """Raise ValueError for what cannot be handed in, before anything is trained."""
    if hand_in is None:
        if trained_by is not None:
            raise ValueError("--trained-by goes with --hand-in FILE")
        return
    if not trains:
        raise ValueError("--hand-in packs what was trained: it goes without --list, --dry-run and --executor")
    check_target(hand_in, "--hand-in")
    if trained_by is not None:
        from bench.hand_in.trained_by import check_name

        check_name(trained_by)


def _deadline(budget: str) -> float:
    """Seconds since the epoch. Loading this program counts, and what comes after the training is left room for."""
    from bench.reproduce.durations import read_duration
    from bench.reproduce.work import started

    seconds = read_duration(budget, "--budget")
    loading = time.time() - started()  # on a busy machine leaving takes as long again
    return started() + seconds - max(2.0, loading, _LEAVING * seconds)
