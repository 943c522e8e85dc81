"""The presets: each resolves, names its numbers by scores that exist, and quotes what the project's tables quote."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import pytest
from helpers.published import write_published

from baselines.common.spec import SequenceSpec
from bench.config import RunConfig, find
from bench.places import RESULTS
from bench.published import find_published
from bench.reproduce import presets
from bench.reproduce.changes import read_changes
from bench.reproduce.presets import PAPER, Preset, preset_names
from bench.reproduce.state import read_found
from bench.reproduce.verdict import Reported
from bench.run.first_phases import runs_before
from bench.run.runner import run
from bench.suite import SamplesFile, SuiteConfig, read_suite

read_preset = functools.cache(presets.read_preset)
"""Each is resolved once; a test that changes what is read asks `presets`."""
MODELS, DATA = ("mle", "seqgan", "maligan", "leakgan", "relgan"), ("oracle20", "oracle40", "image_coco", "emnlp_news")


def test_there_is_one_for_every_model_on_every_data_set_and_for_the_controls() -> None:
    expected = {f"{model}-{data}" for model in MODELS for data in DATA}
    expected |= {"wgan_gp-characters", "constant_reward-oracle20", "texygen-image_coco"}
    expected |= {"real_text-oracles", "real_text-image_coco", "rankgan-oracle20", "rankgan-image_coco"}
    expected |= {"sentigan-oracle20", "scheduled_sampling-oracle20", "pg_bleu-oracle20"}
    expected |= {"dualrl-yelp"}
    assert set(preset_names()) == expected


@pytest.mark.parametrize("name", preset_names())
def test_it_resolves_and_its_scores_exist(name: str) -> None:
    preset = read_preset(name)
    preset.check()
    assert preset.description
    for row in preset.rows:
        assert (row.reduced, row.departures) == (False, ())
    for row in preset.trained:
        assert {config.scale for config in row.configs} == {"paper"}
        assert len({config.seed for config in row.configs}) == len(row.configs) >= 3


def test_presets_name_published_numbers() -> None:
    rows = [row for name in preset_names() for row in read_preset(name).rows]
    published = [(row, number) for row in rows for number in row.numbers if number.published]
    assert len(published) > 150
    for row, number in published:
        for each in number.published:
            assert each in find_published(each.id)
        assert (number.tolerance is None) == row.seeded
        assert not number.minus or (row.control is not None and {each.key for each in number.minus} == {number.key})
    first = read_preset("seqgan-oracle20").rows[0].numbers[0]
    assert (first.reported, first.where) == (Reported(8.6832), "step:767671")


def test_a_published_deviation_is_that_of_its_seeds() -> None:
    for name in preset_names():
        for row in read_preset(name).rows:
            for number in row.numbers:
                if number.published and number.published[0].std:
                    assert number.reported is not None
                    assert (number.reported.n, number.reported.std) == (6, float(number.published[0].std))


@pytest.mark.parametrize("name", preset_names())
def test_it_says_which_commit_it_follows_and_why(name: str) -> None:
    """A commit with its date, or that nobody has one."""
    lines = read_preset(name).follows
    assert lines
    assert any(re.search(r"\b[0-9a-f]{7}\b.*\(20\d\d-\d\d-\d\d", line) for line in lines)


@pytest.mark.parametrize("name", preset_names())
def test_a_number_at_a_step_is_evaluated_there(name: str) -> None:
    """The step lies inside the training, and the runs of the row stop there for an evaluation."""
    for row in read_preset(name).trained:
        steps = [int(number.where.removeprefix("step:")) for number in row.numbers if number.where.startswith("step:")]
        assert set(steps) <= set(row.configs[0].evaluate_at)
        if steps:
            spec = SequenceSpec(vocab_size=50, max_len=40, bos_id=0, pad_id=0, eos_id=0)
            model = row.resolved.model_class(row.resolved.model_config, spec)
            assert max(steps) <= sum(phase.steps for phase in model.phases())
        if any(number.where == "best" for number in row.numbers):
            assert row.configs[0].evaluate_every or len(row.configs[0].evaluate_at) > len(steps)


@pytest.mark.parametrize(
    ("name", "whole", "phases"),
    [
        ("leakgan-oracle20", "released, sampled from logits x 1.5", {"pretraining": 59_280, "adversarial": 421_290}),
        ("relgan-image_coco", "beta_max 100", {"mle": 23_400, "adversarial": 12_000}),
    ],
)
def test_the_whole_training_goes_on_from_the_pre_training_alone(
    name: str, whole: str, phases: dict[str, int], tmp_path: Path
) -> None:
    rows = {row.label: row.resolved for row in read_preset(name).trained}
    alone = {each.folder(tmp_path) for each in rows.values() if each.run.last_phase}
    assert alone.intersection(runs_before(rows[whole], tmp_path, phases))


def test_news_is_trained_on_all_its_sentences() -> None:
    """4,218 batches of 64 in an epoch, and for the discriminators of Texygen 27 real sentences to a generated one."""
    epochs = {"mle": ("steps", 80), "seqgan": ("mle_steps", 80), "maligan": ("mle_steps", 80)}
    epochs["relgan"] = ("mle_steps", 150)
    for name in preset_names():
        for row in read_preset(name).trained:
            if row.task_name == "emnlp_news":
                assert (row.task.n_train, row.task.n_valid) == (None, 1)
                settings = row.resolved.model_settings
                if row.model in epochs:
                    setting, n = epochs[row.model]
                    assert settings[setting] == n * (270_000 // 64)
                if row.model in ("seqgan", "maligan"):
                    assert settings["pool_real"] == round(270_000 / 9_984)


def test_seqgans_paper_is_compared_with_its_first_release() -> None:
    rows = {row.label: row for row in read_preset("seqgan-oracle20").trained}
    (number, _) = rows["first release"].numbers
    assert (number.reported, number.where) == (Reported(8.736), "best")
    settings = rows["first release"].resolved.model_settings
    expected = {"lr": 1e-3, "mle_steps": 240 * 156, "iterations": 800, "pool_order": "shuffled"}
    expected |= {"d_highway_biases": False}
    assert {name: settings[name] for name in expected} == expected
    config = rows["first release"].configs[0]
    pretraining, a_round = 240 * 156 + 46_800, 1 + 4_680
    evaluated = {step for step in range(0, pretraining + 800 * a_round, config.evaluate_every) if step > pretraining}
    assert {(step - pretraining - 1) // a_round for step in evaluated} == set(range(800))  # each round, once
    mle = {row.label: row for row in read_preset("mle-oracle20").trained}["first release"]
    assert mle.numbers[0].reported == Reported(9.038)
    assert (mle.resolved.model_settings["steps"], mle.resolved.model_settings["lr"]) == (350 * 156, 1e-3)
    assert mle.config_hash == rows["MLE, first release"].config_hash
    four = next(n for n in read_preset("mle-oracle20").rows[0].numbers if n.where == "step:18096").reported
    assert four == Reported.of_runs([9.07058, 9.0909, 9.1100, 9.0941])


def test_rows_with_records_keep_their_hash() -> None:
    """A new setting of a model, at its default, makes no new row."""
    found = read_found([RESULTS])
    rows = [row for name in preset_names() for row in read_preset(name).trained]
    kept = {}
    for row in rows:
        hashes = {record.config_hash for record in found.records if row.matches(record)}
        if hashes and row.task.metrics == tuple(metric.name for metric in row.metrics):
            kept[row.config_hash] = hashes
    assert len(kept) > 15
    assert all(hashes == {own} for own, hashes in kept.items())


@pytest.mark.parametrize("name", preset_names())
def test_epochs_are_converted_with_the_line_they_come_from(name: str) -> None:
    """A trained setting says in a comment how epochs became steps."""
    text = (PAPER / f"{name}.toml").read_text(encoding="utf-8")
    comments = "\n".join(line.partition("#")[2] for line in text.splitlines() if "#" in line)
    if read_preset(name).trained:
        assert re.search(r"\d+ (x|epochs x|steps)", comments), "no conversion from epochs to steps"


def test_names_are_lenient_about_the_two_dashes_and_errors_say_the_nearest() -> None:
    assert read_preset("seqgan_oracle20").name == read_preset("seqgan-oracle20").name == "seqgan-oracle20"
    with pytest.raises(KeyError, match="no preset 'seqgn-oracle20'; did you mean 'seqgan-oracle20'"):
        read_preset("seqgn-oracle20")
    with pytest.raises(KeyError, match="has no row 'released'; did you mean 'released setting'"):
        read_preset("seqgan-oracle20").only(["released"])


def test_a_reduced_scale_replaces_what_it_sets_and_keeps_the_rest() -> None:
    preset = read_preset("leakgan-oracle20").at("small", [5], {"n_samples": 200})
    row = preset.trained[0]
    first = row.configs
    assert [config.seed for config in first] == [5]
    assert first[0].n_samples == 200
    resolved = first[0].resolve()
    smaller = find("models", "leakgan").scales["small"]
    assert {key: resolved.model_settings[key] for key in smaller} == smaller
    assert resolved.model_settings["evaluation_temperature"] == 1.5
    assert resolved.task_settings["parameters"] == "seqgan"
    assert row.reduced
    assert row.departures == ("scale small, not the published one", "other settings: n_samples=200")
    smoke = read_preset("leakgan-oracle20").at("smoke").trained[0].resolved
    assert smoke.task_settings["parameters"] == "seeded"  # no file is needed
    mle = read_preset("maligan-oracle20").at("small").trained[-1].resolved
    assert mle.model_settings["steps"] == find("models", "mle").scales["small"]["steps"]


def test_what_trains_nothing_has_no_scale() -> None:
    with pytest.raises(ValueError, match="trains nothing"):
        read_preset("texygen-image_coco").at("small")
    with pytest.raises(ValueError, match=r"has no \[\[runs\]\]; `.*bench reproduce texygen-image_coco` scores"):
        read_suite(PAPER / "texygen-image_coco.toml")


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a preset `mine` and read it."""
    bleu, nll = (
        {"id": "a/b/c", "key": "bleu_2", "value": "0.7"},
        {"key": "nll_gen", "value": "2", "std": "0.2", "n_seeds": "6"},
    )
    bare = {"id": "a/bare", "key": "nll_gen", "protocol": ""}
    singles = [{"id": "a/b/one", "value": "8"}, {"id": "a/b/two", "value": "9"}]
    six = {"id": "a/b/six", "key": "bleu_2", "value": "0.7", "std": "0.1", "n_seeds": "6"}
    loose = {**six, "id": "a/b/loose", "n_seeds": ""}
    write_published(tmp_path / "published", bleu, {"id": "a/b/c", **nll}, bare, *singles, six, loose, patch=monkeypatch)
    monkeypatch.setattr(presets, "PAPER", tmp_path)

    def read(text: str) -> Preset:
        (tmp_path / "mine.toml").write_text(text)
        return presets.read_preset("mine")

    return read


