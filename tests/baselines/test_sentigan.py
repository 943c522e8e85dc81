"""SentiGAN's penalties, gradients, kinds and mixture against slow, obvious implementations of its equations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from helpers.parameters import copies, unchanged
from torch import Tensor, nn

from baselines.common.networks.cnn import CNNClassifier
from baselines.common.networks.lstm import LSTMLanguageModel
from baselines.common.spec import SequenceSpec
from baselines.common.training.optimizer import RMSProp, update
from baselines.sentigan import SentiGAN

TASK = SequenceSpec(vocab_size=12, max_len=5, bos_id=0, pad_id=None, eos_id=None)
ENDING = SequenceSpec(vocab_size=6, max_len=5, bos_id=1, pad_id=2, eos_id=3)


def gan(spec: SequenceSpec = TASK, **settings: Any) -> SentiGAN:
    torch.manual_seed(0)
    defaults: dict[str, Any] = {"batch_size": 4, "pool_batches": 3, "d_pretrain_steps": 18, "mle_steps": 2}
    return SentiGAN(SentiGAN.Config(**{**defaults, "iterations": 2, "d_steps": 5, "rollouts": 2, **settings}), spec)


def generator_of(model: SentiGAN, i: int = 0) -> LSTMLanguageModel:
    found = model.generators[i]
    assert isinstance(found, LSTMLanguageModel)
    return found


def stream(size: int) -> Iterator[Tensor]:
    """Rows of even number hold words 1 to 4, the others words 5 to 8; each batch is another."""
    random = torch.Generator().manual_seed(1)
    while True:
        yield torch.randint(1, 5, (size, TASK.max_len), generator=random) + 4 * (torch.arange(size) % 2)[:, None]


def test_released_numbers_of_steps() -> None:
    settings = SentiGAN.Config()
    phases = SentiGAN(settings, TASK).phases()
    assert [(phase.name, phase.steps) for phase in phases] == [
        ("mle", 120 * 156),
        ("discriminator", 10 * 3 * 312),
        ("adversarial", 350 * (1 + 3 * 312)),
    ]
    assert (settings.generators, settings.rollouts, settings.penalised, settings.d_l2) == (1, 16, "released", 0.2)


def test_settings_reach_what_they_are_of(monkeypatch: pytest.MonkeyPatch) -> None:
    model = gan(lr=0.03, d_lr=0.007, d_keep=0.6, d_embedding_dim=10, embedding_dim=6, hidden_dim=7, rollouts=3)
    kinds = {"mle_0": torch.optim.Adam, "generator_0": RMSProp, "discriminator": torch.optim.Adam}
    assert model.optimizers.keys() == kinds.keys()
    assert all(isinstance(model.optimizers[name], kind) for name, kind in kinds.items())
    rates = {name: float(optimizer.param_groups[0]["lr"]) for name, optimizer in model.optimizers.items()}
    assert rates == pytest.approx({"mle_0": 0.03, "generator_0": 0.03, "discriminator": 0.007})
    assert (model.discriminator.drop, model.discriminator.embedding.embedding_dim) == (pytest.approx(0.4), 10)
    assert (generator_of(model).embedding.embedding_dim, model.discriminator.gate.in_features) == (6, 900)
    asked = []

    def rewards(_: object, tokens: Tensor, __: object, n: int, ___: object) -> Tensor:
        asked.append(n)
        return torch.zeros(tokens.shape)

    monkeypatch.setattr("baselines.sentigan.rollout_rewards", rewards)
    model.generator_step()
    assert asked == [3]


def test_the_pool_is_as_the_settings_say() -> None:
    """More real sentences than generated ones, and other batches in each pass."""
    model, batches = gan(pool_real=2, pool_order="shuffled", pool_epochs=2), stream(4)
    model.discriminator_step(batches)
    assert (int((model.pool.real > 0).sum()), int((model.pool.real == 0).sum())) == (2 * 3 * 4, 3 * 4)
    before = model.pool.tokens.clone()
    for _ in range(9):
        model.discriminator_step(batches)
    assert not torch.equal(model.pool.tokens, before)
    assert sorted(model.pool.tokens.tolist()) == sorted(before.tolist())


def test_generators_start_as_the_released_codes_and_have_no_bias_on_words() -> None:
    torch.manual_seed(0)
    spec = SequenceSpec(vocab_size=500, max_len=5, bos_id=0, pad_id=None, eos_id=None)
    g = generator_of(SentiGAN(SentiGAN.Config(embedding_dim=20, hidden_dim=24), spec))
    limit = math.sqrt(6 / (20 + 24 + 4 * 24))
    for name in ("weight_ih_l0", "weight_hh_l0"):
        assert 0.95 * limit < g.lstm.get_parameter(name).abs().max() <= limit
    bias = g.lstm.get_parameter("bias_ih_l0")
    assert bias.view(4, 24).sum(1).tolist() == [0, 24, 0, 0]
    assert not g.output.bias.any()
    assert not g.output.bias.requires_grad
    assert 0.95 < g.output.weight.abs().max() / math.sqrt(6 / 524) <= 1


def test_penalties_are_one_minus_the_probability_of_the_own_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equation 3: by its own class, for the roll-outs of its own generator; 0 after the end token."""
    model = gan(ENDING, generators=2)
    tokens = torch.tensor([[4, 5, 3, 2, 2], [0, 1, 4, 4, 5]])
    inside = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    asked: list[Any] = []

    def fake(generator: Any, rows: Tensor, score: Any, n: int, completions: Any) -> Tensor:
        asked.append(generator)
        probability = model.discriminator(rows, dropout=False).softmax(1)
        torch.testing.assert_close(score(rows), probability[:, len(asked)])
        torch.testing.assert_close(completions(rows[None], 1).squeeze(0), probability[:, len(asked)])
        assert n == 2
        return 0.25 * inside

    monkeypatch.setattr("baselines.sentigan.rollout_rewards", fake)
    for i in range(2):
        assert torch.equal(model.penalties(i, tokens), 0.75 * inside)
    assert [asked[0] is model.generators[0], asked[1] is model.generators[1]] == [True, True]


