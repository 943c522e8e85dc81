"""Control: the answer is the training sentence of the class wanted that has most words in common with the input.

**Paper**: RetrieveOnly of Li, Jia, He, Liang, Delete, Retrieve, Generate: A Simple Approach to Sentiment and Style
Transfer, NAACL 2018, https://aclanthology.org/N18-1169

**Equations** (c(x) the number of times that each word occurs in x, w(v) = log(N / n_v) where n_v of N stored sentences
hold the word v)

1. d(x, y) = sum_v w(v)^2 c(x)_v c(y)_v / (|w c(x)| |w c(y)|), the cosine of weighted counts
2. G(x, k) = argmax d(x, y) over the stored training sentences y of class k, the first of equally near ones

**Differences**

- Paper: the distance is of the content words, those left when the words that mark a class are deleted, by TF-IDF, of
  sentences of the class wanted. Ours: of all words, so that nothing has to be told apart first.
- No released code was read.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from baselines.common.bases import StoredSentences
from baselines.common.fast.likelihood import counted
from baselines.common.interface import LabelledSpec, Rewriter

__all__ = ["NearestOther"]

_AT_ONCE = 64  # inputs that are compared with all stored sentences


class NearestOther(StoredSentences, Rewriter):
    """Equation 2. The state is the training sentences."""

    spec: LabelledSpec

    def transfer(self, tokens: Tensor, labels: Tensor) -> Tensor:
        """Equation 2; a class of which nothing is stored has the input as its answer."""
        stored = self.store.sentences()
        held = self._counts(stored)
        weights = (len(stored) / (held > 0).sum(0).clamp(min=1)).log()
        held = functional.normalize(held * weights, dim=1)
        answers = torch.cat([labels[:, None], tokens[:, 1:]], 1)
        for rows in torch.arange(len(tokens), device=tokens.device).split(_AT_ONCE):
            near = functional.normalize(self._counts(tokens[rows]) * weights, dim=1) @ held.t()
            fits = labels[rows, None] == stored[:, 0]
            best = near.masked_fill(~fits, -torch.inf).argmax(1)
            answers[rows] = torch.where(fits.any(1)[:, None], stored[best], answers[rows])
        return answers

    def _counts(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, V): how often each word occurs, the label and the end not counted."""
        inside = counted(tokens, self.spec.eos_id).float()
        inside[:, 0] = 0
        found = inside.new_zeros(len(tokens), self.spec.vocab_size).scatter_add_(1, tokens, inside)
        if self.spec.eos_id is not None:
            found[:, self.spec.eos_id] = 0
        return found
