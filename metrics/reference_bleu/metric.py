"""Reference BLEU: corpus BLEU of rewritten sentences against what people wrote for the same inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metrics.common.aligned_bleu import bleu_settings, mean_bleu
from metrics.common.base import Aspect, Better, Bounds, Estimate, MetricInputs
from metrics.common.rewriting import Answers, RewriteMetric, answers_of
from metrics.common.signature import Setting
from metrics.common.tokens import Tokens

__all__ = ["ReferenceBleu"]

_THEIRS = "the samples are one of the sets of references"


@dataclass(frozen=True, kw_only=True)
class ReferenceBleu(RewriteMetric):
    """sacreBLEU's score against the references of each input, the mean over the classes wanted, divided by 100.

    `reference_bleu`: all of them. `reference_bleu_first`: the first set alone. `reference_bleu_others`: all sets but
    one, the mean over which one; a set that the samples are is always the one, so that people compare with models.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "higher"
    aspect: ClassVar[Aspect] = "quality"
    bounds: ClassVar[Bounds] = (0.0, 1.0)
    by_count: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("references",)

    def keys(self) -> dict[str, Better]:
        """By which references are taken."""
        return dict.fromkeys(("reference_bleu", "reference_bleu_first", "reference_bleu_others"), self.better)

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """Each choice of references that the samples do not belong to."""
        answers = answers_of(inputs)
        choices = self._choices(answers, inputs.samples)
        return {key: mean_bleu(inputs.samples, chosen, answers.directions()) for key, chosen in choices.items()}

    def _choices(self, answers: Answers, samples: Tokens) -> dict[str, list[list[Tokens]]]:
        sets, own = list(answers.sets), answers.own_set(samples)
        choices: dict[str, list[list[Tokens]]] = {}
        if own is None:
            choices["reference_bleu"] = [sets]
        if len(sets) > 1:
            if own != 0:
                choices["reference_bleu_first"] = [sets[:1]]
            left_out = range(len(sets)) if own is None else [own]
            choices["reference_bleu_others"] = [[one for r, one in enumerate(sets) if r != out] for out in left_out]
        return choices

    def absent(self, inputs: MetricInputs) -> dict[str, str]:
        """Why some choices are not made."""
        answers = answers_of(inputs)
        if len(answers.sets) < 2:
            return dict.fromkeys(("reference_bleu_first", "reference_bleu_others"), "there is one set of references")
        return dict.fromkeys(("reference_bleu", "reference_bleu_first"), _THEIRS)

    def settings(self, inputs: MetricInputs) -> dict[str, Setting]:
        """sacreBLEU's own signature, and how many sets there are."""
        n = len(answers_of(inputs).sets)
        return {**bleu_settings(n), "samples": len(inputs.samples), "v": self.version}
