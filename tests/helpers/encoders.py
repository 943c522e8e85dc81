"""Sentence encoders in the place of real ones, which the extra `semantic` would bring."""

from __future__ import annotations

import hashlib
import importlib.machinery
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from metrics.common import encoder as encoders

__all__ = ["Pairs", "folder_of_a_model", "installed"]


def folder_of_a_model(place: Path, weights: bytes = b"weights") -> Path:
    """A folder that looks like a model's."""
    place.mkdir(parents=True)
    (place / "config.json").write_text("{}", encoding="utf-8")
    (place / "model.safetensors").write_bytes(weights)
    return place


@contextmanager
def installed(place: Path, encoder: type) -> Iterator[str]:
    """A class in the place of `SentenceTransformer`, and a folder that it is said to be read from."""
    module = types.ModuleType("sentence_transformers")
    module.__spec__ = importlib.machinery.ModuleSpec("sentence_transformers", None)
    module.SentenceTransformer = encoder  # type: ignore[attr-defined]

    def forget() -> None:
        encoders._encoded.cache_clear()
        encoders._model.cache_clear()

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "sentence_transformers", module)
        forget()
        yield str(folder_of_a_model(place))
        forget()


class Pairs:
    """A sentence's vector is the sum of those of its pairs of words, which are drawn once for each pair."""

    def __init__(self, folder: str) -> None:
        assert (Path(folder) / "config.json").is_file()

    def encode(self, texts: list[str], **_: object) -> np.ndarray:
        """(N, 16)."""
        return np.stack([sum(map(_vector, pairwise(("<", *text.split(), ">")))) for text in texts])


@cache
def _vector(pair: tuple[str, str]) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(" ".join(pair).encode()).digest()[:4], "big")
    return np.random.RandomState(seed).randn(16).astype(np.float32)
