"""Attacks that write word by word from n-gram counts of the training text: sharpened, cut off, greedy, by beam.

The last two are zero-parameter samplers in the sense of "Hacking Generative Perplexity"
(https://arxiv.org/abs/2606.08417, as its abstract describes them): they ask a count-based language model for its
likeliest continuations, so that a score by language model falls below that of real text, and keep sentences different
so that no score of repetition notices. torch is imported when one is written.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.attack.material import Material
from metrics.common.tokens import Tokens

if TYPE_CHECKING:
    from torch import Tensor

    from baselines.ngram import NGram, _Counts

__all__ = ["greedy", "likeliest", "ngram", "truncated"]

_ORDER = 3
"""Of what is drawn at random: that of the baseline `ngram`."""
_CHAIN_ORDER = 4
"""Of what follows the likeliest words: that of the metrics' own language model."""
_ROWS = 256
"""Sentences whose next words are computed at a time: bounds memory."""

_FIRST = 256
"""Words among which a share of the mass is looked for at first: sorting a whole vocabulary takes longer."""

Write = Callable[[Material], Tokens]


def ngram(*, sharpen: float = 1.0, temperature: float = 1.0) -> Write:
    """The baseline `ngram` with a sharpening that is set, at a temperature."""

    def write(given: Material) -> Tokens:
        from bench.score.drawing import draw

        seed = given.number(f"ngram/{sharpen:g}/{temperature:g}")
        rows = draw(_model(given, _ORDER, sharpen), given.n, seed=seed, temperature=temperature)
        return Tokens.from_rows(rows, given.spec.eos_id)

    return write


def truncated(*, top_k: int | None = None, top_p: float | None = None) -> Write:
    """An n-gram model that draws among its likeliest words: `top_k` of them, or as many as hold a share of `top_p`."""

    def choose(log_p: Tensor) -> Tensor:
        from baselines.common.fast.sampling import draw

        log_p, words = _likeliest_words(log_p, top_k, top_p)
        if top_p is not None:
            p = log_p.exp()
            log_p[p.cumsum(1) - p >= top_p] = -math.inf
        return words.gather(1, draw(log_p)[0][:, None]).squeeze(1)

    return lambda given: _chains(given, _ORDER, choose, f"truncated/{top_k}/{top_p}")


def _likeliest_words(log_p: Tensor, k: int | None, share: float | None) -> tuple[Tensor, Tensor]:
    """Of (B, V) the k likeliest words, best first; without a k as many as hold a share of the mass in every row."""
    n = min(k or _FIRST, log_p.shape[1])
    while True:
        best = log_p.topk(n, dim=1)
        if share is None or n == log_p.shape[1] or bool((best.values.exp().sum(1) >= share).all()):
            return best.values, best.indices
        n = min(4 * n, log_p.shape[1])


def greedy(*, words: int) -> Write:
    """Each sentence begins with `words` words of a training sentence and goes on with the likeliest word.

    Every different beginning comes once before any comes again: so the chains stay as different as they can be.
    """

    def write(given: Material) -> Tokens:
        beginnings = np.unique(given.train[:, :words], axis=0)
        chosen = given.deal(np.arange(len(beginnings)), "greedy_chains")
        return _chains(given, _CHAIN_ORDER, lambda log_p: log_p.argmax(1), "greedy_chains", beginnings[chosen])

    return write


def likeliest(given: Material) -> Tokens:
    """The n likeliest sentences of an n-gram model, each once, by a beam of n unfinished sentences."""
    import torch

    counts = _counts(given, _CHAIN_ORDER)
    beam = torch.zeros(1, 0, dtype=torch.int64)
    costs, ended, ended_costs = torch.zeros(1), torch.zeros(0, given.spec.max_len, dtype=torch.int64), torch.zeros(0)
    for position in range(given.spec.max_len):
        beam, costs = _longer(counts, beam, costs, given.n)
        if given.spec.eos_id is not None and position < given.spec.max_len - 1:
            done = beam[:, -1] == given.spec.eos_id
            filled = torch.full((int(done.sum()), given.spec.max_len), given.spec.pad_id or 0)
            filled[:, : position + 1] = beam[done]
            ended, ended_costs = torch.cat([ended, filled]), torch.cat([ended_costs, costs[done]])
            best = ended_costs.argsort(stable=True)[: given.n]
            ended, ended_costs = ended[best], ended_costs[best]
            beam, costs = beam[~done], costs[~done]
            if not len(beam) or (len(ended) == given.n and costs.min() >= ended_costs[-1]):
                break  # a sentence that goes on only gets less likely
    if beam.shape[1] == given.spec.max_len:
        ended, ended_costs = torch.cat([ended, beam]), torch.cat([ended_costs, costs])
    likeliest = ended_costs.argsort(stable=True)[: given.n].numpy()
    return Tokens.from_rows(ended.numpy()[np.resize(likeliest, given.n)], given.spec.eos_id)


def _longer(counts: _Counts, beam: Tensor, costs: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Sentences (B, t) with their costs (B,), nats -> the n likeliest of them with one word more, best first."""
    import torch

    v = counts.spec.vocab_size
    best, cheapest = torch.zeros(0, dtype=torch.int64), torch.zeros(0)
    for rows in torch.arange(len(beam)).split(_ROWS):
        history = counts.history(beam[rows], beam.shape[1])
        longer = (costs[rows, None] - counts.logits(history, torch.tensor(1.0))).flatten()
        places = torch.cat([best, rows[0] * v + torch.arange(len(longer))])
        cheapest, at = torch.cat([cheapest, longer]).topk(min(n, len(places)), largest=False)
        best = places[at]
    return torch.cat([beam[best // v], (best % v)[:, None]], 1), cheapest


def _chains(
    given: Material,
    order: int,
    choose: Callable[[Tensor], Tensor],
    purpose: str,
    beginnings: NDArray[np.int64] | None = None,
) -> Tokens:
    """n sentences whose next words are chosen of log p(. | words before) (B, V); `beginnings`: their first words."""
    import torch

    from baselines.common.fast.sampling import write_words
    from bench.randomness import isolated

    counts, one = _counts(given, order), torch.tensor(1.0)
    parts = []
    with isolated(given.number(purpose)), torch.no_grad():
        for rows in torch.arange(given.n).split(_ROWS):
            words = write_words(
                len(rows),
                given.spec,
                (counts.history(rows[:, None], 0),),
                draw=lambda state, _: choose(counts.logits(state[0], one)),
                read=lambda words, state, _: (torch.cat([words[:, None], state[0]], 1)[:, : order - 1],),
                prefix=None if beginnings is None else torch.from_numpy(beginnings[rows.numpy()]),
            )
            parts.append(words.numpy())
    return Tokens.from_rows(np.concatenate(parts), given.spec.eos_id)


def _counts(given: Material, order: int) -> _Counts:
    """Of all of the training text, a label being a word like the others."""
    from baselines.ngram import _Counts

    return _Counts(_model(given, order, 1.0).store.sentences(), given.spec, order)


def _model(given: Material, order: int, sharpen: float) -> NGram:
    """The baseline, with all of the training text counted."""
    import torch

    from baselines.ngram import NGram

    config = NGram.Config(order=order, sharpen=sharpen, batches=1, batch_size=len(given.train))
    model = NGram(config, given.spec)
    model.collect(iter([torch.from_numpy(given.train)]))
    return model
