"""Checks of `log_prob`: it is a distribution over all sentences, and the one that sentences are drawn from.

On so few words that every sentence can be listed (`TINY`).
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable

import torch
from scipy.stats import chisquare
from torch import Tensor

from baselines.common.interface import HasLogProb
from bench.check.cases import Case, NotTriedError, all_sentences, blank
from bench.randomness import isolated
from bench.run.contract import ContractError

__all__ = ["check_agreement", "check_likelihood", "check_likelihood_at", "check_padding", "chi_square"]

_DRAWN = 20_000
_UNLIKELY = 1e-4
"""p-value under which sentences are not from the distribution; the seed is fixed, so a check never changes its mind."""
_EXACT = 1e-4
"""Of a sum of probabilities, in single precision."""


def _log_prob(case: Case, temperature: float = 1.0) -> Callable[[Tensor], Tensor]:
    model = case.trained
    if not isinstance(model, HasLogProb):
        raise NotTriedError("it has no log_prob: metrics that need a likelihood will be absent")
    ask: Callable[..., Tensor] = model.log_prob
    return torch.no_grad()(ask if temperature == 1 else functools.partial(ask, temperature=temperature))


def _of_all(case: Case, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """All sentences and their log-probabilities, (N,) each one."""
    sentences = all_sentences(case.spec)
    found = _log_prob(case, temperature)(sentences)
    if not isinstance(found, Tensor) or found.shape != (len(sentences),):
        got = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise ContractError(
            f"log_prob of {len(sentences)} sentences must be ({len(sentences)},), a number each, summed over words: "
            f"got {got}"
        )
    return sentences, found.double()


def check_likelihood(case: Case) -> str:
    """Logarithms of probabilities, which sum to 1 over all sentences."""
    sentences, found = _of_all(case)
    if not found.isfinite().any() or found.isnan().any():
        raise ContractError("log_prob is not finite")
    total = found.exp().sum().item()
    what = f"all {len(sentences)} sentences of {_told(case)}"
    if abs(total - 1) > _EXACT:
        raise ContractError(f"the probabilities of {what} sum to {total:.4g}, not 1{_hint(case, found)}")
    if found.max() > _EXACT:
        raise ContractError(f"log_prob is {found.max().item():.4g}, a probability above 1{_hint(case, found)}")
    return f"the probabilities of {what} sum to {total:.6f}"


def _told(case: Case) -> str:
    ends = "exactly" if case.spec.eos_id is None else "at most"
    return f"{ends} {case.spec.max_len} of {case.spec.vocab_size} words"


def _hint(case: Case, found: Tensor) -> str:
    """What would sum to 1, if that is a usual mistake."""
    lengths = torch.full((len(found),), float(case.spec.max_len), dtype=torch.float64)
    forms = {
        "it is the negative: return log p, not the cost": -found,
        "it is the mean over the words: sum them": found * lengths,
        "it is in bits: use the natural logarithm": found * math.log(2),
        "it is the probability: return its logarithm": found.clamp_min(1e-300).log(),
    }
    for text, form in forms.items():
        if abs(form.exp().sum().item() - 1) < _EXACT:
            return f": {text}"
    if case.spec.eos_id is None:
        return ": it is the sum over all positions of the log_softmax of the logits, at the word that stands there"
    return (
        ": it is the sum over positions up to the end token, that one included, of the log_softmax at the word that "
        "stands there; mask what follows"
    )


def check_padding(case: Case) -> str:
    """What stands after the end token costs nothing, whatever it is."""
    if case.spec.eos_id is None:
        raise NotTriedError("its sentences have no end")
    ask = _log_prob(case)
    rows = all_sentences(case.spec)
    generator = torch.Generator().manual_seed(5)
    other = torch.randint(case.spec.vocab_size, rows.shape, generator=generator)
    ended = (rows == case.spec.eos_id).long().cumsum(1) - (rows == case.spec.eos_id).long() > 0
    wrong = (ask(torch.where(ended, other, rows)) - ask(rows)).abs().max().item()
    if not wrong < _EXACT:
        raise ContractError(
            f"words after the end token change log_prob by up to {wrong:.3g}: mask the positions that follow it, as "
            "`ends = tokens == self.spec.eos_id; words.masked_fill(ends.cumsum(1) - ends.long() > 0, 0.0)`"
        )
    return "what follows the end token costs nothing"


def chi_square(drawn: Tensor, sentences: Tensor, log_prob: Tensor) -> tuple[float, Tensor, Tensor]:
    """(n, T) drawn, (N, T) all sentences and (N,) their log-probabilities -> p-value, observed and expected numbers.

    Sentences that are expected fewer than five times are one class, the last.
    """
    n, probability = len(drawn), log_prob.exp()
    _, counts = torch.cat([sentences, drawn]).unique(dim=0, return_counts=True)
    likely = probability * n >= 5
    observed = torch.cat([(counts - 1)[likely], (counts - 1)[~likely].sum()[None]]).double()
    expected = torch.cat([probability[likely], probability[~likely].sum()[None]]) * n
    keep = expected > 0
    expected = expected * n / expected.sum()
    p = float(chisquare(observed[keep], (expected * observed[keep].sum() / expected[keep].sum())[keep]).pvalue)
    return p, observed, expected


def check_agreement(case: Case, temperature: float = 1.0) -> str:
    """Sentences are drawn with the probabilities that log_prob says: a chi-square test."""
    sentences, found = _of_all(case, temperature)
    with isolated(5), torch.no_grad():
        drawn = blank(case.trained.sample(_DRAWN, temperature=temperature), case.spec)
    p, observed, expected = chi_square(drawn, sentences, found)
    if not p > _UNLIKELY:
        worst = int((observed / _DRAWN - expected / _DRAWN).abs().argmax())
        raise ContractError(
            f"sample does not draw what log_prob says{_at(temperature)} (chi-square, p = {p:.1g}): a sentence of "
            f"{_told(case)} is {observed[worst] / _DRAWN:.1%} of {_DRAWN:,} drawn, and "
            f"{expected[worst] / _DRAWN:.1%} by log_prob; both must begin from bos_id with a fresh state"
        )
    return f"{_DRAWN:,} drawn sentences are as frequent as log_prob says{_at(temperature)} (p = {p:.2g})"


def _at(temperature: float) -> str:
    return "" if temperature == 1 else f" at temperature {temperature:g}"


def check_likelihood_at(case: Case, temperature: float) -> str:
    """`log_prob(tokens, temperature=…)` is that of `sample(n, temperature=…)`."""
    if "temperature" not in inspect.signature(_log_prob(case)).parameters:
        raise NotTriedError("log_prob takes no temperature: what needs the likelihood at other ones will be absent")
    sentences, found = _of_all(case, temperature)
    if temperature == 1:
        asked = case.trained.log_prob(sentences, temperature=1.0)  # type: ignore[operator]
        if not torch.equal(asked.double(), found):
            raise ContractError("log_prob(tokens, temperature=1.0) is not log_prob(tokens)")
    total = found.exp().sum().item()
    if abs(total - 1) > _EXACT:
        raise ContractError(
            f"at temperature {temperature:g} the probabilities of all sentences sum to {total:.4g}, not 1: divide the "
            "logits of each word by it before log_softmax"
        )
    return check_agreement(case, temperature)