REAL = '[[real_text]]\ntask = "grammar"\n'
RUN = '[[runs]]\nmodel = "mle"\ntask = "grammar"\n'
ENTRY = '[[runs.expected]]\npublished = "a/b/c"\n'
KEY = 'keys = ["nll_gen"]\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (RUN + ENTRY + "tolerance = 0.1\n", "tolerance is for files, got 0.1: seeds have a spread of their own"),
        (REAL + ENTRY.replace("runs", "real_text"), "tolerance must be set for a/b/c"),
        (REAL + ENTRY.replace("runs", "real_text") + "tolerance = 0\n", "greater than 0"),
        (RUN + ENTRY.replace('"a/b/c"', '["a/b/c"]'), "published"),
        (
            RUN + ENTRY.replace('"a/b/c"', '["a/b/six", "a/b/c"]'),
            "a/b/six is of 6 seeds: published takes several single",
        ),
        (RUN + ENTRY.replace('"a/b/c"', '["a/b/c", "a/b/c"]'), "published has 'a/b/c' twice"),
        (RUN + 'control = "mle"\n', "mle: a row is not its own control"),
        (RUN + ENTRY.replace("a/b/c", "a/b/loose"), "a/b/loose does not say over how many seeds the deviation of"),
        (RUN + ENTRY + 'minus = "a/b/c"\n', "minus takes a control to be subtracted: set control to a row's label"),
        (RUN + 'control = "mle"\n' + ENTRY + 'minus = "a/b/x"\n', "nothing published has the id 'a/b/x'"),
        (RUN + 'control = "mlee"\n', "mle: no row 'mlee' for a control; did you mean 'mle'"),
        (RUN + "added_seeds = [7]\n", "added_seeds has 7, which is not among the seeds [0]"),
        (RUN + ENTRY + 'keys = ["bleu_3"]\n', "a/b/c has no number 'bleu_3'; did you mean 'bleu_2'"),
        (RUN + ENTRY + 'keys = ["nll"]\n', "a/b/c has no number 'nll'; did you mean 'nll_gen'"),
        (RUN + ENTRY + 'keys = ["nll_gen", "nll_gen"]\n', "keys has 'nll_gen' twice"),
        (RUN + ENTRY + 'keys = "nll_gen"\n', "keys takes a list, got 'nll_gen'"),
        (RUN + ENTRY.replace("a/b/c", "a/b/d"), "nothing published has the id 'a/b/d'; did you mean 'a/b/c'"),
        (RUN + ENTRY.replace("a/b/c", "a/bare"), "a/bare does not say by which protocol 'nll_gen' was measured"),
        (RUN + ENTRY + 'where = "last"\n', "where is end, best, phase:NAME or step:NUMBER, got 'last'"),
        (RUN + ENTRY + "values = {nll_gen = 2}\n", "values is not a setting"),
        (RUN + ENTRY.replace('published = "a/b/c"\n', ""), "published must be set"),
        (RUN + RUN, "two rows are labelled 'mle'"),
        (RUN.replace('"mle"', '["mle", "seqgan"]') + ENTRY, "belongs to one model on one task"),
        (RUN + ENTRY + 'step_value = "nll"\n', "step_value is for one number of one state, without minus: set keys"),
        (RUN + ENTRY + KEY + 'step_value = "nll"\nwhere = "best"\n', "step_value is for one number of one state"),
        (
            REAL + ENTRY.replace("runs", "real_text") + KEY + 'tolerance = 1\nstep_value = "nll"\n',
            "step_value is for trainings, got 'nll': a file had no steps",
        ),
        (RUN + "model_settings = {stepps = 3}\n", "mle has no setting 'stepps'; did you mean 'steps'"),
        ('[[samples]]\nname = "x"\ntask = "grammar"\n', "samples[0].file must be set"),
        ('[[samples]]\nname = "x"\ntask = "grammar"\nfile = "f"\nurl = "u"\nsha256 = "12"\n', "sha256"),
        ('[[real_text]]\ntask = "gramar"\n', "no 'gramar' in bench/tasks; did you mean 'grammar'"),
    ],
)
def test_a_wrong_preset_is_named(write: Any, text: str, expected: str) -> None:
    with pytest.raises(ValueError) as caught:
        write(text)
    assert "mine.toml" in str(caught.value)
    assert expected in str(caught.value)


