"""The shared parts of the models against plain implementations of the same thing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.fast.likelihood import counted, log_likelihood, token_entropy, weighted_nll
from baselines.common.fast.sampling import BLOCK, draw
from baselines.common.networks.cnn import FILTERS, CNNClassifier
from baselines.common.networks.lstm import Decoder, LSTMLanguageModel
from baselines.common.spec import SequenceSpec
from baselines.common.training.optimizer import adam, update
from baselines.common.training.state import Counter, DiscriminatorPool, RepeatedBatches, SentenceStore, Turns

WORDS = SequenceSpec(vocab_size=50, max_len=20, bos_id=0, pad_id=None, eos_id=None)
ENDING = SequenceSpec(vocab_size=7, max_len=6, bos_id=1, pad_id=2, eos_id=3)


def language_model(spec: SequenceSpec, seed: int = 0, scale: float = 10.0) -> LSTMLanguageModel:
    """Far from uniform, so that mistakes show."""
    torch.manual_seed(seed)
    model = LSTMLanguageModel(spec, embedding_dim=5, hidden_dim=8)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale)
    return model


def test_draw_is_the_inverse_of_the_cumulative_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points just inside each interval of the cumulative distribution give that interval's word, across blocks."""
    p = torch.rand(3 * BLOCK - 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.01
    p /= p.sum()
    upper = p.cumsum(0)
    for points in (upper - p + 1e-9, upper - 1e-9):
        monkeypatch.setattr(torch, "rand", lambda *size, points=points, **_: points.view(size))
        assert torch.equal(draw(p.log()[None], len(p)).flatten(), torch.arange(len(p)))


@pytest.mark.parametrize("point", [0.0, 1 - 2**-24, 1.0])
def test_draw_never_gives_an_impossible_word(point: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "rand", lambda *size, dtype: torch.full(size, point, dtype=dtype))
    logits = torch.full((200, 3 * BLOCK), -math.inf)
    generator = torch.Generator().manual_seed(0)
    for row in logits:
        possible = torch.randperm(len(row), generator=generator)[:7]
        row[possible] = torch.randn(7, generator=generator) * 5
    assert logits.gather(1, draw(logits).t()).isfinite().all()


def test_draws_have_the_distribution_of_their_row_and_are_independent() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 6) * 1.5
    first, second = draw(logits, 30_000)[:, 0], draw(logits, 30_000)[:, 1]
    for words, row in ((first, logits[0]), (second, logits[1])):
        assert chisquare(words.bincount(minlength=6), row.double().softmax(0) * 30_000).pvalue > 1e-3
    joint = torch.stack([draw(logits[:1], 2).flatten() for _ in range(5_000)])
    expected = logits[0].double().softmax(0)
    table = (joint[:, 0] * 6 + joint[:, 1]).bincount(minlength=36)
    assert chisquare(table, torch.outer(expected, expected).flatten() * 5_000).pvalue > 1e-3
    assert draw(logits[:0]).shape == (1, 0)


def test_what_counts() -> None:
    tokens = torch.tensor([[4, 3, 2, 2], [3, 3, 3, 3], [4, 5, 4, 5], [4, 5, 4, 3]])
    expected = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]], dtype=torch.bool)
    assert torch.equal(counted(tokens, 3), expected)
    assert counted(tokens, None).all()


def test_weighted_nll_and_its_gradient() -> None:
    """Over several tiles, in float64, against autograd on the whole matrix of logits."""
    generator = torch.Generator().manual_seed(0)
    n, h, v = 250, 6, 40
    hidden, weight, bias = (
        torch.randn(*size, dtype=torch.float64, generator=generator).requires_grad_() for size in ((n, h), (v, h), (v,))
    )
    targets = torch.randint(v, (n,), generator=generator)
    weights = torch.randn(n, dtype=torch.float64, generator=generator)
    log_p = functional.linear(hidden, weight, bias).log_softmax(1)
    expected = -(log_p[torch.arange(n), targets] * weights).sum() * 3
    got = weighted_nll(hidden, weight, bias, targets, weights) * 3
    assert got.item() == pytest.approx(expected.item(), abs=1e-10)
    theirs = torch.autograd.grad(expected, (hidden, weight, bias))
    for ours, their in zip(torch.autograd.grad(got, (hidden, weight, bias)), theirs, strict=True):
        torch.testing.assert_close(ours, their, rtol=0, atol=1e-11)
    torch.testing.assert_close(log_likelihood(hidden, weight, bias, targets), log_p[torch.arange(n), targets])
    entropy = torch.distributions.Categorical(logits=log_p).entropy()
    torch.testing.assert_close(token_entropy(hidden, weight, bias), entropy)


