"""TensorFlow 1's `random_normal` with NumPy, for oracles that were published as a seed instead of as weights.

Philox 4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. TensorFlow puts the
graph's seed in the key and the operation's seed in the upper half of the counter; normal numbers come by Box and Muller
in float32, two of each pair of words.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["GPU_THREADS", "random_normal"]

GPU_THREADS = 57_344
"""Threads of the GPU that drew LeakGAN's length-40 oracle. They decide which numbers a tensor gets."""

_MULTIPLIERS = np.array([0xD2511F53, 0xCD9E8D57], np.uint64)
_WEYL = np.array([0x9E3779B9, 0xBB67AE85], np.uint64)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_ROUNDS = 10


def philox(counter: NDArray[np.uint64], key: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """(4, n) counters and a (2,) key, each of 32-bit words -> (4, n) random words."""
    a, b, c, d = counter
    for round_ in range(_ROUNDS):
        k0, k1 = (key + np.uint64(round_) * _WEYL) & _LOW
        first, second = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]
        a, b, c, d = (second >> _HALF) ^ b ^ k0, second & _LOW, (first >> _HALF) ^ d ^ k1, first & _LOW
    return np.stack([a, b, c, d]).astype(np.uint32)


def random_normal(
    shape: tuple[int, ...], graph_seed: int, op_seed: int, *, threads: int | None = None
) -> NDArray[np.float32]:
    """`tf.random_normal(shape, seed=op_seed)` under `tf.set_random_seed(graph_seed)`, float32.

    `threads`: of the GPU that drew the numbers; each further pass of all threads skips one group of four. None: CPU.
    """
    size = math.prod(shape)
    group = np.arange((size + 3) // 4, dtype=np.uint64)
    if threads:
        group += group // np.uint64(threads)
    counter = np.zeros((4, len(group)), np.uint64)
    counter[0] = group
    counter[2], counter[3] = _halves(op_seed)
    words = philox(counter, np.array(_halves(graph_seed), np.uint64))
    normals = np.empty((len(group), 4), np.float32)
    for i in (0, 2):
        radius = np.sqrt(np.float32(-2) * np.log(np.maximum(_unit(words[i]), np.float32(1e-7))))
        angle = np.float32(2 * np.pi) * _unit(words[i + 1])
        normals[:, i] = np.sin(angle) * radius
        normals[:, i + 1] = np.cos(angle) * radius
    return normals.reshape(-1)[:size].reshape(shape)


def _halves(seed: int) -> tuple[int, int]:
    return seed & 0xFFFFFFFF, seed >> 32


def _unit(words: NDArray[np.uint32]) -> NDArray[np.float32]:
    """Random words -> float32 in [0, 1): the low 23 bits become the fraction of a number in [1, 2)."""
    return ((words & np.uint32(0x7FFFFF)) | np.uint32(0x3F800000)).view(np.float32) - np.float32(1)
