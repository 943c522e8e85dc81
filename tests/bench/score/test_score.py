"""`score`: samples files of every form, compared with one another, against a task or against any file."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.commands import call_bench

from bench.config import build, build_metrics
from bench.record import HELD_OUT_TEXT, REAL_TEXT, read_record
from bench.registry import find
from bench.score import records
from bench.score.records import LoadedTask, record_real, record_real_text
from bench.score.references import References
from bench.score.report import with_error
from bench.score.scoring import held_out_text
from bench.task import Vocabulary
from bench.text import sample_files as samples_file
from bench.text.sample_files import Samples, read_samples
from leaderboards.boards import build as build_boards

LINES = ["the dog sleeps", "", "the cats see a dog", "the dog sleeps", "a cat sees the zebra"]
GRAMMAR = build(find("tasks", "grammar"), {}, "grammar")


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def grammar():
    return GRAMMAR.load()


def test_real_text_is_two_rows_and_the_test_is_never_compared_with_itself(tmp_path: Path) -> None:
    task = build(find("tasks", "grammar"), {"n_train": 300, "n_valid": 50, "n_test": 200}, "grammar")
    metrics = [
        find("metrics", name)() for name in ("bleu", "novelty", "nll_gen", "train_overlap", "unique", "validity")
    ]
    loaded = LoadedTask(name="grammar", task=task, data=task.load(), metrics=metrics)
    train = record_real_text(loaded, 150, tmp_path)
    (found,) = [r for r in map(read_record, sorted(tmp_path.glob("*/record.json"))) if r.model == "real_text_test"]
    assert train.model == "real_text"
    assert {"bleu_2", "novelty"} <= train.evaluations[0].scores.keys()
    end = found.evaluations[0]
    assert {"novelty", "train_overlap", "unique", "validity"} <= end.scores.keys()
    assert not any(key.startswith("bleu") for key in end.scores)
    assert end.skipped["bleu"] == "the samples are test sentences, and so is what bleu compares with"
    known = {tuple(s) for s in loaded.data.vocabulary.sentences(loaded.data.training)}
    text = [tuple(s) for s in loaded.data.vocabulary.sentences(held_out_text(loaded.data, 150))]
    assert len(text) == 150
    assert end.scores["novelty"].value == pytest.approx(sum(s not in known for s in text) / 150)
    assert end.scores["novelty"].value > train.evaluations[0].scores["novelty"].value + 0.5
    before = sorted(p.stat().st_mtime_ns for p in tmp_path.glob("*/record.json"))
    record_real_text(loaded, 150, tmp_path)
    assert sorted(p.stat().st_mtime_ns for p in tmp_path.glob("*/record.json")) == before


def test_the_row_of_the_test_is_left_out_where_every_metric_compares_with_it(tmp_path: Path) -> None:
    task = build(find("tasks", "grammar"), {"n_train": 300, "n_valid": 50, "n_test": 200}, "grammar")
    loaded = LoadedTask(name="grammar", task=task, data=task.load(), metrics=[find("metrics", "bleu")()])
    record_real_text(loaded, 150, tmp_path)
    assert [path.parent.name.split("-")[1] for path in tmp_path.glob("*/record.json")] == ["real_text"]


def test_real_text_is_made_again_where_its_row_would_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = build(find("tasks", "grammar"), {"n_train": 300, "n_valid": 50, "n_test": 200}, "grammar")
    loaded = LoadedTask(name="grammar", task=task, data=task.load(), metrics=[find("metrics", "unique")()])

    def made(dirty: bool) -> tuple[int, bool]:
        monkeypatch.setattr(records, "describe_environment", lambda: {"git.dirty": dirty})
        record, _ = record_real(REAL_TEXT, loaded, 50, tmp_path)
        return record.task_version, record.environment["git.dirty"]

    assert [made(dirty) for dirty in (True, True, False, True)] == [(1, True), (1, True), (1, False), (1, False)]
    monkeypatch.setattr(type(task), "version", 2)
    assert made(False) == (2, False)
    assert len(list(tmp_path.glob("*/record.json"))) == 2


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, content: bytes | str | list[str]) -> Path:
        if isinstance(content, list):
            content = "".join(f"{line}\n" for line in content)
        content = content if isinstance(content, bytes) else content.encode()
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        pack = {".gz": gzip.compress, ".bz2": bz2.compress}.get(path.suffix, bytes)
        path.write_bytes(pack(content))
        return path

    return write


def read(path: Path, loaded, **options: Any) -> Samples:
    return read_samples(path, GRAMMAR, loaded.vocabulary, eos_id=loaded.spec.eos_id, **options)


def score(*arguments: object, code: int = 0) -> str:
    result = call_bench("score", *arguments, code=code)
    return result.output if code else result.stdout


def scored(*arguments: object) -> list[dict[str, Any]]:
    return json.loads(score(*arguments, "--json"))["files"]


def as_words(lines: list[str]) -> list[dict[str, Any]]:
    return [{"id": i, "tokens": line.split()} for i, line in enumerate(lines)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", LINES),
        ("a.txt", "\n".join(LINES)),  # the last line need not end
        ("a.txt", "\r\n".join(LINES)),
        ("a.txt", b"\xef\xbb\xbf" + "\n".join(LINES).encode()),  # a byte order mark is no word
        ("a.txt.gz", LINES),
        ("a.txt.bz2", LINES),
        ("a.jsonl.bz2", [json.dumps(line) for line in LINES]),
        ("a.jsonl", [json.dumps(line) for line in LINES]),
        ("a.ndjson", [json.dumps({"text": line, "tokens": ["not", "these"]}) for line in LINES]),
        ("a.jsonl.gz", [json.dumps({"text": line}) for line in LINES]),
        ("a.json", [json.dumps(row) for row in as_words(LINES)]),
    ],
)
def test_every_form_gives_the_same_sentences(name, content, write, grammar):
    samples = read(write(name, content), grammar)
    assert samples.sentences == LINES
    assert (len(samples), samples.n_empty) == (5, 1)
    assert samples.unknown_share == pytest.approx(1 / 16)
    assert samples.sha256 == read(write("plain.txt", LINES), grammar).sha256


def test_the_name_of_a_field_and_of_a_form(write, grammar):
    path = write("a.out", [json.dumps({"generated": line}) for line in LINES])
    assert read(path, grammar, format="jsonl", field="generated").sentences == LINES
    with pytest.raises(ValueError, match=r"line 1: no field 'generatd'; did you mean 'generated'\?"):
        read(path, grammar, format="jsonl", field="generatd")
    with pytest.raises(ValueError, match=r"line 1: no field 'text' or 'tokens'; name one by --field\. Fields: gen"):
        read(path, grammar, format="jsonl")
    assert read(path, grammar, field="generated").sentences == LINES
    with pytest.raises(ValueError, match=r"--field generated is for JSON lines, and .* is read as text"):
        read(write("plain.txt", LINES), grammar, field="generated")


def test_rows_of_ids(write, grammar):
    number = grammar.vocabulary.numbering
    rows = [[number[word] for word in line.split()] for line in LINES[:3]]
    text = write("ids.txt", [" ".join(map(str, [*row, 0, 0, 5])) for row in rows])  # nothing after the end counts
    assert read(text, grammar, format="ids").sentences == LINES[:3]
    lines = write("ids.jsonl", [json.dumps({"tokens": row}) for row in rows])
    assert read(lines, grammar).sentences == LINES[:3]
    size = grammar.spec.vocab_size
    for line, expected in (("5 999999", f"line 2: the id 999999 is not one of the task's, 0 to {size - 1}"),
                           ("5 dog", "line 2: 'dog' is not an id"), ("5 -1", "line 2: the id -1")):  # fmt: skip
        with pytest.raises(ValueError, match=expected):
            read(write("bad.txt", ["3 4", line]), grammar, format="ids")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", b"", "a.txt is empty: expected one sentence a line"),
        ("a.txt", b"\n \n\n", "a.txt is empty: its 3 lines hold no word"),
        ("a.txt", b"fine\ncaf\xe9\n", "a.txt, line 2, byte 8: 0xe9 is not UTF-8"),
        ("a.txt", b"fine\nnot \0 fine\n", "a.txt, line 2, byte 9: a zero byte"),
        ("a.txt", "fine".encode("utf-16"), "perhaps UTF-16"),
        ("a.txt", b"x" * ((1 << 20) + 1), "line 1 has more than 1048576 bytes"),
        ("a.jsonl", ['"a"', "", '"b"'], "a.jsonl, line 2: a blank line is no JSON"),
        ("a.jsonl", ['"a"', "{a}"], "a.jsonl, line 2: not JSON"),
        ("a.json", ['["a dog", "a cat"]'], "line 1: a JSON array; JSON lines are expected"),
        ("a.jsonl", ["17"], "line 1: expected a string, a list of words or an object a line, got int 17"),
        ("a.jsonl", ['{"text": 1.5}'], "expected a text, a list of words or a list of ids, got float 1.5"),
        ("a.jsonl", [r'"a \ud800 b"'], "half of a surrogate pair"),
        ("a.jsonl", [r'"a \u0000 b"'], "a zero character"),
        ("a.jsonl", ['{"tokens": [1000000]}'], "the id 1000000 is not one of the task's"),
    ],
)
def test_what_is_wrong_and_where(name, content, expected, write, grammar):
    with pytest.raises(ValueError) as caught:
        read(write(name, content), grammar)
    assert expected in str(caught.value)


def test_a_file_is_tokenised_once(write, tmp_path, monkeypatch):
    task = References(references=Path("any"), tokenizer="english")
    path = write("a.txt", ["I don't know.", "", "Here."])
    words = read_samples(path, task, Vocabulary(())).sentences
    assert words == ["I do n't know .", "", "Here ."]

    def fail(self: References, line: str) -> list[str]:
        raise AssertionError(f"tokenised again: {line}")

    monkeypatch.setattr(References, "tokenize", fail)
    copy = write("other_name.txt", ["I don't know.", "", "Here."])
    assert read_samples(copy, task, Vocabulary(("I", "know"))).sentences == words
    with pytest.raises(AssertionError, match="tokenised again"):  # another tokenizer
        read_samples(path, References(references=Path("any")), Vocabulary(()))
    path.write_text("I know.\n")
    with pytest.raises(AssertionError, match="tokenised again"):  # another text
        read_samples(path, task, Vocabulary(()))


def test_a_file_that_would_not_fit_is_refused_after_its_first_lines(write, grammar, monkeypatch):
    monkeypatch.setattr(samples_file._Budget, "tokens", 100_000)
    monkeypatch.setattr(samples_file, "_ENOUGH_TO_PROJECT", 1 << 14)
    path = write("large.txt", ["the dog sleeps"] * 200_000)
    seen: list[float] = []
    with pytest.raises(ValueError, match=r"large.txt holds about 6\d\d,\d\d\d words, which take about 0.1 GB"):
        read(path, grammar, progress=seen.append)
    assert max(seen) < 0.15  # of the file was read
    assert len(read(write("small.txt", ["the dog sleeps"] * 30_000), grammar)) == 30_000


def test_two_files_and_what_their_difference_means(write):
    first = write("first.txt", ["the dog sleeps .", "a cat sees the dog"] * 50)
    second = write("second.txt", ["the dog sleeps .", "dog the a", "the cat", "a dog a dog"] * 25)
    a, b = scored(first, second, "grammar", "--metric", "bleu", "--metric", "validity")
    assert a["difference_to_first"] == {}
    assert b["difference_to_first"].keys() == b["scores"].keys() == {*(f"bleu_{n}" for n in (2, 3, 4, 5)), "validity"}
    for key, apart in b["difference_to_first"].items():
        x, y = a["scores"][key], b["scores"][key]
        error = math.hypot(x["standard_error"], y["standard_error"])
        assert apart["value"] == y["value"] - x["value"]
        assert apart["standard_error"] == pytest.approx(error, rel=1e-12)
        assert apart["p_value"] == pytest.approx(math.erfc(abs(apart["value"] / error) / math.sqrt(2)), rel=1e-9)
    table = score(first, second, "grammar", "--metric", "validity")
    assert "second.txt − first.txt" in table
    assert "p<.001 *" in table
    assert " ± 0.0" in table
    same = scored(first, write("again.txt", first.read_text()), "grammar")[1]["difference_to_first"]
    assert {apart["value"] for apart in same.values()} == {0.0}
    assert all(apart["p_value"] in (1.0, None) for apart in same.values())


def test_files_of_different_numbers_are_shown_and_not_compared(write):
    first, second = write("a.txt", ["the dog sleeps"] * 4), write("b.txt", ["the dog sleeps", "the cat sleeps"])
    result = call_bench("score", first, second, "grammar")
    assert "have different numbers: a.txt 4, b.txt 2" in result.stderr
    assert "b.txt − a.txt" not in result.stdout
    document = json.loads(score(first, second, "grammar", "--json"))
    assert "different numbers" in document["warning"]
    assert document["files"][1]["difference_to_first"] == {}
    assert "samples:2" in document["files"][1]["not_compared"]["unique"]
    assert "a.txt 4, b.txt 2" in score(first, second, "grammar", "--strict", code=2)


def test_csv_has_a_row_for_each_score_and_each_absence(write):
    first, second = write("a.txt", LINES), write("b.txt", LINES[::-1])
    rows = list(csv.DictReader(io.StringIO(score(first, second, "grammar", "--csv", "--name", "A", "--name", "B"))))
    assert [(row["name"], row["value"]) for row in rows if row["score"] == "unique"] == [("A", "0.8"), ("B", "0.8")]
    assert next(row["difference"] for row in rows if (row["name"], row["score"]) == ("B", "bleu_2")) == "0.0"
    absent = next(row for row in rows if row["score"] == "nll_gen")
    assert (absent["value"], absent["absent"]) == (
        "",
        "nll_gen needs a model with a likelihood, at the temperature of the samples",
    )


def test_any_file_as_references(write):
    samples = write("mine.txt", ["a b c d", "a b x", "e f g"])
    references = write("refs.jsonl", ['"a b c"', '{"text": "e f g h"}'])
    training = write("train.txt", ["a b x", "nothing"])
    (file,) = scored(samples, "--references", references, "--training", training)
    assert file["scores"]["novelty"]["value"] == pytest.approx(2 / 3)
    assert "refs:2|samples:3" in file["scores"]["bleu_2"]["signature"]
    bleu_2 = [math.sqrt(3 / 4 * 2 / 3), math.sqrt(2 / 3 * 1 / 2), 1.0]  # the nearest lengths are 4, 3 and 3
    assert file["scores"]["bleu_2"]["value"] == pytest.approx(sum(bleu_2) / 3)
    assert file["unknown_word_share"] == pytest.approx(1 / 10)  # "d"
    (file,) = scored(samples, "--references", references)
    assert "novelty" in file["absent"]
    (file,) = scored(samples, "--references", references, "--tokenizer", "characters", "--metric", "distinct")
    assert file["scores"]["distinct_1"]["value"] == pytest.approx(8 / 10)


def test_real_text_stands_beside_every_score(write, grammar):
    """Training sentences; of what compares with the training text, sentences of the test."""
    lines = [" ".join(words) for words in grammar.vocabulary.sentences(grammar.references)][:60]
    samples = write("mine.txt", lines)
    wanted = ("--metric", "unique", "--metric", "novelty", "--metric", "bleu")
    (file,) = scored(samples, "grammar", *wanted)
    assert file["real_text"].keys() == file["scores"].keys()
    for model in (REAL_TEXT, HELD_OUT_TEXT):
        metrics = build_metrics(["novelty"] if model == HELD_OUT_TEXT else ["unique", "bleu"], {})
        loaded = LoadedTask(name="grammar", task=GRAMMAR, data=grammar, metrics=metrics)
        record, n = record_real(model, loaded, len(lines), None)
        assert n == len(lines)
        for key, score_ in record.evaluations[0].scores.items():
            assert file["real_text"][key] == {"value": score_.value, "standard_error": score_.standard_error}
    assert file["real_text"]["novelty"]["value"] > 0  # training sentences would have 0
    assert {key: part for key, part in scored(samples, "grammar", *wanted)[0].items() if key == "real_text"} == {
        "real_text": file["real_text"]
    }  # the second time from the cache
    table = score(samples, "grammar", *wanted)
    assert "real text: 60 training sentences and reference sentences for novelty" in table
    unique = file["real_text"]["unique"]
    assert any(f"{unique['value']:.4f} ± {unique['standard_error']:.4f}" in line for line in table.splitlines())


def test_an_error_that_is_not_zero_is_not_written_as_zero() -> None:
    assert with_error(0.5, 0.00004) == "0.5000 ± <0.0001"
    assert [with_error(0.5, error) for error in (0.0, 0.00006, None)] == [
        "0.5000 ± 0.0000",
        "0.5000 ± 0.0001",
        "0.5000",
    ]


def test_where_real_text_has_no_value_the_reason_stands_there(write, grammar):
    samples, references = write("mine.txt", ["a b c d", "a b x", "e f g"]), write("refs.txt", ["a b c", "e f", "a d b"])
    (file,) = scored(samples, "--references", references)
    assert file["real_text"].keys() | file["real_text_absent"].keys() == file["scores"].keys()
    assert file["real_text"]["distinct_1"]["value"] == 6 / 8  # of the references: a b c e f d, of eight words
    assert file["real_text_absent"]["bleu_2"].endswith("name more with --training")
    assert "no value of real text: bleu_2, bleu_3" in score(samples, "--references", references)
    (file,) = scored(samples, "--references", references, "--training", write("one.txt", ["a b c", "a d"]))
    assert "there are 2 real sentences" in file["real_text_absent"]["unique"]
    rows = csv.DictReader(io.StringIO(score(samples, "--references", references, "--csv")))
    assert {row["score"]: (row["real_text"], bool(row["real_text_absent"])) for row in rows}["bleu_2"] == ("", True)


def test_a_damaged_cache_of_real_text_costs_time_only(write, tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTGAN_BENCH_CACHE", str(tmp_path / "cache"))
    samples = write("mine.txt", ["the dog sleeps ."] * 5)
    first = scored(samples, "grammar", "--metric", "unique")
    (kept,) = tmp_path.rglob("real_text/*/record.json")
    kept.write_text(kept.read_text()[:-40])
    assert scored(samples, "grammar", "--metric", "unique") == first


def test_the_leaderboard_takes_the_records(write, tmp_path):
    first, second = write("a.txt", LINES), write("sub/a.txt", LINES[::-1])
    runs = tmp_path / "runs"
    files = scored(first, second, "grammar", "--runs", runs)
    assert [file["name"] for file in files] == [str(first), str(second)]  # one name would be two rows' name
    boards = build_boards([runs]).boards
    assert [len(board.rows) for board in boards] == [2]
    for file in files:
        record = read_record(Path(file["record"]))
        assert (record.origin, record.status, record.model) == ("samples", "completed", file["name"])
        scores = record.evaluations[0].scores
        assert scores["bleu_2"].standard_error == file["scores"]["bleu_2"]["standard_error"] > 0
        kept = Path(file["record"]).with_name("samples.txt")
        (again,) = scored(kept, "grammar")
        assert again["scores"] == file["scores"]
    other = tmp_path / "others"
    score(first, "--references", second, "--runs", other)
    assert [board.task for board in build_boards([other]).boards] == ["a.txt"]
    (path,) = other.glob("*/record.json")
    assert read_record(path).task_config == {"references": "a.txt", "training": None, "tokenizer": "blanks"}


def test_a_record_is_never_replaced_by_one_of_fewer_metrics(write, tmp_path):
    file, two = write("a.txt", LINES), ("--metric", "unique", "--metric", "distinct")
    (first,) = scored(file, "grammar", "--runs", tmp_path / "runs", *two)
    kept = Path(first["record"]).read_bytes()
    other = write("b.txt", LINES[1:])
    said = score(other, file, "grammar", "--runs", tmp_path / "runs", "--metric", "unique", code=2)
    assert "by metrics that would be lost: distinct." in " ".join(said.split())
    assert Path(first["record"]).read_bytes() == kept
    assert len(list((tmp_path / "runs").glob("grammar-samples-*"))) == 1  # nothing was scored before that was told
    (more,) = scored(file, "grammar", "--runs", tmp_path / "runs", *two, "--metric", "novelty")
    assert (more["record"], "novelty" in more["scores"]) == (first["record"], True)


def test_the_wrong_task_is_noticed(write):
    numbers = write("ids.txt", ["17 4 5", "6 7 8"])
    assert "100% of the words occur nowhere in the text of grammar: are these rows of ids" in score(numbers, "grammar")
    strange = write("other.txt", ["completely other words", "the dog sleeps"])
    assert "50% of the words occur nowhere in the text of grammar: is it the right task?" in score(strange, "grammar")
    marked = write("marked.txt", ["the dog sleeps <eos>"] * 20)
    assert "the word '<eos>' names the end of a sentence" in score(marked, "grammar")
    assert "warning" not in score(write("fine.txt", ["the dog sleeps"] * 2), "grammar")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["FILE"], "is a file: the task comes last"),
        (["FILE", "FILE"], "is a file: the task comes last"),
        (["grammar"], "no samples file: expected score FILES... grammar"),
        (["FILE", "nothing.txt", "grammar"], "no file 'nothing.txt'"),
        (["FILE", "grammer"], "did you mean 'grammar'?"),
        (["FILE", "grammar", "--metric", "blue"], "did you mean 'bleu'?"),
        (["FILE", "grammar", "--tokenizer", "english"], "--tokenizer goes with --references"),
        (["FILE", "grammar", "--training", "FILE"], "--training goes with --references"),
        (["FILE", "--references", "nothing.txt"], "no file 'nothing.txt'"),
        (["FILE", "--references", "FILE", "--set", "a=1"], "--set changes a task"),
        (["FILE", "--references", "FILE", "--format", "ids"], "there is no task"),
        (["FILE", "grammar", "--name", "a", "--name", "b"], "1 file, 2 names"),
        (["FILE", "FILE", "grammar"], "is given twice"),
        (["FILE", "grammar", "--json", "--csv"], "exclude each other"),
    ],
)
def test_what_was_asked_wrongly_is_one_line(arguments, expected, write):
    path = str(write("a.txt", ["1 2", "3 4"]))
    output = score(*(path if argument == "FILE" else argument for argument in arguments), code=2)
    assert expected in output
    assert output.count("\n") == 1


def test_what_was_read_is_said_on_stderr_and_in_json(write):
    real = write("real.tsv", ["id\ttext", *(f"{i}\t{line} now" for i, line in enumerate(LINES))])
    mine = write("mine.txt", [json.dumps(line) for line in LINES])
    for how in ((), ("--json",), ("--csv",)):
        result = call_bench("score", mine, "--references", real, "--metric", "bleu", *how)
        assert "real.tsv: read as a table, column 2 of 2 ('text', the header, is left out)\n" in result.stderr
        assert "mine.txt: read as JSON strings; --format text takes the lines as they stand\n" in result.stderr
        assert "read as" not in result.stdout or how == ("--json",)
    (file,) = scored(mine, "--references", real)
    assert file["read_as"] == "JSON strings"
    assert file["warnings"][0] == "read as JSON strings; --format text takes the lines as they stand"
    other = write("other.tsv", [f"{line} a\t{line} now" for line in LINES if line])
    assert "which holds the sentences, --column 1 or --column 2" in score(mine, "--references", other, code=2)
    (file,) = scored(other, "--references", other, "--column", "2", "--metric", "bleu")
    assert file["scores"]["bleu_2"]["value"] == 1.0
    assert (file["read_as"], file["warnings"]) == ("a table, column 2 of 2", [])


def test_published_samples_of_two_models(study_data, monkeypatch):
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(study_data))
    files = [study_data / "samples" / "image_coco" / f"texygen_{name}.txt" for name in ("mle", "seq")]
    mle, seqgan = scored(*files, "image_coco", "--metric", "bleu")
    assert (mle["sentences"], mle["unknown_word_share"], mle["warnings"]) == (9984, 0.0, [])
    for order, value in {2: 0.7457, 3: 0.4977, 4: 0.2945, 5: 0.1801}.items():
        assert seqgan["scores"][f"bleu_{order}"]["value"] == pytest.approx(value, abs=5e-4)
    p_values = {key: apart["p_value"] for key, apart in seqgan["difference_to_first"].items()}
    assert p_values["bleu_3"] == pytest.approx(0.905, abs=0.01)  # the two are not to be told apart at order 3
    assert max(p_values[key] for key in ("bleu_2", "bleu_4", "bleu_5")) < 1e-3
