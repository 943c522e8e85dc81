"""WGAN-GP's networks and the steps of its released script, with autograd's second derivative."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from baselines.common.spec import SequenceSpec
from speed.reference.update import update

__all__ = ["PlainCritic", "PlainGenerator", "critic_loss", "critic_step", "generator_step"]


class _Block(nn.Module):
    """x + 0.3 conv5(relu(conv5(relu(x))))."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv1d(dim, dim, 5, padding=2) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.second(functional.relu(self.first(functional.relu(x))))
        return x + 0.3 * change


class PlainGenerator(nn.Module):
    """Noise (B, Z) -> distributions (B, T, V)."""

    def __init__(self, spec: SequenceSpec, noise_dim: int, dim: int, blocks: int) -> None:
        super().__init__()
        self.dim = dim
        self.input = nn.Linear(noise_dim, spec.max_len * dim)
        self.blocks = nn.Sequential(*(_Block(dim) for _ in range(blocks)))
        self.output = nn.Conv1d(dim, spec.vocab_size, 1)

    def forward(self, noise: Tensor) -> Tensor:
        """(B, Z) -> (B, T, V)."""
        states = self.blocks(self.input(noise).view(len(noise), self.dim, -1))
        return functional.softmax(self.output(states).transpose(1, 2), 2)

    def sample(self, n: int) -> Tensor:
        """(n, T, V), of new noise."""
        weight = self.input.weight
        distributions: Tensor = self(torch.randn(n, self.input.in_features, device=weight.device))
        return distributions


class PlainCritic(nn.Module):
    """Distributions (B, T, V) -> scores (B,)."""

    def __init__(self, spec: SequenceSpec, dim: int, blocks: int) -> None:
        super().__init__()
        self.input = nn.Conv1d(spec.vocab_size, dim, 1)
        self.blocks = nn.Sequential(*(_Block(dim) for _ in range(blocks)))
        self.output = nn.Linear(spec.max_len * dim, 1, bias=False)

    def forward(self, sentences: Tensor) -> Tensor:
        """(B, T, V) -> (B,)."""
        scores: Tensor = self.output(self.blocks(self.input(sentences.transpose(1, 2))).flatten(1))
        return scores.squeeze(1)


def critic_loss(critic: nn.Module, real: Tensor, generated: Tensor, weight: float) -> Tensor:
    """Three passes of the critic, and a second derivative."""
    share = torch.rand(len(real), 1, 1, device=real.device, dtype=real.dtype)
    leaf = (real + share * (generated - real)).detach().requires_grad_()
    between = leaf.view_as(leaf)  # the counter of operations does not take a leaf
    (slopes,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    penalty = (slopes.square().sum((1, 2)).sqrt() - 1).square().mean()
    loss: Tensor = critic(generated).mean() - critic(real).mean() + weight * penalty
    return loss


def critic_step(
    critic: PlainCritic, generator: PlainGenerator, optimizer: Optimizer, tokens: Tensor, *, detached: bool
) -> None:
    """On real sentences (B, T) and as many samples, which are `detached` from the generator or, naively, not."""
    real = functional.one_hot(tokens, generator.output.out_channels).float()
    with torch.set_grad_enabled(not detached):
        generated = generator.sample(len(tokens))
    update(optimizer, critic_loss(critic, real, generated, 10.0))


def generator_step(critic: PlainCritic, generator: PlainGenerator, optimizer: Optimizer, n: int) -> None:
    """On n samples."""
    update(optimizer, -critic(generator.sample(n)).mean())
