"""The discriminator of the SeqGAN line: a convolutional text classifier with a highway layer."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.fast.kernels import drop_out, linear
from baselines.common.fast.windows import Completions, highest_responses
from baselines.common.networks.normalisation import BatchNorm, Norm, normalise_weights
from baselines.common.spec import SequenceSpec

__all__ = ["FILTERS", "TEXYGEN_FILTERS", "CNNClassifier"]

FILTERS = {1: 100, **dict.fromkeys(range(2, 6), 200), **dict.fromkeys(range(6, 11), 100), 15: 160, 20: 160}
"""Words per window -> filters of that window: 1,720 in all (LantaoYu/SeqGAN sequence_gan.py:26-27)."""

TEXYGEN_FILTERS = {2: 100, 3: 200}
"""The same for the smaller bank of geek-ai/Texygen (models/maligan_basic/Maligan.py:23-24)."""

_SCORED_AT_ONCE = 512


class CNNClassifier(nn.Module):
    """Real or generated, from complete sentences, padding included.

    embedding -> per window size: convolution, ReLU, maximum over time -> highway -> dropout -> two-way softmax. What
    the highway gives are the features; `norm` batch stands between them and dropout.
    Windows longer than a sentence are left out, because no position could hold them; where all are, the shortest is cut
    to a sentence. Initial values as LantaoYu/SeqGAN discriminator.py: embedding U(-1, 1), convolutions and output
    truncated N(0, 0.1^2) with bias 0.1, highway glorot-uniform, its biases too (TensorFlow's default), and no extra
    bias on the gate.
    """

    def __init__(
        self,
        spec: SequenceSpec,
        *,
        embedding_dim: int = 64,
        keep: float = 0.75,
        filters: Mapping[int, int] = FILTERS,
        norm: Norm = "none",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.drop, self.smoothing = 1 - keep, label_smoothing
        windows = {size: n for size, n in filters.items() if size <= spec.max_len}
        windows = windows or {spec.max_len: filters[min(filters)]}
        width = sum(windows.values())
        self.embedding = nn.Embedding(spec.vocab_size, embedding_dim)
        # In memory a filter is word after word, as a window of words is: a product takes both as they lie.
        banks = (torch.empty(n, size, embedding_dim).transpose(1, 2) for size, n in windows.items())
        self.filters = nn.ParameterList(banks)
        self.filter_biases = nn.ParameterList(torch.empty(n) for n in windows.values())
        self.transform = nn.Linear(width, width)
        self.gate = nn.Linear(width, width)
        self.output = nn.Linear(width, 2)
        self._initialise()
        normalise_weights(self, norm)
        self.norm = BatchNorm(width) if norm == "batch" else None

    def _initialise(self) -> None:
        nn.init.uniform_(self.embedding.weight, -1, 1)
        for weight in [*self.filters, self.output.weight]:
            nn.init.trunc_normal_(weight, std=0.1, a=-0.2, b=0.2)
        for bias in [*self.filter_biases, self.output.bias]:
            nn.init.constant_(bias, 0.1)
        for layer in (self.transform, self.gate):
            nn.init.xavier_uniform_(layer.weight)
            limit = (3 / layer.out_features) ** 0.5  # sqrt(6 / (fan_in + fan_out)), both the length of the bias
            nn.init.uniform_(layer.bias, -limit, limit)

    def forward(self, tokens: Tensor, *, dropout: bool) -> Tensor:
        """(B, T) -> (B, 2): logits of generated (0) and real (1). `dropout` is explicit: no mode to forget."""
        return self.judge(self.features(tokens), dropout=dropout)

    def features(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, F)."""
        return self.read(self.embedding(tokens))

    def read(self, words: Tensor) -> Tensor:
        """Embedded sentences (B, T, E) -> (B, F)."""
        return self._highway(highest_responses(words, self.filters))

    def _highway(self, highest: Tensor) -> Tensor:
        """Highest responses of all filters (B, F), without their biases -> (B, F)."""
        pooled = functional.relu(highest + torch.cat(list(self.filter_biases)))  # max and ReLU commute
        gate = linear(pooled, self.gate.weight, self.gate.bias).sigmoid()
        candidate = functional.relu(linear(pooled, self.transform.weight, self.transform.bias))
        return pooled.lerp(candidate, gate)

    def judge(self, features: Tensor, *, dropout: bool) -> Tensor:
        """(B, F) -> (B, 2). Where there is dropout, a batch norm is by the batch; else by its running statistics."""
        if self.norm is not None:
            features = self.norm(features, learning=dropout)
        logits: Tensor = self.output(drop_out(features, self.drop) if dropout else features)
        return logits

    def loss(self, logits: Tensor, real: Tensor, *, l2: float) -> Tensor:
        """Cross-entropy of logits (B, 2) and labels (B,), plus `l2` / 2 times the squared norm of the output layer."""
        penalty = self.output.weight.square().sum() + self.output.bias.square().sum()
        target = real
        if self.smoothing:
            share = real.to(logits.dtype) * (1 - self.smoothing)  # of the label "real"
            target = torch.stack([1 - share, share], 1)
        return functional.cross_entropy(logits, target) + l2 / 2 * penalty

    @torch.no_grad()
    def score(self, tokens: Tensor) -> Tensor:
        """(N, T) -> (N,): the probability that a sentence is real, without dropout."""
        chunks = tokens.split(_SCORED_AT_ONCE)
        return torch.cat([self(chunk, dropout=False).softmax(1)[:, 1] for chunk in chunks])

    @torch.no_grad()
    def score_completions(self, tokens: Tensor, shared: int) -> Tensor:
        """(n, K, T) -> (n, K): `score` of n completions of each of K prefixes, which are the first `shared` words.

        What a prefix adds to the windows is computed once.
        """
        completions = Completions(self.embedding(tokens[0, :, :shared]), self.filters)
        scores = []
        for chunk in tokens.split(max(1, _SCORED_AT_ONCE // tokens.shape[1])):
            highest = completions.highest(self.embedding(chunk[:, :, shared:]))
            features = self._highway(highest.flatten(0, 1))
            scores.append(self.judge(features, dropout=False).softmax(1)[:, 1].view(chunk.shape[:2]))
        return torch.cat(scores)
