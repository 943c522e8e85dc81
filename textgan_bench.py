"""The public Python API of textgan-bench: one import name, the same from a checkout and from a wheel.

    import textgan_bench as tgb

    records = tgb.run("seqgan", "grammar", seeds=[0, 1, 2], scale="small")      # train
    scored = tgb.score(["a cat sleeps .", "the dogs run ."], "grammar")         # any sentences
    scores = tgb.scores_frame("runs")                                           # pandas: a line for each score
    table = tgb.table_frame("runs")                                             # pandas: means over seeds, ranks
    tgb.load("runs/grammar-seqgan-0-…").sample(5, temperature=0.8)              # a finished run

For the authors of models: `TextGenerator`, `BaseConfig`, `Phase`, `Batches`, `SequenceSpec`, `HasLogProb`,
`HasNllBound`, types for settings. A file that imports these from here runs wherever the package does. `docs/api.md`
describes everything.

Names are looked up when they are used, so that importing this loads neither torch nor pandas.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from baselines.common.interface import (
        BaseConfig,
        Batches,
        HasLogProb,
        HasNllBound,
        NonNegativeFloat,
        Phase,
        PositiveFloat,
        PositiveInt,
        SequenceSpec,
        TextGenerator,
    )
    from bench.api import TrainedModel, load, read_records, run, score
    from bench.record import Evaluation, RunRecord, Score, read_record
    from leaderboards.frames import scores_frame, table_frame

__all__ = [
    "BaseConfig",
    "Batches",
    "Evaluation",
    "HasLogProb",
    "HasNllBound",
    "NonNegativeFloat",
    "Phase",
    "PositiveFloat",
    "PositiveInt",
    "RunRecord",
    "Score",
    "SequenceSpec",
    "TextGenerator",
    "TrainedModel",
    "load",
    "read_record",
    "read_records",
    "run",
    "score",
    "scores_frame",
    "table_frame",
]

_HOMES = {
    "baselines.common.interface": (
        *("BaseConfig", "Batches", "HasLogProb", "HasNllBound", "NonNegativeFloat", "Phase"),
        *("PositiveFloat", "PositiveInt"),
        *("SequenceSpec", "TextGenerator"),
    ),
    "bench.api": ("TrainedModel", "load", "read_records", "run", "score"),
    "bench.record": ("Evaluation", "RunRecord", "Score", "read_record"),
    "leaderboards.frames": ("scores_frame", "table_frame"),
}


def __getattr__(name: str) -> Any:
    # In a wheel this file is the package that holds the others; in a checkout they lie beside it.
    nested = Path(__file__).name == "__init__.py" and Path(__file__).with_name("baselines").is_dir()
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{home}" if nested else home), name)
    raise AttributeError(f"textgan_bench has no {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return list(__all__)
