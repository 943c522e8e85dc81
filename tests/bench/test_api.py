"""The public Python API: train, score, frames, load; nothing slow at import, plain exceptions, no printing."""

from __future__ import annotations

import inspect
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.paths import ROOT, TOY

import textgan_bench as tgb
from bench.record import RunRecord

QUICK = {"n_samples": 60, "n_train": 200, "n_valid": 20, "n_test": 60}
LINES = ["the dog sleeps", "a cat sees the dog"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api") / "runs"
    tgb.run(TOY, "grammar", seeds=[0, 1], scale="smoke", settings=QUICK, runs=folder, progress=False)
    return folder


def test_importing_it_loads_neither_torch_nor_pandas_nor_mlflow() -> None:
    code = "import sys, textgan_bench; print(sorted({'torch', 'pandas', 'mlflow', 'bench'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", tgb.__all__)
def test_every_name_is_there_is_described_and_has_a_docstring(name: str) -> None:
    member = getattr(tgb, name)
    assert f"`{name}`" in (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    if inspect.isfunction(member) or inspect.isclass(member):
        assert inspect.getdoc(member)


def test_another_name_says_what_there_is() -> None:
    with pytest.raises(AttributeError, match="has no 'train'; it has"):
        _ = tgb.train


def test_run_gives_a_record_for_each_seed_and_goes_on_where_it_was(runs: Path, capsys: pytest.CaptureFixture) -> None:
    records = tgb.run(TOY, "grammar", seeds=[1, 0], scale="smoke", settings=QUICK, runs=runs, progress=False)
    assert [(one.seed, one.status) for one in records] == [(1, "completed"), (0, "completed")]
    assert records[1] in tgb.read_records(runs)
    assert records[0].run is not None
    assert records[0].run.n_samples == 60
    assert capsys.readouterr() == ("", "")


def test_a_run_may_be_started_from_another_thread(runs: Path) -> None:
    found: list[RunRecord] = []

    def work() -> None:
        found.extend(tgb.run(TOY, "grammar", scale="smoke", settings=QUICK, runs=runs, progress=False))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert [one.status for one in found] == ["completed"]


def test_a_failure_is_a_record_and_a_wrong_name_an_error_before_anything_slow(tmp_path: Path) -> None:
    settings = {**QUICK, "raise_at": 1}
    (record,) = tgb.run(TOY, "grammar", scale="smoke", settings=settings, runs=tmp_path / "runs", progress=False)
    assert record.status == "failed"
    for wrong, error in (({"lrr": 1}, KeyError), ({"lr": "much"}, ValueError)):
        with pytest.raises(error, match="lr"):
            tgb.run(TOY, "grammar", settings=wrong, runs=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_sentences_and_files_are_scored_alike(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("".join(f"{line}\n" for line in LINES))
    sentences = tgb.score(LINES, "grammar", metrics=["bleu", "unique"], settings={"bleu.orders": [2, 4], **QUICK_TASK})
    file = tgb.score(path, "grammar", metrics=["bleu", "unique"], settings={"bleu.orders": [2, 4], **QUICK_TASK})
    assert sentences.evaluation.scores == file.evaluation.scores
    assert sentences.evaluation.scores["bleu_4"].settings["orders"] == (2, 4)
    assert set(file.evaluation.scores) == {"bleu_2", "bleu_4", "unique"}


QUICK_TASK = {"n_train": 200, "n_valid": 20, "n_test": 60}


def test_any_text_is_scored_against_any_text(tmp_path: Path) -> None:
    scored = tgb.score(["a b c d e"], references=["a b c d e", "f g"], training=["a b"], runs=tmp_path, name="mine")
    assert scored.evaluation.scores["bleu_5"].value == 1.0
    assert scored.evaluation.scores["novelty"].value == 1.0
    (record,) = tgb.read_records(tmp_path)
    assert (record.model, record.origin, record.run) == ("mine", "samples", None)


@pytest.mark.parametrize(
    ("how", "complaint"),
    [
        ({"samples": LINES}, "name a task"),
        ({"samples": None, "task": "grammar"}, "samples is None: expected sentences"),
        ({"samples": [], "task": "grammar"}, "the list of sentences is empty"),
        (
            {"samples": pd.DataFrame({"text": LINES}), "task": "grammar"},
            "a list of sentences.*got a DataFrame",
        ),
        ({"samples": ["a cat .\n"], "task": "grammar"}, "sentence 0 is not text on one line, without its end"),
        ({"samples": LINES, "task": "grammar", "name": 3}, "name is what tables call the samples, as text, got 3"),
        ({"samples": LINES, "task": "grammar", "format": "xml"}, "format is one of auto, text, .*got 'xml'"),
        ({"samples": LINES, "references": LINES, "tokenizer": "englisch"}, "tokenizer is one of blanks, .*'englisch'"),
        ({"samples": LINES, "references": LINES, "task": "grammar"}, "that of grammar or that of references.*name one"),
        ({"samples": LINES, "task": "grammar", "settings": "lr=3"}, "settings takes names with values"),
        ({"samples": LINES, "task": "grammar", "metrics": {"bleu": 1}}, "metrics takes a list"),
        ({"samples": LINES, "task": "gramar"}, "did you mean 'grammar'"),
        ({"samples": LINES, "task": "grammar", "tokenizer": "blanks"}, "a task has its own"),
        ({"samples": ["two\nlines"], "task": "grammar"}, "sentence 0 is not text on one line"),
        ({"samples": "no-such-file", "task": "grammar", "settings": QUICK_TASK}, "no-such-file"),
        ({"samples": LINES, "references": "no-such-file"}, "no file 'no-such-file'"),
    ],
)
def test_what_is_wrong_is_said(how: dict, complaint: str) -> None:
    with pytest.raises((KeyError, ValueError, FileNotFoundError), match=complaint):
        tgb.score(**how)


def test_frames_hold_every_score_and_every_mean(runs: Path) -> None:
    scores = tgb.scores_frame(runs)
    final = scores[(scores.model == "toy_gan.py:ToyGAN") & (scores["at"] == "end") & (scores.key == "unique")]
    assert list(final.seed) == [0, 1]
    table = tgb.table_frame(runs)
    (mean,) = table[(table.model == "toy_gan.py:ToyGAN") & (table.table == "final") & (table.key == "unique")]["mean"]
    assert mean == pytest.approx(final.value.mean())
    with pytest.raises(FileNotFoundError, match="nowhere"):
        tgb.scores_frame("nowhere")


def test_a_finished_run_is_loaded_and_sampled(runs: Path) -> None:
    (folder,) = runs.glob("grammar-toy_gan-0-*")
    trained = tgb.load(folder, model=TOY)
    assert isinstance(trained.model, tgb.TextGenerator)
    assert trained.record.seed == 0
    assert len(trained.sample(3, seed=5)) == 3
    assert trained.sample(3, seed=5) == trained.sample(3, seed=5) != trained.sample(3, seed=6)
    words = trained.sample(3, seed=5, words=True)
    assert [trained.task.detokenize(sentence) for sentence in words] == trained.sample(3, seed=5) != words
    with pytest.raises(ValueError, match=r"no record\.json"):
        tgb.load(runs)


def test_only_the_code_of_a_run_samples_from_it_and_it_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "named_gan.py"
    file.write_text(Path(TOY.partition(":")[0]).read_text())
    tgb.run(f"{file}:ToyGAN", "grammar", scale="smoke", settings=QUICK, runs=tmp_path / "runs", progress=False)
    (folder,) = (tmp_path / "runs").glob("grammar-named_gan-*")
    assert (folder / "model.py").read_bytes() == file.read_bytes()
    assert len(tgb.load(folder, model=f"{folder}/model.py:ToyGAN").sample(3)) == 3
    file.write_text(file.read_text() + "# another\n")
    with pytest.raises(ValueError, match="is not the code of this run"):
        tgb.load(folder, model=f"{file}:ToyGAN")


@pytest.mark.parametrize("what", ["model", "task"])
def test_code_that_a_record_names_is_not_run(runs: Path, tmp_path: Path, what: str) -> None:
    (folder,) = runs.glob("grammar-toy_gan-0-*")
    theirs = shutil.copytree(folder, tmp_path / "theirs")
    trap = tmp_path / "trap.py"
    trap.write_text(f"open({str(tmp_path / 'it-ran')!r}, 'w')")
    document = json.loads((theirs / "record.json").read_text())
    document[what] = f"{trap}:Trap"
    (theirs / "record.json").write_text(json.dumps(document))
    with pytest.raises(KeyError, match=f"--{what} "):
        tgb.load(theirs, model=TOY if what == "task" else None)
    assert not (tmp_path / "it-ran").exists()


def test_sentences_are_taken_as_they_stand() -> None:
    """A list of sentences is no file: one that looks like JSON, or holds a tab, is a sentence all the same."""
    strange = ['"a dog"', '["a", "dog"]', "a\tdog", "17"]
    scored = tgb.score(strange, references=strange, metrics=["unique", "distinct"])
    assert (scored.n_sentences, scored.unknown_share, scored.warnings) == (4, 0.0, [])
    assert scored.evaluation.scores["distinct_1"].value == 1.0  # the words are "a and dog" and ["a", and "dog"] and …
    ids = tgb.score(["1 2", "3"], "grammar", metrics=["unique"], settings=QUICK_TASK, format="ids")
    assert ids.unknown_share == 0.0


def test_sentences_may_come_from_a_generator() -> None:
    scored = tgb.score((line for line in LINES), references=map(str, LINES), metrics="unique")
    assert scored.n_sentences == len(LINES)
    assert list(scored.evaluation.scores) == ["unique"]


@pytest.mark.parametrize(
    ("how", "complaint"),
    [
        ({"seeds": None}, "seeds takes a list, got None"),
        ({"seeds": []}, "seeds is an empty list"),
        ({"seeds": 1.5}, "seeds are whole numbers from 0 on"),
        ({"temperatures": None}, "temperatures takes a list"),
        ({"temperatures": ()}, "temperatures is an empty list"),
        ({"metrics": None}, "metrics takes a list"),
        ({"metrics": "bleuu"}, "did you mean 'bleu'"),
        ({"settings": "lr=3"}, "settings takes names with values"),
        ({"settings": {3: 3}}, "settings takes names with values"),
        ({"jobs": 0}, "jobs is a whole number from 1 on, got 0"),
        ({"jobs": "2"}, "jobs is a whole number from 1 on, got '2'"),
        ({"tracking_uri": True}, "tracking_uri is the address as text"),
    ],
)
def test_what_no_run_can_be_given_is_said(how: dict, complaint: str, tmp_path: Path) -> None:
    with pytest.raises((KeyError, ValueError), match=complaint):
        tgb.run("mle", "grammar", scale="smoke", runs=tmp_path, progress=False, **how)
    assert list(tmp_path.iterdir()) == []


def test_one_value_stands_for_a_list_of_it(runs: Path) -> None:
    given = {"scale": "smoke", "settings": QUICK, "runs": runs, "progress": False}
    records = tgb.run("mle", "grammar", seeds=np.int64(0), temperatures=1.0, **given)
    assert [record.seed for record in records] == [0]


def test_two_runs_are_loaded_from_the_code_that_they_keep(tmp_path: Path) -> None:
    given = {"scale": "smoke", "settings": {"n_samples": 50, "metrics": ["unique"]}, "progress": False}
    for number, seed in ((1, 0), (2, 1)):
        copy = tmp_path / f"gan_{number}.py"
        copy.write_bytes(Path(TOY.rpartition(":")[0]).read_bytes() + f"# {number}\n".encode())
        tgb.run(f"{copy}:ToyGAN", "grammar", seeds=seed, runs=tmp_path / "runs", **given)
    folders = sorted((tmp_path / "runs").glob("*gan_*"))
    assert len(folders) == 2
    for folder in folders:
        trained = tgb.load(folder / "record.json", model=f"{folder / 'model.py'}:ToyGAN")
        assert len(trained.sample(3)) == 3
        with pytest.raises(ValueError, match="from 1 on, got 0"):
            trained.sample(0)
