"""What looks at a device runs as a whole on a CPU, and tells a difference when there is one."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from typer import Typer
from typer.testing import CliRunner

from speed import devices, same_losses
from speed.same_losses import DrawnOnCpu, compare_draws, compare_losses

CPU = torch.device("cpu")


def test_a_cpu_is_its_own_measure(tmp_path: Path) -> None:
    app = Typer()
    app.command()(devices.main)
    done = CliRunner().invoke(app, ["--quick", "--device", "cpu", "--json", str(tmp_path / "device.json")])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads((tmp_path / "device.json").read_text())
    assert found["machine"]["device"] == "cpu"
    assert all(one["difference"] == 0 for one in found["losses"] if one["precision"] == "ieee")
    assert all(0 < one["difference"] < 0.02 for one in found["losses"] if one["precision"] == "bf16")
    assert all(one["p"] > 1e-4 for one in found["draws"])
    assert {one["way"] for one in found["rates"]} == {"exact", "bf16"}
    assert all(seconds > 0 for one in found["rates"] for seconds in one["seconds"].values())
    (alone,) = found["side_by_side"]
    assert set(alone["steps_per_second"]) == {"mle", "discriminator", "adversarial"}
    assert all(one["hours"] or one["reason"] for one in found["presets"])
    assert found["findings"]
    assert f"| {found['presets'][0]['preset']} |" in done.output


def test_one_part_alone(tmp_path: Path) -> None:
    app = Typer()
    app.command()(devices.main)
    words = ["--quick", "--device", "cpu", "--part", "draws", "--json", str(tmp_path / "device.json")]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert set(json.loads((tmp_path / "device.json").read_text())) == {"machine", "draws", "seconds_left"}


def test_what_no_time_is_left_for_is_there_with_that_reason() -> None:
    late = devices._Clock(0)
    found = [*devices.rates(CPU, late, quick=True), *devices.side_by_side(CPU, late, quick=True)]
    assert len(found) == 5
    assert {one.reason for one in found} == {devices._LATE}


def test_random_numbers_are_those_of_the_cpu() -> None:
    def drawn() -> list[torch.Tensor]:
        torch.manual_seed(3)
        layer = torch.nn.Dropout(0.5)
        ids = torch.tensor([0.1, 0.2, 0.7]).expand(20, 3).multinomial(1)
        return [
            torch.rand(4),
            torch.randn_like(torch.ones(3)),
            ids,
            torch.empty(5).exponential_(),
            layer(torch.ones(9)),
        ]

    plain = drawn()
    with DrawnOnCpu():
        assert all(torch.equal(a, b) for a, b in zip(drawn(), plain, strict=True))
    with DrawnOnCpu():
        on_meta = torch.rand(4, device="meta")
    assert on_meta.device.type == "meta"


def test_the_greatest_difference_is_told_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = [("mle, step 1", {"nll": 20.0, "norm": math.nan}), ("mle, step 2", {"nll": 0.5, "norm": math.nan})]
    device = [("mle, step 1", {"nll": 20.2, "norm": math.nan}), ("mle, step 2", {"nll": 0.53, "norm": math.nan})]
    told = iter([exact, device, exact, [device[0], ("mle, step 2", {"nll": math.nan, "norm": 1.0})]])
    monkeypatch.setattr(same_losses, "_told", lambda *_: next(told))
    one, broken = compare_losses(["mle", "mle"], CPU, "ieee")
    assert one.difference == pytest.approx(0.03)
    assert one.where == "mle, step 2, nll"
    assert broken.difference is not None
    assert math.isnan(broken.difference)


def test_what_fails_is_told_and_costs_the_others_nothing() -> None:
    first, second = compare_losses(["no such model", "mle"], CPU, "ieee")
    assert first.difference is None
    assert "no such model" in first.reason
    assert second.difference == 0
    absent, drawn = compare_draws(["wgan_gp", "mle"], CPU)
    assert (absent.p, absent.reason) == (None, "it has no log_prob")
    assert drawn.p is not None
