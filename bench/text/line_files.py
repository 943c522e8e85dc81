"""The lines of a text file, plain, `.gz` or `.bz2`, read one by one; what is no UTF-8 text is refused with its place.

A line ends with LF or CR LF. A file without any LF whose lines end with CR, as on old Macs, is read by CR; a CR in the
middle of a line of another file is refused, for it may be a line end or a blank.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from bench.places import check_file
from bench.text.encodings import likely_encoding
from bench.text.escapes import shell_words

__all__ = ["PACKED", "content_sha256", "read_lines", "suffix_of"]

PACKED = {".gz": "gzip", ".bz2": "bzip2"}  # the leaderboard keeps samples as the latter
_LONGEST_LINE = 1 << 20  # bytes; a longer one is no sentence
_MOST_BLANK = 1_000_000  # lines in a row; a packed file of a few kilobytes can hold more than anybody waits for
_REPORT_EVERY = 1 << 10  # lines
_BLOCK = 1 << 16

_Bytes = BinaryIO | gzip.GzipFile | bz2.BZ2File


def read_lines(
    path: Path, progress: Callable[[float], None] | None = None, *, cr_is_blank: bool = False, exact: bool = False
) -> Iterator[str]:
    """The lines of a UTF-8 file, `.gz`, `.bz2` or plain, each with its line break.

    `progress` is told now and then which share of the file is read. `cr_is_blank`: a CR in the middle of a line stays.
    `exact`: as `write_samples` wrote it, so LF alone ends a line and a byte order mark is a character. Raises
    FileNotFoundError, and ValueError with line and byte where the file is no text; each line is decoded on its own so
    that an error has a place.
    """
    check_file(path)
    size = max(1, path.stat().st_size)
    with path.open("rb") as stored, _unpacked(stored, path.suffix) as file:
        try:
            place = _Place(path, file)
            for raw in _raw_lines(file, by_cr=not exact):
                line = place.decoded(raw, marked=not exact)
                if not (exact or cr_is_blank) and "\r" in line and "\r" in line.rstrip("\r\n"):
                    raise ValueError(f"{place}: {_mixed(path)}")
                yield line
                if progress and place.number % _REPORT_EVERY == 0:
                    progress(stored.tell() / size)
        except (EOFError, OSError, zlib.error) as error:
            if isinstance(error, OSError) and error.errno is not None:  # of the system; the packers' have no number
                raise
            raise ValueError(f"{path} is no whole {PACKED.get(path.suffix)} file: {error}") from error


def content_sha256(path: Path) -> str:
    """Of what is in the file, unpacked. Raises ValueError if it cannot be unpacked."""
    total = hashlib.sha256()
    with path.open("rb") as stored, _unpacked(stored, path.suffix) as file:
        try:
            while block := file.read(_BLOCK):
                total.update(block)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path} is no whole {PACKED.get(path.suffix)} file: {error}") from error
    return total.hexdigest()


def suffix_of(path: Path) -> str:
    """`.jsonl` of `a.jsonl` and of `a.jsonl.gz`."""
    return (Path(path.stem).suffix if path.suffix in PACKED else path.suffix).lower()


def _unpacked(stored: BinaryIO, suffix: str) -> _Bytes:
    if suffix not in PACKED:
        return stored
    return gzip.open(stored) if suffix == ".gz" else bz2.open(stored)


def _raw_lines(file: _Bytes, *, by_cr: bool) -> Iterator[bytes]:
    """Lines of bytes with their ends; one of more than `_LONGEST_LINE` bytes comes in pieces that are too long."""
    raw = file.readline(_LONGEST_LINE + 1)
    if by_cr and b"\r" in raw and not raw.endswith(b"\n"):  # no LF in the first mebibyte
        while True:
            *lines, raw = raw.splitlines(keepends=True)
            yield from lines
            if len(raw) > _LONGEST_LINE or not (more := file.read(_BLOCK)):
                break
            raw += more
    while raw:
        yield raw
        raw = file.readline(_LONGEST_LINE + 1)


class _Place:
    """Where in a file the reader is; decodes a line, or says what is wrong with it."""

    def __init__(self, path: Path, file: _Bytes) -> None:
        self._path, self._file = path, file
        self.number = 0
        self._end = 0
        self._first = b""
        self._blank = 0

    def __str__(self) -> str:
        return f"{self._path}, line {self.number}"

    def decoded(self, raw: bytes, *, marked: bool) -> str:
        """The next line of bytes -> text; `marked`: the first may begin with a byte order mark."""
        start, self._end = self._end, self._end + len(raw)
        self.number += 1
        self._first = self._first or raw[:4]
        self._blank = self._blank + 1 if raw.isspace() else 0
        if self._blank > _MOST_BLANK:
            raise ValueError(f"{self}: {self._blank:,} blank lines in a row; one sentence per line is expected")
        if (zero := raw.find(b"\0")) >= 0:
            hint = "perhaps UTF-16, or no text"
            if encoding := self._likely(raw, start):
                hint = f"perhaps {encoding.upper()}: {self._convert(encoding)}"
            raise ValueError(f"{self}, byte {start + zero}: a zero byte, so this is not a UTF-8 text ({hint})")
        if len(raw) > _LONGEST_LINE:
            raise ValueError(f"{self} has more than {_LONGEST_LINE} bytes; one sentence per line is expected")
        try:
            return raw.decode("utf-8-sig" if marked and start == 0 else "utf-8")
        except UnicodeDecodeError as error:
            where = f"{self}, byte {start + error.start}: 0x{raw[error.start]:02x} is not UTF-8"
            raise ValueError(f"{where}; {self._hint(self._likely(raw, start))}") from error

    def _likely(self, raw: bytes, start: int) -> str | None:
        more = self._file.read(_BLOCK)
        if b"\n" in more:
            more = more[: more.rindex(b"\n") + 1]  # no character is cut
        return likely_encoding((raw + more)[start % 2 if b"\0" in raw else 0 :], self._first)

    def _hint(self, encoding: str | None) -> str:
        if encoding is None:
            return f"convert the file from the encoding it has: {self._convert('ENCODING')}"
        if encoding == "utf-8":
            return f"the rest is, so the file is damaged here; {self._convert('utf-8', '-c ')} drops such bytes"
        name = {"gb18030": "GBK", "windows-1252": "Windows-1252 (Western)"}.get(encoding, encoding.upper())
        return f"the file looks like {name}: convert it, {self._convert(encoding)}"

    def _convert(self, encoding: str, option: str = "") -> str:
        """A command that a shell takes as it stands."""
        unpack = {".gz": "gzip -dc", ".bz2": "bzip2 -dc"}.get(self._path.suffix)
        name, target = shell_words([self._path]), shell_words([f"{self._path.stem}.utf8{self._path.suffix}"])
        if unpack:
            target = shell_words([f"{Path(self._path.stem).stem}.utf8{suffix_of(self._path)}"])
            return f"`{unpack} {name} | iconv {option}-f {encoding} -t utf-8 > {target}`"
        return f"`iconv {option}-f {encoding} -t utf-8 {name} > {target}`"


def _mixed(path: Path) -> str:
    return (
        "a carriage return (CR) in the middle of a line: a line end of old Macs among others, or a blank? "
        f"`tr '\\r' '\\n' < {shell_words([path])}` makes it a line end"
    )
