"""Sentences as vectors, by a sentence encoder that is on this machine: the extra `semantic`.

Nothing is downloaded. An encoder is a folder in the layout of sentence-transformers or transformers, an installed
package that holds such a folder, or a model of the Hugging Face hub that is in the local cache.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import MetricInputs
from metrics.common.characters import not_spelled
from metrics.common.sentences import sentence_keys
from metrics.common.signature import Setting
from metrics.common.tokens import Tokens
from metrics.common.uncertainty import EstimatedMetric

__all__ = ["EmbeddingMetric", "Vectors", "embeddings", "encoder_folder", "weights_sha256"]

Vectors = NDArray[np.float32]

_EXTRA = "install textgan-bench with its extra 'semantic'"


@dataclass(frozen=True, kw_only=True)
class EmbeddingMetric(EstimatedMetric):
    """A metric that looks at the samples as a cloud of vectors, and at the references, where it needs them."""

    needs: ClassVar[tuple[str, ...]] = ("references", "words")
    counted: ClassVar[tuple[str, ...]] = ("references", "as_many_real")
    """Distances between clouds depend on how many vectors they hold; `as_many_real`: those of the floor or ceiling."""
    modules: ClassVar[Mapping[str, str]] = {"sentence_transformers": "sentence-transformers"}
    """What must be installed: module -> distribution."""

    encoder: str = "sentence-transformers/all-MiniLM-L6-v2"
    """A folder, an installed package, or a name in the Hugging Face hub whose files are in the local cache."""

    @abstractmethod
    def least(self) -> int:
        """Sentences that each side must have."""

    def missing(self, inputs: MetricInputs) -> str | None:
        """The packages and the encoder must be there, and enough sentences."""
        if reason := super().missing(inputs):
            return reason
        references = inputs.references if "references" in self.needs else None
        if reason := not_spelled(self.name, inputs.words, inputs.samples, references):
            return reason
        if min(len(text) for text in (inputs.samples, references) if text is not None) < self.least():
            too = "" if references is None else " and as many reference sentences"
            return f"{self.name} needs at least {self.least()} samples{too}"
        return self.not_installed()

    def not_installed(self) -> str | None:
        """What of the extra is not on this machine; None: all is."""
        absent = [name for module, name in self.modules.items() if importlib.util.find_spec(module) is None]
        if absent:
            return f"{self.name} needs {' and '.join(absent)}: {_EXTRA}"
        if encoder_folder(self.encoder) is None:
            return (
                f"{self.name} found no sentence encoder {self.encoder!r}: it is no folder with a model, no installed "
                "package with one, and not in the cache of the Hugging Face hub"
                + (f" (`hf download {self.encoder}`)" if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", self.encoder) else "")
            )
        return None

    def settings(self, inputs: MetricInputs) -> dict[str, Setting]:
        """With the encoder as `all-MiniLM-L6-v2@53aa51172d14`: its name without the place, and its weights' SHA-256."""
        folder = encoder_folder(self.encoder)
        revision = "" if folder is None else f"@{weights_sha256(folder)[:12]}"
        return {**super().settings(inputs), "encoder": f"{Path(self.encoder).name}{revision}"}


def encoder_folder(encoder: str) -> Path | None:
    """Where the encoder's files are on this machine, or None. Imports nothing heavy and asks no network."""
    candidates = [Path(encoder).expanduser()]
    if encoder.replace("-", "_").isidentifier():
        package = importlib.util.find_spec(encoder.replace("-", "_"))
        for place in (package and package.submodule_search_locations) or ():
            candidates += [Path(place), *sorted(path for path in Path(place).iterdir() if path.is_dir())]
    if config := _in_hub_cache(encoder):
        candidates.append(config.parent)
    return next((path for path in candidates if (path / "config.json").is_file() and _weights(path)), None)


def _in_hub_cache(name: str) -> Path | None:
    if importlib.util.find_spec("huggingface_hub") is None:  # comes with sentence-transformers
        return None
    hub = importlib.import_module("huggingface_hub")
    try:
        found = hub.try_to_load_from_cache(name, "config.json")
    except ValueError:  # not a name that the hub allows, such as a path
        return None
    return Path(found) if isinstance(found, str) else None


def _weights(folder: Path) -> list[Path]:
    """The encoder's weights; the same model in other formats (onnx, openvino) beside them is not read."""
    return sorted(folder.rglob("*.safetensors")) or sorted(folder.rglob("pytorch_model*.bin"))


@cache
def weights_sha256(folder: Path) -> str:
    """SHA-256 of the file of weights, as the hub shows it; of the hashes of all such files where there are several."""
    hashes = []
    for path in _weights(folder):
        with path.open("rb") as file:
            hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def embeddings(corpus: Tokens, words: Sequence[str], encoder: str) -> Vectors:
    """(N, D) of the sentences, words joined by blanks. Equal sentences are encoded once."""
    folder = encoder_folder(encoder)
    if folder is None:
        raise FileNotFoundError(f"no sentence encoder {encoder!r} on this machine")
    rows: dict[bytes, int] = {}
    where = [rows.setdefault(key, len(rows)) for key in sentence_keys(corpus)]
    texts = (" ".join(words[i] for i in np.frombuffer(key, np.int64)) for key in rows)
    return _encoded(folder, tuple(texts))[where]


@lru_cache(maxsize=3)  # samples, references and as many real sentences; the last two serve every evaluation
def _encoded(folder: Path, texts: tuple[str, ...]) -> Vectors:
    vectors = _model(folder).encode(list(texts), show_progress_bar=False, convert_to_numpy=True)
    return np.asarray(vectors, np.float32)


@lru_cache(maxsize=1)
def _model(folder: Path):  # type: ignore[no-untyped-def]  # the extra may not be installed
    return importlib.import_module("sentence_transformers").SentenceTransformer(str(folder))
