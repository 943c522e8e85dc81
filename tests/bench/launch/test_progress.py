"""Progress that is true: the time left from steps and evaluations, units, what failed, and what came out."""

from __future__ import annotations

import io
import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock
from helpers.paths import TOY
from rich.console import Console
from rich.text import Text

from bench.config import Resolved, RunConfig
from bench.launch import workers
from bench.launch.findings import came_out
from bench.launch.options import LaunchOptions
from bench.launch.progress import Display, PlannedRun, TimeLeft, bars
from bench.launch.start import BudgetSpent, start, summary, until
from bench.launch.workers import Outcome, launch
from bench.record import read_record
from bench.run import runner
from bench.run.evaluator import Evaluating
from bench.run.runner import run, run_start
from bench.run.trainer import Interrupted
from bench.run_folder import LOCK, RECORD
from bench.terminal import SafeConsole, counted
from bench.tracking.diary import TrainingValues


def toy(**settings: object) -> Resolved:
    values = {"model": TOY, "task": "oracle_lstm", "scale": "smoke", "n_samples": 200, **settings}
    return RunConfig.model_validate(values).resolve()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_time_left_comes_from_steps_and_evaluations_of_all_runs() -> None:
    """Two phases of 100 steps, 1 s and 3 s each; an evaluation after each takes 10 s: 420 s a run."""
    clock = Clock()
    runs = [PlannedRun(title=str(i), row="row", steps={"mle": 100, "adversarial": 100}) for i in range(3)]
    left = TimeLeft(runs, clock=clock)
    assert left.seconds() is None, "nothing was seen"
    left.step(0, "mle", 1)
    clock.now = 49.0
    left.step(0, "mle", 50)
    assert left.seconds() == (50 + 100 + 100, False), "of the other phase and evaluations nothing is known"
    clock.now = 99.0
    left.step(0, "mle", 100)
    left.evaluating(0, Evaluating("mle", "drawing", 0.0, 0))
    clock.now = 109.0
    left.evaluating(0, Evaluating("mle", "done", 1.0, 0))
    left.step(0, "adversarial", 1)
    clock.now = 139.0
    left.step(0, "adversarial", 11)
    assert left.seconds() == (pytest.approx(89 * 3 + 10 + 2 * 420), True)
    left.ended(0, {"mle": 1.0, "adversarial": 3.0})
    assert left.seconds() == (pytest.approx(2 * 420), True)
    left.ended(1, {})
    left.ended(2, {})
    assert left.seconds() is None


def test_runs_side_by_side_take_the_time_of_the_longest_at_least() -> None:
    clock = Clock()
    runs = [PlannedRun(title=str(i), row="row", steps={"a": 100}) for i in range(4)]
    left = TimeLeft(runs, jobs=2, clock=clock)
    left.ended(3, {"a": 1.0})
    assert left.seconds() == (150, False)
    left.ended(2, {"a": 1.0})
    left.ended(1, {"a": 1.0})
    assert left.seconds() == (100, False)


def test_evaluations_are_counted_as_the_trainer_does_them() -> None:
    for every in (0, 7, 10, 25):
        planned = PlannedRun(title="", row="", steps={"mle": 30, "adversarial": 20}, evaluate_every=every)
        trained = [step for step in range(1, 51) if every and step % every == 0 and step not in (30, 50)]
        expected = len(trained) + 2
        assert abs(planned.evaluations_after(0, 0) - expected) <= 1, every
    assert PlannedRun(title="", row="", steps={"a": 5}, temperatures=5).evaluations_after(0, 5) == 5


def shown(display: Display, progress: object) -> str:
    screen = io.StringIO()
    Console(file=screen, width=200).print(progress)
    return " ".join(screen.getvalue().split())


def test_bars_name_their_units_and_times_and_show_what_is_logged() -> None:
    progress = bars(Console(file=io.StringIO(), width=200))
    display = Display(progress, [PlannedRun(title="mle · seed 0", row="r", steps={"mle": 40}) for _ in range(2)])
    display.step(0, "mle", 21, 40)
    display.news(0, TrainingValues(phase="mle", step=21, values={"entropy": 1.0, "g_loss": 2.3456, "reward": 0.5}))
    found = shown(display, progress)
    assert "0/2 runs" in found
    assert "mle · seed 0 · mle" in found
    assert "21/40 steps" in found
    assert "g_loss 2.35 reward 0.5" in found
    assert "elapsed" in found
    display.news(0, Evaluating("mle", "scoring self_bleu", 0.4, 0))
    found = shown(display, progress)
    assert "evaluation after mle" in found
    assert "scoring self_bleu" in found
    display.ended(0, "failed", Text(), {})
    display.ended(1, "failed", Text(), {})
    found = shown(display, progress)
    assert "0/2 runs 2 failed" in found
    assert "left" not in found


