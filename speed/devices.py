"""One device in one file: are the models right on it, what precision and graphs save, how long the presets take.

Run it from the root of the checkout, on a machine with a GPU or without: `python -m speed.devices --json device.json`.
It takes about as long as `--budget` says; what was not reached is there with that reason. The file is written after
each part, so that what a killed machine has done is kept. Needs no MLflow, NLTK or `evaluate`.

1. What the machine is: `python -m bench doctor`, and what torch says of the device.
2. Losses of every model beside the CPU's, with the same random numbers, in each precision; what it draws
   (`same_losses.py`).
3. Seconds of a step of each phase at published size: as it is, with CUDA graphs, in TF32 and in bf16.
4. How many steps a second one device does for 1, 2, 4 and 8 runs at once.
5. Hours of every row of every preset, from a few steps of each phase; evaluations are not in it.
"""

from __future__ import annotations

import dataclasses
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from bench import registry
from bench.config import Resolved, RunConfig
from bench.doctor.checks import examine
from bench.environment import processor
from bench.launch.measure import ready, seconds_per_step
from bench.places import ROOT
from bench.record import write_atomic
from bench.reproduce.presets import preset_names, read_preset
from bench.run.contract import steps_of
from bench.run_settings import Precision
from bench.task import TextData
from bench.tracking.options import default_uri
from speed.measure import table
from speed.same_losses import compare_draws, compare_losses

__all__ = ["Part", "Rate", "RowTime", "SideBySide", "main", "preset_table"]

_TRAINED = ("seqgan", "leakgan", "relgan", "mle", "maligan", "wgan_gp", "rankgan", "sentigan", "transformer_mle",
            "masked_diffusion")  # fmt: skip
"""Most telling first: the time may not suffice for all."""
_AT_ONCE = (1, 2, 4, 8)
_SECONDS = 8.0
"""Of runs side by side."""
_FIRST_PRESETS = ("seqgan-oracle20", "leakgan-oracle20", "relgan-oracle20", "leakgan-image_coco", "relgan-image_coco")
_COST_NOTHING = {
    "anneal_horizon", "beta_max", "cosine", "d_multiplier", "evaluation_temperature", "g_first_multiplier",
    "g_multiplier", "lr", "rank", "weight",
}  # fmt: skip
"""Settings of models that change no step's time."""
_LATE = "no time was left of the budget"


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How fast a model trains in one way."""

    model: str
    way: str
    """`exact`, `graphs` (exact, replayed), `tf32` or `bf16`."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Phase -> of a step."""
    reason: str = ""
    """Why a phase, or all, have none."""


@dataclass(frozen=True, kw_only=True)
class SideBySide:
    """Runs at once on one device."""

    model: str
    runs: int
    steps_per_second: Mapping[str, float] = field(default_factory=dict)
    """Phase -> of all runs together."""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class RowTime:
    """How long one run of a row of a preset trains."""

    preset: str
    row: str
    steps: Mapping[str, int] = field(default_factory=dict)
    seconds_per_step: Mapping[str, float] = field(default_factory=dict)
    hours: float | None = None
    """Of training, if every phase was measured."""
    reason: str = ""


class Part(StrEnum):
    """What can be looked at."""

    findings = "findings"
    losses = "losses"
    draws = "draws"
    rates = "rates"
    side_by_side = "side_by_side"
    presets = "presets"


