"""Every fast path equals the slow, obvious implementation: the same weights, the same noise, on every device."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.fast import kernels
from baselines.common.fast.kernels import drop_out, linear, product, shifted_exp
from baselines.common.fast.likelihood import log_likelihood, token_entropy, weighted_nll
from baselines.common.fast.sampling import draw
from baselines.common.fast.windows import highest_responses
from baselines.common.networks.cnn import FILTERS, TEXYGEN_FILTERS, CNNClassifier
from baselines.common.networks.lstm import Decoder, LSTMLanguageModel
from baselines.common.spec import SequenceSpec
from baselines.common.training.rollout import rollout_rewards
from speed.reference.lstm import PlainCNN, PlainLSTM

SPEC = SequenceSpec(vocab_size=300, max_len=20, bos_id=0, pad_id=None, eos_id=None)
ENDING = SequenceSpec(vocab_size=30, max_len=9, bos_id=1, pad_id=2, eos_id=3)
ENUMERABLE = SequenceSpec(vocab_size=5, max_len=3, bos_id=0, pad_id=None, eos_id=None)
ENUMERABLE_ENDING = SequenceSpec(vocab_size=5, max_len=3, bos_id=1, pad_id=2, eos_id=3)
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]
on_each_device = pytest.mark.parametrize("device", DEVICES)
in_each_precision = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
Tensors = list[Tensor]


def close(ours: Tensor, slow: Tensor) -> None:
    """To 1e-5 of the largest entry in float32, to 1e-10 in float64."""
    tolerance = 1e-5 if slow.dtype == torch.float32 else 1e-10
    assert ours.shape == slow.shape
    assert ours.dtype == slow.dtype
    error = (ours - slow).abs().max().item()
    assert error <= tolerance * slow.abs().max().item(), f"{error} of {slow.abs().max().item()}"


def random(*sizes: tuple[int, ...], like: Tensor, seed: int = 0) -> Tensors:
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(*size, generator=generator, dtype=torch.float64) for size in sizes]
    return [x.to(like).requires_grad_() for x in drawn]


def gradients(loss: Tensor, inputs: Tensors) -> Tensors:
    return list(torch.autograd.grad(loss, inputs))


@pytest.fixture(params=["oneDNN", "MKL"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of the two that a processor may have, each on every processor."""
    name: str = request.param
    found = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if name == "oneDNN" else None
    monkeypatch.setattr(kernels, "_onednn", lambda: found)
    return name


