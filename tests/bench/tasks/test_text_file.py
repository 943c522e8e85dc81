"""Anybody's file: good ones, small ones, broken ones."""

import bz2
import gzip
import json

import numpy as np
import pytest

from bench.tasks import text_file
from bench.tasks.text_file import TextFile

LINES = [
    f"the {adjective} dog {verb} word{i}"
    for i, (adjective, verb) in enumerate([("big", "sees"), ("old", "hears")] * 30)
]


@pytest.fixture
def write(tmp_path):
    def write(content, name="text.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else ("\n".join(content) + "\n").encode())
        return str(path)

    return write


def all_sentences(loaded):
    from metrics.common.tokens import Tokens

    parts = [Tokens.from_rows(part, 0) for part in (loaded.train, loaded.valid)] + [loaded.references]
    return [set(loaded.vocabulary.sentences(part)) for part in parts]


def test_every_line_is_in_one_split(write):
    loaded = TextFile(path=write(LINES), valid_share=0.2, test_share=0.2, min_count=2).load()
    facts = loaded.facts
    assert (facts["train"], facts["valid"], facts["test"]) == (36, 12, 12)
    train, valid, test = all_sentences(loaded)
    assert len(test) == 12
    assert all("<unk>" in sentence for sentence in train | valid)
    words = {sentence.split()[-1] for sentence in test}
    assert words == set(loaded.vocabulary.unseen)  # references keep their true words


def test_rare_words_become_unknown_in_train_and_held_out_text(write):
    loaded = TextFile(path=write(LINES), min_count=2).load()
    assert loaded.vocabulary.words[:2] == ("<eos>", "<unk>")
    assert set(loaded.vocabulary.words[2:]) == {"the", "dog", "big", "old", "sees", "hears"}
    assert (loaded.train == 1).any(axis=1).all()
    assert len(loaded.test) == len(loaded.references)
    assert (loaded.test == 1).any(axis=1).all()


def test_without_a_minimum_count_unknown_words_cannot_be_written(write):
    loaded = TextFile(path=write(LINES)).load()
    assert "<unk>" not in loaded.vocabulary.words
    assert len(loaded.test) == 0
    assert loaded.facts["test_sentences_not_writable"] == len(loaded.references) == 6


def test_no_unknown_word_where_none_is_rare(write):
    loaded = TextFile(path=write(["a b c"] * 40), min_count=2).load()
    assert loaded.vocabulary.words == ("<eos>", "a", "b", "c")


def test_an_unknown_word_of_the_file_itself_is_the_same_word(write):
    loaded = TextFile(path=write(["a <unk> b", "a b b"] * 20 + ["a rare b"]), min_count=2).load()
    assert loaded.vocabulary.words.count("<unk>") <= 1
    assert "<unk>" not in loaded.vocabulary.unseen


def test_the_split_is_fixed(write):
    path = write(LINES)
    assert TextFile(path=path).load().sha256 == TextFile(path=path).load().sha256
    assert TextFile(path=path).load().sha256 == "adc59242c3fd37ab8b5805fd92b49ba19e23681fe6211ffbd64af88cbec447c2"


def test_blank_and_long_lines_are_counted(write):
    loaded = TextFile(path=write([*LINES, "", "  ", "a b c d e f g"]), max_len=6).load()
    assert (loaded.facts["blank_lines"], loaded.facts["lines_too_long"]) == (2, 1)
    assert loaded.spec.max_len == 5


def test_windows_lines_byte_order_mark_and_case(write):
    content = "\ufeff" + "\r\n".join(["Ein Öl , bitte"] * 30)
    loaded = TextFile(path=write(content.encode()), lower=True).load()
    assert set(loaded.vocabulary.words) == {"<eos>", "ein", "öl", ",", "bitte"}


def test_gzip_is_read(write):
    plain = TextFile(path=write(LINES)).load()
    packed = TextFile(path=write(gzip.compress("\n".join(LINES).encode()), "text.txt.gz")).load()
    assert plain.sha256 == packed.sha256


def test_chinese_by_character(write):
    poems = ["明月松间照，清泉石上流。", "空山新雨后，天气晚来秋。"] * 20
    task = TextFile(path=write(poems), by="character")
    loaded = task.load()
    assert loaded.spec.max_len == 12
    sentence = loaded.vocabulary.sentences(loaded.references)[0]
    assert task.detokenize(sentence) in poems
    assert task.tokenize(sentence) == sentence.split()  # our own samples are read back as they were written
    assert task.tokenize("明月 松间") == ["明", "月", "␣", "松", "间"]


def test_characters_written_with_blanks_are_the_same_text(write):
    poems = ["明月松间照", "空山新雨后"] * 20
    spaced = TextFile(path=write([" ".join(p) for p in poems], "spaced.txt"), by="character").load()
    assert spaced.sha256 == TextFile(path=write(poems), by="character").load().sha256


def test_english_by_character_keeps_its_blanks(write):
    task = TextFile(path=write(["the cat", "a dog"] * 20), by="character")
    assert "␣" in task.load().vocabulary.words
    assert task.detokenize("t h e ␣ c a t") == "the cat"


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_too_few_lines(write, n):
    with pytest.raises(ValueError, match=rf"text.txt holds {n} usable line.*too few to divide"):
        TextFile(path=write(LINES[:n] if n else b"")).load()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"good line\n" * 3 + b"caf\xe9 au lait\n", r"line 4, byte 33: 0xe9 is not UTF-8"),
        (b"good\n\x00\x01\x02\n", r"line 2, byte 5: a zero byte"),
        ("some text\n".encode("utf-16"), r"line 1, byte \d+: a zero byte.*perhaps UTF-16"),
        (b"\xff\xfe\xfa", r"line 1, byte 0: 0xff is not UTF-8"),
        (b"x" * ((1 << 20) + 2), r"line 1 has more than 1048576 bytes"),
        (b"a <eos> b\n" * 40, r"'<eos>', which names the end token"),
    ],
)
def test_what_is_no_text(write, content, message):
    with pytest.raises(ValueError, match=message):
        TextFile(path=write(content)).load()


