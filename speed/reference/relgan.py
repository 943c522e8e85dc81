"""RelGAN's networks and steps written plainly."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from baselines.common.spec import SequenceSpec
from speed.reference.update import update

__all__ = ["PlainDiscriminator", "PlainMemory", "adversarial_step", "mle_step"]


class PlainMemory(nn.Module):
    """A relational memory of one slot as a language model, one word at a time."""

    def __init__(self, spec: SequenceSpec, *, embedding_dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        size = heads * head_dim
        self.max_len, self.bos_id, self.heads, self.head_dim, self.size = (
            spec.max_len,
            spec.bos_id,
            heads,
            head_dim,
            size,
        )
        self.embedding = nn.Embedding(spec.vocab_size, embedding_dim)
        self.input = nn.Linear(embedding_dim, size)
        self.qkv = nn.Linear(size, 3 * size, bias=False)
        self.mlp = nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, size))
        self.gains = nn.ParameterList(torch.ones(n) for n in (3 * size, size, size))
        self.shifts = nn.ParameterList(torch.zeros(n) for n in (3 * size, size, size))
        self.input_gates = nn.Linear(size, 2 * size, bias=False)
        self.memory_gates = nn.Linear(size, 2 * size, bias=False)
        self.output = nn.Linear(size, spec.vocab_size)

    def norm(self, rows: Tensor, k: int) -> Tensor:
        """The k-th norm, over all rows and numbers of a sentence."""
        mean, variance = rows.mean((1, 2), keepdim=True), rows.var((1, 2), correction=0, keepdim=True)
        return (rows - mean) / (variance + 1e-12).sqrt() * self.gains[k] + self.shifts[k]

    def step(self, word: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Words (B,), memory (B, 1, M) -> logits (B, V), memory."""
        row = self.input(self.embedding(word))[:, None]
        rows = torch.cat([memory, row], 1)
        qkv = self.norm(self.qkv(rows), 0).view(len(word), 2, self.heads, 3 * self.head_dim).transpose(1, 2)
        query, key, value = qkv.split(self.head_dim, 3)
        weights = (query @ key.transpose(2, 3) / (3 * self.head_dim) ** 0.5).softmax(3)
        rows = self.norm(rows + (weights @ value).transpose(1, 2).flatten(2), 1)
        rows = self.norm(rows + self.mlp(rows), 2)
        admit, keep = (self.input_gates(row) + self.memory_gates(memory.tanh())).chunk(2, 2)
        memory = admit.sigmoid() * rows[:, :1].tanh() + (keep + 1).sigmoid() * memory
        return self.output(memory.squeeze(1)), memory

    def start(self, n: int) -> tuple[Tensor, Tensor]:
        """Start tokens (n,) and memories (n, 1, M)."""
        like = self.output.weight
        memory = torch.eye(1, self.size, device=like.device, dtype=like.dtype).repeat(n, 1, 1)
        return torch.full((n,), self.bos_id, device=like.device), memory

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, V): logits of each word given those before it."""
        word, memory = self.start(len(tokens))
        out = []
        for position in range(self.max_len):
            logits, memory = self.step(word, memory)
            out.append(logits)
            word = tokens[:, position]
        return torch.stack(out, 1)

    def relaxed(self, n: int, beta: float) -> Tensor:
        """(n, T, V)."""
        word, memory = self.start(n)
        out = []
        for _ in range(self.max_len):
            logits, memory = self.step(word, memory)
            noisy = logits - (-torch.rand_like(logits).clamp(min=1e-30).log()).log()
            out.append((beta * noisy).softmax(1))
            word = noisy.argmax(1)
        return torch.stack(out, 1)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """(n, T)."""
        word, memory = self.start(n)
        out = []
        for _ in range(self.max_len):
            logits, memory = self.step(word, memory)
            word = torch.multinomial(logits.softmax(1), 1).squeeze(1)
            out.append(word)
        return torch.stack(out, 1)


class PlainDiscriminator(nn.Module):
    """Words as distributions (B, T, V) -> logits (B, R)."""

    def __init__(self, spec: SequenceSpec, *, embedding_dim: int, filters: int, hidden_dim: int, keep: float) -> None:
        super().__init__()
        width = 4 * filters
        self.embedding = nn.Parameter(torch.randn(spec.vocab_size, embedding_dim) / spec.vocab_size**0.5)
        self.convolutions = nn.ModuleList(nn.Conv2d(1, filters, (size, 1)) for size in (2, 3, 4, 5))
        self.transform, self.gate = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.dropout = nn.Dropout(1 - keep)
        self.summary, self.output = nn.Linear(width, hidden_dim), nn.Linear(hidden_dim, 1)

    def forward(self, words: Tensor) -> Tensor:
        """(B, T, V) -> (B, R): each number of an embedding is a representation."""
        image = (words @ self.embedding)[:, None]  # (B, 1, T, R)
        maps = [functional.relu(convolution(image)).amax(2) for convolution in self.convolutions]  # (B, n, R)
        features = torch.cat(maps, 1).transpose(1, 2)
        gate = torch.sigmoid(self.gate(features))
        mixed = gate * functional.relu(self.transform(features)) + (1 - gate) * features
        logits: Tensor = self.output(self.summary(self.dropout(mixed)))
        return logits.squeeze(2)


def mle_step(model: PlainMemory, optimizer: Optimizer, tokens: Tensor) -> None:
    """Cross-entropy of a batch of real sentences."""
    update(optimizer, functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten()), 5.0)


def adversarial_step(
    side: str, model: PlainMemory, judge: PlainDiscriminator, optimizer: Optimizer, tokens: Tensor
) -> None:
    """A step of the "generator" or the "discriminator", whose parameters the optimiser has; tokens (B, T) are real."""
    real = functional.one_hot(tokens, model.output.out_features).float()
    generated = model.relaxed(len(tokens), 1.0)
    if side == "discriminator":
        generated = generated.detach()
    sign = 1 if side == "generator" else -1
    update(optimizer, -functional.logsigmoid(sign * (judge(generated) - judge(real))).mean(), 5.0)
