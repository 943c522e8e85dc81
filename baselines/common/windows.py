"""The highest response of a filter to any window of words: a convolution over a sentence and its maximum over time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from baselines.common.kernels import product

__all__ = ["highest_responses"]

_CPU_ROWS = 128  # sentences whose responses stay in the cache


def highest_responses(words: Tensor, weight: Tensor) -> Tensor:
    """Embedded sentences (B, T, E) and n filters of f words (n, E, f), f <= T -> (B, n).

    On a CPU windows are rows of a matrix product, and the gradient is computed only where it is not zero: at the
    window with the highest response. Of several equally high ones on the same words any has the same gradient.
    """
    if words.device.type != "cpu":
        return _by_convolution(words, weight)
    if torch.is_grad_enabled():
        parts: list[Tensor] = [_HighestResponses.apply(part, weight) for part in words.split(_CPU_ROWS)]
    else:
        parts = [_responses(part, weight).amax(1) for part in words.split(_CPU_ROWS)]
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _by_convolution(words: Tensor, weight: Tensor) -> Tensor:
    highest: Tensor = functional.conv1d(words.transpose(1, 2), weight).max(2).values
    return highest


def _windows(words: Tensor, size: int) -> Tensor:
    """(B, T, E) -> (B L, size E), L = T - size + 1."""
    return words.unfold(1, size, 1).transpose(2, 3).reshape(-1, size * words.shape[2])


def _kernels(weight: Tensor) -> Tensor:
    """(n, E, f) -> (n, f E)."""
    return weight.transpose(1, 2).flatten(1)


def _responses(words: Tensor, weight: Tensor) -> Tensor:
    """(B, T, E), (n, E, f) -> (B, L, n)."""
    return product(_windows(words, weight.shape[2]), _kernels(weight)).view(len(words), -1, len(weight))


class _HighestResponses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, words: Tensor, weight: Tensor) -> Tensor:
        responses = _responses(words, weight)
        highest = responses.amax(1)
        # `max` would give the positions too, but takes eight times as long as `amax`.
        length = responses.shape[1]
        before_end = torch.arange(length, 0, -1, dtype=torch.int16)[:, None]
        position = length - (before_end * (responses == highest[:, None])).amax(1).long()  # (B, n)
        ctx.save_for_backward(words, weight, position)
        return highest

    @staticmethod
    def backward(ctx: Any, d_highest: Tensor) -> tuple[Tensor | None, Tensor | None]:
        words, weight, position = ctx.saved_tensors
        need_words, need_weight = ctx.needs_input_grad
        if torch.is_grad_enabled():  # the gradient will be differentiated itself
            wanted = [x for x, need in ((words, need_words), (weight, need_weight)) if need]
            found = iter(torch.autograd.grad(_by_convolution(words, weight), wanted, d_highest, create_graph=True))
            return next(found) if need_words else None, next(found) if need_weight else None
        (n, width, size), length = weight.shape, words.shape[1] - weight.shape[2] + 1
        d_words = d_weight = None
        if need_weight:
            rows = torch.arange(len(words))[:, None] * length + position  # (B, n)
            d_kernels = functional.embedding_bag(
                rows.t().contiguous(), _windows(words, size), per_sample_weights=d_highest.t().contiguous(), mode="sum"
            )
            d_weight = d_kernels.view(n, size, width).transpose(1, 2)
        if need_words:
            slopes = words.new_zeros(len(words), length, n).scatter_(1, position[:, None], d_highest[:, None])
            d_windows = product(slopes.flatten(0, 1), _kernels(weight).t()).view(len(words), length, size, width)
            d_words = torch.zeros_like(words)
            for k in range(size):
                d_words[:, k : k + length] += d_windows[:, :, k]
        return d_words, d_weight
