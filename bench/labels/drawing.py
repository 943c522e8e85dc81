"""Sentences of one class, from a model that can be told it or writes its labels itself."""

from __future__ import annotations

import numpy as np

from baselines.common.interface import LabelledSpec, TextGenerator
from bench.randomness import derive
from bench.registry import suggest
from bench.score.drawing import Ids, draw, takes_labels

__all__ = ["draw_class"]

_MOST_DRAWN = 50
"""Sentences drawn for each that is wanted, of a model that cannot be told a class, before it is given up."""


def draw_class(model: TextGenerator, n: int, name: str, *, seed: int, temperature: float = 1.0) -> Ids:
    """n sentences of a class, by its name -> (n, T) ids that begin with its label.

    Of a model that cannot be told a class, those are kept that it wrote with this label. Raises ValueError where there
    are no classes or none of this name, or too few such sentences come.
    """
    spec = model.spec
    if not isinstance(spec, LabelledSpec):
        raise ValueError(f"this text has no classes, so there is no class {name!r}; leave the label out")
    if name not in spec.classes:
        raise ValueError(f"no class {name!r}; {suggest(name, spec.classes)}")
    wanted = spec.class_ids[spec.classes.index(name)]
    if takes_labels(model):
        return draw(model, n, seed=seed, temperature=temperature, labels=np.full(n, wanted))
    found, drawn = np.empty((0, spec.max_len), np.int64), 0
    while len(found) < n and drawn < _MOST_DRAWN * n:
        ids = draw(model, n, seed=derive(seed, "class", drawn), temperature=temperature)
        found, drawn = np.concatenate([found, ids[ids[:, 0] == wanted]]), drawn + n
    if len(found) < n:
        raise ValueError(
            f"{type(model).__name__} cannot be told a class, and {len(found)} of {drawn:,} sentences that it wrote are "
            f"of class {name}: {n} were wanted"
        )
    return found[:n]
