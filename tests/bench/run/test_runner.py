"""A run from configuration to record: what is recorded, what disturbs nothing, what fails and goes on."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from helpers.kills import KilledError, kill_after
from helpers.paths import TOY
from safetensors.torch import load_file

import bench.run.evaluator
import bench.run.runner
from baselines.common.interface import HasLogProb
from bench.config import Resolved, RunConfig
from bench.randomness import derive, isolated
from bench.record import RunRecord, read_record
from bench.run.batches import BatchStream
from bench.run.checkpoint import (
    CheckpointError,
    DamagedError,
    before,
    load_checkpoint,
    load_weights,
    read_state,
    save_checkpoint,
    save_weights,
)
from bench.run.hardware import use_precision
from bench.run.runner import load_run, run
from bench.run.trainer import Interrupted
from bench.score.drawing import Ids, Likelihood, collapse, draw
from bench.score.log_probs import OWN, TEST, read_log_probs
from metrics.common.tokens import Tokens


def toy(**settings: Any) -> Resolved:
    values = {"model": TOY, "task": "oracle_lstm", "scale": "smoke", "n_samples": 200, "log_every": 7, **settings}
    return RunConfig.model_validate(values).resolve()


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


def diary(folder: Path) -> list[dict[str, Any]]:
    """All that does not depend on the clock."""
    return [{key: value for key, value in line.items() if key != "time"} for line in lines(folder)]


def test_a_run_leaves_a_whole_record(tmp_path: Path) -> None:
    resolved = toy(temperatures=(0.5,), evaluate_every=11)
    record = run(resolved, tmp_path)
    folder = resolved.folder(tmp_path)
    assert read_record(folder / "record.json") == record
    assert record.status == "completed"
    assert [(e.at, e.phase, e.step, e.temperature) for e in record.evaluations] == [
        ("cadence", "mle", 11, 1.0),
        ("cadence", "mle", 22, 1.0),
        ("phase_end", "mle", 30, 1.0),
        ("cadence", "adversarial", 33, 1.0),
        ("cadence", "adversarial", 44, 1.0),
        ("end", "adversarial", 50, 0.5),
        ("end", "adversarial", 50, 1.0),
    ]
    assert [(p.name, p.steps, p.real_sentences) for p in record.phases] == [("mle", 30, 480), ("adversarial", 20, 0)]
    assert record.n_parameters == 100
    final = record.final()
    assert final is not None
    assert final.scores["nll_oracle"].signature.endswith("samples:200|v:1")
    other = record.evaluations[-2].skipped  # its log_prob has no temperature
    assert set(other) == {"nll_gen", "nll_own", "kl_to_oracle"}
    assert other["nll_gen"] == "nll_gen needs a model with a likelihood, at the temperature of the samples"
    for evaluation in record.evaluations:
        assert (evaluation.samples_file is None) == (evaluation.at == "cadence")
    assert not (folder / "checkpoint.pt").exists()


def test_a_run_is_evaluated_at_single_steps_too(tmp_path: Path) -> None:
    """30 is the end of a phase, and 44 one of `evaluate_every`: each is evaluated once."""
    record = run(toy(evaluate_every=22, evaluate_at=[31, 30, 44, 7]), tmp_path)
    assert [(e.at, e.step) for e in record.evaluations if e.temperature == 1] == [
        ("cadence", 7),
        ("cadence", 22),
        ("phase_end", 30),
        ("cadence", 31),
        ("cadence", 44),
        ("end", 50),
    ]
    assert record.run is not None
    assert record.run.evaluate_at == (7, 30, 31, 44)


def test_scores_are_those_of_the_samples_file(tmp_path: Path) -> None:
    from bench.score.records import LoadedTask, record_samples
    from bench.text.sample_files import read_samples

    resolved = toy()
    record = run(resolved, tmp_path)
    task = resolved.task
    board = LoadedTask(name="oracle_lstm", task=task, data=task.load(), metrics=resolved.metrics)
    final = record.final()
    assert final is not None
    assert final.samples_file is not None
    samples = read_samples(resolved.folder(tmp_path) / final.samples_file, task, board.data.vocabulary)
    again = record_samples("again", board, samples).evaluations[0]
    for key, score in again.scores.items():
        assert score == final.scores[key], key
    assert set(again.skipped) == {"nll_gen", "nll_own", "kl_to_oracle"}


def test_the_likelihood_of_a_text_is_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, plain = [], Likelihood._asked

    def told(self: Likelihood, what: Any, ids: Ids, temperature: float = 1.0) -> Any:
        asked.append(ids.tobytes())
        return plain(self, what, ids, temperature)

    monkeypatch.setattr(Likelihood, "_asked", told)
    resolved = toy(last_phase="mle")
    run(resolved, tmp_path)
    assert len(set(asked)) == len(asked) == 2  # the test sentences and the samples
    kept = read_log_probs(resolved.folder(tmp_path) / "log-probs-samples.npz")
    model, data, _ = load_run(resolved.folder(tmp_path), model_file=TOY)
    (samples,) = set(asked) - {data.test.tobytes()}
    for name, ids in ((TEST, data.test), (OWN, np.frombuffer(samples, np.int64).reshape(-1, model.spec.max_len))):
        own = cast("HasLogProb", model).log_prob(torch.tensor(ids))
        assert np.array_equal(kept[name], own.detach().double().numpy())


GPU_PARTS = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)


def test_products_are_exact_unless_asked_for_and_always_in_evaluations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    draw = bench.run.evaluator.draw

    def spy(*args: Any, **kwargs: Any) -> Any:
        seen.extend(part.fp32_precision for part in (torch.backends.mkldnn.matmul, *GPU_PARTS))
        return draw(*args, **kwargs)

    monkeypatch.setattr(bench.run.evaluator, "draw", spy)
    for precision, on_gpu in (("tf32", "tf32"), ("bf16", "tf32"), ("ieee", "ieee")):
        record = run(toy(fp32_precision=precision), tmp_path)
        assert record.environment["fp32_precision"] == precision
        assert torch.backends.mkldnn.matmul.fp32_precision == precision
        assert {part.fp32_precision for part in GPU_PARTS} == {on_gpu}
    assert set(seen) == {"ieee"}


def test_bf16_trains_another_model(tmp_path: Path) -> None:
    small = {"model": "mle", "task": "grammar", "model_settings": {"steps": 2, "batch_size": 4}, "n_samples": 64}
    weights = []
    for precision in ("ieee", "bf16"):
        resolved = RunConfig(**small, fp32_precision=precision, task_settings={"n_train": 100}).resolve()
        assert run(resolved, tmp_path).status == "completed"
        weights.append(load_file(resolved.folder(tmp_path) / "weights.safetensors"))
    use_precision("ieee")
    difference = max(float((a - weights[1][name]).abs().max()) for name, a in weights[0].items())
    assert 0 < difference < 0.05


def test_evaluation_does_not_disturb_training(tmp_path: Path) -> None:
    often, never = toy(evaluate_every=3), toy()
    run(often, tmp_path / "a")
    run(never, tmp_path / "b")
    weights = [resolved.folder(tmp_path / n) / "weights.safetensors" for resolved, n in ((often, "a"), (never, "b"))]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_finished_run_is_not_run_again_unless_asked(tmp_path: Path) -> None:
    resolved = toy()
    first = run(resolved, tmp_path)
    before = (resolved.folder(tmp_path) / "record.json").stat().st_mtime_ns
    assert run(resolved, tmp_path) == first
    assert (resolved.folder(tmp_path) / "record.json").stat().st_mtime_ns == before
    assert run(resolved, tmp_path, rerun=True).content() == first.content()
    assert (resolved.folder(tmp_path) / "record.json").stat().st_mtime_ns != before


@pytest.mark.parametrize("stop_at", [1, 7, 29, 30, 31, 49, 50])
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path, stop_at: int) -> None:
    resolved = toy(evaluate_every=10)
    whole = run(resolved, tmp_path / "whole")
    steps = 0

    def count(*_: object) -> None:
        nonlocal steps
        steps += 1

    with pytest.raises(Interrupted):
        run(resolved, tmp_path / "cut", on_step=count, should_stop=lambda: steps == stop_at)
    again = run(resolved, tmp_path / "cut")
    assert again.content() == whole.content()
    for name in ("samples.txt", "samples-after-mle.txt", "weights.safetensors"):
        assert (resolved.folder(tmp_path / "cut") / name).read_bytes() == (
            resolved.folder(tmp_path / "whole") / name
        ).read_bytes()
    assert diary(resolved.folder(tmp_path / "cut")) == diary(resolved.folder(tmp_path / "whole"))


@pytest.mark.parametrize("saves", ["each step", "every 50 ms", "killed"])
def test_when_the_state_is_saved_changes_neither_record_nor_diary(tmp_path: Path, saves: str) -> None:
    """A value that a save has read in one phase is not logged in the next one, where it would be an alarm."""
    settings = {"model": TOY.replace("ToyGAN", "InfiniteBetween"), "log_every": 100, "evaluate_every": 8}
    resolved = toy(**settings, alarm_unique=0.0)
    whole = run(resolved, tmp_path / "whole")
    other = tmp_path / "other"
    for last, save_every in ((7, 60.0), (7, 0.0), (23, 0.0), (3, 0.0), (9, 0.02)) if saves == "killed" else ():
        with pytest.raises(KilledError):
            run(resolved, other, on_step=kill_after(last), save_every=save_every)
    again = run(resolved, other, save_every=0.05 if saves == "every 50 ms" else 0.0)
    assert again.content() == whole.content()
    assert whole.alarms == ()
    assert diary(resolved.folder(other)) == diary(resolved.folder(tmp_path / "whole"))


class Heard:
    """A tracker that writes down what it is asked; a kill comes when it shall finish."""

    def __init__(self, *, killed: bool = False) -> None:
        self.killed = killed
        self.calls: list[Any] = []

    def start(self, folder: Path) -> None:
        self.calls.append(("start", (folder / "run.json").is_file()))

    def follow(self) -> None:
        if self.calls[-1] != "follow":
            self.calls.append("follow")

    def finish(self, record: RunRecord | None) -> None:
        if self.killed:
            raise KilledError
        self.calls.append(("finish", record and record.status))


def test_a_tracker_follows_a_run(tmp_path: Path) -> None:
    completed, failed, stopped = Heard(), Heard(), Heard()
    run(toy(), tmp_path, trackers=[completed])
    run(toy(model_settings={"raise_at": 5}), tmp_path, trackers=[failed])
    with pytest.raises(Interrupted):
        run(toy(seed=1), tmp_path, trackers=[stopped], should_stop=lambda: True)
    for tracker, status in ((completed, "completed"), (failed, "failed"), (stopped, None)):
        assert tracker.calls == [("start", True), "follow", ("finish", status)]
    nothing = Heard()
    run(toy(), tmp_path, trackers=[nothing])
    assert nothing.calls == []


def test_a_kill_between_the_record_and_the_end_is_made_good_by_the_same_command(tmp_path: Path) -> None:
    resolved = toy()
    with pytest.raises(KilledError):
        run(resolved, tmp_path, trackers=[Heard(killed=True)])
    folder = resolved.folder(tmp_path)
    before = (folder / "record.json").read_bytes()
    assert (folder / "checkpoint.pt").exists()
    tracker = Heard()
    record = run(resolved, tmp_path, trackers=[tracker])
    assert record.status == "completed"
    assert (folder / "record.json").read_bytes() == before
    assert tracker.calls == [("start", True), ("finish", "completed")]
    assert not (folder / "checkpoint.pt").exists()


def test_what_is_finished_needs_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may lie in a folder of somebody else, where nothing can be written."""
    first = run(toy(), tmp_path)
    monkeypatch.setattr(bench.run.runner, "FileLock", lambda *_, **__: pytest.fail("locked"))
    assert run(toy(), tmp_path) == first