def test_a_score_that_no_metric_gives_is_refused(write: Any) -> None:
    with pytest.raises(ValueError, match="mine: mle: no metric gives 'nll_oracl'; did you mean 'nll_oracle'"):
        write(RUN.replace("grammar", "oracle_lstm") + 'shown = ["nll_oracl"]\n').check()


def test_what_steps_return_is_no_score_of_a_metric(write: Any) -> None:
    preset = write(RUN + ENTRY + KEY + 'step_value = "no metric"\n')
    preset.check()
    assert [(each.key, each.step_value) for each in preset.rows[0].numbers] == [("nll_gen", "no metric")]


@pytest.mark.parametrize("model", ["relgan", "leakgan"])
def test_steps_return_what_presets_compare(model: str, tmp_path: Path) -> None:
    rows = [row for name in preset_names() for row in read_preset(name).trained if row.model == model]
    wanted = {number.step_value for row in rows for number in row.numbers} - {""}
    record = run(RunConfig(model=model, task="grammar", scale="smoke", n_samples=100).resolve(), tmp_path)
    assert wanted
    assert wanted <= {name for evaluation in record.evaluations for name in evaluation.step_values}


def test_a_preset_says_which_numbers(write: Any) -> None:
    entry = ENTRY + 'keys = ["nll_gen", "bleu_2"]\nwhere = "phase:mle"\nproblems = "one run"\n'
    first, second = write(RUN + entry).rows[0].numbers
    assert (first.key, first.reported) == ("nll_gen", Reported(2.0, 6, 0.2))
    assert (second.key, second.reported) == ("bleu_2", Reported(0.7))
    assert {(each.where, each.problems) for each in (first, second)} == {("phase:mle", "one run")}
    assert [each.key for each in write(RUN + ENTRY).rows[0].numbers] == ["bleu_2", "nll_gen"]
    assert [each.key for each in write(RUN + ENTRY + 'keys = ["nll_gen"]\n').rows[0].numbers] == ["nll_gen"]
    runs = ENTRY.replace('"a/b/c"', '["a/b/one", "a/b/two"]')
    (several,) = write(RUN + runs).rows[0].numbers
    assert several.reported == Reported.of_runs([8.0, 9.0])


