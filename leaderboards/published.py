"""Which published numbers compare with a board's. They are `reported`: never ranked, never joined with ours.

A number is comparable with a board's if one model would be expected to get one score by both protocols:

- it is of the board's data: `task` and all of `task_config` are the board's; an empty `task` means that no board has
  that data, and the number is never shown beside ours;
- it is a table's final value, not a point of a curve and not read off a plot (`kind`);
- the score is defined as ours: `needs` are the fields that our signature must have (`smoothing:method1|refs:10000`).
  The number of samples is among them where the score depends on it (Self-BLEU) and not where it only sets the noise
  (BLEU, NLL);
- nothing else is known to differ, such as samples drawn with sharpened logits or a state chosen by its test score:
  `differs` says what.

What is not comparable is shown apart, with the reason.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from bench.published import Published, read_published
from metrics.common.signature import Setting, setting_text

__all__ = ["published_for"]


def _unlike(row: Published, settings: Mapping[str, Setting]) -> str:
    """Which of our settings are not what the number needs, or empty."""
    ours = {name: setting_text(value) for name, value in settings.items()}
    return ", ".join(
        f"{key}:{value}, here {key}:{ours.get(key)}" for key, value in row.needed if ours.get(key) != value
    )


def published_for(
    task: str, task_config: Mapping[str, Any], settings: Mapping[str, Mapping[str, Setting]]
) -> dict[str, list[Published]]:
    """Source -> its final numbers for a board's data and score keys, each comparable or with the reason why not.

    `settings`: of the scores of each column. Rows of two sources are never to be joined.
    """
    blocks: dict[str, list[Published]] = {}
    for row in read_published():
        fits = all(str(task_config.get(name)) == value for name, value in row.task_config.items())
        if row.task == task and fits and row.kind == "final" and row.key in settings:
            reason = row.reason or _unlike(row, settings[row.key])
            blocks.setdefault(row.source, []).append(dataclasses.replace(row, comparable=not reason, reason=reason))
    return blocks
