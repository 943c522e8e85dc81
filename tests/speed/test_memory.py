"""Operations beside the speed of memory: they run, and are compared with a copy of as many bytes."""

from __future__ import annotations

from baselines.common.networks.cnn import CNNClassifier
from baselines.common.spec import SequenceSpec
from speed.memory import Traffic, markdown, measure, operations

SPEC = SequenceSpec(vocab_size=50, max_len=6, bos_id=0, pad_id=0, eos_id=0)


def test_every_operation_runs_and_touches_what_it_says() -> None:
    found = {operation.name: operation for operation in operations(SPEC, batch=4)}
    n = sum(parameter.numel() for parameter in CNNClassifier(SPEC).parameters())
    assert found["Adam"].size == 7 * 4 * n
    assert found["gradient of the embedding"].size == 4 * 64 * (50 + 4 * 6)
    for operation in found.values():
        operation.run()
    assert found["their positions"].run().max() < 5  # type: ignore[attr-defined]
    traffic = measure(found["maxima of 200 filters"], turns=2, least=0.0)
    assert len(traffic.seconds) == len(traffic.copy_seconds) == 2
    assert traffic.times_a_copy > 0


def test_the_table_has_medians() -> None:
    row = markdown([Traffic("x", 3_000_000, [2e-3, 1e-3, 4e-3], [1e-3, 1e-3, 1e-3])]).splitlines()[2]
    assert row == "| x | 3.00 | 2,000 (1,000 to 4,000) | 1.5 | 2.00 |"