def test_random_bytes_are_refused(write):
    with pytest.raises(ValueError, match="line 1, byte"):
        TextFile(path=write(np.random.RandomState(0).bytes(5000))).load()


@pytest.mark.parametrize(("kind", "pack"), [("gzip", gzip.compress), ("bzip2", bz2.compress)])
@pytest.mark.parametrize("spoil", [lambda b: b[: len(b) // 2], lambda _: b"not packed"])
def test_a_broken_packed_file(write, kind, pack, spoil):
    packed = pack("\n".join(LINES).encode())
    with pytest.raises(ValueError, match=f"no whole {kind} file"):
        TextFile(path=write(spoil(packed), {"gzip": "text.gz", "bzip2": "text.bz2"}[kind])).load()


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="path=<a text file>"):
        TextFile(path=str(tmp_path / "nowhere.txt")).load()
    with pytest.raises(FileNotFoundError):
        TextFile(path=str(tmp_path)).load()


def test_shares_must_leave_something():
    with pytest.raises(ValueError, match="must be under 1"):
        TextFile(path="x", valid_share=0.5, test_share=0.5)


def test_too_large_a_table_is_refused_before_it_is_made(write, monkeypatch):
    monkeypatch.setattr(text_file, "MOST_MEMORY", 1000)
    with pytest.raises(ValueError, match=r"60 lines of up to 5 words.*max_len \(half of them have at most 5"):
        TextFile(path=write(LINES)).load()


def test_one_long_line_and_repeated_lines_are_said_before_training(write):
    lines = [*LINES, " ".join(["word"] * 3000), *LINES[:30]]
    task = TextFile(path=write(lines), test_share=0.2)
    data = task.load()
    assert (data.facts["max_length"], data.facts["length_of_most"]) == (3000, 5)
    long, repeated = task.warnings(data)
    assert "the longest training line has 3,000 words" in long
    assert "--set max_len=5 leaves out the longer lines" in long
    n = data.facts["test_sentences_in_train"]
    assert n > 0
    assert f"{n} of {len(data.references)} test sentences stand in train" in repeated
    assert "--set distinct=true" in repeated
    helped = TextFile(path=write(lines), test_share=0.2, max_len=5, distinct=True)
    data = helped.load()
    assert (data.facts["max_length"], data.facts["repeated_lines"], data.facts["lines_too_long"]) == (5, 30, 1)
    assert helped.warnings(data) == []
    assert sum(data.facts[split] for split in ("train", "valid", "test")) == len(LINES)


@pytest.mark.parametrize(
    ("lines", "settings", "read_as"),
    [
        ([f'"{line}"' for line in LINES], {}, "JSON strings"),
        ([json.dumps(line.split()) for line in LINES], {}, "JSON lists of words"),
        ([f"{i}\t{line}" for i, line in enumerate(LINES)], {}, "a table, column 2 of 2"),
        ([f"{line}\tthe {line}" for line in LINES], {"column": "1"}, "a table, column 1 of 2"),
    ],
)
def test_a_file_of_another_form_is_read_as_what_it_is(lines, settings, read_as, write):
    plain = TextFile(path=write(LINES)).load()
    task = TextFile(path=write(lines, "other.txt"), **settings)
    data = task.load()
    assert data.sha256 == plain.sha256
    assert data.facts["read_as"] == read_as
    assert f"was read as {read_as}; format=text takes its lines as they stand" in task.warnings(data)[0]
    assert TextFile(path=write(lines, "other.txt"), format="text").load().sha256 != plain.sha256


def test_what_is_ambiguous_names_the_settings(write):
    with pytest.raises(ValueError, match=r"a table of 2 columns, .* column=1 or column=2; format=text takes the lines"):
        TextFile(path=write([f"{line}\tthe {line}" for line in LINES])).load()
