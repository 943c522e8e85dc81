"""Synthetic sentences of a fixed random LSTM, so that the true probability of every sentence is known.

Yu, Zhang, Wang, Yu, "SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient", AAAI 2017, section 4.
Papers mean different LSTMs by "the oracle", so each has its name here and numbers of two of them never share a board:

- `seeded`: N(0, 1) weights from NumPy's frozen `RandomState`; nothing to download. The default.
- `seqgan`: the file that SeqGAN published (hidden 32), also used by LeakGAN at length 20; its own NLL per token is
  5.757 nats.
- `leakgan40`: LeakGAN's oracle for length 40 (hidden 64), which was never published: recovered from its seeds
  (LeakGAN, Synthetic Data/target_lstm.py:16). Its own NLL is 4.184; LeakGAN's shipped real file scores 4.180.
- `relgan`: the oracle that RelGAN draws for itself (hidden 32); its own NLL at length 20 is 5.819.

The sentences come from `RandomState` streams by float64 inversion, so they are the same on every machine but for
rounding in the last place; `TextData.sha256` would show a difference, and a test asserts it for `seeded`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray

from baselines.common.spec import SequenceSpec
from bench import data
from bench.task import MOST_SENTENCES, Task, TextData, Vocabulary, digest
from bench.tasks import _oracle
from metrics.common.tokens import Tokens

__all__ = ["OracleLSTM"]

_PUBLISHED = data.github(
    "LantaoYu/SeqGAN",
    "master",
    "save/target_params_py3.pkl",
    "sha256:5ac794a695dd6e0eb2bb689f3dfda55e4e0053e8c0399e6242630a95f1e60e8a",
    size=1_334_000,
)
_SEED = 20  # of the seeded weights, and with the split's index of each split's sentences
_HIDDEN = {"seeded": 32, "seqgan": 32, "leakgan40": 64, "relgan": 32}
_SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, kw_only=True)
class OracleLSTM(Task):
    """Sentences of exactly `length` words, sampled from an LSTM. Word 0 is an ordinary word and is fed first."""

    parameters: Literal["seeded", "seqgan", "leakgan40", "relgan"] = "seeded"
    """Which LSTM (see the module)."""
    length: Annotated[int, Gt(0), Le(10_000)] | None = None
    """T: words of every sentence. None: 20, or 40 for `leakgan40`, as published."""
    n_train: Annotated[int, Gt(0), Le(MOST_SENTENCES)] = 10_000
    """Training sentences. SeqGAN's code uses the 9,984 that fill batches of 64."""
    n_valid: Annotated[int, Gt(0), Le(MOST_SENTENCES)] = 1_000
    """Validation sentences."""
    n_test: Annotated[int, Gt(0), Le(MOST_SENTENCES)] = 10_000
    """Test sentences."""
    vocab_size: Annotated[int, Ge(2), Le(1_000_000)] = 5_000
    """V. Only `seeded` has other sizes."""
    hidden_size: Annotated[int, Gt(0), Le(10_000)] | None = None
    """H. None: 32, or 64 for `leakgan40`. Only `seeded` has other sizes."""

    version: ClassVar[int] = 1
    # no BLEU: it would compare with 10,000 draws what `nll_oracle` compares with the distribution itself
    metrics: ClassVar[tuple[str, ...]] = ("nll_oracle", "nll_gen", "self_bleu", "distinct", "unique", "novelty")
    scales: ClassVar[dict[str, dict[str, Any]]] = {
        "smoke": {"vocab_size": 100, "hidden_size": 16, "length": 8, "n_train": 512, "n_valid": 128, "n_test": 512},
        "small": {},
    }

    def __post_init__(self) -> None:
        """Put the published sizes in place of None; refuse sizes that a published oracle does not have."""
        hidden = _HIDDEN[self.parameters]
        if self.parameters != "seeded" and (self.vocab_size != 5_000 or self.hidden_size not in (None, hidden)):
            raise ValueError(
                f"oracle_lstm: parameters={self.parameters} has vocab_size 5000 and hidden_size {hidden}, got "
                f"{self.vocab_size} and {self.hidden_size}; other sizes need parameters=seeded"
            )
        # the resolved values belong in the record
        if self.length is None:
            object.__setattr__(self, "length", 40 if self.parameters == "leakgan40" else 20)
        if self.hidden_size is None:
            object.__setattr__(self, "hidden_size", hidden)

    def load(self) -> TextData:
        """The sentences, and the LSTM as `oracle_log_prob`."""
        assert self.length is not None
        oracle = self._lstm()
        arrays = data.derived(f"oracle_lstm-{self._key(oracle)}", lambda: self._draw(oracle))
        train, valid, test = (arrays[split].astype(np.int64) for split in _SPLITS)
        # no special token: padding is needed by none, and the start token is a word of the published code
        spec = SequenceSpec(vocab_size=self.vocab_size, max_len=self.length, bos_id=0, pad_id=None, eos_id=None)
        nll = arrays["nll"]
        seen = np.isin(test, train).mean()
        return TextData(
            spec=spec,
            vocabulary=Vocabulary(tuple(map(str, range(self.vocab_size)))),
            train=train,
            valid=valid,
            test=test,
            references=Tokens.from_rows(test, None),
            oracle_log_prob=oracle.log_prob,
            facts={
                "train": self.n_train,
                "valid": self.n_valid,
                "test": self.n_test,
                "vocabulary": self.vocab_size,
                "max_length": self.length,
                "own_nll_per_token": round(float(nll.mean()), 4),
                "own_nll_standard_error": round(float(nll.std() / np.sqrt(len(nll))), 4),
                "unseen_token_share": round(float(1 - seen), 4),
            },
        )

    def _lstm(self) -> _oracle.Oracle:
        match self.parameters:
            case "seqgan":
                return _oracle.read_pickle(data.fetch(_PUBLISHED))
            case "leakgan40":
                return _oracle.leakgan40()
            case "relgan":
                return _oracle.relgan()
            case "seeded":
                assert self.hidden_size is not None
                return _oracle.seeded(self.vocab_size, self.hidden_size, _SEED)

    def _key(self, oracle: _oracle.Oracle) -> str:
        sizes = (self.version, _SEED, self.length, self.n_train, self.n_valid, self.n_test)
        # rounded, because the last place of seeded weights may differ between machines
        return digest(repr(sizes).encode(), *(np.round(t, 5) for t in oracle.tensors))[:32]

    def _draw(self, oracle: _oracle.Oracle) -> dict[str, NDArray[Any]]:
        """Each split has a stream of its own, so that the size of one does not change another."""
        assert self.length is not None
        arrays: dict[str, NDArray[Any]] = {}
        for index, (split, n) in enumerate(zip(_SPLITS, (self.n_train, self.n_valid, self.n_test), strict=True)):
            stream = np.random.RandomState((_SEED, index))
            arrays[split] = oracle.sample(n, self.length, stream).astype(np.int32)
        arrays["nll"] = -oracle.log_prob(arrays["test"].astype(np.int64)) / self.length
        return arrays
