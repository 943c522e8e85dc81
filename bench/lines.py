"""Text files line by line, strictly: what is not UTF-8 text is said with its place. Never the whole file in memory."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["read_lines"]

_LONGEST_LINE = 1 << 20  # bytes; a longer one is no sentence
_REPORT_EVERY = 1 << 10  # lines


def read_lines(path: Path, progress: Callable[[float], None] | None = None) -> Iterator[str]:
    """The lines of a UTF-8 file, `.gz` or plain, each with its line break.

    `progress` is told now and then which share of the file is read. Raises FileNotFoundError, and ValueError with
    line and byte where the file is no text; each line is decoded on its own so that an error has a place.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r} in {Path.cwd()}")
    size = max(1, path.stat().st_size)
    start = 0
    with path.open("rb") as stored, gzip.open(stored) if path.suffix == ".gz" else stored as file:
        try:
            number = 0
            while raw := file.readline(_LONGEST_LINE + 1):
                number += 1
                yield _decoded(raw, f"{path}, line {number}", start)
                start += len(raw)
                if progress and number % _REPORT_EVERY == 0:
                    progress(stored.tell() / size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path} is no whole gzip file: {error}") from error


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
