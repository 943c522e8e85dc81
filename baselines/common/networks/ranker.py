"""RankGAN's ranker: how near sentences are to real ones, by the cosine between features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.fast.kernels import drop_out
from baselines.common.fast.windows import highest_responses
from baselines.common.networks.cnn import FILTERS, SCORED_AT_ONCE, CNNFeatures, highway
from baselines.common.networks.normalisation import Norm, normalise_weights
from baselines.common.spec import SequenceSpec

__all__ = ["Initial", "Ranker"]

Initial = Literal["rankgan", "texygen"]

_SHORTEST = 1e-6
"""The length under which a vector is not made one of length 1 (TensorFlow's l2_normalize)."""


class Ranker(CNNFeatures):
    """Features of the SeqGAN line's discriminator, dropout, and in the place of an output layer real sentences.

    Initial values as cookielee77/RankGan-NIPS2017 ranker.py:85-104: word vectors, convolutions and their biases
    U(-0.1, 0.1); or as geek-ai/Texygen RankganDiscriminator.py:96-112: word vectors U(-1, 1), convolutions truncated
    N(0, 0.1^2), their biases 0.1. The highway is glorot-uniform in both.

    `own_highway`: references pass another highway than the sentences that are compared with them. So it was in Texygen
    until b3b196e (2018-02-28), where a second scope of names made a second pair of layers.
    """

    def __init__(
        self,
        spec: SequenceSpec,
        *,
        embedding_dim: int = 64,
        keep: float = 0.75,
        filters: Mapping[int, int] = FILTERS,
        initial: Initial = "rankgan",
        norm: Norm = "none",
        own_highway: bool = False,
    ) -> None:
        super().__init__(spec, embedding_dim=embedding_dim, filters=filters)
        self.drop = 1 - keep
        width = self.gate.out_features
        self.reference_transform = nn.Linear(width, width) if own_highway else None
        self.reference_gate = nn.Linear(width, width) if own_highway else None
        self._initialise(initial)
        normalise_weights(self, norm)

    def _initialise(self, initial: Initial) -> None:
        if initial == "rankgan":
            for values in [self.embedding.weight, *self.filters, *self.filter_biases]:
                nn.init.uniform_(values, -0.1, 0.1)
        else:
            nn.init.uniform_(self.embedding.weight, -1, 1)
            for bank, bias in zip(self.filters, self.filter_biases, strict=True):
                nn.init.trunc_normal_(bank, std=0.1, a=-0.2, b=0.2)
                nn.init.constant_(bias, 0.1)
        self._initialise_highway(*filter(None, (self.reference_transform, self.reference_gate)))

    def direction(self, features: Tensor, *, dropout: bool) -> Tensor:
        """(N, F) -> (N, F), rows of length 1."""
        return functional.normalize(drop_out(features, self.drop) if dropout else features, eps=_SHORTEST)

    def reference(self, sentences: Tensor, *, dropout: bool) -> Tensor:
        """Real sentences (U, T) -> (F,): the sum of their directions, with which a product is the sum of U cosines."""
        pooled = self._pooled(highest_responses(self.embedding(sentences), self.filters))
        features = highway(pooled, self.reference_transform or self.transform, self.reference_gate or self.gate)
        return self.direction(features, dropout=dropout).sum(0)

    def relevance(self, sentences: Tensor, reference: Tensor, *, dropout: bool) -> Tensor:
        """(N, T), (F,) -> (N,): the sum over the references of the cosine between features. `dropout` is explicit."""
        return self.direction(self.features(sentences), dropout=dropout) @ reference

    @torch.no_grad()
    def score(self, sentences: Tensor, reference: Tensor, *, dropout: bool = False) -> Tensor:
        """(N, T), (F,) -> (N,): `relevance` without a gradient, of many sentences."""
        chunks = sentences.split(SCORED_AT_ONCE)
        return torch.cat([self.relevance(chunk, reference, dropout=dropout) for chunk in chunks])

    @torch.no_grad()
    def score_completions(self, sentences: Tensor, shared: int, reference: Tensor, *, dropout: bool = False) -> Tensor:
        """(n, K, T), s, (F,) -> (n, K): `score` of n completions of each of K prefixes, which are the first s words."""
        parts = [
            self.direction(features, dropout=dropout) @ reference for features in self.of_completions(sentences, shared)
        ]
        return torch.cat(parts).view(sentences.shape[:2])