def test_a_number_at_a_step_makes_its_runs_evaluate_there(write: Any) -> None:
    entry = ENTRY + 'where = "step:40"\n'
    (row,) = write(RUN + "evaluate_at = [30]\n" + entry).rows
    assert row.configs[0].evaluate_at == (30, 40)
    assert row.at("smoke", [], {}, {}).configs[0].evaluate_at == ()
    (plain,) = write(RUN + "evaluate_at = []\n").rows
    assert plain.configs[0].resolve().run_id == RunConfig(model="mle", task="grammar").resolve().run_id
    assert row.configs[0].resolve().run_id != plain.configs[0].resolve().run_id
    assert row.config_hash == plain.config_hash


def test_other_seeds_than_the_presets_do_not_enter_a_verdict(write: Any) -> None:
    (row,) = write(RUN + "seeds = [0, 1, 2]\nadded_seeds = [2]\n" + ENTRY).rows
    other = row.at("paper", [7, 8, 9], {}, {})
    assert [config.seed for config in other.configs] == [7, 8, 9]
    assert (other.seeds, other.added_seeds) == ((0, 1, 2), (2,))


def test_a_control_is_a_row_of_the_same_file(write: Any) -> None:
    text = RUN + 'label = "gan"\ncontrol = "mle"\n' + ENTRY + 'minus = "a/b/c"\n' + RUN
    gan, control = write(text).rows
    assert gan.control == control
    assert gan.numbers[0].reported_difference == (Reported(0.7), Reported(0.7))
    assert write(text).only(["gan"]).rows[0].control == control  # also where it is not shown


