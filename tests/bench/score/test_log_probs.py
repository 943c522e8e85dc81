"""Log-probabilities in a file: read back as they were, equal bytes for equal numbers, nothing of anybody's trusted."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bench.score.log_probs import OWN, TEST, pack_log_probs, read_log_probs

NARROW = (-np.arange(1, 5, dtype=np.float32) / np.float32(3)).astype(np.float64)


def test_numbers_come_back_as_they_were(tmp_path: Path) -> None:
    wide = np.array([-1 / 3, -np.inf, 0.0])
    (tmp_path / "x.npz").write_bytes(pack_log_probs({TEST: wide, OWN: NARROW}))
    found = read_log_probs(tmp_path / "x.npz")
    assert found.keys() == {TEST, OWN}
    assert np.array_equal(found[TEST], wide)
    assert np.array_equal(found[OWN], NARROW)
    with np.load(tmp_path / "x.npz") as file:  # anybody's NumPy reads it
        assert (file[TEST].dtype, file[OWN].dtype) == (np.float64, np.float32)


def test_bytes_depend_on_nothing_but_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    one = pack_log_probs({TEST: NARROW, OWN: NARROW})
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert pack_log_probs({OWN: NARROW, TEST: NARROW}) == one


def other(name: str, values: object) -> bytes:
    out = io.BytesIO()
    np.savez(out, **{name: np.asarray(values)})
    return out.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no zip",
        pack_log_probs({TEST: NARROW})[:-30],
        other("else", [-1.0]),
        other(TEST, [0.5]),
        other(TEST, [np.nan]),
        other(TEST, [[-1.0]]),
        other(TEST, [-1]),
        other(TEST, np.array([None, {}], dtype=object)),
    ],
    ids=["empty", "junk", "cut", "name", "over one", "nan", "shape", "integers", "pickle"],
)
def test_anything_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(ValueError, match="does not hold log-probabilities"):
        read_log_probs(tmp_path / "x.npz")


def test_a_file_that_would_unfold_without_end_is_not_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_BZIP2) as file:
        file.writestr(f"{TEST}.npy", bytes(9_000_000))
    with pytest.raises(ValueError, match="9000000 bytes"):
        read_log_probs(tmp_path / "x.npz")
