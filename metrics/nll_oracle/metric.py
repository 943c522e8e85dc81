"""NLL-oracle: how improbable the samples are under the true distribution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from metrics.common.base import Aspect, Better, Bounds, Meaning, MetricInputs, Side
from metrics.common.likelihood import nats, scored_tokens, without_probability
from metrics.common.uncertainty import MeanMetric, PerSentence

__all__ = ["NllOracle"]


@dataclass(frozen=True, kw_only=True)
class NllOracle(MeanMetric):
    """Nats per token that the samples cost: under the task's true distribution, and under the model that wrote them.

    Keys `nll_oracle`, `nll_own`, and their difference, `kl_to_oracle`.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "quality"
    side: ClassVar[Side] = "lower"
    bounds: ClassVar[Bounds] = (0.0, None)
    needs: ClassVar[tuple[str, ...]] = ("oracle_log_prob", "sample_ids")

    def keys(self) -> dict[str, Better]:
        """Both costs have the truth's entropy as their target; a divergence is best at 0."""
        return {"nll_oracle": "real", "nll_own": "real", "kl_to_oracle": "lower"}

    def meaning(self, key: str) -> Meaning:
        """NLL-oracle sees quality alone, the model's entropy diversity alone, their difference both."""
        found = super().meaning(key)
        if key == "nll_own":
            return replace(found, aspect="diversity", side="higher", ranked=False)
        return replace(found, aspect="both", bounds=(None, None)) if key == "kl_to_oracle" else found

    def needs_model(self, key: str) -> bool:
        """What the model itself thinks of its samples."""
        return key != "nll_oracle"

    def by_sentence(self, inputs: MetricInputs) -> dict[str, PerSentence]:
        """Nats of each sample and its tokens, end token counted."""
        assert inputs.sample_ids is not None
        tokens = scored_tokens(inputs.sample_ids, inputs.eos_id)
        absent = self.absent(inputs)
        found: dict[str, PerSentence] = {}
        if "nll_oracle" not in absent:
            found["nll_oracle"] = PerSentence(nats(inputs.samples_log_prob, inputs.sample_ids), tokens)
        if "nll_own" not in absent:
            found["nll_own"] = PerSentence(nats(inputs.samples_own_log_prob, inputs.sample_ids), tokens)
        if len(found) == 2:
            cost, own = found["nll_oracle"].values, found["nll_own"].values
            found["kl_to_oracle"] = PerSentence(cost - own, tokens)
        return found

    def missing(self, inputs: MetricInputs) -> str | None:
        """A sample that the true distribution cannot produce has no finite cost, and neither has the mean."""
        reason = super().missing(inputs)
        if reason is None and inputs.own_log_prob is None:
            return self._impossible(inputs)
        return reason

    def absent(self, inputs: MetricInputs) -> dict[str, str]:
        """The model must have a likelihood, and every sample be possible."""
        assert inputs.sample_ids is not None
        reasons: dict[str, str] = {}
        if inputs.own_log_prob is None:
            reasons["nll_own"] = "it needs the likelihood of what wrote the samples, at their temperature"
        elif n := without_probability(nats(inputs.samples_own_log_prob, inputs.sample_ids)):
            reasons["nll_own"] = f"the model gives {n} of its {len(inputs.samples)} samples no finite log-probability"
        if "nll_own" in reasons:
            reasons["kl_to_oracle"] = reasons["nll_own"]
        if (impossible := self._impossible(inputs)) is not None:
            reasons |= {"nll_oracle": impossible, "kl_to_oracle": f"it is infinite: {impossible}"}
        return reasons

    def _impossible(self, inputs: MetricInputs) -> str | None:
        assert inputs.sample_ids is not None
        n = without_probability(nats(inputs.samples_log_prob, inputs.sample_ids))
        return f"{n} of {len(inputs.samples)} samples are impossible under the true distribution" if n else None
