"""Time of every training phase: ours beside the same phase written plainly, and beside other code where it is given.

A case is one phase of one baseline (an MLE step, 10,000 samples, a step of the discriminator, ...). Its contestants do
the same work with the same sizes; they take turns, so that what else the machine does meets all of them, and the table
has medians. On a CPU the time is CPU time of one thread; on CUDA it is wall time between synchronisations.

Run it from the root of the checkout: `python -m speed.training`. Cases are in the files `training_<family>.py`
next to this one, named in `FAMILIES`; what their contestants do is in `reference/`. Each has one function:

    def cases(setting: Setting) -> Iterable[Case]:
        yield Case("seqgan", "discriminator step", make, goals={"plain": 2.4})

`make()` builds models and data on `setting.device` (small ones where `setting.quick`) and returns the contestants,
"ours" first: `{"ours": [Work(step)], "plain": [Work(step)]}`. `Work.run` is called again and again. Where the whole
phase would take minutes, `run` does a part of it and `times` says how often the phase does that part; a contestant
with several `Work`s takes the sum. `setting.textgan_pytorch` is the path of a checkout of williamSYSU/TextGAN-PyTorch,
or None. The floating-point operations of products and convolutions are counted while each contestant runs once, not
estimated, so a contestant that shares work is not credited for what it leaves out. What whole runs would take is
computed from the medians (`whole_runs.py`).
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from torch.utils.flop_counter import FlopCounterMode

from bench.environment import processor
from bench.run.hardware import keep_memory
from speed import training_leakgan, training_lstm, training_relgan, training_wgan_gp, whole_runs
from speed.cases import Case, Setting, Timing
from speed.measure import goal, spread, table, times_faster

FAMILIES = (training_leakgan, training_lstm, training_relgan, training_wgan_gp)
TURN_SECONDS = 0.5
"""A contestant's turn is at least that long: short steps are repeated, so that caches hold what they do in training."""
FEWEST_TURNS = 3
SLOW_SECONDS = 1.0
"""A call that takes longer is not timed on its own before the turns."""

__all__ = ["all_cases", "counted_flops", "measure"]


def all_cases(setting: Setting) -> list[Case]:
    """Of all families."""
    return [case for family in FAMILIES for case in family.cases(setting)]


def _linear_flops(inputs: Any, weight: Any, *_: Any, **__: Any) -> int:
    return int(2 * torch.Size(inputs).numel() * weight[0])