def test_a_run_tells_of_values_and_evaluations(tmp_path: Path) -> None:
    news: list[object] = []
    run(toy(log_every=10, temperatures=(0.5,)), tmp_path, on_news=news.append)
    evaluations = [event for event in news if isinstance(event, Evaluating)]
    assert [event.phase for event in evaluations if event.what == "done"] == ["mle", "adversarial", "adversarial"]
    assert [event.left for event in evaluations if event.what == "drawing"] == [0, 1, 0]
    assert "scoring nll_oracle" in [event.what for event in evaluations]
    shares = [event.done for event in evaluations[: next(i for i, e in enumerate(evaluations) if e.what == "done")]]
    assert shares == sorted(shares)
    assert {"loss"} == {name for event in news if isinstance(event, TrainingValues) for name in event.values}


class StopAt:
    """Asks for a stop from the n-th part of an evaluation on."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.heard = 0

    def news(self, event: object) -> None:
        self.heard += isinstance(event, Evaluating)

    def __call__(self) -> bool:
        return self.heard == self.n


@pytest.mark.parametrize("settings", [{}, {"evaluate_every": 11}, {"temperatures": (0.5,)}])
def test_a_stop_in_any_evaluation_costs_nothing_but_its_own_time(tmp_path: Path, settings: dict[str, object]) -> None:
    resolved = toy(**settings)
    whole = run(resolved, tmp_path / "whole")
    told: list[str] = []
    for number in range(1, 200):
        stop = StopAt(number)
        try:
            run(resolved, tmp_path / "cut", on_news=stop.news, should_stop=stop)
        except Interrupted as interrupted:
            told.append(str(interrupted))
        else:
            break
    assert sum("stopped in the evaluation after step" in line for line in told) > 3
    assert run(resolved, tmp_path / "cut").content() == whole.content()
    for name in ("samples.txt", "weights.safetensors"):
        kept, cut = (resolved.folder(tmp_path / place) / name for place in ("whole", "cut"))
        assert kept.read_bytes() == cut.read_bytes()


def launched(resolved: list[Resolved], runs: Path) -> tuple[list[Outcome], str]:
    screen = io.StringIO()
    outcomes = launch(resolved, LaunchOptions(runs=runs), console=Console(file=screen, width=250))
    return outcomes, " ".join(screen.getvalue().split())


def test_what_is_there_is_said_to_be_there_and_what_failed_is_counted(tmp_path: Path) -> None:
    resolved = [toy(), toy(model_settings={"raise_at": 2})]
    outcomes, found = launched(resolved, tmp_path)
    assert "1/2 runs 1 failed" in found
    assert "already there" not in found
    assert summary(outcomes, tmp_path) == f"2 runs in {tmp_path}: 1 completed, 1 failed"
    outcomes, found = launched(resolved[:1], tmp_path)
    assert "already there, not trained again" in found
    assert "1/1 run " in found
    assert summary(outcomes, tmp_path) == f"1 run in {tmp_path}: 1 already there"
    assert (counted(1, "run"), counted(1000, "run")) == ("1 run", "1,000 runs")


def test_commands_with_one_folder_share_the_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process is at comes last, and by then it may be done."""
    monkeypatch.setattr(runner, "_LOCK_SECONDS", 0)
    resolved = [toy(seed=seed) for seed in range(3)]
    folders = [each.folder(tmp_path) for each in resolved]
    folders[0].mkdir()
    with FileLock(folders[0] / LOCK):
        outcomes, found = launched(resolved, tmp_path)
    assert [outcome.status for outcome in outcomes] == ["elsewhere", "completed", "completed"]
    assert f"{resolved[0].title()} {folders[0]} is being trained by another process" in found
    assert found.index(resolved[1].title()) < found.index(resolved[2].title()) < found.index(str(folders[0]))
    assert "failed" not in found
    assert summary(outcomes, tmp_path) == f"3 runs in {tmp_path}: 1 elsewhere, 2 completed"
    assert not (folders[0] / "error.txt").exists()

    elsewhere = FileLock(folders[0] / LOCK)
    elsewhere.acquire()
    monkeypatch.setattr(runner, "run_start", lambda *told: (elsewhere.release(force=True), run_start(*told))[1])
    outcomes, _ = launched([resolved[0], toy(seed=3)], tmp_path)
    assert [outcome.status for outcome in outcomes] == ["completed", "completed"]
    created = [read_record(each.folder(tmp_path) / RECORD).created_at for each in (resolved[0], toy(seed=3))]
    assert created[1] < created[0]