@pytest.mark.parametrize("intel", [True, False])
def test_intels_processors_have_mkl(intel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(kernels, "_is_intel", lambda: intel)
    assert (kernels._onednn.__wrapped__() is None) == intel


@on_each_device
@in_each_precision
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.usefixtures("library")
def test_linear(device: str, dtype: torch.dtype, bias: bool) -> None:
    """Values, gradients, and gradients of gradients."""
    x, weight, b, slope = random((33, 17), (29, 17), (29,), (33, 29), like=torch.empty(0, device=device, dtype=dtype))
    inputs = [x, weight, *([b] if bias else [])]
    ours, slow = linear(*inputs), functional.linear(*inputs)
    close(ours, slow)
    close(product(*(v.detach() for v in inputs)), slow.detach())
    pairs = zip(*(gradients((y * slope).sum(), inputs) for y in (ours, slow)), strict=True)
    for mine, theirs in pairs:
        close(mine, theirs)
    second = []
    for y in (linear(*inputs), functional.linear(*inputs)):
        (first,) = torch.autograd.grad((y.tanh() * slope).sum(), x, create_graph=True)
        second.append(gradients(first.square().sum(), [x, weight]))
    for mine, theirs in zip(*second, strict=True):
        close(mine, theirs)


@on_each_device
def test_products_rounded_to_bf16(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Factors and product have 8 significant bits, in both directions; what is added to it, and float64, are exact."""
    monkeypatch.setattr(torch.backends, "fp32_precision", "bf16")
    x, weight, b = random((33, 17), (29, 17), (29,), like=torch.empty(0, device=device))
    rounded = [v.detach().bfloat16().float() for v in (x, weight)]
    y = linear(x, weight, b)
    assert torch.equal(product(x.detach(), weight.detach(), b.detach()), y)
    expected = rounded[0] @ rounded[1].t()
    assert ((y - b - expected).abs() <= 2**-8 * expected.abs() + 1e-6).all()
    assert not torch.allclose(y, functional.linear(x, weight, b), rtol=1e-4)
    for mine, theirs in zip(
        gradients(y.sum(), [x, weight]), gradients((x @ weight.t()).sum(), [x, weight]), strict=True
    ):
        assert mine.dtype == torch.float32
        assert 0 < (mine - theirs).abs().max() < 0.02 * theirs.abs().max()
    assert torch.equal(linear(x.double(), weight.double()), functional.linear(x.double(), weight.double()))


@in_each_precision
@pytest.mark.usefixtures("library")
def test_linear_takes_views_and_nothing(dtype: torch.dtype) -> None:
    x, weight = (v.detach() for v in random((40, 34), (58, 34), like=torch.empty(0, dtype=dtype)))
    close(product(x[::2, ::2], weight[::2, 1::2]), x[::2, ::2] @ weight[::2, 1::2].t())
    close(product(x.t(), x.t()), x.t() @ x)
    assert product(x[:0], weight).shape == (0, 58)


@on_each_device
@in_each_precision
def test_shifted_exp(device: str, dtype: torch.dtype) -> None:
    """Also of far logits, impossible words, and into its own input."""
    (logits,) = (v.detach() * 30 for v in random((7, 50), like=torch.empty(0, device=device, dtype=dtype)))
    logits[:, ::5] = -torch.inf
    expected, top = (logits - logits.amax(1, keepdim=True)).exp(), logits.amax(1, keepdim=True)
    got, got_top = shifted_exp(logits)
    assert torch.equal(got_top, top)
    close(got, expected)
    again, _ = shifted_exp(logits, out=logits)
    assert again.data_ptr() == logits.data_ptr()
    assert torch.equal(again, got)


@on_each_device
@in_each_precision
def test_dropout(device: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    (x,) = random((200, 500), like=torch.empty(0, device=device, dtype=dtype))
    y = drop_out(x, 0.3)
    kept = y != 0
    close(y, x * kept / 0.7)
    close(*gradients(y.sum(), [x]), kept / x.new_tensor(0.7))
    assert abs(kept.double().mean().item() - 0.7) < 5 * math.sqrt(0.7 * 0.3 / x.numel())
    assert torch.equal(drop_out(x, 0.0), x)


@on_each_device
@in_each_precision
def test_likelihood_in_tiles(device: str, dtype: torch.dtype) -> None:
    like = torch.empty(0, device=device, dtype=dtype)
    inputs = random((250, 16), (300, 16), (300,), like=like)
    hidden, weight, bias = inputs
    targets = torch.randint(300, (250,), generator=torch.Generator().manual_seed(1)).to(device)
    weights = random((250,), like=like, seed=2)[0].detach()
    weights[::7] = 0
    log_p = functional.linear(hidden, weight, bias).log_softmax(1)
    chosen = log_p.gather(1, targets[:, None]).squeeze(1)
    slow = -(chosen * weights).sum()
    ours = weighted_nll(hidden, weight, bias, targets, weights)
    assert ours.item() == pytest.approx(slow.item(), rel=1e-5 if dtype == torch.float32 else 1e-10)
    for mine, theirs in zip(gradients(ours, inputs), gradients(slow, inputs), strict=True):
        close(mine, theirs)
    close(log_likelihood(*(v.detach() for v in inputs), targets), chosen.detach())
    close(token_entropy(*(v.detach() for v in inputs)), -(log_p.exp() * log_p).sum(1).detach())


def slow_highest(words: Tensor, banks: Any) -> Tensor:
    return torch.cat([functional.conv1d(words.transpose(1, 2), bank).max(2).values for bank in banks], 1)


@on_each_device
@in_each_precision
@pytest.mark.parametrize("width", [5, 30])  # the gradient of wide windows is summed, that of narrow ones a product
def test_highest_responses(device: str, dtype: torch.dtype, width: int) -> None:
    """Over several tiles; with gradients, and gradients of gradients, as a gradient penalty takes them."""
    like = torch.empty(0, device=device, dtype=dtype)
    words, slope, *banks = random((150, 9, width), (150, 20), (11, width, 1), (6, width, 3), (3, width, 9), like=like)
    results = []
    for highest in (highest_responses, slow_highest):
        y = highest(words, banks)
        first = gradients((y * slope).sum(), [words, *banks])
        y = highest(words, banks)
        (graph,) = torch.autograd.grad((y.square() * slope).sum(), words, create_graph=True)
        results.append([y.detach(), *first, *gradients(graph.square().sum(), [words, *banks])])
    for mine, theirs in zip(*results, strict=True):
        close(mine, theirs)


@pytest.mark.parametrize("frozen", ["words", "banks", "one bank"])
def test_highest_responses_of_what_is_not_trained(frozen: str) -> None:
    words, *banks = random((3, 6, 5), (4, 5, 2), (2, 5, 3), like=torch.empty(0, dtype=torch.float64))
    for still in {"words": [words], "banks": banks, "one bank": banks[:1]}[frozen]:
        still.requires_grad_(False)
    trained = [x for x in (words, *banks) if x.requires_grad]
    ours, slow = (gradients(f(words, banks).square().sum(), trained) for f in (highest_responses, slow_highest))
    for mine, theirs in zip(ours, slow, strict=True):
        close(mine, theirs)


@pytest.mark.parametrize("width", [5, 50])
def test_highest_responses_of_what_is_not_a_number(width: int) -> None:
    """A training that has diverged is told by its loss, and not by an index out of range."""
    words, bank = random((3, 6, width), (4, width, 2), like=torch.empty(0))
    y = highest_responses(words * math.nan, [bank])
    assert all(x.isnan().all() for x in (y, *gradients(y.sum(), [bank])))


def test_repeated_words_share_one_gradient() -> None:
    """Padding makes windows equal; the sum over them is the gradient, wherever it is put."""
    words, weight = random((4, 6, 3), (5, 3, 2), like=torch.empty(0, dtype=torch.float64))
    with torch.no_grad():
        words[:, 2:] = words[:, 2:3]
    ours = gradients(highest_responses(words, [weight]).sum(), [words, weight])
    slow = gradients(slow_highest(words, [weight]).sum(), [words, weight])
    close(ours[1], slow[1])
    close(ours[0].sum(1), slow[0].sum(1))


def plain_twin(model: CNNClassifier, filters: Any, width: int) -> PlainCNN:
    twin = PlainCNN(model.embedding.num_embeddings, 20, width, 1 - model.drop, filters).to(model.output.weight)
    state = dict(model.state_dict())
    for i in range(len(model.filters)):
        state[f"convolutions.{i}.weight"] = state.pop(f"filters.{i}").transpose(1, 2)[:, None]
        state[f"convolutions.{i}.bias"] = state.pop(f"filter_biases.{i}")
    twin.load_state_dict(state)
    return twin


@on_each_device
@in_each_precision
@pytest.mark.parametrize("filters", [FILTERS, TEXYGEN_FILTERS], ids=["seqgan", "texygen"])
def test_discriminator_step(device: str, dtype: torch.dtype, filters: Any) -> None:
    """Loss and all gradients of the whole network; dropout would be the same noise on both sides, so there is none."""
    torch.manual_seed(0)
    ours = CNNClassifier(SPEC, embedding_dim=8, keep=1.0, filters=filters).to(device, dtype)
    slow = plain_twin(ours, filters, 8)
    tokens, real = torch.randint(300, (24, 20), device=device), torch.arange(24, device=device) % 2
    losses = [functional.cross_entropy(ours(tokens, dropout=True), real), functional.cross_entropy(slow(tokens), real)]
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-5 if dtype == torch.float32 else 1e-10)
    for loss in losses:
        loss.backward()
    for name, parameter in slow.named_parameters():
        part, _, kind = name.partition(".")
        if part == "convolutions":
            i, what = kind.split(".")
            mine = (ours.filters if what == "weight" else ours.filter_biases)[int(i)].grad
            mine = mine.transpose(1, 2)[:, None] if what == "weight" else mine
        else:
            mine = ours.get_parameter(name).grad
        close(mine, parameter.grad)


@on_each_device
@in_each_precision
def test_language_model_step(device: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    ours = LSTMLanguageModel(SPEC, embedding_dim=8, hidden_dim=12).to(device, dtype)
    slow = PlainLSTM(SPEC.vocab_size, SPEC.max_len, SPEC.bos_id, 8, 12).to(device, dtype)
    slow.load_state_dict(ours.state_dict())
    tokens = torch.randint(300, (24, 20), device=device)
    losses = [ours.mean_nll(tokens), functional.cross_entropy(slow(tokens).flatten(0, 1), tokens.flatten())]
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-5 if dtype == torch.float32 else 1e-10)
    for loss in losses:
        loss.backward()
    for name, parameter in ours.named_parameters():
        if parameter.requires_grad:
            close(parameter.grad, slow.get_parameter(name).grad)


def spread(model: nn.Module) -> None:
    """Scores far from one another, so that mistakes show."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.3)


@on_each_device
@pytest.mark.parametrize("shared", [1, 2, 10, 15, 19])
def test_scores_of_completions(device: str, shared: int) -> None:
    """Windows inside a prefix, across its end and behind it, whatever their size."""
    torch.manual_seed(0)
    model = CNNClassifier(SPEC, embedding_dim=8).to(device).double()
    spread(model)
    tokens = torch.randint(300, (5, 7, 20), device=device)
    tokens[:, :, :shared] = tokens[:1, :, :shared]
    expected = model.score(tokens.flatten(0, 1)).view(5, 7)
    assert expected.std() > 1e-3
    close(model.score_completions(tokens, shared), expected)


@on_each_device
@pytest.mark.parametrize("spec", [SPEC, ENDING], ids=["fixed", "ending"])
def test_rollouts_with_shared_prefixes(device: str, spec: SequenceSpec) -> None:
    torch.manual_seed(0)
    generator = LSTMLanguageModel(spec, embedding_dim=4, hidden_dim=6).to(device)
    discriminator = CNNClassifier(spec, embedding_dim=8).to(device)
    spread(discriminator)
    tokens = generator.sample(9)
    rewards = []
    for completions in ((), (discriminator.score_completions,)):
        torch.manual_seed(1)
        rewards.append(rollout_rewards(generator, tokens, discriminator.score, 3, *completions))
    assert rewards[0].std() > 1e-3
    close(rewards[1], rewards[0])


@on_each_device
@pytest.mark.parametrize("spec", [ENUMERABLE, ENUMERABLE_ENDING], ids=["fixed", "ending"])
def test_samples_have_the_distribution_of_the_model(device: str, spec: SequenceSpec) -> None:
    """Over every sentence of a tiny vocabulary, against the probabilities that the model itself gives."""
    torch.manual_seed(0)
    model = LSTMLanguageModel(spec, embedding_dim=4, hidden_dim=6).to(device)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8)
    rows = {tuple(row) for row in blanked(itertools.product(range(spec.vocab_size), repeat=3), spec)}
    sentences = torch.tensor(sorted(rows), device=device)
    p = model.log_prob(sentences).double().exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-5)
    n = 20_000
    found, counts = torch.cat([sentences, model.sample(n)]).unique(dim=0, return_counts=True)
    assert torch.equal(found, sentences)  # no other sentence was drawn
    expected, observed = (p * n).cpu(), (counts - 1).double().cpu()
    likely = expected >= 5
    observed = torch.cat([observed[likely], observed[~likely].sum()[None]])
    expected = torch.cat([expected[likely], expected[~likely].sum()[None]]).clamp(min=1e-9)
    assert chisquare(observed, expected * n / expected.sum()).pvalue > 1e-3


