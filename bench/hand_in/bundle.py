"""Finished runs in one file, to be handed in: a zip whose manifest has the SHA-256 of every other file.

    manifest.json
    <task>-<model>-<seed>-<run_id>/record.json, samples.txt.bz2, samples-after-mle.txt.bz2, log-probs-samples.npz,
        weights.safetensors (where small), model.py.bz2 (of a user's own model), trained-by.json (where it was said)

The same runs give the same bytes: entries are sorted, have no clock and are not packed once more; what is text is
packed by bzip2, as rows are. Packing needs the standard library and what reads a record.

A bundle may be anybody's. All names and sizes are looked at before anything is unpacked; nothing is written but files
whose hash is right, of one run at a time, into a folder of the reader's.
"""

from __future__ import annotations

import bz2
import hashlib
import io
import json
import os
import re
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.hand_in.trained_by import trained_by_json, who_trained
from bench.record import RunRecord, is_altered, read_record
from bench.registry import is_file
from bench.run_folder import (
    MODEL_SOURCE,
    MOST_BYTES,
    RECORD,
    TEMPORARY,
    TRAINED_BY,
    WEIGHTS,
    folder_name,
    is_regular,
    log_probs_name,
    read_regular,
    sweep,
    temporary_prefix,
)

__all__ = ["MOST_WEIGHTS", "Bundle", "Packed", "commit_problem", "is_bundle", "opened", "pack"]

MANIFEST = "manifest.json"
MOST_WEIGHTS = 2_000_000
"""Bytes of weights that are kept with a row, if nothing else is asked for: an LSTM of the SeqGAN line has up to 1.3 MB,
a GAN with its discriminator many times that."""
MOST_UNPACKED = 4 << 30
"""Bytes of all files of a bundle: some thousand rows."""
MOST_OF_RUN = 256 << 20
"""Bytes of one run, which are in memory while it is unpacked."""
_SCHEMA = 1
_MOST_FILES = 100_000
_MOST_MANIFEST = 32 << 20
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}")
"""A name in a bundle: of a run's folder, or of a file in it."""
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
_SUFFIX = ".bz2"
_PIECE = 1 << 20
_MOST_TEXT = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Packed:
    """What was packed, and what was not."""

    path: Path
    runs: list[str]
    """Names of their folders in the bundle."""
    files: int
    bytes: int
    left_out: list[str]
    """Runs that cannot be handed in, each with the reason."""
    warnings: list[str]
    """Runs that are in it, and that `leaderboards add` would refuse."""

    def told(self) -> str:
        """What was done, in words."""
        runs = f"{len(self.runs)} run{'s' * (len(self.runs) != 1)}"
        return f"packed {runs} into {self.path}: {self.files} files, {self.bytes / 1000:,.0f} kB"

    def remarks(self) -> list[str]:
        """What is not in it, and what would not be taken."""
        left_out = [f"left out: {reason}" for reason in self.left_out]
        return left_out + [f"`leaderboards add` will refuse it: {reason}" for reason in self.warnings]


def pack(
    records: Iterable[Path], out: Path, *, trained_by: str | None = None, most_weights: int = MOST_WEIGHTS
) -> Packed:
    """Pack the runs of some record files into the file `out`, in one move, each run once.

    A run that is not whole is left out, with the reason; the others are packed. Raises ValueError where none is whole.
    """
    files: dict[str, bytes] = {}
    left_out, warnings = [], []
    runs: dict[str, bytes] = {}
    for path in records:
        try:
            record, found = _files_of(path, trained_by, most_weights)
            name = _name_of(record)
            if runs.setdefault(name, found[RECORD]) != found[RECORD]:
                raise ValueError("another record of the same run is packed already: name one of them")
        except (ValueError, OSError) as error:
            left_out.append(f"{path}: {error}")
            continue
        files |= {f"{name}/{file}": content for file, content in found.items()}
        if (problem := commit_problem(record)) is not None:
            warnings.append(f"{path}: {problem}")
    if not runs:
        raise ValueError("; ".join(["there is no run to hand in", *left_out]))
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    manifest = json.dumps({"schema_version": _SCHEMA, "files": hashes}, indent=1).encode() + b"\n"
    size = _write(out, {MANIFEST: manifest, **dict(sorted(files.items()))})
    return Packed(path=out, runs=sorted(runs), files=len(files), bytes=size, left_out=left_out, warnings=warnings)


def commit_problem(record: RunRecord) -> str | None:
    """Why nobody could get the code that a run was made with, by its record; None: it names a commit."""
    sha, dirty = record.environment.get("git.sha"), record.environment.get("git.dirty")
    if not isinstance(sha, str) or not re.fullmatch(r"[0-9a-f]{40}", sha):
        return "no commit is recorded: the run must be made from a checkout, whose state others can get"
    if dirty is not False:
        return f"made from a checkout with uncommitted changes to {sha[:12]}: commit or stash, and run again"
    return None


