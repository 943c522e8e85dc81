"""A generator and a critic of sentences made of residual blocks of 1-D convolutions, without any normalisation.

After igul222/improved_wgan_training gan_language.py:53-85. A sentence is a matrix (B, T, V): one distribution over the
V words per position, one-hot where the sentence is real. Biases start at 0; convolutions uniform with variance
4 / (fan_in + fan_out), linear layers with 2 / (fan_in + fan_out) (tflib/ops/conv1d.py:56-67, linear.py:54-59).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.networks.normalisation import Norm, normalise_weights
from baselines.common.spec import SequenceSpec

__all__ = ["ConvCritic", "ConvGenerator", "ResidualBlock"]

_SHARE = 0.3  # of a block's convolutions in its output


class ResidualBlock(nn.Module):
    """x + 0.3 conv5(relu(conv5(relu(x)))): (B, E, T) -> (B, E, T)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.first, self.second = _conv(dim, dim, 5), _conv(dim, dim, 5)

    def forward(self, x: Tensor) -> Tensor:
        """(B, E, T) -> (B, E, T)."""
        change: Tensor = self.second(functional.relu(self.first(functional.relu(x))))
        return x + _SHARE * change

    def slope(self, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The block at x, without gradient, and its transposed derivative there: (B, E, T) -> (B, E, T).

        The derivative is differentiable in the weights; where a ReLU is on does not depend on them.
        """
        with torch.no_grad():
            inner = self.first(functional.relu(x))
            y = x + _SHARE * self.second(functional.relu(inner))
            on, inner_on = x > 0, inner > 0

        def transposed(d_y: Tensor) -> Tensor:
            d_inner = _transposed(self.second, d_y) * inner_on
            return d_y + _SHARE * (_transposed(self.first, d_inner) * on)

        return y, transposed


class ConvGenerator(nn.Module):
    """noise -> linear -> residual blocks -> conv1 -> softmax: all positions at once, no token is drawn."""

    def __init__(self, spec: SequenceSpec, *, noise_dim: int, dim: int, blocks: int) -> None:
        super().__init__()
        self.dim = dim
        self.input = nn.Linear(noise_dim, spec.max_len * dim)
        nn.init.xavier_uniform_(self.input.weight)
        nn.init.zeros_(self.input.bias)
        self.blocks = nn.Sequential(*(ResidualBlock(dim) for _ in range(blocks)))
        self.output = _conv(dim, spec.vocab_size, 1)

    def forward(self, noise: Tensor) -> Tensor:
        """(B, noise_dim) -> (B, T, V): a distribution over the words at each position."""
        states = self.blocks(self.input(noise).unflatten(1, (self.dim, -1)))  # (B, E, T)
        logits: Tensor = self.output(states)  # (B, V, T)
        return logits.transpose(1, 2).softmax(2)


class ConvCritic(nn.Module):
    """conv1 -> residual blocks -> dropout -> linear over all positions. It is used in training alone: dropout is on.

    Two biases only add a constant to every score, which a difference of scores and a slope do not see: the last
    layer has none, and the last convolution's is zero and stays zero.
    """

    def __init__(self, spec: SequenceSpec, *, dim: int, blocks: int, keep: float = 1.0, norm: Norm = "none") -> None:
        super().__init__()
        self.drop = 1 - keep
        self.input = _conv(spec.vocab_size, dim, 1)
        self.blocks = nn.Sequential(*(ResidualBlock(dim) for _ in range(blocks)))
        self.blocks[-1].get_parameter("second.bias").requires_grad_(False)
        self.output = nn.Linear(spec.max_len * dim, 1, bias=False)
        nn.init.xavier_uniform_(self.output.weight)
        normalise_weights(self, norm)

    def forward(self, sentences: Tensor) -> Tensor:
        """(B, T, V) -> (B,): higher is more real."""
        return self.judge(self.features(sentences))

    def features(self, sentences: Tensor) -> Tensor:
        """(B, T, V) -> (B, E T): what the last layer reads."""
        states: Tensor = self.blocks(self.input(sentences.transpose(1, 2)))  # (B, E, T)
        return states.flatten(1)

    def slope(self, sentences: Tensor) -> Tensor:
        """(B, T, V) -> (B, T, V): the gradient of each score in its sentence, differentiable in the parameters.

        The critic is linear wherever no ReLU switches: its gradient is a chain of transposed convolutions, and the
        gradient of that is one backward pass, where a second derivative would take the whole critic two more times.
        """
        with torch.no_grad():
            states = self.input(sentences.transpose(1, 2))
        blocks = []
        for block in self.blocks.children():
            assert isinstance(block, ResidualBlock)
            states, transposed = block.slope(states)
            blocks.append(transposed)
        slopes = functional.dropout(self.output.weight.expand(len(sentences), -1), self.drop).view_as(states)
        for transposed in reversed(blocks):
            slopes = transposed(slopes)
        return _transposed(self.input, slopes).transpose(1, 2)

    def judge(self, features: Tensor) -> Tensor:
        """(B, E T) -> (B,)."""
        scores: Tensor = self.output(functional.dropout(features, self.drop))
        return scores.squeeze(1)


def _transposed(conv: nn.Conv1d, x: Tensor) -> Tensor:
    """(B, outputs, T) -> (B, inputs, T): the convolution's transpose, without its bias."""
    return functional.conv1d(x, conv.weight.flip(2).transpose(0, 1), padding=conv.weight.shape[2] // 2)


def _conv(inputs: int, outputs: int, width: int) -> nn.Conv1d:
    conv = nn.Conv1d(inputs, outputs, width, padding=width // 2)
    nn.init.xavier_uniform_(conv.weight, gain=math.sqrt(2))
    nn.init.zeros_(conv.get_parameter("bias"))
    return conv
