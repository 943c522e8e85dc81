"""The stabilisers inside the models: each setting adds its own term to the right loss, and nothing else moves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines.common import bases
from baselines.common.interface import TextGenerator
from baselines.common.networks.normalisation import BatchNorm, SpectralNorm
from baselines.common.spec import SequenceSpec
from baselines.common.training.penalties import feature_distance, matching_rewards, slope_penalty
from bench import config, registry

SPEC = SequenceSpec(vocab_size=6, max_len=4, bos_id=1, pad_id=2, eos_id=3)
GANS = ["seqgan", "maligan", "leakgan", "relgan", "wgan_gp"]
NEEDED: dict[str, dict[str, Any]] = {
    "maligan": {"prefix": 0},
    "relgan": {"loss": "non_saturating", "d_keep": 1.0},
    "seqgan": {"d_keep": 1.0},
    "leakgan": {"g_first_multiplier": 1.0, "mle_every": 0},
}
"""Settings under which losses are easy to compare."""


@pytest.fixture(autouse=True)
def in_double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def build(name: str, **settings: Any) -> Any:
    torch.manual_seed(0)
    model = registry.find("models", name)
    smoke = {**model.scales["smoke"], "batch_size": 6, **NEEDED.get(name, {})}
    return model(config.build(model.Config, smoke | settings, name), SPEC)


def stream(seed: int = 1) -> Iterator[Tensor]:
    """Sentences of words 4 and 5, which generators at their start do not prefer; they end at any place."""
    random = torch.Generator().manual_seed(seed)
    while True:
        words = torch.randint(4, 6, (6, SPEC.max_len), generator=random)
        ends = torch.randint(1, SPEC.max_len, (6, 1), generator=random)
        place = torch.arange(SPEC.max_len)
        yield words.where(place < ends, 2).where(place != ends, 3)


def sides(model: Any) -> tuple[nn.Module, nn.Module]:
    return model.generator, model.critic if hasattr(model, "critic") else model.discriminator


def generator_step(model: Any, batches: Iterator[Tensor]) -> None:
    """One update, with a beta of 2 where there is one."""
    match type(model).__name__:
        case "MaliGAN":
            model.generator_step(0, batches)
        case "LeakGAN":
            model.generator_step(batches, 0)
        case "RelGAN":
            model.generator_step(next(batches), 2.0)
        case _:
            model.generator_step(batches)


def discriminator_step(model: Any, batches: Iterator[Tensor]) -> Any:
    match type(model).__name__:
        case "RelGAN":
            return model.discriminator_step(next(batches), 2.0)
        case "WGANGP":
            return model.critic_step(next(batches))
        case _:
            return model.discriminator_step(batches)


def gradients(module: nn.Module) -> dict[str, Tensor]:
    return {key: torch.zeros_like(p) if p.grad is None else p.grad.clone() for key, p in module.named_parameters()}


def of_one_step(name: str, side: int, **settings: Any) -> tuple[Any, dict[str, Tensor]]:
    """Gradients that an update of one side leaves, unclipped."""
    unclipped = {} if name == "wgan_gp" else {"clip_norm": 1e9}
    model = build(name, **unclipped, **settings)
    torch.manual_seed(4)
    (generator_step, discriminator_step)[side](model, stream())
    return model, gradients(sides(model)[side])


@pytest.mark.parametrize("name", ["seqgan", "maligan", "leakgan"])
def test_feature_matching_by_rewards(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient gains that of -3 mean_b r_b log G(x_b), times B for SeqGAN, whose loss is a sum over sentences."""
    drawn: list[Tensor] = []
    known: dict[str, Any] = {}

    def spying(features: Any, real: Tensor, generated: Tensor) -> Tensor:
        drawn.append(generated)
        known["rewards"] = matching_rewards(features, real, generated)
        assert torch.equal(real, next(stream()))
        return known["rewards"]

    module = "baselines.leakgan" if name == "leakgan" else f"baselines.{name}"
    monkeypatch.setattr(f"{module}.matching_rewards", spying)
    _, without = of_one_step(name, 0)
    assert not drawn
    _, with_it = of_one_step(name, 0, feature_matching=3.0)
    fresh = build(name)  # as the model was before the update
    (tokens,), rewards = drawn, known["rewards"]
    weights = -3 * rewards[:, None] * ((tokens == 3).cumsum(1) <= (tokens == 3).long())
    if name == "leakgan":
        _, goals, _, _ = fresh._read(tokens, all_features=True)
        term = -fresh.generator.weighted_nll(tokens, goals, weights)
    else:
        term = -fresh.generator.weighted_nll(tokens, weights)
    term = term if name == "seqgan" else term / len(tokens)
    term.backward()
    added = gradients(fresh.generator)
    assert max(gradient.abs().max() for gradient in added.values()) > 1e-6
    for key, gradient in with_it.items():
        expected = added[key] if not key.startswith("manager") else torch.zeros_like(added[key])
        torch.testing.assert_close(gradient - without[key], expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", ["relgan", "wgan_gp"])
def test_feature_matching_through_samples(name: str) -> None:
    """The gradient gains that of 3 ||mean features of real - of generated sentences||^2."""
    _, without = of_one_step(name, 0)
    _, with_it = of_one_step(name, 0, feature_matching=3.0)
    fresh = build(name)
    generator, d = sides(fresh)
    torch.manual_seed(4)
    real = next(stream())
    if name == "relgan":
        features = d.features(d.embed_relaxed(generator.relaxed(6, 2.0)))
        distance = feature_distance(d.features(d.embed(real)), features)
    else:
        one_hot = nn.functional.one_hot(real, SPEC.vocab_size).double()
        distance = feature_distance(d.features(one_hot), d.features(generator(fresh._noise(6))))
    (3 * distance).backward()
    added = gradients(generator)
    assert max(gradient.abs().max() for gradient in added.values()) > 1e-6
    for key, gradient in with_it.items():
        torch.testing.assert_close(gradient - without[key], added[key], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", GANS)
@pytest.mark.parametrize("side", [0, 1])
def test_historical_averaging_on_both_sides(name: str, side: int) -> None:
    """In the third adversarial update the gradient gains 10 (theta - mean of the three), in pre-training nothing."""
    results = []
    for weight in (0.0, 5.0):
        model = build(name, historical_averaging=weight, **({} if name == "wgan_gp" else {"clip_norm": 1e9}))
        module = sides(model)[side]
        step = (generator_step, discriminator_step)[side]
        torch.manual_seed(4)
        batches = stream()
        if name not in ("relgan", "wgan_gp"):
            discriminator_step(model, batches)
        counter = model.updates if name == "wgan_gp" else model.adversarial_updates
        counter.advance()
        seen = []
        for update in range(3):
            with torch.no_grad():  # the same places, whatever the gradients were
                for index, p in enumerate(p for p in module.parameters() if p.requires_grad):
                    p.copy_(torch.linspace(-0.3, 0.2, p.numel()).view_as(p) * (1 + 0.1 * update**2) + 0.01 * index)
            seen.append([p.detach().clone() for p in module.parameters() if p.requires_grad])
            torch.manual_seed(update)
            if name in ("seqgan", "maligan", "leakgan"):
                model.pool.taken.value = 1
            step(model, batches)
        trained = [key for key, p in module.named_parameters() if p.requires_grad]
        results.append((gradients(module), trained, seen))
    (without, trained, seen), (with_it, _, _) = results
    for index, key in enumerate(trained):
        theta = [values[index] for values in seen]
        expected = 10 * (theta[2] - sum(theta) / 3)
        assert expected.abs().max() > 1e-3
        torch.testing.assert_close(with_it[key] - without[key], expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["mle", "constant_reward", *GANS])
def test_an_averaged_generator_is_sampled_and_the_live_one_is_trained(name: str) -> None:
    """Training is the same bit for bit; samples and likelihood are those of the mean of all updates, weighted."""
    models = [build(name, ema_decay=decay) for decay in (0.0, 0.8)]
    generators = [model.model if name == "mle" else model.generator for model in models]
    seen: list[dict[str, Tensor]] = []
    for model, generator in zip(models, generators, strict=True):
        torch.manual_seed(5)
        batches = stream()
        for step in [phase.step for phase in model.phases() for _ in range(phase.steps)]:
            before = {key: p.detach().clone() for key, p in generator.named_parameters()}
            step(batches)
            if any(not torch.equal(p, before[key]) for key, p in generator.named_parameters()):
                seen.append({key: p.detach().clone() for key, p in generator.named_parameters()})
    live, averaged = generators
    assert all(torch.equal(p, q) for p, q in zip(live.parameters(), averaged.parameters(), strict=True))
    seen = seen[len(seen) // 2 :]
    ages = torch.tensor([0.8 ** (len(seen) - 1 - i) for i in range(len(seen))], dtype=torch.float64)
    reference = build(name)
    reference.load_state_dict(models[0].state_dict())
    module = reference.model if name == "mle" else reference.generator
    with torch.no_grad():
        for key, p in module.named_parameters():
            p.copy_(sum(a * values[key] for a, values in zip(ages, seen, strict=True)) / ages.sum())
    torch.manual_seed(6)
    expected = reference.sample(50)
    torch.manual_seed(6)
    assert torch.equal(models[1].sample(50), expected)
    torch.manual_seed(6)
    assert name == "wgan_gp" or not torch.equal(models[0].sample(50), expected)
    if hasattr(models[1], "log_prob"):
        torch.testing.assert_close(models[1].log_prob(expected), reference.log_prob(expected))
    assert all(torch.equal(p, q) for p, q in zip(live.parameters(), averaged.parameters(), strict=True))


@pytest.mark.parametrize("name", ["seqgan", "maligan", "leakgan", "relgan"])
def test_smoothed_labels_change_the_discriminator_alone(name: str) -> None:
    """Its loss gains .2 mean C of the real sentences, C = log D - log(1 - D)."""
    losses = []
    for smoothing in (0.0, 0.2):
        model = build(name, label_smoothing=smoothing)
        torch.manual_seed(4)
        losses.append(discriminator_step(model, stream())["d_loss"].item())
    fresh = build(name)
    torch.manual_seed(4)
    if name == "relgan":
        real = next(stream())
        gained = 0.2 * fresh.discriminator(fresh.discriminator.embed(real), dropout=True).mean()
    else:
        tokens, labels = fresh.pool.next(
            stream(), lambda n: fresh._draw(n, 1.5) if name == "leakgan" else fresh.generator.sample(n)
        )
        logits = fresh.discriminator(tokens, dropout=True)
        gained = 0.2 * ((logits[:, 1] - logits[:, 0]) * labels).sum() / len(tokens)
    assert losses[1] - losses[0] == pytest.approx(gained.item(), abs=1e-12)
    assert abs(gained.item()) > 1e-6
    _, without = of_one_step(name, 0)
    _, with_it = of_one_step(name, 0, label_smoothing=0.2)
    assert all(torch.equal(without[key], with_it[key]) for key in without)


@pytest.mark.parametrize("name", ["seqgan", "maligan", "leakgan"])
def test_gradient_penalty_joins_the_loss(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    losses, penalties = [], []

    def spying(*args: Any, **settings: Any) -> Any:
        penalties.append(slope_penalty(*args, **settings))
        return penalties[-1]

    monkeypatch.setattr(bases, "slope_penalty", spying)
    for weight in (0.0, 7.0):
        model = build(name, gradient_penalty=weight)
        torch.manual_seed(4)
        losses.append(discriminator_step(model, stream())["d_loss"].item())
    assert penalties[0] == 0
    assert penalties[1] > 1e-3
    assert losses[1] - losses[0] == pytest.approx(penalties[1].item(), abs=1e-12)


@pytest.mark.parametrize("name", GANS)
def test_norms_and_dropout_are_those_of_the_settings(name: str) -> None:
    def parts(kind: type[nn.Module], **settings: Any) -> int:
        return sum(isinstance(part, kind) for part in build(name, **settings).modules())

    assert parts(SpectralNorm, d_norm="spectral") >= 5
    assert parts(SpectralNorm) == 0
    weights = {key for key, _ in sides(build(name, d_norm="weight"))[1].named_parameters()}
    assert sum(key.endswith("original0") for key in weights) >= 5
    if name != "wgan_gp":
        assert parts(BatchNorm, d_norm="batch") == 1
    d = sides(build(name, d_keep=0.5))[1]
    assert d.drop == 0.5
    torch.manual_seed(4)
    tokens = next(stream())
    if name == "wgan_gp":
        one_hot = nn.functional.one_hot(tokens, SPEC.vocab_size).double()
        assert not torch.equal(d(one_hot), d(one_hot))
        kept = sides(build(name))[1]
        assert torch.equal(kept(one_hot), kept(one_hot))


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("seqgan", {"d_norm": "batch", "gradient_penalty": 10.0}, "set gradient_penalty to 0, or d_norm to spectral"),
    ("seqgan", {"feature_matching": 1.0, "batch_size": 1}, "batch_size must be at least 2"),
    ("leakgan", {"d_norm": "batch", "batch_size": 1}, "batch_size must be at least 2"),
    ("maligan", {"feature_matching": 1.0, "prefix": 5}, "set prefix to 0, got 5"),
    ("relgan", {"label_smoothing": 0.1}, "needs a loss with labels .*, and relativistic has none"),
    ("relgan", {"weight_clip": 0.01, "d_norm": "spectral"}, "set weight_clip to 0 or d_norm to none"),
    ("wgan_gp", {"d_norm": "batch"}, "d_norm = batch does not bound"),
    ("wgan_gp", {"gradient_penalty": 0.0}, "gradient_penalty over 0 or d_norm = spectral"),
    ("wgan_gp", {"label_smoothing": 0.1}, "wgan_gp's critic has no labels"),
    ("seqgan", {"label_smoothing": 0.5}, "label_smoothing: .* less than 0.5"),
    ("mle", {"ema_decay": 1.0}, "ema_decay: .* less than 1"),
    ("mle", {"d_norm": "batch"}, "mle has no setting 'd_norm'"),
]


@pytest.mark.parametrize(("name", "settings", "message"), REFUSED)
def test_what_makes_no_sense_is_refused(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, KeyError), match=message):
        config.build(registry.find("models", name).Config, settings, name)


@pytest.mark.parametrize("name", ["mle", "constant_reward", *GANS])
def test_what_is_off_leaves_no_state(name: str) -> None:
    model: TextGenerator = build(name)
    kept = [key for key in model.state_dict() if key.startswith(("average.", "history.")) or "norm" in key]
    assert [key for key in kept if not key.startswith("generator.")] == []
