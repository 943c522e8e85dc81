"""WGAN-GP on characters, beside the released script's steps with autograd's second derivative.

V = 47 characters, T = 32, batches of 64; the published 512 channels, and 128. In a critic step "plain" detaches the
samples from the generator; "naive" does not, and `backward` differentiates the generator too, for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.spec import SequenceSpec
from baselines.wgan_gp import WGANGP
from speed.training import Case, Setting, Work

__all__ = ["PlainCritic", "PlainGenerator", "cases", "critic_loss"]


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


def cases(setting: Setting) -> Iterable[Case]:
    """Critic step and generator step."""
    quick = setting.quick
    spec = SequenceSpec(vocab_size=47, max_len=32, bos_id=0, pad_id=None, eos_id=None)
    b, blocks, noise_dim = (4, 2, 8) if quick else (64, 5, 128)

    def models(dim: int) -> tuple[WGANGP, PlainGenerator, PlainCritic]:
        ours = WGANGP(WGANGP.Config(batch_size=b, dim=dim, blocks=blocks, noise_dim=noise_dim), spec)
        generator, critic = PlainGenerator(spec, noise_dim, dim, blocks), PlainCritic(spec, dim, blocks)
        return ours.to(setting.device), generator.to(setting.device), critic.to(setting.device)

    def update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def critic_step(dim: int) -> dict[str, list[Work]]:
        ours, generator, critic = models(dim)
        optimizer = torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.5, 0.9))
        tokens = torch.randint(spec.vocab_size, (b, spec.max_len), device=setting.device)

        def other(detached: bool) -> None:
            real = functional.one_hot(tokens, spec.vocab_size).float()
            with torch.set_grad_enabled(not detached):
                generated = generator(torch.randn(b, noise_dim, device=setting.device))
            update(optimizer, critic_loss(critic, real, generated, 10.0))

        return {
            "ours": [Work(lambda: ours.critic_step(tokens))],
            "plain": [Work(partial(other, detached=True))],
            "naive": [Work(partial(other, detached=False))],
        }

    def generator_step(dim: int) -> dict[str, list[Work]]:
        ours, generator, critic = models(dim)
        optimizer = torch.optim.Adam(generator.parameters(), lr=1e-4, betas=(0.5, 0.9))

        def plain() -> None:
            update(optimizer, -critic(generator(torch.randn(b, noise_dim, device=setting.device))).mean())

        return {"ours": [Work(lambda: ours.generator_step(iter([])))], "plain": [Work(plain)]}

    for dim in (16,) if quick else (512, 128):
        yield Case("wgan_gp", f"critic step, {dim} channels", partial(critic_step, dim), {"naive": 1.35})
        yield Case("wgan_gp", f"generator step, {dim} channels", partial(generator_step, dim))