def _name_of(record: RunRecord) -> str:
    seed = "samples" if record.seed is None else record.seed
    name = re.sub(r"[^A-Za-z0-9_.+-]+", "-", folder_name(record.task, record.model, seed, record.run_id))
    return name.lstrip(".+-")[-150:]


def _files_of(path: Path, trained_by: str | None, most_weights: int) -> tuple[RunRecord, dict[str, bytes]]:
    """A record and all that goes with it, by their names in the bundle. Raises ValueError, OSError."""
    folder, record = path.parent, read_record(path)
    if is_altered(path):
        raise ValueError("it is not as it was written: its checksum differs")
    files = {RECORD: read_regular(path)}
    for evaluation in record.evaluations:
        if not evaluation.samples_file or evaluation.temperature != 1.0:
            continue
        content = _packed(folder / evaluation.samples_file, str(evaluation.samples_sha256))
        if content is None and evaluation.at in ("end", "samples"):
            raise ValueError(f"{evaluation.samples_file} is missing beside the record")
        if content is not None:
            files[f"{evaluation.samples_file}{_SUFFIX}"] = content
        if is_regular(numbers := folder / log_probs_name(evaluation.samples_file)):
            files[numbers.name] = read_regular(numbers)
    if record.model_source is not None:
        if (source := _packed(folder / MODEL_SOURCE, record.model_source)) is None:
            raise ValueError(f"{MODEL_SOURCE}, the source of {record.model}, is missing beside the record")
        files[f"{MODEL_SOURCE}{_SUFFIX}"] = source
    weights = folder / WEIGHTS
    if not is_file(record.model) and is_regular(weights) and weights.lstat().st_size <= most_weights:
        files[WEIGHTS] = read_regular(weights)
    if (name := who_trained(record, folder, trained_by)) is not None:
        files[TRAINED_BY] = trained_by_json(name)
    if odd := next((name for name in files if not _PART.fullmatch(name)), None):
        raise ValueError(f"{odd!r} is no name of a file in a bundle: letters, digits, '_', '.', '+' and '-' alone")
    return record, files


def _packed(path: Path, sha256: str) -> bytes | None:
    """A text beside a record, as the run left it or packed already: packed, its hash checked. None: it is not there."""
    compressed = path.with_name(f"{path.name}{_SUFFIX}")
    if os.path.lexists(path):
        content = read_regular(path, _MOST_TEXT)
    elif os.path.lexists(compressed):
        try:
            content = bz2.BZ2File(io.BytesIO(read_regular(compressed))).read(_MOST_TEXT)
        except EOFError as error:
            raise ValueError(f"{compressed.name} is torn: {error}") from error
    else:
        return None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path.name} is not the text that the record names, by its SHA-256")
    return bz2.compress(content)


def _write(out: Path, files: Mapping[str, bytes]) -> int:
    """Beside the place, then there by one renaming; the number of bytes."""
    out.parent.mkdir(parents=True, exist_ok=True)
    sweep(out.parent, f"{out.name}.")
    handle, half = tempfile.mkstemp(dir=out.parent, prefix=temporary_prefix(out.name), suffix=TEMPORARY)
    try:
        with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w") as archive:
            for name, content in files.items():
                entry = zipfile.ZipInfo(name, _FIRST_DAY)
                entry.create_system = 3  # the same on every system
                entry.external_attr = (stat.S_IFREG | 0o644) << 16
                archive.writestr(entry, content, zipfile.ZIP_STORED)
        Path(half).chmod(0o644)
        Path(half).replace(out)
    except BaseException:
        Path(half).unlink(missing_ok=True)
        raise
    return out.stat().st_size


def is_bundle(path: Path) -> bool:
    """Whether a path is meant as a bundle: a file that is called so, or that is a zip."""
    return is_regular(path) and (path.suffix == ".zip" or zipfile.is_zipfile(path))


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """An open bundle whose names and sizes were found in order."""

    runs: tuple[str, ...]
    """Names of the runs, sorted."""
    _archive: zipfile.ZipFile
    _entries: Mapping[str, zipfile.ZipInfo]
    _hashes: Mapping[str, str]
    _of_run: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def unpack(self, run: str, folder: Path) -> Path:
        """Write the files of a run into a new folder below `folder`; where its record lies.

        Nothing is written unless every file of the run is there, is named by the manifest and has its hash. Raises
        ValueError.
        """
        names = self._of_run[run]
        if missing := [name for name in names if name not in self._entries]:
            raise ValueError(f"{missing[0]} stands in {MANIFEST} and is not in the bundle")
        if strange := [name for name in names if name not in self._hashes]:
            raise ValueError(f"{strange[0]} is in the bundle and does not stand in {MANIFEST}")
        if f"{run}/{RECORD}" not in names:
            raise ValueError(f"{run} has no {RECORD}")
        if (size := sum(self._entries[name].file_size for name in names)) > MOST_OF_RUN:
            raise ValueError(f"its files take {size:,} bytes; at most {MOST_OF_RUN:,} of one run are unpacked")
        files = {name: _read(self._archive, self._entries[name]) for name in names}
        for name, content in files.items():
            if (got := hashlib.sha256(content).hexdigest()) != self._hashes[name]:
                raise ValueError(
                    f"{name} has the SHA-256 {got[:12]}, {MANIFEST} says {self._hashes[name][:12]}: it is not the file "
                    "that was packed"
                )
        (folder / run).mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return folder / run / RECORD


@contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """A bundle, its names and sizes checked. Raises ValueError: nothing of such a file is to be looked at further."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _checked(archive)
            hashes = _manifest(archive, entries)
            of_run: dict[str, list[str]] = {}
            for name in sorted({*entries, *hashes} - {MANIFEST}):
                of_run.setdefault(name.partition("/")[0], []).append(name)
            bundle = Bundle(runs=tuple(of_run), _archive=archive, _entries=entries, _hashes=hashes, _of_run=of_run)
            yield bundle
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise ValueError(f"{path} is no bundle of runs: {error}") from error
    except _RefusedError as error:
        raise ValueError(f"{path} is refused as a whole: {error}") from error


class _RefusedError(ValueError):
    """Why a bundle is not looked at further."""


def _checked(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The files of a bundle by name, as the directory of the zip tells of them. Raises _RefusedError."""
    found: dict[str, zipfile.ZipInfo] = {}
    entries = archive.infolist()
    if len(entries) > _MOST_FILES:
        raise _RefusedError(f"it has {len(entries):,} entries; at most {_MOST_FILES:,}")
    if (size := sum(entry.file_size for entry in entries)) > MOST_UNPACKED:
        raise _RefusedError(f"its files take {size:,} bytes; at most {MOST_UNPACKED:,} are unpacked")
    for entry in entries:
        name, mode = entry.orig_filename, entry.external_attr >> 16
        if name.endswith("/") and _PART.fullmatch(name[:-1]) and not entry.file_size:
            continue  # a folder's own entry, which programs write that pack a folder again
        _check_place(name)
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise _RefusedError(f"{name!r} is a link or a device; a file is expected")
        if entry.flag_bits & 1 or entry.compress_type not in _PACKINGS:
            raise _RefusedError(f"{name!r} is encrypted, or packed in a way that is not read")
        most = _MOST_MANIFEST if name == MANIFEST else MOST_BYTES
        if entry.file_size > most:
            raise _RefusedError(f"{name!r} takes {entry.file_size:,} bytes; at most {most:,}")
        if name in found:
            raise _RefusedError(f"{name!r} is there twice")
        found[name] = entry
    if len({name.lower() for name in found}) < len(found):
        raise _RefusedError("two of its names differ in capitals alone, and are one file on some systems")
    return found


def _check_place(name: str) -> None:
    """Refuse a name that leads elsewhere, or that no bundle has. Raises _RefusedError."""
    parts = name.split("/")
    if name == MANIFEST:
        return
    if not all(_PART.fullmatch(part) and set(part) != {"."} for part in parts) or len(parts) != 2:
        raise _RefusedError(f"{name[:200]!r} is no place in a bundle, which holds {MANIFEST} and <run>/<file> alone")


def _manifest(archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo]) -> dict[str, str]:
    """Name of a file -> its SHA-256. Raises _RefusedError."""
    if MANIFEST not in entries:
        raise _RefusedError(f"it has no {MANIFEST}: `leaderboards pack` makes a bundle")
    try:
        document: Any = json.loads(_read(archive, entries[MANIFEST]))
    except (ValueError, RecursionError) as error:
        raise _RefusedError(f"{MANIFEST} cannot be read: {error}") from error
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version != _SCHEMA or type(version) is not int:
        raise _RefusedError(f"{MANIFEST} has schema_version {version!r:.40}; this version reads {_SCHEMA}")
    files = document.get("files")
    if not isinstance(files, dict) or not files or len(files) > _MOST_FILES:
        raise _RefusedError(f"{MANIFEST} must name the bundle's files, at least one")
    for name, sha256 in files.items():
        _check_place(name)
        if name == MANIFEST or not isinstance(sha256, str) or not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise _RefusedError(f"{MANIFEST} must give the SHA-256 of {name[:200]!r}, 64 hexadecimal digits")
    return files


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The bytes of an entry, as many as the directory of the zip says and no more. Raises ValueError."""
    pieces, size = [], 0
    try:
        with archive.open(entry) as file:
            while piece := file.read(min(_PIECE, entry.file_size + 1 - size)):
                pieces.append(piece)
                size += len(piece)
                if size > entry.file_size:
                    raise ValueError("it is longer than it says")
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError) as error:
        raise ValueError(f"{entry.filename} cannot be unpacked: {error}") from error
    return b"".join(pieces)
