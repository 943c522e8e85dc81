"""What every model must do, checked on every file in baselines/ by listing the folder."""

from __future__ import annotations

import functools
import io
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from baselines.common.interface import HasLogProb, HasNllBound, SequenceSpec, TextGenerator
from bench import registry

FIXED = SequenceSpec(vocab_size=4, max_len=3, bos_id=0, pad_id=None, eos_id=None)
ENDING = SequenceSpec(vocab_size=4, max_len=3, bos_id=0, pad_id=0, eos_id=0)
OWN_IDS = SequenceSpec(vocab_size=5, max_len=3, bos_id=1, pad_id=2, eos_id=3)
SPECS = {"fixed": FIXED, "ending": ENDING, "own_ids": OWN_IDS}
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


class Stream(Iterator[Tensor]):
    """Sentences whose words are unevenly frequent; the position is all its state."""

    def __init__(self, spec: SequenceSpec, batch_size: int, position: int = 0) -> None:
        self.position = position
        self._size = batch_size
        weights = torch.arange(1.0, spec.vocab_size + 1).expand(17 * batch_size, -1)
        ids = weights.multinomial(spec.max_len, replacement=True, generator=torch.Generator().manual_seed(7))
        self._sentences = blank(ids, spec)

    def __next__(self) -> Tensor:
        self.position += 1
        start = (self.position - 1) * self._size % len(self._sentences)
        return self._sentences[start : start + self._size]


def blank(ids: Tensor, spec: SequenceSpec) -> Tensor:
    """Fill what follows the first end token, as tasks and harness do."""
    if spec.eos_id is None or spec.pad_id is None:
        return ids
    ended = (ids == spec.eos_id).long().cumsum(1)
    return ids.masked_fill(ended - (ids == spec.eos_id).long() > 0, spec.pad_id)


def all_sentences(spec: SequenceSpec) -> Tensor:
    """Every sentence that can be written, once."""
    return blank(torch.tensor(list(itertools.product(range(spec.vocab_size), repeat=spec.max_len))), spec).unique(dim=0)


def build(name: str, spec: SequenceSpec, seed: int = 0) -> TextGenerator:
    name, settings = STABILISED.get(name, (name, {}))
    found = registry.find("models", name)
    torch.manual_seed(seed)
    return found(found.Config(**found.scales["smoke"] | settings), spec)


def advance(model: TextGenerator, stream: Stream, first: int = 0, last: int | None = None) -> None:
    """Steps first .. last of all phases, end to end."""
    steps = [phase.step for phase in model.phases() for _ in range(phase.steps)]
    for step in steps[first:last]:
        step(stream)


@functools.cache
def trained(name: str, spec: SequenceSpec) -> TextGenerator:
    """Of whoever only draws from it and asks it: trained once."""
    model = build(name, spec)
    advance(model, Stream(spec, model.config.batch_size))
    return model


def assert_same_state(a: TextGenerator, b: TextGenerator) -> None:
    ours, theirs = a.state_dict(), b.state_dict()
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        assert torch.equal(value, theirs[key]), key


def test_the_list_is_not_empty() -> None:
    assert {"mle", "seqgan", "copy_train", "repeat_one", "ngram", "constant_reward"} <= set(MODELS)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("name", MODELS)
def test_samples(name: str, spec: SequenceSpec) -> None:
    model = trained(name, spec)
    torch.manual_seed(3)
    samples = model.sample(50)
    assert samples.shape == (50, spec.max_len)
    assert samples.dtype == torch.int64
    assert not samples.requires_grad
    assert 0 <= samples.min() <= samples.max() < spec.vocab_size
    assert torch.equal(samples, blank(samples, spec))
    torch.manual_seed(3)
    assert torch.equal(model.sample(50), samples)
    assert model.sample(1).shape == (1, spec.max_len)


@pytest.mark.parametrize("name", MODELS)
def test_phases_are_pure_and_steps_return_scalars(name: str) -> None:
    model = build(name, ENDING)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    phases = [(phase.name, phase.steps) for phase in model.phases()]
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])
    stream = Stream(ENDING, model.config.batch_size)
    for phase in model.phases():
        for _ in range(phase.steps):
            values = phase.step(stream)
            assert values
            for value in values.values():
                assert value.shape == ()
                assert not value.requires_grad
                assert value.isfinite()
    assert [(phase.name, phase.steps) for phase in model.phases()] == phases


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("name", MODELS)
def test_log_prob_is_that_of_the_samples(name: str, spec: SequenceSpec) -> None:
    """Probabilities of all sentences sum to 1, and sentences are drawn with them."""
    model = trained(name, spec)
    if not isinstance(model, HasLogProb):
        pytest.skip("no likelihood")
    sentences = all_sentences(spec)
    log_prob = model.log_prob(sentences)
    assert log_prob.shape == (len(sentences),)
    probability = log_prob.double().exp()
    assert probability.sum().item() == pytest.approx(1, abs=1e-5)
    torch.manual_seed(5)
    n = 20_000
    _, counts = torch.cat([sentences, model.sample(n)]).unique(dim=0, return_counts=True)
    assert len(counts) == len(sentences)
    likely = probability * n >= 5
    observed = torch.cat([(counts - 1)[likely], (counts - 1)[~likely].sum()[None]]).double()
    expected = torch.cat([probability[likely], probability[~likely].sum()[None]]) * n
    keep = expected > 0
    assert chisquare(observed[keep], (expected * n / expected.sum())[keep]).pvalue > 1e-3


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("name", MODELS)
def test_a_bound_on_the_likelihood_is_one(name: str, spec: SequenceSpec) -> None:
    """Of bounds b, sum exp(-b) is at most 1; b is not under the share of samples. None beside a likelihood."""
    model = trained(name, spec)
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
    again = model.nll_bound(sentences.repeat(400, 1), draws=2)
    assert torch.equal(again, drawn.flatten())
    with pytest.raises(ValueError, match="draws"):
        model.nll_bound(sentences, draws=0)


