"""Control: a model that has learnt nothing and copies training sentences. Good on every score that misses copying.

**Paper**: none; a memoriser is the standard reference row for quality scores without a score of novelty.

**Equations**

1. p(x) = (1 / N) sum_n [x = x_n] over the N stored training sentences

**Differences**: no paper, no released code. It has no `log_prob`: equation 1 is zero for nearly every held-out
sentence, and an infinite score orders nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.common.bases import StoredSentences

__all__ = ["CopyTrain"]


class CopyTrain(StoredSentences):
    """Training sentences, drawn with replacement."""

    def sample(self, n: int, *, temperature: float = 1.0) -> Tensor:
        """Draw from equation 1, of what is stored so far."""
        if temperature != 1:
            raise ValueError(f"copy_train has no temperature, got {temperature}")
        sentences = self.store.sentences()
        return sentences[torch.randint(len(sentences), (n,), device=sentences.device)]
