"""RelGAN's procedure: its rounds, its losses down to the gradients, what moves and what does not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import torch
from helpers.parameters import copies, roughen, unchanged
from torch import Tensor

from baselines.common.spec import SequenceSpec
from baselines.common.training.losses import LOSSES, LossName
from baselines.relgan import RelGAN

FIXED = SequenceSpec(vocab_size=6, max_len=5, bos_id=0, pad_id=None, eos_id=None)


def small_gan(spec: SequenceSpec = FIXED, **settings: Any) -> RelGAN:
    torch.manual_seed(0)
    return RelGAN(RelGAN.Config(**{**RelGAN.scales["smoke"], "batch_size": 4, **settings}), spec)


def stream(gan: RelGAN) -> Iterator[Tensor]:
    random = torch.Generator().manual_seed(1)
    while True:
        yield torch.randint(gan.spec.vocab_size, (gan.config.batch_size, gan.spec.max_len), generator=random)


def test_published_setting() -> None:
    config = RelGAN.Config()
    gan = RelGAN(config, FIXED)
    assert [(phase.name, phase.steps) for phase in gan.phases()] == [("mle", 150 * 156), ("adversarial", 3000 * 6)]
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in gan.optimizers.items()}
    assert rates == {"mle": 1e-2, "generator": 1e-4, "discriminator": 1e-4}
    assert (config.beta_max, config.anneal_horizon, config.loss, config.clip_norm) == (1.0, 5_000, "relativistic", 5.0)


def test_a_round_and_the_beta_it_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    """One G step, then five D steps; beta_i = b^(i / N) is set after round i, so rounds 0 and 1 have 1."""
    gan = small_gan(d_steps=5, iterations=4, beta_max=16.0, anneal_horizon=4)
    used: list[float] = []
    relaxed = gan.generator.relaxed
    monkeypatch.setattr(gan.generator, "relaxed", lambda n, beta: used.append(beta) or relaxed(n, beta))
    batches, phase = stream(gan), gan.phases()[1]
    keys = ["g" if "g_loss" in phase.step(batches) else "d" for _ in range(phase.steps)]
    assert "".join(keys) == "gddddd" * 4
    assert used == pytest.approx([1.0] * 12 + [2.0] * 6 + [4.0] * 6)


@pytest.mark.parametrize(("kept", "in_common"), [(0, False), (12, True)])
def test_both_sides_meet_every_batch_where_they_are_drawn(
    kept: int, in_common: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a stream that begins again after 12 batches, rounds of 3 give the generator the same 4 batches for ever."""
    gan = small_gan(d_steps=2, iterations=40, anneal_horizon=40, adversarial_batches=kept)
    met: dict[str, set[bytes]] = {"generator": set(), "discriminator": set()}
    for side, numbers in met.items():
        monkeypatch.setattr(
            gan, f"{side}_step", lambda real, _, numbers=numbers: numbers.add(real.numpy().tobytes()) or {}
        )
    batches, phase = itertools.cycle(itertools.islice(stream(gan), 12)), gan.phases()[1]
    for _ in range(phase.steps):
        phase.step(batches)
    assert len(met["generator"] | met["discriminator"]) == 12
    assert bool(met["generator"] & met["discriminator"]) is in_common
    assert (met["generator"] == met["discriminator"]) is in_common


def test_each_step_moves_its_own_side_with_its_own_optimiser() -> None:
    gan = small_gan()
    batches = stream(gan)
    gan.mle_step(batches)
    assert [name for name, optimizer in gan.optimizers.items() if optimizer.state] == ["mle"]
    before_g, before_d = copies(gan.generator), copies(gan.discriminator)
    gan.generator_step(next(batches), 1.0)
    assert unchanged(gan.discriminator, before_d)
    assert not any(p.grad is not None and p.grad.any() for p in gan.discriminator.parameters())
    assert all(not torch.equal(p, b) for p, b in zip(gan.generator.parameters(), before_g, strict=True))
    before_g = copies(gan.generator)
    gan.discriminator_step(next(batches), 1.0)
    assert unchanged(gan.generator, before_g)
    moved = {
        n for (n, p), b in zip(gan.discriminator.named_parameters(), before_d, strict=True) if not torch.equal(p, b)
    }
    fixed = {"summary.bias", "output.bias"}
    assert moved == {name for name, _ in gan.discriminator.named_parameters()} - fixed


