"""Control: the text of one class under every label. Good on every score that does not look at the class.

**Paper**: none; a model that takes no notice of what it is told is the standard reference row of conditional text.

**Equations** (y_0 the class of which there are most stored sentences, the first of them where there are several)

1. p(x | y) = (1 / N_0) sum_n [x = x_n] over the words x_n of the N_0 stored training sentences of class y_0, for all y
2. p(y) = 1 / K, independent of x

**Differences**: no paper, no released code. It has no `log_prob`: equation 1 is zero for nearly every held-out
sentence. Where sentences have no labels, all are of one class, and it copies training sentences.
"""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.common.bases import StoredSentences
from baselines.common.interface import LabelledSpec

__all__ = ["OneLabel"]


class OneLabel(StoredSentences):
    """Training sentences of one class, drawn with replacement, under the labels that are asked for."""

    def sample(self, n: int, *, temperature: float = 1.0, labels: Tensor | None = None) -> Tensor:
        """Draw words from equation 1, and the labels from equation 2 where they are not given."""
        if temperature != 1:
            raise ValueError(f"one_label has no temperature, got {temperature}")
        sentences = self.store.sentences()
        if not isinstance(self.spec, LabelledSpec):
            return sentences[torch.randint(len(sentences), (n,), device=sentences.device)]
        first, k = self.spec.class_ids[0], len(self.spec.classes)
        most = (sentences[:, 0] - first).clamp(0, k - 1).bincount(minlength=k).argmax()
        of_class = sentences[sentences[:, 0] == first + most]
        drawn = of_class[torch.randint(len(of_class), (n,), device=sentences.device)]
        drawn[:, 0] = torch.randint(first, first + k, (n,), device=drawn.device) if labels is None else labels
        return drawn
