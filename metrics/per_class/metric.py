"""BLEU, Self-BLEU and MS-Jaccard inside each class: the samples of a class against the real text of that class."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from metrics.bleu.metric import Bleu
from metrics.common.base import Aspect, Better, Bounds, Estimate, Meaning, Metric, MetricInputs
from metrics.common.labels import LabelledInputs, not_labelled, of_class
from metrics.common.uncertainty import EstimatedMetric
from metrics.ms_jaccard.metric import MsJaccard
from metrics.self_bleu.metric import SelfBleu

__all__ = ["PerClass"]


@dataclass(frozen=True, kw_only=True)
class PerClass(EstimatedMetric):
    """The mean over classes of each score, and that of the class that has the worst.

    Keys `per_class_bleu_2`, `per_class_bleu_2_worst`, and so on for `self_bleu`, `ms_jaccard` and each order.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "higher"
    aspect: ClassVar[Aspect] = "quality"
    bounds: ClassVar[Bounds] = (0.0, 1.0)
    needs: ClassVar[tuple[str, ...]] = ("references",)
    counted: ClassVar[tuple[str, ...]] = needs

    orders: tuple[int, ...] = (2, 4)
    """One score of each kind for each n."""

    def keys(self) -> dict[str, Better]:
        """Each with the direction that it has on all sentences."""
        return {name: inner.keys()[key] for name, (inner, key) in self._parts().items()}

    def is_ranked(self, key: str) -> bool:
        """By the mean; the worst class is a part of it."""
        return key == f"per_class_{self._parts()[key][1]}"

    def meaning(self, key: str) -> Meaning:
        """What it says of all sentences, it says of those of a class."""
        inner, own = self._parts()[key]
        return replace(inner.meaning(own), ranked=self.is_ranked(key))

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """The classes' samples are independent of each other, so the variances of their scores add up."""
        assert isinstance(inputs, LabelledInputs)
        parts = list(_classes(inputs))
        found: dict[str, Estimate] = {}
        for inner in self._inner():
            scores = [inner.estimates(part) for part in parts]
            for key in set(scores[0]).intersection(*scores):
                each = [of_class[key] for of_class in scores]
                worst = max if inner.meaning(key).side == "lower" else min
                found[f"per_class_{key}"] = _mean(each)
                found[f"per_class_{key}_worst"] = Estimate(worst(one.value for one in each), None)
        return {key: found[key] for key in self.keys() if key in found}

    def missing(self, inputs: MetricInputs) -> str | None:
        """Each class must have samples and real text that its scores can be computed of."""
        if reason := not_labelled(self.name, inputs) or super().missing(inputs):
            return reason
        assert isinstance(inputs, LabelledInputs)
        for name, part in zip(inputs.classes, _classes(inputs), strict=True):
            if len(part.samples) < 2:
                return f"{self.name} needs two samples of each class, and there {_there(len(part.samples))} of {name}"
            if not part.references:
                return f"{self.name} needs a reference sentence of each class, and there is none of {name}"
            if reason := next(filter(None, (inner.missing(part) for inner in self._inner())), None):
                return f"of {name}: {reason}"
        return None

    def absent(self, inputs: MetricInputs) -> dict[str, str]:
        """The orders that all sentences of a class are too short for."""
        assert isinstance(inputs, LabelledInputs)
        reasons: dict[str, str] = {}
        for name, part in zip(inputs.classes, _classes(inputs), strict=True):
            for inner in self._inner():
                for key, reason in inner.absent(part).items():
                    reasons |= dict.fromkeys((f"per_class_{key}", f"per_class_{key}_worst"), f"of {name}: {reason}")
        return reasons

    def _parts(self) -> dict[str, tuple[Metric, str]]:
        """Key -> the metric and its key that it is the mean, or the worst, of."""
        return {
            f"per_class_{key}{end}": (inner, key)
            for inner in self._inner()
            for key in list(inner.keys())
            for end in ("_worst", "")
        }

    def _inner(self) -> tuple[Metric, ...]:
        return Bleu(orders=self.orders), SelfBleu(orders=self.orders), MsJaccard(orders=self.orders)


def _classes(inputs: LabelledInputs) -> Iterator[MetricInputs]:
    """The samples and references of each class."""
    assert inputs.references is not None
    for label in range(len(inputs.classes)):
        yield MetricInputs(
            samples=of_class(inputs.samples, inputs.sample_labels, label),
            references=of_class(inputs.references, inputs.reference_labels, label),
        )


def _there(n: int) -> str:
    return "is one" if n == 1 else "is none"


def _mean(each: list[Estimate]) -> Estimate:
    errors = [one.standard_error for one in each if one.standard_error is not None]
    error = math.hypot(*errors) / len(each) if len(errors) == len(each) else None
    return Estimate(math.fsum(one.value for one in each) / len(each), error)
