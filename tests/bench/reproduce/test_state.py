"""What `reproduce` finds among records, plans, trains, stops, goes on with, and says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.paths import TOY
from helpers.published import write_published
from scipy import stats

from bench.config import Resolved
from bench.record import Evaluation, PhaseCost, RunRecord, Score
from bench.reproduce import presets
from bench.reproduce import report as reproduce_report
from bench.reproduce.plan import make_plan, seconds_left
from bench.reproduce.presets import Preset, read_preset
from bench.reproduce.state import Found, read_found, state_of, state_of_row
from bench.reproduce.verdict import judge
from bench.run.checkpoint import read_state
from bench.run.runner import run
from bench.run.trainer import Interrupted
from bench.run_settings import RunSettings
from bench.seeds import mean_over_seeds

TEXT = f"""
description = "A toy."
seeds = [0, 1, 2]
n_samples = 200
task = "oracle_lstm"
[tasks.oracle_lstm]
vocab_size = 100
hidden_size = 16
length = 8
n_train = 512
n_valid = 128
n_test = 512
[[runs]]
model = "{TOY}"
label = "the toy"
evaluate_every = 10
shown = ["unique"]
[[runs.expected]]
published = "paper/toy/a"
[[runs.expected]]
published = "log/toy/a"
where = "best"
[[runs.expected]]
published = "log/toy/a"
where = "phase:mle"
[[runs.expected]]
published = "log/toy/a"
where = "step:40"
[[real_text]]
label = "its own text"
task = "oracle_lstm"
task_settings = {{ vocab_size = 100, hidden_size = 16, length = 8, n_train = 512, n_valid = 128, n_test = 512 }}
metrics = ["nll_oracle"]
n_samples = 100
[[real_text.expected]]
published = "paper/toy/real"
tolerance = 0.5
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Preset:
    numbers = ({"id": "paper/toy/a"}, {"id": "log/toy/a"}, {"id": "paper/toy/real", "value": "3.5"})
    write_published(tmp_path / "published", *numbers, patch=monkeypatch)
    folder = tmp_path / "paper"
    folder.mkdir()
    (folder / "toy.toml").write_text(TEXT)
    monkeypatch.setattr(presets, "PAPER", folder)
    return read_preset("toy")


def score(value: float, *, samples: int = 200, version: int = 1) -> Score:
    return Score(value=value, metric="nll_oracle", settings={"samples": samples, "v": version}, better="real")


def evaluation(value: float, at: Any = "end", phase: str = "adversarial", step: int = 50, **more: Any) -> Evaluation:
    return Evaluation(phase=phase, step=step, at=at, temperature=1.0, scores={"nll_oracle": score(value, **more)})


def made(preset: Preset, seed: int, value: float, **changes: Any) -> RunRecord:
    """A record of the toy's row as a run would have written it."""
    resolved = preset.rows[0].resolved
    record = RunRecord(
        run_id=f"run-{seed}",
        config_hash=resolved.config_hash,
        created_at="2026-01-01T00:00:00Z",
        status="completed",
        origin="run",
        model=preset.rows[0].model,
        model_config=resolved.model_settings,
        scale="paper",
        task="oracle_lstm",
        task_version=1,
        task_config=resolved.task_settings,
        data_sha256="d" * 64,
        seed=seed,
        evaluations=(
            evaluation(value + 1, "cadence", "mle", 10),
            evaluation(value + 0.5, "phase_end", "mle", 30),
            evaluation(value - 0.2, "cadence", "adversarial", 40),
            evaluation(value),
        ),
        phases=(
            PhaseCost(name="mle", steps=30, seconds=3.0, real_sentences=480),
            PhaseCost(name="adversarial", steps=20, seconds=10.0, real_sentences=0),
        ),
        environment={"device": "cpu"},
    )
    return replace(record, **changes)


def found(*records: RunRecord) -> Found:
    return Found(records, (), ())


def verdicts(preset: Preset, *records: RunRecord) -> list[tuple[str, str]]:
    judgements = [result.judgement for result in state_of_row(preset.rows[0], found(*records)).results]
    return [(judgement.verdict, judgement.reason) for judgement in judgements]


