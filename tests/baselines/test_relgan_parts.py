"""RelGAN's parts against slow, obvious float64 implementations of their equations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from helpers.parameters import roughen
from scipy.stats import chisquare
from torch import Tensor

from baselines.common.networks.gumbel import Schedule, gumbel_softmax, inverse_temperature
from baselines.common.networks.multi_cnn import MultiRepresentationCNN
from baselines.common.networks.recurrent import LSTMCore, RecurrentLanguageModel
from baselines.common.networks.relational_memory import JointLayerNorm, RelationalMemory
from baselines.common.spec import SequenceSpec

FIXED = SequenceSpec(vocab_size=6, max_len=5, bos_id=0, pad_id=None, eos_id=None)
ENDING = SequenceSpec(vocab_size=5, max_len=6, bos_id=1, pad_id=2, eos_id=3)
CORES: dict[str, Callable[[], Any]] = {
    "memory": lambda: RelationalMemory(3, heads=2, head_dim=4),
    "two_slots": lambda: RelationalMemory(3, slots=2, heads=2, head_dim=3, blocks=2, mlp_layers=3),
    "lstm": lambda: LSTMCore(3, 5),
}


def language_model(core: str, spec: SequenceSpec, *, padding_is_a_word: bool = False) -> RecurrentLanguageModel:
    torch.manual_seed(0)
    model = RecurrentLanguageModel(spec, CORES[core](), embedding_dim=3, padding_is_a_word=padding_is_a_word)
    model.double()
    roughen(model)
    return model


def joint_norm(rows: list[Tensor], norm: JointLayerNorm) -> list[Tensor]:
    """One mean and one variance over all numbers of all rows."""
    numbers = [x for row in rows for x in row]
    mean = sum(numbers) / len(numbers)
    variance = sum((x - mean) ** 2 for x in numbers) / len(numbers)
    return [(row - mean) / (variance + 1e-12).sqrt() * norm.gain + norm.bias for row in rows]


def slow_memory_step(core: RelationalMemory, x: Tensor, memory: Tensor) -> Tensor:
    """The equations for one sentence: rows, heads and units one at a time."""
    r = core.input.weight @ x + core.input.bias
    rows = [*memory, r]
    for block in core.blocks:
        width = core.size // block.heads
        qkv = joint_norm([block.qkv.weight @ row for row in rows], block.norm_qkv)
        attended = []
        for row in qkv:
            heads = []
            for h in range(block.heads):
                start = 3 * width * h
                query = row[start : start + width]
                scores = [query @ other[start + width : start + 2 * width] for other in qkv]
                weights = [(score / math.sqrt(3 * width)).exp() for score in scores]
                values = [other[start + 2 * width : start + 3 * width] for other in qkv]
                heads.append(sum(w / sum(weights) * v for w, v in zip(weights, values, strict=True)))
            attended.append(torch.cat(heads))
        rows = joint_norm([row + a for row, a in zip(rows, attended, strict=True)], block.norm_attended)
        mixed = []
        for row in rows:
            y = row
            layers = [layer for layer in block.mlp if isinstance(layer, torch.nn.Linear)]
            for k, layer in enumerate(layers):
                y = layer.weight @ y + layer.bias
                y = y.clamp(min=0) if k < len(layers) - 1 else y
            mixed.append(row + y)
        rows = joint_norm(mixed, block.norm_mixed)
    new = []
    for slot, row in zip(memory, rows, strict=False):  # the last row is the input's
        gates = core.input_gates.weight @ r + core.memory_gates.weight @ slot.tanh()
        admit, keep = gates[: core.size], gates[core.size :] + 1
        new.append(torch.sigmoid(admit) * row.tanh() + torch.sigmoid(keep) * slot)
    return torch.stack(new)


@pytest.mark.parametrize(("slots", "heads", "blocks", "mlp_layers"), [(1, 2, 1, 2), (3, 2, 1, 2), (2, 1, 2, 3)])
def test_memory_step(slots: int, heads: int, blocks: int, mlp_layers: int) -> None:
    torch.manual_seed(0)
    core = RelationalMemory(3, slots=slots, heads=heads, head_dim=4, blocks=blocks, mlp_layers=mlp_layers).double()
    roughen(core)
    x, memory = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, slots, core.size, dtype=torch.float64)
    output, new = core.step(core.project(x), memory)
    expected = torch.stack([slow_memory_step(core, *row) for row in zip(x, memory, strict=True)])
    torch.testing.assert_close(new, expected)
    assert torch.equal(output, new.flatten(1))


def test_first_memory_is_the_identity_and_released_sizes() -> None:
    core = RelationalMemory(32)
    assert core.initial_state(4).shape == (4, 1, 512)
    assert core.initial_state(1)[0, 0].nonzero().flatten().tolist() == [0]
    assert torch.equal(RelationalMemory(2, slots=3, heads=1, head_dim=2).initial_state(1)[0], torch.eye(3, 2))
    assert core.blocks[0].qkv.weight.shape == (1536, 512)
    assert core.blocks[0].qkv.bias is core.input_gates.bias is core.memory_gates.bias is None
    for weight in (core.blocks[0].qkv.weight, core.blocks[0].mlp[2].weight, core.input_gates.weight):
        assert weight.abs().max() <= 2 / math.sqrt(512)
        assert weight.std().item() == pytest.approx(0.8796 / math.sqrt(512), rel=0.01)  # a normal cut at 2


def slow_lstm_step(core: LSTMCore, x: Tensor, state: Tensor) -> Tensor:
    hidden, cell = state
    parts = (core.input.weight @ x + core.input.bias + core.recurrent.weight @ hidden).chunk(4)
    admit, keep, candidate, show = parts
    cell = torch.sigmoid(keep) * cell + torch.sigmoid(admit) * candidate.tanh()
    return torch.stack([torch.sigmoid(show) * cell.tanh(), cell])


def slow_logits(model: RecurrentLanguageModel, sentence: list[int]) -> list[Tensor]:
    """Logits at each position of one sentence; only the words before it are read."""
    core, out = model.core, []
    state = core.initial_state(1)[0]
    for word in [model.spec.bos_id, *sentence[:-1]]:
        x = model.embedding.weight[word]
        state = slow_lstm_step(core, x, state) if isinstance(core, LSTMCore) else slow_memory_step(core, x, state)
        hidden = state[0] if isinstance(core, LSTMCore) else state.flatten()
        out.append(model.output.weight @ hidden + model.output.bias)
    return out


@pytest.mark.parametrize("padding_is_a_word", [False, True])
@pytest.mark.parametrize("core", CORES)
def test_language_model(core: str, padding_is_a_word: bool) -> None:
    """log p by hand; the pre-training loss counts padding only where it is a word, the likelihood never."""
    model = language_model(core, ENDING, padding_is_a_word=padding_is_a_word)
    tokens = torch.tensor([[4, 0, 3, 2, 2, 2], [4, 4, 0, 0, 1, 4], [3, 2, 2, 2, 2, 2]])
    sums, terms = [], []
    for row in tokens.tolist():
        log_p = [logits.log_softmax(0)[w] for logits, w in zip(slow_logits(model, row), row, strict=True)]
        end = row.index(3) + 1 if 3 in row else 6
        sums.append(sum(log_p[:end]))
        terms += log_p if padding_is_a_word else log_p[:end]
    torch.testing.assert_close(model.log_prob(tokens), torch.stack([torch.as_tensor(x) for x in sums]).detach())
    assert len(terms) == (18 if padding_is_a_word else 10)
    expected = -sum(terms) / len(terms)
    loss = model.mean_nll(tokens)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-12)
    parameters = list(model.parameters())
    theirs = torch.autograd.grad(expected, parameters)
    for ours, their in zip(torch.autograd.grad(loss, parameters), theirs, strict=True):
        torch.testing.assert_close(ours, their, rtol=1e-9, atol=1e-12)


def test_gumbel_words_are_exact_draws_whatever_beta() -> None:
    torch.manual_seed(0)
    logits = torch.randn(6) * 1.5
    for beta in (1.0, 30.0):
        relaxed, words = gumbel_softmax(logits.expand(30_000, -1), beta)
        assert chisquare(words.bincount(minlength=6), logits.double().softmax(0) * 30_000).pvalue > 1e-3
        assert torch.equal(relaxed.argmax(1), words)
        torch.testing.assert_close(relaxed.sum(1), torch.ones(30_000))


def test_gumbel_step_is_its_equation_and_its_gradient_the_softmax_one(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    logits, uniform = torch.randn(4, 5, dtype=torch.float64), torch.rand(4, 5, dtype=torch.float64)
    uniform[0, 1] = 0.0  # a number that torch.rand may give
    monkeypatch.setattr(torch, "rand_like", lambda _: uniform.clone())
    relaxed, words = gumbel_softmax(logits.requires_grad_(), 2.5)
    assert not words.requires_grad
    for b in range(4):
        noisy = [logits[b, v].item() - math.log(-math.log(max(uniform[b, v].item(), 1e-300))) for v in range(5)]
        assert words[b] == noisy.index(max(noisy))
        weights = [math.exp(2.5 * x) for x in noisy]
        expected = torch.tensor(weights, dtype=torch.float64) / sum(weights)
        torch.testing.assert_close(relaxed[b], expected)
    slope = torch.randn(4, 5, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((relaxed * slope).sum(), logits)
    inner = (relaxed * slope).sum(1, keepdim=True)
    torch.testing.assert_close(gradient, 2.5 * relaxed.detach() * (slope - inner.detach()))


@pytest.mark.parametrize("core", CORES)
def test_relaxed_sentences_and_where_their_gradient_flows(core: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equations 1 to 3 with the noise given: values by hand, and derivatives by differences in every parameter.

    The words drawn do not move under a small change, so that the difference quotient knows of relaxed outputs, state
    and looked-up embeddings, but not of the choice: a detached state or a relaxed feedback would be another number.
    """
    model = language_model(core, FIXED)
    torch.manual_seed(2)
    noise = iter([])
    uniform = torch.rand(FIXED.max_len, 3, FIXED.vocab_size, dtype=torch.float64)
    monkeypatch.setattr(torch, "rand_like", lambda _: next(noise).clone())

    def relaxed() -> Tensor:
        nonlocal noise
        noise = iter(uniform)
        return model.relaxed(3, 1.7)

    sentences = relaxed()
    tokens = sentences.argmax(2)
    for b in range(3):
        for t, logits in enumerate(slow_logits(model, tokens[b].tolist())):
            expected = (1.7 * (logits - (-uniform[t, b].log()).log())).softmax(0)
            torch.testing.assert_close(sentences[b, t], expected)
    weights = torch.randn(sentences.shape, dtype=torch.float64)
    parameters = list(model.parameters())
    gradients = torch.autograd.grad((sentences * weights).sum(), parameters)
    step = 1e-6
    for parameter, gradient in zip(parameters, gradients, strict=True):
        flat = parameter.data.view(-1)
        for index in torch.randperm(len(flat))[:4].tolist():
            sides = []
            for sign in (1, -1):
                flat[index] += sign * step
                sides.append((relaxed() * weights).sum().item())
                flat[index] -= sign * step
            assert (sides[0] - sides[1]) / (2 * step) == pytest.approx(gradient.view(-1)[index].item(), abs=1e-6)


