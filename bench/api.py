"""The harness from Python: train, score, load. What the command line does, it does with these functions.

Nothing here ends the interpreter or prints a result. What is wrong with a name, a setting or a file is a KeyError or a
ValueError that says what would be right, before anything slow.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from bench.config import RunConfig, Scale, assign, build_metrics, make_runs, read_seeds, split_metrics
from bench.launch.options import LaunchOptions, slots
from bench.places import check_folder
from bench.record import RunRecord, read_record
from bench.run_folder import RECORD, records_in
from bench.score.compare import ScoredFile, Source, score_files
from bench.score.records import LoadedTask
from bench.score.references import load_data, scored_against
from bench.text.content import Format
from bench.text.sample_files import read_samples
from bench.text.tokenizers import Tokenizer
from bench.tracking.options import TrackerName, TrackingOptions, default_uri

if TYPE_CHECKING:
    from baselines.common.interface import TextGenerator
    from bench.task import Task, TextData

__all__ = ["TrainedModel", "load", "read_records", "run", "score"]


def run(
    model: str,
    task: str,
    *,
    seeds: int | str | Iterable[int] = 0,
    scale: Scale = "paper",
    settings: Mapping[str, Any] | None = None,
    temperatures: Sequence[float] = (1.0,),
    metrics: Sequence[str] = (),
    runs: Path | str = "runs",
    jobs: int = 1,
    tracking_uri: str | None = None,
    rerun: bool = False,
    progress: bool = True,
) -> list[RunRecord]:
    """Train a model on a task, a run for each seed, and score it -> the records, in the order of the seeds.

    `model` and `task` are names (`seqgan`, `grammar`) or classes in files (`my_gan.py:MyGAN`). `settings` are those of
    model, task, metrics and run, as after `--set`: `{"lr": 0.01, "n_samples": 1_000, "lm_score.order": 3}`. `seeds`
    may be text, `"0-4"`. A finished run is returned as it is; an interrupted one goes on. A failed run has a record
    that says so.

    `tracking_uri`: an MLflow address; None: files alone, below `runs`. With `jobs` over 1 the runs are processes, and a
    script calls this below `if __name__ == "__main__":`. Raises KeyboardInterrupt after Ctrl-C, with the state saved;
    RuntimeError if a run's process died, could not write its folder, or another process is at a run; ValueError,
    KeyError for what is wrong.
    """
    from bench.launch.start import start
    from bench.terminal import SafeConsole

    if type(jobs) is not int or jobs < 1:
        raise ValueError(f"jobs is a whole number from 1 on, got {jobs!r}")
    if tracking_uri is not None and not isinstance(tracking_uri, str):
        raise ValueError(f"tracking_uri is the address as text, or None, got {tracking_uri!r:.80}")
    configs = configs_of(
        model,
        task,
        seeds=read_seeds(_listed(seeds, "seeds")),
        scale=scale,
        settings=_table(settings),
        temperatures=_listed(temperatures, "temperatures"),
        metrics=_listed(metrics, "metrics", fewest=0),
    )
    folder = Path(runs)
    tracker = TrackerName.none if tracking_uri is None else TrackerName.mlflow
    options = LaunchOptions(
        runs=folder,
        slots=slots(configs, jobs, None),
        tracking=TrackingOptions(tracker, tracking_uri or default_uri(folder)),
        rerun=rerun,
    )
    outcomes = start([config.resolve() for config in configs], options, console=SafeConsole(quiet=not progress))
    if any(outcome.status == "stopped" for outcome in outcomes):
        raise KeyboardInterrupt("stopped; the state is saved, and the same call goes on")
    for outcome in outcomes:
        if outcome.status == "elsewhere" or not (outcome.folder / RECORD).is_file():
            raise RuntimeError(f"{outcome.title}: {outcome.detail}")
    return [read_record(outcome.folder / RECORD) for outcome in outcomes]


def _listed(value: Any, name: str, *, fewest: int = 1) -> tuple[Any, ...]:
    """A list as it is, and of one value a list. Raises ValueError."""
    if value is None or isinstance(value, Mapping | bytes):
        raise ValueError(f"{name} takes a list, got {value!r:.80}")
    found = (value,) if isinstance(value, str) or not isinstance(value, Iterable) else tuple(value)
    if len(found) < fewest:
        raise ValueError(f"{name} is an empty list")
    return found


def _table(settings: Any) -> Mapping[str, Any]:
    if settings is None:
        return {}
    if not isinstance(settings, Mapping) or not all(isinstance(name, str) for name in settings):
        raise ValueError(f'settings takes names with values, as {{"lr": 0.01}}, got {settings!r:.80}')
    return settings


def configs_of(
    model: str,
    task: str,
    *,
    seeds: Sequence[int],
    scale: Scale,
    settings: Mapping[str, Any],
    temperatures: Sequence[float],
    metrics: Sequence[str],
) -> list[RunConfig]:
    """A run for each seed, every name and setting looked up and put where it belongs. Raises KeyError, ValueError."""
    wanted: dict[str, Any] = {"model": model, "task": task, "scale": scale, "metrics": tuple(metrics)}
    wanted["temperatures"] = tuple(temperatures)
    return make_runs(assign(settings, wanted), seeds)


def score(
    samples: Path | str | Sequence[str],
    task: str | None = None,
    *,
    name: str = "samples",
    references: Path | str | Sequence[str] | None = None,
    training: Path | str | Sequence[str] | None = None,
    tokenizer: Tokenizer | None = None,
    metrics: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    format: Format = "auto",  # noqa: A002 - as the command's option
    field: str | None = None,
    column: str | None = None,
    runs: Path | str | None = None,
) -> ScoredFile:
    """Score sentences that any program wrote, against a task or against real text of your own. No torch.

    `samples`, `references` and `training` are files, or sentences; a str is the path of a file. With `runs` a record is
    written below it, for the tables. `.evaluation.scores` of the answer holds value, standard error and settings of
    each score, `.evaluation.skipped` why others are absent, `.warnings` what looks wrong with the samples, `.read_as`
    what a file was read as: its content decides, unless `format` does; `column` is that of a table.
    """
    if runs is not None:
        check_folder(Path(runs), "runs")
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"name is what tables call the samples, as text, got {name!r:.80}")
    for what, word, known in (("format", format, Format), ("tokenizer", tokenizer, Tokenizer)):
        if word is not None and word not in get_args(known):
            raise ValueError(f"{what} is one of {', '.join(get_args(known))}, got {word!r:.80}")
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder)
        values, metric_settings = split_metrics(_table(settings))
        task_name, against = scored_against(
            task,
            references=_file(references, written / "references.jsonl"),
            training=_file(training, written / "training.jsonl"),
            tokenizer=tokenizer,
            settings=values,
        )
        chosen = build_metrics(_listed(metrics, "metrics", fewest=0) or against.metrics, metric_settings)
        path = _file(samples, written / ("samples.jsonl" if format == "auto" else "samples.txt"))
        if path is None:
            raise ValueError("samples is None: expected sentences, or the path of a file")
        loaded = LoadedTask(
            name=task_name, task=against, data=load_data(against, field=field, column=column), metrics=chosen
        )
        vocabulary, eos_id = loaded.data.vocabulary, loaded.data.spec.eos_id
        read = read_samples(path, against, vocabulary, eos_id=eos_id, format=format, field=field, column=column)
        (scored,) = score_files([Source(name=name, path=path, samples=read)], loaded, Path(runs) if runs else None)
        return scored


def _file(text: Path | str | Sequence[str] | None, place: Path) -> Path | None:
    """A file as it is; sentences, written to `place`, as JSON strings in a `.jsonl`, so that each is read as it stands.

    Raises ValueError for a sentence of two lines.
    """
    if text is None or isinstance(text, Path | str):
        return None if text is None else Path(text)
    if hasattr(text, "columns") or isinstance(text, Mapping) or not isinstance(text, Iterable):
        raise ValueError(f"expected a list of sentences, or the path of a file, got a {type(text).__name__}")
    sentences = list(text)
    if not sentences:
        raise ValueError("the list of sentences is empty")
    for number, sentence in enumerate(sentences):
        if not isinstance(sentence, str) or "\n" in sentence or "\r" in sentence:
            raise ValueError(f"sentence {number} is not text on one line, without its end: {sentence!r:.80}")
    lines = map(json.dumps, sentences) if place.suffix == ".jsonl" else sentences
    place.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return place


@dataclass(frozen=True)
class TrainedModel:
    """A finished run, ready to be sampled."""

    record: RunRecord
    model: TextGenerator
    data: TextData
    task: Task

    def sample(
        self, n: int, *, temperature: float = 1.0, seed: int = 0, label: str | None = None, words: bool = False
    ) -> list[str]:
        """n sentences, the same for the same seed, written as people write them, or as words joined by blanks.

        To be scored they should be `words`: not every task finds in a text the words that it was made of.
        On a task with classes, `label` is the class that all are to be of, and then is not written in front of them.
        Raises ValueError where there is no such class, or the model hardly ever writes it.
        """
        from bench.labels.drawing import draw_class
        from bench.score.drawing import draw
        from metrics.common.tokens import Tokens

        if type(n) is not int or n < 1:
            raise ValueError(f"sample draws a whole number of sentences from 1 on, got {n!r}")
        if label is None:
            ids = draw(self.model, n, seed=seed, temperature=temperature)
        else:
            ids = draw_class(self.model, n, label, seed=seed, temperature=temperature)
        texts = Tokens.from_rows(ids if label is None else ids[:, 1:], self.data.spec.eos_id)
        sentences = self.data.vocabulary.sentences(texts)
        return sentences if words else [self.task.detokenize(sentence) for sentence in sentences]

    def rewrite(self, sentences: Sequence[str], label: str, *, own: str | None = None, seed: int = 0) -> list[str]:
        """Sentences, as people write them, each rewritten into the class `label`; `own`: the class that they have.

        Without `own` it is the class after `label`, the only other one of two. Raises ValueError where the run is of no
        model that rewrites, or a class is not among its own.
        """
        from bench.rewriting.drawing import rewrite_texts

        return rewrite_texts(self.model, self.data, self.task, sentences, label, own=own, seed=seed)


def load(folder: Path | str, *, model: str | None = None, task: str | None = None, device: str = "cpu") -> TrainedModel:
    """The trained model of a run's folder. Raises ValueError if the run is not finished or holds no weights.

    A run of your own model's file needs `model="my_gan.py:MyGAN"` (likewise `task`): a folder may be anybody's, so what
    its record names is not run by itself.
    """
    from bench.run.runner import load_run

    place = Path(folder)
    place = place.parent if place.name == RECORD else place
    generator, data, loaded = load_run(place, device, model_file=model, task_file=task)
    return TrainedModel(record=read_record(place / RECORD), model=generator, data=data, task=loaded)


def read_records(*places: Path | str) -> list[RunRecord]:
    """The records in folders, at any depth, or in record files, in the order of their paths."""
    found: list[Path] = []
    for place in map(Path, places):
        found += records_in(place)
    return [read_record(path) for path in found]
