"""Pictures of a configuration, for MLflow: its first sentences, and quality against diversity over the temperatures.

Drawn with matplotlib into memory, without a display. Text of anybody is drawn as it is, never read as a formula.
"""

from __future__ import annotations

import json
import statistics
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from bench.text.escapes import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["Trace", "samples_picture", "samples_table", "trade_picture"]

Trace = Mapping[int, tuple[float, float]]
"""Of one seed: 100 × temperature -> (diversity, quality)."""
_SENTENCES = 10
_WIDTH = 52
"""Characters of a sentence in a picture."""
_TABLE = 200
"""Sentences in the table; `samples.txt` beside the seed has all."""
_INCHES = (5.2, 4.0)
_DPI = 120


def samples_picture(sentences: Sequence[str], title: str, inputs: Sequence[str] = ()) -> NDArray[Any]:
    """The first sentences, one a line -> (height, width, 4) bytes of red, green, blue and opacity.

    Where they are rewritten, each stands below its input.
    """
    if inputs:
        sentences = [
            line for pair in zip(inputs, (f"   → {text}" for text in sentences), strict=False) for line in pair
        ]
    figure = _figure()
    _text(figure, 0.02, 0.95, title, fontsize=11, fontweight="bold")
    for place, sentence in enumerate(islice(sentences, _SENTENCES)):
        text = shown(sentence) or "(an empty sentence)"
        text = text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
        _text(figure, 0.02, 0.87 - place * 0.086, text, fontsize=11)
    return _pixels(figure)


def trade_picture(traces: Mapping[str, Trace], diversity: str, quality: str, title: str) -> NDArray[Any]:
    """Quality against diversity: a thin line for each seed, and their mean with its temperatures.

    -> as `samples_picture`
    """
    figure = _figure()
    axes = figure.add_axes((0.15, 0.14, 0.81, 0.74))
    for name, trace in traces.items():
        points = [trace[step] for step in sorted(trace)]
        axes.plot(*zip(*points, strict=True), ".-", color="0.7", linewidth=1, label=name)
    common = sorted(set.intersection(*(set(trace) for trace in traces.values())))
    over = [[trace[step] for trace in traces.values()] for step in common]
    mean = [(statistics.fmean(x for x, _ in some), statistics.fmean(y for _, y in some)) for some in over]
    if mean:
        axes.plot(*zip(*mean, strict=True), "o-", color="C0", label="mean over seeds")
    for step, point in zip(common, mean, strict=True):
        axes.annotate(f"T={step / 100:g}", point, xytext=(5, 5), textcoords="offset points", fontsize=8)
    axes.set_xlabel(diversity, parse_math=False)
    axes.set_ylabel(quality, parse_math=False)
    axes.grid(alpha=0.3)
    _text(figure, 0.02, 0.95, title, fontsize=11, fontweight="bold")
    return _pixels(figure)


def samples_table(sentences: Sequence[str], seed: int | None, inputs: Sequence[str] = ()) -> str:
    """A table as MLflow reads it, JSON of columns and rows: sentence, words, how often it is among the samples.

    Where they are rewritten, the input of each stands before it.
    """
    times = Counter(sentences)
    rows = [[seed, shown(text), len(text.split()), times[text]] for text in islice(sentences, _TABLE)]
    columns = ["seed", "sentence", "words", "times among the samples"]
    if inputs:
        rows = [[row[0], shown(given), *row[1:]] for row, given in zip(rows, inputs, strict=False)]
        columns.insert(1, "input")
    return json.dumps({"columns": columns, "data": rows}, ensure_ascii=False, allow_nan=False)


def _figure() -> Figure:
    from matplotlib.figure import Figure  # half a second that a run without MLflow does not need

    return Figure(figsize=_INCHES, dpi=_DPI)


def _text(figure: Figure, x: float, y: float, text: str, **style: Any) -> None:
    figure.text(x, y, text, va="top", parse_math=False, **style)


def _pixels(figure: Figure) -> NDArray[Any]:
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a character that the font lacks is drawn as a box; the table has it
        canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy()
