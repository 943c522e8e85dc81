"""The commands by name. Each looks everything up and checks it before anything slow starts, and loads only what it
needs; none is imported before it is called.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from bench.places import PAPER, suite_names
from bench.streams import Command, program

__all__ = ["app", "spread"]


def spread(arguments: Sequence[str]) -> list[str]:
    """`--seed 0 1 2` -> `--seed 0 --seed 1 --seed 2`, likewise every option that takes several values.

    A word after such an option is one more value of it if it can be one; `sample` takes one of each.
    """
    if list(arguments[:1]) == ["sample"]:
        return list(arguments)
    result: list[str] = []
    option = ""
    for argument in arguments:
        name = argument.partition("=")[0]
        if name in _TAKES_SEVERAL:
            option = name
        elif option and (result[-1] == option or (argument[:2] != "--" and _TAKES_SEVERAL[option](argument))):
            if result[-1] != option:
                result.append(option)
        else:
            option = ""
        result.append(argument)
    return result


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _names(*kinds: Literal["models", "tasks"]) -> list[str]:
    from bench.registry import names

    return [name for kind in kinds for name in names(kind)]


def _is_name(word: str, known: Sequence[str]) -> bool:
    """Whether a word that follows a list of names goes on with it: it is no option, no file, and not among `known`."""
    from bench.registry import is_file

    return word[:1] != "-" and word not in known and not is_file(word) and not Path(word).exists()


_TAKES_SEVERAL: Mapping[str, Callable[[str], bool]] = {
    "--seed": lambda word: re.fullmatch(r"-?\d[\d,.:-]*", word) is not None,
    "--temperature": _is_number,
    "--set": lambda word: re.fullmatch(r"[\w.]+=.*", word, re.DOTALL) is not None,
    "--metric": lambda word: re.fullmatch(r"\w+", word) is not None and _is_name(word, _names("tasks", "models")),
    "--name": lambda word: _is_name(word, _names("tasks")),
    "--row": lambda word: _is_name(word, suite_names(PAPER)),
}
"""Option -> whether a word can be one more value of it. The words of `run`, `score` and `reproduce` come first or last,
and may come after such a list."""


app = program(
    __package__,
    "textgan-bench: train text GANs, score them, compare them.",
    {
        "run": Command(
            "launch.cli:run_command",
            (
                "run mle grammar --scale smoke",
                "run seqgan grammar --scale small --seed 0-2 --jobs 2",
                "run seqgan oracle_lstm --set rollouts=8 task.length=40 --temperature 0.7 1.5",
                "run my_gan.py:MyGAN grammar --seed 0 1 2",
            ),
        ),
        "suite": Command(
            "launch.cli:suite_command",
            (
                "suite demo --jobs 2",
                "suite learns_grammar --seed 0-5",
                "suite my_suite.toml --set n_samples=2000",
            ),
        ),
        "new": Command("check.cli:new_command"),
        "check": Command("check.cli:check_command"),
        "score": Command(
            "score.cli:score_command",
            (
                "score samples.txt grammar",
                "score mine.txt theirs.txt image_coco --name mine theirs",
                "score samples.jsonl --references test.txt --training train.txt --csv > scores.csv",
                "score samples.txt grammar --metric bleu self_bleu --json",
            ),
        ),
        "explain-score": Command("score.cli:explain_command"),
        "attack": Command("attack.cli:attack_command"),
        "doctor": Command("doctor.cli:doctor_command"),
        "rewrite": Command(
            "rewriting.cli:rewrite_command",
            (
                "rewrite runs/rewriting_file-cycle_gan-0-1a2b3c4d5e6f --label positive",
                "rewrite runs/rewriting_file-cycle_gan-0-1a2b3c4d5e6f my_reviews.txt --label positive -n 100",
            ),
        ),
        "collect": Command("executors.cli:collect_command"),
        "human-ratings": Command("rewriting.cli:human_ratings_command"),
        "reproduce": Command(
            "reproduce.cli:reproduce_command",
            (
                "reproduce --list",
                "reproduce seqgan-oracle20 --scale small --seed 0",
                "reproduce seqgan-oracle20 --dry-run --measure",
                "reproduce seqgan-oracle20 --budget 2h --jobs 2",
            ),
        ),
        "sample": Command("commands.sample:sample_command"),
        "list": Command("commands.listing:list_command"),
        "show": Command("commands.listing:show_command"),
        "completion": Command("commands.completion:completion_command"),
        "sync": Command("tracking.cli:sync_command"),
    },
)
