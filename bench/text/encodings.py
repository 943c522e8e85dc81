"""The likely encoding of bytes that are not UTF-8: for the hint of an error message, never for reading."""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["likely_encoding"]

_MARKS = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_HIGH = re.compile(rb"[\x80-\xff]+")
_HANGUL = frozenset("이다는에의가을를한고지사하로인기도은자어리일시스아대서나그있수것정보만부으해여들")
_MOSTLY_UTF_8 = 4
"""Bytes beyond ASCII for each that is not UTF-8; in GBK, fewer than half happen to be UTF-8."""
_MOST = 0.8
"""Share of the two-byte characters that must be common ones: .95 and more in text of the right encoding."""


def likely_encoding(text: bytes, start: bytes = b"") -> str | None:
    """The name that `iconv -f` takes, or None where nothing speaks for one. `start`: the first bytes of the file.

    `utf-8` means: damaged, for most of it is UTF-8. A few characters are enough for GBK, Big5, Japanese and Cyrillic;
    a single-byte encoding of the West is told from no other, so `latin1` stands for them all.
    """
    for mark, name in _MARKS.items():
        if start.startswith(mark):
            return name
    if b"\0" in text:
        return _wide(text)
    broken = sum("\udc80" <= character <= "\udcff" for character in text.decode("utf-8", "surrogateescape"))
    if sum(byte >= 0x80 for byte in text) >= _MOSTLY_UTF_8 * broken:
        return "utf-8"
    return _two_bytes(text) or _one_byte(text)


def _wide(text: bytes) -> str | None:
    """UTF-16 of mostly ASCII characters has a zero byte in each of them, always on the same side."""
    even, odd = text[::2].count(0), text[1::2].count(0)
    if max(even, odd) < len(text) // 8 or max(even, odd) < 4 * min(even, odd):
        return None
    return "utf-16le" if odd > even else "utf-16be"


def _two_bytes(text: bytes) -> str | None:
    """East Asian encodings: those that can be read at all, by the characters that are common in them."""
    japanese = {"euc-jp": "euc_jp", "shift_jis": "cp932"}
    for name, codec in japanese.items():
        if (read := _read(text, codec)) and _share(read, lambda c: "\u3041" <= c <= "\u30ff") >= 0.25:
            return name
    if (read := _read(text, "cp949")) and _share(read, _HANGUL.__contains__) >= 0.25:
        return "euc-kr"
    # the first level of GB 2312 and of Big5 holds the characters in daily use
    levels = {"gb18030": ("gb18030", 0xB0, 0xD7), "big5": ("cp950", 0xA4, 0xC6)}
    for name, (codec, first, last) in levels.items():
        if read := _read(text, codec):
            pairs = [c.encode(codec, "replace") for c in read if c > "\x7f"]
            common = sum(first <= p[0] <= last and (name == "big5" or p[1] > 0xA0) for p in pairs if len(p) > 1)
            marks = sum(0xA1 <= p[0] <= 0xA3 for p in pairs)
            if common and common + marks >= _MOST * len(pairs):
                return name
    return None


def _read(text: bytes, codec: str) -> str | None:
    try:
        return text.decode(codec)
    except UnicodeDecodeError:
        return None


def _share(text: str, is_common: Callable[[str], bool]) -> float:
    high = [character for character in text if character > "\x7f"]
    return sum(map(is_common, high)) / len(high) if high else 0.0


def _one_byte(text: bytes) -> str | None:
    """Words of Cyrillic letters, or Western words with a letter here and there that ASCII lacks."""
    runs = _HIGH.findall(text)
    high = b"".join(runs)
    if len(high) >= 3 * len(runs):  # whole words
        small = {"windows-1251": range(0xE0, 0x100), "koi8-r": range(0xC0, 0xE0)}
        for name, letters in small.items():
            if sum(byte in letters for byte in high) >= _MOST * len(high):
                return name
        return None
    return "windows-1252" if any(0x80 <= byte < 0xA0 for byte in high) else "latin1"