def test_a_failure_is_recorded_with_its_traceback(tmp_path: Path) -> None:
    resolved = toy(model_settings={"raise_at": 5})
    record = run(resolved, tmp_path)
    assert record.status == "failed"
    assert record.error == "RuntimeError: the toy is broken"
    assert "toy_gan.py" in (resolved.folder(tmp_path) / "error.txt").read_text()
    log = (resolved.folder(tmp_path) / "run.log").read_text()
    assert log.index(" begins\n") < log.index('toy_gan.py", line') < log.index("RuntimeError: the toy is broken\n")
    assert log.endswith(" failed\n")
    assert [(p.name, p.steps) for p in record.phases] == [("mle", 30), ("adversarial", 4)]
    assert [e.at for e in record.evaluations] == ["phase_end"]


def test_a_model_that_calls_exit_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = toy()
    monkeypatch.setattr(resolved.model_class, "sample", lambda *_, **__: sys.exit(3))
    assert run(resolved, tmp_path).error == "SystemExit: 3"


def test_a_diverged_run_is_recorded_as_failed_with_its_alarm(tmp_path: Path) -> None:
    record = run(toy(model_settings={"break_at": 5}), tmp_path)
    assert record.status == "failed"
    assert record.error is not None
    assert "logits is not finite" in record.error
    assert [(a.kind, a.phase) for a in record.alarms] == [("non_finite", "adversarial")]


