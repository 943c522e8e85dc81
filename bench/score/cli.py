"""The commands about samples that anybody hands in. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.places import check_file, check_folder, command
from bench.terminal import Metrics, Settings, UserErrors, console, counted, errors
from bench.text.content import Format
from bench.text.escapes import shown_name
from bench.text.tokenizers import Tokenizer

if TYPE_CHECKING:
    from bench.rewriting.data import RewritingTask
    from bench.score.compare import Source
    from bench.task import Task, TextData
    from bench.text.sample_files import Samples

__all__ = ["explain_command", "progress", "score_command"]

Files = Annotated[
    list[str],
    typer.Argument(
        help="One or more files of samples, one sentence a line: text, JSON lines, a column of a table, also as .gz or "
        ".bz2. On a task of rewriting all files of one system, in the order of its inputs, each line an input, a "
        "tabulator and an output, or the output. The task comes last, unless --references is given.",
        metavar="FILES... TASK",
        show_default=False,
    ),
]
ReferencesOption = Annotated[
    Path | None, typer.Option("--references", help="Score against this file instead of a task: all words are FILES.")
]
TokenizerOption = Annotated[Tokenizer | None, typer.Option(help="With --references: what a word is. Default: blanks.")]
FormatOption = Annotated[
    Format,
    typer.Option(
        "--format",
        help="auto goes by the content and says what it found. text: lines as they stand. tokens: words between "
        "blanks, no tokenizer on top. ids: rows of the task's ids.",
    ),
]
Field = Annotated[str | None, typer.Option(help="The field of JSON lines. Default: text, else tokens.")]
Column = Annotated[str | None, typer.Option(help="The column of a table, by name or number from 1.")]


def score_command(
    files: Files,
    references: ReferencesOption = None,
    training: Annotated[Path | None, typer.Option(help="With --references: the training text, for novelty.")] = None,
    tokenizer: TokenizerOption = None,
    name: Annotated[list[str] | None, typer.Option(help="Name of the row, one per file. Default: the file's.")] = None,
    settings: Settings = None,
    metric: Metrics = None,
    file_format: FormatOption = "auto",
    field: Field = None,
    column: Column = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse files of different numbers of samples.")] = False,
    runs: Annotated[Path | None, typer.Option(help="Write a record of each file here, for the leaderboard.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV: a row for each file and score.")] = False,
) -> None:
    """Score anybody's samples and compare them: score a.txt b.txt image_coco. No model and no torch needed."""
    from bench.config import build_metrics, parse_settings, split_metrics
    from bench.rewriting.data import RewritingTask
    from bench.score import report as score_report
    from bench.score.compare import Source, different_counts, score_files
    from bench.score.records import LoadedTask

    with UserErrors():
        if as_json and as_csv:
            raise ValueError("--json and --csv exclude each other")
        values, metric_settings = split_metrics(parse_settings(settings or ()))
        if runs is not None:
            check_folder(runs, "--runs")
        paths, task_name, task = _resolve("score", files, references, training, tokenizer, values)
        rewritten = isinstance(task, RewritingTask)
        rows = _row_names(paths[:1] if rewritten else paths, name)
        metrics = build_metrics(tuple(metric or task.metrics), metric_settings)
        with progress() as (share_of, track):
            reading = _Reading(file_format, field, column)
            data = reading.load(task)
            board = LoadedTask(name=task_name, task=task, data=data, metrics=metrics)
            sources: list[Source] = []
            if isinstance(task, RewritingTask):
                sources.append(Source(name=rows[0], path=paths[0], samples=reading.rewritten(paths, task, data)))
            else:
                for path, row in zip(paths, rows, strict=True):
                    samples = reading.read(path, task, data, share_of(f"reading {row}"))
                    sources.append(Source(name=row, path=path, samples=samples))
            warning = different_counts(sources)
            if strict and warning:
                raise ValueError(warning)
            scored = score_files(sources, board, runs, track)
        if as_json:
            console.print_json_text(score_report.as_json(scored, task_name, warning))
        elif as_csv:
            console.print_document(score_report.as_csv(scored, task_name))
        else:
            score_report.print_table(console, scored, task_name)
        if warning:
            _say(f"not compared: {warning}")


def explain_command(
    samples: Annotated[str, typer.Argument(help="A file of samples.")],
    task: Annotated[str | None, typer.Argument(help="The task, unless --references is given.")] = None,
    references: Annotated[Path | None, typer.Option(help="Real text of your own, in place of a task.")] = None,
    tokenizer: TokenizerOption = None,
    settings: Settings = None,
    file_format: FormatOption = "auto",
    field: Field = None,
    column: Column = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
) -> None:
    """One file scored the ways that papers and repositories score it, side by side: why their numbers disagree."""
    from bench.config import parse_settings
    from bench.labels.data import without_labels
    from bench.score import report as score_report
    from bench.score.explain import explain, texts

    with UserErrors():
        if as_json and as_markdown:
            raise ValueError("--json and --markdown exclude each other")
        if task is not None and references is not None:
            raise ValueError(f"give a task ({task}) or --references, not both")
        paths, task_name, loadable = _resolve(
            "explain-score",
            [samples, *([task] if task else [])],
            references,
            None,
            tokenizer,
            parse_settings(settings or ()),
        )
        with progress() as (share_of, _):
            reading = _Reading(file_format, field, column)
            data = reading.load(loadable)
            read = reading.read(paths[0], loadable, data, share_of(f"reading {paths[0].name}"))
            words = without_labels(data, read.tokens), without_labels(data, data.references)
            protocols = explain(texts(replace(read, tokens=words[0]), words[1], loadable.reference_file()))
        if as_json:
            console.print_json_text(score_report.protocols_as_json(protocols))
        elif as_markdown:
            console.print_document(score_report.protocols_as_markdown(protocols))
        else:
            file = f"{shown_name(paths[0].name)} ({len(read):,} sentences)"
            title = f"{file} against {task_name} ({len(data.references):,})"
            score_report.print_protocols(console, protocols, title)


