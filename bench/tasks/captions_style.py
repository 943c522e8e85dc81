"""Captions of photographs, factual, to be rewritten as romantic or as humorous.

Gan et al. (StyleNet, CVPR 2017) had people write one romantic and one humorous caption for each of 7,000 photographs.
The files are those of Li et al. (Delete, Retrieve, Generate, NAACL 2018, https://aclanthology.org/N18-1169;
lijuncen/Sentiment-and-Style-Transfer, `data/imagecaption`): 6,000 captions of each style to train on, 500 for
development, and 300 factual test captions, which are the inputs of both directions. There is no factual training text:
as in the paper, a model learns between the two styles, and an input counts as a sentence of the style that is not
wanted. The same sentences are wanted in each style: whatever the judge says of them, copying gets half of the classes.

- Line i of both training files is of the same photograph. Sentences are shuffled, so no model is told so.
- The 300 answers of each direction stand in the development file: validation is of its other captions.
- The judge is counted from a third of the photographs, which no model sees: the development file alone is too small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Gt

from bench import data
from bench.labels.data import LabelledText
from bench.labels.text import labelled_text
from bench.rewriting.data import RewritingTask, RewritingText, input_rows
from bench.task import TextData, Vocabulary
from bench.tasks import _text
from metrics.common.labels import of_class
from metrics.common.rewriting import Answers
from metrics.common.tokens import Tokens

__all__ = ["CaptionsStyle"]

_CLASSES = ("humorous", "romantic")
_SEED = 2018  # of the photographs that the judge is counted from, and of the order of the training text
_JUDGED = 2_000  # of 6,000 photographs


def _of_both(part: str, *checksums: str) -> tuple[data.RemoteFile, ...]:
    """Of class 0 and class 1; of `reference`, what is to leave class 0 and class 1."""
    return tuple(
        data.github(
            "lijuncen/Sentiment-and-Style-Transfer", "master", f"data/imagecaption/{part}.{k}", f"sha256:{digits}"
        )
        for k, digits in enumerate(checksums)
    )


_TRAIN = _of_both(
    "sentiment.train",
    "5e9818f2cd088eee1041624e8bee4ba06e4c6e7b7f170ea73d6e23246eb0288c",
    "1b3c4b57686d5f23a176085492c8d75ec5daf340b8ea30f61e8462df74ebb28c",
)
_DEV = _of_both(
    "sentiment.dev",
    "26516739a7b97ebd57b9e786f676cc8329dc646a79c30806f27e4adf5a7d6f66",
    "02ec2b1e89562004f9a0a4f33dd6b6e9b6aecda57f5e8d9c8b9d6153d4bb22fe",
)
_ASKED = _of_both(
    "reference",
    "cbd5d681611d0b283e8944a234b156c5f17895fca885daea2c3fd4f676918b72",
    "04052872d45f574cd8150dcb77130d00f111bf8bc576dd9441562a32ee81fd7f",
)


@dataclass(frozen=True, kw_only=True)
class CaptionsStyle(RewritingTask):
    """300 factual captions twice, once for each style; words between blanks, as published."""

    min_count: Annotated[int, Gt(0)] = 2
    """Words that are rarer in train become `<unk>`."""

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[str, ...]] = ("transfer", "reference_bleu", "input_bleu", "target_nll", "unique")
    scales: ClassVar[dict[str, dict[str, Any]]] = {"smoke": {"min_count": 5}, "small": {}}

    @property
    def classes(self) -> tuple[str, ...]:
        """Humorous and romantic."""
        return _CLASSES

    def load(self) -> TextData:
        """The captions, with inputs and answers in the numbering of their vocabulary."""
        pairs = [[[part.split() for part in line.split("\t")[:2]] for line in _lines(file)] for file in _ASKED]
        inputs, people = ([pair[i] for of_both in pairs for pair in of_both] for i in (0, 1))
        text = self._learnt(people)
        known = text.vocabulary.words
        numbering = dict(text.vocabulary.numbering)
        asked, answered = (Tokens.from_words(sentences, numbering) for sentences in (inputs, people))
        own = np.repeat([0, 1], [len(part) for part in pairs])
        labels, judged = text.parted(text.references)
        answers = Answers.of(
            asked,
            1 - own,
            _CLASSES,
            [answered],
            judge=text.judge,
            class_text=[of_class(judged, labels, k) for k in range(len(_CLASSES))],
        )
        rows = input_rows(asked, own, text.spec, numbering.get(_text.UNKNOWN))
        facts = ("train", "valid", "duplicates_in_train", "vocabulary", "max_length", "judge", "judge_accuracy")
        return RewritingText(
            spec=text.spec,
            vocabulary=Vocabulary(known, tuple(numbering)[len(known) :]),
            train=text.train,
            valid=text.valid,
            test=rows,
            references=answers,
            input_ids=rows,
            facts={**{key: text.facts[key] for key in facts}, "inputs": len(asked), "judge_text": len(judged)},
        )

    def _learnt(self, people: Sequence[Sequence[str]]) -> LabelledText:
        """What is learnt from: train, the development text without answers, and in the place of a test the judge's."""
        numbering: dict[str, int] = {}
        answered = {tuple(sentence) for sentence in people}
        train, dev = ([[line.split() for line in _lines(file)] for file in files] for files in (_TRAIN, _DEV))
        stream = np.random.RandomState(_SEED)
        order = stream.permutation(min(map(len, train)))
        judged, rest = ([[part[i] for i in chosen] for part in train] for chosen in (order[:_JUDGED], order[_JUDGED:]))
        fresh = [[sentence for sentence in part if tuple(sentence) not in answered] for part in dev]
        parts = [
            (
                Tokens.from_words((sentence for part in of_both for sentence in part), numbering),
                np.repeat(np.arange(len(of_both)), [len(part) for part in of_both]),
            )
            for of_both in (rest, fresh, judged)
        ]
        mixed = stream.permutation(len(parts[0][0]))
        parts[0] = (parts[0][0].select(mixed), parts[0][1][mixed])
        return labelled_text(parts[0], parts[1], parts[2], list(numbering), _CLASSES, min_count=self.min_count)


def _lines(file: data.RemoteFile) -> list[str]:
    """One byte in all is no UTF-8."""
    return data.fetch(file).read_text(encoding="utf-8", errors="replace").removesuffix("\n").split("\n")
