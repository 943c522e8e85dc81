"""The networks and steps of the SeqGAN line as one writes them down from the equations, without a thought of speed.

What is trained and what is computed is the same as in `baselines`; tests compare them on the same weights. Nothing is
shared between prefixes, nothing is fused, and words are drawn by `torch.multinomial`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from speed.reference.update import update

__all__ = ["PlainCNN", "PlainLSTM", "discriminator_step", "mle_step", "policy_step", "rollout"]


class PlainLSTM(nn.Module):
    """Embedding, LSTM, output layer. `bos_id` is fed first; sentences have `max_len` words."""

    def __init__(self, vocab_size: int, max_len: int, bos_id: int, embedding_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.max_len, self.bos_id, self.hidden_dim = max_len, bos_id, hidden_dim
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim, batch_first=True)
        self.output = nn.Linear(hidden_dim, vocab_size)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.1)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, V): logits of each word given those before it."""
        first = torch.full((len(tokens), 1), self.bos_id, device=tokens.device)
        inputs = torch.cat([first, tokens[:, :-1]], 1)
        logits: Tensor = self.output(self.lstm(self.embedding(inputs))[0])
        return logits

    def cell(self) -> nn.LSTMCell:
        """The layer for one word at a time, with the same weights."""
        like = self.output.weight
        cell = nn.LSTMCell(self.lstm.input_size, self.hidden_dim, device=like.device, dtype=like.dtype)
        cell.load_state_dict({name.removesuffix("_l0"): value for name, value in self.lstm.state_dict().items()})
        return cell

    @torch.no_grad()
    def complete(self, tokens: Tensor, given: int) -> Tensor:
        """(B, T) -> (B, T): the first `given` words are kept, the others are drawn."""
        cell, tokens = self.cell(), tokens.clone()
        hidden = state = self.output.weight.new_zeros(len(tokens), self.hidden_dim)
        word = torch.full((len(tokens),), self.bos_id, device=tokens.device)
        for position in range(self.max_len):
            hidden, state = cell(self.embedding(word), (hidden, state))
            if position >= given:
                p = self.output(hidden).softmax(1)
                tokens[:, position] = torch.multinomial(p, 1).squeeze(1)
            word = tokens[:, position]
        return tokens

    def sample(self, n: int) -> Tensor:
        """(n, T)."""
        device = self.output.weight.device
        return self.complete(torch.zeros(n, self.max_len, dtype=torch.int64, device=device), 0)


class PlainCNN(nn.Module):
    """Embedding, a convolution per window size over (words, numbers of a word), maximum, highway, dropout, output."""

    def __init__(
        self, vocab_size: int, max_len: int, embedding_dim: int, keep: float, filters: Mapping[int, int]
    ) -> None:
        super().__init__()
        windows = {size: n for size, n in filters.items() if size <= max_len}
        width = sum(windows.values())
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.convolutions = nn.ModuleList(nn.Conv2d(1, n, (size, embedding_dim)) for size, n in windows.items())
        self.transform = nn.Linear(width, width)
        self.gate = nn.Linear(width, width)
        self.dropout = nn.Dropout(1 - keep)
        self.output = nn.Linear(width, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, 2)."""
        image = self.embedding(tokens)[:, None]  # (B, 1, T, E)
        maps = [functional.relu(convolution(image)).squeeze(3) for convolution in self.convolutions]
        features = torch.cat([functional.max_pool1d(m, m.shape[2]).squeeze(2) for m in maps], 1)
        gate = torch.sigmoid(self.gate(features))
        mixed = gate * functional.relu(self.transform(features)) + (1 - gate) * features
        logits: Tensor = self.output(self.dropout(mixed))
        return logits


def mle_step(model: PlainLSTM, optimizer: torch.optim.Optimizer, tokens: Tensor, clip: float) -> None:
    """Cross-entropy of a batch of real sentences."""
    update(optimizer, functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten()), clip)


def discriminator_step(
    model: PlainCNN, optimizer: torch.optim.Optimizer, tokens: Tensor, real: Tensor, l2: float
) -> None:
    """Cross-entropy of labels, and the penalty on the output layer."""
    penalty = model.output.weight.square().sum() + model.output.bias.square().sum()
    update(optimizer, functional.cross_entropy(model(tokens), real) + l2 / 2 * penalty)


@torch.no_grad()
def rollout(model: PlainLSTM, score: Callable[[Tensor], Tensor], tokens: Tensor, n: int) -> Tensor:
    """(B, T) -> (B, T): for each prefix the mean score of n completions, each prefix completed on its own."""
    rewards = torch.zeros(tokens.shape, device=tokens.device)
    for _ in range(n):
        for given in range(1, model.max_len):
            rewards[:, given - 1] += score(model.complete(tokens, given)) / n
    rewards[:, -1] = score(tokens)
    return rewards


def policy_step(
    model: PlainLSTM, optimizer: torch.optim.Optimizer, tokens: Tensor, rewards: Tensor, clip: float
) -> None:
    """-sum of rewards (B, T) times log-likelihoods of the tokens (B, T)."""
    log_p = model(tokens).log_softmax(2).gather(2, tokens[:, :, None]).squeeze(2)
    update(optimizer, -(log_p * rewards).sum(), clip)
