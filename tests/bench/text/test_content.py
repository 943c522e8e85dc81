"""Files are read as what they hold, whatever their names; what two readings fit is refused with what would tell."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.score.references import References
from bench.task import Vocabulary
from bench.text.content import content_of
from bench.text.line_files import read_lines
from bench.text.sample_files import Samples, read_samples

Write = Callable[[str, bytes | str], Path]
ENGLISH = References(references=Path("any"), tokenizer="english")
LINES = ["the dog can't sleep.", "a cat sees the dog", 'she says "stop."']
WORDS = ["the dog ca n't sleep .", "a cat sees the dog", "she says `` stop . ''"]

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, content: bytes | str) -> Path:
        pack = {".gz": gzip.compress, ".bz2": bz2.compress}.get(Path(name).suffix, bytes)
        path = tmp_path / name
        path.write_bytes(pack(content if isinstance(content, bytes) else content.encode()))
        return path

    return write


def read(path: Path, **options: Any) -> Samples:
    return read_samples(path, ENGLISH, Vocabulary(("a",)), **options)


def joined(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def table(*columns: list[str], by: str = "\t") -> str:
    return joined([by.join(cells) for cells in zip(*columns, strict=True)])


NUMBERS = ["1", "0", "-2.5"]
LABELS = ["pos", "neg", "pos"]
QUOTED = ['"the dog can\'t sleep."', '"a cat sees the dog"', '"she says ""stop."""']


@pytest.mark.parametrize("name", ["a.txt", "a.tsf", "samples", "a.csv", "a.txt.gz", "a.tsv.bz2"])
@pytest.mark.parametrize(
    ("content", "read_as"),
    [
        (joined([json.dumps(line) for line in LINES]), "JSON strings"),
        (joined([json.dumps({"id": 1, "text": line}) for line in LINES]), "JSON objects"),
        (joined([json.dumps(line.split(" ")) for line in WORDS]), "JSON lists of words"),
        (joined([json.dumps({"tokens": line.split(" ")}) for line in WORDS]), "JSON objects"),
        (table(NUMBERS, LINES), "a table, column 2 of 2"),
        (table(LINES, LABELS, NUMBERS), "a table, column 1 of 3"),
        (table(["id", *NUMBERS], ["sentence", *LINES]), "a table, column 2 of 2 ('sentence', the header, is left out)"),
        (table(LINES, [""] * 3), "a table, column 1 of 2"),
        (table(QUOTED, ['"1"'] * 3, by=","), "a table, column 1 of 2"),
        (joined(QUOTED), "a table of one column"),
        ("\r".join(LINES), "text, its lines ended by CR"),
    ],
)
def test_what_a_file_holds_is_found_and_said(name: str, content: str, read_as: str, write: Write) -> None:
    samples = read(write(name, content))
    assert samples.sentences == WORDS
    assert samples.read_as == read_as
    assert samples.note is not None
    assert samples.note.startswith(f"read as {read_as}")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", joined(LINES)),
        ("a.txt", joined(LINES).replace("\n", "\r\n")),
        ("a.txt", joined(LINES).replace("\n", "\r\r\n")),  # converted twice
        ("a.csv", joined(["the dog can't sleep.", "a cat sees the dog", "she says `` stop . ''"])),
        ("a.jsonl", joined([json.dumps(line) for line in LINES])),
        ("a.txt", 'the\tdog can\'t sleep.\na cat sees the dog\nshe says "stop."\n'),  # a stray tab is a blank
    ],
)
def test_what_the_name_promises_is_not_said(name: str, content: str, write: Write) -> None:
    samples = read(write(name, content))
    assert (samples.sentences, samples.note) == (WORDS, None)


@pytest.mark.parametrize(
    "line", ['"Stop!"', "17", "null", "[unk] the dog", "{ a }", "'tis the season", "[1] see there"]
)
def test_text_that_begins_like_something_else_stays_text(line: str, write: Write) -> None:
    path = write("a.txt", joined([line, *LINES]))
    assert (content_of(path).read_as, content_of(path).note) == ("text", None)
    if not line.startswith('"'):
        assert content_of(write("a.txt", joined([line] * 3))).read_as == "text"