class _Clock:
    """What is left of the budget."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        return self._end - time.monotonic()

    def is_over(self) -> bool:
        return self.left() <= 0


def _resolved(model: str, device: torch.device, *, quick: bool, **settings: Any) -> Resolved:
    scale = "smoke" if quick else "paper"
    values = {"model": model, "task": "oracle_lstm", "scale": scale, "device": str(device), **settings}
    if quick:
        values["task_settings"] = {"vocab_size": 50, "n_train": 256, "n_test": 64, "n_valid": 64}
    return RunConfig.model_validate(values).resolve()


@cache
def _data(task: Any) -> TextData:
    data: TextData = task.load()
    return data


def _ways(device: torch.device) -> dict[str, dict[str, Any]]:
    """Way -> settings of a run."""
    found: dict[str, dict[str, Any]] = {"exact": {}}
    if device.type == "cuda":
        found |= {"graphs": {"cuda_graphs": True}, "tf32": {"fp32_precision": "tf32"}}
    return found | {"bf16": {"fp32_precision": "bf16"}}


def rates(device: torch.device, clock: _Clock, *, quick: bool) -> Iterator[Rate]:
    """Part 3, on an oracle that needs no download."""
    for model in ["seqgan", "relgan"] if quick else _TRAINED:
        for way, settings in _ways(device).items():
            if clock.is_over():
                yield Rate(model=model, way=way, reason=_LATE)
                continue
            resolved = _resolved(model, device, quick=quick, **settings)
            data = _data(resolved.task)
            found = seconds_per_step(resolved, data)
            absent = [phase for phase in steps_of(resolved, data) if phase not in found]
            yield Rate(model=model, way=way, seconds=found, reason=f"{', '.join(absent)}: it fails" if absent else "")


_WORKER = "from speed.devices import work; work({model!r}, {device!r}, {seconds!r}, {quick!r})"


def work(model: str, device: str, seconds: float, quick: bool) -> None:
    """One of several at once: says when it is ready, waits for a line, trains so long, and prints steps of each phase.

    Its phases share the time evenly.
    """
    resolved = _resolved(model, torch.device(device), quick=quick)
    with ready(resolved, _data(resolved.task)) as (_, phases, stream):
        for phase in phases:
            phase.step(stream)
        typer.echo("ready")
        sys.stdin.readline()
        steps = {}
        for phase in phases:
            begun, done = time.perf_counter(), 0
            while time.perf_counter() - begun < seconds / len(phases):
                values = phase.step(stream)
                done += 1
            float(next(iter(values.values())))  # the device has done what it was given
            steps[phase.name] = done / (time.perf_counter() - begun)
        typer.echo(json.dumps(steps))


def side_by_side(device: torch.device, clock: _Clock, *, quick: bool) -> Iterator[SideBySide]:
    """Part 4: processes of their own, which begin together."""
    model, seconds = "seqgan", 0.5 if quick else _SECONDS
    code = _WORKER.format(model=model, device=str(device), seconds=seconds, quick=quick)
    for runs in _AT_ONCE[:1] if quick else _AT_ONCE:
        if clock.is_over():
            yield SideBySide(model=model, runs=runs, reason=_LATE)
            continue
        workers = [
            subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=-1, stdout=-1, text=True)  # noqa: S603
            for _ in range(runs)
        ]
        said = [worker.stdout.readline() if worker.stdout else "" for worker in workers]  # all are waited for
        begin = set(said) == {"ready\n"}
        for worker in workers if begin else ():
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        told = [worker.communicate()[0].strip() for worker in workers] if begin else []
        if told and all(worker.returncode == 0 for worker in workers):
            each = [json.loads(text) for text in told]
            total = {phase: sum(steps[phase] for steps in each) for phase in each[0]}
            yield SideBySide(model=model, runs=runs, steps_per_second=total)
        else:
            for worker in workers:
                worker.kill()
            yield SideBySide(model=model, runs=runs, reason="a run failed: not enough memory for so many?")


def preset_times(device: torch.device, clock: _Clock, *, quick: bool, only: Sequence[str] = ()) -> Iterator[RowTime]:
    """Part 5; rows whose steps cost the same are measured once."""
    known: dict[str, Mapping[str, float]] = {}
    names = only or [*_FIRST_PRESETS, *(name for name in preset_names() if name not in _FIRST_PRESETS)]
    for name in names[:1] if quick else names:
        preset = read_preset(name).at("smoke" if quick else "paper", [0], device=str(device))
        for row in preset.trained:
            resolved = row.configs[0].resolve()
            config = {k: v for k, v in dataclasses.asdict(resolved.model_config).items() if k not in _COST_NOTHING}
            key = repr((resolved.model_name, config, resolved.task_settings, resolved.run.fp32_precision))
            if key not in known and clock.is_over():
                yield RowTime(preset=name, row=row.label, reason=_LATE)
                continue
            try:
                data = _data(resolved.task)
                steps = steps_of(resolved, data)
                if key not in known:
                    known[key] = seconds_per_step(resolved, data)
            except (OSError, ValueError) as error:  # the data is not here
                yield RowTime(
                    preset=name, row=row.label, reason=str(error).splitlines()[0].partition(" and could not")[0]
                )
                continue
            seconds = known[key]
            whole = sum(n * seconds[p] for p, n in steps.items()) / 3600 if set(steps) <= set(seconds) else None
            reason = "" if whole is not None else "a phase fails"
            yield RowTime(preset=name, row=row.label, steps=steps, seconds_per_step=seconds, hours=whole, reason=reason)


def preset_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Hours of training of a run of each row, a line for each preset, in Markdown; where they are not known, why."""
    presets: dict[str, list[str]] = {}
    for row in rows:
        hours = row["hours"]
        said = row["reason"] if hours is None else f"{hours:.1f}" if hours >= 1 else f"{hours:.2f}"
        presets.setdefault(row["preset"], []).append(f"{row['row']}: {said}")
    cells = ((preset, "; ".join(said)) for preset, said in presets.items())
    return table(("preset", "hours of a run"), cells, text=("preset", "hours of a run")) if rows else ""


