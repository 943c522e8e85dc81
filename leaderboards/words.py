"""Boards in words: what a reader calls them, and where their pages lie. Hashes and versions stay out of sight."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from leaderboards.formats import plain
from leaderboards.schema import Board, Boards

__all__ = ["in_words", "names_of", "page_names", "slug"]

_SCALES = {"paper": "published scale", "samples": "files of samples"}
"""A scale in words, where that is not its name."""
_SPLITS = {"published": "published split", "resplit": "split anew"}
_ORACLES = {"seqgan": "SeqGAN's oracle", "leakgan40": "LeakGAN's oracle", "relgan": "RelGAN's oracle"}
_SETTINGS: Mapping[str, Callable[[Any], str]] = {
    "n_valid": lambda n: f"{n:,} sentences for validation" if n else "no validation part",
    "n_train": lambda n: f"{n:,} training sentences",
    "n_test": lambda n: f"{n:,} test sentences",
    "length": lambda n: f"length {n}",
    "split": lambda name: _SPLITS.get(name, f"split {name}"),
}
"""A setting of a task in words, where that is not `name=value`."""


def _corpus(name: str) -> Callable[[Mapping[str, Any]], list[str]]:
    return lambda config: [name, *([_setting("split", config["split"])] if "split" in config else [])]


def _oracle(config: Mapping[str, Any]) -> list[str]:
    name = _ORACLES.get(str(config.get("parameters")), "Random oracle")
    return [name, *([_setting("length", config["length"])] if "length" in config else [])]


def _own_text(config: Mapping[str, Any]) -> list[str]:
    unit = ["by character"] if config.get("level") == "char" else []
    return [f"Own text {PurePath(str(config.get('path', ''))).name}".strip(), *unit]


_TASKS: Mapping[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "grammar": lambda _: ["Small English grammar"],
    "grammar_labels": lambda _: ["Grammar of opinions in two classes"],
    "grammar_transfer": lambda _: ["Opinions to be turned round"],
    "yelp_transfer": lambda config: ["Yelp sentences to be rewritten", f"{config.get('split')} split"],
    "captions_style": lambda _: ["Captions to be rewritten in a style"],
    "sst2": lambda config: ["Film reviews in two classes (SST-2)", f"at most {config.get('max_words')} words"],
    "sentence_polarity": lambda config: ["Film reviews in two classes", f"at most {config.get('max_words')} words"],
    "image_coco": _corpus("COCO captions"),
    "emnlp_news": _corpus("EMNLP 2017 news"),
    "oracle_lstm": _oracle,
    "text_file": _own_text,
}
"""A task and the settings that everybody names it by; other tasks are called what they are registered as."""


def in_words(board: Board) -> str:
    """`COCO captions, published split, small scale`: task, what of its settings matters, scale."""
    parts = _TASKS.get(board.task, lambda _: [board.task])(board.task_config)
    return plain(", ".join([*parts, _SCALES.get(board.scale, f"{board.scale} scale")]))


def names_of(boards: Boards) -> dict[int, str]:
    """Number of a board -> its name; boards of one name say what they differ in."""
    names = {board.number: in_words(board) for board in boards.boards}
    for name in [name for name, n in Counter(names.values()).items() if n > 1]:
        alike = [board for board in boards.boards if names[board.number] == name]
        for board, more in zip(alike, _differences(alike), strict=True):
            names[board.number] = plain(", ".join([name, *more]))
    return names


def _differences(alike: Sequence[Board]) -> list[list[str]]:
    """For each board the fields in which it differs from the others of its name, in words."""
    found: list[list[str]] = [[] for _ in alike]
    for key in sorted({key for board in alike for key in board.task_config}):
        values = [board.task_config.get(key) for board in alike]
        if any(value != values[0] for value in values):
            for words, value in zip(found, values, strict=True):
                words.append(_setting(key, value))
    for words, board in zip(found, alike, strict=True):
        words += [f"version {board.task_version}"] if len({b.task_version for b in alike}) > 1 else []
    hashes: dict[str, set[str]] = {}
    for words, board in zip(found, alike, strict=True):
        hashes.setdefault(", ".join(words), set()).add(board.data_sha256)
    for words, board in zip(found, alike, strict=True):
        words += [f"data {board.data_sha256[:8]}"] if len(hashes[", ".join(words)]) > 1 else []
    # what is left differs in settings or counts of scores alone, which the pages have as signatures
    left = Counter(", ".join(words) for words in found)
    counted: Counter[str] = Counter()
    for words in found:
        same = ", ".join(words)
        counted[same] += 1
        words += [f"protocol {counted[same]}"] if left[same] > 1 else []
    return found


def _setting(key: str, value: Any) -> str:
    return _SETTINGS[key](value) if key in _SETTINGS and value is not None else f"{key}={value}"


def page_names(boards: Boards) -> dict[int, str]:
    """Number of a board -> name of its page without ending: `coco-captions-published-split-small-scale`."""
    names: dict[int, str] = {}
    taken: Counter[str] = Counter()
    for number, name in names_of(boards).items():
        found = slug(name)
        taken[found] += 1
        names[number] = found if taken[found] == 1 else f"{found}-{taken[found]}"
    return names


def slug(text: str) -> str:
    """Small letters, digits and `-`, as in addresses; `x` where nothing is left."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("'", "")).strip("-")[:100] or "x"
