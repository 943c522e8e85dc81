"""Pictures: what they say, that they are the same twice, and that names from records do no harm."""

import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib
import pytest
from helpers import records
from matplotlib.image import imread

from leaderboards.figures import Figure, curve_figures, learning_figures, looks_of
from leaderboards.render.plots import RC, _place, _save, draw_curve, draw_learning, short, write

EVIL = "_<b>$\\frac{x$&\u202e"


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Figure, Figure]:
    """A curve, and learning curves."""
    runs = [
        *records.example(),
        records.record(EVIL, 0, records.evaluation(bleu_2=0.6, self_bleu_2=0.8), run_id="e", config_hash="e"),
    ]
    boards = records.tables(tmp_path_factory.mktemp("plots"), *runs)
    looks = looks_of(boards)[1]
    (curve,) = curve_figures(records.only(boards), looks)
    return curve, next(f for f in learning_figures(records.only(boards), looks) if f.title == "bleu_2")


def texts(path: Path) -> list[str]:
    """All text of an SVG file, in order. Raises ParseError if it is none."""
    return ["".join(e.itertext()) for e in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def draw(figures: tuple[Figure, Figure], folder: Path) -> list[Path]:
    curve, learning = figures
    with matplotlib.rc_context(RC):
        return _save(draw_curve(curve), folder / "curve") + _save(draw_learning(learning), folder / "learning")


def test_pictures_say_what_they_show_and_are_the_same_twice(figures: tuple[Figure, Figure], tmp_path: Path) -> None:
    first, second = draw(figures, tmp_path / "a"), draw(figures, tmp_path / "b")
    assert [p.name for p in first] == [
        f"{name}.{kind}" for name in ("curve", "learning") for kind in ("png", "svg", "pdf")
    ]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    said = texts(first[1])
    assert {"real_text (train)", "copy_train", "mle", "seqgan", "T=0.5", "T=1", "matched self_bleu_2"} <= set(said)
    assert {
        "self_bleu_2 (lower is better, down to real text)",
        "bleu_2 (higher is better)",
        "front of the ranked rows",
    } <= set(said)
    assert any(text.startswith("leakgan (eval") for text in said)
    assert " _<b>$\\frac{x$&\ufffd" in said
    said = texts(first[4])
    assert {"seqgan", "mle", "adversarial", "0", "3", "bleu_2 (higher is better)"} <= set(said)
    assert any("dashed: mle at its end, dotted: real text" in text for text in said)
    for path in (first[2], first[5]):
        content = path.read_bytes()
        assert content.startswith(b"%PDF")
        assert b"/Type3" not in content
    for path in (first[0], first[3]):
        pixels = imread(path)
        assert pixels.shape[1] in (round(3.4 * 240), round(7.0 * 240))
        assert pixels[..., :3].min() < 0.1
        assert pixels[0, 0, :3].min() == 1


def test_better_is_up_and_to_the_right_and_axes_hold_all_but_the_controls(figures: tuple[Figure, Figure]) -> None:
    (axes,) = draw_curve(figures[0]).axes
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    assert left > 0.99
    assert right < 0.70
    assert bottom < 0.49
    assert top > 0.90


def test_every_file_is_named_and_no_name_of_a_task_leaves_the_folder(tmp_path: Path) -> None:
    points = [records.evaluation(temperature=t, bleu_2=t / 2, self_bleu_2=t / 3) for t in (0.5, 1.0)]
    runs = [records.record(m, 0, *points, task="../../x\\y: z", phases=()) for m in ("mle", "seqgan")]
    paths = write(records.tables(tmp_path, *runs), tmp_path / "out" / "plots")
    assert [p.name for p in paths] == [f"board1--x-y-z-bleu_2-self_bleu_2.{kind}" for kind in ("png", "svg", "pdf")]
    assert sorted(paths) == sorted((tmp_path / "out").rglob("*.*"))


def test_a_step_has_its_place_in_its_phase() -> None:
    ends = [0, 1560, 1860, 1870]
    assert [_place(step, ends) for step in (0, 780, 1560, 1710, 1870, 2000)] == [0, 0.5, 1, 1.5, 3, 3]


def test_long_names_keep_their_ends() -> None:
    assert short("leakgan (evaluation_temperature=1.5)") == "leakgan (eval…ature=1.5)"
