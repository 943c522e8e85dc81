"""The most memory of a phase: its own, over all its parts, and no part of what two runs must have in common."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.paths import ROOT, TOY

from bench.config import Resolved, RunConfig
from bench.record import PhaseCost, read_record
from bench.run.checkpoint import read_state
from bench.run.hardware import PeakMemory, _reset_resident, keep_memory
from bench.run.runner import run
from bench.run.trainer import Interrupted

can_measure = pytest.mark.skipif(not _reset_resident(), reason="this system does not reset the peak of a process")
MB = 1 << 20


def cost(**peaks: int) -> PhaseCost:
    return PhaseCost(name="mle", steps=0, seconds=0.0, real_sentences=0, **peaks)


def toy(**settings: Any) -> Resolved:
    values = {"model": TOY, "task": "oracle_lstm", "scale": "smoke", "n_samples": 50, **settings}
    return RunConfig.model_validate(values).resolve()


_STEPS = """
import resource, statistics, sys, torch
from bench.run.hardware import keep_memory
if sys.argv[1] == "kept":
    keep_memory()
pages = []
for step in range(31):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(12 << 20)  # 48 MiB: glibc learns of itself to keep blocks of up to 32
    pages.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(statistics.median(pages))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_what_a_step_leaves_behind_is_there_for_the_next() -> None:
    """48 MiB are 12,288 pages, or 24 large ones. The median: a small block at the border costs some steps new ones."""

    def pages(how: str) -> int:
        done = subprocess.run([sys.executable, "-c", _STEPS, how], cwd=ROOT, capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert pages("kept") < 10 < pages("not kept")


@can_measure
def test_what_was_before_is_left_out() -> None:
    keep_memory()
    memory = PeakMemory(torch.device("cpu"))
    much = np.ones(100 * MB, dtype=np.int8)
    first = memory.noted(cost())
    del much
    memory.restart()
    second = memory.noted(cost())
    assert first.peak_resident_bytes is not None
    assert second.peak_resident_bytes is not None
    assert first.peak_resident_bytes - second.peak_resident_bytes > 80 * MB
    assert first.peak_gpu_bytes is None


@can_measure
def test_the_highest_part_counts() -> None:
    phase = PeakMemory(torch.device("cpu")).noted(cost(peak_resident_bytes=1 << 50))
    assert phase.peak_resident_bytes == 1 << 50
    phase = PeakMemory(torch.device("cpu")).noted(cost(peak_resident_bytes=1))
    assert phase.peak_resident_bytes is not None
    assert phase.peak_resident_bytes > MB


def test_on_a_gpu_its_allocator_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.device] = []
    peaks = iter([5, 3, 9])
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", asked.append)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: next(peaks))
    memory, phase, seen = PeakMemory(torch.device("cuda:1")), cost(), []
    for _ in range(3):
        phase = memory.noted(phase)
        memory.restart()
        seen.append(phase.peak_gpu_bytes)
    assert seen == [5, 5, 9]
    assert asked == [torch.device("cuda:1")] * 4


def test_where_nothing_is_measured_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.run.hardware._reset_resident", lambda: False)
    assert PeakMemory(torch.device("cpu")).noted(cost()) == cost()


@can_measure
def test_a_record_has_the_peaks_of_all_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a run that was stopped, and went on with less memory than before."""
    resolved = toy(evaluate_every=10)
    whole = run(resolved, tmp_path / "whole")
    taken: list[int] = []
    monkeypatch.setattr("bench.run.hardware._peak_resident", lambda: 1 << 40)
    with pytest.raises(Interrupted):
        run(resolved, tmp_path / "cut", on_step=lambda *_: taken.append(1), should_stop=lambda: len(taken) == 37)
    saved = read_state(resolved.folder(tmp_path / "cut") / "checkpoint.pt")
    assert [phase.peak_resident_bytes for phase in saved.phases] == [1 << 40, 1 << 40]
    monkeypatch.setattr("bench.run.hardware._peak_resident", lambda: 1 << 30)
    record = run(resolved, tmp_path / "cut")
    assert [phase.peak_resident_bytes for phase in record.phases] == [1 << 40, 1 << 40]
    assert all(50 * MB < (phase.peak_resident_bytes or 0) < 1 << 36 for phase in whole.phases)
    assert record.content() == whole.content()
    assert "peak" not in json.dumps(record.content()["phases"])


def test_a_record_without_peaks_is_read(tmp_path: Path) -> None:
    record = run(toy(), tmp_path)
    document = json.loads(record.to_json())
    for phase in document["phases"]:
        del phase["peak_resident_bytes"], phase["peak_gpu_bytes"]
    path = tmp_path / "record.json"
    path.write_text(json.dumps(document))
    old = read_record(path)
    assert all(phase.peak_resident_bytes is phase.peak_gpu_bytes is None for phase in old.phases)
    assert old.content() == record.content()


@pytest.mark.cuda
def test_peaks_of_a_gpu(tmp_path: Path) -> None:
    device = torch.device("cuda")
    torch.empty(64 * MB, dtype=torch.int8, device=device)
    memory = PeakMemory(device)
    torch.empty(16 * MB, dtype=torch.int8, device=device)
    phase = memory.noted(cost())
    assert 16 * MB <= (phase.peak_gpu_bytes or 0) < 64 * MB
    record = run(toy(device="cuda"), tmp_path)
    assert all((phase.peak_gpu_bytes or 0) > 0 for phase in record.phases)
