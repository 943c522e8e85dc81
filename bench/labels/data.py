"""Text with classes: what a task of it loads, and how such a task reads and writes a label."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from baselines.common.spec import LabelledSpec
from bench.task import Ids, Task, TextData, digest
from metrics.common.labels import Judge, without_label
from metrics.common.tokens import Tokens

__all__ = ["LabelledTask", "LabelledText", "label_word", "without_labels"]

Labels = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LabelledText(TextData):
    """A loaded task with classes: every sentence, of rows and of `Tokens`, begins with its label.

    The labels are the last words of the vocabulary, in the order of `spec.classes`.
    """

    spec: LabelledSpec
    judge: Judge
    """Who says which class a text is of; no model has seen what it was made of."""
    oracle_label_log_prob: Callable[[Ids], NDArray[np.float64]] | None = None
    """(N, T) -> (N,) the label's part of `oracle_log_prob`, nats. None: not known."""
    translate: Callable[[Tokens, Labels], Tokens] | None = None
    """Sentences without labels, and the class (N,), from 0, that each is wanted in -> the one right answer for each. A
    sentence that no class can write has no answer and comes back empty. None: no such answer is known."""

    @cached_property
    def sha256(self) -> str:
        """With what labels and judge add."""
        whole = super().sha256
        return digest(whole.encode(), "\n".join(self.spec.classes).encode(), self.judge.sha256.encode())

    def parted(self, sentences: Tokens) -> tuple[Labels, Tokens]:
        """Sentences -> (N,) their classes, from 0, `NO_CLASS` where there is none, and the words without labels."""
        return without_label(sentences, self.spec.class_ids)


def without_labels(data: TextData, sentences: Tokens) -> Tokens:
    """Sentences of a task as text: where it has classes, without their labels."""
    return data.parted(sentences)[1] if isinstance(data, LabelledText) else sentences


def label_word(name: str) -> str:
    """How a class is written as the first word of a sentence: `<positive>`."""
    return f"<{name}>"


@dataclass(frozen=True, kw_only=True)
class LabelledTask(Task):
    """A task whose sentences begin with a label, which no tokenizer cuts."""

    @property
    @abstractmethod
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    def words_of(self, text: str) -> list[str]:
        """A text without a label -> words, by the task's own tokenizer. Default: split on blanks."""
        return text.split()

    def text_of(self, words: str) -> str:
        """Words joined by blanks, without a label -> text for a reader. Default: unchanged."""
        return words

    def tokenize(self, line: str) -> list[str]:
        """The label, if the line begins with one, and the words behind it."""
        label, text = self.parted(line)
        return [*([label_word(label)] if label is not None else []), *self.words_of(text)]

    def detokenize(self, sentence: str) -> str:
        """The class, a tabulator, and the text; the text alone, where there is no label."""
        label, words = self.parted(sentence)
        return self.text_of(words) if label is None else f"{label}\t{self.text_of(words)}"

    def parted(self, sentence: str) -> tuple[str | None, str]:
        """A sentence of text -> its class, None if it begins with no label, and the text behind that.

        The label is a word, or as `detokenize` writes it.
        """
        first, _, rest = sentence.strip().partition(" ")
        known = {label_word(name): name for name in self.classes}
        if first in known:
            return known[first], rest
        name, tab, rest = sentence.lstrip().partition("\t")
        return (name, rest) if tab and name in self.classes else (None, sentence)
