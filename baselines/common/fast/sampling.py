"""Words drawn from logits, and sentences written word by word.

Gain: on a CPU the draw, which is three quarters of the time of sampling a small language model with
`torch.multinomial`; everywhere, in `write_words`, what sentences that have ended would cost. The plain forms,
`torch.multinomial` and a loop over all rows, give the same distribution.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from baselines.common.fast.kernels import shifted_exp
from baselines.common.spec import SequenceSpec

__all__ = ["BLOCK", "draw", "draw_by_mass", "write_words"]

State: TypeAlias = tuple[Tensor, ...]
"""What a generator knows of N sentences: each tensor has N rows."""

BLOCK = 64
"""Columns of one block of the two-level search; logits whose width is a multiple of it are not copied."""


def draw(logits: Tensor, n: int = 1) -> Tensor:
    """(B, V) -> (n, B) int64: n independent draws per row from softmax(logits). A logit of -inf is never drawn.

    `torch.multinomial` draws one random number per entry, serially on a CPU. Here one uniform number per draw is
    searched for in the cumulative sums, first of the blocks and then inside one block. Uniforms have 24 bits:
    probabilities below 6e-8 are not resolved. On other devices the Gumbel-max trick is used, which is deterministic
    there, while cumulative sums are not.
    """
    if logits.device.type != "cpu":
        noise = torch.empty(n, *logits.shape, device=logits.device, dtype=logits.dtype).exponential_()
        return (logits - noise.log_()).argmax(-1)
    if short := -logits.shape[1] % BLOCK:
        logits = functional.pad(logits, (0, short), value=-math.inf)
    return draw_by_mass(shifted_exp(logits)[0], n)


def draw_by_mass(mass: Tensor, n: int = 1) -> Tensor:
    """(B, V) on a CPU -> (n, B) int64: the same from numbers in proportion to probabilities, V a multiple of BLOCK."""
    mass = mass.unflatten(1, (-1, BLOCK))  # (B, V / BLOCK, BLOCK)
    blocks = mass.sum(2).cumsum(1)  # (B, V / BLOCK)
    point = torch.rand(n, len(mass), 1, dtype=mass.dtype) * blocks[:, -1:]
    block, point = _locate(blocks, point)
    rows = torch.arange(len(mass)).expand(n, -1)
    column, _ = _locate(mass[rows, block].cumsum(2), point)
    return block * BLOCK + column


def _locate(cumulative: Tensor, point: Tensor) -> tuple[Tensor, Tensor]:
    """Cumulative sums ([n,] B, K) and points (n, B, 1) -> index of the interval (n, B), and how far into it (n, B, 1).

    A point is kept strictly under the total, so that rounding never selects an interval of no mass at the end.
    """
    total = cumulative[..., -1:]
    point = point.minimum(total.nextafter(torch.zeros_like(total)))
    index = (cumulative <= point).sum(-1, keepdim=True)
    before = cumulative.expand(*point.shape[:2], -1).gather(2, (index - 1).clamp(min=0)).where(index > 0, 0.0)
    return index.squeeze(2), point - before


@torch.no_grad()
def write_words(
    n: int,
    spec: SequenceSpec,
    state: State,
    *,
    draw: Callable[[State, int], Tensor],
    read: Callable[[Tensor, State, int], State],
    prefix: Tensor | None = None,
) -> Tensor:
    """(n, T) int64: n sentences word by word. What has ended is computed no further and padded.

    `state` is that of n empty sentences. At each position, from 0, `draw(state, position)` gives the next words (N,) of
    the N sentences that go on, and `read(words, state, position)` their next state. With a prefix (n, p) the first p
    words are given.
    """
    device = state[0].device
    out = torch.full((n, spec.max_len), spec.pad_id or 0, device=device)
    rows = torch.arange(n, device=device)
    for position in range(spec.max_len):
        given = prefix[rows, position] if prefix is not None and position < prefix.shape[1] else None
        words = draw(state, position) if given is None else given
        out[rows, position] = words
        if position == spec.max_len - 1:
            break
        if spec.eos_id is not None:
            going = (words != spec.eos_id).nonzero().squeeze(1)  # once: a mask would be searched for each tensor
            rows, words, state = rows[going], words[going], tuple(x[going] for x in state)
        state = read(words, state, position)
    return out