@pytest.mark.parametrize("spec", [TASK, ENDING], ids=["fixed", "ending"])
@pytest.mark.parametrize("penalised", ["released", "drawn"])
@pytest.mark.parametrize("clip", [1e9, 1e-2])
def test_gradient_is_that_of_probabilities_times_penalties(
    spec: SequenceSpec, penalised: str, clip: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equation 4 in float64, one token at a time, to the gradient after clipping."""
    model = gan(spec, penalised=penalised, clip_norm=clip).double()
    g = generator_of(model)
    tokens = torch.tensor([[4, 5, 3, 2, 2], [0, 1, 4, 4, 5], [3, 2, 2, 2, 2], [5, 5, 5, 3, 2]])
    lengths = [3, 5, 1, 4] if spec is ENDING else [5] * 4
    penalties = torch.rand(4, 5, dtype=torch.float64)
    for b, length in enumerate(lengths):
        penalties[b, length:] = 0
    loss = torch.zeros((), dtype=torch.float64)
    for b, length in enumerate(lengths):
        for t in range(length):
            read = [spec.bos_id, *tokens[b, :t].tolist()]
            word = int(tokens[b, t]) if penalised == "drawn" else read[-1]
            hidden = g.lstm(g.embedding(torch.tensor([read])))[0][0, -1]
            loss = loss + penalties[b, t] * g.output(hidden).softmax(0)[word]
    trained = [p for p in g.parameters() if p.requires_grad]
    expected = torch.autograd.grad(loss, trained)
    norm = torch.cat([gradient.flatten() for gradient in expected]).norm().item()
    monkeypatch.setattr(g, "sample", lambda _: tokens)
    monkeypatch.setattr(model, "penalties", lambda *_: penalties)
    values = model.generator_step()
    assert values["g_loss"].item() == pytest.approx(loss.item(), abs=1e-9)
    assert values["penalty"].item() == pytest.approx(penalties.sum().item() / sum(lengths))
    for parameter, gradient in zip(trained, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient * min(1.0, clip / norm), rtol=1e-5, atol=1e-10)


def test_rmsprop_is_tensorflows() -> None:
    """The mean square starts at 1, epsilon is inside the root, and what has no gradient keeps its mean."""
    layer = nn.Linear(3, 1, bias=False).double()
    start = layer.weight.detach().clone().flatten().tolist()
    optimizer = RMSProp(layer, 0.1)
    means, expected = [1.0] * 3, list(start)
    for step in range(1, 30):
        inputs = torch.tensor([[0.01, 2.0 * step, 0.0 if step % 2 else 1.0]], dtype=torch.float64)
        update(optimizer, layer(inputs).sum())
        for i, gradient in enumerate(inputs.flatten().tolist()):
            if gradient:
                means[i] = 0.9 * means[i] + 0.1 * gradient**2
                expected[i] -= 0.1 * gradient / math.sqrt(means[i] + 1e-10)
    assert layer.weight.flatten().tolist() == pytest.approx(expected, abs=1e-12)


def test_the_discriminator_has_a_class_for_each_kind_and_one_for_generated() -> None:
    """Equation 2 and one-sided smoothing, which moves probability from the sentence's own kind to generated."""
    torch.manual_seed(0)
    for smoothing in (0.0, 0.2):
        d = CNNClassifier(TASK, embedding_dim=6, kinds=2, label_smoothing=smoothing).double()
        assert d.output.out_features == 3
        logits = torch.randn(5, 3, dtype=torch.float64)
        labels = [0, 1, 2, 2, 0]
        rows = logits.log_softmax(1).tolist()
        each = [
            -row[0] if k == 0 else -(1 - smoothing) * row[k] - smoothing * row[0]
            for row, k in zip(rows, labels, strict=True)
        ]
        weights = d.output.weight.square().sum().item() + d.output.bias.square().sum().item()
        got = d.loss(logits, torch.tensor(labels), l2=0.2).item()
        assert got == pytest.approx(sum(each) / 5 + 0.1 * weights, abs=1e-9)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_real_sentences_are_dealt_to_the_kinds_as_in_pretraining(k: int) -> None:
    model = gan(generators=k)
    batches, upstream = stream(4), stream(4)
    model.discriminator_step(batches)
    kinds = {tuple(row): b % k + 1 for _ in range(3) for b, row in enumerate(next(upstream).tolist())}
    labels = dict(zip(map(tuple, model.pool.tokens.tolist()), model.pool.real.tolist(), strict=True))
    assert {row: label for row, label in labels.items() if label} == kinds
    assert (model.pool.real == 0).sum() == 12
    assert [(model.pool.real == kind + 1).sum() for kind in range(k)] == [12 // k] * k


def test_each_generator_learns_sentences_of_its_kind() -> None:
    model = gan(generators=2, batch_size=8)
    batches = stream(8)
    for _ in range(150):
        model.mle_step(batches)
    low, high = (model.generators[i].sample(200) for i in range(2))
    assert ((low > 0) & (low < 5)).float().mean() > 0.9
    assert ((high > 4) & (high < 9)).float().mean() > 0.9
    mixed = model.sample(201)
    share = (mixed[:, 0] < 5).float().mean()
    assert 0.4 < share < 0.6
    assert (mixed[:100, 0] < 5).float().mean() < 0.8  # in a random order


def test_pretraining_of_one_generator_is_the_mean_over_tokens() -> None:
    model = gan(ENDING)
    rows = torch.tensor([[4, 3, 2, 2, 2], [5, 4, 5, 4, 5], [0, 4, 3, 2, 2], [3, 2, 2, 2, 2]])
    expected = -model.log_prob(rows).sum().item() / (2 + 5 + 3 + 1)
    assert model.mle_step(iter([rows]))["nll"].item() == pytest.approx(expected, abs=1e-5)


def test_the_likelihood_is_that_of_the_mixture() -> None:
    model = gan(generators=2).double()
    with torch.no_grad():
        for generator in model.generators:
            for parameter in generator.parameters():
                parameter.mul_(3)
    rows = torch.randint(12, (6, 5))
    each = [[g.log_prob(rows[b : b + 1]).item() for g in map(model.generators.__getitem__, (0, 1))] for b in range(6)]
    assert max(abs(a - b) for a, b in each) > 0.1
    expected = [math.log((math.exp(a) + math.exp(b)) / 2) for a, b in each]
    assert model.log_prob(rows).tolist() == pytest.approx(expected, abs=1e-9)


def test_a_round_moves_every_generator_and_then_the_discriminator() -> None:
    model = gan(generators=2, d_steps=2)
    batches, step = stream(4), model.phases()[2].step
    for _ in range(2):
        before = [copies(g) for g in model.generators], copies(model.discriminator)
        assert "penalty" in step(batches)
        assert all(not unchanged(g, b) for g, b in zip(model.generators, before[0], strict=True))
        assert unchanged(model.discriminator, before[1])
        for _ in range(2):
            before = [copies(g) for g in model.generators], copies(model.discriminator)
            assert "d_loss" in step(batches)
            assert all(unchanged(g, b) for g, b in zip(model.generators, before[0], strict=True))
            assert not unchanged(model.discriminator, before[1])
    assert not model.optimizers["mle_0"].state
    assert model.optimizers["generator_1"].state


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"generators": 3}, "generators must divide batch_size, got 3 and 64"),
        ({"feature_matching": 1.0}, "leave it at 0, got 1.0"),
        ({"generators": 2, "gradient_penalty": 1.0}, "set generators to 1 or gradient_penalty to 0"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        SentiGAN.Config(**settings)


@pytest.mark.parametrize("penalised", ["drawn", "released"])
def test_the_generator_turns_away_from_what_is_penalised(penalised: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Word 5 alone costs nothing. As released, what falls is the chance that the word before comes again."""
    torch.manual_seed(0)
    spec = SequenceSpec(vocab_size=6, max_len=4, bos_id=0, pad_id=None, eos_id=None)
    model = SentiGAN(SentiGAN.Config(batch_size=64, penalised=penalised), spec)
    monkeypatch.setattr(model, "penalties", lambda _, tokens: (tokens != 5).float())
    for _ in range(150):
        model.generator_step()
    sample = model.sample(1_000)
    if penalised == "drawn":
        assert (sample == 5).float().mean() > 0.6
    else:
        repeated = torch.nn.functional.pad(sample, (1, 0), value=0)
        assert (repeated[:, 1:] == repeated[:, :-1]).float().mean() < 0.05