def _lstm_flops(inputs: Any, weight: Any, *_: Any, **__: Any) -> int:
    """Shapes (T, B, E) and (4 H, E): the input's and the state's product at each step."""
    t, b, width = inputs
    return int(2 * t * b * weight[0] * (width + weight[0] // 4))


def _lstm_backward_flops(*shapes: Any, **others: Any) -> int:
    return 2 * _lstm_flops(*shapes, **others)


def counted_flops(run: Callable[[], object]) -> int:
    """Multiplications and additions of all products, convolutions and LSTM layers in one call."""
    formulas: dict[Any, Any] = {
        torch.ops.aten.mkldnn_rnn_layer: _lstm_flops,
        torch.ops.aten.mkldnn_rnn_layer_backward: _lstm_backward_flops,
        torch.ops.aten.addmm_: lambda _, a, b, **__: 2 * a[0] * a[1] * b[1],
        torch.ops.aten._thnn_fused_lstm_cell: lambda *_, **__: 0,  # its products are counted on their own
    }
    if hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        formulas[torch.ops.mkldnn._linear_pointwise] = _linear_flops
    with FlopCounterMode(display=False, custom_mapping=formulas) as counter:
        run()
    return int(counter.get_total_flops())


def clock(device: torch.device) -> float:
    """Seconds: of this process on a CPU; on a GPU of the wall, when the device has done what it was given."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def timed(run: Callable[[], object], device: torch.device, repeat: int) -> float:
    """Seconds of one call, over `repeat` of them."""
    begin = clock(device)
    for _ in range(repeat):
        run()
    return (clock(device) - begin) / repeat


def _first(run: Callable[[], object], device: torch.device) -> tuple[int, float]:
    """Operations and seconds of a call; counting slows short ones down, so they are called again."""
    begin = clock(device)
    flops = counted_flops(run)
    seconds = clock(device) - begin
    return flops, seconds if seconds > SLOW_SECONDS else timed(run, device, 1)


def measure(case: Case, setting: Setting, *, turns: int, budget: float) -> list[Timing]:
    """All contestants of a case, in turns; fewer turns where they would take more than `budget` seconds."""
    contestants = case.make()
    assert next(iter(contestants)) == "ours", f"{case.baseline}, {case.phase}: ours comes first"
    works = {name: list(parts) for name, parts in contestants.items()}
    first = {n: [_first(w.run, setting.device) for w in parts] for n, parts in works.items()}
    gflop = {n: sum(flops * w.times for (flops, _), w in zip(first[n], works[n], strict=True)) / 1e9 for n in works}
    repeats = {n: [1 if setting.quick else max(1, round(TURN_SECONDS / s)) for _, s in first[n]] for n in works}
    round_seconds = sum(s * r for n in works for (_, s), r in zip(first[n], repeats[n], strict=True))
    turns = turns if setting.quick else min(turns, max(FEWEST_TURNS, int(budget / round_seconds)))
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(turns):
        for name, parts in works.items():
            turn = zip(parts, repeats[name], strict=True)
            found[name].append(sum(timed(w.run, setting.device, repeat) * w.times for w, repeat in turn))
    return [
        Timing(
            case.baseline, case.phase, name, *spread(seconds), turns, gflop[name],
            None if name == "ours" else statistics.median(a / b for a, b in zip(seconds, found["ours"], strict=True)),
            case.goals.get(name), case.peak_goal,
        )
        for name, seconds in found.items()
    ]  # fmt: skip


def peaks(device: torch.device, *, quick: bool) -> dict[str, float]:
    """GFLOP/s of large square products in float32, by library: the best of some."""
    n = 64 if quick else 1024 if device.type == "cpu" else 8192
    a, b = torch.randn(n, n, device=device), torch.randn(n, n, device=device)
    libraries: dict[str, Callable[[], object]] = {"torch.mm": lambda: torch.mm(a, b)}
    if device.type == "cpu" and hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        libraries["oneDNN"] = lambda: torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")
    return {name: 2 * n**3 / min(timed(run, device, 3) for _ in range(5)) / 1e9 for name, run in libraries.items()}


def machine(device: torch.device) -> str:
    """What the numbers were taken on."""
    name = processor()
    if device.type == "cuda":
        name = f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}, host {name}"
    return (
        f"{name}, {os.cpu_count()} cores, {torch.get_num_threads()} thread, torch {torch.__version__}, "
        f"Python {platform.python_version()}, {torch.backends.cpu.get_cpu_capability()}"
    )


def _short(seconds: float) -> str:
    return f"{seconds:,.1f} s" if seconds >= 1 else f"{seconds * 1e3:,.1f} ms"


def markdown(rows: Sequence[Timing], peak: float) -> str:
    """One line per contestant."""
    lines = [
        [
            row.baseline,
            row.phase,
            row.contestant,
            f"{_short(row.seconds)} ({_short(row.fastest)}–{_short(row.slowest)})",
            "" if row.ratio is None else f"{row.ratio:,.1f}",
            f"{row.gflop:,.2f}",
            f"{row.gflops:,.1f}",
            f"{row.gflops / peak:.0%}",
        ]
        for row in rows
    ]
    text = ["baseline", "phase", "contestant"]
    return table([*text, "median (range)", "÷ ours", "GFLOP", "GFLOP/s", "of peak"], lines, text=text)


def verdicts(rows: Iterable[Timing], peak: float) -> list[str]:
    """Which goals were met here."""
    lines = []
    for row in rows:
        what = f"{row.baseline}, {row.phase}"
        if row.ratio is not None and row.goal is not None:
            lines.append(times_faster(what, row.ratio, row.contestant, row.goal))
        if row.contestant == "ours" and row.peak_goal is not None:
            share = row.gflops / peak
            text = f"{what}: {share:.0%} of the best matrix product (at least {row.peak_goal:.0%})"
            lines.append(goal(share >= row.peak_goal, text))
    return lines


def main(
    only: Annotated[list[str] | None, typer.Option(help="Cases whose 'baseline, phase' contains one of these.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch on the CPU.")] = 1,
    turns: Annotated[int, typer.Option(min=1, help="Turns of each contestant.")] = 9,
    budget: Annotated[float, typer.Option(help="About so many seconds for a case: slow ones have fewer turns.")] = 60,
    textgan_pytorch: Annotated[Path | None, typer.Option(help="A checkout of williamSYSU/TextGAN-PyTorch.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Tiny sizes and one turn: does everything run?")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all rows there.")] = None,
) -> None:
    """Measure, and print a Markdown table and which goals are met."""
    torch.set_num_threads(threads)
    keep_memory()
    torch.backends.fp32_precision = "ieee"  # type: ignore[attr-defined]  # as in a run: no TF32 on a GPU
    setting = Setting(torch.device(device), quick, textgan_pytorch)
    console = Console(stderr=True)
    rows: list[Timing] = []
    best: dict[str, float] = {}
    loads = [os.getloadavg()[0]]
    for case in all_cases(setting):
        if only and not any(part in f"{case.baseline}, {case.phase}" for part in only):
            continue
        console.print(f"{case.baseline}, {case.phase}")
        for name, value in peaks(setting.device, quick=quick).items():
            best[name] = max(value, best.get(name, 0.0))
        torch.manual_seed(0)
        rows += (found := measure(case, setting, turns=1 if quick else turns, budget=budget))
        for row in found:  # what is lost if the run is stopped can be read here
            console.print(f"  {row.contestant}: {_short(row.seconds)}", highlight=False)
        loads.append(os.getloadavg()[0])
    if not rows:
        raise typer.BadParameter(f"no case contains {' or '.join(map(repr, only or []))}")
    peak = max(best.values())
    runs = whole_runs.computed(rows)
    if json_file:
        document = {"machine": machine(setting.device), "peaks": best, "rows": [asdict(row) for row in rows]}
        document["whole_runs"] = [asdict(run) for run in runs]
        json_file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    judged = setting.device.type == "cpu" and threads == 1 and not quick
    products = ", ".join(f"{name} {value:,.0f}" for name, value in best.items())
    typer.echo(f"{machine(setting.device)}; load {min(loads):.1f} to {max(loads):.1f}")
    typer.echo(f"Best matrix product, GFLOP/s: {products}\n")
    goals = [*verdicts(rows, peak), *whole_runs.verdicts(runs)] if judged else []
    typer.echo("\n".join([markdown(rows, peak), "", whole_runs.markdown(runs), "", *goals]))


if __name__ == "__main__":
    typer.run(main)
