"""The rows that are kept in the repository: where they lie, which samples are kept, what is refused at the door.

    <results>/<task>@<version>/<model>/<run_id>/record.json, samples.txt.bz2, samples-after-mle.txt.bz2,
        weights.safetensors or log-probs-samples.npz, inputs.txt.bz2 (what rewritten sentences answer)

Kept are the samples of the end at temperature 1 and of the end of pre-training: with them every score of the tables and
the gain of the GAN can be computed again. Those of other temperatures are not kept, and their scores stand as recorded:
10,000 sentences take (gzip -9, xz -9e, bzip2 -9, in kB)

    Image COCO 150, 121, 105 · oracle, length 20: 395, 365, 315 · length 40: 778, 673, 616 · grammar 75, 66, 49

which for 4 boards x 11 rows x 3 seeds with all temperatures and phases is 240 MB at best, and with the kept ones
70, 61 and 55 MB. bzip2 it is, which has no clock and no operating system in its header either.

For the model's own likelihood: its weights, where it is an installed one and they are small (60 kB on grammar to 1.3 MB
for the LSTM of the oracle), else what it gave for each sentence (65 kB for 10,000 of the test and as many samples).

Everything here may be anybody's: a name is checked before it becomes a path, a link is not followed, and a compressed
file is read as far as its record can need.
"""

from __future__ import annotations

import bz2
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bench.record import Evaluation, RunRecord
from bench.run_folder import INPUTS, MODEL_SOURCE, is_regular
from leaderboards.records import impossible
from leaderboards.rows import PRETRAINING
from leaderboards.schema import END

__all__ = [
    "SOURCE",
    "check_inputs",
    "check_record",
    "find_samples",
    "find_source",
    "kept_evaluations",
    "n_samples",
    "pack",
    "place",
    "read_kept_samples",
    "root_of",
]

_TASK = re.compile(r".+@\d+")
_RUN_ID = re.compile(r"[0-9a-f]{12}")
SOURCE = "source.json"
"""Beside a record whose samples are somebody else's: name, address and SHA-256 of the file that they were read from, or
a list of such, where they were read from several."""

_SUFFIX = ".bz2"
_MOST_SOURCE = 1 << 20
_MOST_SAMPLES = 1_000_000
_SENTENCE = 4096
"""Bytes of a sentence on average, at most; captions have 60, news 150."""
_WORD = re.compile(r"[\w.+-]{1,100}")


def root_of(path: Path) -> Path | None:
    """The folder of `<task>@<version>` folders, in which nothing else may lie, that a path is or lies in."""
    if path.is_dir() and any(map(_is_of_task, path.iterdir())):
        return path
    around = (path, *path.parents)[:4]  # <task>@<version>/<model>/<run_id>/record.json
    return next((place.parent for place in around if _is_of_task(place)), None)


def _is_of_task(folder: Path) -> bool:
    """Whether rows of a task lie in it: a user's own folder may be named `trials@2`, and no runs are named as rows."""
    return bool(_TASK.fullmatch(folder.name)) and any(_RUN_ID.fullmatch(run.name) for run in folder.glob("*/*"))


def place(record: RunRecord) -> Path:
    """The folder of a record, relative to the results. `my_gan.py:MyGAN` lies in `my_gan-MyGAN`."""
    return Path(f"{_folder(record.task)}@{record.task_version}", _folder(record.model), record.run_id)


def _folder(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "-", name.replace(".py:", "-")).strip("-")[:60] or "unnamed"


def kept_evaluations(record: RunRecord) -> list[Evaluation]:
    """The evaluations whose samples are kept: the end at temperature 1, and the end of pre-training."""
    return [
        e
        for e in record.evaluations
        if e.samples_sha256 is not None
        and e.temperature == 1.0
        and (e.at in END or (e.at == "phase_end" and e.phase in PRETRAINING))
    ]


def n_samples(evaluation: Evaluation) -> int | None:
    """How many sentences were scored, by the scores' settings; None if none says. Raises ValueError if they differ."""
    counts = {score.settings["samples"] for score in evaluation.scores.values() if "samples" in score.settings}
    found = {n for n in counts if type(n) is int and 0 < n <= _MOST_SAMPLES}
    if len(counts) > 1 or found != counts:
        told = ", ".join(sorted(map(str, counts)))
        raise ValueError(f"scores of one evaluation are of one number of samples up to 1,000,000, got {told}")
    return next(iter(found), None)


def find_samples(folder: Path, evaluation: Evaluation) -> Path | None:
    """The file of an evaluation's samples beside its record, as the run left it or compressed. Raises on a link."""
    return _kept_file(folder, evaluation.samples_file) if evaluation.samples_file else None


