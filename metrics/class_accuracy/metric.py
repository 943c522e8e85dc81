"""Class accuracy: how often a judge that does not see the label puts a sentence into the class it was meant for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import Aspect, Better, Bounds, Estimate, Meaning, MetricInputs, Side
from metrics.common.labels import NO_CLASS, LabelledInputs, hits, no_sample_of, not_labelled
from metrics.common.signature import Setting
from metrics.common.uncertainty import EstimatedMetric, ratio

__all__ = ["ClassAccuracy"]


@dataclass(frozen=True, kw_only=True)
class ClassAccuracy(EstimatedMetric):
    """Share of samples that the judge puts into the class they were meant for.

    Keys `class_accuracy`, `class_accuracy_worst`, `class_accuracy_judged`, `class_unlabelled`.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "quality"
    side: ClassVar[Side] = "higher"
    bounds: ClassVar[Bounds] = (0.0, 1.0)
    by_count: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("references",)
    """A judge that was trained, was trained on them."""

    def keys(self) -> dict[str, Better]:
        """Of all samples, of the class with the least, of what some class can write, and the share without a class."""
        of_samples = ("class_accuracy", "class_accuracy_worst", "class_accuracy_judged")
        return {**dict.fromkeys(of_samples, self.better), "class_unlabelled": "lower"}

    def is_ranked(self, key: str) -> bool:
        """By the accuracy of all samples; the others are parts of it."""
        return key == "class_accuracy"

    def meaning(self, key: str) -> Meaning:
        """A share of unlabelled samples is too low nowhere."""
        found = super().meaning(key)
        return replace(found, side="lower") if key == "class_unlabelled" else found

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """A tie counts in part; a sample that names no class is wrong, and wrong in equal parts for every class."""
        assert isinstance(inputs, LabelledInputs)
        right, labels = hits(inputs.sample_posteriors, inputs.sample_labels), inputs.sample_labels
        judged = self._judged(inputs)
        found = {
            "class_accuracy": ratio(right),
            "class_unlabelled": ratio((labels == NO_CLASS).astype(np.float64)),
        }
        if judged.any():
            found["class_accuracy_judged"] = ratio(right[judged])
        if no_sample_of(inputs) is None:
            k, unlabelled = len(inputs.classes), (labels == NO_CLASS).sum()
            total = np.bincount(labels[labels >= 0], minlength=k) + unlabelled / k
            shares = np.bincount(labels[labels >= 0], right[labels >= 0], minlength=k) / total
            found["class_accuracy_worst"] = Estimate(float(shares.min()), None)
        return found

    def missing(self, inputs: MetricInputs) -> str | None:
        """The task must have classes and a judge."""
        if reason := not_labelled(self.name, inputs) or super().missing(inputs):
            return reason
        assert isinstance(inputs, LabelledInputs)
        return None if inputs.judge is not None else f"{self.name} needs a judge of the task's classes"

    def absent(self, inputs: MetricInputs) -> dict[str, str]:
        """A class without a sample has no accuracy."""
        assert isinstance(inputs, LabelledInputs)
        reason = no_sample_of(inputs)
        reasons = {} if reason is None else {"class_accuracy_worst": reason}
        if not self._judged(inputs).any():
            reasons["class_accuracy_judged"] = f"none of {len(inputs.samples)} samples is one that a class can write"
        return reasons

    @staticmethod
    def _judged(inputs: LabelledInputs) -> NDArray[np.bool_]:
        """(N,) the samples with a label, and of a text that some class can write."""
        possible: NDArray[np.bool_] = inputs.sample_posteriors.max(axis=1, initial=0.0) > 0
        return possible & (inputs.sample_labels != NO_CLASS)

    def settings(self, inputs: MetricInputs) -> dict[str, Setting]:
        """The judge, how often it is right about real text, and a hash of all that it judges by."""
        judge = inputs.judge if isinstance(inputs, LabelledInputs) else None
        of_judge: dict[str, Setting] = {
            "judge": None if judge is None else judge.name,
            "judge_accuracy": None if judge is None else judge.accuracy,
            "judge_sha256": None if judge is None else judge.sha256[:12],
        }
        return {**of_judge, **self.counts(inputs), "v": self.version}