def test_an_alarm_stops_a_run_only_if_asked(tmp_path: Path) -> None:
    going_on = run(toy(alarm_unique=1.0), tmp_path)
    assert going_on.status == "completed"
    stopped = run(toy(alarm_entropy=1.0, alarm_unique=0.0, on_alarm="stop", model_settings={"lr": 3.0}), tmp_path)
    assert stopped.status == "failed"
    assert stopped.error is not None
    assert "collapse" in stopped.error


def test_collapse_sees_few_sentences_and_few_words() -> None:
    random = np.random.RandomState(0).randint(0, 50, (200, 6))
    training = Tokens.from_rows(random, None)
    assert collapse(training, training, 0.2, 0.5) is None
    same = Tokens.from_rows(np.tile(random[:5], (40, 1)), None)
    assert "2.5% of the samples are distinct" in (collapse(same, training, 0.2, 0.5) or "")
    poor = Tokens.from_rows(np.random.RandomState(1).randint(0, 4, (200, 6)), None)
    assert "entropy" in (collapse(poor, training, 0.0, 0.5) or "")


def test_a_wrong_sample_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = toy()
    monkeypatch.setattr(resolved.model_class, "sample", lambda self, n, temperature=1.0: torch.zeros(n, 3))
    record = run(resolved, tmp_path)
    assert record.error == "ValueError: ToyGAN.sample(200) must return int64 (200, 8), got torch.float32 (200, 3)"


