"""Saved views of an experiment in MLflow's pages: Leaderboard, Models compared, Training, Samples.

MLflow (3.15 and later) keeps a view as one tag of the experiment, `mlflow.sharedViewState.<id>`: JSON of name, time and
state, the state as `deflate;` and base64 of the zlib-compressed JSON of what the page keeps of itself (columns, filter,
grouping, charts). Opened by its address or from the menu *Views*. Older pages ignore the tags.

The charts of a view are of scores that the experiment has; until the first run has ended, of the usual ones, and a
chart without values is hidden. A view that was changed or removed in MLflow is its owner's: it is not written again,
and views with other ids are never looked at. Does not import MLflow.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["FIRST", "PAIRS", "SAMPLES_IMAGE", "TRADE_IMAGE", "VIEWS", "address", "seed", "tags_of", "trade"]

PREFIX = "mlflow.sharedViewState."
"""MLflow's, before the id of a view."""
_WRITTEN = "textgan-bench.views"
"""Tag of an experiment: what was written last under each tag, as a digest, so that what a person changed is known."""
_SCORES = "textgan-bench.scores"
"""Tag of an experiment: the scores that its views were made for."""
_NOTE = "mlflow.note.content"
_OURS = "Runs of textgan-bench."
"""What the description begins with unless a person wrote it."""
_MOST_SCORES = 60
"""Of an experiment, for whose names there is room in a tag (5,000 characters); usual are 40."""

PAIRS = (
    ("self_bleu_5", "bleu_5"),
    ("self_bleu_4", "bleu_4"),
    ("self_bleu_3", "bleu_3"),
    ("self_bleu_2", "bleu_2"),
    ("reverse_lm_score", "lm_score"),
    ("self_bleu_2", "nll_oracle"),
    ("nll_gen", "nll_oracle"),
)
"""(diversity, quality): the first pair of which an experiment has both is the one that is drawn."""
_HEADLINES = (
    *("nll_oracle", "kl_from_oracle", "kl_to_oracle", "validity", "nll_gen", "bleu_5", "self_bleu_5", "lm_score"),
    *("reverse_lm_score", "distinct_2", "unique", "novelty", "bleu_4", "self_bleu_4", "bleu_2", "self_bleu_2"),
)
"""What columns and bars show, the most telling first; other scores only where an experiment has few of these."""
_MOST_COLUMNS = 8
_ORDER = ("kl_from_oracle", "nll_gen", "reverse_lm_score")
"""The first of them that an experiment has puts the rows of its leaderboard in order, the lowest first: the loss on
held-out text, where there is a truth to lose against, else what comes nearest to it."""
_NAME = "attributes.`Run Name`"
_FOLDED = ("score", "temperature", "usage", "mean", "sd", "Model metrics", "System metrics")
"""Sections that MLflow adds by itself, with a chart for every metric: below ours, and closed."""

SAMPLES_IMAGE = "samples"
"""Image on a parent: the first sentences of one seed."""
TRADE_IMAGE = "quality_diversity"
"""Image on a parent: quality against diversity over the temperatures."""


@dataclass(frozen=True)
class View:
    """What a view shows: which runs, which columns, how they are grouped, which charts."""

    id: str
    name: str
    level: str
    """Tag `level` of the runs: `configuration` for parents, `run` for seeds."""
    tags: tuple[str, ...]
    """Tags as columns, the first ones."""
    groups: tuple[str, ...] = ()
    """Tags whose equal values make a group: its charts are means over the seeds, its curves have bands."""
    as_charts: bool = True
    """Whether its address opens the charts; else the table."""


FIRST = "textgan-bench-models"
"""The view that the line at the end of a command opens."""
VIEWS = (
    View("textgan-bench-leaderboard", "Leaderboard", "configuration", ("seeds",), as_charts=False),
    View(FIRST, "Models compared", "run", ("seed", "status"), ("row",)),
    View("textgan-bench-training", "Training", "run", ("seed", "status", "phase", "alarms"), ("row",)),
    View("textgan-bench-samples", "Samples", "configuration", ("seeds",)),
)


def address(server: str, experiment_id: str, view: str = FIRST) -> str:
    """The address of a view in MLflow's pages; `server` "" gives a link from page to page.

    `workflowType`: without it MLflow shows the menu of its other half, which is for traces of language models.
    """
    charts = next(each.as_charts for each in VIEWS if each.id == view)
    mode = "&compareRunsMode=CHART" if charts else ""
    return f"{server}#/experiments/{experiment_id}/runs?viewStateShareKey={view}{mode}&workflowType=machine_learning"


