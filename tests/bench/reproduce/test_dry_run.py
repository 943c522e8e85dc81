"""`--dry-run` of run, suite and reproduce: the plan, what is done already, the time, and nothing written."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.commands import call_bench
from helpers.paths import TOY

from baselines.common.training.state import DiscriminatorPool
from baselines.seqgan import SeqGAN
from bench.config import RunConfig
from bench.launch.measure import seconds_per_step
from bench.record import read_record

QUICK = ("--scale", "smoke", "--set", "n_samples=20", "--metric", "unique", "--tracker", "none")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def said(*arguments: str, code: int = 0) -> str:
    return call_bench(*arguments, code=code).output


def test_a_run_is_planned_done_and_told_as_done(runs: Path) -> None:
    arguments = ("run", TOY, "grammar", *QUICK, "--runs", str(runs), "--seed", "0", "1")
    planned = said(*arguments, "--dry-run")
    assert not runs.exists()
    assert "toy_gan.py:ToyGAN, smoke scale: toy_gan.py:ToyGAN on grammar" in planned
    assert "mle: 30 steps, time unknown" in planned
    assert "seed 1: 50 steps to do" in planned
    assert "dry run: 2 of 2 runs to do, nothing done or written; --measure tries a few steps" in planned

    measured = said(*arguments, "--dry-run", "--measure")
    assert not runs.exists()
    for phase in ("mle: 30 steps", "adversarial: 20 steps"):
        assert f"{phase}, 0 s a seed (cpu, a few steps tried now)" in measured
    assert "expected time: 0 s of training" in measured
    assert measured.endswith("2 of 2 runs to do, nothing done or written\n")

    said(*arguments[:-1])  # seed 0
    before = sorted(runs.rglob("*"))
    known = said(*arguments, "--dry-run")
    assert sorted(runs.rglob("*")) == before
    assert "seed 0: done" in known
    assert "seed 1: 50 steps to do" in known
    assert "(cpu, record of seed 0)" in known
    assert "1 of 2 runs to do" in known
    assert "2 of 2 runs to do" in said(*arguments, "--dry-run", "--rerun")


def test_a_suite_is_planned(runs: Path) -> None:
    planned = said("suite", "demo", "--dry-run", "--runs", str(runs))
    assert "36 of 36 runs to do" in planned
    assert "expected time" in planned
    assert not runs.exists()


def test_a_preset_is_planned(runs: Path, study_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(study_data))
    few = ("--set", "task.n_train=640", "task.n_test=100")  # for a plan the text is drawn
    planned = said("reproduce", "seqgan-oracle20", "--dry-run", *few, "--runs", str(runs))
    assert "released setting: seqgan on oracle_lstm" in planned
    assert "27 of 27 runs to do" in planned
    arguments = ("--scale", "smoke", "--seed", "0", "--row", "MLE, as many steps", "--measure", "--runs", str(runs))
    measured = said("reproduce", "seqgan-oracle20", "--dry-run", *arguments)
    assert measured.count("a few steps tried now") == 1
    assert "unknown" not in measured
    assert not runs.exists()


@pytest.mark.parametrize(
    "command",
    [
        ("run", TOY, "grammar", *QUICK, "--seed", "0", "1"),
        ("suite", "learns_grammar"),
        ("reproduce", "seqgan-oracle20", "--scale", "smoke", "--row", "released setting"),
    ],
)
def test_a_plan_is_also_fields_that_the_help_names(
    command: tuple[str, ...], runs: Path, study_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(study_data))
    result = call_bench(*command, "--dry-run", "--json", "--jobs", 2, "--runs", runs)
    plan = json.loads(result.stdout)
    assert not runs.exists()
    told = re.sub(r"[^\w]+", " ", said(command[0], "--help"))
    rows = plan["plan"]
    fields = [*plan, *rows[0], *rows[0]["phases"][0], *rows[0]["runs"][0]]
    assert [field for field in fields if field not in told.split()] == []
    text = said(*command, "--dry-run", "--jobs", "2", "--runs", str(runs))
    assert f"dry run: {plan['runs_left']} of {plan['runs']} runs to do" in text
    assert plan["runs"] == sum(len(row["runs"]) for row in rows)
    assert plan["steps_left"] == sum(phase["steps"] * len(row["runs"]) for row in rows for phase in row["phases"])
    assert {run["state"] for row in rows for run in row["runs"]} == {"new"}
    assert plan["jobs"] == 2


def test_fields_say_what_is_there(runs: Path) -> None:
    arguments = ("run", TOY, "grammar", *QUICK, "--runs", str(runs), "--seed", "0", "1")
    said(*arguments[:-1])
    (row,) = json.loads(said(*arguments, "--dry-run", "--json"))["plan"]
    done, new = row["runs"]
    assert (done["state"], new["state"]) == ("completed", "new")
    assert read_record(Path(done["folder"], "record.json")).run_id == done["run_id"] != new["run_id"]
    assert done["steps_done"] == {phase["name"]: phase["steps"] for phase in row["phases"]}
    assert not Path(new["folder"]).exists()
    assert "--json goes with --dry-run" in said(*arguments, "--json", code=2)


@pytest.mark.parametrize("command", [("run", "mle", "grammar"), ("suite", "demo"), ("reproduce", "seqgan-oracle20")])
def test_measure_alone_is_told(command: tuple[str, ...], runs: Path) -> None:
    assert "--measure goes with --dry-run" in said(*command, "--measure", "--runs", str(runs), code=2)
    assert not runs.exists()


def test_measuring_takes_phases_in_their_order_and_disturbs_nothing() -> None:
    """`sharpen` needs what `collect` stored."""
    resolved = RunConfig(model="ngram", task="grammar", scale="smoke").resolve()
    torch.manual_seed(5)
    before = torch.get_rng_state(), torch.get_num_threads()
    found = seconds_per_step(resolved, resolved.task.load())
    assert list(found) == ["collect", "sharpen"]
    assert all(seconds > 0 for seconds in found.values())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]


def test_a_step_of_a_round_is_the_mean_of_its_kinds_and_bears_its_share_of_the_pool(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a clock of known times: 1 s a step of MLE, 100 of the generator, 2 of the discriminator, 30 a pool."""
    clock = [0.0]
    monkeypatch.setattr("bench.launch.measure.time", SimpleNamespace(perf_counter=lambda: clock[0]))

    def takes(name: str, seconds: float) -> None:
        real = getattr(SeqGAN, name)

        def slow(model: SeqGAN, *arguments: Any) -> Any:
            clock[0] += seconds
            return real(model, *arguments)

        monkeypatch.setattr(SeqGAN, name, slow)

    takes("mle_step", 1)
    takes("generator_step", 100)
    takes("discriminate", 2)
    fill = DiscriminatorPool._fill
    monkeypatch.setattr(DiscriminatorPool, "_fill", lambda *a: clock.__setitem__(0, clock[0] + 30) or fill(*a))
    settings = {"pool_batches": 5, "pool_epochs": 3, "d_pretrain_steps": 60, "g_steps": 1, "d_steps": 60}
    values = {"model": "seqgan", "task": "grammar", "scale": "smoke", "model_settings": settings}
    resolved = RunConfig.model_validate(values).resolve()
    found = seconds_per_step(resolved, resolved.task.load())
    assert found == pytest.approx({"mle": 1, "discriminator": 2 + 30 / 30, "adversarial": (100 + 60 * 3) / 61})


def test_a_phase_without_steps_costs_nothing_and_the_next_is_measured() -> None:
    settings = {"pretraining_steps": 0}
    values = {"model": "cross_aligned", "task": "grammar_transfer", "scale": "smoke", "model_settings": settings}
    resolved = RunConfig.model_validate(values).resolve()
    found = seconds_per_step(resolved, resolved.task.load())
    assert found["adversarial"] > 0 == found.get("reconstruction", 0)


def test_a_phase_that_breaks_has_no_time() -> None:
    values = {"model": TOY, "task": "grammar", "scale": "smoke", "model_settings": {"raise_at": 2}}
    resolved = RunConfig.model_validate(values).resolve()
    assert list(seconds_per_step(resolved, resolved.task.load())) == ["mle"]
