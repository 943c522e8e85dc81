"""Log-likelihood under an output layer with many words, in tiles that stay in the cache.

Gain: on a CPU the loss of a language model and its gradient in one pass over each tile, without (N, V) logits in
memory and without rows that count nothing. The plain form, `functional.cross_entropy` of all logits, gives the same
but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from baselines.common.fast.kernels import product, shifted_exp
from baselines.common.spec import SequenceSpec

__all__ = ["counted", "finished", "log_likelihood", "tiles", "token_entropy", "weighted_nll"]

_WIDE = 256


def counted(tokens: Tensor, eos_id: int | None) -> Tensor:
    """(B, T) -> (B, T) bool: the positions that belong to the sentence, the first end token included."""
    if eos_id is None:
        return torch.ones_like(tokens, dtype=torch.bool)
    end = (tokens == eos_id).long()
    return end.cumsum(1) == end


def finished(tokens: Tensor, spec: SequenceSpec) -> Tensor:
    """(B, T) -> (B, T): padding behind the first end token, where sentences end."""
    return tokens if spec.pad_id is None else tokens.masked_fill(~counted(tokens, spec.eos_id), spec.pad_id)


def tiles(rows: int, device: torch.device, on_cpu: int) -> Iterator[slice]:
    """Slices of the rows of a product with as many columns as there are words: on a CPU of `on_cpu` rows each."""
    size = on_cpu if device.type == "cpu" else 8192
    return (slice(start, start + size) for start in range(0, rows, size))


def _tiles(hidden: Tensor) -> Iterator[slice]:
    """So few rows that they stay in the second-level cache; more where wide states make the product what takes time."""
    return tiles(len(hidden), hidden.device, 96 if hidden.shape[1] < _WIDE else 256)


def weighted_nll(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """-sum_n weights_n log softmax(weight hidden_n + bias)[targets_n], differentiable in the first three.

    hidden (N, H), weight (V, H), bias (V,), targets (N,) int64, weights (N,) -> scalar. The (N, V) logits never exist
    as a whole: loss and gradients are computed tile by tile while the logits of a tile are in the cache.
    """
    if hidden.device.type == "cpu":  # elsewhere the choice would wait for the device
        (rows,) = weights.nonzero(as_tuple=True)
        if len(rows) < len(weights):  # what counts nothing costs nothing
            hidden, targets, weights = hidden.index_select(0, rows), targets[rows], weights[rows]
    loss: Tensor = _WeightedNLL.apply(hidden, weight, bias, targets, weights)
    return loss


# Autograd would keep the logits of all tiles until the backward pass. The gradient can be had in the forward pass,
# while a tile's exponentials are in the cache; the backward pass only scales it.
class _WeightedNLL(torch.autograd.Function):
    """With p = softmax(logits): d loss / d logits_n = weights_n (p_n - onehot(targets_n))."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        inputs = torch.cat([hidden, torch.ones_like(hidden[:, :1])], 1)  # (N, H + 1): the bias is one more weight
        d_hidden, log_total = torch.empty_like(hidden), torch.empty_like(weights)
        d_output = hidden.new_zeros(inputs.shape[1], len(weight))  # (H + 1, V)
        for tile in _tiles(hidden):
            logits = product(hidden[tile], weight, bias)  # (n, V)
            mass, top = shifted_exp(logits, out=logits)
            total = mass.sum(1, keepdim=True)
            log_total[tile] = (top + total.log()).squeeze(1)
            share = weights[tile, None] / total  # p_n weights_n = mass_n share_n
            d_hidden[tile] = product(mass, weight.t()) * share
            d_output += product((inputs[tile] * share).t(), mass.t())
        weighted, chosen = weights[:, None], weight[targets]  # the other term: the one-hot rows
        log_p = (hidden * chosen).sum(1) + bias[targets] - log_total
        d_hidden -= weighted * chosen
        d_output = d_output.t().contiguous().index_add_(0, targets, inputs * weighted, alpha=-1)
        ctx.save_for_backward(d_hidden, d_output)
        return -(weights * log_p).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_loss: Tensor) -> tuple[Tensor | None, ...]:
        d_hidden, d_output = ctx.saved_tensors
        d_output = d_output * d_loss
        return d_hidden * d_loss, d_output[:, :-1], d_output[:, -1], None, None


@torch.no_grad()
def log_likelihood(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """log softmax(weight hidden_n + bias)[targets_n], nats: shapes as in `weighted_nll` -> (N,). No gradient."""
    out = hidden.new_empty(len(hidden))
    for tile in _tiles(hidden):
        log_p = product(hidden[tile], weight, bias).log_softmax(1)
        out[tile] = log_p.gather(1, targets[tile, None]).squeeze(1)
    return out


@torch.no_grad()
def token_entropy(hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(N, H) -> (N,): entropy of softmax(weight hidden_n + bias), nats. No gradient."""
    out = hidden.new_empty(len(hidden))
    for tile in _tiles(hidden):
        logits = product(hidden[tile], weight, bias)
        mass, top = shifted_exp(logits)
        total = mass.sum(1, keepdim=True)
        out[tile] = (top + total.log() - mass.mul_(logits).sum(1, keepdim=True) / total).squeeze(1)
    return out
