"""Weights selected by validation: the best of those looked at, whatever was killed, and a row of their own."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from safetensors.torch import load_file

from bench.config import Resolved, RunConfig
from bench.launch import start as starting
from bench.launch.options import LaunchOptions
from bench.run.runner import load_run, run
from bench.run.trainer import Interrupted
from bench.score.drawing import likelihood_of
from leaderboards.rows import labels


def overfitting(**settings: Any) -> Resolved:
    """MLE on 60 sentences, at a rate that soon makes the validation text dearer."""
    values = {
        "model": "mle",
        "task": "grammar",
        "scale": "smoke",
        "n_samples": 50,
        "metrics": ["nll_gen", "unique"],
        "model_settings": {"steps": 130, "lr": 0.05},
        "task_settings": {"n_train": 60, "n_valid": 80, "n_test": 100},
        "selection": "validation",
        "select_every": 10,
        **settings,
    }
    return RunConfig.model_validate(values).resolve()


def looks(folder: Path) -> dict[int, float]:
    found = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    return {e["step"]: e["values"]["validation_nll"] for e in found if "validation_nll" in e.get("values", {})}


def test_the_best_weights_are_evaluated_and_kept(tmp_path: Path) -> None:
    resolved = overfitting()
    record = run(resolved, tmp_path)
    found = looks(resolved.folder(tmp_path))
    assert list(found) == list(range(10, 131, 10))
    best = min(found, key=found.__getitem__)
    assert best < 130
    final = record.final()
    assert final is not None
    assert (final.step, final.at) == (best, "end")
    model, data, _ = load_run(resolved.folder(tmp_path))
    likelihood = likelihood_of(model, next(model.parameters()).device)
    assert likelihood is not None
    tokens = (data.valid != data.spec.eos_id).sum() + len(data.valid)
    assert -likelihood(data.valid).sum() / tokens == pytest.approx(found[best], rel=1e-2)
    last = run(overfitting(selection="last"), tmp_path).final()
    assert last is not None
    assert final.scores["nll_gen"].value < last.scores["nll_gen"].value


def test_a_run_that_was_stopped_selects_the_same(tmp_path: Path) -> None:
    resolved = overfitting()
    whole = run(resolved, tmp_path / "whole")
    for stop in (15, 60, 61, 127):
        folder, taken = tmp_path / str(stop), [0]

        def should_stop(taken: list[int] = taken, stop: int = stop) -> bool:
            taken[0] += 1
            return taken[0] == stop

        with pytest.raises(Interrupted):
            run(resolved, folder, should_stop=should_stop)
        again = run(resolved, folder)
        assert again.evaluations == whole.evaluations
        assert looks(resolved.folder(folder)) == looks(resolved.folder(tmp_path / "whole"))
        weights = [load_file(resolved.folder(place) / "weights.safetensors") for place in (folder, tmp_path / "whole")]
        assert all(weights[0][name].equal(value) for name, value in weights[1].items())


def test_it_is_a_row_of_its_own_and_training_is_the_same(tmp_path: Path) -> None:
    selected, last = overfitting(), overfitting(selection="last")
    assert selected.config_hash != last.config_hash
    assert last.config_hash == overfitting(selection="last", select_every=7).config_hash
    records = [run(each, tmp_path) for each in (selected, last)]
    assert "selection=validation" in labels(records)[0]
    assert "selection" not in labels(records)[1]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model": "copy_train", "model_settings": {}}, "copy_train has no log_prob"),
        ({"task": "image_coco", "task_settings": {"n_valid": 0}}, "image_coco has no validation sentences"),
    ],
)
def test_what_it_needs_is_said_before_training(
    settings: dict[str, Any], said: str, tmp_path: Path, study_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(study_data))
    monkeypatch.setattr(starting, "launch", lambda *_, **__: pytest.fail("launched"))
    monkeypatch.setattr(starting, "record_real_text", lambda *_, **__: None)
    with pytest.raises(ValueError) as caught:
        starting.start([overfitting(**settings)], LaunchOptions(runs=tmp_path), console=Console(file=io.StringIO()))
    assert said in str(caught.value)