def test_each_number_is_compared_with_the_state_it_speaks_of(toy: Preset) -> None:
    state = state_of_row(toy.rows[0], found(*(made(toy, seed, 4.0 + 0.01 * seed) for seed in range(3))))
    assert state.done == (0, 1, 2)
    end, best, after, step, shown = state.results
    assert list(end.values.values()) == pytest.approx([4.0, 4.01, 4.02])
    assert list(best.values.values()) == pytest.approx([3.8, 3.81, 3.82])
    assert list(after.values.values()) == pytest.approx([4.5, 4.51, 4.52])
    assert list(step.values.values()) == pytest.approx([3.8, 3.81, 3.82])
    assert end.judgement.verdict == "consistent"  # 4.01 +- 4.303 x .01 x sqrt(4 / 3)
    assert (end.judgement.low, end.judgement.high) == pytest.approx((3.96032, 4.05968), abs=1e-5)
    assert [r.judgement.verdict for r in (best, after, step)] == ["differs"] * 3
    assert shown.judgement.verdict == "not run"  # the records were made before `unique` was asked for
    assert shown.judgement.reason == "seed 0, 1, 2: no unique: it was not measured"


def test_what_steps_returned_is_compared_like_a_score(toy: Preset) -> None:
    """Of the state that the number names; a record that has none of it says so, and the number stays open."""
    number = replace(toy.rows[0].numbers[3], key="loss", step_value="manager_loss")
    row = replace(toy.rows[0], numbers=(number,), control=toy.rows[0])

    def trained(seed: int, **step_values: float) -> RunRecord:
        record = made(toy, seed, 9.0)
        there = [replace(e, step_values=step_values) if e.step == 40 else e for e in record.evaluations]
        return replace(record, evaluations=tuple(there))

    (result,) = state_of_row(row, found(*(trained(seed, manager_loss=4.0 + 0.01 * seed) for seed in range(3)))).results
    assert result.values == pytest.approx({0: 4.0, 1: 4.01, 2: 4.02})
    assert (result.judgement.verdict, result.control) == ("consistent", None)
    other = [trained(0, manager_loss=4.0), trained(1, worker_loss=4.0), trained(2)]
    (result,) = state_of_row(row, found(*other)).results
    assert result.values == {0: 4.0}
    assert result.judgement.verdict != "consistent"
    assert "seed 1: no manager_loss among what steps returned" in result.judgement.reason
    assert "seed 2: no manager_loss kept: the record is older, or no step was taken" in result.judgement.reason
    (result,) = state_of_row(row, found(*(trained(seed) for seed in range(3)))).results
    assert result.judgement.verdict == "not run"


def test_not_run_partly_run_and_too_few_seeds(toy: Preset) -> None:
    assert {verdict for verdict, _ in verdicts(toy)} == {"not run"}
    assert verdicts(toy, made(toy, 0, 4.0), made(toy, 1, 4.0))[0] == ("undecided", "2 of 3 seeds")


def test_seeds_that_the_preset_does_not_fix_change_nothing(toy: Preset) -> None:
    """Also where they would have made the number consistent, and where their run failed."""
    three = [made(toy, seed, 5.0 + 0.01 * seed) for seed in range(3)]
    others = [made(toy, seed, 4.0) for seed in (3, 4)]
    failed = made(toy, 5, 4.0, status="failed", error="E")
    alone, more = (state_of_row(toy.rows[0], found(*records)) for records in (three, [*three, *others, failed]))
    assert more.results == alone.results
    assert alone.results[0].judgement.verdict == "differs"
    assert (more.done, more.failed) == ((0, 1, 2, 3, 4), (5,))
    lines = list(reproduce_report.list_lines([state_of(toy, found(*three, *others))]))
    assert lines[1].startswith("  the toy: seeds 0, 1, 2 done; seeds 3, 4 not counted; ")


def test_what_the_first_seeds_said_is_kept_beside_what_all_say(toy: Preset) -> None:
    row = replace(toy.rows[0], seeds=(0, 1, 2, 3, 4, 5), added_seeds=(3, 4, 5))
    values = [4.10, 4.11, 4.12, 3.9, 4.0, 3.95]
    first = state_of_row(row, found(*(made(toy, seed, value) for seed, value in enumerate(values)))).results[0]
    assert first.at_first is not None
    assert (first.at_first.verdict, first.judgement.verdict) == ("differs", "consistent")
    reported = row.numbers[0].reported
    assert reported is not None
    of_two_looks = [judge(reported, mean_over_seeds(seen), n_fixed=3, looks=2) for seen in (values[:3], values)]
    assert [first.at_first, first.judgement] == of_two_looks
    states = [
        state_of(replace(toy, rows=(row, *toy.rows[1:])), found(*(made(toy, i, v) for i, v in enumerate(values))))
    ]
    text = reproduce_report.markdown(states)
    assert "| toy | the toy | 0, 1, 2 | 3, 4, 5 | 4 differs | 3 consistent, 1 differs |" in text


