"""Expected rewards of prefixes by Monte-Carlo roll-outs, all of them in one batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from baselines.common.fast.likelihood import counted
from baselines.common.networks.lstm import Decoder, LSTMLanguageModel

__all__ = ["rollout_rewards", "rollout_scores"]

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
    position, sentence, sizes = _prefixes(tokens, last, always_full=model.spec.eos_id is None)
    if len(sentence):
        completed = _complete(model, tokens, position, sentence, sizes, n)
        rewards[sentence, position] = _scored(completed, sizes, score, score_completions).mean(0)
    return rewards


@torch.no_grad()
def rollout_scores(
    model: LSTMLanguageModel,
    tokens: Tensor,
    score: Score,
    n: int,
    score_completions: ScoreCompletions | None = None,
    *,
    noisy: bool = False,
) -> Tensor:
    """(B, T) -> (n, B, T): as `rollout_rewards`, each roll-out by itself, for rewards that compare sentences.

    From its last token on, a sentence has its own score. A score that is `noisy` is taken anew for each roll-out.
    """
    last = counted(tokens, model.spec.eos_id).sum(1) - 1
    own = score(tokens.repeat(n, 1)).view(n, -1) if noisy else score(tokens).repeat(n, 1)
    scores = own[:, :, None].repeat(1, 1, tokens.shape[1])
    position, sentence, sizes = _prefixes(tokens, last, always_full=model.spec.eos_id is None)
    if len(sentence):
        completed = _complete(model, tokens, position, sentence, sizes, n)
        scores[:, sentence, position] = _scored(completed, sizes, score, score_completions)
    return scores


def _scored(completed: Tensor, sizes: list[int], score: Score, score_completions: ScoreCompletions | None) -> Tensor:
    """Completions (n, K, T) -> (n, K)."""
    if score_completions and completed.device.type == "cpu":
        groups = completed.split(sizes, 1)
        return torch.cat([score_completions(group, s) for s, group in enumerate(groups, 1) if group.numel()], 1)
    return score(completed.flatten(0, 1)).view(completed.shape[:2])


def _prefixes(tokens: Tensor, last: Tensor, *, always_full: bool) -> tuple[Tensor, Tensor, list[int]]:
    """The K prefixes behind which a sentence goes on, shortest first: the position of the last word (K,), the sentence
    (K,), and how many there are of 1, 2, .. T - 1 words.
    """
    (b, width), device = tokens.shape, tokens.device
    positions = torch.arange(width - 1, device=device)
    if always_full:  # known without a look at the device
        return positions.repeat_interleave(b), torch.arange(b, device=device).repeat(width - 1), [b] * (width - 1)
    goes_on = positions[:, None] < last
    position, sentence = goes_on.nonzero(as_tuple=True)
    return position, sentence, goes_on.sum(1).tolist()


def _complete(
    model: LSTMLanguageModel, tokens: Tensor, position: Tensor, sentence: Tensor, sizes: list[int], n: int
) -> Tensor:
    """n completions of K prefixes -> (n, K, T). Prefix k is `tokens[sentence[k], : position[k] + 1]`."""
    decoder, spec = Decoder(model), model.spec
    (b, width), k = tokens.shape, len(sentence)
    out = tokens[sentence].repeat(n, 1)  # (n K, T); what is beyond a prefix is overwritten below
    if spec.pad_id is not None:
        out[torch.arange(width, device=tokens.device) > position.repeat(n)[:, None]] = spec.pad_id
    ids = torch.arange(n * k, device=tokens.device).view(n, k).split(sizes, 1)
    joining = sentence.split(sizes)
    read = decoder.start(b)  # the state of the sentences themselves
    rows = torch.empty(0, dtype=torch.int64, device=tokens.device)
    hidden = cell = read[0].new_empty(0, decoder.hidden_dim)
    drawn = rows
    for t in range(1, width):
        read = decoder.step(tokens[:, t - 1], *read)
        hidden, cell = decoder.step(drawn, hidden, cell)
        joined = joining[t - 1]
        first = decoder.draw(read[0][joined], n).flatten()  # n draws from one distribution
        drawn = torch.cat([decoder.draw(hidden)[0], first])
        rows = torch.cat([rows, ids[t - 1].flatten()])
        hidden = torch.cat([hidden, read[0][joined].repeat(n, 1)])
        cell = torch.cat([cell, read[1][joined].repeat(n, 1)])
        out[rows, t] = drawn
        if spec.eos_id is not None:
            going = (drawn != spec.eos_id).nonzero().squeeze(1)
            rows, drawn, hidden, cell = rows[going], drawn[going], hidden[going], cell[going]
    return out.view(n, k, width)
