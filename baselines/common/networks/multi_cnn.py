"""RelGAN's discriminator: one convolutional critic that reads a sentence in many embeddings, and judges it in each."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.fast.kernels import applied, drop_out, linear
from baselines.common.fast.windows import highest_responses
from baselines.common.networks.layers import fan_in_linear, fan_in_normal_
from baselines.common.networks.normalisation import BatchNorm, Norm, normalise_weights
from baselines.common.spec import SequenceSpec

__all__ = ["MultiRepresentationCNN"]

_WINDOWS = (2, 3, 4, 5)


class MultiRepresentationCNN(nn.Module):
    """Sentences, as embedded words (B, T, E) -> logits (B, R): one per representation, all with the same weights.

    The E numbers of a word are R representations of S = E / R numbers. Each: per window of 2 to 5 words convolution,
    ReLU, maximum over time -> highway -> dropout -> linear -> linear. Windows longer than a sentence are cut to it.
    What the highway gives are the features; `norm` batch stands between them and dropout.
    Initial values as weilinie/RelGAN models/rmc_vanilla.py:96-143 and utils/ops.py: truncated normal with variance
    1 / inputs, 2 / inputs for convolutions; biases 0; the highway has none.
    """

    def __init__(
        self,
        spec: SequenceSpec,
        *,
        embedding_dim: int = 64,
        representations: int = 64,
        filters: int = 300,
        hidden_dim: int = 100,
        keep: float = 0.75,
        norm: Norm = "none",
    ) -> None:
        super().__init__()
        if embedding_dim % representations:
            raise ValueError(f"{representations} representations must divide the embedding of {embedding_dim} numbers")
        self.representations, self.drop = representations, 1 - keep
        self.stride = embedding_dim // representations
        windows = sorted({min(size, spec.max_len) for size in _WINDOWS})
        width = filters * len(windows)
        self.embedding = nn.Embedding(spec.vocab_size, embedding_dim)
        self.filters = nn.ParameterList(torch.empty(filters, size * self.stride) for size in windows)
        self.filter_bias = nn.Parameter(torch.zeros(width))
        self.transform = fan_in_linear(width, width, bias=False)
        self.gate = fan_in_linear(width, width, bias=False)
        self.summary = fan_in_linear(width, hidden_dim)
        self.output = fan_in_linear(hidden_dim, 1)
        fan_in_normal_(self.embedding.weight, spec.vocab_size)
        for weight in self.filters:
            fan_in_normal_(weight, weight.shape[1], gain=2.0)
        normalise_weights(self, norm)
        self.norm = BatchNorm(width) if norm == "batch" else None

    def fix_level(self) -> None:
        """Keep the biases behind the last nonlinearity at 0: under a loss of differences they cancel.

        What is left of their gradient is rounding, which Adam would blow up to full steps.
        """
        for layer in (self.summary, self.output):
            layer.bias.requires_grad_(False)

    def embed(self, tokens: Tensor) -> Tensor:
        """Words (B, T) int64 -> (B, T, E): rows of the matrix that `embed_relaxed` multiplies with."""
        words: Tensor = self.embedding(tokens)
        return words

    def embed_relaxed(self, words: Tensor) -> Tensor:
        """Relaxed or one-hot words (B, T, V) -> (B, T, E)."""
        return linear(words.flatten(0, 1), self.embedding.weight.t()).view(*words.shape[:2], -1)

    def forward(self, words: Tensor, *, dropout: bool) -> Tensor:
        """(B, T, E) -> (B, R). `dropout` is explicit: no mode to forget."""
        return self._judge(self._normed(self.features(words), learning=dropout), dropout=dropout)

    def features(self, words: Tensor) -> Tensor:
        """(B, T, E) -> (B, R, F)."""
        rows = words.unflatten(2, (self.representations, -1)).transpose(1, 2).flatten(0, 1)  # (B R, T, S)
        banks = [weight.unflatten(1, (-1, self.stride)).transpose(1, 2) for weight in self.filters]
        maxima = highest_responses(rows, banks)  # (B R, F)
        features = functional.relu(maxima + self.filter_bias)  # relu(max) = max(relu), on far fewer numbers
        gate = applied(self.gate, features).sigmoid()
        mixed = torch.lerp(features, functional.relu(applied(self.transform, features)), gate)
        return mixed.view(len(words), self.representations, -1)

    def compare(self, real: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, R, F) of either kind -> their logits (B, R), dropout on; to a batch norm they are one batch."""
        real, generated = self._normed(torch.cat([real, generated]), learning=True).chunk(2)
        return self._judge(real, dropout=True), self._judge(generated, dropout=True)

    def _normed(self, features: Tensor, *, learning: bool) -> Tensor:
        if self.norm is None:
            return features
        return self.norm(features.flatten(0, 1), learning=learning).view_as(features)

    def _judge(self, features: Tensor, *, dropout: bool) -> Tensor:
        summary = applied(self.summary, drop_out(features, self.drop) if dropout else features)
        logits: Tensor = self.output(summary)
        return logits.squeeze(2)