@pytest.mark.parametrize("padding_is_a_word", [False, True])
def test_what_follows_the_end_of_a_relaxed_sentence(padding_is_a_word: bool) -> None:
    """Blank: exact padding without gradient, as real sentences have; a word: relaxed like all others."""
    torch.manual_seed(0)
    model = language_model("memory", ENDING, padding_is_a_word=padding_is_a_word)
    sentences = model.relaxed(60, 1.0)
    tokens = sentences.argmax(2)
    after = (tokens == 3).cumsum(1) - (tokens == 3).long() > 0
    assert after.any()
    assert not after.all(1).any()
    (gradient,) = torch.autograd.grad(sentences[after].square().sum(), model.output.bias)
    padding = torch.eye(5, dtype=torch.float64)[2].expand_as(sentences[after])
    assert torch.equal(sentences[after], padding) == (not padding_is_a_word)
    assert gradient.any().item() == padding_is_a_word
    assert ((sentences[~after] > 0) & (sentences[~after] < 1)).all()


def slow_logits_of_discriminator(model: MultiRepresentationCNN, words: Tensor, sizes: list[int]) -> Tensor:
    """The network for one embedded sentence (T, E): representations, windows, filters and positions one at a time."""
    out = []
    for r in range(model.representations):
        part = words[:, r * model.stride : (r + 1) * model.stride]  # (T, S)
        features, k = [], 0
        for size, bank in zip(sizes, model.filters, strict=True):
            for weight in bank.view(-1, size, model.stride):
                values = [(part[t : t + size] * weight).sum() for t in range(len(words) - size + 1)]
                features.append(max(max(v + model.filter_bias[k] for v in values), torch.zeros(()).double()))
                k += 1
        x = torch.stack(features)
        gate = torch.sigmoid(model.gate.weight @ x)
        x = gate * (model.transform.weight @ x).clamp(min=0) + (1 - gate) * x
        x = model.summary.weight @ x + model.summary.bias
        out.append((model.output.weight @ x + model.output.bias).squeeze())
    return torch.stack(out)