def test_text_is_taken_as_it_stands_if_it_is_asked_for(write: Write) -> None:
    path = write("a.txt", joined([json.dumps(line) for line in LINES]))
    assert read(path, format="text").sentences[1] == "`` a cat sees the dog ''"
    assert read(path, format="text").note is None
    path = write("b.txt", table(LINES, LINES))
    assert read(path, format="text").sentences[1] == f"{WORDS[1]} {WORDS[1]}"


@pytest.mark.parametrize("words", [["ca", "n't", "``", "U.S.", "''", "done."], ["can't", '"', "stop.)"]])
def test_a_list_of_words_is_a_sentence_of_these_words(words: list[str], write: Write) -> None:
    for value in (words, {"tokens": words}, {"text": words}):
        path = write("a.jsonl", json.dumps(value) + "\n" + json.dumps(value) + "\n")
        assert read(path).sentences == [" ".join(words)] * 2
    assert read(write("a.txt", " ".join(words)), format="tokens").sentences == [" ".join(words)]


def test_the_column_by_number_and_by_name(write: Write) -> None:
    other = ["one two", "three four", "five six"]
    path = write("a.tsv", table(["source", *other], ["target", *LINES]))
    for column in ("2", "target"):
        assert read(path, column=column).sentences == WORDS
    assert read(path, column="1").sentences == other
    path = write("b.tsf", table(other, LINES))
    assert read(path, column="2").sentences == WORDS
    assert read(path, column="2").note is None  # it was asked for
    path = write("a.txt", table(other, LINES, by=";"))
    assert read(path, column="1", format="table").sentences == other


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        (
            table(LINES, WORDS),
            {},
            r"a table of 2 columns, \(1\) .*: say which holds .*, --column 1 or --column 2; --for",
        ),
        (table(LINES, WORDS), {"column": "3"}, "has 2 columns, 1 to 2, and no column 3"),
        (table(["source", *LINES], ["target", *LINES]), {"column": "targte"}, "did you mean 'target'"),
        (joined(LINES), {"column": "2"}, "--column 2 is for tables, and .* is read as text"),
        (table(LINES, NUMBERS) + "one column\n", {}, "a table, or sentences that hold tabs"),
        (
            joined([*map(json.dumps, LINES), "bare"]),
            {},
            "3 of the first 4 lines are JSON strings .* 'bare': --format te",
        ),
        ('["a dog", "a cat"]\n', {}, r"line 1: a JSON array; .*\(jq -c '.\[\]' .*makes them\)"),
        ('[["a", "dog"], ["a", "cat"]]\n', {}, "line 1: a JSON array"),
        ('[\n"a dog",\n"a cat"\n]\n', {}, "line 1: a JSON array"),
        ('{\n"a": "a cat"\n}\n', {}, "line 1: a JSON document of several lines"),
        (joined(["['a', 'dog']"] * 2), {}, "Python's own writing, such as .* json.dumps, or --format text"),
        (
            '["a dog", "cat"]\n["b"]\n',
            {},
            "line 1: a list holds words, and 'a dog' is none: sentences stand one a line",
        ),
        ('["a", ""]\n["b"]\n', {}, "line 1: a list holds words, and '' is none: leave it out"),
        ('["a", 1]\n["b"]\n', {}, "line 1: expected a text, a list of words or a list of ids"),
        ("a dog\rb\nthe cat\n", {}, r"line 1: a carriage return \(CR\) in the middle of a line: .*`tr '\\r' '\\n' < "),
        (joined(["1"] * 1500) + "\n", {"format": "table", "column": "2"}, "no column 2"),
    ],
)
def test_what_is_ambiguous_or_wrong_is_refused(content: str, options: Any, expected: str, write: Write) -> None:
    with pytest.raises(ValueError, match=expected):
        read(write("a.txt", content), **options)


def test_a_name_of_a_table_with_rows_of_several_lengths_is_refused(write: Write) -> None:
    with pytest.raises(
        ValueError, match="a table by its name, and its lines have different numbers of columns: --form"
    ):
        read(write("a.csv", "a dog, big\na cat\n"))


