"""A pre-norm Transformer with learned positions: causal, with a cache of what was read, or seeing every position."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.fast.kernels import applied, drop_out
from baselines.common.fast.likelihood import log_likelihood, weighted_nll
from baselines.common.spec import SequenceSpec

__all__ = ["Transformer"]

_STD = 0.02


class _Block(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)). Queries, keys and values have no bias."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.feed_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.read = nn.Linear(dim, 3 * dim, bias=False)
        self.write = nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def queries_keys_values(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, E) -> three of (B, heads, T, E / heads)."""
        read = applied(self.read, self.attention_norm(x)).unflatten(2, (3, self.heads, -1))
        queries, keys, values = read.permute(2, 0, 3, 1, 4)
        return queries, keys, values

    def after(self, x: Tensor, mixed: Tensor, dropout: float) -> Tensor:
        """x (B, T, E) and what attention read (B, heads, T, E / heads) -> the block's output (B, T, E)."""
        x = x + drop_out(applied(self.write, mixed.transpose(1, 2).flatten(2)), dropout)
        return x + drop_out(applied(self.down, functional.gelu(applied(self.up, self.feed_norm(x)))), dropout)


class Transformer(nn.Module):
    """From ids to logits of the V words, (W h_t + b)[w]; the words' vectors W are those that are read.

    Pre-norm (Xiong et al. 2020, https://arxiv.org/abs/2002.04745), positions learned, GELU. Initial values are those
    of GPT-2: N(0, .02^2), what is added to the residual stream divided by sqrt(2 layers), biases 0.
    """

    def __init__(
        self, spec: SequenceSpec, *, dim: int, layers: int, heads: int, causal: bool, dropout: float, extra: int = 0
    ) -> None:
        """`extra`: ids after the V words that can be read and are never predicted. Dropout is for training alone."""
        super().__init__()
        if dim % heads:
            raise ValueError(f"dim must be a multiple of heads, got dim={dim} and heads={heads}")
        self.spec, self.causal, self.dropout = spec, causal, dropout
        self.embedding = nn.Embedding(spec.vocab_size + extra, dim)
        self.positions = nn.Parameter(torch.empty(spec.max_len, dim))
        self.blocks = nn.ModuleList(_Block(dim, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self.bias = nn.Parameter(torch.zeros(spec.vocab_size))
        nn.init.normal_(self.embedding.weight, std=_STD)
        nn.init.normal_(self.positions, std=_STD)
        for block in self._blocks():
            for layer in (block.read, block.write, block.up, block.down):
                residual = layer in (block.write, block.down)
                nn.init.normal_(layer.weight, std=_STD / (2 * layers) ** 0.5 if residual else _STD)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def _blocks(self) -> list[_Block]:
        return [block for block in self.blocks if isinstance(block, _Block)]

    @property
    def weight(self) -> Tensor:
        """W (V, E)."""
        return self.embedding.weight[: self.spec.vocab_size]

    def hidden(self, read: Tensor, *, dropout: bool = False) -> Tensor:
        """(B, T) ids -> (B, T, E): h_t, from all positions, or where `causal` from those up to t."""
        p = self.dropout if dropout else 0.0
        x = drop_out(self.embedding(read) + self.positions[: read.shape[1]], p)
        for block in self._blocks():
            queries, keys, values = block.queries_keys_values(x)
            mixed = functional.scaled_dot_product_attention(queries, keys, values, is_causal=self.causal)
            x = block.after(x, mixed, p)
        hidden: Tensor = self.norm(x)
        return hidden

    def empty_cache(self, n: int) -> Tensor:
        """(n, layers, 2, heads, T, E / heads): room for the keys and values of n sentences."""
        blocks, (length, dim) = self._blocks(), self.positions.shape
        heads = blocks[0].heads if blocks else 1
        return self.positions.new_empty(n, len(blocks), 2, heads, length, dim // heads)

    @torch.no_grad()
    def step(self, words: Tensor, position: int, cache: Tensor) -> Tensor:
        """Read one more word (N,) of N sentences -> its h (N, E); its keys and values are written into the cache."""
        x = (self.embedding(words) + self.positions[position])[:, None]
        for number, block in enumerate(self._blocks()):
            queries, keys, values = block.queries_keys_values(x)
            cache[:, number, 0, :, position] = keys[:, :, 0]
            cache[:, number, 1, :, position] = values[:, :, 0]
            keys, values = cache[:, number, :, :, : position + 1].unbind(1)
            x = block.after(x, functional.scaled_dot_product_attention(queries, keys, values), 0.0)
        hidden: Tensor = self.norm(x)[:, 0]
        return hidden

    def weighted_nll(self, read: Tensor, words: Tensor, weights: Tensor) -> Tensor:
        """Ids that are read, words and weights (B, T) -> -sum weights log p(word), a scalar with gradient; dropout."""
        hidden = self.hidden(read, dropout=True).flatten(0, 1)
        return weighted_nll(hidden, self.weight, self.bias, words.flatten(), weights.flatten().to(hidden.dtype))

    @torch.no_grad()
    def log_prob(self, hidden: Tensor, words: Tensor, *, temperature: float = 1.0) -> Tensor:
        """h (N, E) and words (N,) -> (N,): log p(word), nats."""
        return log_likelihood(hidden / temperature, self.weight, self.bias / temperature, words)
