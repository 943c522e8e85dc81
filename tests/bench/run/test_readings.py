"""What steps return: the latest for the diary, the means for an evaluation, whatever is saved in between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.paths import TOY
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.config import RunConfig
from bench.record import as_json, decode, read_record
from bench.run.readings import Readings, StepValues
from bench.run.runner import run


def saved(readings: Readings) -> Readings:
    """As after a kill."""
    return Readings(decode(StepValues, json.loads(json.dumps(as_json(readings.kept()))), "progress"))


@pytest.mark.parametrize("kill", [False, True])
def test_means_are_over_the_steps_that_returned_the_name(kill: bool) -> None:
    readings = Readings(StepValues())
    buffer = torch.zeros(())  # one that the next step writes over
    for step in range(6):
        value = buffer.fill_(1.1 * step)
        readings.add({"loss": value, "reward": value.double() + 1} if step % 3 == 0 else {"loss": value})
        if kill:
            readings = saved(readings)
    assert readings.take_latest() == {"loss": pytest.approx(5.5), "reward": pytest.approx(4.3)}
    assert readings.take_latest() == {}
    assert readings.take_means() == {"loss": pytest.approx(2.75), "reward": pytest.approx(2.65)}
    assert readings.take_means() == {}


def test_a_killed_sum_is_the_same_to_the_last_bit() -> None:
    whole = cut = Readings(StepValues())
    cut = saved(cut)
    for value in torch.randn(1_000, generator=torch.Generator().manual_seed(3)):
        whole.add({"loss": value})
        cut.add({"loss": value})
        cut = saved(cut)
    assert cut.take_means() == whole.take_means()


def test_many_steps_lose_no_digits() -> None:
    readings = Readings(StepValues())
    for _ in range(20_000):  # as float32 the sum would be off by 1e-4
        readings.add({"loss": torch.tensor(5.1)})
    assert readings.take_means()["loss"] == pytest.approx(float(torch.tensor(5.1)), rel=1e-12)


def test_a_step_is_added_without_a_copy_between_devices() -> None:
    """RelGAN's step has its losses on the GPU and beta on the host; `meta` stands for the GPU."""
    readings = Readings(StepValues())
    with _Devices() as seen:
        for _ in range(2):
            readings.add({"loss": torch.zeros((), device="meta"), "beta": torch.tensor(2.0)})
    assert seen.sets == {("meta",), ("cpu",)}


class _Devices(TorchDispatchMode):
    """Which devices the tensors of each operation are on, its result included."""

    def __init__(self) -> None:
        super().__init__()
        self.sets: set[tuple[str, ...]] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor)]
        self.sets.add(tuple(sorted({tensor.device.type for tensor in tensors})))
        return result


def test_what_is_not_finite_has_no_mean_and_nothing_returned_is_nothing() -> None:
    readings = Readings(StepValues())
    readings.add({})
    assert readings.kept() == StepValues()
    readings.add({"loss": torch.tensor(float("nan")), "reward": torch.tensor(2.0)})
    assert readings.take_means() == {"reward": 2.0}


@pytest.mark.parametrize("more", [{}, {"selection": "validation", "select_every": 5}])
def test_a_record_has_the_means_between_evaluations(tmp_path: Path, more: dict[str, Any]) -> None:
    """The diary of the same run, logged at each step, has every value; no mean reaches into another phase."""
    values = {"model": TOY, "task": "oracle_lstm", "scale": "smoke", "n_samples": 200, "evaluate_every": 11, **more}
    resolved = RunConfig.model_validate({**values, "log_every": 1}).resolve()
    record = run(resolved, tmp_path)
    events = [json.loads(line) for line in (resolved.folder(tmp_path) / "train.jsonl").read_text().splitlines()]
    steps = [e for e in events if e["kind"] == "train" and "validation_nll" not in e["values"]]
    before = 0
    for evaluation in record.evaluations:
        if evaluation.at == "end" and more:  # of an earlier state
            assert evaluation.step_values == {}
            continue
        since = [e["values"] for e in steps if before < e["step"] <= evaluation.step]
        names = {name for each in since for name in each}
        assert names
        means = {name: [each[name] for each in since if name in each] for name in names}
        assert evaluation.step_values == pytest.approx({name: sum(v) / len(v) for name, v in means.items()})
        before = evaluation.step
    assert read_record(resolved.folder(tmp_path) / "record.json") == record
