"""NLL-bound: how improbable held-out text is at most, under a model whose likelihood is not known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metrics.common.base import Aspect, Better, Bounds, MetricInputs
from metrics.common.bound import BoundedInputs
from metrics.common.likelihood import scored_tokens, without_probability
from metrics.common.uncertainty import MeanMetric, PerSentence

__all__ = ["NllBound"]


@dataclass(frozen=True, kw_only=True)
class NllBound(MeanMetric):
    """Nats per token that the test sentences cost under the model at most, by Monte-Carlo."""

    draws: int = 4
    """Random masks, or times, of each test sentence. More make the standard error smaller, and the value no other."""

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "lower"
    aspect: ClassVar[Aspect] = "both"
    bounds: ClassVar[Bounds] = (0.0, None)
    needs: ClassVar[tuple[str, ...]] = ("reference_ids",)

    def __post_init__(self) -> None:
        """ValueError unless there is a draw."""
        super().__post_init__()
        if self.draws < 1:
            raise ValueError(f"{self.name}: draws must be at least 1, got {self.draws}")

    def is_ranked(self, key: str) -> bool:
        """Nobody is: the lower of two bounds need not be that of the likelier text."""
        del key
        return False

    def needs_model(self, key: str) -> bool:
        """It does."""
        del key
        return True

    def by_sentence(self, inputs: MetricInputs) -> dict[str, PerSentence]:
        """Nats of each test sentence and its tokens, end token counted."""
        assert isinstance(inputs, BoundedInputs)
        assert inputs.reference_ids is not None
        tokens = scored_tokens(inputs.reference_ids, inputs.eos_id)
        return {self.name: PerSentence(inputs.references_nll_bound(self.draws), tokens)}

    def missing(self, inputs: MetricInputs) -> str | None:
        """A likelihood is no bound: a model that has one has `nll_gen`."""
        if (reason := super().missing(inputs)) is not None:
            return reason
        if not isinstance(inputs, BoundedInputs) or inputs.model_nll_bound is None:
            return f"{self.name} needs a model with a bound on its likelihood, at temperature 1"
        assert inputs.reference_ids is not None
        if len(inputs.reference_ids) == 0:
            return "none of the test sentences can be written in the task's vocabulary and length"
        if impossible := without_probability(inputs.references_nll_bound(self.draws)):
            return f"the model's bound is not finite for {impossible} of {len(inputs.reference_ids)} test sentences"
        return None

    def counts(self, inputs: MetricInputs) -> dict[str, int]:
        """Test sentences that the vocabulary can write; the samples play no part."""
        return {"sentences": 0 if inputs.reference_ids is None else len(inputs.reference_ids)}
