"""Boards -> a folder of pages that opens from the file system, without a network.

`index.html` leads to a page for each board, a page for each run and one that puts the samples of two runs side by side.
Sentences and figures lie in `data/`, one script for each run and board, and are loaded where they are looked at; there
is one copy of plotly. Everything from a record or a samples file is escaped: by jinja2 in pages, as JSON in scripts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import jinja2

from bench.record import Evaluation, RunRecord, read_record, short_hash
from bench.run_folder import INPUTS
from leaderboards.evidence import How, Outcome
from leaderboards.figures import PALETTE, Looks, curve_figures, learning_figures, looks_of, run_figures
from leaderboards.formats import ARROWS, plain, value_text
from leaderboards.headline import headline_curve, leading_board
from leaderboards.render.markdown import findings_of
from leaderboards.render.page.citation import bibtex
from leaderboards.render.page.files import first_sentences, read_diary
from leaderboards.render.page.glossary import definition
from leaderboards.render.page.plotly import drawing_of
from leaderboards.render.plots import write_front
from leaderboards.schema import Board, Boards, Row, RunView
from leaderboards.tables.board import main_table, page_tables
from leaderboards.tables.cells import Cell, Column, Table
from leaderboards.tables.legend import TIERS, legend, party_text, short_legend, signatures
from leaderboards.tables.reported import reported_tables
from leaderboards.words import names_of

__all__ = ["write_page"]

_PAGES = Path(__file__).parent
_GROUPS = {
    "reference": "References: what a score means. Not ranked.",
    "ranked": "Ranked: three seeds or more",
    "under-trained": "Under-trained: fewer real sentences than the baseline read. Not ranked.",
    "incomplete": "Incomplete: fewer than three seeds. Not ranked.",
    "samples": "Samples that were handed in. Not ranked.",
    "apart": "Drawn at another temperature than 1. Not comparable with other rows.",
}
"""Heads of the groups of a table, by status."""
_ROWS_AT_FIRST = 14
"""Rows of a board on the first page; of a longer board the references and the front."""
_FIGURE = "quality-diversity"
"""Name of the first page's figure, without its ending."""
_POINTS = 120
"""Points of a logged value."""


@dataclass
class _Run:
    """A run with its place among the pages."""

    name: str
    """Of its page and its data: letters, digits, `-` and `_` only."""
    view: RunView
    homes: list[tuple[Board, Row]] = field(default_factory=list)
    """A file of samples may stand on several boards."""
    sets: list[str] = field(default_factory=list)
    """What its samples are of: `end, T = 1`."""


