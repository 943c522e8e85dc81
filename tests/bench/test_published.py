"""Files of published numbers: what is wrong is one error that names file, row and column."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from helpers.published import COLUMNS, write_published

from bench.published import find_published, read_published

TWO = ({"id": "a/b/c", "task_config": "x=1;y=2", "needs": "refs:10"}, {"id": "a/b/c", "key": "bleu_2", "std": "0.1"})


def test_an_id_names_the_scores_of_one_row_of_one_source() -> None:
    (number,) = find_published("yu2017seqgan/oracle20/seqgan")
    assert (number.key, number.value, number.source) == ("nll_oracle", "8.736", "SeqGAN paper Table 1")
    texygen = find_published("texygen-readme/image_coco/mle")
    assert {each.key for each in texygen} == {f"{name}_{n}" for name in ("bleu", "self_bleu") for n in (2, 3, 4, 5)}
    for field in ("source", "reported_by", "model", "variant", "published_task", "task", "task_config"):
        ids: dict[str, object] = {}
        assert all(ids.setdefault(each.id, getattr(each, field)) == getattr(each, field) for each in read_published())
    with pytest.raises(KeyError, match="has the id 'yu2017seqgan/oracle20/seqgn'; did you mean 'yu2017seqgan/or"):
        find_published("yu2017seqgan/oracle20/seqgn")


def test_cells_are_read_as_they_are_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_published(tmp_path, *TWO, patch=monkeypatch)
    first, second = find_published("a/b/c")
    assert (first.task_config, first.needs, first.value, first.n_seeds) == (
        {"x": "1", "y": "2"},
        "refs:10",
        "4.0",
        None,
    )
    assert (second.std, second.kind, second.comparable) == ("0.1", "final", False)
    assert second.reason == "no task here has these data"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"value": "O.745"}, "numbers.csv, row 3, column value: takes a number as it is printed, got 'O.745'"),
        ({"value": "nan"}, "row 3, column value: takes a number"),
        ({"std": "±1"}, "row 3, column std: takes a standard deviation"),
        ({"n_seeds": "0"}, "row 3, column n_seeds: takes a number of seeds, or nothing, got '0'"),
        ({"kind": "table"}, "row 3, column kind: takes one of final, curve, other, got 'table'"),
        ({"source": " "}, "row 3, column source: takes some text"),
        ({"task_config": "split"}, "row 3, column task_config: takes settings such as"),
        ({"needs": "refs"}, "row 3, column needs: takes fields of a signature"),
        ({"id": "seqgan"}, "row 3, column id: takes names parted by /"),
        ({"key": "nll_oracle"}, "row 3, column id: a/b/c has a nll_oracle in numbers.csv, row 2, column id already"),
    ],
)
def test_a_bad_cell(change: dict[str, str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_published(tmp_path, TWO[0], {**TWO[1], **change}, patch=monkeypatch)
    with pytest.raises(ValueError) as caught:
        read_published()
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (",value,", ",valu,", "row 1, column valu: is not one of ours; did you mean 'value'?"),
        (",key,value,", ",value,", "row 1, column key: is missing"),
        (",value,", ",key,value,", "row 1, column key: is there twice"),
        (",nats\n", "\n", "row 2, column protocol: is missing"),
        (",nats\n", ",nats, per word\n", "row 2, column protocol: is not the last of the row"),
        (",nats\n", ',"nats" per word\n', "row 2: ',' expected after '\"'"),
        (",nats\n", ",n\xe4ts\n", "row 2: is not UTF-8"),
    ],
)
def test_a_bad_file(old: str, new: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_published(tmp_path, *TWO, patch=monkeypatch)
    path.write_bytes(path.read_text().replace(old, new, 1).encode("latin-1"))
    with pytest.raises(ValueError) as caught:
        read_published()
    assert f"numbers.csv, {expected}" in str(caught.value)


def test_damaged_files_are_read_or_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes are taken out, put in and doubled, and columns are left out."""
    draw = random.Random(1)
    whole = write_published(tmp_path / "whole", *TWO).read_bytes()
    complaints = []
    for i in range(2_000):
        text = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(text))
            end = at + draw.choice((0, 1, 1, 2, 30))
            text[at:end] = draw.choice((b"", b",", b'"', b"\n", b"\r", b"\0", b"\xff", b"9", text[at:end] * 2))
        if i % 3 == 0:
            lines = [line.split(b",") for line in bytes(text).split(b"\n")]
            column = draw.randrange(len(COLUMNS))
            text = bytearray(b"\n".join(b",".join(cells[:column] + cells[column + 1 :]) for cells in lines))
        folder = tmp_path / str(i)
        folder.mkdir()
        (folder / "numbers.csv").write_bytes(text)
        monkeypatch.setattr("bench.published.PUBLISHED", folder)
        try:
            read_published()
        except ValueError as error:
            complaints.append(str(error))
    assert len(complaints) > 1_000
    for complaint in complaints:
        assert re.match(r"numbers\.csv, row \d+(, column .*)?: .", complaint, re.DOTALL), complaint
