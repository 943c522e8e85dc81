"""The runner and what it is made of; `textgan_bench` is what other programs import."""

import os

# One thread for numpy's products. Scores take theirs in tiles too small to share, and OpenBLAS's threads wait for each
# other by spinning: beside one other busy process, two of them took 80 times the processor seconds of one. numpy reads
# this when it is first imported; what the user has set stays. torch has threads of its own (`--threads`).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