def test_files_of_samples_are_found_by_name_and_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = read_preset("texygen-image_coco").scored[0].text
    assert isinstance(text, SamplesFile)
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(tmp_path))
    monkeypatch.setenv("TEXTGAN_BENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / text.file).write_text("other text\n")
    monkeypatch.setattr("bench.data._download", lambda *_: (_ for _ in ()).throw(OSError("no network")))
    with pytest.warns(UserWarning, match="checksum"), pytest.raises(FileNotFoundError) as caught:
        text.fetch()
    for part in ("no network", text.url, text.sha256, "Not used, its checksum differs"):
        assert part in str(caught.value)


def test_every_published_samples_file_is_expected_to_give_twelve_numbers() -> None:
    preset = read_preset("texygen-image_coco")
    *files, real = preset.rows
    assert [len(row.numbers) for row in files] == [8] * 6 + [4] * 6  # the latter against the training text
    assert all(row.task.n_valid == 0 for row in files[6:])  # all of it
    assert not any(number.published for number in real.numbers)
    assert [metric.name for metric in real.metrics] == [metric.name for metric in files[-1].metrics]
    suite = SuiteConfig.read(PAPER / "texygen-image_coco.toml")
    assert [each.sha256 for each in suite.samples[:6]] == [each.sha256 for each in suite.samples[6:]]
    assert len({each.sha256 for each in suite.samples}) == 6


def test_verdicts_that_changed_are_of_rows_and_numbers_that_exist() -> None:
    found = read_changes()
    assert sum(len(change.keys) for change in found if change.was == "reproduced") == 17
    assert sum(len(change.keys) for change in found if change.was == "undecided") == 9
    for change in found:
        (row,) = read_preset(change.preset).only([change.row]).rows
        assert set(change.keys) <= {number.key for number in row.numbers if number.published}
        assert change.why.endswith(".")
