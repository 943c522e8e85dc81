"""One measurement, in a process of its own: read a corpus, score it with one library, print times and memory as JSON.

Runs in any environment that has the library: of third parties, only what a method names is imported, inside it.
`python score_once.py METHOD SAMPLES REFERENCES N_SCORED`; the methods are the functions in `METHODS`.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["METHODS"]

Words = list[list[str]]
Scores = dict[str, list[float]]
"""By order, a score for each sentence that was scored: the first of the samples."""

ORDERS = (2, 3, 4, 5)
WEIGHTS = {order: (1 / order,) * order for order in ORDERS}


def peak_mb() -> float:
    """The most memory that this process has held, MB."""
    # On Linux a new process inherits ru_maxrss from the one that started it; VmHWM begins with the program.
    status = Path("/proc/self/status")
    if status.exists():
        found = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        if found:
            return int(found[0]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1024**2


class Clock:
    """CPU seconds of the parts of a measurement, all threads, user and system."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, part: str, work: Callable[[], Any]) -> Any:
        """What `work` returns; its time is kept."""
        begin = time.process_time()
        result = work()
        self.seconds[part] = time.process_time() - begin
        return result


def ours_bleu(samples: Words, references: Words, n: int, clock: Clock) -> Scores:
    """From words to scores; then again with the references indexed, as at every evaluation but a run's first."""
    from metrics.common.bleu import bleu_against
    from metrics.common.tokens import Tokens

    numbering: dict[str, int] = {}
    encoded = clock.time("encode", lambda: [Tokens.from_words(side, numbering) for side in (samples, references)])
    mine, real = encoded
    scores = clock.time("score", lambda: bleu_against(mine, real, ORDERS, "method1"))
    clock.time("again", lambda: bleu_against(mine, real, ORDERS, "method1"))
    return _first(scores, n)


def ours_self_bleu(samples: Words, references: Words, n: int, clock: Clock) -> Scores:
    """From words to scores."""
    from metrics.common.leave_one_out import self_bleu
    from metrics.common.tokens import Tokens

    ours = clock.time("encode", lambda: Tokens.from_words(samples, {}))
    scores = clock.time("score", lambda: self_bleu(ours, ORDERS, "method1"))
    return _first(scores, n)


def ours_self_bleu_error(samples: Words, references: Words, n: int, clock: Clock) -> Scores:
    """From words to scores and what their standard errors need: the means of N files, each without one sample."""
    from metrics.common.leave_one_out import self_bleu_without
    from metrics.common.tokens import Tokens

    ours = clock.time("encode", lambda: Tokens.from_words(samples, {}))
    scores, _ = clock.time("score", lambda: self_bleu_without(ours, ORDERS, "method1"))
    return _first(scores, n)


def _first(scores: Any, n: int) -> Scores:
    return {str(order): row[:n].tolist() for order, row in zip(ORDERS, scores, strict=True)}


def fast_bleu(samples: Words, references: Words, n: int, clock: Clock) -> Scores:
    """The class indexes the references, `get_score` takes all samples."""
    from fast_bleu import BLEU  # type: ignore[import-not-found]

    scores = clock.time("score", lambda: BLEU(references, WEIGHTS).get_score(samples))
    return {str(order): scores[order][:n] for order in ORDERS}


def fast_self_bleu(samples: Words, references: Words, n: int, clock: Clock) -> Scores:
    """All samples against all others."""
    from fast_bleu import SelfBLEU

    scores = clock.time("score", lambda: SelfBLEU(samples, WEIGHTS).get_score())
    return {str(order): scores[order][:n] for order in ORDERS}


def _others(samples: Words, i: int) -> Words:
    return samples[:i] + samples[i + 1 :]


def _nltk(pairs: list[tuple[Words, list[str]]], clock: Clock) -> Scores:
    """One call for each order, as Texygen, TextGAN-PyTorch and RelGAN do; then one call for all orders."""
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu  # type: ignore[import-untyped]

    smooth = SmoothingFunction().method1

    def each(order: int) -> list[float]:
        return [float(sentence_bleu(refs, sample, WEIGHTS[order], smooth)) for refs, sample in pairs]

    every = list(WEIGHTS.values())
    scores = clock.time("score", lambda: {str(order): each(order) for order in ORDERS})
    clock.time("all orders in one call", lambda: [sentence_bleu(refs, s, every, smooth) for refs, s in pairs])
    return dict(scores)


def nltk_bleu(samples: Words, references: Words, n: int, clock: Clock) -> Scores:
    """`sentence_bleu` of the first samples against all references."""
    return _nltk([(references, sample) for sample in samples[:n]], clock)


def nltk_self_bleu(samples: Words, references: Words, n: int, clock: Clock) -> Scores:
    """`sentence_bleu` of the first samples against all other samples."""
    return _nltk([(_others(samples, i), samples[i]) for i in range(n)], clock)


def _sacrebleu(pairs: list[tuple[Words, list[str]]], clock: Clock) -> Scores:
    """A scorer for each order; `floor` with 0.1 is method 1 of Chen and Cherry."""
    from sacrebleu.metrics.bleu import BLEU

    logging.getLogger("sacrebleu").setLevel(logging.ERROR)  # it recommends leaving short sentences' orders out
    scorers = {
        order: BLEU(max_ngram_order=order, smooth_method="floor", smooth_value=0.1, tokenize="none", force=True)
        for order in ORDERS
    }
    texts = [([" ".join(words) for words in refs], " ".join(sample)) for refs, sample in pairs]

    def score() -> Scores:
        return {
            str(k): [s.sentence_score(sample, refs).score / 100 for refs, sample in texts] for k, s in scorers.items()
        }

    return dict(clock.time("score", score))


def sacrebleu_bleu(samples: Words, references: Words, n: int, clock: Clock) -> Scores:
    """`sentence_score` of the first samples against all references."""
    return _sacrebleu([(references, sample) for sample in samples[:n]], clock)


def sacrebleu_self_bleu(samples: Words, references: Words, n: int, clock: Clock) -> Scores:
    """`sentence_score` of the first samples against all other samples."""
    return _sacrebleu([(_others(samples, i), samples[i]) for i in range(n)], clock)


METHODS: dict[str, Callable[[Words, Words, int, Clock], Scores]] = {
    "ours bleu": ours_bleu,
    "ours self_bleu": ours_self_bleu,
    "ours self_bleu_error": ours_self_bleu_error,
    "fast-bleu bleu": fast_bleu,
    "fast-bleu self_bleu": fast_self_bleu,
    "nltk bleu": nltk_bleu,
    "nltk self_bleu": nltk_self_bleu,
    "sacrebleu bleu": sacrebleu_bleu,
    "sacrebleu self_bleu": sacrebleu_self_bleu,
}


def read(path: str) -> Words:
    """Words of each line, every word one object however often it occurs, as tokenizers with a vocabulary give them."""
    with Path(path).open(encoding="utf-8") as file:
        return [[sys.intern(word) for word in line.split()] for line in file]


def main() -> None:
    """Measure what the command line says."""
    method, samples_file, references_file, n = sys.argv[1:]
    samples = read(samples_file)
    references = [] if "self_bleu" in method else read(references_file)
    inputs_mb = peak_mb()
    clock = Clock()
    scores = METHODS[method](samples, references, int(n), clock)
    result = {"seconds": clock.seconds, "inputs_mb": inputs_mb, "peak_mb": peak_mb(), "scores": scores}
    json.dump({**result, "sentences": len(samples)}, sys.stdout)


if __name__ == "__main__":
    main()
