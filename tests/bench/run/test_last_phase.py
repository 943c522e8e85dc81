"""A run that ends with an earlier phase: pre-training alone, with all that a row has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from bench.config import Resolved, RunConfig
from bench.run.contract import ContractError, steps_of
from bench.run.runner import run
from bench.run.trainer import Interrupted
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


def test_it_ends_with_the_weights_and_the_scores_of_that_phases_end(tmp_path: Path) -> None:
    alone, whole = run(relgan(last_phase="mle"), tmp_path), run(relgan(), tmp_path)
    assert [phase.name for phase in alone.phases] == ["mle"]
    (before,) = (e for e in whole.evaluations if e.at == "phase_end")
    final = alone.final()
    assert final is not None
    assert final.scores["nll_gen"].value == before.scores["nll_gen"].value
    assert sorted(e.temperature for e in alone.evaluations if e.at == "end") == [0.8, 1.0]


def test_it_is_a_row_of_its_own(tmp_path: Path) -> None:
    alone, whole = relgan(last_phase="mle"), relgan()
    assert alone.config_hash != whole.config_hash
    found = labels([run(alone, tmp_path), run(whole, tmp_path)])
    assert found == ["relgan (mle_steps=12, last_phase=mle) · custom", "relgan (mle_steps=12) · custom"]


def test_a_stopped_one_goes_on(tmp_path: Path) -> None:
    resolved = relgan(last_phase="mle")
    run(resolved, tmp_path / "whole")
    calls = [0]

    def should_stop() -> bool:
        calls[0] += 1
        return calls[0] == 5

    with pytest.raises(Interrupted):
        run(resolved, tmp_path / "stopped", should_stop=should_stop)
    run(resolved, tmp_path / "stopped")
    weights = [load_file(resolved.folder(tmp_path / place) / "weights.safetensors") for place in ("whole", "stopped")]
    assert all(weights[0][name].equal(value) for name, value in weights[1].items())


def test_an_unknown_phase_is_refused_before_training() -> None:
    resolved = relgan(last_phase="ml")
    with pytest.raises(ContractError, match=r"RelGAN has no phase 'ml' to end with; did you mean 'mle'\?"):
        steps_of(resolved, resolved.task.load())
