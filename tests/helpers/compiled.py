"""Compile the libraries that tests import, in two processes.

In a new environment every process of pytest would else compile them all for itself: a quarter of a minute of a
processor each.
"""

from __future__ import annotations

import subprocess
import sys

HALVES = (
    ("torch", "torch._dynamo"),
    ("mlflow.tracking", "scipy.stats", "sklearn.feature_extraction", "nltk", "matplotlib.pyplot", "sacrebleu"),
)

if __name__ == "__main__":
    code = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"
    begun = [subprocess.Popen([sys.executable, "-c", code, *names]) for names in HALVES]
    sys.exit(max(process.wait() for process in begun))
