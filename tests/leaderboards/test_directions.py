"""A memoriser, a collapsed model, shuffled words and real text are put where they belong by every ranked column."""

import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.encoders import Pairs, installed
from helpers.records import record
from numpy.typing import NDArray

from bench.record import Evaluation, RunRecord, named_files
from bench.registry import find, names
from bench.score.records import LoadedTask, record_real_text
from bench.score.scoring import metric_inputs, rows, score
from bench.task import Task, TextData
from bench.tasks.grammar import GrammarTask
from bench.tasks.text_file import TextFile
from leaderboards.boards import build
from leaderboards.schema import Board
from leaderboards.statistics import INSTEAD
from metrics.common.base import SentenceLogProb
from metrics.common.encoder import EmbeddingMetric
from metrics.common.tokens import Tokens

N, SEEDS = 300, (0, 1, 2)
BEHIND = {
    "quality": ("shuffled",),
    "both": ("shuffled", "collapsed"),
    "diversity": ("collapsed",),
    "memorisation": ("memoriser", "collapsed"),
}
"""What a column can see -> the models that lack it."""
CANNOT_SEE = {
    "shuffled": ("ms_jaccard_1", "ngram_jsd_1"),  # they count single words
    "memoriser": ("novelty_ngram_2", "bleu_train_2"),  # of a small grammar nearly all pairs of words are known
    # One sentence, of any length; three of them are so far from each other that three seeds tell nothing.
    "collapsed": ("novelty_ngram_2", "bleu_train_2", "train_overlap_words", "frechet_embedding_distance"),
}
"""What is no fault of a direction: a column in which such a model is not told from real text."""


def shuffled(text: Tokens, random: np.random.Generator) -> Tokens:
    """Every sentence with its own words in another order."""
    flat = text.flat.copy()
    for a, b in zip(text.offsets[:-1], text.offsets[1:], strict=True):
        flat[a:b] = random.permutation(flat[a:b])
    return Tokens(flat, text.offsets)


def texts(data: TextData, seed: int) -> dict[str, Tokens]:
    """What each model hands in; real text is of sentences that are neither of the training nor of the test."""
    random = np.random.default_rng(seed)
    real = data.validation.select(np.arange(seed * N, (seed + 1) * N))
    return {
        "real": real,
        "memoriser": data.training.select(random.integers(0, len(data.training), N)),
        "collapsed": data.training.select(np.full(N, random.integers(len(data.training)))),
        "shuffled": shuffled(real, random),
    }


def likelihood(model: str, data: TextData, samples: Tokens) -> SentenceLogProb | None:
    """What a model says of a sentence, where the truth is known: the truth, or a tenth of it beside what it writes."""
    if data.oracle_log_prob is None:
        return None
    if model == "real":
        return data.true_log_prob
    if model == "shuffled":
        return functools.partial(_of_words, np.bincount(data.train.ravel(), minlength=data.spec.vocab_size) + 1)
    written = data.train if model == "memoriser" else rows(samples, data.spec)[0][:1]
    counts = Counter(row.tobytes() for row in written)

    def log_prob(ids: NDArray[np.int64]) -> NDArray[np.float64]:
        share = np.array([counts[row.tobytes()] for row in np.ascontiguousarray(ids)]) / len(written)
        with np.errstate(divide="ignore"):
            return np.logaddexp(np.log(0.1) + data.true_log_prob(ids), np.log(0.9 * share))

    return log_prob