def by_hand(model: LSTMLanguageModel, sentence: list[int]) -> list[Tensor]:
    """log p(. | prefix) at each position from the textbook equations of an LSTM, one bias per gate."""
    lstm = model.lstm
    w, u, b = lstm.weight_ih_l0.chunk(4), lstm.weight_hh_l0.chunk(4), lstm.bias_ih_l0.chunk(4)
    h = c = torch.zeros(lstm.hidden_size, dtype=model.output.weight.dtype)
    out = []
    for word in [model.spec.bos_id, *sentence[:-1]]:
        x = model.embedding.weight[word]
        i, f, g, o = (w[k] @ x + u[k] @ h + b[k] for k in range(4))
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        out.append((model.output.weight @ h + model.output.bias).log_softmax(0))
    return out


def test_language_model_is_an_lstm_and_stops_at_the_end() -> None:
    model = language_model(ENDING).double()
    tokens = torch.tensor([[4, 5, 3, 2, 2, 2], [6, 0, 1, 2, 5, 4], [3, 2, 2, 2, 2, 2]])
    expected, entropies = [], []
    for row in tokens.tolist():
        end = row.index(3) + 1 if 3 in row else len(row)
        steps = by_hand(model, row)[:end]
        expected.append(sum(log_p[word] for log_p, word in zip(steps, row, strict=False)))
        entropies += [-(log_p.exp() * log_p).sum() for log_p in steps]
    log_prob = torch.stack([torch.as_tensor(value) for value in expected])
    torch.testing.assert_close(model.log_prob(tokens), log_prob.detach())
    torch.testing.assert_close(model.mean_nll(tokens).detach(), -log_prob.sum().detach() / 10)
    torch.testing.assert_close(model.entropy(tokens), torch.stack(entropies).mean().detach())


def test_decoder_walks_the_same_states() -> None:
    model = language_model(ENDING)
    tokens = torch.randint(7, (9, 6), generator=torch.Generator().manual_seed(1))
    decoder = Decoder(model)
    state, states = decoder.start(9), []
    for t in range(6):
        states.append(state[0])
        state = decoder.step(tokens[:, t], *state)
    torch.testing.assert_close(torch.stack(states, 1), model.hidden(tokens).detach(), rtol=1e-5, atol=1e-6)


def test_initial_values_of_the_generator() -> None:
    """N(0, 0.1^2) everywhere, biases included; the second bias of `nn.LSTM` is zero and stays so."""
    torch.manual_seed(0)
    model = LSTMLanguageModel(
        SequenceSpec(vocab_size=5000, max_len=20, bos_id=0, pad_id=None, eos_id=None), embedding_dim=32, hidden_dim=32
    )
    for name, parameter in model.named_parameters():
        if name == "lstm.bias_hh_l0":
            assert not parameter.any()
            assert not parameter.requires_grad
        else:
            assert parameter.std().item() == pytest.approx(0.1, rel=0.3 if parameter.numel() < 1000 else 0.05)
    before = model.output.bias.clone()
    update(adam(model, 1e-2), model.mean_nll(torch.zeros(2, 20, dtype=torch.int64)))
    assert not model.lstm.get_parameter("bias_hh_l0").any()
    assert not torch.equal(model.output.bias, before)


def test_update_clips_at_the_global_norm() -> None:
    layer = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    before = torch.cat([p.detach().flatten().clone() for p in layer.parameters()])
    update(optimizer, layer(torch.full((1, 3), 100.0)).sum(), max_norm=5.0)
    moved = torch.cat([p.detach().flatten() for p in layer.parameters()]) - before
    assert moved.norm().item() == pytest.approx(5.0, rel=1e-4)
    assert moved[0].item() == pytest.approx(-5 * 100 / math.sqrt(3 * 100**2 + 1), rel=1e-4)


