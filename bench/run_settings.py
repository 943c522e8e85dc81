"""A run's own settings: all that is neither the model's nor the task's. They stand in its record."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["MOST_HEAT", "MOST_SENTENCES", "Precision", "RunSettings", "Selection", "Temperature"]

MOST_HEAT = 100.0
"""The highest temperature: beyond it all words are equally likely, whatever the model is."""

MOST_SENTENCES = 10_000_000
"""Of a split, and of the samples of an evaluation: far more than anybody publishes, and what a machine can hold."""
Precision = Literal["ieee", "tf32", "bf16"]
Selection = Literal["last", "validation"]
Temperature = Annotated[float, Field(gt=0, le=MOST_HEAT)]


class RunSettings(BaseModel):
    """How a run is sampled, scored, logged and computed."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)

    n_samples: Annotated[int, Field(gt=0, le=MOST_SENTENCES)] = 10_000
    """Sentences drawn at each evaluation; BLEU and Self-BLEU depend on it, so it is in every signature."""
    temperatures: tuple[Temperature, ...] = (1.0,)
    """Temperatures of the evaluation at the end; 1 is always evaluated."""
    evaluate_every: Annotated[int, Field(ge=0)] = 0
    """Steps between evaluations on the way; 0: only at the end of each phase."""
    evaluate_at: tuple[Annotated[int, Field(gt=0)], ...] = ()
    """Further steps after which to evaluate."""
    log_every: Annotated[int, Field(gt=0)] = 100
    """Steps between two readings of what a step returns."""
    selection: Selection = "last"
    """Which weights are evaluated and kept at the end. `last`: those of the last step, as every published setting has
    them. `validation`: those, of every `select_every` steps and of each phase's end, under which validation sentences
    (at most 2,000, spread evenly) cost least. It makes a row of its own, and needs a likelihood."""
    select_every: Annotated[int, Field(gt=0)] = 100
    """Steps between two looks at the validation text, where `selection` asks for them."""
    last_phase: str = ""
    """The phase to end with, empty: the last one. `last_phase=mle` of a GAN is its pre-training alone, with all that a
    row has: what its adversarial phase has to improve on. It makes a row of its own."""
    metrics: tuple[str, ...] = ()
    """Names of metrics; empty: the task's own list."""
    metric_settings: dict[str, dict[str, Any]] = {}
    """By metric; on the command line `--set lm_score.order=3`."""
    alarm_unique: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Collapse alarm: share of distinct sentences among the samples below this."""
    alarm_entropy: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Collapse alarm: entropy of the samples' words below this share of the training text's."""
    on_alarm: Literal["record", "stop"] = "record"
    """`stop`: an alarm ends the run, which is then recorded as failed."""
    device: str = "auto"
    """`cpu`, `cuda`, `cuda:1`; `auto`: a GPU if there is one."""
    cuda_graphs: bool = False
    """On a GPU, record steps of fixed shapes as CUDA graphs and replay them. Off: it has not been tried on one."""
    fp32_precision: Precision = "ieee"
    """Products of float32 matrices in training; evaluations have exact ones always. `tf32` rounds factors to 10 bits
    after the point, on a GPU alone (PyTorch's own default for its convolutions and LSTMs); `bf16` rounds factors and
    results of linear layers to 7 bits, and has TF32 in a GPU's convolutions and LSTMs. Each makes a row of its own."""
    threads: Annotated[int, Field(gt=0)] = 1
    """Threads of one run. One thread a run and several runs side by side is the fastest use of a CPU."""