@pytest.mark.parametrize("name", get_args(LossName))
def test_gradients_of_a_round(name: LossName, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equations 4 and 5 sentence by sentence, without dropout, to the gradients that the optimisers get."""
    gan = small_gan(loss=name, d_keep=1.0, clip_norm=1e9).double()
    roughen(gan.discriminator)
    real = next(stream(gan))
    generated = gan.generator.relaxed(4, 1.0)
    d = gan.discriminator
    logits = [
        torch.stack([d(words[None], dropout=False)[0] for words in rows])
        for rows in (d.embedding.weight[real], generated @ d.embedding.weight)
    ]
    expected_d, expected_g = LOSSES[name].discriminator(*logits), LOSSES[name].generator(*logits)
    trained = [p for p in d.parameters() if p.requires_grad]
    assert len(trained) == len(list(d.parameters())) - 2 * LOSSES[name].shift_invariant
    of_d = torch.autograd.grad(expected_d, trained, retain_graph=True)
    of_g = torch.autograd.grad(expected_g, list(gan.generator.parameters()), retain_graph=True)
    monkeypatch.setattr(gan.generator, "relaxed", lambda n, beta: generated)
    assert gan.generator_step(real, 1.0)["g_loss"].item() == pytest.approx(expected_g.item())
    for parameter, gradient in zip(gan.generator.parameters(), of_g, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-7, atol=1e-12)
    values = gan.discriminator_step(real, 1.0)
    assert values["d_loss"].item() == pytest.approx(expected_d.item())
    assert values["margin"].item() == pytest.approx((logits[0].mean() - logits[1].mean()).item())
    for parameter, gradient in zip(trained, of_d, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-7, atol=1e-12)


def test_gradients_are_clipped_on_both_sides() -> None:
    gan = small_gan(clip_norm=1e-3)
    gan.generator_step(next(stream(gan)), 1.0)
    gan.discriminator_step(next(stream(gan)), 1.0)
    for module in (gan.generator, gan.discriminator):
        gradients = [p.grad.flatten() for p in module.parameters() if p.grad is not None]
        assert torch.cat(gradients).norm().item() == pytest.approx(1e-3, rel=1e-3)


def test_wasserstein_with_clipping_and_with_a_penalty() -> None:
    gan = small_gan(loss="wasserstein", weight_clip=0.01)
    gan.discriminator_step(next(stream(gan)), 1.0)
    assert max(parameter.abs().max().item() for parameter in gan.discriminator.parameters()) <= 0.01
    penalised = small_gan(loss="wasserstein", gradient_penalty=1e3, d_lr=3e-3)
    batches = stream(penalised)
    assert sum(penalised.discriminator_step(next(batches), 1.0)["d_loss"].item() for _ in range(3)) > 30
    losses = [penalised.discriminator_step(next(batches), 1.0)["d_loss"].item() for _ in range(300)]
    assert sum(losses[-20:]) / 20 < 150  # a slope within .4 of 1


def test_contradictions_are_refused() -> None:
    with pytest.raises(ValueError, match="representations must divide d_embedding_dim, got 7 and 64"):
        RelGAN.Config(representations=7)
    with pytest.raises(ValueError, match="anneal_horizon must be at least iterations, got 2000 and 3000"):
        RelGAN.Config(anneal_horizon=2_000)


@pytest.mark.parametrize("generator", ["memory", "lstm"])
def test_the_generator_learns_from_the_discriminator_alone(generator: str) -> None:
    """Real sentences are of one word; without pre-training the generator comes to write it."""
    spec = SequenceSpec(vocab_size=6, max_len=4, bos_id=0, pad_id=None, eos_id=None)
    gan = small_gan(spec, generator=generator, batch_size=32, g_lr=3e-3, d_lr=1e-3)
    batches = itertools.repeat(torch.full((32, 4), 5))
    before = (gan.sample(500) == 5).float().mean()
    for _ in range(80):
        gan.generator_step(next(batches), 1.0)
        gan.discriminator_step(next(batches), 1.0)
    assert (gan.sample(500) == 5).float().mean() > before + 0.5
