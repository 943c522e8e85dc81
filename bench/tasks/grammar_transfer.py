"""Opinions to be turned round: a negative sentence into the positive one that says the opposite of the same things.

The sentences of `grammar_labels`, whose every word of praise has one counterpart of blame. Training text is unpaired,
as real text is. A test sentence has one right answer, so whether a model is right is a matter of fact, and so is the
class of what it wrote, by Bayes' rule. Sentences without an opinion, which either class may write, are not asked for:
their right answer is a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Gt, Le

from bench.labels.data import LabelledText
from bench.rewriting.data import RewritingTask, rewriting_text
from bench.task import MOST_SENTENCES, TextData
from bench.tasks.grammar_labels import CLASSES, GrammarLabels
from metrics.common.labels import of_class, without_label

__all__ = ["GrammarTransfer"]


@dataclass(frozen=True, kw_only=True)
class GrammarTransfer(RewritingTask):
    """Sentences of both classes to train on, and test sentences each wanted in the other class."""

    n_train: Annotated[int, Gt(0), Le(MOST_SENTENCES)] = 10_000
    """Training sentences."""
    n_valid: Annotated[int, Gt(0), Le(MOST_SENTENCES)] = 1_000
    """Validation sentences."""
    n_test: Annotated[int, Gt(0), Le(MOST_SENTENCES)] = 1_200
    """Sentences of which the test inputs are those with an opinion."""

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[str, ...]] = (
        *("exact_match", "transfer", "validity", "reference_bleu", "input_bleu", "target_nll", "unique"),
    )
    scales: ClassVar[dict[str, dict[str, Any]]] = {
        "smoke": {"n_train": 512, "n_valid": 128, "n_test": 128},
        "small": {},
    }

    @property
    def classes(self) -> tuple[str, ...]:
        """Negative and positive."""
        return CLASSES

    def words_of(self, text: str) -> list[str]:
        """As `grammar_labels` has them."""
        return self._labelled.words_of(text)

    def text_of(self, words: str) -> str:
        """A capital first, no blank before the full stop."""
        return self._labelled.text_of(words)

    def warnings(self, data: TextData) -> list[str]:
        """None: sentences are drawn one by one, and short ones come again by chance."""
        del data
        return []

    @property
    def _labelled(self) -> GrammarLabels:
        return GrammarLabels(n_train=self.n_train, n_valid=self.n_valid, n_test=self.n_test)

    def load(self) -> TextData:
        """The sentences, and for each test sentence with an opinion its counterpart."""
        text = self._labelled.load()
        assert isinstance(text, LabelledText)
        _, inputs = text.parted(text.references)
        chosen = np.flatnonzero((text.judge.posteriors(inputs) > 0).sum(axis=1) == 1)
        labels, training = without_label(text.training, text.spec.class_ids)
        return rewriting_text(text, chosen, [of_class(training, labels, k) for k in range(len(CLASSES))], None)