def write_page(boards: Boards, folder: Path, *, samples: int = 200) -> Path:
    """Write the pages into a folder and return `index.html`. `samples` sentences are shown of each run's end.

    Pages of an earlier call are written over, and nothing is deleted. Raises OSError where a file cannot be written.
    """
    for name in ("", "runs", "data"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    names = _board_names(boards)
    runs = _runs(boards)
    site = _Site(folder, boards, names, runs, looks_of(boards))
    for run in runs.values():
        _write_run(site, run, samples)
    for board in boards.boards:
        _write_board(site, board)
    comparable = [run for run in runs.values() if run.sets]
    site.page("compare.html", "compare.html", title="Compare samples", data=_for_compare(comparable, site.titles))
    site.page("metrics.html", "metrics.html", title="Metrics", metrics=site.definitions(*boards.boards))
    (folder / "page.css").write_text(_palette() + (_PAGES / "page.css").read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "page.js").write_bytes((_PAGES / "page.js").read_bytes())
    _write_plotly(folder / "data" / "plotly.min.js")
    leading, figures = leading_board(boards), write_front(boards, folder / _FIGURE)
    site.page(
        "index.html",
        "index.html",
        title="Leaderboards",
        ordered=sorted(boards.boards, key=lambda board: board is not leading),
        findings=findings_of(boards)[0],
        figures=[figure.name for figure in figures or ()],
        short=short_legend(boards.boards),
        tables={board.number: main_table(board, _ROWS_AT_FIRST) for board in boards.boards},
        legend=legend(boards),
        metrics=site.definitions(*boards.boards),
    )
    return folder / "index.html"


class _Site:
    """What all pages share: templates, addresses, looks."""

    def __init__(
        self,
        folder: Path,
        boards: Boards,
        names: Mapping[int, str],
        runs: Mapping[str, _Run],
        looks: Looks,
    ) -> None:
        self.folder, self.boards, self.runs, self.looks = folder, boards, runs, looks
        self.environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_PAGES),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_shown,
        )
        self.environment.filters |= {"json": _json, "setting": _setting, "written": value_text}
        self.names, self.titles = names, names_of(boards)
        self.environment.globals |= {
            "boards": boards,
            "names": names,
            "runs": runs,
            "looks": looks,
            "anchors_of": _anchors,
            "arrows": ARROWS,
            "groups": _GROUPS,
            "tiers": TIERS,
            "party_text": party_text,
            "small": _small,
            "widths_of": _widths,
            "title_of": lambda board: self.titles[board.number],
            "details_of": _details,
            "bibtex": bibtex,
        }

    def page(self, template: str, path: str, /, **values: Any) -> None:
        """Write a page; `root` leads from it to the folder."""
        text = self.environment.get_template(template).render(root="../" * path.count("/"), here=path, **values)
        (self.folder / path).write_text(text, encoding="utf-8")

    def data(self, name: str, value: Any) -> None:
        """Write a script that hands a value to the pages: `fetch` does not work from the file system."""
        (self.folder / "data" / f"{name}.js").write_text(f'textgan("{name}", {_json(value)});\n', encoding="ascii")

    def definitions(self, *boards: Board) -> list[Any]:
        """Definitions of the metrics of some boards, by name."""
        return [definition(name) for name in sorted({name for board in boards for name in board.metrics.values()})]


def _palette() -> str:
    """The colours of rows: a property of each, and a class of its name for letters."""
    colours = "".join(f"  --{name}: light-dark({light}, {dark});\n" for name, (light, dark) in PALETTE.items())
    return f":root {{\n{colours}}}\n" + "".join(f".g.{name} {{ color: var(--{name}); }}\n" for name in PALETTE)


def _anchors(board: Board) -> dict[str, str]:
    """Label of a row -> where its board's page tells of it."""
    return {row.label: f"row-{i}" for i, row in enumerate([*board.rows, *board.apart], 1)}


def _small(column: Column, cell: Cell) -> str:
    """What follows a number in small letters; places are one word."""
    return "" if column.kind == "places" else column.after(cell)


def _widths(table: Table) -> list[int]:
    """For each column, the characters that stand right of its numbers, so that these align."""
    columns = zip(table.columns, zip(*(line.cells for line in table.lines), strict=True), strict=False)
    return [min(max((len(_small(column, cell)) for cell in cells), default=0), 9) for column, cells in columns]


def _details(board: Board) -> str:
    settings = [f"{key}={value}" for key, value in sorted(board.task_config.items())]
    return plain(
        " · ".join(
            [
                f"{board.task}, version {board.task_version}",
                f"scale {board.scale}",
                *settings,
                f"data {board.data_sha256[:12]}",
            ]
        )
    )


def _board_names(boards: Boards) -> dict[int, str]:
    """Number of a board -> name of its page, the same for the same board in the next build."""
    names = {}
    for board in boards.boards:
        identity = [board.task, board.task_version, board.task_config, board.data_sha256, board.scale, board.signatures]
        names[board.number] = f"board-{_slug(board.task)}-{_slug(board.scale)}-{short_hash(identity)[:8]}"
    return names


def _runs(boards: Boards) -> dict[str, _Run]:
    """Path of a record -> its run."""
    runs: dict[str, _Run] = {}
    taken: set[str] = set()
    for board in boards.boards:
        for row in (*board.rows, *board.apart):
            for view in row.runs:
                if view.path not in runs:
                    name = view.run_id if re.fullmatch(r"[0-9a-f]{12}", view.run_id) else short_hash(view.run_id)
                    name = name if name not in taken else short_hash([view.run_id, view.path])
                    taken.add(name)
                    runs[view.path] = _Run(f"run-{name}", view)
                runs[view.path].homes.append((board, row))
    return runs


