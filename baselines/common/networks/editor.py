"""A network that rewrites a sentence word by word, and a critic of sentences with an output for each class."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.fast.likelihood import counted, finished
from baselines.common.networks.gumbel import gumbel_softmax
from baselines.common.networks.layers import without_labels
from baselines.common.spec import LabelledSpec

__all__ = ["ClassCritic", "Editor"]

_WINDOWS = (1, 2, 3, 4, 5)


class Editor(nn.Module):
    """Sentences (B, T) and the class wanted -> logits (B, T, V) of what stands at each place of the answer.

    A bidirectional LSTM reads the whole sentence, its label included, with the vector of the class wanted at each
    place; so what it writes at one place depends on all words, and not on what it writes at the others. An answer has
    at most T words, as every sentence of the task.
    """

    def __init__(self, spec: LabelledSpec, *, embedding_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.spec = spec
        self.embedding = nn.Embedding(spec.vocab_size, embedding_dim)
        self.wanted = nn.Embedding(len(spec.classes), embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * hidden_dim + 2 * embedding_dim, spec.vocab_size)

    def forward(self, words: Tensor, classes: Tensor) -> Tensor:
        """Words, (B, T) int64 or relaxed (B, T, V), and classes (B,) from 0 -> (B, T, V)."""
        read = words @ self.embedding.weight if words.is_floating_point() else self.embedding(words)
        wanted = self.wanted(classes)[:, None].expand_as(read)
        hidden = self.lstm(read + wanted)[0]
        logits: Tensor = self.output(torch.cat([hidden, read, wanted], 2))
        return logits

    def answer(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(B, T, V) and ids of the labels (B,) -> (B, T) int64: the likeliest word at each place, never a label."""
        words = self.writable(logits).argmax(2)
        return finished(torch.cat([labels[:, None], words], 1), self.spec)

    def relaxed(self, logits: Tensor, labels: Tensor, beta: float) -> Tensor:
        """(B, T, V) -> (B, T, V): one-hot words drawn from the logits, with the gradient of the relaxed ones.

        What follows the first end token is padding, as in real sentences, and has no gradient.
        """
        soft, words = gumbel_softmax(self.writable(logits), beta)
        hard = functional.one_hot(words, self.spec.vocab_size).to(soft.dtype)
        drawn = torch.cat(
            [functional.one_hot(labels, self.spec.vocab_size).to(soft.dtype)[:, None], hard + (soft - soft.detach())], 1
        )
        rows = torch.cat([labels[:, None], words], 1)
        inside = counted(rows, self.spec.eos_id)[..., None]
        padding = functional.one_hot(finished(rows, self.spec), self.spec.vocab_size).to(soft.dtype)
        return torch.where(inside, drawn, padding)

    def writable(self, logits: Tensor) -> Tensor:
        """(B, T, V) -> (B, T - 1, V) without the place of the label; a label is no word of an answer."""
        return without_labels(logits[:, 1:], self.spec)

    def nll(self, logits: Tensor, tokens: Tensor) -> Tensor:
        """-(1 / number of tokens) sum_{b,t} log p(x_{b,t}) of sentences (B, T), their labels left out."""
        inside = counted(tokens, self.spec.eos_id)[:, 1:]
        costs = functional.cross_entropy(logits[:, 1:].transpose(1, 2), tokens[:, 1:], reduction="none")
        return (costs * inside).sum() / inside.sum()


class ClassCritic(nn.Module):
    """Sentences -> logits (B, K): how real each is as a sentence of each class, whatever label stands before it.

    Convolutions over windows of 1 to 5 words, ReLU, maximum over time, linear.
    """

    def __init__(self, spec: LabelledSpec, *, embedding_dim: int, filters: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(spec.vocab_size, embedding_dim)
        self.windows = nn.ModuleList(
            nn.Conv1d(embedding_dim, filters, size, padding=size - 1) for size in _WINDOWS if size < spec.max_len
        )
        self.output = nn.Linear(filters * len(self.windows), len(spec.classes))

    def forward(self, words: Tensor) -> Tensor:
        """(B, T) int64 or relaxed (B, T, V) -> (B, K); the label, the first word, is not read."""
        words = words[:, 1:]
        read = words @ self.embedding.weight if words.is_floating_point() else self.embedding(words)
        maxima = [functional.relu(window(read.transpose(1, 2))).amax(2) for window in self.windows]
        logits: Tensor = self.output(torch.cat(maxima, 1))
        return logits
