"""Where the tests find things: the checkout, a user's model in a file, the published data."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOY = f"{Path(__file__).with_name('toy_gan.py')}:ToyGAN"
STUDY = Path(os.environ.get("TEXTGAN_BENCH_DATA") or ROOT.parent / "shared" / "data")
"""The folder of published data; may be absent."""
