"""Natural mistakes at the command line: each is said in words, with what would be right, before anything slow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from helpers.commands import call_bench, call_leaderboards

from bench.cli import spread
from bench.config import read_seeds
from bench.suite import read_suite


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: two files of samples, and a folder with a file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("one.txt", "two.txt", "inside/three.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("the dog sleeps\na cat sees the dog\n")
    return tmp_path


def said(*arguments: str, code: int = 2, call: Callable[..., Result] = call_bench) -> str:
    """What a command prints, which ends with `code`."""
    return " ".join(call(*arguments, code=code).output.split())


RUN = ("run", "mle", "grammar", "--tracker", "none", "--scale", "smoke")


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("lr=inf", "mle: lr takes a finite number of at most 1e+50, got inf"),
        ("lr=-inf", "mle: lr: input should be greater than 0, got -inf"),
        ("lr=Infinity", "mle: lr takes a finite number of at most 1e+50, got 'Infinity'"),
        ("lr=nan", "mle: lr: input should be greater than 0, got nan"),
        ("alarm_unique=nan", "alarm_unique: input should be a finite number, got nan"),
        ("temperatures=[0.5, inf]", "temperatures (--temperature): input should be a finite number, got inf"),
        ("seed=3", "seed is no setting: give it as --seed, or `seeds` of a suite"),
    ],
)
def test_a_setting_that_is_no_number_is_named(setting: str, expected: str) -> None:
    assert expected in said(*RUN, "--set", setting)


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [
        ("inf", "should be a finite number, got inf"),
        ("nan", "should be a finite number, got nan"),
        ("0", "should be greater than 0, got 0.0"),
        ("-1", "should be greater than 0, got -1.0"),
        ("1e4", "should be less than or equal to 100, got 10000.0"),
    ],
)
def test_a_temperature_names_its_option_and_its_setting(temperature: str, expected: str) -> None:
    assert f"temperatures (--temperature): input {expected}" in said(*RUN, "--temperature", temperature)
    assert f"temperatures (--temperature): input {expected}" in said(*RUN, "--temperature", "0.7", temperature)
    assert "--temperature is above 0 and at most 100, got" in said("sample", "inside", "--temperature", temperature)


def test_seeds_are_numbers_and_ranges() -> None:
    assert read_seeds(["0-2", "7", 1]) == [0, 1, 2, 7]
    assert read_seeds(["0", "0"]) == [0]


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        ("0,1,2", "got '0,1,2': write --seed 0 1 2"),
        ("0 1 2", "got '0 1 2': write --seed 0 1 2, without quotes"),
        ("0..4", "got '0..4': write --seed 0-4"),
        ("0:4", "got '0:4': write --seed 0-4"),
        ("-1", "seeds are whole numbers from 0 on, as --seed 0 1 2 or 0-2, got '-1'"),
        ("0.5", "seeds are whole numbers from 0 on, as --seed 0 1 2 or 0-2, got '0.5'"),
        ("a", "got 'a'"),
        ("4-0", "ends before it begins: write --seed 0-4"),
        ("0-99999999999", "are 100,000,000,000 runs; at most 10,000"),
    ],
)
def test_wrong_seeds_say_how_seeds_are_written_in_every_command(seed: str, expected: str) -> None:
    for command in (RUN, ("suite", "demo"), ("reproduce", "seqgan-oracle20")):
        assert expected in said(*command, "--seed", seed)
    for before in ("0", "0-3") if seed not in ("a", "0 1 2") else ():
        assert expected in said(*RUN, "--seed", before, seed)


def test_a_suite_takes_seeds_too_and_its_own_are_a_list(folder: Path) -> None:
    suite = folder / "mine.toml"
    text = 'task = "grammar"\nmodel = "mle"\nscale = "smoke"\n'
    suite.write_text(text + "seeds = [0, 1, 2]\n[[runs]]\n")
    assert [config.seed for config in read_suite(suite)] == [0, 1, 2]
    assert [config.seed for config in read_suite(suite, seeds=[5, 6])] == [5, 6]
    suite.write_text(text + 'seeds = ["0-2"]\n[[runs]]\n')
    assert "seeds[0] takes an integer, got '0-2'" in said("suite", "mine.toml")
    suite.write_text(text + "seed = 3\n[[runs]]\n")
    assert "seed is not a setting; did you mean 'seeds'?" in said("suite", "mine.toml")
    assert "seed is no setting: give it as --seed" in said("suite", "demo", "--set", "seed=4")


FOLDER = "'inside' is a folder, and a file is expected: such as 'inside/three.txt'"
FILE = "takes a folder, and 'one.txt' is a file"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("score", "inside", "grammar"), FOLDER),
        (("score", "one.txt", "--references", "inside"), FOLDER),
        (("score", "one.txt", "--references", "two.txt", "--training", "inside"), FOLDER),
        (("score", "onne.txt", "grammar"), "no file 'onne.txt' in"),
        (("score", "onne.txt", "grammar"), "did you mean 'one.txt'?"),
        (("score", "one.txt/x", "grammar"), "'one.txt' is no folder but a file"),
        (("score", "one.txt", "grammar", "--runs", "one.txt"), f"--runs {FILE}"),
        (("explain-score", "inside", "grammar"), FOLDER),
        (("run", "mle", "text_file", "--set", "path=inside", "--tracker", "none"), FOLDER),
        (("run", "mle", "text_file", "--set", "path=onne.txt", "--tracker", "none"), "did you mean 'one.txt'?"),
        (("run", "mle", "characters", "--set", "source=inside"), "source='inside' (a folder) is neither a text task"),
        (("run", "inside:M", "grammar"), FOLDER),
        (("run", "mle", "grammar", "--runs", "one.txt"), f"--runs {FILE}"),
        (("run", "mle", "grammar", "--runs", "one.txt/runs"), f"--runs {FILE}, and 'one.txt/runs' would lie in it"),
        (("suite", "demo", "--runs", "one.txt"), f"--runs {FILE}"),
        (("suite", "inside"), FOLDER),
        (("suite", "mine.toml"), "no file 'mine.toml'"),
        (("reproduce", "seqgan-oracle20", "--runs", "one.txt"), f"--runs {FILE}"),
        (("reproduce", "--list", "--out", "inside"), "--out takes a file to write, and 'inside' is a folder"),
        (("sample", "one.txt"), f"sample {FILE}"),
        (("sync", "one.txt"), f"sync {FILE}"),
    ],
)
def test_a_folder_is_no_file_and_a_file_no_folder(arguments: tuple[str, ...], expected: str) -> None:
    assert expected in said(*arguments)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("build", "inside", "--out", "one.txt"), f"--out {FILE}"),
        (("build", "inside", "--html", "one.txt"), f"--html {FILE}"),
        (("build", "inside", "--markdown", "inside"), "--markdown takes a file to write, and 'inside' is a folder"),
        (("add", "inside", "--results", "one.txt"), f"--results {FILE}"),
        (("add", "inside", "--source-file", "inside", "--source-url", "https://example.org"), FOLDER),
        (("add", "inside"), "inside holds no record.json at any depth"),
        (("add", "nowhere"), "nowhere does not exist"),
        (("verify", "inside"), "inside holds no record.json at any depth"),
        (("verify", "nowhere"), "nowhere does not exist"),
        (("upgrade", "inside"), "inside holds no record.json at any depth"),
    ],
)
def test_the_tables_say_the_same(arguments: tuple[str, ...], expected: str) -> None:
    found = said(*arguments, call=call_leaderboards)
    assert expected in found
    assert "equal" not in found, "nothing was verified"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("score", "grammar", "one.txt"), "bench score one.txt grammar`"),
        (("score", "grammar", "one.txt", "two.txt"), "-m bench score one.txt two.txt grammar`"),
        (("score", "one.txt", "grammar", "two.txt"), "-m bench score one.txt two.txt grammar`"),
        (("score", "grammar", "inside"), "'inside' is a folder: the task comes last"),
        (("score", "one.txt"), "-m bench score one.txt image_coco`, or --references FILE"),
        (("explain-score", "grammar", "one.txt"), "-m bench explain-score one.txt grammar`"),
        (("run", "grammar", "mle"), "-m bench run mle grammar"),
        (("run", "grammar", "grammar"), "'grammar' is among the tasks, not the models; Known: constant_reward"),
        (("run", "bleu", "grammar"), "'bleu' is among the metrics, not the models"),
        (("run", "mle", "seqgan"), "'seqgan' is among the models, not the tasks"),
    ],
)
def test_swapped_arguments_are_told_in_their_order(arguments: tuple[str, ...], expected: str) -> None:
    assert expected in said(*arguments)


def test_a_list_may_follow_every_option_that_takes_several() -> None:
    both = ["--metric", "unique", "--metric", "distinct"]
    assert spread(["score", "one.txt", "grammar", "--metric", "unique", "distinct"])[-4:] == both
    assert spread(["score", "--metric", "unique", "distinct", "one.txt", "grammar"])[1:5] == both
    assert spread(["run", "--metric", "unique", "distinct", "mle", "grammar"])[1:5] == both
    assert spread(["score", "one.txt", "two.txt", "grammar", "--name", "a", "b c"])[-4:] == [
        "--name", "a", "--name", "b c",
    ]  # fmt: skip
    alone = ["score", "--name", "a", "one.txt", "grammar", "--json"]
    assert spread(alone) == alone
    row = ["reproduce", "--row", "mle", "real text", "mle-oracle20"]
    assert spread(row) == ["reproduce", "--row", "mle", "--row", "real text", "mle-oracle20"]
    assert spread(["run", "--seed=0", "1"]) == ["run", "--seed=0", "--seed", "1"]
    assert "no 'distnct' in metrics; did you mean 'distinct'?" in said(
        "score", "one.txt", "grammar", "--metric", "unique", "distnct"
    )
    assert "2 files, 3 names" in said("score", "one.txt", "two.txt", "grammar", "--name", "a", "b", "c")


def test_score_compares_files_under_the_names_that_follow(folder: Path) -> None:
    arguments = ("score", "one.txt", "two.txt", "grammar", "--metric", "unique", "distinct", "--name", "a", "b")
    found = said(*arguments, code=0)
    assert "a (2 sentences), b (2 sentences) on grammar" in found
    assert "distinct_2" in found
    assert "bleu" not in found


def test_one_temperature_is_one() -> None:
    assert "unexpected extra argument" in said("sample", "inside", "--temperature", "0.7", "1")


def test_show_shows_all_that_list_lists() -> None:
    found = said("show", "demo", code=0)
    assert "36 runs:" in found
    assert "python -m bench suite demo" in found
    for name in ("seqgan-oracle20", "paper/seqgan-oracle20"):
        found = said("show", name, code=0)
        assert "SeqGAN on the oracle that it published" in found
        assert "seeds 0, 1, 2" in found
        assert "python -m bench reproduce seqgan-oracle20" in found
    found = said("show", "bleu", code=0)
    assert "--set bleu.name=value" in found
    assert "higher is better" in found
    assert "metrics/bleu/README.md" in found
    assert "did you mean 'seqgan-oracle20'?" in said("show", "seqgan-oracle2")
    assert "did you mean 'seqgan'?" in said("show", "SeqGAN")
    nothing_near = said("show", "zzz")
    assert "did you mean" not in nothing_near
    assert nothing_near.endswith("python -m bench list")  # and not all 170 names


def test_a_name_of_ours_is_shown_where_a_folder_has_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "seqgan").mkdir()
    monkeypatch.chdir(tmp_path)
    assert "rollouts = 16" in said("show", "seqgan", code=0)


def test_show_sends_a_folder_of_runs_to_the_tables(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "record.json"):
        found = said("show", str(place))
        assert "is no name of ours; the table of runs: " in found
        assert found.endswith(f"python -m leaderboards build {tmp_path}")


def test_every_listed_name_has_a_line_that_says_what_it_is() -> None:
    lines = call_bench("list").output.splitlines()
    named = [line for line in lines if line.startswith("  ")]
    assert len(named) > 60
    for line in named:
        assert len(line.split()) > 2, line
    assert any(line.startswith("  seqgan-oracle20") for line in named)


@pytest.mark.parametrize("kind", ["models", "tasks", "metrics", "suites", "presets"])
def test_every_listed_name_is_shown(kind: str) -> None:
    listed = call_bench("list", kind).output.splitlines()
    assert listed[0] == f"{kind}:"
    assert len(listed) > 5
    for line in listed[1:]:
        name, _, about = line.strip().partition(" ")
        assert about.strip(), line
        result = call_bench("show", name)
        assert result.output.startswith(f"{name}\n")
        assert len(result.output.splitlines()) > 3


def test_explain_score_tells_of_its_own_references() -> None:
    found = said("explain-score", "--help", code=0)
    assert "all words are FILES" not in found
    assert "in place of a task" in found


def test_a_preset_goes_by_its_short_name_as_a_suite_too() -> None:
    assert "seed is no setting" in said("suite", "seqgan-oracle20", "--set", "seed=1")
    assert "did you mean 'paper/seqgan-oracle20'?" in said("suite", "seqgan-oracle2")
