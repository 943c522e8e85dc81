"""What a task is and what it loads. NumPy only: text is loaded and scored without torch."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from baselines.common.spec import SequenceSpec
from bench.run_settings import MOST_SENTENCES
from metrics.common.tokens import Tokens

__all__ = ["MOST_SENTENCES", "Task", "TextData", "Vocabulary", "digest", "rows"]

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Vocabulary:
    """The words a model can emit, and the words of the held-out text that it cannot.

    Id i is `words[i]`. Words of the references that are not in the vocabulary are numbered from V upwards, so that
    samples and references share one numbering and a score sees the true words.
    """

    words: tuple[str, ...]
    """V words; a special token (`<eos>`) is a word that no text holds."""
    unseen: tuple[str, ...] = ()
    """Words of the held-out text that are not in the vocabulary."""

    @cached_property
    def numbering(self) -> dict[str, int]:
        """Word -> id, the unseen words included. Copy before growing."""
        return {word: i for i, word in enumerate(self.words + self.unseen)}

    def tokens(self, sentences: Iterable[Sequence[str]]) -> Tokens:
        """Tokenised sentences -> `Tokens`; words met nowhere in the data get numbers of their own."""
        return Tokens.from_words(sentences, dict(self.numbering))

    def sentences(self, tokens: Tokens) -> list[str]:
        """`Tokens` -> sentences, words joined by blanks."""
        words = np.array(self.words + self.unseen, dtype=object)[tokens.flat]
        return [" ".join(words[a:b]) for a, b in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)]


def rows(tokens: Tokens, spec: SequenceSpec) -> tuple[Ids, NDArray[np.bool_]]:
    """Sentences -> (M, T) ids as a model reads them, and which of the N sentences they are, (N,) bool.

    A sentence with an unknown word or of more than T words (exactly T where the length is fixed) is left out: it
    cannot be written in the task's vocabulary. The end token follows each sentence that is shorter than T.
    """
    lengths = tokens.lengths
    unknown = np.zeros(len(tokens.flat) + 1, np.int64)
    np.cumsum(tokens.flat >= spec.vocab_size, out=unknown[1:])
    fits = lengths == spec.max_len if spec.eos_id is None else lengths <= spec.max_len
    kept = fits & (unknown[tokens.offsets[1:]] == unknown[tokens.offsets[:-1]])
    if spec.eos_id is None or spec.pad_id is None:
        return tokens.select(np.flatnonzero(kept)).flat.reshape(-1, spec.max_len), kept
    ids = np.full((int(kept.sum()), spec.max_len), spec.pad_id, np.int64)
    inside = np.arange(spec.max_len) < lengths[kept, None]
    ids[inside] = tokens.select(np.flatnonzero(kept)).flat
    short = lengths[kept] < spec.max_len
    ids[short, lengths[kept][short]] = spec.eos_id
    return ids, kept


@dataclass(frozen=True, kw_only=True)
class TextData:
    """A loaded task: one type for oracle and real text. The oracle is an optional function on it."""

    spec: SequenceSpec
    vocabulary: Vocabulary
    train: Ids
    """(N, T) what models are trained on."""
    valid: Ids
    """(N, T) held out from train: for selection, never for scores."""
    test: Ids
    """(N, T) the test sentences that the vocabulary can write: for `nll_gen`."""
    references: Tokens
    """Every test sentence, unknown words included: for BLEU and its kin."""
    oracle_log_prob: Callable[[Ids], NDArray[np.float64]] | None = None
    """(N, T) -> (N,) the true log-probability, nats; -inf for an impossible sentence. None: not known."""
    is_valid: Callable[[Tokens], NDArray[np.bool_]] | None = None
    """Which sentences the task's grammar can produce. None: no grammar."""
    facts: Mapping[str, float | int | str] = field(default_factory=dict)
    """What a reader should know: duplicates, overlap of train and test, share of unseen tokens."""

    @cached_property
    def training(self) -> Tokens:
        """The training sentences as `Tokens`: for novelty."""
        return Tokens.from_rows(self.train, self.spec.eos_id)

    @cached_property
    def validation(self) -> Tokens:
        """The validation sentences as `Tokens`: for what real text gets in the place of samples."""
        return Tokens.from_rows(self.valid, self.spec.eos_id)

    def true_log_prob(self, ids: Ids) -> NDArray[np.float64]:
        """`oracle_log_prob`, which for the test sentences is asked once: every evaluation compares with them."""
        assert self.oracle_log_prob is not None
        return self._test_log_prob if ids is self.test else self.oracle_log_prob(ids)

    @cached_property
    def _test_log_prob(self) -> NDArray[np.float64]:
        assert self.oracle_log_prob is not None
        return self.oracle_log_prob(self.test)

    @cached_property
    def sha256(self) -> str:
        """Hash of everything that a score depends on; all rows of a board carry the same."""
        special = [self.spec.vocab_size, self.spec.max_len, self.spec.bos_id, self.spec.pad_id, self.spec.eos_id]
        words = "\n".join((*self.vocabulary.words, "", *self.vocabulary.unseen))
        arrays = (self.train, self.valid, self.test, self.references.flat, self.references.offsets)
        return digest(repr(special).encode(), words.encode(), *arrays)