def control_of(toy: Preset, values: list[float]) -> tuple[Preset, list[RunRecord]]:
    """The toy with a control, which is the toy with another learning rate, and the control's records."""
    control = replace(toy.at(overrides={"lr": 0.2}).rows[0], departures=(), label="the control")
    number = replace(toy.rows[0].numbers[0], minus=(replace(toy.rows[0].numbers[0].published[0], value="4.5"),))
    row = replace(toy.rows[0], control=control, numbers=(number, *toy.rows[0].numbers[1:]))
    records = [made(replace(toy, rows=(control,)), seed, value) for seed, value in enumerate(values)]
    return replace(toy, rows=(row, control)), records


def test_the_control_is_judged_in_the_models_place_and_subtracted(toy: Preset) -> None:
    with_control, theirs = control_of(toy, [4.5, 4.51, 4.52])
    ours = [made(toy, seed, 4.0 + 0.01 * seed) for seed in range(3)]
    (first, *others) = state_of_row(with_control.rows[0], found(*ours, *theirs)).results
    assert first.control is not None
    assert (first.judgement.verdict, first.control.verdict) == ("consistent", "differs")
    assert first.difference is not None
    assert (first.difference.published, first.difference.measured) == pytest.approx((-0.5, -0.5))
    assert first.difference.half_width == pytest.approx(2.776445 * 0.01 * (2 / 3) ** 0.5, abs=1e-6)  # t(4)
    assert first.difference.judgement.verdict == "consistent"
    assert all(each.difference is None for each in others)
    lines = "\n".join(reproduce_report.result_lines(state_of(with_control, found(*ours, *theirs))))
    assert (
        "consistent; control the control: differs; minus control -0.5 published, -0.5000 ± 0.0227 here: cons" in lines
    )


def test_two_looks_are_two_looks_of_the_control_and_of_the_difference_too(toy: Preset) -> None:
    with_control, theirs = control_of(toy, [4.5, 4.51, 4.52])
    ours = [made(toy, seed, 4.0 + 0.01 * seed) for seed in range(3)]
    once = with_control.rows[0]
    found_of = {
        looks: state_of_row(row, found(*ours, *theirs)).results[0]
        for looks, row in ((1, once), (2, replace(once, added_seeds=(2,))))
    }
    reported = once.numbers[0].reported
    mean = mean_over_seeds([4.5, 4.51, 4.52])
    assert reported is not None
    for looks, result in found_of.items():
        assert result.control == judge(reported, mean, n_fixed=3, looks=looks)
    widths = []
    for result in found_of.values():
        assert result.difference is not None
        low, high = result.difference.judgement.low, result.difference.judgement.high
        assert low is not None
        assert high is not None
        widths.append(high - low)
    t = stats.t.ppf([0.975, 0.9875], 4)
    assert widths[1] / widths[0] == pytest.approx(t[1] / t[0])


def test_a_control_that_is_consistent_too_says_so(toy: Preset) -> None:
    with_control, theirs = control_of(toy, [4.02, 4.0, 3.99])
    ours = [made(toy, seed, 4.0 + 0.01 * seed) for seed in range(3)]
    states = [state_of(with_control, found(*ours, *theirs))]
    first = states[0].rows[0].results[0]
    assert first.difference is not None
    assert first.difference.judgement.verdict == "differs"  # -.5 was published
    text = reproduce_report.markdown(states)
    listed = text.partition("What differs:")[2].partition("##")[0].splitlines()[4:-1]
    assert [" differs |" in line for line in listed if line] == [True] * (len(listed) - listed.count(""))
    assert "| consistent | -0.5 published, +0.0067 ± 0.0312 here: differs |" in listed[0]
    assert "| consistent | consistent too | -0.5 published, +0.0067 ± 0.0312 here: differs |" in text
    assert "Of 1 consistent number of models with a control, 1 would be consistent with the control too." in text
    document = json.loads(reproduce_report.as_json(states))["presets"][0]["rows"][0]["numbers"][0]
    assert (document["control"]["verdict"], document["minus_control"]["verdict"]) == ("consistent", "differs")


