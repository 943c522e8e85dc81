"""Rows of characters against the rule of the released script, written out plainly."""

from collections import Counter

import numpy as np
import pytest

from bench.score.scoring import metric_inputs
from bench.task import rows
from bench.tasks.characters import Characters
from bench.tasks.grammar import GrammarTask
from bench.tasks.text_file import TextFile
from metrics.common.tokens import Tokens

LINES = [f"{word} {'z' * (i % 7)}q é{i % 3}" for i, word in enumerate(["a long first word", "b", "cc dd"] * 20)]

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def write(tmp_path):
    def write(lines):
        path = tmp_path / "text.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(path)

    return write


def plain(sentences, length):
    """As language_helpers.py: cut, then filled up; a blank is shown as the task writes it."""
    return [list((s.replace(" ", "␣") + "`" * length)[:length]) for s in sentences]


def spelled(data, ids):
    words = data.vocabulary.words + data.vocabulary.unseen
    return [[words[i] for i in row] for row in ids.tolist()]


def test_rows_symbols_and_splits_are_those_of_the_source(write):
    path = write(LINES)
    source = TextFile(path=path).load()
    data = Characters(source=path, length=12).load()
    for ids, tokens in (
        (data.train, source.training),
        (data.valid, Tokens.from_rows(source.valid, 0)),
        (data.references.flat.reshape(-1, 12), source.references),
    ):
        assert spelled(data, ids) == plain(source.vocabulary.sentences(tokens), 12)
    counts = Counter(symbol for row in spelled(data, data.train) for symbol in row)
    expected = sorted(counts, key=lambda symbol: (-counts[symbol], symbol))
    assert data.vocabulary.words == ("<unk>", *expected)
    assert data.spec.vocab_size == len(expected) + 1
    assert (data.spec.max_len, data.spec.pad_id, data.spec.eos_id) == (12, None, None)
    assert (data.references.lengths == 12).all()
    assert data.facts["lines_cut"] == pytest.approx(
        np.mean([len(s) > 12 for s in source.vocabulary.sentences(source.training)]), abs=1e-4
    )


def test_rare_symbols_are_unknown_to_models_and_true_in_the_references(write):
    data = Characters(source=write([*LINES, *["rare Ω"] * 12]), length=12, max_symbols=6).load()
    assert len(data.vocabulary.words) == 6
    assert not (data.test >= 6).any()
    assert (data.train == 0).any()
    assert (data.test == 0).any()
    true = data.references.flat.reshape(-1, 12)
    assert np.array_equal(np.where(true < 6, true, 0), data.test)
    assert not (true == 0).any()
    assert set(data.vocabulary.unseen).isdisjoint(data.vocabulary.words)
    assert "é" in data.vocabulary.unseen


def test_samples_are_read_back_as_they_were_written(write):
    task = Characters(source=write(LINES), length=12, max_symbols=6)
    data = task.load()
    written = data.vocabulary.sentences(data.training)
    read = data.vocabulary.tokens(map(task.tokenize, (f"{line}\n" for line in written)))
    ids, kept = rows(read, data.spec)
    assert kept.all()
    assert np.array_equal(ids, data.train)
    inputs = metric_inputs(data, read)
    assert inputs.sample_ids is not None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a cat\n", "a ␣ c a t ` ` `"),
        ("a\tcat sat down", "a ␣ c a t ␣ s a"),
        ("", "` ` ` ` ` ` ` `"),
        (" b", "␣ b ` ` ` ` ` `"),
        ("a b c d", "a ␣ b ␣ c ␣ d `"),
        ("a ␣ <unk> a t ` ` `", "a ␣ <unk> a t ` ` `"),
    ],
)
def test_any_line_becomes_a_row(write, line, expected):
    assert Characters(source=write(LINES), length=8).tokenize(line) == expected.split(" ")


def test_readers_see_text(write):
    task = Characters(source=write(LINES), length=12)
    assert task.detokenize("a ␣ c a t ␣ . ` ` ` ` `") == "a cat ."


def test_a_task_of_the_project_is_a_source():
    data = Characters(source="grammar").load()
    grammar = GrammarTask().load()
    assert spelled(data, data.train[:50]) == plain(grammar.vocabulary.sentences(grammar.training)[:50], 32)
    assert data.train.shape == (10_000, 32)
    assert data.sha256 == "45f8cf843122c2bc1fc77470c234562437554786275174755952073c7970b47d"
    assert data.oracle_log_prob is None


@pytest.mark.parametrize("source", ["text_file", "characters", "oracle_lstm", "nowhere.txt", "."])
def test_what_is_no_source(source):
    with pytest.raises(ValueError, match="is neither a text task nor a file"):
        Characters(source=source)


@pytest.mark.parametrize("source", ["grammar_labels", "sentence_polarity", "sst2", "labelled_file"])
def test_labels_are_no_characters(source):
    with pytest.raises(ValueError, match=f"the sentences of {source} begin with labels"):
        Characters(source=source)


def test_a_near_name_is_suggested():
    with pytest.raises(ValueError, match="did you mean 'image_coco'"):
        Characters(source="image_cocoa")