def test_a_folder_of_runs_that_is_only_read_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = toy()
    run(resolved, tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(workers, "is_being_trained", lambda _: pytest.fail("asked its lock"))
    outcomes, _ = launched([resolved], tmp_path)
    assert summary(outcomes, tmp_path).endswith("1 already there")


def test_what_another_process_ends_while_it_is_waited_for_was_not_trained_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved = toy()
    run(resolved, tmp_path / "elsewhere")
    real = runner.FileLock

    def ended_meanwhile(path: Path, timeout: float) -> FileLock:
        shutil.copy(resolved.folder(tmp_path / "elsewhere") / RECORD, path.parent)
        return real(path, timeout=timeout)

    monkeypatch.setattr(runner, "FileLock", ended_meanwhile)
    outcomes, found = launched([resolved], tmp_path)
    assert "already there, not trained again" in found
    assert summary(outcomes, tmp_path).endswith("1 already there")


def test_nothing_started_fills_no_bar(tmp_path: Path) -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=200)
    outcomes = launch([toy(), toy(seed=1)], LaunchOptions(runs=tmp_path, deadline=1.0), console=console)
    found = " ".join(screen.getvalue().split())
    assert "0/2 runs 2 stopped" in found
    assert "steps/s" not in found
    assert summary(outcomes, tmp_path).endswith("2 not started")


def test_a_control_that_must_collapse_alarms_nobody(tmp_path: Path) -> None:
    settings = {"model": "repeat_one", "task": "grammar", "scale": "smoke", "n_samples": 50, "metrics": ["unique"]}
    resolved = RunConfig.model_validate(settings).resolve()
    _, found = launched([resolved], tmp_path)
    assert "collapsed, as this control must" in found
    assert "ALARM" not in found
    assert [alarm.kind for alarm in run(resolved, tmp_path).alarms] == ["collapse"], "the record has it"
    _, found = launched([toy(alarm_entropy=1.0, alarm_unique=0.0, model_settings={"lr": 3.0})], tmp_path)
    assert "ALARM collapse" in found


def test_an_alarm_is_told_when_it_goes_off(tmp_path: Path) -> None:
    for jobs in (("cpu",), ("cpu", "cpu")):
        settings = {"alarm_entropy": 1.0, "alarm_unique": 0.0, "model_settings": {"lr": 3.0}}
        runs = [toy(seed=seed, **settings) for seed in range(len(jobs))]
        screen = io.StringIO()
        options = LaunchOptions(runs=tmp_path / str(len(jobs)), slots=jobs)
        launch(runs, options, console=Console(file=screen, width=500))
        lines = screen.getvalue().splitlines()
        for seed in range(len(jobs)):
            of_run = [line for line in lines if f"seed {seed}" in line and line.startswith(("ALARM", "completed"))]
            assert [line.split()[0] for line in of_run] == ["ALARM", "ALARM", "completed"]
            assert "collapse in mle, step" in of_run[0]
            assert "it goes on (--set on_alarm=stop ends it)" in of_run[0]


