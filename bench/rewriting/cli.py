"""The commands `rewrite`, and `human-ratings`: which metric of rewritten sentences agrees with people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.places import PAPER, check_file, check_folder, check_target, command
from bench.streams import shown
from bench.terminal import UserErrors, console

if TYPE_CHECKING:
    from bench.rewriting.ratings import Agreement, Rated
    from bench.task import Task, TextData

__all__ = ["RESAMPLES", "human_ratings_command", "report", "rewrite_command"]

RESAMPLES = 200
"""Of the bootstrap: the ends of an interval move by a hundredth."""
_PRESET = "dualrl-yelp"
_RATED = {
    "template_based": "Template based",
    "style_embedding": "Style embedding",
    "multi_decoder": "Multi-decoder",
    "cross_aligned_published": "Cross-aligned",
    "delete_only": "Delete only",
    "delete_retrieve": "Delete and retrieve",
    "retrieve_only": "Retrieve only",
}
"""Row of the preset -> the system, as in the paper."""
_KINDS = {
    "spearman": ("Sentences, Spearman", "Of single sentences: does a better score go with a better rating?"),
    "kendall": ("Sentences, Kendall", "The same, tau-b."),
    "systems": (
        "Systems, Spearman",
        "Of the means of the seven systems: does a metric order systems as people do? The intervals are over inputs, "
        "with these seven systems: of others seven points say little.",
    ),
}

Table = Mapping[str, Mapping[str, Mapping[str, "Agreement"]]]


def rewrite_command(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run of a model that rewrites.")],
    label: Annotated[str, typer.Option(help="The class that the sentences are to have, as positive.")],
    texts: Annotated[
        Path | None, typer.Argument(help="Sentences, one a line. Default: the test sentences of the run's task.")
    ] = None,
    own: Annotated[str | None, typer.Option("--from", help="The class that they have; of two, the other one.")] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="Sentences, at most.")] = 20,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    model: Annotated[
        str | None, typer.Option(help="Of a run of your own model: its file, my_gan.py:MyGAN. A record's is not run.")
    ] = None,
) -> None:
    """Sentences rewritten into another class by a trained model: each, and below it what it became."""
    from itertools import islice

    from bench.api import load
    from bench.text.line_files import read_lines

    with UserErrors():
        check_folder(run, "rewrite")
        if texts is not None:
            check_file(texts)
        trained = load(run, model=model)
        if texts is None:
            given = _asked(trained.data, trained.task, label, n)
        else:
            given = [line.strip() for line in islice((line for line in read_lines(texts) if line.strip()), n)]
        for sentence, answer in zip(given, trained.rewrite(given, label, own=own, seed=seed), strict=True):
            console.print_document(
                shown(f"{sentence}\n  -> {answer}") if console.is_terminal else f"{sentence}\t{answer}"
            )


def _asked(data: TextData, task: Task, label: str, n: int) -> list[str]:
    """The first n inputs of a task of rewriting that are wanted in a class; ValueError where there are none."""
    import numpy as np

    from bench.registry import suggest
    from bench.rewriting.data import RewritingText

    if not isinstance(data, RewritingText):
        raise ValueError(f"{task.name} has no sentences to be rewritten: name a file of them; `sample` draws new ones")
    if label not in data.spec.classes:
        raise ValueError(f"no class {label!r}; {suggest(label, data.spec.classes)}")
    rows = [i for i, k in enumerate(data.references.wanted) if k == data.spec.classes.index(label)][:n]
    return data.vocabulary.sentences(data.references.inputs.select(np.array(rows, np.int64)))


def human_ratings_command(
    out: Annotated[Path | None, typer.Option(help="Write to this file; default: print.")] = None,
    resamples: Annotated[int, typer.Option(min=0, help="Of the bootstrap, for the intervals.")] = RESAMPLES,
) -> None:
    """Which metric of rewritten sentences agrees with people: rank correlations on Yelp, with intervals."""
    from bench.record import write_atomic

    with UserErrors():
        if out is not None:
            check_target(out, "--out")
        text = report(resamples)
        if out is None:
            console.print_document(text)
        else:
            write_atomic(out, text.encode())


def report(resamples: int) -> str:
    """The page. Raises FileNotFoundError, saying what to put where, when a file cannot be had."""
    from bench import data
    from bench.rewriting.data import RewritingText
    from bench.rewriting.ratings import RATINGS, agreements, read_ratings, scores_of
    from bench.suite import SuiteConfig
    from bench.tasks.yelp_transfer import YelpTransfer

    rows = SuiteConfig.read(PAPER / f"{_PRESET}.toml").rewritten
    systems = {row.name: [file.fetch() for file in row.files] for row in rows if row.name in _RATED}
    rated = read_ratings(data.fetch(RATINGS), systems)
    text = YelpTransfer(split="heldout").load()
    assert isinstance(text, RewritingText)
    scores = scores_of(rated, text)
    return _markdown(rated, agreements(rated, scores, resamples), resamples)


def _markdown(rated: Rated, table: Table, resamples: int) -> str:
    written = command("bench", "human-ratings", "--out", "docs/human-ratings.md", here=False)
    lines = [
        "# Which metric agrees with people",
        "",
        f"Made by `{written}`; a test proves it current.",
        "",
        "Li et al. (2018) had people rate, from 1 to 5, what seven systems made of 400 Yelp sentences: is it "
        "grammatical, has it the sentiment that was wanted, is it about the same topic. Each metric gives every such "
        "sentence a score; below is how the scores and the ratings are ordered alike, by rank correlation: 1 the same "
        "order, 0 none in "
        f"common, under 0 the reverse. {len(rated.outputs):,} sentences; what a person wrote is left out, as it is a "
        "reference. *all three* is the geometric mean of the three ratings, so that a sentence must be good in each.",
        "",
        f"In brackets the 95% interval: a bootstrap over the {len(set(rated.group.tolist()))} inputs, {resamples} "
        "resamples. One person rated each sentence, so no metric could come near to 1 over sentences.",
    ]
    for kind, (title, question) in _KINDS.items():
        lines += ["", f"## {title}", "", question, ""]
        asked = list(next(iter(table.values())))
        lines += [f"| metric | {' | '.join(asked)} |", f"|:--|{'--:|' * len(asked)}"]
        lines += [
            f"| {metric} | {' | '.join(_cell(found[what][kind]) for what in asked)} |"
            for metric, found in table.items()
        ]
    lines += ["", *_READING]
    return "\n".join(lines) + "\n"


def _cell(found: Agreement) -> str:
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


_READING = (
    "## How to read it",
    "",
    "A metric of content (`transfer_content`, `input_bleu`, every `reference_bleu`) follows the topic and runs against "
    "the sentiment: what keeps its words keeps its class. A metric of the class does the reverse. `transfer_joint` "
    "alone has both in it. BLEU and NLL are here of single sentences, by sacreBLEU's sentence BLEU and nats per token.",
)
