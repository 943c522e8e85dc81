"""RelGAN in the sizes of the synthetic task, beside the same networks and steps written plainly.

V = 5,000 words, T = 20, batches of 64, one memory of 512 numbers, 64 representations, 4 x 300 filters.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import torch

from baselines.common.spec import SequenceSpec
from baselines.relgan import RelGAN
from speed.cases import TEXTGAN, Case, Contestants, Setting, Work, with_textgan
from speed.reference import relgan as reference
from speed.reference.textgan_pytorch import RelGANPeer

__all__ = ["cases"]


def cases(setting: Setting) -> Iterable[Case]:
    """MLE step, sampling, adversarial steps."""
    quick = setting.quick
    spec = SequenceSpec(
        vocab_size=60 if quick else 5_000, max_len=6 if quick else 20, bos_id=0, pad_id=None, eos_id=None
    )
    b, samples, head_dim, filters = (4, 40, 8, 8) if quick else (64, 10_000, 256, 300)
    config = RelGAN.Config(batch_size=b, head_dim=head_dim, filters=filters)
    tokens = torch.randint(spec.vocab_size, (b, spec.max_len), device=setting.device)

    def generator() -> reference.PlainMemory:
        return reference.PlainMemory(spec, embedding_dim=32, heads=2, head_dim=head_dim).to(setting.device)

    def ours() -> RelGAN:
        return RelGAN(config, spec).to(setting.device)

    def mle_step() -> Contestants:
        gan, model = ours(), generator()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        batches = itertools.repeat(tokens)
        found = {
            "ours": [Work(lambda: gan.mle_step(batches))],
            "plain": [Work(lambda: reference.mle_step(model, optimizer, tokens))],
        }
        return with_textgan(setting, found, lambda: RelGANPeer(setting).mle())

    def sampling() -> Contestants:
        gan, model = ours(), generator()
        part = min(samples, 1_000)  # as many as evaluations draw at a time
        found = {
            "ours": [Work(lambda: gan.sample(part), samples / part)],
            "plain": [Work(lambda: model.sample(b), samples / b)],
        }
        return with_textgan(setting, found, lambda: RelGANPeer(setting).sampling(samples))

    def adversarial_step(side: str) -> Contestants:
        gan, model = ours(), generator()
        judge = reference.PlainDiscriminator(spec, embedding_dim=64, filters=filters, hidden_dim=100, keep=0.75)
        judge = judge.to(setting.device)
        trained = model if side == "generator" else judge
        optimizer = torch.optim.Adam(trained.parameters(), lr=1e-4)
        step = gan.generator_step if side == "generator" else gan.discriminator_step
        found = {
            "ours": [Work(lambda: step(tokens, 1.0))],
            "plain": [Work(lambda: reference.adversarial_step(side, model, judge, optimizer, tokens))],
        }
        return with_textgan(setting, found, lambda: RelGANPeer(setting).adversarial_step(side))

    yield Case("relgan", "MLE step", mle_step)
    yield Case("relgan", f"sampling {samples:,}", sampling)
    yield Case("relgan", "adversarial generator step", lambda: adversarial_step("generator"), {TEXTGAN: 2.5})
    yield Case("relgan", "discriminator step", lambda: adversarial_step("discriminator"), {TEXTGAN: 2.5})
