"""The door for Hugging Face `evaluate` of metrics on rewritten sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import MetricInputs
from metrics.common.hf import TextDoor
from metrics.common.labels import Judge
from metrics.common.rewriting import Answers
from metrics.common.tokens import Tokens

__all__ = ["RewriteDoor"]

Sentence = str | Sequence[str]


class RewriteDoor(TextDoor):
    """Prediction i answers `inputs[i]`; `answers` are one list for each person who answered all inputs."""

    takes = (
        "predictions=, inputs=, wanted= (a class for each), answers= (a list for each person), judge=, "
        "class_corpora=, right=, tokenizer="
    )

    def _compute(
        self,
        *,
        predictions: Sequence[Sentence],
        inputs: Sequence[Sentence] | None = None,
        wanted: Sequence[str] | None = None,
        answers: Sequence[Sequence[Sentence]] = (),
        judge: Callable[[list[str]], str] | None = None,
        class_corpora: dict[str, Iterable[Sentence]] | None = None,
        right: bool = False,
        tokenizer: Callable[[str], Sequence[str]] = str.split,
        **keywords: Any,
    ) -> dict[str, float | str]:
        """`judge` tells the class of the tokens of one sentence; `class_corpora` are real text by class."""
        if inputs is None or wanted is None:
            raise ValueError(f"inputs and wanted are missing; `compute` takes {self.takes}")
        numbering: dict[str, int] = {}

        def tokens(sentences: Iterable[Sentence]) -> Tokens:
            return Tokens.from_words((tokenizer(s) if isinstance(s, str) else s for s in sentences), numbering)

        texts = class_corpora or {}
        names = sorted({*wanted, *texts})
        samples = tokens(predictions)
        belonging = Answers.of(
            tokens(inputs),
            np.array([names.index(name) for name in wanted], np.int64),
            names,
            [tokens(one) for one in answers],
            right=right,
            judge=_judge(judge, names, numbering),
            class_text=[tokens(texts[name]) for name in names] if texts else (),
        )
        return self._scores(MetricInputs(samples=samples, references=belonging, words=list(numbering)), keywords)


def _judge(told: Callable[[list[str]], str] | None, names: Sequence[str], numbering: dict[str, int]) -> Judge | None:
    """A function of one sentence as a judge of all; a class that is not among the names is none that was wanted."""
    if told is None:
        return None

    def posteriors(text: Tokens) -> NDArray[np.float64]:
        words = np.array(list(numbering), object)
        said = np.array([told(list(words[text.sentence(i)])) for i in range(len(text))], object)
        return (said[:, None] == np.array(names, object)).astype(np.float64)

    name = getattr(told, "__qualname__", type(told).__name__)
    return Judge(name=name, posteriors=posteriors)
