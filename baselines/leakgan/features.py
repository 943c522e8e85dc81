"""The leak: what the discriminator's features say about unfinished sentences, kept up to date token by token."""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.common.cnn import CNNClassifier

__all__ = ["PrefixReader", "prefix_features"]


class PrefixReader:
    """The discriminator's features of s_t, the sentence with all but its first t tokens replaced by "unread".

    "Unread" is the last row of the discriminator's embedding. A new token changes the windows that it lies in and no
    other, and adds to each what its weight makes of (token - unread). So the responses of all windows are kept, and a
    prefix costs one product (N, E) x (E, sum of window sizes x filters) and the highway, not one discriminator. The
    weights are those at construction. No gradients.
    """

    @torch.no_grad()
    def __init__(self, discriminator: CNNClassifier, length: int) -> None:
        self._discriminator = discriminator
        unread = discriminator.embedding.weight[-1]
        self._words = discriminator.embedding.weight - unread  # (V + 1, E)
        # (E, size x n) per window size, last word of the window first: the order of the windows that hold a token
        kernels = [weight.flip(2).permute(1, 2, 0).flatten(1) for weight in discriminator.filters]
        self._kernels = torch.cat(kernels, 1)
        self._windows = [
            (weight.shape[2], weight.shape[0], length - weight.shape[2] + 1) for weight in discriminator.filters
        ]
        nothing = [
            (unread @ weight.sum(2).t() + bias).repeat(places)
            for weight, bias, (_, _, places) in zip(
                discriminator.filters, discriminator.filter_biases, self._windows, strict=True
            )
        ]
        self._start = torch.cat(nothing)

    def start(self, n: int) -> Tensor:
        """(n, R): responses of all windows to sentences of which nothing is read."""
        return self._start.repeat(n, 1)

    @torch.no_grad()
    def read(self, responses: Tensor, tokens: Tensor, position: int) -> None:
        """Change the responses (N, R) in place: the tokens (N,) stand at `position`, from 0."""
        change = self._words[tokens] @ self._kernels
        at = column = 0
        for size, n, places in self._windows:
            first = position - size + 1  # the window that ends here
            low, high = max(first, 0), min(position + 1, places)
            if low < high:
                span = slice(column + (low - first) * n, column + (high - first) * n)
                responses[:, at + low * n : at + high * n] += change[:, span]
            at += places * n
            column += size * n

    @torch.no_grad()
    def pooled(self, responses: Tensor) -> Tensor:
        """(N, R) -> (N, F): the highest response of each filter, through ReLU."""
        parts, at = [], 0
        for _, n, places in self._windows:
            parts.append(responses[:, at : at + places * n].unflatten(1, (places, n)).amax(1))
            at += places * n
        return torch.cat(parts, 1).relu_()

    @torch.no_grad()
    def features(self, pooled: Tensor) -> Tensor:
        """(N, F) -> (N, F): what is leaked, the discriminator's last layer before its output."""
        d = self._discriminator
        gate = d.gate(pooled).sigmoid_()
        return torch.lerp(pooled, d.transform(pooled).relu_(), gate)

    @torch.no_grad()
    def score(self, responses: Tensor) -> Tensor:
        """(N, R) -> (N,): the probability that what is read is real."""
        return self._discriminator.output(self.features(self.pooled(responses))).softmax(1)[:, 1]


@torch.no_grad()
def prefix_features(discriminator: CNNClassifier, tokens: Tensor) -> Tensor:
    """(B, T) -> (B, T + 1, F): the features of the prefixes of 0, 1, .. T tokens of each sentence."""
    reader = PrefixReader(discriminator, tokens.shape[1])
    responses = reader.start(len(tokens))
    pooled = [reader.pooled(responses)]
    for position in range(tokens.shape[1]):
        reader.read(responses, tokens[:, position], position)
        pooled.append(reader.pooled(responses))
    return reader.features(torch.stack(pooled, 1))