def _of_words(counts: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """Words by their frequency, in any order."""
    return np.log(counts / counts.sum())[ids].sum(1)


def metrics(encoder: str) -> list[Any]:
    """All; what needs a likelihood is absent on text."""
    classes = [find("metrics", name) for name in names("metrics")]
    return [each(encoder=encoder) if issubclass(each, EmbeddingMetric) else each() for each in classes]


def of(data: TextData, task: Task, metrics: Sequence[Any]) -> Iterator[RunRecord]:
    for seed in SEEDS:
        for model, samples in texts(data, seed).items():
            scores, skipped = score(metrics, metric_inputs(data, samples, likelihood(model, data, samples)))
            end = Evaluation(phase="adversarial", step=9, at="end", temperature=1.0, scores=scores, skipped=skipped)
            made = record(model, seed, end, task=task.name, task_version=task.version)
            made = replace(made, sources=named_files(task.file_hashes()) or None)
            yield replace(made, task_config=settings_of(task), data_sha256=data.sha256, data_facts=data.facts)


def settings_of(task: Task) -> dict[str, Any]:
    from bench.config import plain

    return plain(task)


def corpus(folder: Path) -> TextFile:
    """A text task: captions of a small world, most of them different, with rare words."""
    random = np.random.default_rng(5)
    things = np.array([f"{name}{i}" for i in range(100) for name in ("cat", "dog", "man", "bus", "cup", "kite")])
    odds = 1 / np.arange(1, len(things) + 1)
    n, sizes, places = 9_000, ["big", "small", "red", "old"], ["on", "near", "behind", "under"]
    subjects, objects, tools = random.choice(things, (3, n), p=odds / odds.sum())
    ends = np.choose(random.integers(0, 5, n), ["", "", " in the park", " at night", np.char.add(" with a ", tools)])
    columns = random.choice(sizes, n), subjects, random.choice(places, n), objects, ends
    lines = [f"a {size} {a} sits {where} the {b}{end}" for size, a, where, b, end in zip(*columns, strict=True)]

    path = folder / "captions.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return TextFile(path=str(path), valid_share=1 / 6, test_share=1 / 6)


@pytest.fixture(scope="module", params=["grammar", "text"])
def board(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Board:
    folder = tmp_path_factory.mktemp(request.param)
    task = GrammarTask(n_train=3_000, n_valid=1_500, n_test=2_000) if request.param == "grammar" else corpus(folder)
    data = task.load()
    with pytest.MonkeyPatch.context() as patch, installed(folder / "encoder", Pairs) as encoder:
        patch.setattr("metrics.common.uncertainty.BOOTSTRAP_RESAMPLES", 20)  # rows are ranked by their seeds alone
        all_metrics = metrics(encoder)
        for i, one in enumerate(of(data, task, all_metrics)):
            one.write(folder / "runs" / str(i) / "record.json")
        record_real_text(LoadedTask(name=task.name, task=task, data=data, metrics=all_metrics), N, folder / "runs")
    boards = build([folder / "runs"])
    (found,) = (b for b in boards.boards if b.scale == "small")
    return found


def test_every_ranked_column_puts_them_where_they_belong(board: Board) -> None:
    rows = {row.label: row for row in board.rows}
    ranked = [key for key, meaning in board.meanings.items() if meaning.ranked and key in rows["real"].final]
    vectors = ("prdc_precision", "prdc_recall", "prdc_coverage", "vendi_embedding", "frechet_embedding_distance")
    assert {*INSTEAD, *INSTEAD.values(), *vectors} <= {*ranked}
    if board.task == "grammar":
        assert {"nll_gen", "kl_to_oracle", "kl_from_oracle"} <= {*ranked}
    ranked = [key for key in ranked if key not in INSTEAD]  # what ranks in their place is here
    assert {board.meanings[key].aspect for key in ranked} == {"quality", "both", "diversity", "memorisation"}
    wrong = []
    for key in ranked:
        first = {label: row.final[key].rank for label, row in rows.items() if key in row.final and row.final[key].rank}
        if first.get("real") != 1:
            wrong.append(f"{key}: real text is behind: {first}")
        behind = [model for model in BEHIND[board.meanings[key].aspect] if key not in CANNOT_SEE[model]]
        wrong += [f"{key}: {model} is not behind: {first}" for model in behind if first.get(model) == 1]
    assert wrong == []


def test_real_text_is_on_the_front_and_no_broken_row_is(board: Board) -> None:
    front = {row.label for row in board.rows if row.front}
    assert not front & {"collapsed", "shuffled"}
    assert front & {"real", "memoriser"}  # a copy of the training text is as good in all but what looks for copies