@pytest.mark.parametrize(("length", "sizes"), [(7, [2, 3, 4, 5]), (3, [2, 3]), (1, [1])])
@pytest.mark.parametrize("representations", [6, 3])
def test_discriminator(length: int, sizes: list[int], representations: int) -> None:
    torch.manual_seed(0)
    spec = SequenceSpec(vocab_size=9, max_len=length, bos_id=0, pad_id=None, eos_id=None)
    model = MultiRepresentationCNN(spec, embedding_dim=6, representations=representations, filters=4, hidden_dim=5)
    model.double()
    roughen(model)
    tokens = torch.randint(9, (50, length))  # more rows than one part
    words = model.embed(tokens)
    expected = torch.stack([slow_logits_of_discriminator(model, row, sizes) for row in words])
    torch.testing.assert_close(model(words, dropout=False), expected)
    one_hot = torch.eye(9, dtype=torch.float64)[tokens]
    torch.testing.assert_close(model.embed_relaxed(one_hot), words)


def test_discriminator_has_released_sizes_and_initial_values() -> None:
    torch.manual_seed(0)
    spec = SequenceSpec(vocab_size=5000, max_len=20, bos_id=0, pad_id=None, eos_id=None)
    model = MultiRepresentationCNN(spec)
    assert [tuple(weight.shape) for weight in model.filters] == [(300, size) for size in (2, 3, 4, 5)]
    assert model.transform.weight.shape == model.gate.weight.shape == (1200, 1200)
    assert model.transform.bias is model.gate.bias is None
    assert model.summary.weight.shape == (100, 1200)
    variances = {model.embedding.weight: 1 / 5000, model.transform.weight: 1 / 1200, model.summary.weight: 1 / 1200}
    variances |= {weight: 2 / weight.shape[1] for weight in model.filters}
    for weight, variance in variances.items():
        assert weight.std().item() == pytest.approx(0.8796 * math.sqrt(variance), rel=0.1)
        assert weight.abs().max() <= 2 * math.sqrt(variance) * 1.0001
    assert not any(bias.any() for bias in (model.filter_bias, model.summary.bias, model.output.bias))