@dataclass(frozen=True)
class _Reading:
    """How the user says that files are to be read; what they were read as is said where the name does not show it."""

    format: Format
    field: str | None
    column: str | None

    def load(self, task: Task) -> TextData:
        """The task's data, or the file of references."""
        from bench.score.references import load_data

        data = load_data(task, field=self.field, column=self.column)
        for name in ("references", "training"):
            if read_as := data.facts.get(f"{name}_read_as"):
                _say(f"{getattr(task, name)}: read as {read_as}")
        return data

    def read(self, path: Path, task: Task, data: TextData, progress: Callable[[float], None]) -> Samples:
        """A file of samples."""
        from bench.text.sample_files import read_samples

        samples = read_samples(
            path,
            task,
            data.vocabulary,
            eos_id=data.spec.eos_id,
            format=self.format,
            field=self.field,
            column=self.column,
            progress=progress,
        )
        if samples.note:
            _say(f"{path}: {samples.note}")
        return samples

    def rewritten(self, paths: Sequence[Path], task: RewritingTask, data: TextData) -> Samples:
        """The answers of one system, from one file or several."""
        from bench.rewriting.data import RewritingText
        from bench.rewriting.files import read_rewritten

        assert isinstance(data, RewritingText)
        if self.format not in ("auto", "text") or self.field or self.column:
            raise ValueError(
                "rewritten sentences are lines of input, tabulator and output: without --format and fields"
            )
        return read_rewritten(paths, task, data)


def _say(line: str) -> None:
    errors.print(f"warning: {line}", style="yellow")


def _resolve(
    called: str,
    files: Sequence[str],
    references: Path | None,
    training: Path | None,
    tokenizer: Tokenizer | None,
    values: Mapping[str, Any],
) -> tuple[list[Path], str, Task]:
    """The samples files, and what they are scored against, all looked up before anything is loaded."""
    from bench.registry import names
    from bench.score.references import scored_against

    paths = [Path(file) for file in files]
    task_name = None
    if references is None and not (training or tokenizer):
        *others, task_name = files
        if Path(task_name).exists() and not task_name.endswith(".py") and task_name not in names("tasks"):
            kind = "folder" if Path(task_name).is_dir() else "file"
            named = [other for other in others if other in names("tasks")]
            words = [Path(file) for file in files if file not in named]
            right = command("bench", called, *words, *(named or ["image_coco"]))
            raise ValueError(f"{task_name!r} is a {kind}: the task comes last, as in `{right}`, or --references FILE")
        paths = [Path(other) for other in others]
    name, task = scored_against(
        task_name, references=references, training=training, tokenizer=tokenizer, settings=values
    )
    if not paths:
        raise ValueError(f"no samples file: expected score FILES... {name}")
    for path in paths:
        check_file(path)
    return paths, name, task


def _row_names(paths: Sequence[Path], chosen: Sequence[str] | None) -> list[str]:
    """A name for each file: as chosen, or the file's, with its folder where two would have the same."""
    if chosen and len(chosen) != len(paths):
        given = f"{counted(len(paths), 'file')}, {counted(len(chosen), 'name')}"
        raise ValueError(f"--name takes a name for each file, as --name a b: {given}")
    short = [path.name for path in paths]
    found = list(chosen or (short if len(set(short)) == len(short) else map(str, paths)))
    if doubles := sorted({row for row in found if found.count(row) > 1}):
        raise ValueError(f"{doubles[0]!r} is given twice; a row's name is its own")
    return found


ShareOf = Callable[[str], Callable[[float], None]]
Track = Callable[[Sequence[Any]], Iterable[Any]]


@contextmanager
def progress() -> Iterator[tuple[ShareOf, Track]]:
    """Bars on the terminal while something takes long; nothing in a pipe or a log.

    Yields what makes a bar of a name, which is told the share that is done, and what hands metrics on with a bar.
    """
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column as TableColumn

    name = TextColumn("{task.description}", markup=False, table_column=TableColumn(overflow="fold"))
    columns = (name, BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bars:

        def share_of(what: str) -> Callable[[float], None]:
            bar = bars.add_task(shown_name(what), total=1.0)
            return lambda share: bars.update(bar, completed=share, visible=share < 1)

        def track(metrics: Sequence[Any]) -> Iterator[Any]:
            bar = bars.add_task("scoring", total=len(metrics))
            for metric in metrics:
                bars.update(bar, description=f"scoring {metric.name}")
                yield metric
                bars.advance(bar)
            bars.update(bar, visible=False)

        yield share_of, track
