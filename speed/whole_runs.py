"""Whole runs of published size, computed from measured phases: how often a run does each, times its seconds.

Nothing is run here. How often is read from the configuration of ours, and is the same for every contestant, and so is
the schedule of evaluations, each of which draws 10,000 sentences: after every 5 epochs of pre-training, an epoch being
10,000 sentences, and after every 5 adversarial rounds, as the released SeqGAN does; in RelGAN, whose rounds are short,
after every 20. The scores themselves are not in it. MaliGAN, whose paper has no code, is counted as in
williamSYSU/TextGAN-PyTorch's run file; so is LeakGAN a second time, as it goes on longer there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from baselines.common.interface import BaseConfig
from baselines.leakgan import LeakGAN
from baselines.maligan import MaliGAN
from baselines.relgan import RelGAN
from baselines.seqgan import SeqGAN
from speed.cases import TEXTGAN, Timing
from speed.measure import table, times_faster

__all__ = ["RUNS", "Run", "WholeRun", "computed", "counts", "markdown", "verdicts"]

SENTENCES = 10_000
"""What a case of sampling draws, an evaluation draws, and an epoch of pre-training reads."""
EPOCHS_BETWEEN = 5
"""Epochs of pre-training from one evaluation to the next."""


@dataclass(frozen=True)
class Run:
    """One run, and where its phases were measured."""

    name: str
    config: BaseConfig
    cases: Mapping[str, tuple[str, str]]
    """Baseline and phase of the case that measures each of `counts`."""
    goal: float
    """How many times shorter than TextGAN-PyTorch's ours is meant to be, on a CPU."""
    rounds_between: int = 5
    """Adversarial rounds from one evaluation to the next."""


@dataclass(frozen=True)
class WholeRun:
    """One run of one contestant, computed."""

    name: str
    contestant: str
    hours: Mapping[str, float]
    """Of each phase."""
    ratio: float | None
    """Its hours by ours; None for ours."""
    goal: float | None

    @property
    def total(self) -> float:
        """Hours."""
        return sum(self.hours.values())


SAMPLING = f"sampling {SENTENCES:,}"
DISCRIMINATOR = ("seqgan", "discriminator step")
LSTM = {"MLE": ("mle", "MLE step"), "sampling": ("mle", SAMPLING), "discriminator": DISCRIMINATOR}


def _of(baseline: str, discriminator: tuple[str, str]) -> dict[str, tuple[str, str]]:
    own = {"MLE": (baseline, "MLE step"), "sampling": (baseline, SAMPLING)}
    return own | {"generator": (baseline, "adversarial generator step"), "discriminator": discriminator}


RUNS = (
    Run("seqgan", SeqGAN.Config(), LSTM | {"generator": ("seqgan", "adversarial generator step")}, 3.2),
    Run(
        "maligan, 200 rounds of 50 + 936 steps",
        MaliGAN.Config(  # the case's discriminator; pre-training of it is 4 pools, two epochs each: 8 x 312 steps
            d_filters="seqgan", d_embedding_dim=64, d_keep=0.75, pool_batches=156, pool_epochs=3,
            d_pretrain_steps=2_496, iterations=200, g_steps=50, d_steps=936,
        ),
        LSTM | {"generator": ("maligan", "adversarial generator step")},
        5.0,
    ),
    Run("leakgan", LeakGAN.Config(), _of("leakgan", DISCRIMINATOR), 5.5),
    Run("leakgan, 200 rounds", LeakGAN.Config(iterations=200), _of("leakgan", DISCRIMINATOR), 5.5),
    Run("relgan", RelGAN.Config(), _of("relgan", ("relgan", "discriminator step")), 2.1, rounds_between=20),
)  # fmt: skip


def counts(run: Run) -> dict[str, float]:
    """How often a run does each phase; sampling counts by 10,000 sentences, of pools and of evaluations."""
    c = {"rounds": 1, "d_pretrain_steps": 0, "pool_batches": 0, "pool_epochs": 1, **asdict(run.config)}
    mle = c["rounds"] * c["mle_steps"]
    discriminator = c["rounds"] * c["d_pretrain_steps"] + c["iterations"] * c["d_steps"]
    per_pool = 2 * c["pool_batches"] * c["pool_epochs"]
    pools = math.ceil(discriminator / per_pool) if per_pool else 0
    epoch = SENTENCES // c["batch_size"]
    evaluations = mle // (EPOCHS_BETWEEN * epoch) + c["iterations"] // run.rounds_between
    return {
        "MLE": mle,
        "sampling": pools * c["pool_batches"] * c["batch_size"] / SENTENCES + evaluations,
        "generator": c["iterations"] * c["g_steps"],
        "discriminator": discriminator,
    }


def computed(rows: Sequence[Timing]) -> list[WholeRun]:
    """All runs whose phases were all measured with ours, and beside them each contestant of which that is true too."""
    seconds = {(row.baseline, row.phase, row.contestant): row.seconds for row in rows}
    names = dict.fromkeys(["ours", *(row.contestant for row in rows)])
    found = []
    for run in RUNS:
        ours = math.nan
        for name in names:
            times = {phase: seconds.get((*case, name)) for phase, case in run.cases.items()}
            known = {phase: time for phase, time in times.items() if time is not None}
            if len(known) < len(times) or (name != "ours" and math.isnan(ours)):
                continue
            hours = {phase: count * known[phase] / 3600 for phase, count in counts(run).items()}
            total = sum(hours.values())
            ours = total if name == "ours" else ours
            ratio = None if name == "ours" else total / ours
            found.append(WholeRun(run.name, name, hours, ratio, run.goal if name == TEXTGAN else None))
    return found


def markdown(runs: Sequence[WholeRun]) -> str:
    """One line per run and contestant; nothing where there is no run."""
    if not runs:
        return ""
    phases = ["MLE", "sampling", "generator", "discriminator"]
    rows = []
    for run in runs:
        ratio = "" if run.ratio is None else f"{run.ratio:.1f}"
        shares = [f"{run.hours[phase] / run.total:.0%}" for phase in phases]
        rows.append([run.name, run.contestant, f"{run.total:,.1f}", ratio, *shares])
    lines = table(["run", "contestant", "hours", "÷ ours", *phases], rows, text={"run", "contestant"})
    return f"Whole runs, computed from these medians and counted steps, not run:\n\n{lines}"


def verdicts(runs: Iterable[WholeRun]) -> list[str]:
    """Which goals were met here."""
    return [
        times_faster(f"whole run of {run.name}, computed", run.ratio, run.contestant, run.goal)
        for run in runs
        if run.ratio is not None and run.goal is not None
    ]
