"""Sentences rewritten by a model, without disturbing its training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from baselines.common.interface import LabelledSpec, Rewriter, TextGenerator
from bench.labels.data import LabelledTask
from bench.randomness import isolated
from bench.registry import suggest
from bench.rewriting.data import input_rows
from bench.score.drawing import Ids, blanked, check_drawn, check_labels, device_of, draw
from bench.task import Task, TextData
from metrics.common.labels import without_label
from metrics.common.tokens import Tokens

__all__ = ["rewrite", "rewrite_texts"]

_CHUNK = 1_000
"""Sentences given to a model at once: bounds memory, and is part of what a seed means."""


def rewrite(
    model: TextGenerator,
    inputs: Ids,
    wanted: Ids,
    *,
    seed: int,
    temperature: float = 1.0,
    told: Callable[[int], None] = lambda _: None,
) -> Ids:
    """(M, T) sentences with their labels, and the class (M,), from 0, of each answer -> (M, T) answers with labels.

    A model that can be told a class and rewrites nothing writes a sentence of that class, whatever the input: what
    such an answer scores is what reading the input is worth. Raises ValueError, naming the model, for anything else.
    """
    spec = model.spec
    if not isinstance(spec, LabelledSpec):
        raise ValueError("these sentences have no labels, so nothing can be rewritten into another class")
    labels = np.asarray(spec.class_ids, np.int64)[wanted]
    if not len(inputs):
        raise ValueError("there is no sentence to rewrite: the file is empty")
    if not isinstance(model, Rewriter):
        return draw(model, len(inputs), seed=seed, temperature=temperature, told=told, labels=labels)
    if temperature != 1:
        raise ValueError(f"{type(model).__name__} rewrites without a temperature, got {temperature}")
    device, was_training = device_of(model), model.training
    model.eval()
    chunks = []
    try:
        with isolated(seed), torch.no_grad():
            for start in range(0, len(inputs), _CHUNK):
                told(start)
                given, target = (torch.from_numpy(x[start : start + _CHUNK]).to(device) for x in (inputs, labels))
                ids = model.transfer(given, target)
                check_drawn(ids, len(given), spec, f"{type(model).__name__}.transfer")
                check_labels(ids, labels[start : start + _CHUNK], f"{type(model).__name__}.transfer")
                chunks.append(ids.cpu().numpy())
    finally:
        model.train(was_training)
    return blanked(np.concatenate(chunks), spec)


def rewrite_texts(
    model: TextGenerator,
    data: TextData,
    task: Task,
    sentences: Sequence[str],
    label: str,
    *,
    own: str | None,
    seed: int,
) -> list[str]:
    """Sentences of anybody, as text, rewritten into the class `label`, as text.

    Words that the vocabulary lacks become its word for such, if it has one. ValueError for a class that is not there,
    a model that rewrites nothing, and a sentence that cannot be written in the vocabulary, with the word.
    """
    spec = model.spec
    if not isinstance(model, Rewriter) or not isinstance(spec, LabelledSpec) or not isinstance(task, LabelledTask):
        raise ValueError(f"{type(model).__name__} rewrites no sentences: give a run of a model that does, as cycle_gan")
    for name in (label, *([own] if own else [])):
        if name not in spec.classes:
            raise ValueError(f"no class {name!r}; {suggest(name, spec.classes)}")
    wanted = spec.classes.index(label)
    given = spec.classes.index(own) if own else (wanted + 1) % len(spec.classes)
    unknown = data.vocabulary.numbering.get("<unk>")
    words = [task.words_of(sentence) for sentence in sentences]
    known = set(data.vocabulary.words)
    strange = next((word for line in words for word in line if word not in known), None)
    if strange is not None and unknown is None:
        raise ValueError(
            f"the word {strange!r} is not in the training text of this run; set min_count=2 and train again"
        )
    tokens = data.vocabulary.tokens(words)
    rows = input_rows(tokens, np.full(len(tokens), given), spec, unknown)
    ids = rewrite(model, rows, np.full(len(tokens), wanted), seed=seed)
    answers = without_label(Tokens.from_rows(ids, spec.eos_id), spec.class_ids)[1]
    return [task.detokenize(sentence) for sentence in data.vocabulary.sentences(answers)]
