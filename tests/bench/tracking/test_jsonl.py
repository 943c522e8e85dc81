"""The run's own diary: whole lines only, cut back on resume, no NaN in the file."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from bench.record import Alarm, Evaluation, RunStart, Score, read_start
from bench.tracking.jsonl import JsonlTracker, read_events, replay

INFO = RunStart(
    created_at="2027-01-15T08:00:00.000+00:00",
    origin="run",
    run_id="0123456789ab",
    config_hash="ba9876543210",
    model="seqgan",
    task="oracle_lstm",
    task_version=1,
    scale="smoke",
    seed=3,
    model_config={"lr": 0.01, "filters": [1, 2]},
    data_sha256="d" * 64,
    data_facts={"train": 100},
    environment={"git.sha": "abc", "git.dirty": False, "device": "cpu"},
)
BLEU = Score(value=0.25, metric="bleu", settings={"orders": (2, 3, 4, 5), "v": 1}, better="higher")


def started(folder: Path) -> JsonlTracker:
    tracker = JsonlTracker()
    tracker.start(INFO, folder)
    return tracker


def steps(folder: Path) -> list[int]:
    return [event["step"] for event in read_events(folder / "train.jsonl")]


class Listener:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def log(self, values, *, phase, step, time):
        self.told.append(("log", dict(values), phase, step, time))

    def evaluation(self, evaluation, *, time):
        self.told.append(("evaluation", evaluation, time))

    def alarm(self, alarm, *, time):
        self.told.append(("alarm", alarm, time))


def test_what_is_told_comes_back_by_replay(tmp_path: Path) -> None:
    evaluation = Evaluation(
        phase="mle",
        step=7,
        at="phase_end",
        temperature=1.0,
        scores={"bleu_2": BLEU},
        skipped={"nll_oracle": "no oracle"},
    )
    alarm = Alarm(kind="collapse", phase="mle", step=7, message="1% unique")
    tracker = started(tmp_path)
    tracker.log({"loss": 1 / 3, "accuracy": 1}, phase="mle", step=5, time=100.25)
    tracker.evaluation(evaluation, time=101.0)
    tracker.alarm(alarm, time=102.0)
    tracker.finish(None)
    listener = Listener()
    replay(tmp_path / "train.jsonl", listener)
    assert listener.told == [
        ("log", {"loss": 1 / 3, "accuracy": 1.0}, "mle", 5, 100.25),
        ("evaluation", evaluation, 101.0),
        ("alarm", alarm, 102.0),
    ]


def test_run_json_is_read_back(tmp_path: Path) -> None:
    started(tmp_path).finish(None)
    assert read_start(tmp_path / "run.json") == replace(INFO, model_config={"lr": 0.01, "filters": [1, 2]})


def test_a_value_that_is_not_finite_is_null_in_the_file_and_nan_when_read(tmp_path: Path) -> None:
    tracker = started(tmp_path)
    tracker.log({"loss": math.nan, "norm": math.inf, "fine": 1.5}, phase="mle", step=1, time=1.0)
    tracker.finish(None)

    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is not JSON")

    lines = [json.loads(line, parse_constant=refuse) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert lines[0]["values"] == {"loss": None, "norm": None, "fine": 1.5}
    listener = Listener()
    replay(tmp_path / "train.jsonl", listener)
    assert math.isnan(listener.told[0][1]["loss"])


def test_position_is_the_length_on_disk_and_truncate_goes_back_to_it(tmp_path: Path) -> None:
    tracker = started(tmp_path)
    positions = [tracker.position()]
    for step in range(5):
        tracker.log({"loss": float(step)}, phase="mle", step=step, time=float(step))
        positions.append(tracker.position())
        assert (tmp_path / "train.jsonl").stat().st_size == positions[-1]
    tracker.log({"loss": 9.0}, phase="mle", step=99, time=9.0)
    tracker.truncate(positions[3])
    assert steps(tmp_path) == [0, 1, 2]
    tracker.log({"loss": 3.0}, phase="mle", step=3, time=3.0)
    tracker.finish(None)
    assert steps(tmp_path) == [0, 1, 2, 3]


def test_resume_cuts_back_to_the_checkpoint(tmp_path: Path) -> None:
    tracker = started(tmp_path)
    tracker.log({"loss": 1.0}, phase="mle", step=1, time=1.0)
    checkpoint = tracker.position()
    tracker.log({"loss": 2.0}, phase="mle", step=2, time=2.0)
    tracker.position()
    with (tmp_path / "train.jsonl").open("ab") as file:
        file.write(b'{"kind":"train","time":3.0,"pha')
    resumed = started(tmp_path)
    assert steps(tmp_path) == [1, 2]
    resumed.truncate(checkpoint)
    resumed.log({"loss": 2.0}, phase="mle", step=2, time=12.0)
    resumed.finish(None)
    assert [(e["step"], e["time"]) for e in read_events(tmp_path / "train.jsonl")] == [(1, 1.0), (2, 12.0)]


def test_a_file_shorter_than_its_checkpoint_is_an_error(tmp_path: Path) -> None:
    tracker = started(tmp_path)
    with pytest.raises(ValueError, match=r"has 0 bytes, but its checkpoint was written at 10"):
        tracker.truncate(10)


@pytest.mark.parametrize("cut", range(1, 80, 6))
def test_a_torn_last_line_is_never_read(tmp_path: Path, cut: int) -> None:
    tracker = started(tmp_path)
    for step in (1, 2):
        tracker.log({"loss": 1.0}, phase="mle", step=step, time=1.0)
    tracker.finish(None)
    path = tmp_path / "train.jsonl"
    whole = path.read_bytes()
    assert len(whole) // 2 > 72
    path.write_bytes(whole[: len(whole) - min(cut, len(whole) // 2 - 1)])
    assert steps(tmp_path) == [1]
    started(tmp_path).finish(None)
    assert path.read_bytes() == whole[: len(whole) // 2]


def test_a_torn_line_longer_than_a_block_is_cut(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_bytes(b'{"kind":"train","step":4}\n' + b"x" * 200_000)
    started(tmp_path).finish(None)
    assert steps(tmp_path) == [4]


def test_a_broken_line_in_the_middle_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(b'{"step":1}\n{"step":\n{"step":3}\n')
    with pytest.raises(ValueError, match=r"train.jsonl, line 2 is not an event"):
        list(read_events(path))


def test_no_file_no_events(tmp_path: Path) -> None:
    assert list(read_events(tmp_path / "train.jsonl")) == []


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"created_at": "yesterday"}', '{"created_at": "2026-01-01", "x": 1}', '{"params": {}}']
)
def test_a_run_json_of_something_else_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(content)
    with pytest.raises(
        ValueError, match=r"run.json (does not describe a run|is not a run record|is of a version before)"
    ):
        read_start(path)


def test_an_event_of_another_shape_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"kind":"train","time":1.0,"values":{"loss":1.0}}\n')
    with pytest.raises(ValueError, match=r"train.jsonl holds an event that cannot be read \(KeyError\('phase'\)\)"):
        replay(path, Listener())


def test_values_are_on_their_way_before_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.tracking import jsonl

    now = [100.0]
    monkeypatch.setattr(jsonl.clock, "monotonic", lambda: now[0])
    tracker = started(tmp_path)
    tracker.position()
    for step in range(3):
        tracker.log({"loss": 1.0}, phase="mle", step=step, time=1.0)
    assert steps(tmp_path) == []
    now[0] += 5
    tracker.log({"loss": 1.0}, phase="mle", step=3, time=1.0)
    assert steps(tmp_path) == [0, 1, 2, 3]


def test_a_full_disk_is_an_error_and_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = started(tmp_path)
    tracker.log({"loss": 1.0}, phase="mle", step=1, time=1.0)
    good = tracker.position()
    real = tracker._file

    class Full:
        name = real.name

        def write(self, content):
            if len(content) < 20:
                raise OSError(28, "No space left on device")
            return real.write(content[:20])

        def __getattr__(self, name):
            return getattr(real, name)

    monkeypatch.setattr(tracker, "_file", Full())
    tracker.log({"loss": 2.0}, phase="mle", step=2, time=2.0)
    with pytest.raises(OSError, match="No space left"):
        tracker.position()
    assert (tmp_path / "train.jsonl").stat().st_size == good
    monkeypatch.setattr(tracker, "_file", real)
    tracker.position()
    assert steps(tmp_path) == [1, 2]
