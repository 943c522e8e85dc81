"""The project's LSTM as a judge of text, for the metrics that ask for one. Loads torch: import it only to train."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from baselines.common.interface import SequenceSpec
from baselines.mle import MLE
from bench.batches import BatchStream
from bench.randomness import derive, isolated
from metrics.common.tokens import Tokens

__all__ = ["fit_lstm"]

Ids = NDArray[np.int64]

_END, _HELD_OUT, _MAX_EPOCHS, _CHUNK = 0, 0.1, 50, 500
_CONFIG = MLE.Config(embedding_dim=128, hidden_dim=128, lr=3e-3, shuffle=True)


def fit_lstm(text: Tokens, vocabulary: Tokens, *, seed: int = 0) -> Callable[[Tokens], NDArray[np.float64]]:
    """Train on `text`; the words of `vocabulary` are its words, all others one class, and the sentence end.

    Returns sentences -> (N,) nats, the end included. A tenth of the text is held out, and the epoch at which it costs
    least is kept: the LSTM over-fits on ten thousand sentences. Training in progress is not disturbed. Raises
    ValueError where the text is too short to train on.
    """
    words = np.unique(vocabulary.flat)
    batch = min(_CONFIG.batch_size, len(text) // 4)
    if batch < 1:
        raise ValueError(f"an LSTM needs at least 4 sentences to train on, got {len(text)}")
    length = int(text.lengths.max()) + 1
    spec = SequenceSpec(vocab_size=len(words) + 2, max_len=length, bos_id=_END, pad_id=_END, eos_id=_END)
    rows = _rows(text, words, length)
    held_out = np.arange(len(rows)) % round(1 / _HELD_OUT) == 0
    with isolated(derive(seed, "lm_score")):
        model = MLE(_CONFIG, spec)
        stream = BatchStream(rows[~held_out], batch, shuffle=True, seed=seed, device=torch.device("cpu"))
        _train(model, stream, rows[held_out], int((~held_out).sum()) // batch)
    return lambda sentences: _nats(model, _rows(sentences, words, int(sentences.lengths.max(initial=0)) + 1))


def _train(model: MLE, stream: BatchStream, held_out: Ids, steps: int) -> None:
    """Whole epochs until the held-out text has cost more twice running; then the best epoch's weights."""
    best, state, worse = np.inf, model.state_dict(), 0
    for _ in range(_MAX_EPOCHS):
        for _ in range(steps):
            model.mle_step(stream)
        cost = _nats(model, held_out).sum()
        worse = 0 if cost < best else worse + 1
        if cost < best:
            best, state = cost, {name: value.clone() for name, value in model.state_dict().items()}
        if worse == 2:
            break
    model.load_state_dict(state)


def _rows(sentences: Tokens, words: Ids, length: int) -> Ids:
    """Sentences -> (N, length) ids: 0 the end, 1 .. K the words, K + 1 any other word. Every row holds an end."""
    place = np.minimum(np.searchsorted(words, sentences.flat), len(words) - 1)
    ids = np.where(words[place] == sentences.flat, place + 1, len(words) + 1)
    rows = np.full((len(sentences), length), _END, np.int64)
    rows[np.arange(length) < sentences.lengths[:, None]] = ids
    return rows


def _nats(model: MLE, rows: Ids) -> NDArray[np.float64]:
    parts = [model.log_prob(torch.from_numpy(rows[i : i + _CHUNK])).double() for i in range(0, len(rows), _CHUNK)]
    return -torch.cat(parts).numpy()
