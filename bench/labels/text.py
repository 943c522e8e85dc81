"""Real text with classes: splits and labels to `LabelledText`, with a judge that is trained on the test text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from baselines.common.spec import LabelledSpec
from bench.labels.data import LabelledText, label_word
from bench.task import TextData, Vocabulary
from bench.tasks import _text
from metrics.common.labels import with_label, without_label
from metrics.common.naive_bayes import trained_judge
from metrics.common.tokens import Tokens

__all__ = ["Labelled", "labelled_text", "split"]

Labels = NDArray[np.int64]
Labelled = tuple[Tokens, Labels]
"""Sentences without labels, and the class of each, from 0."""


def split(
    text: Labelled, n_classes: int, valid_share: float, test_share: float, seed: int
) -> tuple[Labelled, Labelled, Labelled]:
    """Sentences -> train, valid and test, of each class the same shares, chosen by a fixed stream.

    Train is shuffled, so that a fixed batch holds all classes; the others have the order of the file. Raises ValueError
    for a class that is too small to be divided.
    """
    tokens, labels = text
    stream = np.random.RandomState(seed)
    parts: list[list[Labels]] = [[], [], []]
    for label in range(n_classes):
        order = stream.permutation(np.flatnonzero(labels == label))
        n_test, n_valid = round(len(order) * test_share), round(len(order) * valid_share)
        if min(n_test, n_valid, len(order) - n_test - n_valid) < 1:
            raise ValueError(
                f"class {label} has {len(order)} sentences: too few to divide into train, valid "
                f"(valid_share={valid_share}) and test (test_share={test_share}); each needs one or more"
            )
        for part, chosen in zip(parts, np.split(order, [n_test, n_test + n_valid]), strict=True):
            part.append(chosen)
    test, valid, train = (np.concatenate(part) for part in parts)
    rows = (stream.permutation(train), np.sort(valid), np.sort(test))
    found = [(tokens.select(chosen), labels[chosen]) for chosen in rows]
    return found[0], found[1], found[2]


def labelled_text(
    train: Labelled,
    valid: Labelled,
    test: Labelled,
    words: Sequence[str],
    classes: tuple[str, ...],
    *,
    min_count: int = 1,
    more_facts: Mapping[str, float | int | str] | None = None,
) -> LabelledText:
    """Three splits that share the numbering `words` -> a loaded task with these classes.

    The vocabulary is `text_data`'s, with the labels last. The judge learns from the test text, which no model sees; how
    good it is, is measured on train and validation text.
    """
    names = tuple(map(label_word, classes))
    if twice := next((name for name in names if name in words), None):
        raise ValueError(f"the text holds the word {twice!r}, which names a class: rename it in the text")
    sizes = np.bincount(train[1], minlength=len(classes))
    if sizes.min() < min_count:
        raise ValueError(
            f"class {int(sizes.argmin())} has {sizes.min()} training sentences, and a word that occurs less than "
            f"min_count={min_count} times is unknown, the label of a class with it: min_count is {sizes.min()} at most"
        )
    numbers = range(len(words), len(words) + len(classes))
    first, second, third = (with_label(*part, numbers) for part in (train, valid, test))
    found = _text.text_data(first, second, third, [*words, *names], min_count=min_count)
    data = _labels_last(found, names)
    size, k = len(data.vocabulary.words), len(classes)
    spec = LabelledSpec(vocab_size=size, max_len=data.spec.max_len, bos_id=0, pad_id=0, eos_id=0, classes=classes)
    labels, texts = without_label(data.references, spec.class_ids)
    their_labels, others = without_label(
        Tokens.from_rows(np.concatenate([data.train, data.valid]), spec.eos_id), spec.class_ids
    )
    judge = trained_judge(texts, labels, k, others, their_labels)
    facts: dict[str, float | int | str] = {
        **data.facts,
        **_text.facts(train[0], valid[0], test[0]),
        "test_tokens_outside_vocabulary": round(float((texts.flat >= size).mean()), 4),
        "classes": k,
        **{f"train_{name}": int(size) for name, size in zip(classes, sizes, strict=True)},
        "judge": judge.name,
        "judge_accuracy": judge.accuracy or 0.0,
        **(more_facts or {}),
    }
    return LabelledText(
        spec=spec,
        vocabulary=data.vocabulary,
        train=data.train,
        valid=data.valid,
        test=data.test,
        references=data.references,
        judge=judge,
        facts=facts,
    )


def _labels_last(data: TextData, names: tuple[str, ...]) -> TextData:
    """The same, its words numbered anew: the labels, which come first by how often they occur, come last."""
    known = data.vocabulary.words
    labels = [known.index(name) for name in names]
    order = [*(i for i in range(len(known)) if i not in labels), *labels]
    number = np.arange(len(known) + len(data.vocabulary.unseen))
    number[order] = np.arange(len(known))
    return TextData(
        spec=data.spec,
        vocabulary=Vocabulary(tuple(known[i] for i in order), data.vocabulary.unseen),
        train=number[data.train],
        valid=number[data.valid],
        test=number[data.test],
        references=Tokens(number[data.references.flat], data.references.offsets),
        facts=data.facts,
    )
