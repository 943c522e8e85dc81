"""RelGAN in the sizes of the synthetic task, beside the same networks and steps written plainly.

V = 5,000 words, T = 20, batches of 64, one memory of 512 numbers, 64 representations, 4 x 300 filters.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.spec import SequenceSpec
from baselines.relgan import RelGAN
from speed.textgan_pytorch import TEXTGAN, RelGANPeer, with_textgan
from speed.training import Case, Setting, Work

__all__ = ["PlainDiscriminator", "PlainMemory", "cases"]


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


def _update(module: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(module.parameters(), 5.0)
    optimizer.step()


def cases(setting: Setting) -> Iterable[Case]:
    """MLE step, sampling, adversarial steps."""
    quick = setting.quick
    spec = SequenceSpec(
        vocab_size=60 if quick else 5_000, max_len=6 if quick else 20, bos_id=0, pad_id=None, eos_id=None
    )
    b, samples, head_dim, filters = (4, 40, 8, 8) if quick else (64, 10_000, 256, 300)
    config = RelGAN.Config(batch_size=b, head_dim=head_dim, filters=filters)
    tokens = torch.randint(spec.vocab_size, (b, spec.max_len), device=setting.device)

    def generator() -> PlainMemory:
        return PlainMemory(spec, embedding_dim=32, heads=2, head_dim=head_dim).to(setting.device)

    def ours() -> RelGAN:
        return RelGAN(config, spec).to(setting.device)

    def mle_step() -> dict[str, list[Work]]:
        gan, model = ours(), generator()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        batches = itertools.repeat(tokens)

        def plain() -> None:
            _update(model, optimizer, functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten()))

        found = {"ours": [Work(lambda: gan.mle_step(batches))], "plain": [Work(plain)]}
        return with_textgan(setting, found, lambda: RelGANPeer(setting).mle())

    def sampling() -> dict[str, list[Work]]:
        gan, model = ours(), generator()
        part = min(samples, 1_000)  # as many as evaluations draw at a time
        found = {
            "ours": [Work(lambda: gan.sample(part), samples / part)],
            "plain": [Work(lambda: model.sample(b), samples / b)],
        }
        return with_textgan(setting, found, lambda: RelGANPeer(setting).sampling(samples))

    def adversarial_step(side: str) -> dict[str, list[Work]]:
        gan, model = ours(), generator()
        judge = PlainDiscriminator(spec, embedding_dim=64, filters=filters, hidden_dim=100, keep=0.75)
        judge = judge.to(setting.device)
        trained = model if side == "generator" else judge
        optimizer = torch.optim.Adam(trained.parameters(), lr=1e-4)

        def plain() -> None:
            generated = model.relaxed(b, 1.0)
            if side == "discriminator":
                generated = generated.detach()
            real = functional.one_hot(tokens, spec.vocab_size).float()
            difference = judge(generated) - judge(real)
            sign = 1 if side == "generator" else -1
            _update(trained, optimizer, -functional.logsigmoid(sign * difference).mean())

        step = gan.generator_step if side == "generator" else gan.discriminator_step
        found = {"ours": [Work(lambda: step(tokens, 1.0))], "plain": [Work(plain)]}
        return with_textgan(setting, found, lambda: RelGANPeer(setting).adversarial_step(side))

    yield Case("relgan", "MLE step", mle_step)
    yield Case("relgan", f"sampling {samples:,}", sampling)
    yield Case("relgan", "adversarial generator step", lambda: adversarial_step("generator"), {TEXTGAN: 2.5})
    yield Case("relgan", "discriminator step", lambda: adversarial_step("discriminator"), {TEXTGAN: 2.5})
