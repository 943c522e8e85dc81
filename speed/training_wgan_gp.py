"""WGAN-GP on characters, beside the released script's steps with autograd's second derivative.

V = 47 characters, T = 32, batches of 64; the published 512 channels, and 128. In a critic step "plain" detaches the
samples from the generator; "naive" does not, and `backward` differentiates the generator too, for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch

from baselines.common.spec import SequenceSpec
from baselines.wgan_gp import WGANGP
from speed.cases import Case, Contestants, Setting, Work
from speed.reference import wgan_gp as reference

__all__ = ["cases"]


def cases(setting: Setting) -> Iterable[Case]:
    """Critic step and generator step."""
    quick = setting.quick
    spec = SequenceSpec(vocab_size=47, max_len=32, bos_id=0, pad_id=None, eos_id=None)
    b, blocks, noise_dim = (4, 2, 8) if quick else (64, 5, 128)

    def models(dim: int) -> tuple[WGANGP, reference.PlainGenerator, reference.PlainCritic]:
        ours = WGANGP(WGANGP.Config(batch_size=b, dim=dim, blocks=blocks, noise_dim=noise_dim), spec)
        generator = reference.PlainGenerator(spec, noise_dim, dim, blocks)
        critic = reference.PlainCritic(spec, dim, blocks)
        return ours.to(setting.device), generator.to(setting.device), critic.to(setting.device)

    def critic_step(dim: int) -> Contestants:
        ours, generator, critic = models(dim)
        optimizer = torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.5, 0.9))
        tokens = torch.randint(spec.vocab_size, (b, spec.max_len), device=setting.device)
        other = partial(reference.critic_step, critic, generator, optimizer, tokens)
        return {
            "ours": [Work(lambda: ours.critic_step(tokens))],
            "plain": [Work(partial(other, detached=True))],
            "naive": [Work(partial(other, detached=False))],
        }

    def generator_step(dim: int) -> Contestants:
        ours, generator, critic = models(dim)
        optimizer = torch.optim.Adam(generator.parameters(), lr=1e-4, betas=(0.5, 0.9))
        plain = partial(reference.generator_step, critic, generator, optimizer, b)
        return {"ours": [Work(lambda: ours.generator_step(iter([])))], "plain": [Work(plain)]}

    for dim in (16,) if quick else (512, 128):
        yield Case("wgan_gp", f"critic step, {dim} channels", partial(critic_step, dim), {"naive": 1.35})
        yield Case("wgan_gp", f"generator step, {dim} channels", partial(generator_step, dim))