def test_a_second_process_cannot_train_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from filelock import FileLock

    from bench.run import runner

    monkeypatch.setattr(runner, "_LOCK_SECONDS", 0)
    resolved = toy()
    resolved.folder(tmp_path).mkdir()
    with FileLock(resolved.folder(tmp_path) / ".lock"), pytest.raises(ValueError, match="another process"):
        run(resolved, tmp_path)


def test_a_full_disk_destroys_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.run import trainer

    resolved = toy()
    whole = run(resolved, tmp_path / "whole")
    real, saves = trainer.save_checkpoint, []

    def full(*arguments: Any) -> None:
        saves.append(1)
        if len(saves) == 20:
            raise OSError(28, "No space left on device", "checkpoint.pt")
        real(*arguments)

    monkeypatch.setattr(trainer, "save_checkpoint", full)
    with pytest.raises(OSError, match=r"No space left on device.*the same command goes on"):
        run(resolved, tmp_path / "full", save_every=0)
    assert not (resolved.folder(tmp_path / "full") / "record.json").exists()
    monkeypatch.undo()
    assert run(resolved, tmp_path / "full").content() == whole.content()


def stopped(resolved: Resolved, runs: Path, step: int) -> Path:
    """A run that was stopped after a step, with the checkpoint of each step before -> its checkpoint."""
    calls = iter(range(1, step + 1))
    with pytest.raises(Interrupted):
        run(resolved, runs, should_stop=lambda: next(calls) == step, save_every=0)
    return resolved.folder(runs) / "checkpoint.pt"