def trade(names: Iterable[str]) -> tuple[str, str] | None:
    """The first of `PAIRS`, (diversity, quality), of which both are among the names of scores."""
    known = set(names)
    return next((pair for pair in PAIRS if known.issuperset(pair)), None)


def tags_of(scores: Sequence[str], created_ms: int) -> dict[str, str]:
    """The tags of an experiment that hold its views. `scores`: names, sorted; none while none is known.

    `created_ms`: since the epoch, of the experiment; the menu shows the latest view first.
    """
    tags = {}
    for place, view in enumerate(VIEWS):
        state = base64.b64encode(zlib.compress(json.dumps(_state(view, scores), separators=(",", ":")).encode(), 9))
        document = {"name": view.name, "createdAt": created_ms - place, "state": f"deflate;{state.decode()}"}
        tags[PREFIX + view.id] = json.dumps(document, separators=(",", ":"))
    return tags


def seed(client: MlflowClient, experiment_id: str, note: str, scores: Iterable[str] = ()) -> None:
    """Write the views, and a description with links to them, where they are not there or are of fewer `scores`.

    What a person changed or removed stays so. Hold the lock. Raises what MLflow raises.
    """
    experiment = client.get_experiment(experiment_id)
    before: Mapping[str, str] = experiment.tags
    known = list(dict.fromkeys([*filter(None, before.get(_SCORES, "").split(",")), *sorted(scores)]))[:_MOST_SCORES]
    wanted = tags_of(sorted(known), int(experiment.creation_time or 0))
    links = " · ".join(f"[{view.name}]({address('', experiment_id, view.id)})" for view in VIEWS)
    wanted[_NOTE] = f"{note}\n\nViews: {links}"
    written = _written(before)
    new = {
        key: value
        for key, value in wanted.items()
        if before.get(key) != value and written.get(key) == _digest(before.get(key))
    }
    if not new:
        return
    for key, value in new.items():
        client.set_experiment_tag(experiment_id, key, value)
    written |= {key: _digest(value) for key, value in new.items()}
    client.set_experiment_tag(experiment_id, _WRITTEN, json.dumps(written, separators=(",", ":")))
    client.set_experiment_tag(experiment_id, _SCORES, ",".join(known))


def _written(tags: Mapping[str, str]) -> dict[str, str]:
    """Tag -> digest of what was written last: at first no view, and the description that an experiment begins with."""
    try:
        return dict(json.loads(tags[_WRITTEN]))
    except (KeyError, TypeError, ValueError):
        ours = tags.get(_NOTE) if tags.get(_NOTE, "").startswith(_OURS) else None
        return {_NOTE: _digest(ours), **{PREFIX + view.id: "" for view in VIEWS}}


def _digest(value: str | None) -> str:
    return "" if value is None else hashlib.sha256(value.encode()).hexdigest()[:12]


def _state(view: View, scores: Sequence[str]) -> dict[str, Any]:
    """What MLflow's page keeps of itself, as far as it is not the page's default."""
    sections, charts = _charts(view, scores)
    columns = [*(f"tags.`{tag}`" for tag in view.tags), *(f"metrics.`{name}`" for name in _columns(view, scores))]
    return {
        "searchFilter": f"tags.level = '{view.level}'",
        "orderByKey": _order(view, scores),
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "columnOrder": [_NAME, "runDateAndNestInfo", *columns],
        "columnWidths": {_NAME: 300, "tags.`seeds`": 130, **{column: 6 * len(column) for column in columns[1:]}},
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": charts,
        "compareRunSections": sections,
        "isAccordionReordered": True,
        "groupBy": _grouping(view.groups),
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
    }


def _order(view: View, scores: Sequence[str]) -> str:
    """By what the page orders the runs: seeds by their start, rows of the leaderboard by a score."""
    by = next((name for name in _ORDER if name in scores), None)
    return f"metrics.`mean/{by}`" if by and view.id == VIEWS[0].id else "attributes.start_time"


def _grouping(tags: Sequence[str]) -> dict[str, Any] | None:
    keys = [{"mode": "tag", "groupByData": tag} for tag in tags]
    return {"aggregateFunction": "average", "groupByKeys": keys} if keys else None


