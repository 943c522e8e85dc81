"""MaliGAN's weights, gradients and schedules against slow, obvious implementations of its equations."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from helpers.parameters import copies, unchanged
from helpers.sentences import end, padded
from scipy.stats import chisquare
from torch import Tensor

from baselines.common.networks.cnn import FILTERS, TEXYGEN_FILTERS, CNNClassifier
from baselines.common.networks.lstm import LSTMLanguageModel
from baselines.common.spec import SequenceSpec
from baselines.maligan import MaliGAN

FIXED = SequenceSpec(vocab_size=12, max_len=5, bos_id=0, pad_id=None, eos_id=None)
ENDING = SequenceSpec(vocab_size=6, max_len=5, bos_id=1, pad_id=2, eos_id=3)
TINY = SequenceSpec(vocab_size=3, max_len=3, bos_id=0, pad_id=None, eos_id=None)


def gan(spec: SequenceSpec = FIXED, **settings: Any) -> MaliGAN:
    torch.manual_seed(0)
    defaults: dict[str, Any] = {"batch_size": 8, "mle_steps": 2, "d_pretrain_steps": 4, "iterations": 3}
    return MaliGAN(MaliGAN.Config(**{**defaults, "g_steps": 2, "d_steps": 3, **settings}), spec)


def stream(model: MaliGAN, seed: int = 1) -> Iterator[Tensor]:
    """Random rows, blanked after their end; each batch is another."""
    random, spec = torch.Generator().manual_seed(seed), model.spec
    while True:
        rows = torch.randint(spec.vocab_size, (model.config.batch_size, spec.max_len), generator=random).tolist()
        yield torch.tensor([padded(row, spec) for row in rows])


def log_p(model: LSTMLanguageModel, row: list[int], t: int) -> Tensor:
    """log G(x_t | x_<t), of one token, from the start."""
    prefix = torch.tensor([[model.spec.bos_id, *row[:t]]])
    return model.output(model.lstm(model.embedding(prefix))[0][0, -1]).log_softmax(0)[row[t]]


def gradients(loss: Tensor, model: LSTMLanguageModel, clip: float) -> list[Tensor]:
    """What is left in `.grad` after clipping."""
    found = torch.autograd.grad(loss, [p for p in model.parameters() if p.requires_grad])
    norm = torch.cat([gradient.flatten() for gradient in found]).norm().item()
    return [gradient * min(1.0, clip / norm) for gradient in found]


def assert_gradients(model: LSTMLanguageModel, expected: list[Tensor]) -> None:
    trained = [p for p in model.parameters() if p.requires_grad]
    for parameter, gradient in zip(trained, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-5, atol=1e-10)


def test_numbers_of_steps_of_texygen() -> None:
    phases = MaliGAN(MaliGAN.Config(), FIXED).phases()
    assert [(phase.name, phase.steps) for phase in phases] == [
        ("mle", 80 * 156),
        ("discriminator", 80 * 3),
        ("adversarial", 100 * (1 + 15 * 3)),
    ]
    settings = MaliGAN.Config()
    assert (settings.weight, settings.baseline, settings.prefix) == ("ratio", "mean", 0)


@pytest.mark.parametrize("weight", ["ratio", "probability"])
def test_weights(weight: str) -> None:
    """Equation 3, number by number; rows are normalised apart from each other; 0 and 1 are kept finite."""
    model = gan(weight=weight, epsilon=1e-3)
    d = torch.tensor([[0.5, 0.25, 0.9, 0.1], [0.0, 1.0, 0.2, 0.7], [0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    got = model.importance_weights(d)
    for row, weights in zip(d.tolist(), got.tolist(), strict=True):
        kept = [min(max(x, 1e-3), 1 - 1e-3) for x in row]
        raw = [x / (1 - x) if weight == "ratio" else x for x in kept]
        assert weights == pytest.approx([x / sum(raw) for x in raw], abs=1e-12)
    assert got[2].tolist() == pytest.approx([0.25] * 4)
    if weight == "ratio":
        assert (got[0, 2] / got[0, 0]).item() == pytest.approx(9)  # .9 / .1 against .5 / .5


def test_with_an_optimal_discriminator_the_loss_is_the_cross_entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed form: over all sentences once, with r = 7 p, b = 0, equation 4 is -E_p[log G]."""
    n = TINY.vocab_size**TINY.max_len
    model = gan(TINY, batch_size=n, baseline="annealed", clip_norm=1e9).double()
    rows = torch.tensor(list(itertools.product(range(3), repeat=3)))
    p = torch.rand(n, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    p /= p.sum()
    monkeypatch.setattr(model.generator, "sample", lambda _: rows)
    monkeypatch.setattr(model.discriminator, "score", lambda _: 7 * p / (1 + 7 * p))
    weighted = zip(rows.tolist(), p, strict=True)
    expected = sum(-w * log_p(model.generator, row, t) for row, w in weighted for t in range(3))
    wanted = gradients(expected, model.generator, 1e9)
    values = model.generator_step(0, stream(model))
    assert values["g_loss"].item() == pytest.approx(expected.item(), abs=1e-9)
    assert values["effective_samples"].item() == pytest.approx(1 / (p**2).sum().item())
    assert_gradients(model.generator, wanted)


@pytest.mark.parametrize("spec", [FIXED, ENDING], ids=["fixed", "ending"])
@pytest.mark.parametrize("clip", [1e9, 1e-2])
@pytest.mark.parametrize(("baseline", "round_number", "share"), [("mean", 0, 1.0), ("annealed", 1, 0.5)])
def test_gradient_of_the_generator(
    spec: SequenceSpec, clip: float, baseline: str, round_number: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equation 4 in float64, one token at a time, to the gradient after clipping."""
    model = gan(spec, baseline=baseline, clip_norm=clip).double()
    tokens = next(stream(model, 5))
    d = torch.rand(8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    total = sum((d / (1 - d)).tolist())
    loss = torch.zeros((), dtype=torch.float64)
    for row, x in zip(tokens.tolist(), d.tolist(), strict=True):
        for t in range(end(row, spec)):
            loss = loss - (x / (1 - x) / total - share / 8) * log_p(model.generator, row, t)
    wanted = gradients(loss, model.generator, clip)
    monkeypatch.setattr(model.generator, "sample", lambda _: tokens)
    monkeypatch.setattr(model.discriminator, "score", lambda _: d)
    values = model.generator_step(round_number, stream(model))
    assert values["g_loss"].item() == pytest.approx(loss.item(), abs=1e-9)
    assert_gradients(model.generator, wanted)


@pytest.mark.parametrize("weight", ["ratio", "probability"])
def test_gradient_of_mixed_training(weight: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equation 5 in float64: each prefix once, each completion with the weight among those of its own prefix."""
    n, m, given = 4, 3, 2
    model = gan(ENDING, batch_size=n * m, prefix=given, prefix_samples=m, clip_norm=1e9, weight=weight).double()
    seen: dict[str, Tensor] = {}
    d = torch.rand(n * m, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    sample = model.generator.sample

    def spying_sample(size: int, *, prefix: Tensor) -> Tensor:
        seen["prefix"], seen["tokens"] = prefix, sample(size, prefix=prefix)
        return seen["tokens"]

    monkeypatch.setattr(model.generator, "sample", spying_sample)
    monkeypatch.setattr(model.discriminator, "score", lambda _: d)
    before = {key: value.clone() for key, value in model.generator.state_dict().items()}
    values = model.generator_step(0, stream(model))

    real = next(stream(model))[:, :given].tolist()
    groups = seen["prefix"].view(n, m, given)
    assert (groups == groups[:, :1]).all()
    assert all(row in real for row in groups[:, 0].tolist())
    found = [p.grad.clone() for p in model.generator.parameters() if p.grad is not None]
    model.generator.load_state_dict(before)
    loss = torch.zeros((), dtype=torch.float64)
    rows = seen["tokens"].view(n, m, -1).tolist()
    assert len({tuple(row) for group in rows for row in group}) > n
    for i, group in enumerate(rows):
        kept = [x / (1 - x) if weight == "ratio" else x for x in d.view(n, m)[i].tolist()]
        loss = loss - sum(log_p(model.generator, group[0], t) for t in range(min(given, end(group[0], ENDING)))) / n
        for row, x in zip(group, kept, strict=True):
            for t in range(given, end(row, ENDING)):
                loss = loss - (x / sum(kept) - 1 / m) * log_p(model.generator, row, t) / n
    assert values["g_loss"].item() == pytest.approx(loss.item(), abs=1e-9)
    for ours, theirs in zip(found, gradients(loss, model.generator, 1e9), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-10)


def test_schedules() -> None:
    model = gan(prefix=4, prefix_decrease=3, prefix_rounds=2, prefix_samples=4, iterations=5)
    assert [model.prefix_length(i) for i in range(6)] == [4, 4, 1, 1, 0, 0]
    assert gan(prefix=30, prefix_samples=4).prefix_length(0) == FIXED.max_len
    assert gan().prefix_length(0) == 0
    assert [model.baseline_share(i) for i in range(5)] == [1] * 5
    annealed = gan(baseline="annealed", iterations=5)
    assert [annealed.baseline_share(i) for i in range(5)] == [0, 0.25, 0.5, 0.75, 1]


def test_a_round_is_generator_steps_then_discriminator_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    model = gan()
    order: list[str] = []
    monkeypatch.setattr(model, "generator_step", lambda number, _: order.append(f"g{number}"))
    monkeypatch.setattr(model, "discriminator_step", lambda _: order.append("d"))
    phase = model.phases()[2]
    assert phase.steps == 3 * (2 + 3)
    for _ in range(phase.steps):
        phase.step(stream(model))
    assert order == ["g0", "g0", "d", "d", "d", "g1", "g1", "d", "d", "d", "g2", "g2", "d", "d", "d"]


def test_real_sentences_are_read_only_where_a_prefix_is_kept() -> None:
    model = gan(prefix=2, prefix_decrease=2, prefix_rounds=1, prefix_samples=4)
    batches = stream(model)
    model.generator_step(0, batches)
    rest = next(stream_after(model, 1))
    assert torch.equal(next(batches), rest)
    model.generator_step(1, batches)
    assert torch.equal(next(batches), next(stream_after(model, 2)))


def stream_after(model: MaliGAN, taken: int) -> Iterator[Tensor]:
    batches = stream(model)
    for _ in range(taken):
        next(batches)
    return batches


@pytest.mark.parametrize("prefix", [0, 2])
def test_each_step_moves_its_own_side_with_its_own_optimiser(prefix: int) -> None:
    model = gan(prefix=prefix, prefix_samples=4)
    batches = stream(model)
    mle, adversarial, discriminator = (model.optimizers[key] for key in ("mle", "generator", "discriminator"))
    before_d = copies(model.discriminator)
    model.mle_step(batches)
    assert mle.state
    assert not adversarial.state
    before_g = copies(model.generator)
    model.generator_step(0, batches)
    assert unchanged(model.discriminator, before_d)
    assert not unchanged(model.generator, before_g)
    assert {int(state["step"]) for state in mle.state.values()} == {1}
    assert not discriminator.state
    before_g = copies(model.generator)
    model.discriminator_step(batches)
    assert unchanged(model.generator, before_g)
    assert not unchanged(model.discriminator, before_d)
    assert (mle.param_groups[0]["lr"], adversarial.param_groups[0]["lr"]) == (1e-2, 1e-2)
    assert discriminator.param_groups[0]["lr"] == 1e-4


def test_scores_are_without_dropout_and_training_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    model = gan(d_keep=0.5)
    used: list[bool] = []
    forward = model.discriminator.forward

    def spying(tokens: Tensor, *, dropout: bool) -> Tensor:
        used.append(dropout)
        return forward(tokens, dropout=dropout)

    monkeypatch.setattr(model.discriminator, "forward", spying)
    model.generator_step(0, stream(model))
    model.discriminator_step(stream(model))
    assert used == [False, True]


def test_the_discriminator_has_the_filters_asked_for() -> None:
    spec = SequenceSpec(vocab_size=9, max_len=20, bos_id=0, pad_id=None, eos_id=None)
    sizes = {name: gan(spec, d_filters=name).discriminator for name in ("texygen", "seqgan")}
    assert [tuple(f.shape) for f in sizes["texygen"].filters] == [(100, 32, 2), (200, 32, 3)]
    assert {f.shape[2]: f.shape[0] for f in sizes["seqgan"].filters} == FILTERS
    assert CNNClassifier(spec).gate.in_features == 1_720
    one_word = SequenceSpec(vocab_size=9, max_len=1, bos_id=0, pad_id=None, eos_id=None)
    assert [f.shape[2] for f in CNNClassifier(one_word, filters=TEXYGEN_FILTERS).filters] == [1]


@pytest.mark.parametrize(("name", "settings"), [("batch_size", {}), ("prefix_samples", {"prefix": 1})])
def test_a_share_of_one_sample_is_refused(name: str, settings: dict[str, Any]) -> None:
    """It is 1 whatever the discriminator says."""
    with pytest.raises(ValueError, match=f"{name} must be at least 2, got 1"):
        gan(**{name: 1}, **settings)


def test_prefixes_must_fill_a_batch() -> None:
    with pytest.raises(ValueError, match="prefix_samples must divide batch_size, got 3 and 8"):
        gan(prefix=1, prefix_samples=3)


def test_completions_have_the_conditional_distribution() -> None:
    """The language model continues a given beginning as it would its own, and none gives the same bits as before."""
    torch.manual_seed(0)
    model = LSTMLanguageModel(ENDING, embedding_dim=4, hidden_dim=6)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(10)
    n = 20_000
    begin = torch.tensor([[4, 0]]).expand(n, -1)
    rows = {tuple(padded([4, 0, *rest], ENDING)) for rest in itertools.product(range(6), repeat=3)}
    sentences = torch.tensor(sorted(rows))
    p = model.log_prob(sentences).double().softmax(0)
    drawn = model.sample(n, prefix=begin)
    found, counts = torch.cat([sentences, drawn]).unique(dim=0, return_counts=True)
    assert torch.equal(found, sentences)
    likely = p * n >= 5
    observed = torch.cat([(counts - 1)[likely], (counts - 1)[~likely].sum()[None]]).double()
    expected = torch.cat([p[likely], p[~likely].sum()[None]]) * n
    assert chisquare(observed, expected * n / expected.sum()).pvalue > 1e-3
    ended = model.sample(5, prefix=torch.tensor([[3, 2]]).expand(5, -1))
    assert ended.tolist() == [[3, 2, 2, 2, 2]] * 5
    torch.manual_seed(1)
    plain = model.sample(50)
    torch.manual_seed(1)
    assert torch.equal(model.sample(50, prefix=plain[:, :0]), plain)


@pytest.mark.parametrize("weight", ["ratio", "probability"])
def test_the_generator_follows_the_discriminator(weight: str) -> None:
    """Real sentences are of one word; what is generated is not. The generator is taught by the scores alone."""
    torch.manual_seed(0)
    spec = SequenceSpec(vocab_size=6, max_len=4, bos_id=0, pad_id=None, eos_id=None)
    model = MaliGAN(MaliGAN.Config(batch_size=32, d_lr=1e-3, weight=weight), spec)
    batches = itertools.repeat(torch.full((32, 4), 5))
    accuracy = torch.stack([model.discriminator_step(batches)["d_accuracy"] for _ in range(48)])
    assert accuracy[-16:].mean() > 0.95
    before = (model.sample(500) == 5).float().mean()
    for _ in range(60):
        model.generator_step(0, batches)
    assert (model.sample(500) == 5).float().mean() > before + 0.5
