"""What is cut, damaged, without end or not finite is said in words, with what to do, and is no result of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.commands import call_bench
from helpers.paths import TOY

from bench.config import RunConfig
from bench.run.checkpoint import save_weights
from bench.run.runner import TooLargeError, run
from bench.run_folder import RECORD, START, WEIGHTS
from bench.score.records import LoadedTask, record_real_text


def resolve(**settings: Any):
    values = {"model": "mle", "task": "grammar", "scale": "smoke", "n_samples": 50, "metrics": ("unique",)}
    return RunConfig.model_validate({**values, **settings}).resolve()


@pytest.mark.parametrize("size", [10**12, 10**15])
def test_a_model_that_no_machine_holds_is_said_and_not_recorded(size: int, tmp_path: Path) -> None:
    resolved = resolve(model_settings={"hidden_dim": size})
    with pytest.raises(TooLargeError, match=rf"MLE with hidden_dim={size}, .* does not fit in the memory"):
        run(resolved, tmp_path)
    assert not (resolved.folder(tmp_path) / RECORD).exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"model_settings": {"hidden_dim": 10**16}}, "hidden_dim takes an integer of at most 1,000,000,000,000,000"),
        ({"model_settings": {"lr": 1e60}}, "lr takes a finite number of at most 1e"),
        ({"task_settings": {"n_train": 10**12}}, "n_train: input should be less than or equal to 10000000"),
        ({"task": "oracle_lstm", "task_settings": {"length": 10**9}}, "length: input should be less than or equal to"),
        ({"n_samples": 10**12}, "n_samples"),
        ({"seed": 2**63}, "seed"),
    ],
)
def test_settings_without_end_are_refused_before_anything_is_loaded(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        resolve(**wrong)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    resolved = resolve(model_settings={"steps": 3})
    runs = tmp_path_factory.mktemp("runs")
    run(resolved, runs)
    return resolved.folder(runs)


def sample(folder: Path) -> str:
    return call_bench("sample", folder, "-n", 2, code=2).output


def test_weights_that_are_not_finite_are_not_sampled_from(finished: Path) -> None:
    whole = (finished / WEIGHTS).read_bytes()
    resolved = resolve(model_settings={"steps": 3})
    model = resolved.model_class(resolved.model_config, resolved.task.load().spec)
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] = torch.nan
    save_weights(finished / WEIGHTS, model)
    assert "is not finite, the training diverged: no sentence can be drawn" in sample(finished)
    (finished / WEIGHTS).write_bytes(whole[:100])
    assert "is damaged and cannot be sampled from" in (said := sample(finished))
    assert "train again with --rerun" in said
    (finished / WEIGHTS).write_bytes(whole)


@pytest.mark.parametrize("name", [RECORD, START])
def test_a_cut_document_says_what_to_do(name: str, finished: Path, tmp_path: Path) -> None:
    resolved = resolve(model_settings={"steps": 3})
    folder = resolved.folder(tmp_path)
    folder.mkdir()
    (folder / name).write_text((finished / name).read_text()[:80])
    with pytest.raises(ValueError, match=rf"{name} is not a run record: .*remove it and give the command") as caught:
        run(resolved, tmp_path)
    (folder / name).unlink()  # as it says
    assert run(resolved, tmp_path).status == "completed"
    assert str(folder / name) in str(caught.value)


def test_a_cut_row_of_real_text_says_what_to_do(tmp_path: Path) -> None:
    resolved = resolve()
    loaded = LoadedTask(name="grammar", task=resolved.task, data=resolved.task.load(), metrics=resolved.metrics)
    record_real_text(loaded, 50, tmp_path)
    (path,) = tmp_path.glob("grammar-real_text-*/record.json")
    path.write_text(path.read_text()[:80])
    with pytest.raises(ValueError, match="remove it and give the command that made it again"):
        record_real_text(loaded, 50, tmp_path)
    path.unlink()
    assert record_real_text(loaded, 50, tmp_path).status == "completed"


def test_the_toy_is_no_exception(tmp_path: Path) -> None:
    """A model in a file, whose own failure of another kind is still a result."""
    resolved = resolve(model=TOY, model_settings={"raise_at": 2})
    assert run(resolved, tmp_path).status == "failed"