def test_a_control_that_is_not_run_or_lacks_seeds_decides_nothing(toy: Preset) -> None:
    with_control, theirs = control_of(toy, [4.5, 4.51, 4.52])
    ours = [made(toy, seed, 4.0) for seed in range(3)]
    alone = state_of_row(with_control.rows[0], found(*ours)).results[0]
    assert (alone.control, alone.difference) == (None, None)
    few = state_of_row(with_control.rows[0], found(*ours, *theirs[:2])).results[0]
    assert few.control is not None
    assert few.difference is not None
    assert (few.control.verdict, few.difference.judgement.verdict) == ("undecided", "undecided")


def test_several_published_runs_are_one_mean(toy: Preset) -> None:
    number = toy.rows[0].numbers[0]
    runs = tuple(replace(number.published[0], value=value) for value in ("4.2", "4.3", "4.1"))
    row = replace(toy.rows[0], numbers=(replace(number, published=runs),))
    (result,) = state_of_row(row, found(*(made(toy, seed, 4.19 + 0.01 * seed) for seed in range(3)))).results
    assert result.judgement.verdict == "consistent"
    states = [state_of(replace(toy, rows=(row,)), found())]
    assert "| nll_oracle | 4.2000, mean of 3 runs, sd 0.1000 |" in reproduce_report.markdown(states)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "failed", "error": "E"}, "failed: seed 2"),
        ({"data_sha256": "e" * 64}, "seeds have different data"),
        ({"evaluations": (evaluation(4.0, samples=50),)}, "nll_oracle of 50 samples, asked for are 200"),
        ({"evaluations": (evaluation(4.0, version=0),)}, "nll_oracle is now of version 1, the record's of 0"),
        ({"evaluations": ()}, "seed 2: no evaluation at temperature 1"),
    ],
)
def test_what_speaks_against_a_comparison_is_said(toy: Preset, change: dict[str, Any], reason: str) -> None:
    records = [made(toy, seed, 4.0) for seed in (0, 1, 3)]
    verdict, why = verdicts(toy, *records, made(toy, 2, 4.0, **change))[0]
    assert verdict == "not comparable"
    assert reason in why


@pytest.mark.parametrize(
    "change",
    [
        {"model": "mle"},
        {"task": "grammar"},
        {"task_version": 2},
        {"scale": "small"},
        {"origin": "samples"},
        {"model_config": {"lr": 0.5}},
        {"model_config": {"lr": 0.05, "gone": 1}},
        {"task_config": {"length": 9}},
        {"run": RunSettings(last_phase="mle")},
        {"run": RunSettings(selection="validation")},
        {"run": RunSettings(fp32_precision="bf16")},
    ],
)
def test_a_record_of_something_else_is_none_of_the_row(toy: Preset, change: dict[str, Any]) -> None:
    if "model_config" in change:
        change = {"model_config": {**toy.rows[0].resolved.model_settings, **change["model_config"]}}
    if "task_config" in change:
        change = {"task_config": {**toy.rows[0].resolved.task_settings, **change["task_config"]}}
    assert state_of_row(toy.rows[0], found(made(toy, 0, 4.0, **change))).done == ()


def test_the_time_of_a_phase_is_also_that_of_a_training_which_ended_with_it(toy: Preset, tmp_path: Path) -> None:
    usual, row = RunSettings(), toy.rows[0]
    assert state_of_row(row, found(made(toy, 0, 4.0, run=usual))).done == (0,)
    alone = made(toy, 0, 4.0, run=usual.model_copy(update={"last_phase": "mle"}))
    (plan,) = make_plan(toy, found(replace(alone, phases=alone.phases[:1])), tmp_path)
    assert [phase.seconds_per_step for phase in plan.phases] == [0.1, None]


def test_a_setting_newer_than_the_record_must_stand_at_its_default(toy: Preset) -> None:
    settings = dict(toy.rows[0].resolved.model_settings)
    settings.pop("raise_at")
    record = made(toy, 0, 4.0, model_config=settings)
    assert state_of_row(toy.rows[0], found(record)).done == (0,)
    other = toy.at(overrides={"raise_at": 1_000})
    assert state_of_row(other.rows[0], found(record)).done == ()


