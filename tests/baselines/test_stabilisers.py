"""The stabilisers by themselves, against slow, obvious implementations and closed forms in float64."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines.common.networks.cnn import CNNClassifier
from baselines.common.networks.lstm import LSTMLanguageModel
from baselines.common.networks.multi_cnn import MultiRepresentationCNN
from baselines.common.networks.normalisation import BatchNorm, Norm, SpectralNorm
from baselines.common.networks.residual_conv import ConvCritic
from baselines.common.spec import SequenceSpec
from baselines.common.training.averages import Histories, WeightAverage
from baselines.common.training.losses import LOSSES, smooth_labels
from baselines.common.training.optimizer import adam, update
from baselines.common.training.penalties import feature_distance, matching_rewards, slope_penalty
from baselines.common.training.state import Counter
from baselines.leakgan.features import PrefixReader

SPEC = SequenceSpec(vocab_size=7, max_len=5, bos_id=0, pad_id=None, eos_id=None)
FILTERS = {1: 3, 2: 4, 5: 2}


def classifier(**settings: Any) -> CNNClassifier:
    torch.manual_seed(0)
    return CNNClassifier(SPEC, **{"embedding_dim": 4, "keep": 1.0, "filters": FILTERS, **settings}).double()


def discriminator(name: str, norm: Norm) -> nn.Module:
    torch.manual_seed(0)
    if name == "classifier":
        return CNNClassifier(SPEC, embedding_dim=4, keep=1.0, filters=FILTERS, norm=norm).double()
    if name == "many":
        settings = {"embedding_dim": 4, "representations": 2, "filters": 3, "hidden_dim": 4}
        return MultiRepresentationCNN(SPEC, **settings, keep=1.0, norm=norm).double()
    return ConvCritic(SPEC, dim=4, blocks=2, norm=norm).double()


def logits(model: nn.Module, tokens: Tensor) -> Tensor:
    if isinstance(model, CNNClassifier):
        return model(tokens, dropout=True)
    if isinstance(model, MultiRepresentationCNN):
        return model(model.embed(tokens), dropout=True)
    return model(nn.functional.one_hot(tokens, SPEC.vocab_size).double())


def weights_of(model: nn.Module) -> list[Tensor]:
    """The weights of every convolution and linear layer as they are used; there is no parameter of them left out."""
    found = []
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d):
            found.append(layer.weight)
        elif isinstance(layer, nn.ParameterList):
            found += [weight for weight in layer if weight.dim() > 1]
    return found


DISCRIMINATORS = {"classifier": 6, "many": 8, "critic": 6}
"""With how many weights: filters and layers."""


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_spectral_norm(name: str) -> None:
    """The largest singular value of every weight is 1, also after updates; embeddings and biases are as they were."""
    model, plain = discriminator(name, "spectral"), discriminator(name, "none")
    optimizer = adam(model, 1e-2)
    names = {key for key, _ in plain.named_parameters()}
    assert {
        key.replace("parametrizations.", "").removesuffix(".original") for key, _ in model.named_parameters()
    } == names
    tokens = torch.randint(7, (6, 5))
    for _ in range(50):
        update(optimizer, logits(model, tokens).square().mean())
    assert len(weights_of(model)) == DISCRIMINATORS[name]
    for weight in weights_of(model):
        matrix = weight.detach().reshape(len(weight), -1)
        assert torch.linalg.svdvals(matrix)[0].item() == pytest.approx(1, abs=0.02)


def test_spectral_norm_follows_updates_alone() -> None:
    """A score, a forward pass in any mode, a step of another optimiser: none of them moves an estimate."""
    model = classifier(norm="spectral")
    other, optimizer = adam(nn.Linear(2, 2), 1e-2), adam(model, 1e-1)
    estimates = {key: value.clone() for key, value in model.named_buffers()}
    assert len(estimates) == 2 * DISCRIMINATORS["classifier"]
    tokens = torch.randint(7, (4, 5))
    for mode in (True, False):
        model.train(mode)
        model.score(tokens)
        model(tokens, dropout=True).sum().backward()
    other.step()
    assert all(torch.equal(value, estimates[key]) for key, value in model.named_buffers())
    update(optimizer, model(tokens, dropout=True)[:, 0].square().sum())
    moved = [key for key, value in model.named_buffers() if not torch.equal(value, estimates[key])]
    assert len(moved) >= len(estimates) - 2


def test_one_power_iteration_and_the_gradient() -> None:
    """sigma = u'Wv with v = W'u / |.|, u = Wv / |.|; dL/dW = (G - <G, W / sigma> uv') / sigma, u and v constants."""
    torch.manual_seed(0)
    weight = torch.randn(3, 2, 4, dtype=torch.float64, requires_grad=True)
    norm = SpectralNorm(weight.float()).double()
    u = torch.randn(3, dtype=torch.float64)
    norm.u.copy_(u)
    norm.iterate(weight)
    matrix = weight.detach().view(3, 8)
    v = matrix.t() @ u / (matrix.t() @ u).norm()
    u = matrix @ v / (matrix @ v).norm()
    sigma = u @ matrix @ v
    assert sigma < torch.linalg.svdvals(matrix)[0]  # one step is an estimate
    torch.testing.assert_close(norm(weight).detach().view(3, 8), matrix / sigma, rtol=0, atol=1e-12)
    slope = torch.randn(3, 2, 4, dtype=torch.float64)
    (got,) = torch.autograd.grad((norm(weight) * slope).sum(), weight)
    g = slope.view(3, 8)
    expected = (g - (g * matrix / sigma).sum() * torch.outer(u, v)) / sigma
    torch.testing.assert_close(got.view(3, 8), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_weight_norm(name: str) -> None:
    """w = g v / |v| for each output: the same function at first, then lengths that are g whatever v is."""
    model, plain = discriminator(name, "weight"), discriminator(name, "none")
    tokens = torch.randint(7, (6, 5))
    torch.testing.assert_close(logits(model, tokens), logits(plain, tokens), rtol=0, atol=1e-6)
    pairs = 0
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    for key, g in model.named_parameters():
        if key.endswith("original0"):
            layer_name, _, rest = key.rpartition(".parametrizations.")
            layer, v = model.get_submodule(layer_name), model.get_parameter(key.removesuffix("0") + "1")
            w = getattr(layer, rest.split(".")[0])
            rows = v.flatten(1)
            torch.testing.assert_close(w.flatten(1), g.flatten(1) * rows / rows.norm(dim=1, keepdim=True))
            pairs += 1
    assert pairs == DISCRIMINATORS[name]


def test_batch_norm() -> None:
    """By the batch while learning, by running statistics with a share of .1 else; one batch for both kinds."""
    norm = BatchNorm(3).double()
    x = torch.randn(5, 3, dtype=torch.float64) * 2 + 1
    mean = x.sum(0) / 5
    variance = ((x - mean) ** 2).sum(0) / 5
    expected = (x - mean) / (variance + 1e-5).sqrt()
    torch.testing.assert_close(norm(x, learning=True), expected, rtol=0, atol=1e-12)
    running = 0.1 * mean, 0.9 + 0.1 * variance * 5 / 4
    for _ in range(2):  # does not change by scoring
        scored = norm(x, learning=False)
        torch.testing.assert_close(scored, (x - running[0]) / (running[1] + 1e-5).sqrt(), rtol=0, atol=1e-12)


def test_batch_norm_in_the_discriminators() -> None:
    """It stands between features and output, and what LeakGAN leaks is before it."""
    model = classifier(norm="batch")
    tokens = torch.randint(7, (6, 5))
    features = model.features(tokens)
    centred = (features - features.mean(0)) / (features.var(0, unbiased=False) + 1e-5).sqrt()
    learning = centred @ model.output.weight.t() + model.output.bias
    torch.testing.assert_close(model(tokens, dropout=True), learning)
    before = model.score(tokens)
    assert torch.equal(model.train().score(tokens), before)
    assert not torch.allclose(learning.softmax(1)[:, 1], before)
    reader = PrefixReader(model, SPEC.max_len)
    reading = reader.start(6)
    for position in range(SPEC.max_len):
        reading = reader.read(reading, tokens[:, position], position)
    torch.testing.assert_close(reader.score(reading), before)
    torch.testing.assert_close(reader.features(reader.pooled(reading, SPEC.max_len)), features)

    many = discriminator("many", "batch")
    real, generated = many.features(many.embed(tokens)), many.features(many.embed(tokens.flip(0) // 2))
    both = torch.cat([real, generated]).detach()  # (12, R, F): representations are rows of the batch
    flat = both.flatten(0, 1)
    centred = (both - flat.mean(0)) / (flat.var(0, unbiased=False) + 1e-5).sqrt()
    expected = many.output(many.summary(centred)).squeeze(2)
    torch.testing.assert_close(torch.cat(many.compare(real, generated)), expected)
    torch.testing.assert_close(
        many(torch.cat([many.embed(tokens), many.embed(tokens.flip(0) // 2)]), dropout=True), expected
    )


def test_gradient_penalty_between_word_vectors() -> None:
    """10 mean (|grad (C_real - C_generated)| - 1)^2, one pair and one point at a time; surplus rows are left."""
    model = classifier()
    tokens, real = torch.randint(7, (5, 5)), torch.tensor([1, 0, 0, 1, 0])
    torch.manual_seed(3)
    got = slope_penalty(model, tokens, real, weight=10.0)
    torch.manual_seed(3)
    shares = torch.rand(2, 1, 1, dtype=torch.float64)
    words, total = model.embedding.weight.detach()[tokens], torch.zeros((), dtype=torch.float64)
    for share, (genuine, generated) in zip(shares, ((0, 1), (3, 2)), strict=True):
        point = ((1 - share[0]) * words[genuine] + share[0] * words[generated]).requires_grad_()
        x = point.t()
        maxima = []
        for weight, bias in zip(model.filters, model.filter_biases, strict=True):
            size = weight.shape[2]
            places = [torch.einsum("nes,es->n", weight, x[:, t : t + size]) + bias for t in range(5 - size + 1)]
            maxima.append(torch.stack(places).amax(0).relu())
        f = torch.cat(maxima)
        gate = model.gate(f).sigmoid()
        out = model.output(gate * model.transform(f).relu() + (1 - gate) * f)
        (slope,) = torch.autograd.grad(out[1] - out[0], point, create_graph=True)
        total = total + 10 * (slope.square().sum().sqrt() - 1) ** 2 / 2
    assert total.item() > 0.1
    torch.testing.assert_close(got, total, rtol=1e-10, atol=1e-12)
    trained = [p for key, p in model.named_parameters() if key != "embedding.weight" and "output.bias" not in key]
    for ours, theirs in zip(torch.autograd.grad(got, trained), torch.autograd.grad(total, trained), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-12)
    assert slope_penalty(model, tokens, torch.ones(5, dtype=torch.int64), weight=10.0) == 0
    assert slope_penalty(model, tokens, real, weight=0.0) == 0


@pytest.mark.parametrize("n", [2, 3])
def test_matching_rewards_are_the_gradient_of_the_distance(n: int) -> None:
    """The expectation over all batches of n sentences, by enumeration, against the gradient of the exact distance."""
    spec = SequenceSpec(vocab_size=2, max_len=2, bos_id=0, pad_id=None, eos_id=None)
    torch.manual_seed(0)
    model = LSTMLanguageModel(spec, embedding_dim=3, hidden_dim=3).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8)
    sentences = torch.tensor(list(itertools.product(range(2), repeat=2)))
    table = torch.randn(4, 3, dtype=torch.float64)  # features of each sentence
    real = torch.tensor([[1, 1], [0, 1], [1, 1]])
    features = lambda tokens: table[tokens @ torch.tensor([2, 1])]  # noqa: E731

    def log_p() -> Tensor:
        each = [model.weighted_nll(row[None], torch.ones(1, 2)) for row in sentences]
        return -torch.stack(each)

    trained = [p for p in model.parameters() if p.requires_grad]
    distance = (log_p().exp() @ features(sentences) - features(real).mean(0)).square().sum()
    expected = torch.autograd.grad(distance, trained)
    assert max(gradient.abs().max() for gradient in expected) > 0.1
    p, total = log_p().exp().detach(), [torch.zeros_like(parameter) for parameter in trained]
    gradients = [torch.autograd.grad(-log_p()[k], trained) for k in range(4)]  # of -log G(x)
    for batch in itertools.product(range(4), repeat=n):
        chosen = list(batch)
        rewards = matching_rewards(features, real, sentences[chosen])
        for k, reward in zip(chosen, rewards, strict=True):
            for slot, gradient in zip(total, gradients[k], strict=True):
                slot += p[chosen].prod() * reward / n * gradient
    for ours, theirs in zip(total, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_feature_distance() -> None:
    real, generated = torch.randn(4, 3, 5, dtype=torch.float64), torch.randn(6, 3, 5, dtype=torch.float64)
    by_hand = [sum((real[:, r, f].mean() - generated[:, r, f].mean()) ** 2 for f in range(5)) for r in range(3)]
    assert feature_distance(real, generated).item() == pytest.approx((sum(by_hand) / 3).item())
    assert feature_distance(real[:, 0], generated[:, 0]).item() == pytest.approx(by_hand[0].item())


def test_smoothed_labels_of_the_classifier() -> None:
    """Real sentences want .9, generated ones 0."""
    model = classifier(label_smoothing=0.1)
    out = torch.randn(3, 2, dtype=torch.float64)
    p = out.softmax(1)[:, 1]
    by_hand = -(
        0.9 * p[0].log() + 0.1 * (1 - p[0]).log() + (1 - p[1]).log() + 0.9 * p[2].log() + 0.1 * (1 - p[2]).log()
    )
    assert model.loss(out, torch.tensor([1, 0, 1]), l2=0.0).item() == pytest.approx(by_hand.item() / 3)


@pytest.mark.parametrize("name", LOSSES)
def test_smoothed_labels_of_the_losses(name: Any) -> None:
    """-mean (.8 log D + .2 log(1 - D)) for real, the same as ever for generated, D = .8 at best; or refused."""
    if name not in ("standard", "non_saturating", "reverse_kl"):
        with pytest.raises(ValueError, match=f"needs a loss with labels .*non_saturating.* {name} has none"):
            smooth_labels(name, 0.2)
        assert smooth_labels(name, 0.0) is LOSSES[name]
        return
    real, fake = torch.randn(3, 2, dtype=torch.float64), torch.randn(3, 2, dtype=torch.float64)
    d_real, d_fake = real.sigmoid(), fake.sigmoid()
    by_hand = -(0.8 * d_real.log() + 0.2 * (1 - d_real).log()).mean() - (1 - d_fake).log().mean()
    smoothed = smooth_labels(name, 0.2)
    assert smoothed.discriminator(real, fake).item() == pytest.approx(by_hand.item())
    assert smoothed.generator is LOSSES[name].generator
    best = torch.full((1,), 4.0, dtype=torch.float64).log().requires_grad_()  # sigma(log 4) = .8
    smoothed.discriminator(best, fake[:1, 0]).backward()
    assert best.grad.abs().max() < 1e-12


@pytest.mark.parametrize("decay", [0.5, 0.9, 1.0])
def test_averages(decay: float) -> None:
    """sum decay^(t-i) theta_i, normalised, at every t; what is inside `applied` is it, and outside nothing moved."""
    torch.manual_seed(0)
    module = nn.Linear(3, 2).double()
    module.bias.requires_grad_(False)
    optimizer = torch.optim.SGD([module.weight], lr=0.1)
    average = WeightAverage(module, decay, after=[optimizer])
    with average.applied():
        untouched = module.weight.clone()
    assert torch.equal(module.weight, untouched)
    seen: list[Tensor] = []
    for _ in range(6):
        update(optimizer, (module.weight * torch.randn(2, 3, dtype=torch.float64)).sum())
        seen.append(module.weight.detach().clone())
        ages = [decay ** (len(seen) - 1 - i) for i in range(len(seen))]
        expected = sum(a * theta for a, theta in zip(ages, seen, strict=True)) / sum(ages)
        assert average.distance().item() == pytest.approx((seen[-1] - expected).square().sum().item(), abs=1e-14)
        with pytest.raises(KeyError), average.applied():
            torch.testing.assert_close(module.weight.detach(), expected, rtol=0, atol=1e-14)
            raise KeyError
        assert torch.equal(module.weight, seen[-1])
    (slope,) = torch.autograd.grad(average.distance(), module.weight)
    torch.testing.assert_close(slope, 2 * (seen[-1] - expected), rtol=0, atol=1e-14)
    assert not list(average.parameters())


def test_nothing_is_kept_where_nothing_is_averaged() -> None:
    module = nn.Linear(3, 2)
    assert not WeightAverage(module, 0.0).state_dict()
    histories = Histories(0.0, Counter(), {"generator": module})
    assert not histories.state_dict()
    assert histories("generator") == 0


def test_histories() -> None:
    """3 |theta_t - mean(theta_1..theta_t)|^2 from the first adversarial update on, each side by its own updates."""
    generator, other = nn.Linear(2, 2).double(), nn.Linear(2, 2).double()
    counter = Counter()
    histories = Histories(3.0, counter, {"generator": generator, "other": other})
    assert histories("generator") == 0
    seen = []
    for _ in range(4):
        counter.advance()
        with torch.no_grad():
            generator.weight.add_(1.0)
            other.bias.mul_(2.0)
        seen.append(torch.cat([p.detach().flatten() for p in generator.parameters()]))
        loss = histories("generator")
        mean = sum(seen) / len(seen)
        assert loss.item() == pytest.approx(3 * (seen[-1] - mean).square().sum().item())
        (slope,) = torch.autograd.grad(loss, generator.weight)
        torch.testing.assert_close(slope.flatten(), 6 * (seen[-1] - mean)[:4])
    assert loss.item() > 1
    assert histories("other").item() == 0  # its first
