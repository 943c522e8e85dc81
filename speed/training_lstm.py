"""The SeqGAN line: an LSTM generator and a convolutional discriminator, in the sizes of the synthetic task.

V = 5,000 words, T = 20, batches of 64, 16 roll-outs. mle stands for the likelihood steps and the samples of all four
baselines, which share that code; constant_reward's generator step is seqgan's without roll-outs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from baselines.common.fast.kernels import linear
from baselines.common.networks.cnn import FILTERS, CNNClassifier
from baselines.common.spec import SequenceSpec
from baselines.common.training.optimizer import adam
from baselines.common.training.rollout import rollout_rewards
from baselines.constant_reward import ConstantReward
from baselines.maligan import MaliGAN
from baselines.mle import MLE
from baselines.seqgan import SeqGAN
from speed.cases import TEXTGAN, Case, Contestants, Setting, Work, with_textgan
from speed.reference.lstm import PlainCNN, PlainLSTM, discriminator_step, mle_step, policy_step, rollout
from speed.reference.textgan_pytorch import SeqGANPeer

__all__ = ["cases"]


class OneMatrix(CNNClassifier):
    """With the highway of TextGAN-PyTorch, whose gate and candidate come from one matrix; SeqGAN's has two.

    So it does the same work as TextGAN-PyTorch's discriminator; no baseline uses it.
    """

    def __init__(self, spec: SequenceSpec) -> None:
        super().__init__(spec)
        del self.gate

    def _highway(self, highest: Tensor) -> Tensor:
        pooled = functional.relu(highest + torch.cat(list(self.filter_biases)))
        both = linear(pooled, self.transform.weight, self.transform.bias)
        return pooled.lerp(functional.relu(both), both.sigmoid())


class Bench:
    """Models, batches and peers of one setting."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        quick = setting.quick
        self.spec = SequenceSpec(
            vocab_size=60 if quick else 5_000, max_len=5 if quick else 20, bos_id=0, pad_id=None, eos_id=None
        )
        self.batch_size, self.samples = (4, 40) if quick else (64, 10_000)
        self.rollouts = 2 if quick else 16

    def tokens(self) -> Tensor:
        """A batch of random words."""
        size = (self.batch_size, self.spec.max_len)
        return torch.randint(self.spec.vocab_size, size, device=self.setting.device)

    def stream(self) -> Iterator[Tensor]:
        """Some batches, again and again."""
        return itertools.cycle([self.tokens() for _ in range(8)])

    def plain_generator(self) -> tuple[PlainLSTM, torch.optim.Optimizer]:
        """With its optimiser."""
        model = PlainLSTM(self.spec.vocab_size, self.spec.max_len, self.spec.bos_id, 32, 32).to(self.setting.device)
        return model, torch.optim.Adam(model.parameters(), lr=1e-2)

    def plain_discriminator(self) -> tuple[PlainCNN, torch.optim.Optimizer]:
        """With its optimiser."""
        model = PlainCNN(self.spec.vocab_size, self.spec.max_len, 64, 0.75, FILTERS).to(self.setting.device)
        return model, torch.optim.Adam(model.parameters(), lr=1e-4)

    def seqgan(self) -> SeqGAN:
        """Ours."""
        config = SeqGAN.Config(batch_size=self.batch_size, rollouts=self.rollouts, pool_batches=2)
        return SeqGAN(config, self.spec).to(self.setting.device)

    def mle_step(self) -> Contestants:
        """One update on a batch."""
        ours = MLE(MLE.Config(batch_size=self.batch_size), self.spec).to(self.setting.device)
        model, optimizer = self.plain_generator()
        batches, others = self.stream(), self.stream()
        found = {
            "ours": [Work(lambda: ours.mle_step(batches))],
            "plain": [Work(lambda: mle_step(model, optimizer, next(others), 5.0))],
        }
        return with_textgan(self.setting, found, lambda: SeqGANPeer(self.setting).mle())

    def sampling(self) -> Contestants:
        """All samples at once, and in batches of 64."""
        ours = MLE(MLE.Config(), self.spec).to(self.setting.device)
        model, _ = self.plain_generator()
        found = {
            "ours": [Work(lambda: ours.sample(self.samples))],
            "plain": [Work(lambda: model.sample(self.batch_size), self.samples / self.batch_size)],
        }
        return with_textgan(self.setting, found, lambda: SeqGANPeer(self.setting).sampling(self.samples))

    def plain_rollout(self, model: PlainLSTM) -> Work:
        """One of the roll-outs."""
        discriminator = self.plain_discriminator()[0].eval()
        tokens = self.tokens()
        return Work(lambda: rollout(model, lambda x: discriminator(x).softmax(1)[:, 1], tokens, 1), self.rollouts)

    def rollout(self) -> Contestants:
        """Rewards of a batch of own samples."""
        ours, tokens = self.seqgan(), self.tokens()
        d, n = ours.discriminator, self.rollouts
        found = {
            "ours": [Work(lambda: rollout_rewards(ours.generator, tokens, d.score, n, d.score_completions))],
            "plain": [self.plain_rollout(self.plain_generator()[0])],
        }
        return with_textgan(self.setting, found, lambda: SeqGANPeer(self.setting).rollout(n))

    def plain_policy_step(self, model: PlainLSTM, optimizer: torch.optim.Optimizer) -> Work:
        """Own samples and the update, with rewards that are given."""
        rewards = torch.rand(self.batch_size, self.spec.max_len, device=self.setting.device)
        return Work(lambda: policy_step(model, optimizer, model.sample(self.batch_size), rewards, 5.0))

    def seqgan_generator(self) -> Contestants:
        """Samples, roll-outs, update."""
        ours, batches = self.seqgan(), self.stream()
        model, optimizer = self.plain_generator()
        plain = [self.plain_rollout(model), self.plain_policy_step(model, optimizer)]
        found = {"ours": [Work(lambda: ours.generator_step(batches))], "plain": plain}

        def textgan() -> list[Work]:
            peer = SeqGANPeer(self.setting)
            return peer.rollout(self.rollouts) + peer.policy_step()

        return with_textgan(self.setting, found, textgan)

    def seqgan_discriminator(self) -> Contestants:
        """One update on a batch; its sentences are in the pool already."""
        ours = self.seqgan()
        tokens, real = self.tokens(), torch.arange(self.batch_size, device=self.setting.device) % 2
        ours.pool.next = lambda *_: (tokens, real)  # type: ignore[method-assign]
        model, optimizer = self.plain_discriminator()
        batches = self.stream()
        found = {
            "ours": [Work(lambda: ours.discriminator_step(batches))],
            "plain": [Work(lambda: discriminator_step(model, optimizer, tokens, real, 0.2))],
        }
        alike = self.seqgan()
        alike.discriminator = OneMatrix(self.spec).to(self.setting.device)
        alike.optimizers["discriminator"] = adam(alike.discriminator, alike.config.d_lr)
        found["ours, one matrix in the highway"] = [Work(lambda: alike.discriminate(tokens, real))]
        return with_textgan(self.setting, found, lambda: SeqGANPeer(self.setting).discriminator_step())

    def maligan_generator(self) -> Contestants:
        """Samples, one score each, update. The discriminator is SeqGAN's, as in TextGAN-PyTorch."""
        config = MaliGAN.Config(batch_size=self.batch_size, d_filters="seqgan", d_embedding_dim=64, d_keep=0.75)
        ours = MaliGAN(config, self.spec).to(self.setting.device)
        batches = self.stream()
        model, optimizer = self.plain_generator()
        discriminator = self.plain_discriminator()[0].eval()

        def plain() -> None:
            tokens = model.sample(self.batch_size)
            with torch.no_grad():
                d = discriminator(tokens).softmax(1)[:, 1]
                weights = d / (1 - d) / (d / (1 - d)).sum() - 1 / len(d)
            policy_step(model, optimizer, tokens, weights[:, None].expand(tokens.shape), 5.0)

        found = {"ours": [Work(lambda: ours.generator_step(0, batches))], "plain": [Work(plain)]}
        return with_textgan(self.setting, found, lambda: SeqGANPeer(self.setting, "MaliGAN").maligan_step())

    def constant_generator(self) -> Contestants:
        """Samples and update."""
        ours = ConstantReward(ConstantReward.Config(batch_size=self.batch_size), self.spec).to(self.setting.device)
        batches = self.stream()
        model, optimizer = self.plain_generator()
        return {
            "ours": [Work(lambda: ours.generator_step(batches))],
            "plain": [self.plain_policy_step(model, optimizer)],
        }


def cases(setting: Setting) -> Iterable[Case]:
    """Of mle, seqgan, maligan and constant_reward."""
    bench = Bench(setting)
    both = "plain", TEXTGAN
    yield Case("mle", "MLE step", bench.mle_step, dict.fromkeys(both, 2.2))
    yield Case("mle", f"sampling {bench.samples:,}", bench.sampling, dict.fromkeys(both, 12))
    yield Case("seqgan", "roll-out reward", bench.rollout, dict.fromkeys(both, 10))
    yield Case("seqgan", "adversarial generator step", bench.seqgan_generator, dict.fromkeys(both, 10), 0.45)
    yield Case("seqgan", "discriminator step", bench.seqgan_discriminator, dict.fromkeys(both, 2.4), 0.45)
    yield Case("maligan", "adversarial generator step", bench.maligan_generator, {TEXTGAN: 25})
    yield Case("constant_reward", "adversarial generator step", bench.constant_generator)