@pytest.mark.parametrize("name", MODELS)
def test_temperature(name: str) -> None:
    """Sentences of one word show it exactly: p^(1 / temperature), normalised. Or there is none, and it is refused."""
    spec = SequenceSpec(vocab_size=5, max_len=1, bos_id=0, pad_id=None, eos_id=None)
    model = trained(name, spec)
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


@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.7])
@pytest.mark.parametrize("name", MODELS)
def test_log_prob_at_a_temperature_is_that_of_the_samples(name: str, temperature: float) -> None:
    """Probabilities of all sentences sum to 1, and sentences of several words are drawn with them."""
    model = trained(name, ENDING)
    if not isinstance(model, HasLogProb):
        pytest.skip("no likelihood")
    sentences = all_sentences(ENDING)
    log_prob = model.log_prob(sentences, temperature=temperature)  # type: ignore[call-arg]
    if temperature == 1:
        assert torch.equal(log_prob, model.log_prob(sentences))
    probability = log_prob.double().exp()
    assert probability.sum().item() == pytest.approx(1, abs=1e-5)
    torch.manual_seed(6)
    n = 20_000
    drawn = model.sample(n, temperature=temperature)
    entropy = -(probability * log_prob).sum().item()
    costs = -model.log_prob(drawn, temperature=temperature)  # type: ignore[call-arg]
    assert abs(costs.mean().item() - entropy) < 4 * costs.std().item() / n**0.5


@pytest.mark.parametrize("name", MODELS)
def test_resumes_bit_for_bit(name: str) -> None:
    """Save in the middle, a step later and at the end of every phase, load into a fresh model, go on: the same bits."""
    whole = build(name, ENDING)
    ends = list(itertools.accumulate(phase.steps for phase in whole.phases()))
    middles = [end - phase.steps // 2 for end, phase in zip(ends, whole.phases(), strict=True)]
    middles += [min(middle + 1, ends[-1]) for middle in middles]  # a step's own period may end in the middle
    saved: dict[int, tuple[bytes, int]] = {}
    stream = Stream(ENDING, whole.config.batch_size)
    torch.manual_seed(11)
    cuts = sorted({*middles, *ends})
    for first, last in itertools.pairwise([0, *cuts]):
        advance(whole, stream, first, last)
        optimizers = {key: optimizer.state_dict() for key, optimizer in whole.optimizers.items()}
        state = {"model": whole.state_dict(), "optimizers": optimizers, "random": torch.get_rng_state()}
        torch.save(state, file := io.BytesIO())
        saved[last] = file.getvalue(), stream.position
    for cut, (file_bytes, position) in saved.items():
        state = torch.load(io.BytesIO(file_bytes), weights_only=True)
        resumed = build(name, ENDING, seed=99)
        resumed.load_state_dict(state["model"])
        for key, optimizer in resumed.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][key])
        torch.set_rng_state(state["random"])
        advance(resumed, Stream(ENDING, resumed.config.batch_size, position), cut)
        assert_same_state(resumed, whole)
        torch.manual_seed(1)
        samples = resumed.sample(20)
        torch.manual_seed(1)
        assert torch.equal(whole.sample(20), samples)


@pytest.mark.parametrize("name", MODELS)
def test_evaluation_does_not_disturb_training(name: str) -> None:
    undisturbed, evaluated = build(name, ENDING), build(name, ENDING)
    total = sum(phase.steps for phase in undisturbed.phases())
    a, b = Stream(ENDING, undisturbed.config.batch_size), Stream(ENDING, evaluated.config.batch_size)
    for step in range(total):
        torch.manual_seed(step)
        advance(undisturbed, a, step, step + 1)
        torch.manual_seed(step)
        advance(evaluated, b, step, step + 1)
        with torch.random.fork_rng():
            evaluated.eval()
            evaluated.sample(3)
            if isinstance(evaluated, HasLogProb):
                evaluated.log_prob(all_sentences(ENDING))
            if isinstance(evaluated, HasNllBound):
                evaluated.nll_bound(all_sentences(ENDING))
            evaluated.train(step % 2 == 0)
    assert_same_state(undisturbed, evaluated)


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_is_trained(name: str) -> None:
    model = build(name, ENDING)
    waiting = {key: p for key, p in model.named_parameters() if p.requires_grad}
    stream = Stream(ENDING, model.config.batch_size)
    for step in [phase.step for phase in model.phases() for _ in range(phase.steps)]:
        step(stream)
        waiting = {key: p for key, p in waiting.items() if p.grad is None or not p.grad.any()}
    assert not waiting, f"no gradient ever: {sorted(waiting)}"
