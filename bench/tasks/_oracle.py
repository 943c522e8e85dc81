"""SeqGAN's oracle: a random LSTM whose sentences are "real text" and whose probabilities are known exactly.

Yu, Zhang, Wang, Yu, "SeqGAN", AAAI 2017, section 4. In words: the gates are input, forget, output, candidate (not
torch's order); vectors are rows (x @ W); one bias per gate; the first input is the embedding of token 0; the first
token is scored; there is no end token and no padding.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bench.tasks._philox import GPU_THREADS, random_normal

__all__ = ["TENSORS", "Oracle", "leakgan40", "read_pickle", "relgan", "seeded"]

TENSORS = ("embedding", "Wi", "Ui", "bi", "Wf", "Uf", "bf", "Wog", "Uog", "bog", "Wc", "Uc", "bc", "Wo", "bo")
"""The tensors in the order of the published file."""

_MOST_BYTES = 1 << 26  # of a pickle; the published one has 1.3 MB
_BLOCK = 64  # sentences at a time: the logits of one step stay in the cache
_TILE_ROWS, _TILE_WORDS = 256, 500  # positions and words whose logits are in the cache at once
_LARGEST_LOGIT = 85.0  # float32 ends at exp(88)
_GROUP = 64  # words whose odds are summed first
_FLOAT32_ERROR = 3e-7  # of a cumulated probability, per hidden unit; ten times what was measured

# graph seed 1234 and one seed per operation (weilinie/RelGAN, utils/models/OracleLstm.py:112-135)
_RELGAN_SEEDS = (123314154, 111, 211, 311, 114, 115, 116, 997, 998, 999, 110, 111, 112, 12341, 56865246)


class _Weights(NamedTuple):
    """The LSTM as one step needs it, in one floating-point type."""

    inputs: NDArray[Any]
    """(V, 4H) what each token adds to the gates: embedding @ W + b."""
    recurrent: NDArray[Any]
    """(H, 4H)"""
    output: NDArray[Any]
    """(H, V)"""
    bias: NDArray[Any]
    """(V,)"""


@dataclass(frozen=True, eq=False)
class Oracle:
    """The LSTM of hidden size H over V words."""

    tensors: tuple[NDArray[Any], ...]
    """Named by `TENSORS`: (V, E); four times (E, H), (H, H), (H,); (H, V); (V,)."""

    def __post_init__(self) -> None:
        shapes = tuple(np.shape(t) for t in self.tensors)
        if len(shapes) != len(TENSORS) or len(shapes[0]) != 2 or len(shapes[2]) != 2:
            raise ValueError(f"an oracle has {len(TENSORS)} tensors ({', '.join(TENSORS)}), got shapes {shapes}")
        if shapes != _shapes(*shapes[0], shapes[2][0]):
            raise ValueError(f"these are not the shapes of one LSTM: {shapes}")
        if not all(np.isfinite(t).all() for t in self.tensors):
            raise ValueError("an oracle's weights must be finite")

    @property
    def vocab_size(self) -> int:
        """V."""
        return len(self.tensors[0])

    def log_prob(self, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """(N, T) -> (N,) log-probability of each sentence, nats; -inf where an id is outside the vocabulary.

        In float32, which moves the sum over 20 tokens by about 1e-5.
        """
        if ids.ndim != 2:
            raise ValueError(f"the oracle scores rows of ids (N, T), got shape {ids.shape}")
        total = np.full(len(ids), -np.inf)
        possible = np.flatnonzero(((ids >= 0) & (ids < self.vocab_size)).all(axis=1))
        weights = self._weights(np.float32)
        for start in range(0, len(possible), _BLOCK):
            block = possible[start : start + _BLOCK]
            total[block] = _log_prob(weights, ids[block])
        return total

    def sample(self, n: int, length: int, stream: np.random.RandomState) -> NDArray[np.int64]:
        """Draw (n, length) ids by inverting the distribution function of each token, exactly as float64 gives it.

        The first sentences of a longer draw are those of a shorter one. Two machines can differ only where a uniform
        number falls within rounding (1e-14) of a bound: once in 10,000 data sets.
        """
        uniforms = stream.random_sample((n, length))
        weights, rough = self._weights(np.float64), self._weights(np.float32)
        blocks = [_sample(weights, rough, uniforms[start : start + _BLOCK]) for start in range(0, n, _BLOCK)]
        return np.concatenate(blocks) if blocks else np.empty((0, length), np.int64)

    def _weights(self, dtype: DTypeLike) -> _Weights:
        embedding, *gates, output, bias = (np.asarray(t, np.float64) for t in self.tensors)
        w, u, b = (np.concatenate(gates[k::3], axis=-1) for k in range(3))
        return _Weights(*(np.ascontiguousarray(t, dtype) for t in (embedding @ w + b, u, output, bias)))


def _shapes(v: int, e: int, h: int) -> tuple[tuple[int, ...], ...]:
    return ((v, e), *(((e, h), (h, h), (h,)) * 4), (h, v), (v,))


def _start(weights: _Weights, n: int) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
    """Token 0, zero hidden state, zero cell."""
    zeros = np.zeros((n, len(weights.recurrent)), weights.output.dtype)
    return np.zeros(n, np.int64), zeros, zeros


def _step(
    weights: _Weights, tokens: NDArray[np.int64], hidden: NDArray[Any], cell: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """One token further: hidden state (B, H), cell (B, H)."""
    gates = weights.inputs[tokens] + hidden @ weights.recurrent
    size = hidden.shape[1]
    opened = 0.5 * (1 + np.tanh(0.5 * gates[:, : 3 * size]))  # the logistic function, without overflow
    cell = opened[:, size : 2 * size] * cell + opened[:, :size] * np.tanh(gates[:, 3 * size :])
    return opened[:, 2 * size :] * np.tanh(cell), cell


def _odds(weights: _Weights, hidden: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """(B, H) -> logits (B, V) less their maximum, and their exponentials (B, V)."""
    logits = hidden @ weights.output
    logits += weights.bias
    logits -= logits.max(axis=1, keepdims=True)
    return logits, np.exp(logits)


def _log_prob(weights: _Weights, ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """(B, T) -> (B,). All positions at once: only the hidden states follow one another."""
    layer = np.concatenate([weights.output, weights.bias[None]])  # (H + 1, V): the bias is one more weight
    tokens, hidden, cell = _start(weights, len(ids))
    states = np.ones((ids.shape[1], len(ids), len(layer)), layer.dtype)
    for position, target in enumerate(ids.T):
        hidden, cell = _step(weights, tokens, hidden, cell)
        states[position, :, :-1] = hidden
        tokens = target
    rows, targets = states.reshape(-1, len(layer)), ids.T.reshape(-1)
    log_p = np.einsum("nh,hn->n", rows, layer[:, targets]) - _log_totals(layer, rows)
    return log_p.reshape(ids.shape[1], -1).sum(axis=0)


def _log_totals(layer: NDArray[Any], rows: NDArray[Any]) -> NDArray[np.float64]:
    """(H + 1, V) and (N, H + 1) -> (N,) logarithm of the sum of all odds, in tiles that stay in the cache.

    Hidden states are between -1 and 1. So the largest logit that can be is known, and no maximum is looked for where
    its odds are far from overflow.
    """
    size = layer.shape[1]
    if np.abs(layer).sum(axis=0).max() + np.log(size) > _LARGEST_LOGIT:
        tiles = (rows[start : start + _BLOCK] @ layer for start in range(0, len(rows), _BLOCK))
        return np.concatenate([_log_total(logits) for logits in tiles])
    totals = np.zeros(len(rows))
    tile = np.empty(_TILE_ROWS * _TILE_WORDS, layer.dtype)
    ones = np.ones(_TILE_WORDS, layer.dtype)
    for start in range(0, len(rows), _TILE_ROWS):
        some = rows[start : start + _TILE_ROWS]
        for first in range(0, size, _TILE_WORDS):
            words = layer[:, first : first + _TILE_WORDS]
            odds = tile[: len(some) * words.shape[1]].reshape(len(some), -1)
            np.exp(np.matmul(some, words, out=odds), out=odds)
            totals[start : start + _TILE_ROWS] += odds @ ones[: words.shape[1]]
    return np.log(totals)


def _log_total(logits: NDArray[Any]) -> NDArray[np.float64]:
    """(N, V) -> (N,), whatever the logits are."""
    top = logits.max(axis=1)
    return top + np.log(np.exp(logits - top[:, None]).sum(axis=1).astype(np.float64))


def _sample(weights: _Weights, rough: _Weights, uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
    """(B, T) uniform numbers -> (B, T) ids."""
    tokens, hidden, cell = _start(weights, len(uniforms))
    ids = np.empty(uniforms.shape, np.int64)
    error = _FLOAT32_ERROR * hidden.shape[1]
    for position, uniform in enumerate(uniforms.T):
        hidden, cell = _step(weights, tokens, hidden, cell)
        tokens, sure = _invert_roughly(_odds(rough, hidden.astype(np.float32))[1], uniform, error)
        if not sure.all():
            tokens[~sure] = _invert(_odds(weights, hidden[~sure])[1], uniform[~sure])
        ids[:, position] = tokens
    return ids


def _invert(odds: NDArray[np.float64], uniform: NDArray[np.float64]) -> NDArray[np.int64]:
    """(B, V) odds and (B,) uniform numbers -> (B,) ids, by the distribution function."""
    cumulated = np.cumsum(odds, axis=1)
    below = cumulated <= (uniform * cumulated[:, -1])[:, None]
    return np.minimum(np.count_nonzero(below, axis=1), odds.shape[1] - 1).astype(np.int64)


def _invert_roughly(
    odds: NDArray[np.float32], uniform: NDArray[np.float64], error: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """As `_invert` in float32, by groups of words; and whether float32 is enough to be sure of the id.

    Ten times faster. An id is sure if the uniform number is further than `error` from both of its bounds.
    """
    n, size = odds.shape
    groups = np.arange(0, size, _GROUP)
    cumulated = np.cumsum(np.add.reduceat(odds, groups, axis=1, dtype=np.float32), axis=1, dtype=np.float64)
    target = uniform * cumulated[:, -1]
    group = np.minimum(np.count_nonzero(cumulated <= target[:, None], axis=1), len(groups) - 1)
    rows = np.arange(n)
    before = np.where(group > 0, cumulated[rows, group - 1], 0.0)
    words = groups[group][:, None] + np.arange(_GROUP)
    inside = np.where(words < size, odds[rows[:, None], np.minimum(words, size - 1)], 0)
    bounds = np.column_stack([before, before[:, None] + np.cumsum(inside, axis=1, dtype=np.float64)])
    index = np.minimum(np.count_nonzero(bounds[:, 1:] <= target[:, None], axis=1), _GROUP - 1)
    margin = np.minimum(target - bounds[rows, index], bounds[rows, index + 1] - target)
    return words[rows, index], margin > error * cumulated[:, -1]


def seeded(vocab_size: int, hidden_size: int, seed: int) -> Oracle:
    """An oracle of N(0, 1) weights from NumPy's `RandomState`, whose stream is frozen. E = H, as SeqGAN's."""
    stream = np.random.RandomState(seed)
    return Oracle(tuple(stream.standard_normal(s) for s in _shapes(vocab_size, hidden_size, hidden_size)))


def leakgan40() -> Oracle:
    """LeakGAN's oracle for length 40: hidden 64, graph seed 233, drawn on a GPU by operations 7804, 7813, …"""
    return _from_tensorflow(64, 233, range(7804, 7804 + 9 * len(TENSORS), 9), threads=GPU_THREADS)


