"""Runs on text with classes, from the user's files to sentences of a class, and their verification."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import call_bench

from bench.config import build
from bench.labels.data import LabelledText
from bench.record import RunRecord, read_record
from bench.registry import find
from bench.run_folder import RECORD, WEIGHTS, log_probs_name
from bench.score.log_probs import LABEL, OWN, TEST, read_log_probs
from bench.tasks.labelled_file import read_texts
from leaderboards.repository.verify import verify
from metrics.common.labels import without_label

GOOD = [
    f"the {thing} is {word}" for thing in ("soup", "film", "room", "song", "book") for word in ("good", "great")
] * 6
BAD = [f"the {thing} is {word}" for thing in ("soup", "film", "room", "song", "book") for word in ("bad", "awful")] * 6


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    (folder / "neg.txt").write_text("\n".join(BAD) + "\n\n")
    (folder / "pos.txt").write_text("\n".join(GOOD) + "\n")
    lines = [f"negative\t{line}" for line in BAD] + [f"positive\t{line}" for line in GOOD]
    (folder / "both.tsv").write_text("\n".join(lines) + "\n")
    return folder


def load(**settings: object) -> LabelledText:
    found = build(find("tasks", "labelled_file"), settings, "labelled_file").load()
    assert isinstance(found, LabelledText)
    return found


def run(folder: Path, *words: str) -> RunRecord:
    call_bench("run", *words, "--tracker", "none", "--runs", folder, "--set", "n_samples=100")
    (path,) = [p for p in folder.rglob(RECORD) if read_record(p).origin == "run"]
    return read_record(path)


@pytest.fixture(scope="module")
def of_files(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunRecord]:
    runs = tmp_path_factory.mktemp("runs")
    files = f"texts=negative={texts / 'neg.txt'} positive={texts / 'pos.txt'}"
    return runs, run(runs, "ngram", "labelled_file", "--scale", "smoke", "--set", files)


def test_a_file_for_each_class(texts: Path) -> None:
    found = load(texts={"negative": str(texts / "neg.txt"), "positive": str(texts / "pos.txt")})
    assert found.spec.classes == ("negative", "positive")
    assert found.vocabulary.words[-2:] == ("<negative>", "<positive>")
    assert (found.facts["train"], found.facts["valid"], found.facts["test"]) == (90, 6, 24)
    assert found.facts["blank_lines"] == 1
    for rows in (found.train, found.valid, found.test):
        labels, words = found.parted(find_tokens(rows))
        assert np.bincount(labels).tolist() == [len(rows) // 2] * 2, "equal shares"
        for label, sentence in zip(labels, found.vocabulary.sentences(words), strict=True):
            assert sentence in (BAD, GOOD)[label]
    assert found.judge.name == "naive_bayes@1"
    assert found.judge.accuracy == 1.0


def find_tokens(rows: np.ndarray):  # type: ignore[no-untyped-def]
    from metrics.common.tokens import Tokens

    return Tokens.from_rows(rows, 0)


def test_a_label_in_each_line_is_the_same_text(texts: Path) -> None:
    apart = load(texts={"negative": str(texts / "neg.txt"), "positive": str(texts / "pos.txt")})
    together = load(path=str(texts / "both.tsv"))
    assert together.sha256 == apart.sha256


def test_where_the_files_lie_makes_no_other_run(texts: Path, tmp_path: Path) -> None:
    def hashes(folder: Path) -> dict[str, str]:
        files = {name: str(folder / f"{name[:3]}.txt") for name in ("negative", "positive")}
        return dict(build(find("tasks", "labelled_file"), {"texts": files}, "labelled_file").file_hashes())

    for name in ("neg.txt", "pos.txt"):
        shutil.copy(texts / name, tmp_path / name)
    assert hashes(texts) == hashes(tmp_path)
    (tmp_path / "neg.txt").write_text("other\n")
    assert hashes(texts) != hashes(tmp_path)


def test_a_path_with_blanks_stands_in_quotes() -> None:
    given = read_texts('negative="of mine/n, e.txt",  positive=C:\\pos.txt it\'s=#1.txt')
    assert given == {"negative": "of mine/n, e.txt", "positive": "C:\\pos.txt", "it's": "#1.txt"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "takes a file for each class"),
        ({"texts": "neg.txt"}, "'neg.txt' is no label=path"),
        ({"texts": "a=neg.txt"}, "two classes or more are needed, got a"),
        ({"texts": "a=neg.txt a=pos.txt"}, "the class 'a' is named twice"),
        ({"texts": 'a="neg.txt b=pos.txt'}, "No closing quotation; write texts="),
        ({"texts": "a=x.txt b=y.txt", "path": "z"}, "takes a file for each class"),
        ({"texts": {"a b": "x", "c": "y"}}, "the name of a class is a word"),
        ({"texts": "a=x.txt b=y.txt", "test_share": 0.97}, "must be under 1"),
    ],
)
def test_what_is_no_labelled_file_is_said_before_anything_is_read(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build(find("tasks", "labelled_file"), settings, "labelled_file")


def test_what_a_file_lacks_is_said_with_its_place(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "no.tsv").write_text("positive\tgood\nnegative bad\n")
    with pytest.raises(ValueError, match=r"no.tsv, line 2: expected a label \(one word\), a tabulator and a sentence"):
        load(path=str(tmp_path / "no.tsv"))
    (tmp_path / "few.txt").write_text("bad\nawful\n")
    with pytest.raises(ValueError, match=r"\(few, many, in this order from 0\): class 0 has 2 sentences: too few"):
        load(texts={"few": str(tmp_path / "few.txt"), "many": str(texts / "pos.txt")})
    named = {"texts": {"negative": str(texts / "neg.txt"), "positive": str(texts / "pos.txt")}}
    with pytest.raises(ValueError, match=r"class 0 has 45 training sentences.* min_count is 45 at most"):
        load(**named, min_count=46)
    assert len(load(**named, min_count=45).spec.classes) == 2
    with pytest.raises(FileNotFoundError, match=r"nowhere.txt.*labelled_file needs texts="):
        load(texts={"a": "nowhere.txt", "b": str(texts / "pos.txt")})
    (tmp_path / "named.txt").write_text("\n".join(["a <b> c"] * 20))
    with pytest.raises(ValueError, match="the text holds the word '<b>', which names a class"):
        load(texts={"a": str(tmp_path / "named.txt"), "b": str(texts / "pos.txt")})


def test_sentences_of_a_class_in_one_command(of_files: tuple[Path, RunRecord]) -> None:
    runs, record = of_files
    (folder,) = [p.parent for p in runs.rglob(RECORD) if read_record(p).run_id == record.run_id]

    def sample(*more: str) -> list[str]:
        return call_bench("sample", folder, "-n", 12, *more).stdout.splitlines()

    assert all(line.startswith("the ") and "\t" not in line for line in sample("--label", "positive"))
    assert sum(line in GOOD for line in sample("--label", "positive")) > 6
    assert not any(line in BAD for line in sample("--label", "positive"))
    assert [line.partition("\t")[0] for line in sample()] == ["negative", "positive"] * 6
    wrong = call_bench("sample", folder, "--label", "positiv", code=2)
    assert "did you mean 'positive'" in wrong.stderr


def test_its_scores_are_of_classes(of_files: tuple[Path, RunRecord]) -> None:
    _, record = of_files
    scores = record.evaluations[-1].scores
    assert {"class_accuracy", "per_class_bleu_2", "per_class_self_bleu_4_worst", "nll_class", "bleu_5"} <= scores.keys()
    assert scores["class_accuracy"].settings["judge"] == "naive_bayes@1"
    assert scores["class_accuracy"].value > 0.8
    assert record.data_facts["classes"] == 2


def test_anybodys_sentences_are_scored_with_their_labels(tmp_path: Path) -> None:
    """Half of them under the wrong label; one names no class. `explain-score` counts no label as a word."""
    lines = ["<positive> the soup is good .", "<negative> the soup is good .", "<negative> a waiter is rude ."]
    lines += ["<positive> a waiter is rude .", "a waiter is rude ."]
    (tmp_path / "mine.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "words.txt").write_text("\n".join(line.partition("> ")[2] or line for line in lines) + "\n")
    few = ["--set", "n_train=100", "--set", "n_valid=20", "--set", "n_test=200"]

    def said(*words: str) -> dict[str, object]:
        return dict(json.loads(call_bench(*words, "--json", *few).stdout))

    scored = said("score", str(tmp_path / "mine.txt"), "grammar_labels")["files"]
    assert isinstance(scored, list)
    values = {key: found["value"] for key, found in scored[0]["scores"].items()}
    assert values["class_accuracy"] == pytest.approx(2 / 5)
    assert values["class_unlabelled"] == pytest.approx(1 / 5)
    assert values["validity"] == 1.0
    assert values["unique"] == pytest.approx(2 / 5), "the same words under another label are the same sentence"
    with_labels, without = (
        said("explain-score", str(tmp_path / f), "grammar_labels") for f in ("mine.txt", "words.txt")
    )
    assert with_labels == without


@pytest.fixture(scope="module")
def of_grammar(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunRecord]:
    runs = tmp_path_factory.mktemp("runs")
    few = ["n_train=400", "n_valid=100", "n_test=300"]
    settings = [word for each in few for word in ("--set", each)]
    record = run(runs, "ngram", "grammar_labels", "--scale", "small", "--temperature", "0.8", *settings)
    return runs, record


def test_a_run_with_labels_is_verified_by_its_weights_and_without_them(of_grammar: tuple[Path, RunRecord]) -> None:
    runs, record = of_grammar
    reports = verify([runs])
    assert [(r.state, r.reasons) for r in reports] == [("verified", [])] * 3
    (folder,) = [p.parent for p in runs.rglob(RECORD) if read_record(p).run_id == record.run_id]
    hows = {(key, check.how) for r in reports for check in r.checks for key in check.scores}
    assert {("nll_class", "weights"), ("class_accuracy", "samples"), ("nll_gen", "weights")} <= hows
    (folder / WEIGHTS).rename(folder / "aside")
    try:
        (report,) = verify([folder])
        assert (report.state, report.reasons) == ("verified", [])
        hows = {(key, check.how) for check in report.checks for key in check.scores}
        assert {("nll_class", "log_probabilities"), ("kl_class_from_oracle", "log_probabilities")} <= hows
    finally:
        (folder / "aside").rename(folder / WEIGHTS)


def test_a_changed_score_of_a_class_is_found(of_grammar: tuple[Path, RunRecord], tmp_path: Path) -> None:
    runs, record = of_grammar
    (folder,) = [p.parent for p in runs.rglob(RECORD) if read_record(p).run_id == record.run_id]
    copy = shutil.copytree(folder, tmp_path / folder.name)
    document = json.loads((copy / RECORD).read_text())
    document["evaluations"][-1]["scores"]["class_accuracy"]["value"] += 0.01
    (copy / RECORD).write_text(json.dumps(document))
    (report,) = verify([copy])
    assert report.state == "different"
    assert any("class_accuracy is recorded as" in reason for reason in report.reasons)


def test_what_the_model_gave_is_kept_with_the_label_apart(of_grammar: tuple[Path, RunRecord]) -> None:
    runs, record = of_grammar
    (folder,) = [p.parent for p in runs.rglob(RECORD) if read_record(p).run_id == record.run_id]
    kept = read_log_probs(folder / log_probs_name("samples.txt"))
    assert kept.keys() == {TEST, OWN, LABEL + TEST, LABEL + OWN}
    assert np.allclose(kept[LABEL + TEST], np.log(0.5), atol=0.05), "both classes are as frequent"
    assert (kept[TEST] < kept[LABEL + TEST]).all()


def test_the_published_reviews(study_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(study_data))
    task = build(find("tasks", "sentence_polarity"), {}, "sentence_polarity")
    found = task.load()
    facts = found.facts
    assert found.spec.classes == ("negative", "positive")
    assert sum(facts[split] for split in ("train", "valid", "test")) == 5_358
    assert facts["test_sentences_in_train"] == 0
    labels, texts = without_label(found.references, found.spec.class_ids)
    assert 0.45 < labels.mean() < 0.55
    assert found.judge.accuracy == facts["judge_accuracy"] == 0.7347
    assert texts.lengths.max() == 20
    first = found.vocabulary.sentences(found.training.select(np.array([0])))[0]
    assert task.detokenize(first).startswith("negative\tthere's not one decent performance")
