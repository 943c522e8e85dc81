"""A run that ends with an earlier phase: pre-training alone, with all that a row has."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from bench.config import Resolved, RunConfig
from bench.record import read_record
from bench.reproduce.plan import plan_runs
from bench.reproduce.state import read_found
from bench.run.contract import ContractError, steps_of
from bench.run.runner import run
from bench.run.trainer import Interrupted
from bench.run_folder import PHASE_END
from bench.tracking.diary import DiaryReader
from leaderboards.rows import labels


def relgan(**settings: Any) -> Resolved:
    values = {
        "model": "relgan",
        "task": "grammar",
        "scale": "smoke",
        "n_samples": 50,
        "metrics": ["nll_gen", "unique"],
        "temperatures": [0.8],
        "model_settings": {"mle_steps": 12},
        "task_settings": {"n_train": 200, "n_valid": 80, "n_test": 100},
        **settings,
    }
    return RunConfig.model_validate(values).resolve()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole training from the start."""
    runs = tmp_path_factory.mktemp("runs")
    run(relgan(), runs)
    return relgan().folder(runs)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs in which there is the pre-training alone."""
    runs = tmp_path_factory.mktemp("runs")
    run(relgan(last_phase="mle"), runs)
    return runs


def test_it_ends_with_the_weights_and_the_scores_of_that_phases_end(pretrained: Path, expected: Path) -> None:
    alone, whole = run(relgan(last_phase="mle"), pretrained), read_record(expected / "record.json")
    assert [phase.name for phase in alone.phases] == ["mle"]
    (before,) = (e for e in whole.evaluations if e.at == "phase_end")
    final = alone.final()
    assert final is not None
    assert final.scores["nll_gen"].value == before.scores["nll_gen"].value
    assert sorted(e.temperature for e in alone.evaluations if e.at == "end") == [0.8, 1.0]


def test_it_is_a_row_of_its_own(pretrained: Path, expected: Path) -> None:
    alone, whole = relgan(last_phase="mle"), relgan()
    assert alone.config_hash != whole.config_hash
    found = labels([run(alone, pretrained), read_record(expected / "record.json")])
    assert found == ["relgan (mle_steps=12, last_phase=mle) · custom", "relgan (mle_steps=12) · custom"]


def stopping_at(call: int) -> Callable[[], bool]:
    """Says at this call, counted over steps and parts of evaluations, that the run is to stop."""
    calls = itertools.count(1)
    return lambda: next(calls) == call


def first_phase(resolved: Resolved, runs: Path, **options: Any) -> str:
    """The phase of the first step of a run, which is stopped after it."""
    phases: list[str] = []
    with pytest.raises(Interrupted):
        run(resolved, runs, on_step=lambda phase, *_: phases.append(phase), should_stop=lambda: bool(phases), **options)
    return phases[0]


def test_the_whole_training_goes_on_from_its_end(tmp_path: Path, pretrained: Path, expected: Path) -> None:
    """The same record, diary, samples and weights as of a training from the start, also if it is stopped in between."""
    alone, whole = relgan(last_phase="mle"), relgan()
    for call in (1, 9, None):
        runs = shutil.copytree(pretrained, tmp_path / f"{call}")
        kept = alone.folder(runs) / PHASE_END
        assert kept.is_file()
        steps: list[tuple[str, int]] = []
        told: dict[str, Any] = {"on_step": lambda phase, done, _, steps=steps: steps.append((phase, done))}
        if call is not None:
            with pytest.raises(Interrupted):
                run(whole, runs, **told, should_stop=stopping_at(call))
            assert kept.is_file()
        record = run(whole, runs, **told)
        assert not [done for phase, done in steps if phase == "mle"]
        assert not kept.exists()
        ours = whole.folder(runs)
        assert record.content() == read_record(expected / "record.json").content()
        assert [entry.event for entry in DiaryReader(ours).more()] == [e.event for e in DiaryReader(expected).more()]
        for name in ("weights.safetensors", "samples-after-mle.txt", "samples-t0.8.txt", "samples.txt"):
            assert (ours / name).read_bytes() == (expected / name).read_bytes()
        assert f"mle and what is before it are those of {kept.parent.name}" in (ours / "run.log").read_text()


def test_a_place_after_its_end_may_be_among_its_places_of_evaluation_or_not(tmp_path: Path) -> None:
    whole = relgan(evaluate_at=[5, 14])
    for places in ([5], [14, 5]):
        alone = relgan(last_phase="mle", evaluate_at=places)
        run(alone, runs := tmp_path / f"{len(places)}")
        assert first_phase(whole, runs) == "adversarial"
    assert [e.step for e in run(whole, runs).evaluations if e.at == "cadence"] == [5, 14]


@pytest.mark.parametrize(
    "what", ["rerun", "other settings", "other data", "another machine", "damaged", "best weights"]
)
def test_it_is_trained_from_the_start_where_that_end_is_another_or_is_not_wanted(
    what: str, tmp_path: Path, pretrained: Path, expected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = {"selection": "validation", "select_every": 5} if what == "best weights" else {}
    alone = relgan(last_phase="mle", **best)
    whole = relgan(temperatures=[0.9]) if what == "other settings" else relgan(**best)
    runs = shutil.copytree(pretrained, tmp_path / "runs")
    run(alone, runs)
    kept = alone.folder(runs) / PHASE_END
    if what == "other data":
        path = kept.with_name("record.json")
        replace(read_record(path), data_sha256="0" * 64).write(path)
    if what == "another machine":
        monkeypatch.setattr("bench.run.first_phases.describe_environment", lambda *_: {"processor": "another"})
    if what == "damaged":
        kept.write_bytes(kept.read_bytes()[:-1])
    assert first_phase(whole, runs, rerun=what == "rerun") == "mle"
    if what == "damaged":  # nothing of it is in the model
        assert run(whole, runs).content() == read_record(expected / "record.json").content()


def test_a_plan_counts_what_the_other_run_has_done(pretrained: Path) -> None:
    (row,) = plan_runs([relgan()], read_found([pretrained]), pretrained)
    assert row.runs[0].steps_done == {"mle": 12}
    assert not row.runs[0].completed


def test_a_stopped_one_goes_on(tmp_path: Path, pretrained: Path) -> None:
    resolved = relgan(last_phase="mle")
    with pytest.raises(Interrupted):
        run(resolved, tmp_path / "stopped", should_stop=stopping_at(5))
    run(resolved, tmp_path / "stopped")
    weights = [load_file(resolved.folder(runs) / "weights.safetensors") for runs in (pretrained, tmp_path / "stopped")]
    assert all(weights[0][name].equal(value) for name, value in weights[1].items())


def test_an_unknown_phase_is_refused_before_training() -> None:
    resolved = relgan(last_phase="ml")
    with pytest.raises(ContractError, match=r"RelGAN has no phase 'ml' to end with; did you mean 'mle'\?"):
        steps_of(resolved, resolved.task.load())
