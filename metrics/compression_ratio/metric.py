"""Compression ratio: how much of the samples' text gzip finds to be repetition."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from metrics.common.base import Aspect, Better, Bounds, Estimate, MetricInputs
from metrics.common.characters import not_spelled
from metrics.common.signature import Setting
from metrics.common.uncertainty import EstimatedMetric, jackknife

__all__ = ["CompressionRatio", "ratio_of"]

_ORDER_SEED = 0
"""Of NumPy's `RandomState`, whose stream is frozen."""
_GROUPS = 10
"""Of lines, for the standard error, which then has an error of 24% (1 / sqrt(2 * 9))."""


@dataclass(frozen=True, kw_only=True)
class CompressionRatio(EstimatedMetric):
    """Bytes of the samples' text by its bytes after gzip. Key `compression_ratio`.

    A sentence is a line, its words joined by blanks. gzip remembers the last 32 KB alone, so the order of the lines
    counts; it is one shuffle of the sorted lines, so equal samples in any order have one score.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "diversity"
    bounds: ClassVar[Bounds] = (0.0, None)
    needs: ClassVar[tuple[str, ...]] = ("words",)

    level: int = 9
    """Of gzip: 1 is fast, 9 is thorough."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.level, bool) or not isinstance(self.level, int) or not 1 <= self.level <= 9:
            raise ValueError(f"{self.name}: level must be a whole number from 1 to 9, got {self.level!r}")

    def missing(self, inputs: MetricInputs) -> str | None:
        """Every token must have its word."""
        return super().missing(inputs) or not_spelled(self.name, inputs.words, inputs.samples)

    def settings(self, inputs: MetricInputs) -> dict[str, Setting]:
        """With the compressor: zlib-ng, which some Pythons have in zlib's place, finds other repetitions."""
        return {"compressor": "zlib-ng" if "ng" in zlib.ZLIB_RUNTIME_VERSION else "zlib", **super().settings(inputs)}

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """The standard error is the jackknife's over groups of lines: the ratio without each of them."""
        assert inputs.words is not None
        words = [inputs.words[token] for token in inputs.samples.flat.tolist()]
        lines = sorted(" ".join(words[a:b]) + "\n" for a, b in pairwise(inputs.samples.offsets.tolist()))
        lines = [lines[place] for place in np.random.RandomState(_ORDER_SEED).permutation(len(lines)).tolist()]
        value, n_groups = ratio_of("".join(lines), self.level), min(_GROUPS, len(lines))
        if n_groups < 2:
            return {self.name: Estimate(value, None)}
        others = ("".join(line for i, line in enumerate(lines) if i % n_groups != g) for g in range(n_groups))
        return {self.name: jackknife(value, np.array([ratio_of(text, self.level) for text in others]))}


def ratio_of(text: str, level: int = 9) -> float:
    """Bytes of a text in UTF-8 / its bytes after gzip, the 18 bytes of gzip's header and trailer included."""
    raw = text.encode("utf-8", "surrogatepass")
    return len(raw) / len(gzip.compress(raw, compresslevel=level, mtime=0))
