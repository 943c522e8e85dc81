"""What every model must do, checked on every file in baselines/ by listing the folder.

The checks are those of `python -m bench check`, here with all steps of the smoke scale, of pre-training some, and on
every kind of sentences.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy.stats import chisquare

from baselines.common.interface import HasLogProb, HasNllBound, SequenceSpec
from bench import registry
from bench.check.cases import TINY, Case, NotTriedError, all_sentences, blank
from bench.check.labels import LABELLED, check_labels
from bench.check.likelihood import check_agreement, check_likelihood, check_likelihood_at, check_padding
from bench.check.sampling import check_samples
from bench.check.training import (
    check_evaluation,
    check_parameters,
    check_phases,
    check_resume,
    check_seed,
    check_steps,
)

STABILISED: dict[str, tuple[str, dict[str, Any]]] = {
    "mle, averaged": ("mle", {"ema_decay": 0.9}),
    "seqgan, spectral": (
        "seqgan",
        {"d_norm": "spectral", "gradient_penalty": 10.0, "feature_matching": 1.0, "historical_averaging": 1.0}
        | {"label_smoothing": 0.1, "ema_decay": 0.9},
    ),
    "seqgan, batch": ("seqgan", {"d_norm": "batch", "feature_matching": 1.0}),
    "maligan, weight": (
        "maligan",
        {"d_norm": "weight", "gradient_penalty": 1.0, "feature_matching": 1.0, "historical_averaging": 1.0}
        | {"d_keep": 0.5, "ema_decay": 0.5, "prefix": 0},
    ),
    "rankgan, weight": (
        "rankgan",
        {"d_norm": "weight", "feature_matching": 1.0, "historical_averaging": 1.0, "ema_decay": 0.9}
        | {"d_dropout": "always", "reward": "log_rank"},
    ),
    "sentigan, two kinds": (
        "sentigan",
        {"generators": 2, "d_norm": "batch", "historical_averaging": 1.0, "label_smoothing": 0.1, "ema_decay": 0.9}
        | {"penalised": "drawn"},
    ),
    "leakgan, spectral": (
        "leakgan",
        {"d_norm": "spectral", "gradient_penalty": 1.0, "feature_matching": 1.0, "historical_averaging": 1.0}
        | {"label_smoothing": 0.1, "d_keep": 0.5, "ema_decay": 0.9},
    ),
    "relgan, batch": (
        "relgan",
        {"d_norm": "batch", "loss": "non_saturating", "feature_matching": 1.0, "historical_averaging": 1.0}
        | {"label_smoothing": 0.1, "ema_decay": 0.9},
    ),
    "relgan, spectral": ("relgan", {"d_norm": "spectral", "loss": "wasserstein", "gradient_penalty": 10.0}),
    "wgan_gp, spectral": (
        "wgan_gp",
        {"d_norm": "spectral", "feature_matching": 1.0, "historical_averaging": 1.0, "ema_decay": 0.9, "d_keep": 0.5},
    ),
}
"""Every stabiliser in at least one model: name -> the model and its settings."""
MODELS = [*registry.names("models"), *STABILISED]
ON_EVERY_KIND = [(name, kind) for name in MODELS for kind in TINY if name not in STABILISED or kind == "ending"]
"""Where stabilisers change what is trained and not how words are drawn, sentences of one kind show it."""
AT_TEMPERATURES = [*registry.names("models"), "mle, averaged", "sentigan, two kinds"]
"""Likewise: averaged weights and mixtures are drawn from otherwise."""


@functools.cache
def case(name: str, spec: SequenceSpec) -> Case:
    name, settings = STABILISED.get(name, (name, {}))
    found = registry.find("models", name)
    smoke = dict(found.scales["smoke"])
    if "mle_steps" in smoke:  # each step of it is like the one before
        smoke["mle_steps"] = min(smoke["mle_steps"], 12)
    return Case(model=found, config=found.Config(**smoke | settings), spec=spec)


def tried(check: Callable[..., str], *arguments: Any, **named: Any) -> None:
    try:
        assert check(*arguments, **named)
    except NotTriedError as reason:
        pytest.skip(str(reason))


def test_the_list_is_not_empty() -> None:
    assert {"mle", "seqgan", "copy_train", "repeat_one", "ngram", "constant_reward"} <= set(MODELS)


@pytest.mark.parametrize(("name", "kind"), ON_EVERY_KIND)
def test_samples(name: str, kind: str) -> None:
    spec = TINY[kind]
    assert check_samples(case(name, spec))
    torch.manual_seed(3)
    samples = case(name, spec).trained.sample(50)
    assert not samples.requires_grad
    assert torch.equal(samples, blank(samples, spec))  # more than the contract asks for


@pytest.mark.parametrize("name", MODELS)
def test_phases_are_pure_and_steps_return_scalars(name: str) -> None:
    assert check_phases(case(name, TINY["ending"]))
    assert check_steps(case(name, TINY["ending"]))


@pytest.mark.parametrize(("name", "kind"), ON_EVERY_KIND)
def test_log_prob_is_that_of_the_samples(name: str, kind: str) -> None:
    """Probabilities of all sentences sum to 1, sentences are drawn with them, and what follows the end is free."""
    spec = TINY[kind]
    tried(check_likelihood, case(name, spec))
    tried(check_agreement, case(name, spec))
    if spec.eos_id is not None:
        tried(check_padding, case(name, spec))


@pytest.mark.parametrize(("name", "kind"), ON_EVERY_KIND)
def test_a_bound_on_the_likelihood_is_one(name: str, kind: str) -> None:
    """Of bounds b, sum exp(-b) is at most 1; b is not under the share of samples. None beside a likelihood."""
    spec = TINY[kind]
    model = case(name, spec).trained
    if not isinstance(model, HasNllBound):
        pytest.skip("no bound")
    assert not isinstance(model, HasLogProb)
    sentences = all_sentences(spec)
    torch.manual_seed(5)
    drawn = model.nll_bound(sentences.repeat(400, 1), draws=2).view(400, -1)
    bound, error = drawn.double().mean(0), drawn.std(0) / 400**0.5
    below = (-bound).exp()
    assert below.sum().item() <= 1 + 4 * (below * error).norm().item()
    n = 20_000
    _, counts = torch.cat([sentences, model.sample(n)]).unique(dim=0, return_counts=True)
    likely = counts > 50
    share = (counts[likely] - 1) / n
    slack = 4 * (error[likely] + ((1 - share) / (n * share)).sqrt())
    assert (bound[likely] >= -share.log() - slack).all()
    torch.manual_seed(5)
    first = model.nll_bound(sentences, draws=2)
    torch.manual_seed(5)
    assert torch.equal(model.nll_bound(sentences, draws=2), first)
    with pytest.raises(ValueError, match="draws"):
        model.nll_bound(sentences, draws=0)


@pytest.mark.parametrize("name", AT_TEMPERATURES)
def test_temperature(name: str) -> None:
    """Sentences of one word show it exactly: p^(1 / temperature), normalised. Or there is none, and it is refused."""
    spec = SequenceSpec(vocab_size=5, max_len=1, bos_id=0, pad_id=None, eos_id=None)
    model = case(name, spec).trained
    if not isinstance(model, HasLogProb | HasNllBound):
        with pytest.raises(ValueError, match="temperature"):
            model.sample(1, temperature=0.5)
        return
    with pytest.raises(ValueError, match="temperature"):
        model.sample(1, temperature=0.0)
    if getattr(model.config, "generators", 1) > 1:
        pytest.skip("the temperature of a mixture is that of each generator")
    words = torch.arange(5)[:, None]  # of one word the bound is the likelihood
    log_prob = model.log_prob(words) if isinstance(model, HasLogProb) else -model.nll_bound(words)
    expected = (log_prob.double() / 0.5).softmax(0)
    torch.manual_seed(5)
    observed = model.sample(20_000, temperature=0.5).flatten().bincount(minlength=5)
    assert chisquare(observed, expected * 20_000).pvalue > 1e-3


@pytest.mark.parametrize("temperature", [0.6, 1.7])
@pytest.mark.parametrize("name", AT_TEMPERATURES)
def test_log_prob_at_a_temperature_is_that_of_the_samples(name: str, temperature: float) -> None:
    tried(check_likelihood_at, case(name, TINY["ending"]), temperature)
    model, sentences = case(name, TINY["ending"]).trained, all_sentences(TINY["ending"])
    assert isinstance(model, HasLogProb)
    assert torch.equal(model.log_prob(sentences, temperature=1.0), model.log_prob(sentences))


@pytest.mark.parametrize("name", ["sentigan, two kinds", "mle, averaged"])
def test_sentences_with_labels(name: str) -> None:
    """As `bench check` of every model: told a class, it begins with it and goes on as its likelihood says."""
    assert "gives probability" in check_labels(case(name, LABELLED))


@pytest.mark.parametrize("name", MODELS)
def test_resumes_bit_for_bit(name: str) -> None:
    assert check_resume(case(name, TINY["ending"]), thorough=True)


@pytest.mark.parametrize("name", MODELS)
def test_evaluation_does_not_disturb_training(name: str) -> None:
    assert check_evaluation(case(name, TINY["ending"]), any_mode=True)


@pytest.mark.parametrize("name", MODELS)
def test_a_seed_gives_one_training(name: str) -> None:
    assert check_seed(case(name, TINY["ending"]))


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_is_trained(name: str) -> None:
    tried(check_parameters, case(name, TINY["ending"]))
