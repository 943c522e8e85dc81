"""Text files line by line, strictly: what is not UTF-8 text is said with its place. Never the whole file in memory."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["PACKED", "read_lines"]

PACKED = {".gz": "gzip", ".bz2": "bzip2"}  # the leaderboard keeps samples as the latter
_LONGEST_LINE = 1 << 20  # bytes; a longer one is no sentence
_REPORT_EVERY = 1 << 10  # lines


def read_lines(path: Path, progress: Callable[[float], None] | None = None) -> Iterator[str]:
    """The lines of a UTF-8 file, `.gz`, `.bz2` or plain, each with its line break.

    `progress` is told now and then which share of the file is read. Raises FileNotFoundError, and ValueError with
    line and byte where the file is no text; each line is decoded on its own so that an error has a place.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r} in {Path.cwd()}")
    size = max(1, path.stat().st_size)
    start = 0
    with path.open("rb") as stored, _unpacked(stored, path.suffix) as file:
        try:
            number = 0
            while raw := file.readline(_LONGEST_LINE + 1):
                number += 1
                yield _decoded(raw, f"{path}, line {number}", start)
                start += len(raw)
                if progress and number % _REPORT_EVERY == 0:
                    progress(stored.tell() / size)
        except (EOFError, OSError, zlib.error) as error:
            if isinstance(error, OSError) and error.errno is not None:  # of the system; the packers' have no number
                raise
            raise ValueError(f"{path} is no whole {PACKED.get(path.suffix)} file: {error}") from error


def _unpacked(stored: BinaryIO, suffix: str) -> BinaryIO | gzip.GzipFile | bz2.BZ2File:
    if suffix not in PACKED:
        return stored
    return gzip.open(stored) if suffix == ".gz" else bz2.open(stored)


def _decoded(raw: bytes, where: str, start: int) -> str:
    """One line of bytes -> text; `start` is its first byte's place in the (unpacked) file."""
    if (zero := raw.find(b"\0")) >= 0:
        raise ValueError(
            f"{where}, byte {start + zero}: a zero byte, so this is not a UTF-8 text (perhaps UTF-16, or no text)"
        )
    if len(raw) > _LONGEST_LINE:
        raise ValueError(f"{where} has more than {_LONGEST_LINE} bytes; one sentence per line is expected")
    try:
        return raw.decode("utf-8-sig" if start == 0 else "utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where}, byte {start + error.start}: 0x{raw[error.start]:02x} is not UTF-8; convert the file, for "
            "example with `iconv -f latin1 -t utf-8`"
        ) from error
