"""Masked diffusion against enumeration: all masks, all times, all orders of a tiny vocabulary."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor, nn

from baselines.common.interface import HasLogProb, HasNllBound
from baselines.common.spec import SequenceSpec
from baselines.masked_diffusion import MaskedDiffusion

V, T = 3, 3
FIXED = SequenceSpec(vocab_size=V, max_len=T, bos_id=0, pad_id=None, eos_id=None)
ENDING = SequenceSpec(vocab_size=V, max_len=T, bos_id=0, pad_id=1, eos_id=0)
SPECS = {"fixed": FIXED, "ending": ENDING}
ROWS = torch.tensor(list(itertools.product(range(V), repeat=T)))
"""All rows of T positions, whatever follows an end."""


def made(spec: SequenceSpec = FIXED, **settings: Any) -> MaskedDiffusion:
    """Untrained, and far from even: every parameter is drawn from N(0, .7^2)."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"dim": 8, "layers": 2, "heads": 2, "batch_size": 8, "steps": 4}
    model = MaskedDiffusion(MaskedDiffusion.Config(**{**sizes, **settings}), spec)
    with torch.no_grad():
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.7)
    return model


def log_p(model: MaskedDiffusion, seen: list[int], temperature: float = 1.0) -> Tensor:
    """(T, V): of a row with masks, as the network says."""
    network = model.model
    hidden = network.hidden(torch.tensor([seen]))[0]
    return ((hidden @ network.weight.t() + network.bias).double() / temperature).log_softmax(1).detach()


def hide(row: list[int], masked: Any) -> list[int]:
    return [V if i in masked else word for i, word in enumerate(row)]


def cost_of(model: MaskedDiffusion, row: list[int], masked: Any) -> float:
    """Sum over the masked positions of -log p(x_i | the others)."""
    log_probs = log_p(model, hide(row, masked))
    return -sum(log_probs[i, row[i]].item() for i in masked)


def subsets() -> list[tuple[int, ...]]:
    return [s for k in range(T + 1) for s in itertools.combinations(range(T), k)]


def bound_by_counts(model: MaskedDiffusion, row: list[int]) -> float:
    """Equation 4."""
    return sum(cost_of(model, row, s) * T / len(s) / (T * math.comb(T, len(s))) for s in subsets() if s)


def bound_by_times(model: MaskedDiffusion, row: list[int], points: int = 4_000) -> float:
    """Equation 3, the integral over times by midpoints."""
    costs = {s: cost_of(model, row, s) for s in subsets()}
    total = 0.0
    for j in range(points):
        t = (j + 0.5) / points
        total += sum(cost * t ** len(s) * (1 - t) ** (T - len(s)) / t for s, cost in costs.items()) / points
    return total


def probability(model: MaskedDiffusion, row: list[int], groups: list[int], temperature: float = 1.0) -> float:
    """Equation 5, the mean over all orders; `groups`: how many words are drawn at once."""
    total = 0.0
    orders = list(itertools.permutations(range(T)))
    for order in orders:
        masked, log_q, rest = set(range(T)), 0.0, list(order)
        for size in groups:
            log_probs = log_p(model, hide(row, masked), temperature)
            log_q += sum(log_probs[i, row[i]].item() for i in rest[:size])
            masked -= set(rest[:size])
            rest = rest[size:]
        total += math.exp(log_q) / len(orders)
    return total


def cut(row: list[int], spec: SequenceSpec) -> tuple[int, ...]:
    if spec.eos_id is None or spec.eos_id not in row:
        return tuple(row)
    end = row.index(spec.eos_id) + 1
    return (*row[:end], *[spec.pad_id] * (T - end))


def test_equations_3_and_4_are_one_bound() -> None:
    model = made()
    for row in ROWS.tolist()[::4]:
        assert bound_by_times(model, row) == pytest.approx(bound_by_counts(model, row), rel=1e-5)


@pytest.mark.parametrize("draws", [1, 2, 3, 5])
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_the_monte_carlo_bound_is_the_enumerated_one(spec: SequenceSpec, draws: int) -> None:
    """However many draws, without bias; what follows an end token is padding, whatever is handed in."""
    model, n = made(spec), 4_000
    torch.manual_seed(1)
    for row in ROWS.tolist()[::5]:
        drawn = model.nll_bound(torch.tensor([row]).repeat(n, 1), draws=draws).double()
        expected = bound_by_counts(model, list(cut(row, spec)))
        assert abs(drawn.mean().item() - expected) < 4.5 * drawn.std().item() / n**0.5 + 1e-5


def test_numbers_of_masks_are_spread_over_the_draws_of_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """T draws have every number of masks once; each draw by itself has each of them equally often."""
    model, counts = made(), []
    monkeypatch.setattr(
        model, "_masked_nll", lambda _, masked: counts.append(masked.sum(1)) or torch.zeros(len(masked))
    )
    torch.manual_seed(2)
    model.nll_bound(torch.zeros(256, T, dtype=torch.int64), draws=T)
    assert (torch.stack(counts, 1).sort(1).values == torch.arange(1, T + 1)).all()
    for count in counts:
        assert chisquare(count.bincount(minlength=T + 1)[1:]).pvalue > 1e-3


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_the_bound_is_not_under_the_exact_likelihood(spec: SequenceSpec) -> None:
    model = made(spec)
    exact: dict[tuple[int, ...], float] = {}
    for row in ROWS.tolist():
        key = cut(row, spec)
        exact[key] = exact.get(key, 0.0) + probability(model, row, [1] * T)
    assert sum(exact.values()) == pytest.approx(1, abs=1e-6)
    gaps = [bound_by_counts(model, list(row)) + math.log(p) for row, p in exact.items()]
    assert min(gaps) > -1e-6
    assert max(gaps) > 0.1, "a network that reads nothing shows nothing"


