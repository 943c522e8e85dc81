"""Published files by name and checksum, and a cache for what is computed from them.

`fetch` looks below the folder that `TEXTGAN_BENCH_DATA` names, then in the user's cache folder (`TEXTGAN_BENCH_CACHE`
names another one), then downloads, up to a limit. `derived` keeps what is slow to compute, such as tokenised text.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import platformdirs
from numpy.typing import NDArray

__all__ = ["MAX_BYTES", "RemoteFile", "cache_folder", "checksum", "derived", "fetch", "github"]

Arrays = dict[str, NDArray[Any]]

MAX_BYTES = 1 << 28
"""Of a download whose size is not known beforehand: several times the largest published text."""

_RETRIES = 3
_TIMEOUT = (10, 60)  # seconds to connect, seconds between two chunks
_CHUNK = 1 << 16
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A published file. Other files of the same name hold other data, so the checksum decides."""

    name: str
    """The published name, without folders."""
    url: str
    checksum: str
    """`sha256:` and 64 digits, or `git:` and the 40 digits of a git blob (what a repository's listing shows)."""
    size: int | None = None
    """Bytes, where they are known. A download stops there, otherwise at `MAX_BYTES`."""

    def __post_init__(self) -> None:
        kind, _, digits = self.checksum.partition(":")
        if len(digits) != {"sha256": 64, "git": 40}.get(kind):
            raise ValueError(f"{self.name}: a checksum is sha256:<64 digits> or git:<40 digits>, got {self.checksum!r}")

    def matches(self, path: Path) -> bool:
        """Whether a file on disk is this file."""
        return checksum(path, self.checksum.partition(":")[0]) == self.checksum


def github(repository: str, revision: str, path: str, checksum: str, size: int | None = None) -> RemoteFile:
    """A file of a public GitHub repository."""
    url = f"https://raw.githubusercontent.com/{repository}/{revision}/{path}"
    return RemoteFile(name=path.rsplit("/", 1)[-1], url=url, checksum=checksum, size=size)


def checksum(path: Path, kind: str) -> str:
    """`sha256:…` or `git:…` of a file, read in pieces."""
    # git names a blob by the SHA-1 of its size and its bytes; it is an identity here, not a signature
    blob = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        return f"{kind}:{hashlib.file_digest(file, 'sha256' if kind == 'sha256' else lambda: blob).hexdigest()}"


def cache_folder() -> Path:
    """Where downloads and derived data are kept; not created before something is written."""
    if named := os.environ.get("TEXTGAN_BENCH_CACHE"):
        return Path(named).expanduser()
    return Path(platformdirs.user_cache_dir("textgan-bench"))


def fetch(file: RemoteFile) -> Path:
    """A local copy of a published file, its checksum checked.

    Raises FileNotFoundError, saying what to put where, when the file is neither here nor to be had.
    """
    found, rejected = _in_data_folder(file)
    if found:
        return found
    target = cache_folder() / "files" / file.checksum.partition(":")[2][:16] / file.name
    if target.is_file() and file.matches(target):
        return target
    if rejected:
        others = ", ".join(map(str, rejected))
        warnings.warn(f"ignored, because the checksum is not {file.checksum}: {others}", stacklevel=2)
    try:
        _download(file, target)
    # a request's error is an OSError, another checksum a ValueError; without pooch nothing is downloaded
    except (OSError, ValueError, ImportError) as error:
        named = os.environ.get("TEXTGAN_BENCH_DATA")
        raise FileNotFoundError(
            f"{file.name} is not on this machine and could not be downloaded ({_reason(error)}).\n"
            f"Get it from {file.url}\n"
            f"  ({file.checksum})\n"
            f"and put it at {target}\n"
            f"or anywhere below a folder that the environment variable TEXTGAN_BENCH_DATA names "
            f"({'now ' + named if named else 'now unset'})."
            + "".join(f"\nNot used, its checksum differs: {path}" for path in rejected)
        ) from error
    return target


def _in_data_folder(file: RemoteFile) -> tuple[Path | None, list[Path]]:
    """The file below `TEXTGAN_BENCH_DATA`, and the files of its name that hold something else."""
    named = os.environ.get("TEXTGAN_BENCH_DATA")
    if not named:
        return None, []
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"TEXTGAN_BENCH_DATA names {named!r}, which is not a folder")
    rejected = []
    for path in sorted(p for p in folder.rglob(glob.escape(file.name)) if p.is_file()):
        if file.matches(path):
            return path, []
        rejected.append(path)
    return None, rejected


def _reason(error: BaseException) -> str:
    """The first line of an error, short enough for a message."""
    text = str(error).splitlines()[0] if str(error) else ""
    return f"{type(error).__name__}: {text[:200]}"


def _download(file: RemoteFile, target: Path) -> None:
    """Download to `target` under a lock, so that runs that start together fetch once."""
    import pooch  # type: ignore[import-untyped]
    from filelock import FileLock

    pooch.get_logger().setLevel(logging.WARNING)
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if target.is_file() and file.matches(target):
            return
        target.unlink(missing_ok=True)
        get = pooch.HTTPDownloader(progressbar=True, chunk_size=_CHUNK, timeout=_TIMEOUT)

        def download(url: str, unchecked: str, store: object) -> None:
            path = Path(unchecked)
            with path.open("wb") as out:
                get(url, _Limited(out, file.size or MAX_BYTES), store)
            if not file.matches(path):
                got = checksum(path, file.checksum.partition(":")[0])
                raise ValueError(f"{url} has the checksum {got}, expected {file.checksum}")

        # No hash in the registry: pooch knows no git blobs. `download` checks it before the file gets its name.
        urls, registry = {file.name: file.url}, {file.name: None}
        store = pooch.create(target.parent, base_url="", registry=registry, urls=urls, retry_if_failed=_RETRIES)
        store.fetch(file.name, downloader=download)


class _Limited:
    """A file that takes so many bytes and no more."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file, self._limit, self._size = file, limit, 0

    def write(self, piece: bytes) -> None:
        """OSError, which pooch does not take for a reason to try again, where it is too much."""
        self._size += len(piece)
        if self._size > self._limit:
            raise OSError(f"there are more than {self._limit:,} bytes, the most that is taken")
        self._file.write(piece)

    def flush(self) -> None:
        """Of the file."""
        self._file.flush()


def derived(key: str, build: Callable[[], Arrays]) -> Arrays:
    """Arrays from the cache, or from `build` and then into the cache.

    `key` names everything that the arrays depend on. An unreadable file is built anew; a cache that cannot be written
    costs only time.
    """
    path = cache_folder() / "derived" / f"{key}.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except Exception:  # noqa: BLE001 - zipfile, tokenize, zlib and numpy raise what they like for a damaged file
        arrays = build()
    try:
        _store(path, arrays)
    except OSError as error:
        _log.warning("not cached: %s", error)
    return arrays


def _store(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write all or nothing: readers see the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as out:
            np.savez(out, **arrays)  # type: ignore[arg-type]
        Path(name).replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
