"""Control: an n-gram model, counted in seconds. Sharpened, it has more BLEU-3 to -5 than Texygen's GANs.

**Paper**: Witten and Bell, The zero-frequency problem, IEEE Transactions on Information Theory 37(4), 1991,
https://doi.org/10.1109/18.87000 (the smoothing, method C)

**Equations** (h: the n-1 words before, h': the same without the farthest; c(h, w): how often w follows h in training;
c(h) its sum and d(h) its number of different words w)

1. p(w | h) = (c(h, w) + d(h) p(w | h')) / (c(h) + d(h)); below one word, p(w) = 1 / V; for h unseen, p(w | h')
2. q(w | h) = p(w | h)^a / sum_v p(v | h)^a, a the sharpening
3. a = argmax over 0.6, 0.8, 1, 1.2, 1.5, 2 of sum log q on training sentences held out from the counts

**Differences**

- Paper: predicts the next symbol of a text to compress it. Ours: draws sentences; the positions before the start hold
  one symbol that is no word, and nothing is counted after the end token.
- Equation 3 is ours: the likelihood of held-out training text is the one criterion that no reported score of samples is
  made of. It is the honest n-gram, and mostly chooses a <= 1.
- Sentences with labels: n words on, a label is forgotten, so each class has counts of its own. p(y) is the share of its
  sentences, and p(x | y) is equation 2 of the counts of the words behind the label.
- The sharpened n-gram is `sharpen=1.5`, set by hand: a > 1 trades diversity for quality, as LeakGAN does by 1.5 at
  evaluation (CR-Gjx/LeakGAN Synthetic Data/LeakGANModel.py:127-128).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from baselines.common.fast.likelihood import counted
from baselines.common.fast.sampling import draw, write_words
from baselines.common.interface import (
    BaseConfig,
    Batches,
    LabelledSpec,
    Phase,
    PositiveFloat,
    PositiveInt,
    SequenceSpec,
    TextGenerator,
)
from baselines.common.training.state import SentenceStore

__all__ = ["NGram"]

_SHARPENINGS = (0.6, 0.8, 1.0, 1.2, 1.5, 2.0)
_HELD_OUT = 0.05
_ROWS = 256


class NGram(TextGenerator):
    """Equation 2. The state is the training sentences; the counts are made from them when needed."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Defaults: a 3-gram of as many sentences as SeqGAN's released code trains on."""

        order: PositiveInt = 3
        """n: words of an n-gram, the predicted one included."""
        sharpen: PositiveFloat | None = None
        """a of equation 2; None: chosen by equation 3 on a twentieth of the sentences."""
        batches: PositiveInt = 156
        """Batches to count: 9,984 sentences. Where the stream begins again in the same order, counting ends."""

    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {"smoke": {"batch_size": 16, "batches": 40}, "small": {}}

    def __init__(self, config: NGram.Config, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.config: NGram.Config = config
        self.store = SentenceStore(spec, batches=config.batches, batch_size=config.batch_size)
        self.sharpening: Tensor
        self.register_buffer("sharpening", torch.tensor(config.sharpen or 1.0))
        self._counts: _Counts | _ByClass | None = None
        self.register_load_state_dict_post_hook(lambda model, _: model._forget())

    def phases(self) -> Sequence[Phase]:
        """Read the sentences once; then equation 3, unless a is set."""
        collect = Phase("collect", self.config.batches, self.collect)
        return [collect] if self.config.sharpen else [collect, Phase("sharpen", 1, self.choose_sharpening)]

    def collect(self, batches: Batches) -> Mapping[str, Tensor]:
        """Store one batch."""
        self._forget()
        return {"sentences": self.store.add(next(batches))}

    def choose_sharpening(self, batches: Batches) -> Mapping[str, Tensor]:
        """Equation 3; the first sentences are held out."""
        sentences = self.store.sentences()
        held_out, rest = sentences.tensor_split([max(1, int(_HELD_OUT * len(sentences)))])
        counts = self._counts_of(rest if len(rest) else sentences)
        grid = torch.tensor(_SHARPENINGS, device=held_out.device)
        each = torch.stack([counts.log_prob(held_out, a) for a in grid])
        known = each.isfinite().all(0)  # a class that the rest lacks tells nothing
        held_out, totals = held_out[known], each[:, known].sum(1)
        self.sharpening.copy_(grid[totals.argmax()])
        nll = -totals.max() / counted(held_out, self.spec.eos_id).sum()
        return {"sharpening": self.sharpening.clone(), "held_out_nll": nll}

    def sample(self, n: int, *, temperature: float = 1.0, labels: Tensor | None = None) -> Tensor:
        """Draw word by word from equation 2, with a / temperature for a, after the labels (n,) where they are given."""
        if not temperature > 0:
            raise ValueError(f"temperature must be over 0, got {temperature}")
        counts, sharpening = self._counted(), self.sharpening / temperature
        return counts.sample(n, sharpening, labels) if isinstance(counts, _ByClass) else counts.sample(n, sharpening)

    def log_prob(self, tokens: Tensor, *, temperature: float = 1.0) -> Tensor:
        """Equation 2 over a sentence, with a / temperature for a: (B, T) -> (B,), nats."""
        return self._counted().log_prob(tokens, self.sharpening / temperature)

    def label_log_prob(self, tokens: Tensor, *, temperature: float = 1.0) -> Tensor:
        """Equation 2 of the first word of each sentence: (B, T) -> (B,), nats."""
        return self.log_prob(tokens[:, :1], temperature=temperature)

    def _counted(self) -> _Counts | _ByClass:
        if self._counts is None:
            self._counts = self._counts_of(self.store.sentences())
        return self._counts

    def _counts_of(self, sentences: Tensor) -> _Counts | _ByClass:
        if isinstance(self.spec, LabelledSpec):
            return _ByClass(sentences, self.spec, self.config.order)
        return _Counts(sentences, self.spec, self.config.order)

    def _forget(self) -> None:
        self._counts = None


@dataclass(frozen=True)
class _Level:
    """What follows the known contexts of one length: counts of C contexts, P different (context, word) pairs."""

    contexts: Tensor
    """(C,) sorted keys: id of the context that is one word shorter, times V + 1, plus the farthest word."""
    shorter: Tensor
    """(C,) that id."""
    starts: Tensor
    """(C + 1,) where each context's pairs begin."""
    pairs: Tensor
    """(P,) sorted keys: id of the context, times V, plus the word."""
    words: Tensor
    """(P,) the word of each pair."""
    counts: Tensor
    """(P,) float: how often."""
    totals: Tensor
    """(C,) float: c(h)."""
    lower: Tensor
    """(P,) double: p(w | h')."""
    p: Tensor
    """(P,) double: p(w | h)."""

    def power_sums(self, power: Tensor, shorter: Tensor) -> Tensor:
        """(C,) double: sum_v p(v | h)^a, from (C',) the same of the contexts that are a word shorter.

        A word that never followed h has there its p(v | h'), times what h leaves to all of them together.
        """
        different = self.starts.diff()
        owner = torch.arange(len(different), device=different.device).repeat_interleave(different)
        seen, lower = (p.new_zeros(len(different)).index_add_(0, owner, p**power) for p in (self.p, self.lower))
        return _left(different, self.totals) ** power * (shorter[self.shorter] - lower).clamp(min=0) + seen


class _Counts:
    """Equation 1 from sentences (N, T). The id V stands for every position before the start."""

    def __init__(self, sentences: Tensor, spec: SequenceSpec, order: int) -> None:
        self.spec, self.order, v = spec, order, spec.vocab_size
        inside = counted(sentences, spec.eos_id)
        words, context = sentences[inside], torch.zeros_like(sentences[inside])
        once = words.bincount(minlength=v)
        self._unigram, self._exact = _of_no_context(once.float()), _of_no_context(once.double())
        self._levels: list[_Level] = []
        for k in range(1, order):
            keys, context = (context * (v + 1) + _before(sentences, k, v)[inside]).unique(return_inverse=True)
            pairs, counts = (context * v + words).unique(return_counts=True)
            owner, following, shorter = pairs // v, pairs % v, keys // (v + 1)
            different = owner.bincount(minlength=len(keys))
            totals = context.bincount(minlength=len(keys)).float()
            lower = self._exact[following]
            if self._levels:  # what follows the longer context followed the shorter one too
                last = self._levels[-1]
                lower = last.p[torch.searchsorted(last.pairs, shorter[owner] * v + following)]
            p = _left(different, totals)[owner] * lower + counts / (totals.double() + different)[owner]
            starts = functional.pad(different.cumsum(0), (1, 0))
            self._levels.append(_Level(keys, shorter, starts, pairs, following, counts.float(), totals, lower, p))

    def history(self, tokens: Tensor, t: int) -> Tensor:
        """(B, T) -> (B, order - 1): the words before position t, the nearest first."""
        padded = functional.pad(tokens[:, :t], (self.order, 0), value=self.spec.vocab_size)
        return padded.flip(1)[:, : self.order - 1]

    def logits(self, history: Tensor, sharpening: Tensor) -> Tensor:
        """(B, order - 1) -> (B, V): a log p(. | history), equations 1 and 2 before normalisation."""
        p = self._unigram.repeat(len(history), 1)
        rows = torch.arange(len(history), device=history.device)  # whose context of this length is known
        context = torch.zeros_like(rows)
        for level, word in zip(self._levels, history.t(), strict=True):
            context, known = _find(level.contexts, context * (self.spec.vocab_size + 1) + word[rows])
            rows, context = rows[known], context[known]
            start, different = level.starts[context], level.starts.diff()[context]
            norm = level.totals[context] + different
            p.mul_(torch.ones(len(p), device=p.device).index_copy_(0, rows, different / norm)[:, None])
            owner = torch.arange(len(rows), device=rows.device).repeat_interleave(different)
            first = (different.cumsum(0) - different)[owner]
            pair = start[owner] + torch.arange(len(owner), device=rows.device) - first
            p[rows[owner], level.words[pair]] += level.counts[pair] / norm[owner]
        return p.log_() * sharpening

    def sample(self, n: int, sharpening: Tensor) -> Tensor:
        """(n, T): drawn word by word."""
        parts = [
            write_words(
                len(rows),
                self.spec,
                (self.history(rows[:, None], 0),),
                draw=lambda state, _: draw(self.logits(state[0], sharpening))[0],
                read=lambda words, state, _: (torch.cat([words[:, None], state[0]], 1)[:, : self.order - 1],),
            )
            for rows in self._chunks(n)
        ]
        return torch.cat(parts)

    def log_prob(self, tokens: Tensor, sharpening: Tensor) -> Tensor:
        """(B, T) -> (B,): sum over positions of log q, nats. It goes through the words that were counted, not all V."""
        power, v = sharpening.double(), self.spec.vocab_size
        inside = counted(tokens, self.spec.eos_id)
        words = tokens[inside]
        p, sums = self._exact[words], (self._exact**power).sum()[None]
        total, rows = sums.repeat(len(words)), torch.arange(len(words), device=words.device)
        context = torch.zeros_like(rows)
        for k, level in enumerate(self._levels, start=1):
            context, known = _find(level.contexts, context * (v + 1) + _before(tokens, k, v)[inside][rows])
            rows, context = rows[known], context[known]
            pair, seen = _find(level.pairs, context * v + words[rows])
            left = _left(level.starts.diff(), level.totals)[context]
            sums = level.power_sums(power, sums)
            p[rows] = torch.where(seen, level.p[pair], left * p[rows])
            total[rows] = sums[context]
        out = p.new_zeros(tokens.shape)
        out[inside] = power * p.log() - total.log()
        return out.sum(1).float()

    def _chunks(self, n: int) -> tuple[Tensor, ...]:
        return torch.arange(n, device=self._unigram.device).split(_ROWS)


def _before(tokens: Tensor, k: int, nothing: int) -> Tensor:
    """(B, T) -> (B, T): the word k positions before each, `nothing` before the start."""
    return functional.pad(tokens, (k, 0), value=nothing)[:, : tokens.shape[1]]


def _find(keys: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Places of (N,) wanted keys among (K,) sorted ones, and which of them are there."""
    place = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    return place, keys[place] == wanted


def _of_no_context(once: Tensor) -> Tensor:
    """(V,) counts -> (V,) p(w), equation 1 of no words before."""
    different = (once > 0).sum().to(once.dtype)
    return (once + different / len(once)) / (once.sum() + different).clamp(min=1)


def _left(different: Tensor, totals: Tensor) -> Tensor:
    """(C,) double: d(h) / (c(h) + d(h)), what a context leaves to the shorter one."""
    return different / (totals.double() + different)


class _ByClass:
    """Counts of each class apart, from sentences (N, T) that begin with their labels.

    The counts are of the words behind the label, among which no label is. A class without any sentence has the counts
    of all, from which it is sampled where it is asked for; its share, and so a likelihood, is 0.
    """

    def __init__(self, sentences: Tensor, spec: LabelledSpec, order: int) -> None:
        self.spec = spec
        self._words = spec.vocab_size - len(spec.classes)
        behind = SequenceSpec(
            vocab_size=self._words,
            max_len=spec.max_len - 1,
            bos_id=spec.bos_id,
            pad_id=spec.pad_id,
            eos_id=spec.eos_id,
        )
        of_class = [sentences[sentences[:, 0] == label, 1:] for label in spec.class_ids]
        self._counts = [_Counts(own if len(own) else sentences[:, 1:], behind, order) for own in of_class]
        numbers = torch.tensor([len(own) for own in of_class], device=sentences.device)
        self._log_share = (numbers / numbers.sum().clamp(min=1)).log()

    def sample(self, n: int, sharpening: Tensor, labels: Tensor | None = None) -> Tensor:
        """(n, T): the labels by their shares where they are not given, and the words of each after it."""
        if labels is None:
            labels = self._log_share.exp().multinomial(n, replacement=True) + self.spec.class_ids[0]
        out = labels[:, None].repeat(1, self.spec.max_len)
        for label, counts in zip(self.spec.class_ids, self._counts, strict=True):
            places = (labels == label).nonzero().squeeze(1)
            if len(places):
                out[places, 1:] = counts.sample(len(places), sharpening)
        return out

    def log_prob(self, tokens: Tensor, sharpening: Tensor) -> Tensor:
        """(B, T) -> (B,): log p(y) + log q of the words; -inf where the first word is no label, or another one is."""
        words, out = tokens[:, 1:], self._log_share.new_full((len(tokens),), -math.inf)
        possible = ~((words >= self._words) & counted(words, self.spec.eos_id)).any(1)
        for label, counts, share in zip(self.spec.class_ids, self._counts, self._log_share, strict=True):
            places = ((tokens[:, 0] == label) & possible).nonzero().squeeze(1)
            out[places] = share + counts.log_prob(words[places].clamp(max=self._words - 1), sharpening)
        return out