def test_the_newest_record_of_each_seed_counts(toy: Preset) -> None:
    old, new = made(toy, 0, 5.0), made(toy, 0, 4.0, created_at="2026-02-01T00:00:00Z")
    failed = made(toy, 0, 3.0, status="failed", created_at="2026-03-01T00:00:00Z")
    for order in ([old, new], [new, old]):
        state = state_of_row(toy.rows[0], found(*order))
        assert (state.done, state.failed, state.results[0].values) == ((0,), (), {0: 4.0})
    for order in ([old, new, failed], [failed, new, old]):
        state = state_of_row(toy.rows[0], found(*order))
        assert (state.done, state.failed, state.results[0].values) == ((), (0,), {})


def test_best_needs_evaluations_on_the_way(toy: Preset) -> None:
    records = [made(toy, seed, 4.0, evaluations=(evaluation(4.0),)) for seed in range(3)]
    verdict, reason = verdicts(toy, *records)[1]
    assert verdict == "not comparable"
    assert "no evaluation on the way" in reason


def test_a_rehearsal_decides_nothing_and_says_so_in_every_line(toy: Preset) -> None:
    small = toy.at("small")
    records = [made(small, seed, 4.0, scale="small") for seed in range(3)]
    for kept in ([], records):
        state = state_of_row(small.rows[0], found(*kept))
        for result in state.results:
            assert result.judgement.verdict == "not comparable"
            assert "scale small, not the published one" in result.judgement.reason


def test_changed_settings_are_no_longer_the_preset(toy: Preset) -> None:
    other = toy.at(overrides={"lr": 0.2})
    verdict, reason = verdicts(other, *(made(other, seed, 4.0) for seed in range(3)))[0]
    assert (verdict, reason) == ("not comparable", "other settings: lr=0.2")


def test_real_text_is_one_score_without_seeds(toy: Preset, tmp_path: Path) -> None:
    from bench.score.records import LoadedTask, record_real_text

    row = toy.rows[1]
    board = LoadedTask(name="oracle_lstm", task=row.task, data=row.task.load(), metrics=row.metrics)
    record = record_real_text(board, 100, tmp_path)
    (result,) = state_of_row(row, read_found([tmp_path])).results
    final = record.final()
    assert final is not None
    assert result.measured is not None
    assert (result.measured.mean, result.measured.half_width) == (final.scores["nll_oracle"].value, None)
    assert result.judgement.verdict in ("consistent", "differs")
    other = replace(row, n_samples=90)
    (fewer,) = state_of_row(other, found(record)).results
    assert "of 100 samples, asked for are 90" in fewer.judgement.reason


def test_the_plan_counts_steps_and_takes_times_from_records_alone(toy: Preset, tmp_path: Path) -> None:
    (unknown,) = make_plan(toy, found(), tmp_path)
    assert [(phase.name, phase.steps, phase.seconds_per_step) for phase in unknown.phases] == [
        ("mle", 30, None),
        ("adversarial", 20, None),
    ]
    assert seconds_left([unknown], 1) == (0.0, {"the toy": ["mle", "adversarial"]})
    lines = "\n".join(reproduce_report.plan_lines([unknown], 1))
    assert "seed 2: 50 steps to do" in lines
    assert "expected time: unknown for the toy (mle, adversarial): nobody measured it on such a device" in lines
    (known,) = make_plan(toy, found(made(toy, 7, 4.0)), tmp_path)
    assert seconds_left([known], 1) == (pytest.approx(39.0), {})
    assert seconds_left([known], 2) == (pytest.approx(26.0), {})  # two rounds of 13 s
    assert "adversarial: 20 steps, 10 s a seed (cpu, record of seed 7)" in "\n".join(
        reproduce_report.plan_lines([known], 1)
    )
    on_gpu = made(toy, 7, 4.0, environment={"device": "cuda"})
    assert seconds_left(make_plan(toy, found(on_gpu), tmp_path), 1)[0] == 0.0


def stop_after(resolved: Resolved, runs: Path, steps: int) -> None:
    """Train a number of steps, save, stop."""
    taken: list[int] = []
    with pytest.raises(Interrupted):
        run(resolved, runs, on_step=lambda *_: taken.append(1), should_stop=lambda: len(taken) == steps)


