"""Transfer: whether rewritten sentences have the class that was wanted and keep their content; never one alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from metrics.chrf.metric import Chrf
from metrics.common.base import Aspect, Better, Bounds, Estimate, MetricInputs, Side
from metrics.common.characters import characters, not_spelled
from metrics.common.labels import hits
from metrics.common.rewriting import RewriteMetric, answers_of, shared_ngrams
from metrics.common.signature import Setting
from metrics.common.uncertainty import ratio

__all__ = ["Transfer", "content"]

_ORDERS = 6


@dataclass(frozen=True, kw_only=True)
class Transfer(RewriteMetric):
    """A pair and what joins it. Keys `transfer_accuracy`, `transfer_content`, `transfer_joint`.

    `transfer_accuracy`: share of sentences that the judge takes for the class wanted. `transfer_content`: mean chrF of
    each with its input. `transfer_joint`: mean over sentences of sqrt(accuracy * content), of this sentence.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "higher"
    aspect: ClassVar[Aspect] = "quality"
    side: ClassVar[Side] = "higher"
    bounds: ClassVar[Bounds] = (0.0, 1.0)
    by_count: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("words",)

    together: ClassVar[bool] = True
    """None of its scores is shown without the others."""

    def keys(self) -> dict[str, Better]:
        """Content alone is no merit: the input itself has all of it."""
        return {"transfer_accuracy": "higher", "transfer_content": "real", "transfer_joint": "higher"}

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """Means over sentences."""
        kept = content(inputs)
        reached = self.reached(inputs)
        return {
            "transfer_accuracy": ratio(reached),
            "transfer_content": ratio(kept),
            "transfer_joint": ratio(np.sqrt(reached * kept)),
        }

    @staticmethod
    def reached(inputs: MetricInputs) -> NDArray[np.float64]:
        """(N,) 1 where the judge takes a sentence for the class wanted; of equally likely classes each has a share."""
        answers = answers_of(inputs)
        assert answers.judge is not None
        return hits(answers.judge.posteriors(inputs.samples), answers.wanted)

    def missing(self, inputs: MetricInputs) -> str | None:
        """There must be a judge, and a word behind every token."""
        if reason := super().missing(inputs):
            return reason
        answers = answers_of(inputs)
        if answers.judge is None:
            return "transfer needs a judge of classes"
        return not_spelled(self.name, inputs.words, inputs.samples, answers.inputs)

    def settings(self, inputs: MetricInputs) -> dict[str, Setting]:
        """The judge, how good it is, and chrF's orders."""
        judge = answers_of(inputs).judge
        told: dict[str, Setting] = {
            "judge": judge.name if judge else None,
            "judge_sha256": judge.sha256[:12] if judge else None,
            "judge_accuracy": judge.accuracy if judge else None,
        }
        return {**told, "chrf": _ORDERS, "samples": len(inputs.samples), "v": self.version}


def content(inputs: MetricInputs) -> NDArray[np.float64]:
    """(N,) sacreBLEU's chrF of each sample with its input, 0 to 1."""
    assert inputs.words is not None
    ours, theirs = (characters(text, inputs.words, blank=False) for text in (inputs.samples, answers_of(inputs).inputs))
    found = shared_ngrams(ours, [theirs], _ORDERS)
    real = np.maximum(0.0, theirs.lengths[:, None] - np.arange(_ORDERS))
    mine = np.where(real > 0, found.total.T, 0.0)
    return Chrf(char_order=_ORDERS)._f_score(mine, real, found.matches.T)