def test_counter_is_in_the_state() -> None:
    counter = Counter()
    counter.advance()
    counter.advance()
    other = Counter()
    other.load_state_dict(counter.state_dict())
    assert other.value == 2


def test_turns_go_round_from_where_their_counter_stands() -> None:
    counter = Counter()
    done: list[tuple[str, int, int]] = []

    def turns() -> Turns:
        found = Turns(
            counter,
            (2, lambda _: done.append(("g", found.round, found.position)) or {}),
            (0, lambda _: done.append(("never", 0, 0)) or {}),
            (1, lambda _: done.append(("d", found.round, found.position)) or {}),
        )
        return found

    assert turns().steps == 3
    for _ in range(4):
        turns()(iter([]))
    assert done == [("g", 0, 0), ("g", 0, 1), ("d", 0, 2), ("g", 1, 0)]


def plain_cnn(model: CNNClassifier, tokens: Tensor) -> Tensor:
    """The released graph, layer by layer: 2-d convolutions over (T, E), ReLU, maximum, highway, output."""
    image = model.embedding.weight[tokens][:, None]  # (B, 1, T, E)
    pooled = []
    for weight, bias in zip(model.filters, model.filter_biases, strict=True):
        n, width, size = weight.shape
        convolution = nn.Conv2d(1, n, (size, width), dtype=weight.dtype)
        convolution.weight, convolution.bias = nn.Parameter(weight.transpose(1, 2)[:, None]), nn.Parameter(bias)
        pooled.append(convolution(image).relu().squeeze(3).max(2).values)
    features = torch.cat(pooled, 1)
    of_gate, of_candidate = (0 if layer.bias is None else layer.bias for layer in (model.gate, model.transform))
    gate = torch.sigmoid(features @ model.gate.weight.t() + of_gate)
    candidate = (features @ model.transform.weight.t() + of_candidate).relu()
    return (gate * candidate + (1 - gate) * features) @ model.output.weight.t() + model.output.bias