@pytest.mark.parametrize("left", [0.0, 0.3, 0.6, 0.9, 0.999])
def test_a_checkpoint_that_is_cut_is_set_aside_for_the_one_before_it(
    tmp_path: Path, left: float, caplog: pytest.LogCaptureFixture
) -> None:
    """With a word, and with the record of a run that nothing happened to."""
    resolved = toy()
    whole = run(resolved, tmp_path / "whole")
    checkpoint = stopped(resolved, tmp_path, 12)
    content = checkpoint.read_bytes()
    damaged = content[: round(left * len(content))]
    checkpoint.write_bytes(damaged)
    assert run(resolved, tmp_path).content() == whole.content()
    (warning,) = [record.message for record in caplog.records]
    assert "is damaged" in warning
    assert "the run goes on from the checkpoint before it" in warning
    assert checkpoint.with_name("checkpoint.pt.damaged").read_bytes() == damaged
    assert diary(checkpoint.parent) == diary(resolved.folder(tmp_path / "whole"))
    assert not list(checkpoint.parent.glob("checkpoint*.pt"))


def test_without_a_whole_checkpoint_a_run_goes_on_from_its_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    resolved = toy()
    whole = run(resolved, tmp_path / "whole")
    checkpoint = stopped(resolved, tmp_path, 3)
    for path in (checkpoint, before(checkpoint)):
        path.write_bytes(bytes(path.stat().st_size))
    assert run(resolved, tmp_path).content() == whole.content()
    assert ["goes on from its start" in record.message for record in caplog.records] == [False, True]


def test_killed_between_two_checkpoints_a_run_goes_on_from_the_older(tmp_path: Path) -> None:
    resolved = toy()
    checkpoint = stopped(resolved, tmp_path, 12)
    checkpoint.unlink()
    steps: list[int] = []
    run(resolved, tmp_path, on_step=lambda _, done, __: steps.append(done))
    assert steps[0] == 12


def test_every_flipped_bit_and_zeroed_block_is_noticed(tmp_path: Path) -> None:
    """Of a checkpoint and of weights: refused by name, or what is read is equal to what was written."""
    resolved = toy()
    checkpoint = stopped(resolved, tmp_path, 3)
    weights = tmp_path / "weights.safetensors"
    data = resolved.task.load()
    model = resolved.model_class(resolved.model_config, data.spec)
    save_weights(weights, model)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    random = np.random.default_rng(0)
    for path in (checkpoint, weights):
        content = path.read_bytes()
        for number in range(200):
            place = int(random.integers(len(content)))
            damaged = bytearray(content)
            if number % 4:
                damaged[place] ^= 1 << int(random.integers(8))
            else:
                damaged[place : place + 512] = bytes(len(damaged[place : place + 512]))
            if damaged == content:
                continue
            path.write_bytes(damaged)
            if path is checkpoint:
                with pytest.raises(DamagedError, match=r"checkpoint\.pt is damaged"):
                    read_state(path)
                continue
            try:
                load_weights(path, model, torch.device("cpu"))
            except ValueError as error:
                assert f"{path} is damaged" in str(error)  # noqa: PT017 - equal weights need no error
            assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"phase": 99}, "phase 99"),
        ({"phase": -1}, "phase is -1"),
        ({"step": 7}, "step 7 is not the sum"),
        ({"log_position": -5}, "log_position is -5"),
        ({"log_position": 10**9}, "the file was changed or replaced"),
        ({"stream": -3}, "stream is -3"),
    ],
)
def test_a_place_where_no_training_can_be_is_refused(tmp_path: Path, change: dict[str, int], reason: str) -> None:
    """A whole checkpoint, so nothing is done without the user, and no failure of the model is recorded."""
    resolved = toy()
    checkpoint = stopped(resolved, tmp_path, 3)
    data = resolved.task.load()
    model = resolved.model_class(resolved.model_config, data.spec)
    stream = BatchStream(data.train, 16, shuffle=True, seed=0, device=torch.device("cpu"))
    state = load_checkpoint(checkpoint, model, stream, stream.device)
    for name, value in change.items():
        if name == "stream":
            stream.restore(value)
        else:
            setattr(state, name, value)
    save_checkpoint(checkpoint, model, stream, state)
    with pytest.raises(CheckpointError, match=rf"{reason}.*delete .*checkpoint\.pt to train from|{reason}.*delete it"):
        run(resolved, tmp_path)
    assert not (checkpoint.parent / "record.json").exists()
    assert checkpoint.exists()


