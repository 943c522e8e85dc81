"""What a model is told about the data. No torch, so that a task can be loaded and scored without it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LabelledSpec", "SequenceSpec"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceSpec:
    """The shape and the special tokens of a task's sentences.

    A sentence is a row of `max_len` ids. Where `eos_id` is set, the first `eos_id` ends the sentence and every
    position after it holds `pad_id`; a sentence that fills all `max_len` positions has no end token. One id may
    serve as start, end and padding at once: then the model never wastes probability on a token that cannot be
    emitted.
    """

    vocab_size: int
    """V: number of ids, special tokens included; ids are 0 .. V-1."""
    max_len: int
    """T: positions of every sentence, the end token included."""
    bos_id: int
    """Fed before the first token. It may be an ordinary word (the published oracle feeds word 0)."""
    pad_id: int | None
    """Fills a row after its end; None where every sentence has exactly T tokens (the oracle task)."""
    eos_id: int | None
    """Ends a sentence; None where every sentence has exactly T tokens."""

    def __post_init__(self) -> None:
        if self.vocab_size < 2 or self.max_len < 1:
            raise ValueError(f"a spec needs vocab_size >= 2 and max_len >= 1, got {self.vocab_size} and {self.max_len}")
        if (self.pad_id is None) != (self.eos_id is None):
            raise ValueError("pad_id and eos_id go together: both set, or both None for sentences of fixed length")
        for name in ("bos_id", "pad_id", "eos_id"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < self.vocab_size:
                raise ValueError(f"{name} must be in 0..{self.vocab_size - 1}, got {value}")


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledSpec(SequenceSpec):
    """Sentences with a label, which is their first word: the last ids of the vocabulary name the classes, one each.

    So a model of sequences is a model of labelled sentences and needs no other code. `max_len` counts the label, the
    words and the end token. A type of its own, so that what is made of sentences without a label knows nothing of it.
    """

    classes: tuple[str, ...]
    """Names of the classes, K of them; class i is written as the id V - K + i."""

    def __post_init__(self) -> None:
        SequenceSpec.__post_init__(self)
        if len(set(self.classes)) != len(self.classes) or len(self.classes) < 2:
            raise ValueError(f"a labelled spec needs two or more different classes, got {self.classes!r}")
        special = {self.bos_id, self.pad_id, self.eos_id} - {None}
        if self.max_len < 2 or self.vocab_size <= len(self.classes) or special & set(self.class_ids):
            raise ValueError(
                f"a labelled spec needs max_len >= 2 and a vocabulary that ends with its {len(self.classes)} classes, "
                f"none of them a special token; got max_len {self.max_len}, vocab_size {self.vocab_size}"
            )

    @property
    def class_ids(self) -> range:
        """The ids of the labels, in the order of `classes`."""
        return range(self.vocab_size - len(self.classes), self.vocab_size)
