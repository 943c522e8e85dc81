"""LeakGAN in the sizes of the synthetic task, beside a plain one, where each prefix goes through the whole network.

V = 5,000 words, T = 20, batches of 64, blocks of 4 words, 4 roll-outs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor

from baselines.common.spec import SequenceSpec
from baselines.leakgan import LeakGAN
from baselines.leakgan.generator import Walk
from baselines.leakgan.rewards import boundary_scores
from speed.cases import TEXTGAN, Case, Contestants, Setting, Work, with_textgan
from speed.reference.leakgan import PlainLeakGAN
from speed.reference.textgan_pytorch import LeakGANPeer

__all__ = ["cases"]


class Bench:
    """Ours and the plain one in one setting."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        quick = setting.quick
        self.spec = SequenceSpec(
            vocab_size=60 if quick else 5_000, max_len=9 if quick else 20, bos_id=0, pad_id=None, eos_id=None
        )
        self.batch_size, self.samples, self.rollouts = (4, 40, 2) if quick else (64, 10_000, 4)
        self.config = LeakGAN.Config(batch_size=self.batch_size, rollouts=self.rollouts)

    def models(self) -> tuple[LeakGAN, PlainLeakGAN, Tensor]:
        """Both, and a batch of random words."""
        plain = PlainLeakGAN(self.spec, hidden_dim=32, goal_dim=16, horizon=4, d_embedding_dim=64)
        size = self.batch_size, self.spec.max_len
        tokens = torch.randint(self.spec.vocab_size, size, device=self.setting.device)
        return LeakGAN(self.config, self.spec).to(self.setting.device), plain.to(self.setting.device), tokens

    def mle_step(self) -> Contestants:
        """One update on a batch."""
        ours, plain, tokens = self.models()
        optimizers = [torch.optim.Adam(side, lr=self.config.lr) for side in plain.sides()]
        batches = itertools.repeat(tokens)
        found = {
            "ours": [Work(lambda: ours.mle_step(batches))],
            "plain": [Work(lambda: plain.update(optimizers, plain.losses(tokens)))],
        }
        return with_textgan(self.setting, found, lambda: LeakGANPeer(self.setting).mle())

    def sampling(self) -> Contestants:
        """In batches of 1,000 and of 64."""
        ours, plain, tokens = self.models()
        part = min(self.samples, 1_000)  # as many as evaluations draw at a time
        found = {
            "ours": [Work(lambda: ours.sample(part), self.samples / part)],
            "plain": [Work(lambda: plain.complete(tokens, 0), self.samples / self.batch_size)],
        }
        return with_textgan(self.setting, found, lambda: LeakGANPeer(self.setting).sampling(self.samples))

    def rollout(self) -> Contestants:
        """Scores of a batch of sentences."""
        ours, plain, tokens = self.models()

        def fast() -> Tensor:
            walk = Walk(ours.generator, ours.discriminator, to_score=True)
            return boundary_scores(walk, tokens, self.rollouts, self.config.horizon)

        found = {
            "ours": [Work(fast)],
            "plain": [Work(partial(plain.boundary_scores, tokens, 1), self.rollouts)],
        }
        return with_textgan(self.setting, found, lambda: LeakGANPeer(self.setting).rollout(self.rollouts))

    def generator_step(self) -> Contestants:
        """Samples, roll-outs, update."""
        ours, plain, tokens = self.models()
        optimizers = [torch.optim.Adam(side, lr=self.config.lr) for side in plain.sides()]
        batches = itertools.repeat(tokens)
        rewards = torch.rand(self.batch_size, len(plain.ends(tokens.device)), device=tokens.device)

        def policy_step() -> None:
            plain.update(optimizers, plain.adversarial_losses(plain.complete(tokens, 0), rewards))

        found = {
            "ours": [Work(lambda: ours.generator_step(batches, iteration=0))],
            "plain": [Work(partial(plain.boundary_scores, tokens, 1), self.rollouts), Work(policy_step)],
        }

        def textgan() -> list[Work]:
            peer = LeakGANPeer(self.setting)
            return peer.rollout(self.rollouts) + peer.policy_step()

        return with_textgan(self.setting, found, textgan)


def cases(setting: Setting) -> Iterable[Case]:
    """MLE step, sampling, roll-out reward, generator step. The discriminator step is seqgan's, but for one word."""
    bench = Bench(setting)
    yield Case("leakgan", "MLE step", bench.mle_step, {TEXTGAN: 11})
    yield Case("leakgan", f"sampling {bench.samples:,}", bench.sampling, {TEXTGAN: 6.5})
    yield Case("leakgan", "roll-out reward", bench.rollout, {TEXTGAN: 9})
    yield Case("leakgan", "adversarial generator step", bench.generator_step)