def _write_run(site: _Site, run: _Run, samples: int) -> None:
    record, folder = read_record(Path(run.view.path)), Path(run.view.path).parent
    problems: list[str] = []
    sets = _samples(record, folder, samples, problems)
    run.sets = [name for name, _ in sets]
    shown = [line for _, lines in sets for line in lines if line][:20]
    ids = bool(shown) and all(line.replace(" ", "").isdigit() for line in shown)
    diary = _or_problem(lambda: read_diary(folder, _POINTS), problems) or {}
    drawing = drawing_of(run_figures(record, run.view.borders, diary))
    data = {
        "sets": [{"name": name, "lines": lines} for name, lines in sets],
        "ids": ids,
        **drawing,
    }
    if sets or drawing["figures"]:
        site.data(run.name, data)
    board, row = run.homes[0]
    site.page(
        "run.html",
        f"runs/{run.name}.html",
        title=f"{row.label}, {_seed(run.view)}",
        run=run,
        record=record,
        board=board,
        row=row,
        siblings=[site.runs[view.path] for view in row.runs],
        problems=problems,
        ids=ids,
        has_figures=bool(drawing["figures"]),
        seed=_seed,
        evaluation_name=_evaluation_name,
        scored=_scored(record),
        checks=_checks(run.view),
        metrics=site.definitions(board),
    )


def _write_board(site: _Site, board: Board) -> None:
    name = site.names[board.number]
    looks = site.looks[board.number]
    pages = {
        row.label: {str(run.seed): site.runs[run.path].name for run in row.runs} for row in (*board.rows, *board.apart)
    }
    leading = headline_curve(board)
    curves = sorted(
        zip(board.curves, curve_figures(board, looks), strict=True), key=lambda pair: pair[0] is not leading
    )
    figures = {"curves": [figure for _, figure in curves], "learning": learning_figures(board, looks)}
    drawings = {kind: drawing_of(found, pages) for kind, found in figures.items()}
    for kind, drawing in drawings.items():
        if drawing["figures"]:
            site.data(f"{name}-{kind}", drawing)
    site.page(
        "board.html",
        f"{name}.html",
        title=site.titles[board.number],
        board=board,
        name=name,
        tables=page_tables(board),
        unmatched=_unmatched(board),
        short=short_legend([board]),
        published=reported_tables(board),
        signatures=signatures(board),
        figures=figures,
        levels=list(dict.fromkeys(level.name for figure in figures["learning"] for level in figure.levels)),
        seed=_seed,
        metrics=site.definitions(board),
    )


def _unmatched(board: Board) -> dict[str, list[str]]:
    """Label of a row -> why its qualities at matched diversity are absent, curves with the same reason together."""
    found: dict[str, dict[str, list[str]]] = {row.label: {} for row in (*board.rows, *board.apart)}
    for curve in board.curves:
        for trace in (trace for trace in curve.traces if trace.matched is None and trace.reason):
            found[trace.label].setdefault(trace.reason, []).append(curve.y)
    return {
        label: [f"No matched {', '.join(keys)}: {reason}." for reason, keys in why.items()]
        for label, why in found.items()
    }


def _samples(record: RunRecord, folder: Path, n: int, problems: list[str]) -> list[tuple[str, list[str]]]:
    """(name, sentences) of every set beside the record: `n` of the end at temperature 1, of the others a quarter."""
    final = record.final()
    ordered = sorted(record.evaluations, key=lambda e: (e is not final, e.at not in ("end", "samples")))
    found = []
    for evaluation in ordered:
        if evaluation.samples_file is not None:
            name, count = evaluation.samples_file, n if evaluation is final else n // 4
            lines = _or_problem(lambda name=name, count=count: first_sentences(folder, name, count), problems)  # type: ignore[misc]
            if inputs := _or_problem(lambda count=count: first_sentences(folder, INPUTS, count), problems):  # type: ignore[misc]
                lines = [f"{given}  →  {line}" for given, line in zip(inputs, lines or (), strict=False)]
            if lines:
                found.append((_evaluation_name(evaluation), lines))
    return found


