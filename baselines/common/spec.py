"""What a model is told about the data. No torch, so that a task can be loaded and scored without it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SequenceSpec"]


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
