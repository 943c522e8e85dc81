"""NLTK is loaded without SciPy, and is whole for everybody else."""

from __future__ import annotations

import subprocess
import sys

from helpers.paths import ROOT


def done(code: str) -> str:
    """What a new process prints, which has loaded nothing yet."""
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_nothing_of_it_stays() -> None:
    said = done(
        "import sys\n"
        "from bench.text.tokenizers import english\n"
        "print(english()('It isn\\'t \"so\".'))\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('nltk', 'scipy', 'sklearn')])\n"
        "from nltk.classify import SklearnClassifier\n"
        "from nltk.metrics.association import fisher_exact\n"
        "print(fisher_exact.__module__.partition('.')[0])\n"
    )
    words = ["it", "is", "n't", "``", "so", "''", "."]
    assert said.splitlines() == [str(words), "[]", "scipy"]


def test_an_nltk_that_is_there_is_taken() -> None:
    said = done("import nltk\nfrom bench.text.light_nltk import light_nltk\nprint(light_nltk() is nltk)\n")
    assert said == "True\n"


def test_one_that_cannot_do_without_is_loaded_whole() -> None:
    said = done(
        "import sys\n"
        "from bench.text import light_nltk\n"
        "light_nltk._NOT_NEEDED = ('regex',)\n"
        "print(light_nltk.light_nltk() is sys.modules['nltk'])\n"
    )
    assert said == "True\n"
