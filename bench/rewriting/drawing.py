"""Sentences rewritten by a model, without disturbing its training."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch

from baselines.common.interface import LabelledSpec, Rewriter, TextGenerator
from bench.randomness import isolated
from bench.score.drawing import Ids, blanked, check_drawn, check_labels, draw

__all__ = ["rewrite"]

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
    if not isinstance(model, Rewriter):
        return draw(model, len(inputs), seed=seed, temperature=temperature, told=told, labels=labels)
    if temperature != 1:
        raise ValueError(f"{type(model).__name__} rewrites without a temperature, got {temperature}")
    device = next((t.device for t in itertools.chain(model.parameters(), model.buffers())), torch.device("cpu"))
    was_training = model.training
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
