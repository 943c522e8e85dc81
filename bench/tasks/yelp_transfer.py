"""Yelp: sentences of restaurant reviews, negative to be rewritten as positive and the reverse.

The task on which text style transfer is compared since Shen et al. (Style Transfer from Non-Parallel Text by
Cross-Alignment, NeurIPS 2017, https://arxiv.org/abs/1705.09655), whose sentences these are. The 500 + 500 inputs are
those of Li et al. (Delete, Retrieve, Generate, NAACL 2018, https://aclanthology.org/N18-1169), who had each rewritten
by a person; Luo et al. (A Dual Reinforcement Learning Framework for Unsupervised Text Style Transfer, IJCAI 2019,
https://arxiv.org/abs/1905.10060) had each rewritten by three more.

The judge is counted from Shen's test sentences, which no model of either split is trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Gt, Le
from numpy.typing import NDArray

from baselines.common.spec import LabelledSpec
from bench import data
from bench.labels.data import label_word
from bench.rewriting.data import RewritingTask, RewritingText, input_rows
from bench.task import MOST_SENTENCES, TextData, Vocabulary, rows
from bench.tasks import _text
from metrics.common.labels import with_label
from metrics.common.naive_bayes import trained_judge
from metrics.common.rewriting import Answers
from metrics.common.tokens import Tokens

__all__ = ["INPUTS", "YelpTransfer"]

CLASSES = ("negative", "positive")
_SEED = 2017  # of the held-out sentences and of the training subset
_FINEST_PEOPLE = 2  # whose sentences agree best with those of the three others


def _shen(part: str, *checksums: str) -> tuple[data.RemoteFile, ...]:
    """Of both classes; this repository and Li's have files of one name."""
    return tuple(
        replace(
            data.github("shentianxiao/language-style-transfer", "master", f"data/yelp/sentiment.{part}.{k}", checksum),
            name=f"shen.sentiment.{part}.{k}",
        )
        for k, checksum in enumerate(checksums)
    )


_TRAIN = _shen("train", "git:036fc63dbd061c90f6ee7239153a091e65efebaf", "git:bacfff7637e2e98b9c37590c29e81f0ec99bf7ab")
_DEV = _shen(
    "dev",
    "sha256:405ef6d4bfbc8bb92c3c55b496f315069cb5edb49ed34a07b1206341b83c344b",
    "sha256:3509f6573411bbda2d5c071ed72ad276c12356c15c06205b8fdf74b217970c61",
)
_TEST = _shen(
    "test",
    "sha256:b7466e8859e9948892a859af7938a82c801c99b69f884014082fd072a155bbf2",
    "sha256:a66e0ec3f0e1230ad4d2c822750a381cf6d99a99fa9b5ae79546f21ff79ed5c3",
)
INPUTS = tuple(
    replace(
        data.github("lijuncen/Sentiment-and-Style-Transfer", "master", f"data/yelp/sentiment.test.{k}", checksum),
        name=f"li.sentiment.test.{k}",
    )
    for k, checksum in enumerate(
        (
            "sha256:29f23d6fe163a85ffe0aad31d54435bb8a65c3837767bebcd718f2c47d201cc4",
            "sha256:e42be2064b93be77b223e67d1ae3d297bbc6a38195017f3f195c1e3b58f72077",
        )
    )
)
_ANSWERS = tuple(
    tuple(
        replace(
            data.github("luofuli/DualRL", "master", f"references/yelp/reference{r}.{k}", f"sha256:{digits}"),
            name=f"dualrl.reference{r}.{k}",
        )
        for k, digits in enumerate(of_both)
    )
    for r, of_both in enumerate(
        (
            (
                "102cd3dbbb082f967304b4b7ba9a10aa4739b35e8cf61eea91e5cebc5843fcf8",
                "64bb25a4e18dbcec18879c01298957b81f598950055c816a8d44f5fe95463f8d",
            ),
            (
                "027eebd99881c962fcfc307cef700d7a4dad660bbbe56798b1b5b50848695318",
                "fcfddaca014fd1ca15f168519abca1ec8446ac32b09fb4e03c13cabecf9e7b5c",
            ),
            (
                "cd7ea125ed01cb14215e4001351a6bc7435ea6ca49d2962d8fcced535ebee523",
                "eae00138a54354e190459ede15d327b7de469a5e98fb459eddda66c06fcf35f4",
            ),
            (
                "48fcde5e4c31b0d5557ce23a916788f3ab63158c6dc2127d1699af69e1e882fb",
                "df2bd05e05e133b324b3cdff32a9af5d49130ec1a3177eaa05a2afa7fac57a62",
            ),
        )
    )
)