def _headlines(scores: Sequence[str]) -> list[str]:
    """The scores to be shown first; the usual ones while none is known."""
    if not scores:
        return list(_HEADLINES)
    return [*(name for name in _HEADLINES if name in scores), *(name for name in scores if name not in _HEADLINES)]


def _columns(view: View, scores: Sequence[str]) -> list[str]:
    shown = _headlines(scores)[:_MOST_COLUMNS]
    if view.id == "textgan-bench-leaderboard":
        return [f"{group}/{name}" for name in shown for group in ("mean", "sd")]
    if view.id == "textgan-bench-training":
        return ["usage/seconds", *(f"score/{name}" for name in shown[:4])]
    group = "score" if view.level == "run" else "mean"
    return [f"{group}/{name}" for name in shown]


def _charts(view: View, scores: Sequence[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Sections, and charts with the section that they stand in. MLflow titles a chart by its metrics."""
    sections: list[dict[str, Any]] = []
    charts: list[dict[str, Any]] = []
    for place, (name, columns, some) in enumerate(_sections(view, scores)):
        uuid = f"{view.id}-{place}"
        tall = {"cardHeight": 640} if any(chart["type"] == "IMAGE" for chart in some) else {}
        sections.append({"uuid": uuid, "name": name, "display": True, "columns": columns, **tall})
        charts += [{"metricSectionId": uuid, **chart} for chart in some]
    sections += [{"uuid": f"{view.id}-{name}", "name": name, "display": False} for name in _FOLDED]
    usual = {"deleted": False, "isGenerated": False}
    numbered = [{"uuid": f"c{i}", "runsCountToCompare": 100, **chart, **usual} for i, chart in enumerate(charts)]
    return [{**section, **usual, "isReordered": False} for section in sections], numbered


def _sections(view: View, scores: Sequence[str]) -> list[tuple[str, int, list[dict[str, Any]]]]:
    """Name, charts side by side, charts."""
    shown = _headlines(scores)[:_MOST_COLUMNS]
    pairs = [pair for pair in [trade(scores or _HEADLINES)] if pair]
    match view.id:
        case "textgan-bench-leaderboard":
            return [
                ("Means over seeds", 2, [_bar(f"mean/{name}") for name in shown]),
                ("Quality against diversity", 1, [_scatter("mean", *pair) for pair in pairs]),
            ]
        case "textgan-bench-models":
            swept = list(dict.fromkeys([*(n for x, y in pairs for n in (y, x)), *shown]))[:4]
            return [
                ("Quality against diversity", 1, [_scatter("score", *pair) for pair in pairs]),
                ("Temperature sweep", 2, [_line(f"temperature/{name}") for name in swept]),
                ("All scores at once", 1, [_parallel(shown[:6])]),
                ("Scores at the end", 2, [_bar(f"score/{name}") for name in shown]),
            ]
        case "textgan-bench-training":
            return [
                ("Scores while it trains", 2, [_line(f"score/{name}") for name in shown]),
                ("Alarms and cost", 2, [_bar("alarms"), _bar("usage/seconds")]),
            ]
        case _:
            return [
                ("Samples", 1, [_image(SAMPLES_IMAGE)]),
                ("Curves over temperature", 1, [_image(TRADE_IMAGE)]),
            ]


def _bar(metric: str) -> dict[str, Any]:
    return {"type": "BAR", "metricKey": metric}


def _line(metric: str) -> dict[str, Any]:
    line = {"selectedMetricKeys": [metric], "xAxisKey": "step", "scaleType": "linear", "lineSmoothness": 0}
    line |= {"displayPoints": True, "useGlobalXaxisKey": False, "useGlobalLineSmoothing": False}
    return {"type": "LINE", "metricKey": metric, **line}


def _scatter(group: str, diversity: str, quality: str) -> dict[str, Any]:
    x, y = ({"key": f"{group}/{name}", "type": "METRIC"} for name in (diversity, quality))
    return {"type": "SCATTER", "xaxis": x, "yaxis": y}


def _parallel(names: Sequence[str]) -> dict[str, Any]:
    metrics = [f"score/{name}" for name in names]
    return {"type": "PARALLEL", "selectedParams": [], "selectedMetrics": metrics, "showAllRuns": True}


def _image(key: str) -> dict[str, Any]:
    return {"type": "IMAGE", "imageKeys": [key], "step": 0, "showRunParams": False}
