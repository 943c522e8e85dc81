"""A sentence as a style and a content, one vector each, and written anew from both; a critic of how it was written."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.fast.likelihood import counted, finished
from baselines.common.networks.gumbel import gumbel_softmax
from baselines.common.networks.layers import without_labels
from baselines.common.spec import LabelledSpec

__all__ = ["StateCritic", "StyleAutoencoder"]

_WINDOWS = (1, 2, 3, 4, 5)


class StyleAutoencoder(nn.Module):
    """Two GRUs: one reads a sentence from its end to a content (B, Z), one writes from a class and a content.

    The state of both, of width H = S + Z, begins as the vector of a class (S) beside a content, which is 0 for the
    reader; what it keeps behind the first S numbers is the content. Dropout, of training alone, is on words read and
    on outputs.
    """

    def __init__(
        self, spec: LabelledSpec, *, embedding_dim: int, style_dim: int, content_dim: int, dropout: float
    ) -> None:
        super().__init__()
        self.spec, self.dropout = spec, dropout
        self.embedding = nn.Embedding(spec.vocab_size, embedding_dim)
        self.read_style = nn.Embedding(len(spec.classes), style_dim)
        self.write_style = nn.Embedding(len(spec.classes), style_dim)
        self.reader = nn.GRU(embedding_dim, style_dim + content_dim, batch_first=True)
        self.writer = nn.GRU(embedding_dim, style_dim + content_dim, batch_first=True)
        self.output = nn.Linear(style_dim + content_dim, spec.vocab_size)

    def content(self, words: Tensor, classes: Tensor, *, dropout: float = 0.0) -> Tensor:
        """Words (B, L), what follows the end included, and their classes (B,), from 0 -> (B, Z)."""
        style = self.read_style(classes)
        begin = functional.pad(style, (0, self.reader.hidden_size - style.shape[1]))
        read = functional.dropout(self.embedding(words.flip(1)), dropout)
        last: Tensor = self.reader(read, begin[None])[1][0]
        return last[:, style.shape[1] :]

    def begin(self, content: Tensor, classes: Tensor) -> Tensor:
        """(B, Z) and classes (B,) -> (B, H), the state before the first word."""
        return torch.cat([self.write_style(classes), content], 1)

    def told(self, begin: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Words (B, L) by teacher forcing, with dropout -> states (B, L + 1, H), 0 behind the end; logits (B, L, V)."""
        start = torch.full_like(words[:, :1], self.spec.bos_id)
        read = self.embedding(torch.cat([start, words], 1)[:, : words.shape[1]])
        hidden = self.writer(functional.dropout(read, self.dropout), begin[None])[0]
        logits = self._logits(functional.dropout(hidden, self.dropout))
        return self._inside(torch.cat([begin[:, None], hidden], 1), words), logits

    def free(self, begin: Tensor, beta: float) -> Tensor:
        """Written by itself, with dropout, each word relaxed -> states as of `told`; all of it lets a gradient pass."""
        state, states, drawn = begin, [begin], []
        read = self.embedding(torch.full_like(begin[:, 0], self.spec.bos_id, dtype=torch.int64))
        for _ in range(self.spec.max_len - 1):
            state = self._step(functional.dropout(read, self.dropout), state)
            soft, words = gumbel_softmax(self._logits(functional.dropout(state, self.dropout)), beta)
            read = soft @ self.embedding.weight
            states.append(state)
            drawn.append(words)
        return self._inside(torch.stack(states, 1), torch.stack(drawn, 1))

    def answer(self, begin: Tensor, labels: Tensor) -> Tensor:
        """(B, H) and ids of the labels (B,) -> (B, T) int64: the likeliest word at each place, never a label."""
        state, rows = begin, [labels]
        words = torch.full_like(labels, self.spec.bos_id)
        for _ in range(self.spec.max_len - 1):
            state = self._step(self.embedding(words), state)
            words = self._logits(state).argmax(1)
            rows.append(words)
        return finished(torch.stack(rows, 1), self.spec)

    def nll(self, logits: Tensor, words: Tensor) -> Tensor:
        """-(1 / B) sum_{b,t} log p(x_{b,t}) of words (B, L)."""
        costs = functional.cross_entropy(logits.transpose(1, 2), words, reduction="none")
        return (costs * counted(words, self.spec.eos_id)).sum() / len(words)

    def _step(self, read: Tensor, state: Tensor) -> Tensor:
        """One step of the writer, (B, E) and (B, H) -> (B, H)."""
        w_read, w_state, b_read, b_state = self.writer.all_weights[0]
        return torch.gru_cell(read, state, w_read, w_state, b_read, b_state)

    def _logits(self, hidden: Tensor) -> Tensor:
        return without_labels(self.output(hidden), self.spec)

    def _inside(self, states: Tensor, words: Tensor) -> Tensor:
        """The states up to the one that wrote the end."""
        return states * functional.pad(counted(words, self.spec.eos_id), (1, 0), value=True)[..., None]


class StateCritic(nn.Module):
    """Sequences of states (B, L, H) -> logits (B, K): how like a real sentence of each class; nothing is shared by two.

    For each class convolutions over 1 to 5 states, leaky ReLU, maximum over time, dropout, linear.
    """

    def __init__(self, spec: LabelledSpec, *, hidden_dim: int, filters: int, dropout: float) -> None:
        super().__init__()
        self.classes, self.dropout = len(spec.classes), dropout
        windows = [size for size in _WINDOWS if size <= spec.max_len]
        self.windows = nn.ModuleList(nn.Conv1d(hidden_dim, self.classes * filters, size) for size in windows)
        self.output = nn.ModuleList(nn.Linear(len(windows) * filters, 1) for _ in range(self.classes))

    def forward(self, states: Tensor) -> Tensor:
        """(B, L, H) -> (B, K)."""
        maxima = [functional.leaky_relu(window(states.transpose(1, 2))).amax(2) for window in self.windows]
        of_class = torch.stack([x.unflatten(1, (self.classes, -1)) for x in maxima], 3).flatten(2)
        of_class = functional.dropout(of_class, self.dropout)
        return torch.cat([output(of_class[:, k]) for k, output in enumerate(self.output)], 1)