@dataclass(frozen=True, kw_only=True)
class YelpTransfer(RewritingTask):
    """Sentences cut at blanks, as published; people's answers too, which are not tokenised as the inputs are."""

    split: Literal["published", "heldout"] = "published"
    """`published`: Shen's training files. `heldout`: his development files in their place, 63,000 sentences."""
    n_train: Annotated[int, Gt(0), Le(MOST_SENTENCES)] | None = None
    """Training sentences: a fixed random subset. None: all but the held-out ones."""
    n_valid: Annotated[int, Gt(0), Le(MOST_SENTENCES)] = 2_000
    """Sentences held out from them."""
    min_count: Annotated[int, Gt(0)] = 5
    """Words that are rarer in train become `<unk>`, as in Shen's code."""

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[str, ...]] = ("transfer", "reference_bleu", "input_bleu", "target_nll", "unique")
    scales: ClassVar[dict[str, dict[str, Any]]] = {
        "smoke": {"split": "heldout", "n_train": 1_000, "n_valid": 200},
        "small": {"split": "heldout"},
    }

    @property
    def classes(self) -> tuple[str, ...]:
        """Negative and positive."""
        return CLASSES

    def load(self) -> TextData:
        """The sentences; those of the training text and the judge's that are inputs are left out."""
        numbering: dict[str, int] = {}
        inputs = _read([data.fetch(file) for file in INPUTS], numbering)
        sets = [_read([data.fetch(file) for file in of_both], numbering) for of_both in _ANSWERS]
        files = _TRAIN if self.split == "published" else _DEV
        asked = _text.fingerprints(_text.join(*inputs))
        texts = [_read([data.fetch(file) for file in part], numbering) for part in (files, _TEST)]
        whole, judged = ([t.select(np.flatnonzero(~np.isin(_text.fingerprints(t), asked))) for t in x] for x in texts)
        fewest = min(map(len, judged))  # of both classes as many, so that the judge leans to neither
        judged = [t.select(np.linspace(0, len(t) - 1, fewest).round().astype(np.int64)) for t in judged]
        train, valid, labels = self._divided(whole)
        return _composed(self, train, valid, labels, inputs, sets, judged, list(numbering))

    def _divided(self, whole: Sequence[Tokens]) -> tuple[Tokens, Tokens, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Both classes shuffled together -> train and valid, with the labels of each."""
        text, labels = _text.join(*whole), np.repeat(np.arange(len(whole)), [len(part) for part in whole])
        if self.n_valid + (self.n_train or 1) > len(text):
            raise ValueError(
                f"yelp_transfer: n_train={self.n_train} and n_valid={self.n_valid} ask for more than the {len(text):,} "
                f"sentences of split={self.split}"
            )
        order = np.random.RandomState(_SEED).permutation(len(text))
        held_out, rest = order[: self.n_valid], order[self.n_valid :][: self.n_train]
        return text.select(rest), text.select(held_out), (labels[rest], labels[held_out])


def _read(files: Sequence[Path], numbering: dict[str, int]) -> list[Tokens]:
    """One text a file, a sentence a line; the last line of some has no end. Two bytes in all are no UTF-8."""
    texts = []
    for path in files:
        lines = path.read_text(encoding="utf-8", errors="replace").removesuffix("\n").split("\n")
        texts.append(Tokens.from_words((line.split() for line in lines), numbering))
    return texts


def _composed(
    task: YelpTransfer,
    train: Tokens,
    valid: Tokens,
    labels: tuple[NDArray[np.int64], NDArray[np.int64]],
    inputs: Sequence[Tokens],
    sets: Sequence[Sequence[Tokens]],
    judged: Sequence[Tokens],
    words: Sequence[str],
) -> TextData:
    """All texts in one numbering, the vocabulary's words first."""
    others = [*inputs, *(part for of_both in sets for part in of_both), *judged]
    plain = _text.text_data(train, valid, _text.join(*others), words, min_count=task.min_count)
    size = plain.spec.vocab_size
    vocabulary = Vocabulary((*plain.vocabulary.words, *map(label_word, CLASSES)), plain.vocabulary.unseen)
    spec = LabelledSpec(
        vocab_size=size + len(CLASSES), max_len=plain.spec.max_len + 1, bos_id=0, pad_id=0, eos_id=0, classes=CLASSES
    )
    flat = np.where(plain.references.flat < size, plain.references.flat, plain.references.flat + len(CLASSES))
    numbered = Tokens(flat, plain.references.offsets)
    ends = np.cumsum([0, *(len(part) for part in others)])
    parts = [numbered.select(np.arange(a, b)) for a, b in pairwise(ends)]
    asked, people = _text.join(*parts[:2]), [_text.join(*parts[2 + 2 * r : 4 + 2 * r]) for r in range(len(sets))]
    own = np.repeat([0, 1], [len(part) for part in inputs])
    ours = [
        rows(with_label(Tokens.from_rows(ids, 0), label, spec.class_ids), spec)[0]
        for ids, label in ((plain.train, labels[0]), (plain.valid, labels[1]))
    ]
    judged_text, theirs = _text.join(*parts[-2:]), np.repeat([0, 1], [len(part) for part in parts[-2:]])
    answers = Answers.of(
        asked,
        1 - own,
        CLASSES,
        people,
        judge=trained_judge(judged_text, theirs, len(CLASSES), Tokens.from_rows(plain.train, 0), labels[0]),
        class_text=parts[-2:],
        shown=_FINEST_PEOPLE,
    )
    unknown = vocabulary.numbering.get(_text.UNKNOWN)
    asked_rows = input_rows(asked, own, spec, unknown)
    known = {key: plain.facts[key] for key in ("train", "valid", "duplicates_in_train", "vocabulary", "max_length")}
    return RewritingText(
        spec=spec,
        vocabulary=vocabulary,
        train=ours[0],
        valid=ours[1],
        test=asked_rows,
        references=answers,
        input_ids=asked_rows,
        facts={**known, "inputs": len(asked), "people": len(people), "judge_text": sum(map(len, judged))},
    )
