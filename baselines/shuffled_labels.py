"""Control: real sentences under labels that have nothing to do with them. What a class metric gives by chance.

**Paper**: none; a permuted label is the standard reference row for whatever claims to follow a label.

**Equations**

1. p(x | y) = (1 / N) sum_n [x = x_n] over the words x_n of the N stored training sentences, whatever the class y
2. p(y) = 1 / K, independent of x

**Differences**: no paper, no released code. It has no `log_prob`: equation 1 is zero for nearly every held-out
sentence. Where sentences have no labels, nothing can be shuffled, and it copies training sentences.
"""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.common.bases import StoredSentences
from baselines.common.interface import LabelledSpec

__all__ = ["ShuffledLabels"]


class ShuffledLabels(StoredSentences):
    """Training sentences, drawn with replacement, each under a label of its own or the one that is asked for."""

    def sample(self, n: int, *, temperature: float = 1.0, labels: Tensor | None = None) -> Tensor:
        """Draw words from equation 1, and the labels from equation 2 where they are not given."""
        if temperature != 1:
            raise ValueError(f"shuffled_labels has no temperature, got {temperature}")
        sentences = self.store.sentences()
        drawn = sentences[torch.randint(len(sentences), (n,), device=sentences.device)]
        if isinstance(self.spec, LabelledSpec):
            ids = self.spec.class_ids
            drawn[:, 0] = torch.randint(ids[0], ids[-1] + 1, (n,), device=drawn.device) if labels is None else labels
        return drawn