def digest(*parts: bytes | NDArray[Any]) -> str:
    """SHA-256 over byte strings and arrays, each with its length or shape, independent of byte order."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, bytes):
            total.update(f"{len(part)}:".encode())
            total.update(part)
        else:
            total.update(f"{part.dtype.str[1:]}{part.shape}:".encode())
            total.update(np.ascontiguousarray(part, part.dtype.newbyteorder("<")).tobytes())
    return total.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """A data set with its split, its tokenizer and the metrics that make sense on it. Fields are its settings.

    There is no seed: data never depend on a run's seed.
    """

    version: ClassVar[int]
    """Raised whenever the data or a score can change; tables never mix versions."""
    metrics: ClassVar[tuple[str, ...]]
    """Names of the metrics that a run on this task reports."""
    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Settings of the reduced scales, as `TextGenerator.scales`."""

    @property
    def name(self) -> str:
        """The public name: the file that holds the class."""
        return type(self).__module__.rsplit(".", 1)[-1]

    @abstractmethod
    def load(self) -> TextData:
        """The data. Raises FileNotFoundError, saying what to put where, when a file cannot be had."""

    def files(self) -> Mapping[str, Path]:
        """Setting -> the user's file that it names: what is in it, not where it lies, makes a run. Default: none."""
        return {}

    def file_hashes(self) -> dict[str, str]:
        """Of `files`, by setting: SHA-256 of what is in them."""
        found = {}
        for name, path in self.files().items():
            with path.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
        return found

    def reference_file(self) -> Path | None:
        """The file that the references come from, one a line, as published. Default: there is none.

        For `explain-score` alone, which shows what a score is without the task's tokenizer.
        """
        return None

    @property
    def word_rule(self) -> str:
        """What a word is, as a name: tasks of one rule read each other's samples word for word, and cut nothing again.

        Default: blanks for a task without a tokenizer of its own, otherwise this task's alone, with its settings.
        """
        return "blanks" if type(self).tokenize is Task.tokenize else repr(self)

    def warnings(self, data: TextData) -> list[str]:
        """What a user should know before a training starts, a sentence each, with the setting that helps.

        Default: sentences of the test that stand in train, where they are more than one in a hundred.
        """
        n, total = data.facts.get("test_sentences_in_train", 0), len(data.references)
        if not isinstance(n, int) or n <= total / 100:
            return []
        return [f"{n:,} of {total:,} test sentences stand in train: a model that copies gets good scores"]

    def tokenize(self, line: str) -> list[str]:
        """One line of a samples file -> words, by the task's own tokenizer. Default: split on blanks."""
        return line.split()

    def detokenize(self, sentence: str) -> str:
        """Words joined by blanks -> text for a reader. Default: unchanged."""
        return sentence