def relgan() -> Oracle:
    """RelGAN's own oracle: hidden 32, every operation with its seed."""
    return _from_tensorflow(32, 1234, _RELGAN_SEEDS, threads=None)


def _from_tensorflow(hidden_size: int, graph_seed: int, op_seeds: Sequence[int], *, threads: int | None) -> Oracle:
    shapes = _shapes(5000, hidden_size, hidden_size)
    pairs = zip(shapes, op_seeds, strict=True)
    return Oracle(tuple(random_normal(shape, graph_seed, seed, threads=threads) for shape, seed in pairs))


def read_pickle(path: Path) -> Oracle:
    """The published oracle. A pickle can run code, so this one may name NumPy's array parts and nothing else.

    Raises ValueError that names the file, whatever is wrong with it.
    """
    content = path.read_bytes()
    if (n_bytes := len(content)) > _MOST_BYTES:
        raise ValueError(f"{path} has {n_bytes:,} bytes; an oracle has at most {_MOST_BYTES:,}")
    try:
        for operation, argument, _ in pickletools.genops(content):  # their lengths fit into the file
            if operation.name in ("PUT", "LONG_BINPUT") and int(argument or 0) > n_bytes:
                raise ValueError(f"it numbers an object {argument}")  # memory for as many would be taken
        tensors = _ArraysOnly(io.BytesIO(content)).load()
    except Exception as error:  # a damaged pickle raises what it likes, for a huge frame even MemoryError
        raise ValueError(f"{path} is not a pickle of NumPy arrays: {error or type(error).__name__}") from error
    if not isinstance(tensors, list) or not all(isinstance(t, np.ndarray) and t.dtype.kind == "f" for t in tensors):
        raise ValueError(f"{path} holds no list of floating-point arrays")
    try:
        return Oracle(tuple(tensors))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


class _ArraysOnly(pickle.Unpickler):
    """Reads lists of NumPy arrays; refuses every other name before it is imported."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        # NumPy 2 moved the function; an array's own `__reduce__` knows where it is now
        allowed: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],  # type: ignore[dict-item]
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not allowed")
        return allowed[module, name]
