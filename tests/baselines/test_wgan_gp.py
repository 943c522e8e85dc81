"""WGAN-GP against slow, obvious implementations: networks, penalty, losses, who learns from whom and when."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from helpers.parameters import copies, unchanged
from torch import Tensor, nn

from baselines.common.interface import HasLogProb
from baselines.common.networks.residual_conv import ConvCritic, ConvGenerator, ResidualBlock
from baselines.common.spec import SequenceSpec
from baselines.common.training.penalties import gradient_penalty
from baselines.wgan_gp import WGANGP

FIXED = SequenceSpec(vocab_size=6, max_len=7, bos_id=0, pad_id=None, eos_id=None)
ENDING = SequenceSpec(vocab_size=6, max_len=5, bos_id=1, pad_id=2, eos_id=3)


def gan(spec: SequenceSpec = FIXED, **settings: Any) -> WGANGP:
    torch.manual_seed(0)
    defaults: dict[str, Any] = {"batch_size": 4, "dim": 6, "blocks": 2, "noise_dim": 3, "critic_steps": 3}
    return WGANGP(WGANGP.Config(**{**defaults, "iterations": 3, **settings}), spec)


def stream(model: WGANGP) -> Iterator[Tensor]:
    random, spec = torch.Generator().manual_seed(1), model.spec
    while True:
        yield torch.randint(spec.vocab_size, (model.config.batch_size, spec.max_len), generator=random)


def with_biases(module: nn.Module) -> nn.Module:
    """Biases start at 0, which would hide one that is left out."""
    for parameter in module.parameters():
        if parameter.dim() == 1 and parameter.requires_grad:
            nn.init.normal_(parameter)
    return module


def conv_by_hand(conv: nn.Conv1d, x: Tensor) -> Tensor:
    """(E, T) -> (E', T): the sum over a window that is centred, zeros outside."""
    weight, bias = conv.weight, conv.bias
    half, length = weight.shape[2] // 2, x.shape[1]
    columns = []
    for t in range(length):
        total = bias
        for k in range(weight.shape[2]):
            if 0 <= t + k - half < length:
                total = total + weight[:, :, k] @ x[:, t + k - half]
        columns.append(total)
    return torch.stack(columns, 1)


def block_by_hand(block: ResidualBlock, x: Tensor) -> Tensor:
    change = conv_by_hand(block.second, conv_by_hand(block.first, x.clamp(min=0)).clamp(min=0))
    return x + 0.3 * change


def score_by_hand(critic: ConvCritic, sentence: Tensor) -> Tensor:
    """(T, V) -> a number."""
    x = conv_by_hand(critic.input, sentence.t())
    for block in critic.blocks:
        x = block_by_hand(block, x)
    dim, length = x.shape
    return sum(critic.output.weight[0, e * length + t] * x[e, t] for e in range(dim) for t in range(length))


def sentence_by_hand(generator: ConvGenerator, noise: Tensor) -> Tensor:
    """(noise_dim,) -> (T, V)."""
    flat = generator.input.weight @ noise + generator.input.bias
    x = torch.stack(flat.split(len(flat) // generator.dim))  # a channel's positions are neighbours
    for block in generator.blocks:
        x = block_by_hand(block, x)
    odds = conv_by_hand(generator.output, x).exp()
    return (odds / odds.sum(0)).t()


def test_networks() -> None:
    """Equation 3, one position and one tap at a time."""
    model = gan().double()
    generator, critic = with_biases(model.generator), with_biases(model.critic)
    noise = torch.randn(3, 3, dtype=torch.float64)
    sentences = generator(noise)
    assert sentences.shape == (3, FIXED.max_len, FIXED.vocab_size)
    for z, sentence in zip(noise, sentences, strict=True):
        torch.testing.assert_close(sentence, sentence_by_hand(generator, z), rtol=0, atol=1e-12)
    scores = critic(sentences)
    assert scores.shape == (3,)
    torch.testing.assert_close(scores, torch.stack([score_by_hand(critic, s) for s in sentences]), rtol=0, atol=1e-12)


def test_released_sizes_and_initial_values() -> None:
    settings = WGANGP.Config()
    assert (settings.dim, settings.blocks, settings.noise_dim, settings.gradient_penalty) == (512, 5, 128, 10)
    assert (settings.critic_steps, settings.batch_size, settings.shuffle) == (10, 64, True)
    model = gan(dim=64, blocks=5, noise_dim=32)
    assert [(p.name, p.steps) for p in model.phases()] == [("adversarial", 3 * 3 + 2)]
    for optimizer in model.optimizers.values():
        assert (optimizer.defaults["lr"], optimizer.defaults["betas"]) == (1e-4, (0.5, 0.9))
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv1d)]
    assert len(convolutions) == 2 * (5 * 2 + 1)
    for conv in convolutions:
        fans = (conv.in_channels + conv.out_channels) * conv.kernel_size[0]
        assert conv.weight.abs().max().item() == pytest.approx(math.sqrt(3 * 4 / fans), rel=0.05)
        assert not conv.bias.any()
    for linear in (model.generator.input, model.critic.output):
        fans = linear.in_features + linear.out_features
        assert linear.weight.abs().max().item() == pytest.approx(math.sqrt(3 * 2 / fans), rel=0.05)


@pytest.mark.parametrize("norm", [0.25, 1.0, 3.0])
def test_penalty_of_a_linear_critic(norm: float) -> None:
    """Closed form: its slope is its weight everywhere, over time and words together."""
    weight = torch.randn(4, 5, dtype=torch.float64)
    weight *= norm / weight.square().sum().sqrt()
    weight.requires_grad_()
    real, generated = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    penalty = gradient_penalty(lambda x: (x * weight).sum((1, 2)), real, generated)
    assert penalty.item() == pytest.approx((norm - 1) ** 2, abs=1e-12)
    (slope,) = torch.autograd.grad(penalty, weight)
    torch.testing.assert_close(slope, 2 * (norm - 1) * weight.detach() / norm, rtol=0, atol=1e-10)


def test_penalty_is_taken_between_pairs_at_one_point_per_row() -> None:
    """Closed form: |x|^2 / 2 has the slope x, so the points themselves are seen."""
    real, generated = torch.rand(2, 6, 4, 5, dtype=torch.float64)
    torch.manual_seed(3)
    got = gradient_penalty(lambda x: x.square().sum((1, 2)) / 2, real, generated)
    torch.manual_seed(3)
    shares = torch.rand(6, 1, 1, dtype=torch.float64).flatten().tolist()
    assert len(set(shares)) == 6
    rows = zip(shares, real, generated, strict=True)
    expected = [((a * g + (1 - a) * r).square().sum().sqrt() - 1) ** 2 for a, r, g in rows]
    assert got.item() == pytest.approx(sum(expected).item() / 6, abs=1e-12)


def test_penalty_of_a_constant_critic_is_1_and_gives_no_nan() -> None:
    weight = torch.zeros(4, 5, requires_grad=True)
    penalty = gradient_penalty(lambda x: (x * weight).sum((1, 2)), torch.rand(3, 4, 5), torch.rand(3, 4, 5))
    assert penalty.item() == 1
    assert torch.autograd.grad(penalty, weight)[0].isfinite().all()


def test_gradient_of_the_penalty_by_finite_differences() -> None:
    """In float64, for the real critic, with the slope itself by finite differences too."""
    model = gan().double()
    critic = with_biases(model.critic)
    real, generated = torch.rand(2, 2, FIXED.max_len, FIXED.vocab_size, dtype=torch.float64)

    def slow() -> float:
        torch.manual_seed(3)
        between = real + torch.rand(2, 1, 1, dtype=torch.float64) * (generated - real)
        total = 0.0
        for row in between:
            moves = 1e-5 * torch.eye(row.numel(), dtype=torch.float64).view(-1, *row.shape)
            with torch.no_grad():  # exact for a piecewise linear critic, away from its kinks
                slope = (critic(row + moves) - critic(row - moves)) / 2e-5
            total += (slope.square().sum().sqrt().item() - 1) ** 2 / 2
        return total

    torch.manual_seed(3)
    penalty = gradient_penalty(critic, real, generated)
    assert penalty.item() == pytest.approx(slow(), rel=1e-7)
    penalty.backward()
    random = torch.Generator().manual_seed(0)
    checked = 0
    for parameter in critic.parameters():
        if parameter.dim() == 1:
            continue  # the slope depends on a bias only where a unit switches
        for index in torch.randint(parameter.numel(), (3,), generator=random).tolist():
            entry = parameter.data.view(-1)[index : index + 1]
            was, values = entry.clone(), []
            for step in (1e-4, -1e-4):
                entry.copy_(was + step)
                values.append(slow())
            entry.copy_(was)
            expected = (values[0] - values[1]) / 2e-4
            assert parameter.grad.view(-1)[index].item() == pytest.approx(expected, rel=1e-3, abs=1e-6)
            checked += abs(expected) > 1e-4
    assert checked > 5


def test_gradient_of_the_critic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equation 1 in float64, sentence by sentence, with the networks by hand."""
    model = gan(batch_size=2).double()
    generator, critic = with_biases(model.generator), with_biases(model.critic)
    noise = torch.randn(2, 3, dtype=torch.float64)
    monkeypatch.setattr(model, "_noise", lambda n: noise[:n])
    tokens = next(stream(model))
    torch.manual_seed(3)
    shares = torch.rand(2, 1, 1, dtype=torch.float64)
    loss = torch.zeros((), dtype=torch.float64)
    for row, z, share in zip(tokens.tolist(), noise, shares, strict=True):
        generated = sentence_by_hand(generator, z).detach()
        real = torch.zeros_like(generated)
        for t, word in enumerate(row):
            real[t, word] = 1
        between = (share[0] * generated + (1 - share[0]) * real).requires_grad_()
        (slope,) = torch.autograd.grad(score_by_hand(critic, between), between, create_graph=True)
        penalty = (slope.square().sum().sqrt() - 1) ** 2
        loss = loss + (score_by_hand(critic, generated) - score_by_hand(critic, real) + 10 * penalty) / 2
    trained = [p for p in critic.parameters() if p.requires_grad]
    expected = torch.autograd.grad(loss, trained)
    torch.manual_seed(3)
    values = model.critic_step(tokens)
    assert values["critic_loss"].item() == pytest.approx(loss.item(), abs=1e-10)
    assert (10 * values["penalty"] - values["distance"]).item() == pytest.approx(loss.item(), abs=1e-10)
    for parameter, gradient in zip(trained, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-7, atol=1e-10)
    assert all(p.grad is None for p in generator.parameters())


def test_gradient_of_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equation 2 in float64."""
    model = gan(batch_size=2).double()
    generator, critic = with_biases(model.generator), with_biases(model.critic)
    noise = torch.randn(2, 3, dtype=torch.float64)
    monkeypatch.setattr(model, "_noise", lambda n: noise[:n])
    loss = -sum(score_by_hand(critic, sentence_by_hand(generator, z)) for z in noise) / 2
    expected = torch.autograd.grad(loss, list(generator.parameters()))
    assert model.generator_step(stream(model))["g_loss"].item() == pytest.approx(loss.item(), abs=1e-10)
    for parameter, gradient in zip(generator.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-7, atol=1e-10)
    assert all(p.grad is None for p in critic.parameters())


def test_order_of_updates() -> None:
    """Iteration 0 trains the critic alone; one side moves per step; each critic update has a batch of its own."""
    model = gan()
    taken = 0

    def counting() -> Iterator[Tensor]:
        nonlocal taken
        for batch in stream(model):
            taken += 1
            yield batch

    batches, (phase,) = counting(), model.phases()
    order = ""
    for _ in range(phase.steps):
        generator, critic, before = copies(model.generator), copies(model.critic), taken
        phase.step(batches)
        moved = (not unchanged(model.generator, generator), not unchanged(model.critic, critic))
        assert moved in ((True, False), (False, True))
        assert taken - before == moved[1]
        order += "g" if moved[0] else "c"
    assert order == "cccgcccgccc"


def test_samples_are_the_most_likely_words_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    model = gan(ENDING)
    torch.manual_seed(4)
    samples = model.sample(300)  # more than are generated at once
    torch.manual_seed(4)
    rows = model.generator(torch.randn(300, 3)).argmax(2).tolist()
    expected = [row[: row.index(3) + 1] + [2] * (4 - row.index(3)) if 3 in row else row for row in rows]
    assert samples.tolist() == expected
    assert expected != rows
    assert not isinstance(model, HasLogProb)
    for temperature in (0.5, 0.0):
        with pytest.raises(ValueError, match="wgan_gp has no temperature"):
            model.sample(2, temperature=temperature)


def test_learns_from_nothing() -> None:
    """Real sentences are one word, then its neighbour, and so on; the first word is free."""
    spec = SequenceSpec(vocab_size=5, max_len=4, bos_id=0, pad_id=None, eos_id=None)
    torch.manual_seed(0)
    config = WGANGP.Config(batch_size=32, dim=32, blocks=2, noise_dim=8, lr=1e-3, critic_steps=4, iterations=120)
    model = WGANGP(config, spec)

    def real() -> Iterator[Tensor]:
        while True:
            yield (torch.randint(5, (32, 1)) + torch.arange(4)) % 5

    def share() -> float:
        samples = model.sample(500)
        return ((samples[:, 1:] - samples[:, :-1]) % 5 == 1).all(1).float().mean().item()

    before, batches, (phase,) = share(), real(), model.phases()
    for _ in range(phase.steps):
        phase.step(batches)
    assert before < 0.2
    assert share() > 0.5
    assert len(model.sample(500)[:, 0].unique()) >= 4