def _machine(device: torch.device) -> dict[str, Any]:
    found: dict[str, Any] = {
        "device": str(device),
        "processor": processor(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch.build": torch.__config__.show(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found |= {"name": properties.name, "memory": properties.total_memory, "cuda": torch.version.cuda}
        found |= {"capability": list(torch.cuda.get_device_capability(device)), "cudnn": torch.backends.cudnn.version()}
    return found


def main(
    json_file: Annotated[Path, typer.Option("--json", help="Where everything is written.")] = Path("device.json"),
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 or auto.")] = "auto",
    budget: Annotated[float, typer.Option(min=0, help="Seconds, about.")] = 480,
    quick: Annotated[bool, typer.Option("--quick", help="Tiny sizes: does everything run?")] = False,
    part: Annotated[list[Part] | None, typer.Option(help="Only these parts.")] = None,
    preset: Annotated[list[str] | None, typer.Option(help="Only these presets.")] = None,
) -> None:
    """Look at a device, write one JSON document, and print what the presets would take."""
    torch.set_num_threads(1)
    chosen = torch.device(
        RunConfig.model_validate({"model": "mle", "task": "grammar", "device": device}).resolve().device
    )
    clock, console = _Clock(budget), Console(stderr=True)
    document: dict[str, Any] = {"machine": _machine(chosen)}

    def keep(part: str, found: Iterator[Any] | Sequence[Any]) -> None:
        document[part] = []
        for one in found:
            document[part].append(dataclasses.asdict(one))
            console.print(f"{part}: {one}", highlight=False, soft_wrap=True)
        document["seconds_left"] = clock.left()
        write_atomic(json_file, f"{json.dumps(document, indent=1, default=str)}\n".encode())

    models = ["mle", "seqgan"] if quick else registry.names("models")
    precisions: list[Precision] = ["ieee", "bf16"] if chosen.type == "cpu" else ["ieee", "tf32", "bf16"]
    parts: dict[Part, Callable[[], Iterator[Any] | Sequence[Any]]] = {
        Part.findings: lambda: examine(Path("runs"), default_uri(Path("runs")), ()),
        Part.losses: lambda: [one for precision in precisions for one in compare_losses(models, chosen, precision)],
        Part.draws: lambda: compare_draws(models, chosen),
        Part.rates: lambda: rates(chosen, _Clock(clock.left() * 0.5), quick=quick),
        Part.side_by_side: lambda: side_by_side(chosen, _Clock(clock.left() * 0.5), quick=quick),
        Part.presets: lambda: preset_times(chosen, clock, quick=quick, only=preset or ()),
    }
    for name, look in parts.items():
        if not part or name in part:
            keep(name, look())
    typer.echo(preset_table(document.get(Part.presets, [])))
    typer.echo(f"written: {json_file}")


if __name__ == "__main__":
    typer.run(main)