_T = TypeVar("_T")


def _or_problem(read: Callable[[], _T], problems: list[str]) -> _T | None:
    """What is read, or None and the reason among the problems: a page tells of a bad file and shows the rest."""
    try:
        return read()
    except (ValueError, OSError) as error:
        problems.append(str(error))
        return None


def _evaluation_name(evaluation: Evaluation) -> str:
    when = {"end": "end of training", "samples": "as handed in", "phase_end": f"after {plain(evaluation.phase)}"}
    at = when.get(evaluation.at, f"step {evaluation.step}")
    return at if evaluation.at == "samples" else f"{at}, T = {value_text(evaluation.temperature, 'temperature')}"


def _scored(record: RunRecord) -> dict[str, Any]:
    """The scores of the results, that at temperature 1 first, and of the ends of phases: a line for each key."""
    final = record.final()
    shown = [e for e in record.evaluations if e.at != "cadence"]
    evaluations = sorted(shown, key=lambda e: (e is not final, e.at == "phase_end"))
    keys = sorted({key for e in evaluations for key in e.scores})
    lines = []
    for key in keys:
        scores = [e.scores.get(key) for e in evaluations]
        first = next(score for score in scores if score is not None)
        lines.append({"key": key, "first": first, "scores": scores})
    skipped = {line for e in evaluations for line in e.absent().items()}
    return {"evaluations": evaluations, "lines": lines, "skipped": sorted(skipped)}


def _checks(view: RunView) -> list[str]:
    """How the scores of a verified run were checked: a line for each way, with its scores where not all are of it."""
    found: dict[Outcome, dict[str, None]] = {}
    for scores in (view.checked.get(1.0, {}), view.checked_before):
        for key, outcome in scores.items():
            found.setdefault(outcome, {})[key] = None
    lines = [_CHECKED[how].format(why=why, scores=", ".join(keys)) for (how, why), keys in sorted(found.items())]
    others = {
        why for t, scores in view.checked.items() if t != 1.0 for how, why in scores.values() if how == "recorded"
    }
    return [*lines, *(f"As recorded, at other temperatures than 1: {why}." for why in sorted(others))]


_CHECKED: Mapping[How, str] = {
    "samples": "Recomputed from the stored samples at temperature 1 and found equal: all other scores.",
    "weights": "Recomputed from the stored weights: {scores}.",
    "log_probabilities": "Averaged again from stored log-probabilities, which shows the arithmetic alone: {scores}.",
    "recorded": "As recorded, {why}: {scores}.",
}


def _seed(view: RunView) -> str:
    return "samples" if view.seed is None else f"seed {view.seed}"


def _for_compare(runs: list[_Run], titles: Mapping[int, str]) -> list[dict[str, Any]]:
    """What the two menus offer, board by board."""
    boards: dict[int, dict[str, Any]] = {}
    for run in runs:
        for board, row in run.homes:
            entry = boards.setdefault(board.number, {"board": titles[board.number], "runs": []})
            sets, reference = [plain(name) for name in run.sets], row.status == "reference"
            entry["runs"].append([run.name, plain(row.label), _seed(run.view), sets, reference])
    return [boards[number] for number in sorted(boards)]


def _write_plotly(path: Path) -> None:
    from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]  # slow to import

    path.write_text(get_plotlyjs(), encoding="utf-8")


def _json(value: Any) -> str:
    """JSON that is also harmless inside HTML and JavaScript: no `<`, `>`, `&`, no line separators."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _shown(value: Any) -> Any:
    """Every text of a template without control and bidirectional characters; most have none."""
    odd = type(value) is str and not (value.isascii() and value.isprintable())
    return plain(value) if odd else value


def _setting(value: Any) -> str:
    """A setting as it is read and written: JSON, texts bare."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-")[:40] or "x"
