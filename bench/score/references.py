"""Any file of real text as what samples are scored against: a task without a model, for `score --references`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import PlainSerializer

from baselines.common.spec import SequenceSpec
from bench.config import build
from bench.places import check_file
from bench.registry import find
from bench.task import Task, TextData, Vocabulary, digest
from bench.text.content import content_of
from bench.text.sample_files import Samples, read_samples
from bench.text.tokenizers import Tokenizer, tokenizer
from metrics.common.tokens import Tokens

__all__ = ["References", "load_data", "scored_against"]

NamedPath = Annotated[Path, PlainSerializer(lambda path: path.name)]
"""In a record a file is its name; the hash of the data says what it holds."""


@dataclass(frozen=True, kw_only=True)
class References(Task):
    """Samples against the sentences of a file. There is no vocabulary to write them in, so no rows of ids."""

    references: NamedPath
    """What samples are compared with, in any form that samples can have."""
    training: NamedPath | None = None
    """What the model was trained on, for novelty; None: not known."""
    tokenizer: Tokenizer = "blanks"

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[str, ...]] = ("bleu", "self_bleu", "distinct", "unique", "novelty")

    def load(self, *, field: str | None = None, column: str | None = None) -> TextData:
        """Both files, one numbering. `field` and `column` count where a file has such."""
        text = self._read(self.references, Vocabulary(()), field, column)
        read_as = {"references_read_as": text.read_as} if text.note else {}
        references, vocabulary = text.tokens, text.vocabulary
        training = Tokens(np.empty(0, np.int64), np.zeros(1, np.int64))
        if self.training is not None:
            text = self._read(self.training, vocabulary, field, column)
            read_as |= {"training_read_as": text.read_as} if text.note else {}
            training, vocabulary = text.tokens, text.vocabulary
        nothing = np.empty((0, 1), np.int64)
        return _Corpora(
            spec=SequenceSpec(vocab_size=2, max_len=1, bos_id=0, pad_id=0, eos_id=0),
            vocabulary=vocabulary,
            train=nothing,
            valid=nothing,
            test=nothing,
            references=references,
            text=training,
            facts={
                "test": len(references),
                "mean_length_test": round(float(references.lengths.mean()), 2),
                **({"train": len(training)} if len(training) else {}),
                **read_as,
            },
        )

    def _read(self, path: Path, vocabulary: Vocabulary, field: str | None, column: str | None) -> Samples:
        try:
            return read_samples(path, self, vocabulary, field=field, column=column)
        except ValueError:
            if field is None and column is None:
                raise
            return read_samples(path, self, vocabulary)  # they are of the samples, and mean nothing here

    def reference_file(self) -> Path | None:
        """The file itself, where it is text."""
        return self.references if content_of(self.references).format == "text" else None

    @property
    def word_rule(self) -> str:
        """The tokenizer's name."""
        return self.tokenizer

    def tokenize(self, line: str) -> list[str]:
        """Words by the tokenizer that was asked for."""
        return tokenizer(self.tokenizer)(line)


@dataclass(frozen=True, kw_only=True)
class _Corpora(TextData):
    """Data whose training text is sentences of any length and not rows."""

    text: Tokens

    @cached_property
    def training(self) -> Tokens:
        return self.text

    @cached_property
    def sha256(self) -> str:
        words = "\n".join(self.vocabulary.unseen).encode()
        parts = (self.references.flat, self.references.offsets, self.text.flat, self.text.offsets)
        return digest(words, *parts)


def load_data(task: Task, *, field: str | None = None, column: str | None = None) -> TextData:
    """The data of a task, or files of real text, read by the field or the column that samples are read by."""
    return task.load(field=field, column=column) if isinstance(task, References) else task.load()


def scored_against(
    task: str | None,
    *,
    references: Path | None,
    training: Path | None,
    tokenizer: Tokenizer | None,
    settings: Mapping[str, Any],
) -> tuple[str, Task]:
    """What samples are compared with, and its name in a record: a task, or files of real text. Nothing is loaded."""
    if references is not None:
        if task is not None:
            raise ValueError(f"the text to compare with is that of {task} or that of {references.name}: name one")
        if settings:
            raise ValueError("--set changes a task, and with --references there is none")
        for path in (references, *([training] if training else [])):
            check_file(path)
        against = References(references=references, training=training, tokenizer=tokenizer or "blanks")
        return references.name, against
    if training or tokenizer:
        raise ValueError(f"--{'training' if training else 'tokenizer'} goes with --references; a task has its own")
    if task is None:
        raise ValueError("name a task (see `list tasks`), or give real text as references")
    return task, build(find("tasks", task), settings, task)