def test_the_plan_and_the_list_know_a_run_that_was_stopped(toy: Preset, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    run(toy.rows[0].configs[1].resolve(), runs)
    stop_after(toy.rows[0].resolved, runs, 33)
    (plan,) = make_plan(toy, found(), runs)
    assert [(each.completed, dict(each.steps_done)) for each in plan.runs] == [
        (False, {"mle": 30, "adversarial": 3}),
        (True, {"mle": 30, "adversarial": 20}),
        (False, {}),
    ]
    assert all(phase.measured_on == "cpu, seed 0 so far" for phase in plan.phases)  # 3 of 20 is more than a tenth
    assert "seed 0: goes on at step 33 of 50" in "\n".join(reproduce_report.plan_lines([plan], 1))
    state = state_of_row(toy.rows[0], read_found([runs]))
    assert (state.done, dict(state.begun)) == ((1,), {0: "step 33, in adversarial"})
    checkpoint = toy.rows[0].resolved.folder(runs) / "checkpoint.pt"
    assert read_state(checkpoint).step == 33
    checkpoint.write_bytes(b"torn")
    assert dict(state_of_row(toy.rows[0], read_found([runs])).begun) == {0: "its checkpoint cannot be read"}
    checkpoint.unlink()
    assert dict(state_of_row(toy.rows[0], read_found([runs])).begun) == {0: "begun, nothing saved"}


def test_what_cannot_be_of_a_row_is_not_decoded(toy: Preset, tmp_path: Path) -> None:
    """Of everybody's records those that name its model, task and scale, and whatever is not written in our order."""
    of_row = made(toy, 0, 4.0)
    others = {
        "row": of_row,
        "named": replace(of_row, seed=1, model="a “model”.py:M"),
        "scale": replace(of_row, seed=2, scale="small"),
    }
    for name, record in others.items():
        record.write(tmp_path / name / "record.json")
    document = json.loads((tmp_path / "scale" / "record.json").read_text(encoding="utf-8"))
    (tmp_path / "sorted").mkdir()
    (tmp_path / "sorted" / "record.json").write_text(
        json.dumps(document | {"seed": 3}, sort_keys=True), encoding="utf-8"
    )
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "record.json").write_text("{", encoding="utf-8")

    def seeds(*named: tuple[str, ...]) -> list[int | None]:
        return sorted(record.seed or 0 for record in read_found([tmp_path], set(named)).records)

    row = toy.rows[0]
    assert row.matches(of_row)
    assert seeds(row.named) == [0, 3]
    assert seeds((others["named"].model, row.task_name)) == [1, 3]
    assert seeds(row.named, (row.model, "small")) == [0, 2, 3]
    assert seeds((of_row.config_hash,)) == [0, 1, 2, 3]
    assert seeds(("0" * 12,)) == seeds() == [3]
    assert len(read_found([tmp_path], {row.named}).unreadable) == 1


def test_the_list_in_three_forms(toy: Preset) -> None:
    states = [state_of(toy, found(*(made(toy, seed, 4.0) for seed in range(3))))]
    lines = list(reproduce_report.list_lines(states))
    assert lines == [
        "toy",
        "  the toy: seeds 0, 1, 2 done; 1 consistent, 3 differs, 1 not run",
        "  its own text: not run",
    ]
    document = json.loads(reproduce_report.as_json(states))
    first = document["presets"][0]["rows"][0]["numbers"][0]
    assert first["published"] == 4.0
    assert first["interval"] == [4.0, 4.0]
    assert (first["verdict"], first["sources"][0]["source"], first["values"]) == (
        "consistent",
        "A paper",
        {"0": 4.0, "1": 4.0, "2": 4.0},
    )
    text = reproduce_report.markdown(states)
    assert "| consistent | 1 | 0 | 0 |" in text
    assert "| not run | 1 | 0 | 1 |" in text
    assert "| nll_oracle | 4.0 | 4.0000 [4.0000, 4.0000] | 0, 1, 2 | 4.0000 to 4.0000 | consistent |" in text
    assert "| nll_oracle | 3.5, allowed ± 0.5 | – | not run |" in text
    assert "- A paper: nats." in text
    assert "| [toy](#toy) | its own text | not run | 1 not run |" in text


def test_sources_that_differ_in_numbers_alone_are_told_in_one_line() -> None:
    lines = [f"- a log: after {epoch} of 8 epochs of round {i}." for i in (1, 2, 10) for epoch in (1, 6)]
    other = "- a paper, table 1: 9,984 samples."
    told = [*reproduce_report._merged([*lines, other])]
    assert told == ["- a log: after 1 or 6 of 8 epochs of round 1 to 10.", other]
    assert [*reproduce_report._merged(lines[:1])] == lines[:1]
