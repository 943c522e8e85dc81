"""What the text tasks share: words to numbers, splits to `TextData`, and the facts a reader should know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from baselines.common.spec import SequenceSpec
from bench import data
from bench.task import TextData, Vocabulary, digest, rows
from bench.text.light_nltk import light_nltk
from bench.text.tokenizers import english, nltk_version
from metrics.common.tokens import Tokens

__all__ = [
    "END",
    "METRICS",
    "UNKNOWN",
    "detokenize",
    "facts",
    "fingerprints",
    "join",
    "nltk_tokens",
    "split_off",
    "text_data",
]

METRICS = (
    "nll_gen",
    "bleu",
    "self_bleu",
    "lm_score",
    "reverse_lm_score",
    "ms_jaccard",
    "distinct",
    "unique",
    "novelty",
)
"""What a run on text reports: quality, diversity, both at once, and memorisation."""
END = "<eos>"
"""The one special token of the text tasks: start, end and padding, always id 0."""
UNKNOWN = "<unk>"
"""Stands for rare words of the training text where a task has a minimum count; then always id 1."""

_BLOCK = 1 << 16  # sentences at a time


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", newline="\n") as file:
        yield from file


def nltk_tokens(
    files: Sequence[Path], *, lower: bool = True, sentences: Callable[[Path], Iterable[str]] = _lines
) -> tuple[list[Tokens], list[str]]:
    """Files of one sentence per line -> `Tokens` of each and the words they number; from the cache when it can be.

    `sentences` reads a file that holds them otherwise; a task has one way to read a file.
    """
    checksums = "\n".join(data.checksum(path, "sha256") for path in files)
    key = digest(checksums.encode(), f"nltk {nltk_version()} lower={lower} 3".encode())[:32]

    def build() -> dict[str, NDArray[np.generic]]:
        tokenize = english(lower=lower)
        numbering: dict[str, int] = {}
        arrays: dict[str, NDArray[np.generic]] = {}
        for i, path in enumerate(files):
            tokens = Tokens.from_words(map(tokenize, sentences(path)), numbering)
            arrays[f"flat{i}"], arrays[f"offsets{i}"] = tokens.flat.astype(np.int32), tokens.offsets
        # no word holds a line break, so one byte string keeps them all
        arrays["words"] = np.frombuffer("\n".join(numbering).encode(), np.uint8)
        return arrays

    arrays = data.derived(f"tokens-{key}", build)
    words = arrays["words"].tobytes().decode().split("\n")
    return [Tokens(arrays[f"flat{i}"].astype(np.int64), arrays[f"offsets{i}"]) for i in range(len(files))], words


def join(*parts: Tokens) -> Tokens:
    """The sentences of all parts, in order."""
    lengths = np.concatenate([part.lengths for part in parts])
    return Tokens(np.concatenate([part.flat for part in parts]), np.concatenate([[0], np.cumsum(lengths)]))


def split_off(tokens: Tokens, n: int, stream: np.random.RandomState) -> tuple[Tokens, Tokens]:
    """Sentences -> (the others, n of them), each in the order of the file, chosen by a fixed stream."""
    order = stream.permutation(len(tokens))
    return tokens.select(np.sort(order[n:])), tokens.select(np.sort(order[:n]))


def _blocks(tokens: Tokens) -> Iterator[Tokens]:
    """The sentences, some at a time, so that what is computed from a large file stays small."""
    for first in range(0, len(tokens), _BLOCK):
        offsets = tokens.offsets[first : first + _BLOCK + 1]
        yield Tokens(tokens.flat[offsets[0] : offsets[-1]], offsets - offsets[0])


def fingerprints(tokens: Tokens) -> NDArray[np.uint64]:
    """(N,) 64-bit hash of each sentence: equal sentences, equal hashes. Two others meet once in 10^11 at 20,000."""
    hashes = [np.empty(0, np.uint64)]
    for block in _blocks(tokens):
        position = np.arange(len(block.flat)) - np.repeat(block.offsets[:-1], block.lengths)
        mixed = _mixed(block.flat.astype(np.uint64), position.astype(np.uint64))
        total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed)])
        hashes.append(total[block.offsets[1:]] - total[block.offsets[:-1]])
    return np.concatenate(hashes)


def _mixed(words: NDArray[np.uint64], position: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 over word and position; a sentence's hash is the sum, modulo 2^64."""
    x = (words << np.uint64(32)) + position + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def text_data(
    train: Tokens,
    valid: Tokens,
    test: Tokens,
    words: Sequence[str],
    *,
    vocabulary_from: Tokens | None = None,
    min_count: int = 1,
    more_facts: Mapping[str, float | int | str] | None = None,
) -> TextData:
    """Three splits that share the numbering `words` -> a loaded task.

    The vocabulary holds the words that occur `min_count` times in `vocabulary_from` (default: train), most frequent
    first; T is its longest sentence. There is an `<unk>` only if words are rarer, so that it occurs in train.
    """
    source = vocabulary_from or train
    if END in words:
        raise ValueError(f"the text holds the word {END!r}, which names the end token: rename it in the text")
    counts = np.bincount(source.flat, minlength=len(words))
    rare = bool(((counts > 0) & (counts < min_count)).any())
    kept, unseen = _vocabulary(counts, words, min_count if rare else 1, test)
    special = [END, UNKNOWN] if rare else [END]
    vocabulary = Vocabulary((*special, *(words[i] for i in kept)), tuple(words[i] for i in unseen))
    size = len(vocabulary.words)
    spec = SequenceSpec(vocab_size=size, max_len=int(source.lengths.max(initial=1)), bos_id=0, pad_id=0, eos_id=0)

    number = np.full(len(words), size + len(unseen))  # words of valid alone: outside the vocabulary, never shown
    number[kept] = np.arange(len(special), size)
    number[unseen] = np.arange(size, size + len(unseen))
    if rare and UNKNOWN in words:
        number[words.index(UNKNOWN)] = 1
    references = Tokens(number[test.flat], test.offsets)

    to_model = np.where(number < size, number, 1) if rare else number

    def ids(part: Tokens) -> NDArray[np.int64]:
        blocks = [rows(Tokens(to_model[block.flat], block.offsets), spec)[0] for block in _blocks(part)]
        return np.concatenate([np.empty((0, spec.max_len), np.int64), *blocks])

    train_ids, valid_ids, test_ids = ids(train), ids(valid), ids(test)
    known = {
        "vocabulary": size,
        "max_length": spec.max_len,
        "test_sentences_not_writable": len(test) - len(test_ids),
        "test_tokens_outside_vocabulary": round(float((references.flat >= size).mean()), 4),
    }
    return TextData(
        spec=spec,
        vocabulary=vocabulary,
        train=train_ids,
        valid=valid_ids,
        test=test_ids,
        references=references,
        facts={**facts(train, valid, test), **known, **(more_facts or {})},
    )


