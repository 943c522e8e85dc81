"""The presets: each resolves, names its numbers by scores that exist, and quotes what the project's tables quote."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from helpers.published import write_published

from bench.config import find
from bench.published import find_published
from bench.reproduce import presets
from bench.reproduce.presets import PAPER, Preset, preset_names, read_preset
from bench.suite import SamplesFile, SuiteConfig, read_suite

MODELS, DATA = ("mle", "seqgan", "maligan", "leakgan", "relgan"), ("oracle20", "oracle40", "image_coco", "emnlp_news")


def test_there_is_one_for_every_model_on_every_data_set_and_for_the_controls() -> None:
    expected = {f"{model}-{data}" for model in MODELS for data in DATA}
    expected |= {"wgan_gp-characters", "constant_reward-oracle20", "texygen-image_coco"}
    expected |= {"real_text-oracles", "real_text-image_coco", "rankgan-oracle20", "rankgan-image_coco"}
    expected |= {"sentigan-oracle20", "scheduled_sampling-oracle20", "pg_bleu-oracle20"}
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


def test_presets_name_published_numbers_and_judge_them() -> None:
    numbers = [number for name in preset_names() for row in read_preset(name).rows for number in row.numbers]
    published = [number for number in numbers if number.published]
    assert len(published) == 160
    for number in published:
        assert number.published in find_published(number.published.id)
        assert number.tolerance
        assert number.value == float(number.published.value)
    first = read_preset("seqgan-oracle20").rows[0].numbers[0]
    assert (first.value, first.tolerance, first.where) == (8.736, 0.16, "end")


def test_a_tolerance_of_a_published_interval_is_that_interval() -> None:
    """t(5) x sd / sqrt(6), rounded up in the last place."""
    for name in preset_names():
        for row in read_preset(name).rows:
            for number in row.numbers:
                if number.std is not None:
                    assert number.published is not None
                    assert number.published.n_seeds == 6
                    assert number.tolerance is not None
                    assert 0 <= number.tolerance - 2.570582 * number.std / 6**0.5 < 0.001


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
    with pytest.raises(ValueError, match=r"has no \[\[runs\]\]; `python -m bench reproduce` scores"):
        read_suite(PAPER / "texygen-image_coco.toml")


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a preset `mine` and read it."""
    bleu, nll = {"id": "a/b/c", "key": "bleu_2", "value": "0.7"}, {"key": "nll_gen", "value": "2", "std": "0.2"}
    bare = {"id": "a/bare", "key": "nll_gen", "protocol": ""}
    write_published(tmp_path / "published", bleu, {"id": "a/b/c", **nll}, bare, patch=monkeypatch)
    monkeypatch.setattr(presets, "PAPER", tmp_path)

    def read(text: str) -> Preset:
        (tmp_path / "mine.toml").write_text(text)
        return read_preset("mine")

    return read


RUN = '[[runs]]\nmodel = "mle"\ntask = "grammar"\n'
ENTRY = '[[runs.expected]]\npublished = "a/b/c"\ntolerance = 0.1\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (RUN + ENTRY.replace("tolerance = 0.1", ""), "tolerance must be set"),
        (RUN + ENTRY.replace("0.1", "0"), "greater than 0"),
        (RUN + ENTRY.replace("0.1", "{}"), "takes a number, got {}"),
        (
            RUN + ENTRY.replace("0.1", "{nll_gen = 0.1, bleu_3 = 0.1}"),
            "a/b/c has no number 'bleu_3'; did you mean 'bleu_2'",
        ),
        (
            RUN + ENTRY.replace("0.1", "{bleu_2 = 0.1}") + 'keys = ["nll_gen"]\n',
            "tolerance of 'bleu_2', which is not among",
        ),
        (RUN + ENTRY.replace("0.1", "{bleu_2 = 0.1}") + 'keys = ["bleu_2", "nll_gen"]\n', "no tolerance for 'nll_gen'"),
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
        (RUN + "model_settings = {stepps = 3}\n", "mle has no setting 'stepps'; did you mean 'steps'"),
        ('[[samples]]\nname = "x"\ntask = "grammar"\n', "samples.0.file must be set"),
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


def test_a_preset_says_which_numbers_and_how_near_is_the_same(write: Any) -> None:
    entry = ENTRY.replace("0.1", "{nll_gen = 0.3, bleu_2 = 0.1}") + 'where = "phase:mle"\nproblems = "one run"\n'
    first, second = write(RUN + entry).rows[0].numbers
    assert (first.key, first.value, first.tolerance, first.std) == ("nll_gen", 2.0, 0.3, 0.2)
    assert (second.key, second.value, second.tolerance, second.std) == ("bleu_2", 0.7, 0.1, None)
    assert {(each.where, each.problems) for each in (first, second)} == {("phase:mle", "one run")}
    assert [each.key for each in write(RUN + ENTRY).rows[0].numbers] == ["bleu_2", "nll_gen"]
    assert [each.key for each in write(RUN + ENTRY + 'keys = ["nll_gen"]\n').rows[0].numbers] == ["nll_gen"]


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


def test_every_published_samples_file_is_expected_to_give_eight_numbers() -> None:
    preset = read_preset("texygen-image_coco")
    assert [len(row.numbers) for row in preset.rows] == [8] * 6
    suite = SuiteConfig.read(PAPER / "texygen-image_coco.toml")
    assert len({each.sha256 for each in suite.samples}) == 6
