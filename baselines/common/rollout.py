"""Expected rewards of prefixes by Monte-Carlo roll-outs, all of them in one batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from baselines.common.likelihood import counted
from baselines.common.lstm import Decoder, LSTMLanguageModel

__all__ = ["rollout_rewards"]

Score = Callable[[Tensor], Tensor]
"""(N, T) -> (N,): the reward of complete sentences."""
ScoreCompletions = Callable[[Tensor, int], Tensor]
"""(n, K, T), s -> (n, K): the same of n completions of K prefixes, which are the first s words."""


@torch.no_grad()
def rollout_rewards(
    model: LSTMLanguageModel,
    tokens: Tensor,
    score: Score,
    n: int,
    score_completions: ScoreCompletions | None = None,
) -> Tensor:
    """(B, T) -> (B, T): the reward of each token, 0 after the end of its sentence.

    Token t is rewarded by the mean score of n completions of the prefix x_1..x_t that the model draws itself; the
    last token of a sentence (its end token, or position T) by the score of the sentence. The sentences are read
    once; at each position the completions of one more prefix join the batch, so T - 1 steps do the work of n T (T-1)
    / 2. Prefixes of a sentence that has ended are not rolled out, and completions leave the batch where they end.
    On a CPU `score_completions` may save what completions of one prefix have in common; elsewhere one large batch is
    faster than many small ones.
    """
    last = counted(tokens, model.spec.eos_id).sum(1) - 1  # (B,)
    rewards = torch.zeros(tokens.shape, device=tokens.device)
    rewards.scatter_(1, last[:, None], score(tokens)[:, None])
    position, sentence = (torch.arange(tokens.shape[1], device=tokens.device)[:, None] < last).nonzero(as_tuple=True)
    if len(sentence):
        completed = _complete(model, tokens, position, sentence, n)  # (n, K, T)
        if score_completions and tokens.device.type == "cpu":
            groups = completed.split(position.bincount().tolist(), 1)  # by the length of the prefix
            scores = torch.cat([score_completions(group, s) for s, group in enumerate(groups, 1) if group.numel()], 1)
        else:
            scores = score(completed.flatten(0, 1)).view(n, -1)
        rewards[sentence, position] = scores.mean(0)
    return rewards


def _complete(model: LSTMLanguageModel, tokens: Tensor, position: Tensor, sentence: Tensor, n: int) -> Tensor:
    """n completions of K prefixes -> (n, K, T). Prefix k is `tokens[sentence[k], : position[k] + 1]`.

    Prefixes are sorted by length, shortest first.
    """
    decoder, spec = Decoder(model), model.spec
    (b, width), k = tokens.shape, len(sentence)
    out = tokens[sentence].repeat(n, 1)  # (n K, T); what is beyond a prefix is overwritten below
    if spec.pad_id is not None:
        out[torch.arange(width, device=tokens.device) > position.repeat(n)[:, None]] = spec.pad_id
    ids = torch.arange(n * k, device=tokens.device).view(n, k)
    read = decoder.start(b)  # the state of the sentences themselves
    rows = torch.empty(0, dtype=torch.int64, device=tokens.device)
    hidden = cell = read[0].new_empty(0, decoder.hidden_dim)
    drawn = rows
    for t in range(1, width):
        read = decoder.step(tokens[:, t - 1], *read)
        hidden, cell = decoder.step(drawn, hidden, cell)
        new = (position == t - 1).nonzero().squeeze(1)
        joined = sentence[new]
        first = decoder.draw(read[0][joined], n).flatten()  # n draws from one distribution
        drawn = torch.cat([decoder.draw(hidden)[0], first])
        rows = torch.cat([rows, ids[:, new].flatten()])
        hidden = torch.cat([hidden, read[0][joined].repeat(n, 1)])
        cell = torch.cat([cell, read[1][joined].repeat(n, 1)])
        out[rows, t] = drawn
        if spec.eos_id is not None:
            going = drawn != spec.eos_id
            rows, drawn, hidden, cell = rows[going], drawn[going], hidden[going], cell[going]
    return out.view(n, k, width)
