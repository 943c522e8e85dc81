"""The discriminator of the SeqGAN line: a convolutional text classifier with a highway layer; its features alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.fast.kernels import drop_out, linear
from baselines.common.fast.windows import Completions, highest_responses
from baselines.common.networks.normalisation import BatchNorm, Norm, normalise_weights
from baselines.common.spec import SequenceSpec

__all__ = ["FILTERS", "SCORED_AT_ONCE", "TEXYGEN_FILTERS", "CNNClassifier", "CNNFeatures", "highway"]

FILTERS = {1: 100, **dict.fromkeys(range(2, 6), 200), **dict.fromkeys(range(6, 11), 100), 15: 160, 20: 160}
"""Words per window -> filters of that window: 1,720 in all (LantaoYu/SeqGAN sequence_gan.py:26-27)."""

TEXYGEN_FILTERS = {2: 100, 3: 200}
"""The same for the smaller bank of geek-ai/Texygen (models/maligan_basic/Maligan.py:23-24)."""

SCORED_AT_ONCE = 512
"""Sentences whose features are in memory together."""


def highway(x: Tensor, transform: nn.Linear, gate: nn.Linear) -> Tensor:
    """(B, F) -> (B, F): of each feature the share that the gate says is replaced by a layer of all of them."""
    candidate = functional.relu(linear(x, transform.weight, transform.bias))
    return x.lerp(candidate, linear(x, gate.weight, gate.bias).sigmoid())


class CNNFeatures(nn.Module):
    """embedding -> per window size: convolution, ReLU, maximum over time -> highway: features of complete sentences.

    Padding is read as words are. Windows longer than a sentence are left out, because no position could hold them;
    where all are, the shortest is cut to a sentence. Initial values are those of the networks that extend it.
    """

    def __init__(
        self, spec: SequenceSpec, *, embedding_dim: int, filters: Mapping[int, int], highway_biases: bool = True
    ) -> None:
        super().__init__()
        windows = {size: n for size, n in filters.items() if size <= spec.max_len}
        windows = windows or {spec.max_len: filters[min(filters)]}
        width = sum(windows.values())
        self.embedding = nn.Embedding(spec.vocab_size, embedding_dim)
        # In memory a filter is word after word, as a window of words is: a product takes both as they lie.
        banks = (torch.empty(n, size, embedding_dim).transpose(1, 2) for size, n in windows.items())
        self.filters = nn.ParameterList(banks)
        self.filter_biases = nn.ParameterList(torch.empty(n) for n in windows.values())
        self.transform = nn.Linear(width, width, bias=highway_biases)
        self.gate = nn.Linear(width, width, bias=highway_biases)

    def _initialise_highway(self, *more: nn.Linear) -> None:
        """Glorot-uniform, biases too: what TensorFlow gives to variables that say nothing of their initial values."""
        for layer in (self.transform, self.gate, *more):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                limit = (3 / layer.out_features) ** 0.5  # sqrt(6 / (fan_in + fan_out)), both the length of the bias
                nn.init.uniform_(layer.bias, -limit, limit)

    def features(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, F)."""
        return self.read(self.embedding(tokens))

    def read(self, words: Tensor) -> Tensor:
        """Embedded sentences (B, T, E) -> (B, F)."""
        return self._highway(highest_responses(words, self.filters))

    def _highway(self, highest: Tensor) -> Tensor:
        """Highest responses of all filters (B, F), without their biases -> (B, F)."""
        return highway(self._pooled(highest), self.transform, self.gate)

    def _pooled(self, highest: Tensor) -> Tensor:
        return functional.relu(highest + torch.cat(list(self.filter_biases)))  # max and ReLU commute

    @torch.no_grad()
    def of_completions(self, tokens: Tensor, shared: int) -> Iterator[Tensor]:
        """(n, K, T) -> features (n' K, F) of n' completions after the others, of K prefixes: the first `shared` words.

        What a prefix adds to the windows is computed once.
        """
        completions = Completions(self.embedding(tokens[0, :, :shared]), self.filters)
        for chunk in tokens.split(max(1, SCORED_AT_ONCE // tokens.shape[1])):
            highest = completions.highest(self.embedding(chunk[:, :, shared:]))
            yield self._highway(highest.flatten(0, 1))


class CNNClassifier(CNNFeatures):
    """Real or generated, from complete sentences, padding included.

    features -> dropout -> softmax over two classes, or over more where there are several kinds of real sentences;
    `norm` batch stands between features and dropout. Initial values as LantaoYu/SeqGAN discriminator.py: embedding
    U(-1, 1), convolutions and output truncated N(0, 0.1^2) with bias 0.1, highway glorot-uniform, its biases too, and
    no extra bias on the gate.
    """

    def __init__(
        self,
        spec: SequenceSpec,
        *,
        embedding_dim: int = 64,
        keep: float = 0.75,
        filters: Mapping[int, int] = FILTERS,
        highway_biases: bool = True,
        norm: Norm = "none",
        label_smoothing: float = 0.0,
        kinds: int = 1,
    ) -> None:
        super().__init__(spec, embedding_dim=embedding_dim, filters=filters, highway_biases=highway_biases)
        self.drop, self.smoothing = 1 - keep, label_smoothing
        width = self.gate.out_features
        self.output = nn.Linear(width, 1 + kinds)
        self._initialise()
        normalise_weights(self, norm)
        self.norm = BatchNorm(width) if norm == "batch" else None

    def _initialise(self) -> None:
        nn.init.uniform_(self.embedding.weight, -1, 1)
        for weight in [*self.filters, self.output.weight]:
            nn.init.trunc_normal_(weight, std=0.1, a=-0.2, b=0.2)
        for bias in [*self.filter_biases, self.output.bias]:
            nn.init.constant_(bias, 0.1)
        self._initialise_highway()

    def forward(self, tokens: Tensor, *, dropout: bool) -> Tensor:
        """(B, T) -> (B, 1 + kinds): logits of generated (0) and real (1 ..). `dropout` is explicit: no mode to set."""
        return self.judge(self.features(tokens), dropout=dropout)

    def judge(self, features: Tensor, *, dropout: bool) -> Tensor:
        """(B, F) -> (B, 1 + kinds). With dropout, a batch norm is by the batch; else by its running statistics."""
        if self.norm is not None:
            features = self.norm(features, learning=dropout)
        logits: Tensor = self.output(drop_out(features, self.drop) if dropout else features)
        return logits

    def loss(self, logits: Tensor, real: Tensor, *, l2: float) -> Tensor:
        """Cross-entropy of logits (B, 1 + kinds) and labels (B,), plus `l2` / 2 ||output layer||^2.

        Labels are 0 for generated sentences, for real ones their kind, 1 ..
        """
        penalty = self.output.weight.square().sum() + self.output.bias.square().sum()
        target = real
        if self.smoothing:
            share = (real > 0).to(logits.dtype) * (1 - self.smoothing)  # of the label "real"
            target = torch.zeros_like(logits).scatter(1, real[:, None], share[:, None])
            target[:, 0] = 1 - share
        return functional.cross_entropy(logits, target) + l2 / 2 * penalty

    @torch.no_grad()
    def score(self, tokens: Tensor, *, kind: int = 1) -> Tensor:
        """(N, T) -> (N,): the probability that a sentence is real, and of this kind, without dropout."""
        chunks = tokens.split(SCORED_AT_ONCE)
        return torch.cat([self(chunk, dropout=False).softmax(1)[:, kind] for chunk in chunks])

    @torch.no_grad()
    def score_completions(self, tokens: Tensor, shared: int, *, kind: int = 1) -> Tensor:
        """(n, K, T) -> (n, K): `score` of n completions of each of K prefixes, which are the first `shared` words."""
        parts = self.of_completions(tokens, shared)
        scores = [self.judge(features, dropout=False).softmax(1)[:, kind] for features in parts]
        return torch.cat(scores).view(tokens.shape[:2])