def find_source(folder: Path, record: RunRecord) -> bytes | None:
    """The source of a user's own model, its hash checked; None for a registered one. Raises ValueError.

    A model in a file is no row without it: nobody could make the row again.
    """
    if record.origin != "run" or not (":" in record.model or record.model.endswith(".py")):
        return None
    if record.model_source is None:
        raise ValueError(f"the source of {record.model} is not kept with the run: run it again with this version")
    if beside := sorted(name.partition(" ")[2] for name in record.sources or {} if name.startswith("import ")):
        raise ValueError(
            f"{record.model} imports {', '.join(beside)}, a file of its own, and a row keeps one file of a model: move "
            "that code into it, or install it as a package, and run again"
        )
    if (path := _kept_file(folder, MODEL_SOURCE)) is None:
        raise ValueError(f"{MODEL_SOURCE}, the source of {record.model}, is missing beside the record")
    content = _content(path, _MOST_SOURCE)
    if (got := hashlib.sha256(content).hexdigest()) != record.model_source:
        raise ValueError(f"{path} has the SHA-256 {got[:12]}, the record says {record.model_source[:12]}")
    return content


def _kept_file(folder: Path, name: str) -> Path | None:
    """A file beside a record, as the run left it or compressed. Raises ValueError on a link."""
    for suffix in ("", _SUFFIX):
        path = folder / f"{name}{suffix}"
        if path.is_symlink():
            raise ValueError(f"{path} is a link; a file is expected")
        if is_regular(path):
            return path
    return None


def _content(path: Path, limit: int) -> bytes:
    """A file, decompressed, as far as one byte beyond the limit. Raises ValueError."""
    try:
        with bz2.open(path) if path.suffix == _SUFFIX else path.open("rb") as file:
            return file.read(limit + 1)
    except (OSError, EOFError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


def check_inputs(folder: Path, inputs: Sequence[str] | None) -> None:
    """Raise ValueError where the sentences that lie beside rewritten ones are not those that these answer.

    They are shown with the samples and no score is made of them, so they need not be there.
    """
    if (path := _kept_file(folder, INPUTS)) is None:
        return
    right = "".join(f"{sentence}\n" for sentence in inputs or ()).encode()
    if inputs is None or _content(path, len(right)) != right:
        raise ValueError(f"{path} does not hold the sentences that the samples answer: remove it, or add the run again")


def read_kept_samples(path: Path, evaluation: Evaluation) -> list[str]:
    """The sentences, their hash and number checked. Raises ValueError, OSError."""
    n = n_samples(evaluation)
    limit = (n or 10_000) * _SENTENCE
    content = _content(path, limit)
    if len(content) > limit:
        raise ValueError(f"{path} holds more than {limit:,} bytes, {_SENTENCE} for each sentence of its record")
    if (got := hashlib.sha256(content).hexdigest()) != evaluation.samples_sha256:
        known = (evaluation.samples_sha256 or "")[:12]
        raise ValueError(
            f"{path} has the SHA-256 {got[:12]}, the record says {known}: the samples are not those that were scored; "
            "take them from a copy of the run, or run it again with --rerun"
        )
    try:
        sentences = content.decode().split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 text: {error}") from error
    if sentences.pop():
        raise ValueError(f"{path} does not end with a line break")
    if n is not None and len(sentences) != n:
        raise ValueError(f"{path} holds {len(sentences)} sentences, the record's scores are of {n}")
    return sentences


def pack(sentences: Iterable[str]) -> bytes:
    """What stands in a compressed file of samples: equal bytes for equal sentences, on every machine."""
    return bz2.compress("".join(f"{sentence}\n" for sentence in sentences).encode())


def check_record(record: RunRecord) -> None:
    """Refuse what no run of the harness writes though it has the right type. Raises ValueError."""
    for what, name in (("model", record.model), ("task", record.task), ("scale", record.scale)):
        odd = [c for c in name if c in "<>" or unicodedata.category(c).startswith("C")]
        if odd or not 0 < len(name.strip()) <= 200:
            raise ValueError(
                f"{what} must be a name of 1 to 200 characters without <, > and control characters: {name[:80]!r}"
            )
    for what, word in _words(record):
        if not _WORD.fullmatch(word):
            raise ValueError(f"{what} must be a word of letters, digits, '_', '.', '+' and '-': {word[:80]!r}")
    for e in record.evaluations:
        n_samples(e)
    if (why := impossible(record)) is not None:
        raise ValueError(why)
    if record.scale == "smoke":
        raise ValueError("scale smoke is for trying a model, not for a row: run it at scale small or paper")
    if record.status == "completed" and not any(e.at in END and e.temperature == 1.0 for e in record.evaluations):
        raise ValueError("a completed run without an evaluation at its end at temperature 1")
    if record.status == "completed" and not any(e.scores for e in record.evaluations if e.at in END):
        raise ValueError("a completed run without any score at its end")
    if (record.origin == "samples") != (record.seed is None):
        raise ValueError(f"origin {record.origin} with seed {record.seed}: a run has a seed, a samples file has none")


def _words(record: RunRecord) -> Iterator[tuple[str, str]]:
    """Every text that names a setting, a phase, a metric or a score."""
    for what, keys in (
        ("a setting of the model", record.model_config),
        ("a setting of the task", record.task_config),
        ("a fact of the data", record.data_facts),
    ):
        yield from ((what, key) for key in keys)
    yield from (("a phase", phase.name) for phase in record.phases)
    for e in record.evaluations:
        yield "a phase", e.phase
        yield from (("a score", key) for key in (*e.scores, *e.skipped))
        yield from (("a metric", score.metric) for score in e.scores.values())