def blanked(rows: Iterable[tuple[int, ...]], spec: SequenceSpec) -> Iterator[list[int]]:
    """What follows the end token is padding."""
    for row in rows:
        stop = row.index(spec.eos_id) + 1 if spec.eos_id in row else len(row)
        yield [*row[:stop], *[spec.pad_id or 0] * (len(row) - stop)]


def test_words_are_drawn_alike_with_and_without_their_highest_logit() -> None:
    """Where no logit can be far from 0, none is looked for; elsewhere, as when cold, each row is shifted by it."""
    torch.manual_seed(0)
    model = LSTMLanguageModel(SPEC, embedding_dim=8, hidden_dim=12).double()
    hidden = torch.rand(600, 12, dtype=torch.float64) * 2 - 1
    decoder = Decoder(model)
    logits = functional.linear(hidden, model.output.weight, model.output.bias)
    assert logits.abs().max() / math.log(2) <= decoder._bound() < 100
    torch.manual_seed(1)
    drawn = decoder.draw(hidden, 3)
    torch.manual_seed(1)
    shifted = torch.cat([draw(tile, 3) for tile in logits.split(256)], 1)
    assert torch.equal(drawn, shifted)
    cold = Decoder(model, temperature=1e-6)
    assert torch.equal(cold.draw(hidden)[0], logits.argmax(1))
