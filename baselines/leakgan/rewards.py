"""What manager and worker are rewarded with: scores of roll-outs, their rescaled activation, and cosines."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from baselines.leakgan.generator import Walk

__all__ = ["agreement", "boundary_scores", "rescaled"]

_SHARPNESS = 16.0
_TINY = 1e-12  # what has no direction agrees with nothing


@torch.no_grad()
def boundary_scores(walk: Walk, tokens: Tensor, n: int, horizon: int) -> Tensor:
    """(B, T) -> (B, K): the mean score of n completions of each prefix that ends with a block; at T, the sentence's.

    The sentences are read once, in the first B rows; where a block ends, n completions of each join the batch. The
    score falls out of what the reader knows at the end.
    """
    b, length = tokens.shape
    state = walk.start(torch.zeros(b, dtype=torch.int64, device=tokens.device))  # in block 0 nothing is drawn
    for position in range(length):
        if position and position % horizon == 0:
            state = state.joined(b, n)
        words = torch.cat([tokens[:, position], walk.draw(state, position, first=b)])
        state = walk.read(state, words, position)
    score = walk.score(state)
    return torch.cat([score[b:].view(-1, n, b).mean(1), score[None, :b]]).t()


def rescaled(scores: Tensor, valid: Tensor, rank: Literal["sorted", "released"]) -> Tensor:
    """Equation 7: scores (B, K) -> rewards (B, K) in (0, 1), by the rank of a score in its column, the highest last.

    Only sentences that are `valid` (B, K) there take part; the reward of others is 0. Equal scores have equal rewards.
    `released`: the ranks are drawn, whatever the scores.
    """
    ranked = scores if rank == "sorted" else torch.rand_like(scores)
    ranks = ((ranked[:, None] >= ranked[None]) & valid[None]).sum(1)
    return (_SHARPNESS * (ranks / valid.sum(0).to(scores.dtype) - 0.5)).sigmoid().where(valid, 0.0)


def agreement(features: Tensor, goals: Tensor, horizon: int, at: Tensor | None = None) -> Tensor:
    """Features of s_0 .. s_T (B, T + 1, F), goals (B, K, F), positions (N,) -> (B, N): the cosine between where the
    goal of the block points and how far the features have come, with the token there, since the block began. It has
    the gradient of the goals. Without positions at the last token of each block: (B, K). Equations 5, 6, 8.
    """
    if at is None:
        length = features.shape[1] - 1
        at = torch.arange(horizon, length + horizon, horizon, device=features.device).clamp(max=length) - 1
    block = at // horizon
    moved, goal = features[:, at + 1] - features[:, block * horizon], goals[:, block]
    lengths = moved.norm(dim=2).clamp(min=_TINY) * goal.norm(dim=2).clamp(min=_TINY)
    return (moved * goal).sum(2) / lengths
