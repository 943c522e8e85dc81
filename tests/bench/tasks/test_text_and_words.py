"""A sentence that is written for a reader has, when it is scored, the words that it was written from."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from bench.task import Task
from bench.tasks.grammar import GrammarTask
from bench.tasks.grammar_labels import GrammarLabels
from bench.tasks.grammar_transfer import GrammarTransfer
from bench.text.sample_files import read_samples


@pytest.mark.parametrize("kind", [GrammarTask, GrammarLabels, GrammarTransfer])
def test_text_has_the_words_it_was_written_from(kind: type[Task]) -> None:
    task = kind(n_train=300, n_valid=20, n_test=50)  # type: ignore[call-arg]
    data = task.load()
    sentences = data.vocabulary.sentences(data.training)
    written = [task.detokenize(sentence) for sentence in sentences]
    assert all(text.count(" .") == 0 for text in written)
    assert not set(written) & set(sentences)
    assert [task.tokenize(text) for text in written] == [sentence.split() for sentence in sentences]
    assert [task.tokenize(sentence) for sentence in sentences] == [sentence.split() for sentence in sentences]


@pytest.mark.parametrize("name", ["own.txt", "own.tsv", "own.tsv.gz"])
def test_a_file_of_labels_and_sentences_is_scored_as_it_is_written(name: str, tmp_path: Path) -> None:
    """A class, a tabulator and a sentence: no table with a column to leave out, as it is on a task without classes."""
    task = GrammarLabels(n_train=300, n_valid=20, n_test=50)
    data = task.load()
    sentences = data.vocabulary.sentences(data.training)
    text = "".join(f"{task.detokenize(sentence)}\n" for sentence in sentences).encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    assert read_samples(tmp_path / name, task, data.vocabulary).sentences == sentences
    plain = GrammarTask(n_train=300, n_valid=20, n_test=50)
    without = read_samples(tmp_path / name, plain, plain.load().vocabulary).sentences
    assert without == [sentence.partition(" ")[2] for sentence in sentences]