@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize(("length", "n_windows", "width"), [(20, 12, 1720), (7, 7, 1100), (1, 1, 100)])
def test_discriminator_is_the_released_network(length: int, n_windows: int, width: int, biases: bool) -> None:
    torch.manual_seed(0)
    spec = SequenceSpec(vocab_size=30, max_len=length, bos_id=0, pad_id=None, eos_id=None)
    model = CNNClassifier(spec, highway_biases=biases)
    assert all((layer.bias is not None) is biases for layer in (model.gate, model.transform))
    assert len(model.filters) == n_windows
    assert model.output.in_features == width == sum(n for size, n in FILTERS.items() if size <= length)
    tokens = torch.randint(30, (600, length))
    expected = plain_cnn(model, tokens)
    torch.testing.assert_close(model(tokens, dropout=False), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(model.score(tokens), expected.softmax(1)[:, 1].detach(), rtol=1e-5, atol=1e-5)
    assert model.embedding.weight.abs().max() <= 1
    assert all((weight.abs() <= 0.2).all() for weight in [*model.filters, model.output.weight])
    assert all((bias == 0.1).all() for bias in [*model.filter_biases, model.output.bias])


def test_dropout_is_explicit_whatever_the_mode() -> None:
    torch.manual_seed(0)
    model, tokens = CNNClassifier(WORDS), torch.randint(50, (4, 20))
    for training in (True, False):
        model.train(training)
        assert torch.equal(model(tokens, dropout=False), model(tokens, dropout=False))
        assert not torch.equal(model(tokens, dropout=True), model(tokens, dropout=True))


def test_l2_reaches_the_output_layer_only() -> None:
    torch.manual_seed(0)
    model, real = CNNClassifier(WORDS).double(), torch.tensor([0, 1, 1, 0])
    logits = model(torch.randint(50, (4, 20)), dropout=False)
    difference = model.loss(logits, real, l2=0.2) - model.loss(logits, real, l2=0.0)
    weight, bias = model.output.weight, model.output.bias
    assert difference.item() == pytest.approx(0.2 * ((weight**2).sum() / 2 + (bias**2).sum() / 2).item())
    parameters = dict(model.named_parameters())
    gradients = torch.autograd.grad(difference, list(parameters.values()), allow_unused=True)
    for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
        if name.startswith("output."):
            torch.testing.assert_close(gradient, 0.2 * parameter.detach())
        else:
            # The cross-entropies cancel to rounding.
            assert gradient is None or gradient.abs().max() < 1e-12


def test_store_keeps_one_epoch_of_a_stream_in_fixed_order() -> None:
    store = SentenceStore(WORDS, batches=7, batch_size=2)
    with pytest.raises(ValueError, match="train the model first"):
        store.sentences()
    epoch = torch.randint(50, (3, 2, 20), generator=torch.Generator().manual_seed(0))
    for batch in [*epoch, *epoch, epoch[0]]:
        store.add(batch)
    assert torch.equal(store.sentences(), epoch.flatten(0, 1))
    other = SentenceStore(WORDS, batches=7, batch_size=2)
    for batch in [*epoch, epoch[0], epoch[2]]:  # a repeated batch that is no new epoch
        other.add(batch)
    assert len(other.sentences()) == 10


def numbered(start: int, batch_size: int) -> Iterator[Tensor]:
    """Endless batches of sentences whose words are all their number."""
    for first in itertools.count(start, batch_size):
        yield torch.arange(first, first + batch_size)[:, None].expand(-1, WORDS.max_len)


def epochs_of(pool: DiscriminatorPool, n: int, per_epoch: int) -> list[list[tuple[list[int], list[int]]]]:
    """For each pass over pools of generated sentences -1, the batches as (numbers, labels)."""
    stream = numbered(1, 4)

    def batch() -> tuple[list[int], list[int]]:
        tokens, real = pool.next(stream, lambda k: torch.full((k, WORDS.max_len), -1))
        return tokens[:, 0].tolist(), real.tolist()

    return [[batch() for _ in range(per_epoch)] for _ in range(n)]


def test_a_pool_may_hold_more_real_sentences_than_generated_ones() -> None:
    """Five batches real, one generated, each sentence once in a pass; the next pool has the next real ones."""
    torch.manual_seed(0)
    pool = DiscriminatorPool(WORDS, batches=1, batch_size=4, epochs=2, real_share=5)
    passes = epochs_of(pool, 4, 6)
    assert passes[0] == passes[1]
    assert passes[2] == passes[3]
    for number, found in enumerate((passes[0], passes[2])):
        pairs = [pair for numbers, labels in found for pair in zip(numbers, labels, strict=True)]
        real = range(1 + 20 * number, 21 + 20 * number)
        assert sorted(pairs) == sorted([(-1, 0)] * 4 + [(k, 1) for k in real])
        assert any({0, 1} == set(labels) for _, labels in found)  # shuffled together


def test_a_reshuffled_pool_has_other_batches_in_each_pass() -> None:
    torch.manual_seed(0)
    pool = DiscriminatorPool(WORDS, batches=3, batch_size=4, epochs=3, reshuffled=True)
    passes = epochs_of(pool, 6, 6)
    for first in (0, 3):
        contents = [
            sorted(p for ns, ls in found for p in zip(ns, ls, strict=True)) for found in passes[first : first + 3]
        ]
        assert contents[0] == contents[1] == contents[2]
        assert all(label == (number > 0) for number, label in contents[0])
        assert passes[first] != passes[first + 1] != passes[first + 2]
    assert passes[0] != passes[3]


def test_repeated_batches_are_the_first_ones_also_after_a_checkpoint() -> None:
    stream, repeated = numbered(1, 2), RepeatedBatches(WORDS, batches=3, batch_size=2)
    found = [repeated.next(stream)[0, 0].item() for _ in range(8)]
    assert found == [1, 3, 5, 1, 3, 5, 1, 3]
    assert next(stream)[0, 0].item() == 7  # the others are left to whoever reads the stream too
    resumed = RepeatedBatches(WORDS, batches=3, batch_size=2)
    resumed.load_state_dict(repeated.state_dict())
    assert [resumed.next(stream)[0, 0].item() for _ in range(2)] == [5, 1]
