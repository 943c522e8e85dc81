"""Text to be rewritten into another class: unpaired training text with classes, and inputs with answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from baselines.common.spec import LabelledSpec
from bench.labels.data import LabelledTask, LabelledText
from bench.task import TextData, digest, rows
from metrics.common.labels import with_label, without_label
from metrics.common.rewriting import Answers
from metrics.common.tokens import Tokens

__all__ = ["RewritingTask", "RewritingText", "input_rows", "rewriting_text"]

Ids = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class RewritingTask(LabelledTask):
    """A task whose models rewrite sentences: what they are given, and what class it is to have, is the task's."""

    def warnings(self, data: TextData) -> list[str]:
        """Inputs that stand in train, where they are more than one in a hundred: of real text they are left out."""
        assert isinstance(data, RewritingText)
        n, total = data.facts.get("test_sentences_in_train", 0), len(data.input_ids)
        if not isinstance(n, int) or n <= total / 100:
            return []
        return [f"{n:,} test sentences stand in train, and {total:,} are rewritten: a model has seen some of them"]


@dataclass(frozen=True, kw_only=True)
class RewritingText(TextData):
    """Rows of train and valid begin with their label, as on any task with classes; answers and samples have none.

    Sample i answers input i, so an evaluation has as many samples as there are inputs.
    """

    spec: LabelledSpec
    references: Answers
    input_ids: Ids
    """(M, T) the inputs as a model reads them, with the label that they have."""

    @cached_property
    def training(self) -> Tokens:
        """The training sentences without their labels."""
        return without_label(Tokens.from_rows(self.train, self.spec.eos_id), self.spec.class_ids)[1]

    @cached_property
    def validation(self) -> Tokens:
        """The validation sentences without their labels."""
        return without_label(Tokens.from_rows(self.valid, self.spec.eos_id), self.spec.class_ids)[1]

    @cached_property
    def sha256(self) -> str:
        """With what the inputs, the classes wanted and the judge add."""
        whole = super().sha256
        answers = self.references
        judge = "" if answers.judge is None else answers.judge.sha256
        named = "\n".join((*answers.names, judge, str(answers.right)))
        texts = [part for text in (answers.inputs, *answers.class_text) for part in (text.flat, text.offsets)]
        return digest(whole.encode(), named.encode(), self.input_ids, answers.wanted, *texts)


def rewriting_text(text: LabelledText, chosen: Ids, class_text: Sequence[Tokens], unknown: int | None) -> RewritingText:
    """The chosen test sentences as inputs, each wanted in the class after its own, the first after the last.

    Where the task can translate, its translations are the right answers; elsewhere nobody wrote any. `unknown`: the id
    of words that are not in the vocabulary.
    """
    own, inputs = text.parted(text.references.select(chosen))
    wanted = (own + 1) % len(text.spec.classes)
    answers = Answers.of(
        inputs,
        wanted,
        text.spec.classes,
        [] if text.translate is None else [text.translate(inputs, wanted)],
        right=text.translate is not None,
        judge=text.judge,
        class_text=class_text,
    )
    ids = input_rows(inputs, own, text.spec, unknown)
    return RewritingText(
        spec=text.spec,
        vocabulary=text.vocabulary,
        train=text.train,
        valid=text.valid,
        test=ids,
        references=answers,
        input_ids=ids,
        is_valid=text.is_valid,
        facts={**{key: value for key, value in text.facts.items() if key != "classes"}, "inputs": len(inputs)},
    )


def input_rows(inputs: Tokens, labels: Ids, spec: LabelledSpec, unknown: int | None) -> Ids:
    """Sentences and their own classes -> (M, T) rows: words outside the vocabulary are `unknown`, long ones are cut.

    Raises ValueError where a word is not in the vocabulary and there is no id for such words.
    """
    strange = inputs.flat >= spec.vocab_size
    if unknown is None and strange.any():
        raise ValueError(f"{strange.sum()} words of the inputs are not in the vocabulary, which has no word for them")
    flat = np.where(strange, unknown or 0, inputs.flat)
    kept = np.arange(len(flat)) - np.repeat(inputs.offsets[:-1], inputs.lengths) < spec.max_len - 1
    offsets = np.concatenate([[0], np.cumsum(np.minimum(inputs.lengths, spec.max_len - 1))]).astype(np.int64)
    ids, fits = rows(with_label(Tokens(flat[kept], offsets), labels, spec.class_ids), spec)
    assert fits.all()
    return ids
