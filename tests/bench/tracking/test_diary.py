"""The run's own diary: whole lines only, cut back on resume, no NaN in the file."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from bench.record import Alarm, Evaluation, RunStart, Score, read_start
from bench.tracking.diary import Diary, DiaryReader, Entry, TrainingValues

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


def values(step: int, **numbers: float) -> TrainingValues:
    return TrainingValues(phase="mle", step=step, values=numbers or {"loss": 1.0})


def entries(folder: Path) -> list[Entry]:
    return list(DiaryReader(folder).more())


def steps(folder: Path) -> list[int]:
    return [entry.event.step for entry in entries(folder)]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    evaluation = Evaluation(
        phase="mle",
        step=7,
        at="phase_end",
        temperature=1.0,
        scores={"bleu_2": BLEU},
        skipped={"nll_oracle": "no oracle"},
    )
    alarm = Alarm(kind="collapse", phase="mle", step=7, message="1% unique")
    diary = Diary(tmp_path, INFO)
    diary.write(values(5, loss=1 / 3, accuracy=1), at=100.25)
    diary.write(evaluation, at=101.0)
    diary.write(alarm, at=102.0)
    diary.close()
    expected = [(100.25, values(5, loss=1 / 3, accuracy=1.0)), (101.0, evaluation), (102.0, alarm)]
    assert entries(tmp_path) == expected
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert kinds == ["train", "evaluation", "alarm"]


def test_a_reader_gives_every_entry_once_and_no_half_line(tmp_path: Path) -> None:
    diary, reader = Diary(tmp_path, INFO), DiaryReader(tmp_path)
    assert list(reader.more()) == []
    diary.write(values(1), at=1.0)
    diary.position()
    assert [entry.event.step for entry in reader.more()] == [1]
    assert list(reader.more()) == []
    diary.write(values(2), at=2.0)
    diary.write(values(3), at=3.0)
    diary.close()
    path = tmp_path / "train.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    assert [entry.event.step for entry in reader.more()] == [2]
    path.write_bytes(whole)
    assert [entry.event.step for entry in reader.more()] == [3]


def test_run_json_is_read_back(tmp_path: Path) -> None:
    Diary(tmp_path, INFO)
    assert read_start(tmp_path / "run.json") == INFO


def test_a_value_that_is_not_finite_is_null_in_the_file_and_nan_when_read(tmp_path: Path) -> None:
    diary = Diary(tmp_path, INFO)
    diary.write(values(1, loss=math.nan, norm=math.inf, fine=1.5), at=1.0)
    diary.close()

    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is not JSON")

    lines = [json.loads(line, parse_constant=refuse) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert lines[0]["values"] == {"loss": None, "norm": None, "fine": 1.5}
    (entry,) = entries(tmp_path)
    assert math.isnan(entry.event.values["loss"])


def test_position_is_the_length_on_disk_and_cut_goes_back_to_it(tmp_path: Path) -> None:
    diary = Diary(tmp_path, INFO)
    positions = [diary.position()]
    for step in range(5):
        diary.write(values(step, loss=float(step)), at=float(step))
        positions.append(diary.position())
        assert (tmp_path / "train.jsonl").stat().st_size == positions[-1]
    diary.write(values(99, loss=9.0), at=9.0)
    diary.close()
    diary = Diary(tmp_path, INFO)
    diary.cut(positions[3])
    assert steps(tmp_path) == [0, 1, 2]
    diary.write(values(3, loss=3.0), at=3.0)
    diary.close()
    assert steps(tmp_path) == [0, 1, 2, 3]


def test_resume_cuts_back_to_the_checkpoint(tmp_path: Path) -> None:
    diary = Diary(tmp_path, INFO)
    diary.write(values(1, loss=1.0), at=1.0)
    checkpoint = diary.position()
    diary.write(values(2, loss=2.0), at=2.0)
    diary.position()
    with (tmp_path / "train.jsonl").open("ab") as file:
        file.write(b'{"kind":"train","time":3.0,"pha')
    resumed = Diary(tmp_path, INFO)
    assert steps(tmp_path) == [1, 2]
    resumed.cut(checkpoint)
    resumed.write(values(2, loss=2.0), at=12.0)
    resumed.close()
    assert [(entry.event.step, entry.time) for entry in entries(tmp_path)] == [(1, 1.0), (2, 12.0)]


def test_a_file_shorter_than_its_checkpoint_is_an_error(tmp_path: Path) -> None:
    diary = Diary(tmp_path, INFO)
    with pytest.raises(ValueError, match=r"has 0 bytes, but its checkpoint was written at 10"):
        diary.cut(10)


@pytest.mark.parametrize("cut", range(1, 80, 6))
def test_a_torn_last_line_is_never_read(tmp_path: Path, cut: int) -> None:
    diary = Diary(tmp_path, INFO)
    for step in (1, 2):
        diary.write(values(step, loss=1.0), at=1.0)
    diary.close()
    path = tmp_path / "train.jsonl"
    whole = path.read_bytes()
    assert len(whole) // 2 > 72
    path.write_bytes(whole[: len(whole) - min(cut, len(whole) // 2 - 1)])
    assert steps(tmp_path) == [1]


def test_no_file_no_entries(tmp_path: Path) -> None:
    assert entries(tmp_path) == []


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


GOOD = '{"kind":"train","time":1.0,"phase":"mle","step":1,"values":{"loss":1.0}}'


@pytest.mark.parametrize(
    "line",
    [
        '{"step":',
        "[]",
        '{"kind":"train","time":1.0,"values":{"loss":1.0}}',
        '{"kind":"walk","time":1.0,"phase":"mle","step":1}',
        GOOD.replace("1.0}", "[1.0]}"),
        GOOD.replace('"mle"', "7"),
        GOOD.replace('"step":1', '"step":"1"'),
        GOOD.replace('"time":1.0', '"time":1e400'),
        GOOD.replace('"step":1', '"step":1,"more":1'),
        '{"kind":"alarm","time":1.0,"phase":"mle","step":1,"alarm":"smoke","message":"there is"}',
        '{"kind":"evaluation","time":1.0,"phase":"mle","step":1}',
        "[" * 100_000,
    ],
)
def test_a_line_of_another_shape_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "train.jsonl").write_text(f"{GOOD}\n{line}\n{GOOD}\n")
    with pytest.raises(ValueError, match=r"train.jsonl, line 2 is not an event"):
        entries(tmp_path)


def test_values_are_on_their_way_before_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.tracking import diary as module

    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    diary = Diary(tmp_path, INFO)
    diary.position()
    for step in range(3):
        diary.write(values(step, loss=1.0), at=1.0)
    assert steps(tmp_path) == []
    now[0] += 5
    diary.write(values(3, loss=1.0), at=1.0)
    assert steps(tmp_path) == [0, 1, 2, 3]


def test_a_full_disk_is_an_error_and_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    diary = Diary(tmp_path, INFO)
    diary.write(values(1, loss=1.0), at=1.0)
    good = diary.position()
    real = diary._file

    class Full:
        name = real.name

        def write(self, content):
            if len(content) < 20:
                raise OSError(28, "No space left on device")
            return real.write(content[:20])

        def __getattr__(self, name):
            return getattr(real, name)

    monkeypatch.setattr(diary, "_file", Full())
    diary.write(values(2, loss=2.0), at=2.0)
    with pytest.raises(OSError, match="No space left"):
        diary.position()
    assert (tmp_path / "train.jsonl").stat().st_size == good
    monkeypatch.setattr(diary, "_file", real)
    diary.position()
    assert steps(tmp_path) == [1, 2]