@pytest.mark.parametrize(
    ("first", "later", "expected"),
    [
        (table(LINES * 400, ["1"] * 1200), "one\n", "line 1201: a row of 1 column in a table of 2"),
        (joined(['"a dog"'] * 1200), "bare\n", "line 1201: not JSON"),
        ("a dog\n" * 1200, "a\rb\nc\n", "line 1201: a carriage return"),
    ],
)
def test_later_lines_are_held_to_what_the_first_show(first: str, later: str, expected: str, write: Write) -> None:
    with pytest.raises(ValueError, match=expected):
        read(write("a.txt", first + later))


CHINESE = "一辆红车停在树下\n两只狗在草地上睡觉\n"
SENTENCES = {
    "gb18030": CHINESE,
    "big5": "一輛紅車停在樹下\n兩隻狗在草地上睡覺\n",
    "shift_jis": "犬が草の上を走っています\n",
    "euc-jp": "犬が草の上を走っています\n",
    "euc-kr": "개가 잔디 위를 달리고 있습니다 그리고 사람이 있다\n",
    "windows-1251": "собака бежит по траве\nдва человека сидят\n",
    "koi8-r": "собака бежит по траве\nдва человека сидят\n",
    "latin1": "un café\nMöwen über dem Fluß\n",
    "windows-1252": "it’s a “dog”\n",
    "utf-16": CHINESE + "the dog\n",
    "utf-16le": "the café\n",
    "utf-16be": "the café\n",
    "utf-32": "the café\n",
}


@pytest.mark.parametrize("encoding", SENTENCES)
@pytest.mark.parametrize("name", ["a file.txt", "a.txt.gz"])
def test_the_hint_names_the_likely_encoding(encoding: str, name: str, write: Write) -> None:
    text = ("" if encoding.startswith("utf") else "plain ascii first\n") + SENTENCES[encoding]
    path = write(name, text.encode(encoding))
    with pytest.raises(ValueError, match=rf"iconv -f {encoding} -t utf-8.* > .*utf8\.txt") as caught:
        read(path)
    assert f"'{path}'" in str(caught.value) or " " not in str(path)  # a shell takes it as it stands
    assert ("GBK" in str(caught.value)) == (encoding == "gb18030")


def test_a_damaged_file_is_not_called_by_another_encoding(write: Write) -> None:
    with pytest.raises(ValueError, match=r"line 4, byte 102: .* the file is damaged here; `iconv -c -f utf-8"):
        read(write("a.txt", CHINESE.encode() + CHINESE.encode()[:-2] + b"\n"))


def test_a_file_of_blank_lines_without_end_is_refused_early(write: Write) -> None:
    started = time.process_time()
    with pytest.raises(ValueError, match=r"line 1000001: 1,000,001 blank lines in a row"):
        read(write("a.txt.gz", b"\n" * 20_000_000))
    assert time.process_time() - started < 5


def test_lines_without_words_count_in_memory(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.text import sample_files

    monkeypatch.setattr(sample_files._Budget, "tokens", 100_000)
    with pytest.raises(ValueError, match=r"a.txt holds about .* words in .* sentences, which take about"):
        read(write("a.txt", "word\n" + "\n" * 300_000))


def test_old_and_new_line_ends_over_many_blocks(write: Write) -> None:
    lines = [f"line {i}" for i in range(200_000)]
    for end in ("\r", "\r\n", "\n"):
        assert [line.rstrip("\r\n") for line in read_lines(write("a.txt", end.join(lines)))] == lines


class _ReadError(Exception):
    """In place of a refusal: the file was read."""


PIECES = st.sampled_from(
    ['"', "[", "]", "{", "}", ",", "\t", "\n", "\r", " ", "a", "dog", "1", "''", "``", "\\", ":", "text", "é", ";", "'"]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.lists(PIECES, max_size=30).map("".join), name=st.sampled_from(["a.txt", "a.jsonl", "a.csv", "a.tsv"]))
def test_any_file_is_read_or_refused_by_name(text: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode())
    refusal = f"^{re.escape(str(path))}"
    with contextlib.suppress(_ReadError), pytest.raises(ValueError, match=refusal):
        samples = read(path)
        assert all(word for sentence in samples.sentences for word in sentence.split(" ") if sentence)
        raise _ReadError
