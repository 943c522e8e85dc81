"""The highest response of each filter to any window of words: a convolution over a sentence, its maximum over time.

Gain: on a CPU steps of the discriminator, whose gradient is zero but at one window for each filter, and the scores of
roll-outs, whose completions of one prefix begin with the same windows (`Completions`). The plain form, `conv1d` and
`max` on whole sentences, gives the same but for rounding, and is what other devices compute.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from baselines.common.fast.kernels import product

__all__ = ["Completions", "highest_responses"]

# Sentences at once on a CPU: the responses of so many stay in the cache.
_LEARNED_AT_ONCE = 128
_SCORED_AT_ONCE = 64
# Numbers of a filter from which its gradient is summed row by row; a product with mostly zeros is faster below.
_WIDE = 80


def highest_responses(words: Tensor, banks: Iterable[Tensor]) -> Tensor:
    """Embedded sentences (B, T, E) and banks of n filters of f words (n, E, f), f <= T -> (B, sum of all n).

    On a CPU windows are rows of a matrix product, and the gradient is computed only where it is not zero: at the
    window with the highest response. Of several equally high ones on the same words any has the same gradient.
    """
    banks = list(banks)
    if words.device.type != "cpu":
        return _by_convolution(words, banks)
    if torch.is_grad_enabled():
        parts: list[Tensor] = [_HighestResponses.apply(part, *banks) for part in words.split(_LEARNED_AT_ONCE)]
    else:
        parts = [_highest(part, banks) for part in words.split(_SCORED_AT_ONCE)]
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _by_convolution(words: Tensor, banks: Sequence[Tensor]) -> Tensor:
    return torch.cat([functional.conv1d(words.transpose(1, 2), bank).max(2).values for bank in banks], 1)


def _highest(words: Tensor, banks: Sequence[Tensor]) -> Tensor:
    return torch.cat([_responses(words, bank).amax(1) for bank in banks], 1)


def _windows(words: Tensor, size: int) -> Tensor:
    """(B, T, E) -> (B L, size E), L = T - size + 1."""
    return words.unfold(1, size, 1).transpose(2, 3).reshape(-1, size * words.shape[2])


def _kernels(bank: Tensor) -> Tensor:
    """(n, E, f) -> (n, f E); a view where words are the second dimension in memory."""
    return bank.transpose(1, 2).flatten(1)


def _responses(words: Tensor, bank: Tensor) -> Tensor:
    """(B, T, E), (n, E, f) -> (B, L, n)."""
    return product(_windows(words, bank.shape[2]), _kernels(bank)).view(len(words), -1, len(bank))


def _positions(responses: Tensor, highest: Tensor) -> Tensor:
    """(B, L, n) and their maxima (B, n) -> (B, n): the first window that has each. Overwrites the responses.

    `max` would give the positions too, but takes eight times as long as `amax`; comparisons are slow as well.
    """
    length = responses.shape[1]
    before_end = torch.arange(length, 0, -1, dtype=responses.dtype)[:, None]
    below = responses.sub_(highest[:, None]).sign_()  # 0 at the maximum, else -1
    last_first = torch.add(before_end, below, alpha=length).amax(1)
    return (length - last_first).long().clamp_(0, length - 1)  # what is not a number has a position, too


class Completions:
    """Highest responses of sentences of which many begin alike: what a prefix adds to a window is computed once.

    Embedded prefixes (K, s, E) and banks as in `highest_responses`. No gradients.
    """

    @torch.no_grad()
    def __init__(self, prefixes: Tensor, banks: Iterable[Tensor]) -> None:
        _, self._read, self._width = prefixes.shape
        words = prefixes.flatten(1)
        self._banks = []
        for bank in banks:
            size = bank.shape[2]
            kernels = _kernels(bank).t().contiguous()  # (f E, n): those of some words lie together
            inside = highest_responses(prefixes, [bank]) if size <= self._read else None
            # For windows with k words of the prefix: k E, and what these words add (K, n).
            known = range(self._width, self._width * min(size, self._read + 1), self._width)
            across = [(k, product(words[:, -k:], kernels[:k].t())) for k in known]
            self._banks.append((bank, kernels, inside, across))

    @torch.no_grad()
    def highest(self, rest: Tensor) -> Tensor:
        """What n completions add to each prefix (n, K, T - s, E) -> (n, K, sum of all filters), of whole sentences."""
        shape, sentences, words = rest.shape[:2], rest.flatten(0, 1), rest.flatten(2).flatten(0, 1)
        added = rest.shape[2]
        highest = []
        for bank, kernels, inside, across in self._banks:
            size = bank.shape[2]
            found = [highest_responses(sentences, [bank]).unflatten(0, shape)] if size <= added else []
            for known, before in across:
                behind = kernels[known:]
                if len(behind) <= words.shape[1]:
                    found.append(product(words[:, : len(behind)], behind.t()).unflatten(0, shape).add_(before))
            best, *others = found
            for other in others if inside is None else [*others, inside]:
                torch.maximum(best, other, out=best)
            highest.append(best)
        return torch.cat(highest, 2)


# Autograd of `max` and a convolution makes the gradient of all L windows, nearly all of it zeros, and multiplies with
# it. Here only positions are kept, and the gradient of a filter is a sum over B windows instead of B L.
class _HighestResponses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, words: Tensor, *banks: Tensor) -> Tensor:
        highest, positions = [], []
        for bank in banks:
            responses = _responses(words, bank)
            highest.append(responses.amax(1))
            positions.append(_positions(responses, highest[-1]))
        ctx.save_for_backward(words, *banks, *positions)
        return torch.cat(highest, 1)

    @staticmethod
    def backward(ctx: Any, d_highest: Tensor) -> tuple[Tensor | None, ...]:
        words, *saved = ctx.saved_tensors
        need_words, *need_banks = ctx.needs_input_grad
        banks, positions = saved[: len(need_banks)], saved[len(need_banks) :]
        if torch.is_grad_enabled():  # the gradient will be differentiated itself
            inputs = [words, *banks]
            wanted = [x for x, need in zip(inputs, ctx.needs_input_grad, strict=True) if need]
            found = iter(torch.autograd.grad(_by_convolution(words, banks), wanted, d_highest, create_graph=True))
            return tuple(next(found) if need else None for need in ctx.needs_input_grad)
        d_words = torch.zeros_like(words) if need_words else None
        d_banks: list[Tensor | None] = []
        slopes = d_highest.split([len(bank) for bank in banks], 1)
        for bank, position, slope, need in zip(banks, positions, slopes, need_banks, strict=True):
            d_banks.append(_bank_gradient(words, bank, position, slope) if need else None)
            if d_words is not None:
                _add_words_gradient(d_words, bank, position, slope)
        return d_words, *d_banks


def _bank_gradient(words: Tensor, bank: Tensor, position: Tensor, slope: Tensor) -> Tensor:
    """(B, T, E), (n, E, f), (B, n), (B, n) -> (n, E, f), in memory as `_kernels` has it."""
    n, width, size = bank.shape
    windows, length = _windows(words, size), words.shape[1] - size + 1
    if length == 1:
        d_kernels = product(slope.t(), windows.t())
    else:
        rows = torch.arange(len(words))[:, None] * length + position  # (B, n)
        d_kernels = functional.embedding_bag(
            rows.t().contiguous(), windows, per_sample_weights=slope.t().contiguous(), mode="sum"
        )
    return d_kernels.view(n, size, width).transpose(1, 2)


def _add_words_gradient(d_words: Tensor, bank: Tensor, position: Tensor, slope: Tensor) -> None:
    """The same of one bank's words, added to (B, T, E)."""
    n, width, size = bank.shape
    length = d_words.shape[1] - size + 1
    if length > 1 and size * width >= _WIDE:
        d_windows = _sums_by_window(_kernels(bank), position, slope, length)
    else:
        slopes = slope.new_zeros(len(slope), length, n).scatter_(1, position[:, None], slope[:, None])
        d_windows = product(slopes.flatten(0, 1), _kernels(bank).t())
    for k, d_word in enumerate(d_windows.view(len(slope), length, size, width).unbind(2)):
        d_words[:, k : k + length].add_(d_word)


def _sums_by_window(kernels: Tensor, position: Tensor, slope: Tensor, length: int) -> Tensor:
    """(n, F), (B, n), (B, n) -> (B L, F): for each window slope times kernel of the filters that were highest there."""
    filters = position.argsort(1)
    windows = torch.arange(len(position))[:, None] * length + position
    taken = torch.bincount(windows.flatten(), minlength=len(position) * length)
    weights = slope.gather(1, filters).flatten()
    return functional.embedding_bag(
        filters.flatten(), kernels, taken.cumsum(0) - taken, per_sample_weights=weights, mode="sum"
    )
