"""Input BLEU: how much of its input a rewritten sentence keeps word for word. In the field "self-BLEU"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metrics.common.aligned_bleu import bleu_settings, mean_bleu
from metrics.common.base import Aspect, Better, Bounds, Estimate, MetricInputs, Side
from metrics.common.rewriting import RewriteMetric, answers_of
from metrics.common.signature import Setting

__all__ = ["InputBleu"]


@dataclass(frozen=True, kw_only=True)
class InputBleu(RewriteMetric):
    """sacreBLEU's score against the inputs, the mean over the classes wanted, divided by 100. Key `input_bleu`."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "quality"
    side: ClassVar[Side] = "higher"
    bounds: ClassVar[Bounds] = (0.0, 1.0)
    by_count: ClassVar[bool] = False

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """Each sentence with its own input."""
        answers = answers_of(inputs)
        return {"input_bleu": mean_bleu(inputs.samples, [[answers.inputs]], answers.directions())}

    def settings(self, inputs: MetricInputs) -> dict[str, Setting]:
        """sacreBLEU's own signature."""
        return {**bleu_settings(1), "samples": len(inputs.samples), "v": self.version}