def test_a_trained_model_is_loaded_from_its_folder(tmp_path: Path) -> None:
    resolved = toy()
    run(resolved, tmp_path)
    model, data, _ = load_run(resolved.folder(tmp_path), model_file=TOY)
    assert draw(model, 5, seed=1).shape == (5, data.spec.max_len)
    with pytest.raises(ValueError, match=r"no record\.json"):
        load_run(tmp_path)
    other = toy(task_settings={"vocab_size": 50})
    with pytest.raises(ValueError, match="does not fit"):
        load_weights(
            resolved.folder(tmp_path) / "weights.safetensors",
            other.model_class(other.model_config, other.task.load().spec),
            torch.device("cpu"),
        )


def test_weights_are_saved_however_they_lie_in_memory(tmp_path: Path) -> None:
    """Transposed, tied and part of a larger tensor: a model is not lost for that when it is trained."""

    class Odd(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.transposed = torch.nn.Parameter(torch.randn(3, 2).t())
            self.tied = self.transposed
            self.register_buffer("part", torch.randn(4, 4)[:, 1])

    odd, other = Odd(), Odd()
    save_weights(tmp_path / "weights.safetensors", odd)
    load_weights(tmp_path / "weights.safetensors", other, torch.device("cpu"))
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in odd.state_dict().items())
    assert other.transposed.stride() == odd.transposed.stride()


def test_the_stream_is_the_seed_and_the_position() -> None:
    sentences = np.arange(40).reshape(10, 4)

    def stream(seed: int, shuffle: bool = True) -> BatchStream:
        return BatchStream(sentences, 3, shuffle=shuffle, seed=seed, device=torch.device("cpu"))

    one = stream(0)
    epochs = [torch.cat([next(one) for _ in range(3)]) for _ in range(2)]
    assert one.sentences_taken == 18
    assert len({tuple(row) for row in epochs[0].tolist()}) == 9
    assert not torch.equal(epochs[0], epochs[1])
    two = stream(0)
    two.restore(3)
    assert torch.equal(torch.cat([next(two) for _ in range(3)]), epochs[1])
    assert not torch.equal(next(stream(1)), epochs[0][:3])
    assert torch.equal(next(stream(1, shuffle=False)), torch.from_numpy(sentences[:3]))
    with pytest.raises(ValueError, match="less than one batch of 11"):
        BatchStream(sentences, 11, shuffle=False, seed=0, device=torch.device("cpu"))


def test_isolated_leaves_the_generators_as_they_were() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    with isolated(9):
        inside = torch.rand(4)
    assert torch.equal(torch.rand(4), expected)
    with isolated(9):
        assert torch.equal(torch.rand(4), inside)
    assert len({derive(s, p) for s in range(50) for p in ("model", "samples", "batches")}) == 150


def test_a_record_is_read_strictly(tmp_path: Path) -> None:
    record: RunRecord = run(toy(), tmp_path)
    path = tmp_path / "record.json"
    good = json.loads(record.to_json())
    cases: list[tuple[dict[str, Any], str]] = [
        ({"schema_version": 99}, "schema_version 99"),
        ({"status": "fine"}, "record.status must be one of completed, failed"),
        ({"seed": "0"}, "record.seed must be int"),
        ({"surprise": 1}, "unknown field 'surprise'"),
        ({"phases": [{"name": "mle"}]}, r"record.phases[0] lacks 'steps'"),
    ]
    for change, expected in cases:
        path.write_text(json.dumps({**good, **change}))
        with pytest.raises(ValueError) as caught:
            read_record(path)
        assert expected in str(caught.value)
    path.write_text(record.to_json().replace(repr(record.phases[0].seconds), "NaN"))
    with pytest.raises(ValueError, match="NaN"):
        read_record(path)
    path.write_text("{")
    with pytest.raises(ValueError, match="not a run record"):
        read_record(path)