def test_dropout_is_explicit_and_apart_for_every_row() -> None:
    torch.manual_seed(0)
    model = MultiRepresentationCNN(FIXED, embedding_dim=4, representations=4, filters=20, hidden_dim=5)
    words = model.embed(torch.ones(2, 5, dtype=torch.int64))
    for training in (True, False):
        model.train(training)
        assert torch.equal(model(words, dropout=False)[0], model(words, dropout=False)[1])
        assert not torch.equal(*model(words, dropout=True))


def test_schedules() -> None:
    """Ends, one value in between by hand, and the beta with which the released run of COCO ends."""
    for schedule in get_args(Schedule):
        betas = [inverse_temperature(schedule, i, beta_max=100.0, horizon=101) for i in range(101)]
        assert betas == sorted(betas)
        if schedule not in ("none", "sigmoid"):
            assert betas[0] == pytest.approx(1)
        if schedule not in ("exponential", "sigmoid"):
            assert betas[-1] == pytest.approx(100)
    middle = {
        "none": 100.0,
        "linear": 1 + 99 / 4,
        "quadratic": 1 + 99 / 16,
        "square_root": 1 + 99 / 2,
        "logarithmic": 1 + 99 * math.log(26) / math.log(101),
        "sigmoid": 1 + 99 / (1 + math.exp((101 / 2 - 25) * 20 / 101)),
        "exponential": 100 ** (25 / 101),
    }
    assert set(middle) == set(get_args(Schedule))
    for schedule, value in middle.items():
        assert inverse_temperature(schedule, 25, beta_max=100.0, horizon=101) == pytest.approx(value)
    assert inverse_temperature("exponential", 2000, beta_max=100.0, horizon=5000) == pytest.approx(6.31, abs=0.005)