def test_of_a_network_that_reads_nothing_the_bound_is_the_likelihood(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every draw of T numbers of masks gives the mean exactly."""
    model = made()
    always = torch.randn(T, 8)
    monkeypatch.setattr(model.model, "hidden", lambda read, **_: always.expand(len(read), -1, -1))
    for row in ROWS.tolist():
        exact = -math.log(probability(model, row, [1] * T))
        assert bound_by_counts(model, row) == pytest.approx(exact, abs=1e-5)
    torch.manual_seed(0)
    drawn = model.nll_bound(ROWS.repeat(2_000, 1), draws=T).double()
    exact = torch.tensor([-math.log(probability(model, row, [1] * T)) for row in ROWS.tolist()]).double()
    assert abs((drawn.mean() - exact.mean()).item()) < 4 * drawn.view(2_000, -1).mean(1).std().item() / 2_000**0.5


@pytest.mark.parametrize(
    ("steps", "groups", "temperature"),
    [(None, [1, 1, 1], 1.0), (7, [1, 1, 1], 0.6), (2, [2, 1], 1.0), (1, [3], 1.4)],
)
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_samples_have_the_enumerated_probabilities(
    spec: SequenceSpec, steps: int | None, groups: list[int], temperature: float
) -> None:
    model, n = made(spec, sampling_steps=steps), 20_000
    expected: dict[tuple[int, ...], float] = {}
    for row in ROWS.tolist():
        key = cut(row, spec)
        expected[key] = expected.get(key, 0.0) + n * probability(model, row, groups, temperature)
    torch.manual_seed(3)
    observed = dict.fromkeys(expected, 0)
    for row in map(tuple, model.sample(n, temperature=temperature).tolist()):
        observed[row] += 1
    likely = [key for key, value in expected.items() if value >= 5]
    pairs = [(observed[key], expected[key]) for key in likely]
    pairs.append((n - sum(o for o, _ in pairs), n - sum(e for _, e in pairs)))
    seen, hoped = zip(*[pair for pair in pairs if pair[1] > 1e-6], strict=True)
    assert chisquare(seen, [h * sum(seen) / sum(hoped) for h in hoped]).pvalue > 1e-3


def test_the_loss_is_equation_3_per_position(monkeypatch: pytest.MonkeyPatch) -> None:
    model = made(dropout=0.0)
    tokens = torch.tensor([[0, 1, 2], [2, 2, 1]])
    times = torch.tensor([[0.7], [0.4]])
    monkeypatch.setattr(model, "_times", lambda n: times[:n])
    torch.manual_seed(5)
    masks = torch.rand(2, 3) < times
    assert masks.any()
    assert not masks.all()
    rows = zip(tokens.tolist(), masks.tolist(), times.flatten().tolist(), strict=True)
    expected = sum(cost_of(model, row, [i for i in range(T) if mask[i]]) / t for row, mask, t in rows) / (2 * T)
    torch.manual_seed(5)
    assert model.denoise(tokens)["loss"].item() == pytest.approx(expected, rel=1e-5)


def test_times_are_uniform_and_spread_over_the_batch() -> None:
    model = made()
    torch.manual_seed(0)
    times = torch.stack([model._times(8).flatten() for _ in range(4_000)])
    assert times.min() >= 1e-3
    assert times.max() <= 1
    assert (times.sort(1).values.diff(dim=1) - 0.999 / 8).abs().max() < 1e-5
    error = 4 / math.sqrt(12 * 4_000)
    assert ((times.mean(0) - 0.5005).abs() < error).all(), "each by itself is uniform"


def test_words_of_small_probability_are_drawn() -> None:
    """In 32 bits the largest of the Gumbel numbers is about 16.6: rarer words would come too seldom or never."""
    model = made()
    drawn: list[torch.dtype] = []
    logits = torch.zeros(1, V)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("baselines.masked_diffusion.draw", lambda x: drawn.append(x.dtype) or x.argmax(1)[None])
        model._draw(logits.new_zeros(1, 8), 1.0)
    assert drawn == [torch.float64]


def test_no_likelihood_is_claimed() -> None:
    model = made()
    assert isinstance(model, HasNllBound)
    assert not isinstance(model, HasLogProb)


def test_learns_what_stands_beside_what() -> None:
    spec = SequenceSpec(vocab_size=6, max_len=4, bos_id=0, pad_id=None, eos_id=None)
    torch.manual_seed(0)
    model = MaskedDiffusion(MaskedDiffusion.Config(**{**MaskedDiffusion.scales["smoke"], "batch_size": 64}), spec)

    def real(n: int) -> Tensor:
        return (torch.randint(6, (n, 1)) + torch.arange(4)) % 6

    before = model.nll_bound(real(500)).mean()
    for _ in range(400):
        model.denoise(real(64))
    samples = model.sample(500)
    assert ((samples[:, 1:] - samples[:, :-1]) % 6 == 1).float().mean() > 0.7
    assert model.nll_bound(real(500), draws=4).mean() < 0.5 * before
