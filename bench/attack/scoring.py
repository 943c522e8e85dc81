"""Every attack on a task, scored beside real text. Nothing is printed and nothing kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bench.attack.attacks import ATTACKS, Attack
from bench.attack.material import Material
from bench.attack.table import HELD_OUT, TRAINING, AttackTable, Column, Line, Value
from bench.config import plain
from bench.labels.inputs import inputs_of
from bench.record import Score
from bench.score.records import LoadedTask
from bench.score.scoring import score
from bench.task import TextData
from metrics.common.tokens import Tokens

__all__ = ["N_SAMPLES", "attack", "set_aside"]

N_SAMPLES = 2_000
"""Sentences of each line, where the text has twice as many."""
Track = Callable[[Sequence[Any]], Iterable[Any]]


def set_aside(data: TextData, n: int | None, task: str) -> tuple[TextData, int]:
    """Data whose validation text is n real sentences that no attack sees, and whose training text is the others.

    They are spread evenly over validation and training text together: real text of the attacker's own distribution,
    also where the test is about other things. The test stays as it is, so that scores compare with those of boards
    with as many samples. None: `N_SAMPLES`, or half of the text. Raises ValueError where n is more than half.
    """
    text = np.concatenate([data.train, data.valid])
    most = len(text) // 2
    if most < 2:
        raise ValueError(f"{task} has {len(text)} sentences beside the test, and attacks need at least 4")
    if n is not None and n > most:
        raise ValueError(
            f"--n-samples is at most {most:,} on {task}: as many of its {len(text):,} sentences beside the test are "
            f"set aside as real text, got {n:,}"
        )
    n = min(N_SAMPLES, most) if n is None else n
    held_out = np.zeros(len(text), np.bool_)
    held_out[np.linspace(0, len(text) - 1, n).round().astype(np.int64)] = True
    return replace(data, train=text[~held_out], valid=text[held_out]), n


def attack(
    loaded: LoadedTask,
    n: int | None,
    seed: int,
    attacks: Sequence[Attack] = ATTACKS,
    told: Callable[[float], None] = lambda _: None,
    track: Track = iter,
) -> AttackTable:
    """Score real text and every attack: n sentences each.

    `told` hears now and then which share is done; `track` hands the metrics on, one by one, and may show it too.
    """
    data, n = set_aside(loaded.data, n, loaded.name)
    material = Material(spec=data.spec, train=data.train, n=n, seed=seed)
    evenly = np.linspace(0, len(data.train) - 1, n).round().astype(np.int64)
    real = [
        Attack(name=HELD_OUT, what="real text, held out", write=lambda _: data.validation),
        Attack(name=TRAINING, what="real text, training", write=lambda given: given.training.select(evenly)),
    ]
    lines: list[Line] = []
    columns: tuple[Column, ...] = ()
    everything = [*real, *attacks]
    for i, each in enumerate(everything):
        told(i / len(everything))
        line = Line(name=each.name, what=each.what, real=each in real)
        if reason := each.missing(material):
            lines.append(replace(line, absent={each.name: reason}))
            continue
        scores, absent = _scores(loaded, data, each.write(material), track)
        if not lines:
            columns = tuple(
                Column(key=key, metric=found.metric, better=found.better, signature=found.signature)
                for key, found in scores.items()
            )
        known = {column.key for column in columns}
        values = {key: Value(found.value, found.standard_error) for key, found in scores.items() if key in known}
        lines.append(replace(line, scores=values, absent=absent))
    told(1.0)
    return AttackTable(
        task=loaded.name,
        task_version=loaded.task.version,
        task_config=plain(loaded.task),
        data_sha256=loaded.data.sha256,
        n_samples=n,
        seed=seed,
        columns=columns,
        lines=tuple(lines),
    )


def _scores(
    loaded: LoadedTask, data: TextData, samples: Tokens, track: Track
) -> tuple[dict[str, Score], dict[str, str]]:
    """The scores that say something of the samples, not of another score, and why others are absent."""
    inputs = inputs_of(data, samples)
    found, absent = score(track(loaded.metrics), inputs)
    asked = {metric.name: metric for metric in loaded.metrics}
    kept = {key: value for key, value in found.items() if asked[value.metric].is_ranked(key) or key == value.metric}
    silent = sorted({value.metric for value in found.values()} - {value.metric for value in kept.values()})
    return kept, {**absent, **dict.fromkeys(silent, "it ranks nobody: none of its scores says which text is better")}