def test_the_end_of_a_command_says_what_came_out(tmp_path: Path) -> None:
    mle = {"model": "mle", "task": "grammar", "scale": "smoke", "n_samples": 100, "metrics": ["bleu", "unique"]}
    ours = {**mle, "model": TOY}
    options = LaunchOptions(runs=tmp_path)
    console = SafeConsole(quiet=True)
    start([RunConfig.model_validate(mle).resolve()], options, console=console)
    resolved = [RunConfig.model_validate({**ours, "seed": seed}).resolve() for seed in (0, 1)]
    outcomes = start(resolved, options, console=console)
    lines = list(came_out(resolved, outcomes, tmp_path))
    text = "\n".join(lines)
    assert "grammar: scores at the end, mean ± 95% over seeds" in text
    head, better, real, before, row = lines[2:7]
    assert head.split() == ["bleu_5", "unique"]
    assert better.split() == ["better", "higher", "as", "real"]
    assert real.split()[:2] == ["real", "text"]
    assert before.split("  ")[1].strip() == "mle · smoke, trained before"
    assert "toy_gan.py:ToyGAN · smoke" in row
    assert row.count("±") == 2
    folder = resolved[0].folder(tmp_path)
    assert f"seed 0 · smoke: {folder}" in text
    samples = (folder / "samples.txt").read_text().splitlines()
    assert samples[2][1:15] in text
    assert samples[3][1:40] not in text
    many = [toy(model_settings={"mle_steps": n}, metrics=["unique"]) for n in range(1, 7)]
    lines = list(came_out(many, start(many, options, console=console), tmp_path))
    assert len(lines) == 11, "a line for each row, no samples"
    assert all(str(each.folder(tmp_path)) in "\n".join(lines) for each in many)


def test_what_came_out_stands_beside_rows_of_as_many_sentences(tmp_path: Path) -> None:
    """Scores move with the number of sentences: another number is no row beside, and real text has its own."""
    mle = {"model": "mle", "task": "grammar", "scale": "smoke", "metrics": ["bleu", "self_bleu"]}
    console, options = SafeConsole(quiet=True), LaunchOptions(runs=tmp_path)

    def rows(model: str, n: int) -> tuple[dict[str, list[str]], str]:
        resolved = [RunConfig.model_validate({**mle, "model": model, "n_samples": n}).resolve()]
        lines = list(came_out(resolved, start(resolved, options, console=console), tmp_path))
        parts = [line.strip().split("  ") for line in lines[2:8] if line.startswith("  ")]
        return {name: [value.strip() for value in values if value] for name, *values in parts}, "\n".join(lines)

    few, _ = rows("mle", 20)
    many, _ = rows("mle", 200)
    assert few["real text"] != many["real text"]
    assert "mle · smoke, trained before" not in many
    again, text = rows(TOY, 20)
    assert again["real text"] == few["real text"]
    assert again["mle · smoke, trained before"] == few["mle · smoke"]
    assert "None" not in text
    more, _ = rows(TOY, 5_000)
    assert "mle · smoke, trained before" not in more
    (name,) = (name for name in more if name.startswith("real text"))
    assert name == "real text (640 sentences)"


def test_what_gave_no_score_is_said_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.launch.findings._main_keys", lambda *_: [])
    settings = {
        "model": "ngram",
        "task": "grammar",
        "scale": "smoke",
        "n_samples": 50,
        "metrics": ["nll_bound"],
    }
    resolved = [RunConfig.model_validate(settings).resolve()]
    outcomes = start(resolved, LaunchOptions(runs=tmp_path), console=SafeConsole(quiet=True))
    found = [line for line in came_out(resolved, outcomes, tmp_path) if "absent" in line]
    reason = outcomes and read_record(outcomes[0].folder / RECORD).final().skipped["nll_bound"]  # type: ignore[union-attr]
    assert found == [f"  absent: nll_bound: {reason}"]


def test_the_budget_ends_what_may_be_cut() -> None:
    begun = time.monotonic()
    with pytest.raises(BudgetSpent), until(time.time() + 0.2):
        while time.monotonic() < begun + 20:
            pass
    assert time.monotonic() < begun + 5
    with pytest.raises(BudgetSpent), until(time.time() - 1):
        raise AssertionError("begun after the deadline")
    with until(float("inf")):
        pass
    time.sleep(0.3)  # no timer is left


def test_a_budget_too_small_for_the_set_up_begins_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracking = SimpleNamespace(
        check=lambda: None, tracker="mlflow", prepared=lambda: pytest.fail("set up"), hint=lambda: ""
    )
    options = LaunchOptions(runs=tmp_path, tracking=tracking, deadline=time.time() + 10)  # type: ignore[arg-type]
    outcomes = start([toy(metrics=["unique"])], options, console=SafeConsole(quiet=True))
    assert [(outcome.status, outcome.trained, outcome.at_deadline) for outcome in outcomes] == [
        ("stopped", False, True)
    ]
