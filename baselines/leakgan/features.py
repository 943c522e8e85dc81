"""The leak: what the discriminator's features say about unfinished sentences, kept up to date token by token."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from baselines.common.fast.kernels import product
from baselines.common.networks.cnn import CNNClassifier

__all__ = ["PrefixReader", "Reading", "prefix_features"]


class Reading(NamedTuple):
    """What is known of N prefixes of one length; each tensor has N rows."""

    windows: Tensor
    """(N, C): of the windows that hold the last token. Per window size f: f places x filters, oldest first."""
    best: Tensor
    """(N, F): the highest response of each filter to a window of which all is read, and 0 at least."""


class PrefixReader:
    """The discriminator's features of s_t, the sentence with all but its first t tokens replaced by "unread".

    "Unread" is the last row of the discriminator's embedding. A new token changes the windows that it lies in and no
    other, and adds to each what its weight makes of (token - unread). So a prefix costs one product (N, E) x (E, C),
    C the sum of window sizes x filters, and the highway, not one discriminator. A response is final once the window's
    last word is read, and only its maximum is kept; a window of which nothing is read has the response that all such
    windows have. The weights are those at construction. No gradients.
    """

    @torch.no_grad()
    def __init__(self, discriminator: CNNClassifier, length: int) -> None:
        self._discriminator = discriminator
        self._gate = discriminator.gate.weight, discriminator.gate.bias
        self._transform = discriminator.transform.weight, discriminator.transform.bias
        banks = list(zip(discriminator.filters, discriminator.filter_biases, strict=True))
        unread = discriminator.embedding.weight[-1]
        self._words = discriminator.embedding.weight - unread  # (V + 1, E)
        # Per window size (size x n, E), last word of the window first: the order of the windows that hold a token.
        self._kernels = torch.cat([weight.flip(2).permute(2, 0, 1).flatten(0, 1) for weight, _ in banks])
        self._sizes = [(weight.shape[2], weight.shape[0]) for weight, _ in banks]
        unread_responses = [unread @ weight.sum(2).t() + bias for weight, bias in banks]
        read = torch.arange(length + 1, device=unread.device)[:, None]  # t
        # A window begins at t only where it ends in the sentence; a window that never was keeps the response -inf.
        opened = [
            functional.pad(r.expand(length, -1).where(read[:-1] <= length - size, -math.inf), ((size - 1) * n, 0))
            for r, (size, n) in zip(unread_responses, self._sizes, strict=True)
        ]
        self._opened = torch.cat(opened, 1)  # (T, C): 0 but for the window that begins with token t
        untouched = [
            r.relu().expand(length + 1, -1).where(read <= length - size, 0.0)
            for r, (size, _) in zip(unread_responses, self._sizes, strict=True)
        ]
        self._untouched = torch.cat(untouched, 1)  # (T + 1, F): of the windows behind the first t tokens, if any

    def start(self, n: int) -> Reading:
        """n sentences of which nothing is read."""
        like = self._words
        return Reading(
            like.new_full((n, self._opened.shape[1]), -math.inf), like.new_zeros(n, self._untouched.shape[1])
        )

    @torch.no_grad()
    def read(self, reading: Reading, tokens: Tensor, position: int) -> Reading:
        """The tokens (N,) stand at `position`, from 0."""
        windows = product(self._words[tokens], self._kernels, self._opened[position])
        ended, at = [], 0
        for size, n in self._sizes:
            stop = at + size * n
            windows[:, at : stop - n] += reading.windows[:, at + n : stop]
            ended.append(windows[:, at : at + n])
            at = stop
        return Reading(windows, torch.maximum(reading.best, torch.cat(ended, 1)))

    @torch.no_grad()
    def pooled(self, reading: Reading, read: int) -> Tensor:
        """(N, F): the highest response of each filter, through ReLU, after `read` tokens."""
        highest, at = [], 0
        for size, n in self._sizes:
            highest.append(reading.windows[:, at : at + size * n].unflatten(1, (size, n)).amax(1))
            at += size * n
        return torch.cat(highest, 1).maximum(reading.best).maximum(self._untouched[read])

    @torch.no_grad()
    def features(self, pooled: Tensor) -> Tensor:
        """(N, F) -> (N, F): what is leaked, the discriminator's last layer before its output."""
        gate = product(pooled, *self._gate).sigmoid_()
        return torch.lerp(pooled, product(pooled, *self._transform).relu_(), gate)

    @torch.no_grad()
    def score(self, reading: Reading) -> Tensor:
        """The probability (N,) that complete sentences are real."""
        return self._discriminator.judge(self.features(reading.best), dropout=False).softmax(1)[:, 1]


@torch.no_grad()
def prefix_features(discriminator: CNNClassifier, tokens: Tensor, wanted: Tensor | None = None) -> Tensor:
    """(B, T) -> (B, T + 1, F): the features of the prefixes of 0, 1, .. T tokens of each sentence.

    Those that are not `wanted` (B, T + 1), if given, may be 0. On a CPU they cost nothing where no longer prefix of
    their sentence is wanted either.
    """
    b, length = tokens.shape
    reader = PrefixReader(discriminator, length)
    if wanted is None or tokens.device.type != "cpu":  # elsewhere the choice would wait for the device
        reading = reader.start(b)
        pooled = [reader.pooled(reading, 0)]
        for position in range(length):
            reading = reader.read(reading, tokens[:, position], position)
            pooled.append(reader.pooled(reading, position + 1))
        return reader.features(torch.stack(pooled, 1))
    nothing = reader.features(reader.pooled(reader.start(1), 0))  # the same for all
    features = nothing.new_zeros(b, length + 1, nothing.shape[1])
    features[:, 0] = nothing
    last = (wanted * torch.arange(length + 1)).amax(1)
    last, order = last.sort(descending=True)  # those that go on are the first rows
    reading, pooled, rows = reader.start(b), [nothing[:0]], [order[:0]]
    for position in range(int(last[0])):
        going = order[last > position]
        reading = reader.read(Reading(*(x[: len(going)] for x in reading)), tokens[going, position], position)
        chosen = wanted[going, position + 1]
        pooled.append(reader.pooled(Reading(*(x[chosen] for x in reading)), position + 1))
        rows.append(going[chosen] * (length + 1) + position + 1)
    features.view(-1, features.shape[2])[torch.cat(rows)] = reader.features(torch.cat(pooled))
    return features