def _vocabulary(
    counts: NDArray[np.int64], words: Sequence[str], min_count: int, test: Tokens
) -> tuple[list[int], list[int]]:
    """Old numbers of the words of the vocabulary, and of the test's other words; each by count, then by letter."""
    special = {words.index(UNKNOWN)} if min_count > 1 and UNKNOWN in words else set()
    frequent = (int(i) for i in np.flatnonzero(counts >= max(min_count, 1)) if i not in special)
    kept = sorted(frequent, key=lambda i: (-counts[i], words[i]))
    in_test = np.bincount(test.flat, minlength=len(words))
    in_test[kept] = 0
    others = (int(i) for i in np.flatnonzero(in_test) if i not in special)
    return kept, sorted(others, key=lambda i: (-in_test[i], words[i]))


def facts(train: Tokens, valid: Tokens, test: Tokens) -> dict[str, float | int | str]:
    """Counts that decide what a score means. A duplicate is a sentence that occurred before in the same split."""
    hashes = {name: fingerprints(part) for name, part in (("train", train), ("valid", valid), ("test", test))}
    unseen = np.ones(1 + max(train.flat.max(initial=0), test.flat.max(initial=0)), bool)
    unseen[train.flat] = False
    return {
        **{name: len(part) for name, part in (("train", train), ("valid", valid), ("test", test))},
        "duplicates_in_train": _repeats(hashes["train"]),
        "duplicates_in_test": _repeats(hashes["test"]),
        "valid_sentences_in_train": int(np.isin(hashes["valid"], hashes["train"]).sum()),
        "test_sentences_in_train": int(np.isin(hashes["test"], hashes["train"]).sum()),
        "unseen_token_share": round(float(unseen[test.flat].mean()), 4),
        "mean_length": round(float(train.lengths.mean()), 2),
        "mean_length_test": round(float(test.lengths.mean()), 2),
    }


def _repeats(hashes: NDArray[np.uint64]) -> int:
    return len(hashes) - len(np.unique(hashes))


def detokenize(words: Iterable[str]) -> str:
    """Words of NLTK's tokenizer -> English as it is written: "a dog 's bowl ." -> "a dog's bowl."."""
    return str(light_nltk().TreebankWordDetokenizer().detokenize(list(words)))
