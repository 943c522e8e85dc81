"""The signature of a score: its metric and every setting as one text. Derived from the mapping, and never read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Setting", "sacrebleu_settings", "setting_text", "signature_text"]

Setting = bool | int | float | str | tuple[int, ...] | tuple[str, ...] | None
"""What a setting of a metric, a count or a version can be."""


def signature_text(metric: str, settings: Mapping[str, Setting]) -> str:
    """`bleu|orders:2-5|smoothing:method1|refs:10000|samples:10000|v:1`, in the order of the mapping."""
    return "|".join([metric, *(f"{name}:{setting_text(value)}" for name, value in settings.items())])


def setting_text(value: Setting) -> str:
    """A setting as it stands in a signature; a run of integers is written `2-5`."""
    if isinstance(value, tuple):
        numbers = [v for v in value if isinstance(v, int)]
        if len(numbers) == len(value) > 1 and numbers == list(range(numbers[0], numbers[-1] + 1)):
            return f"{numbers[0]}-{numbers[-1]}"
        return ",".join(setting_text(v) for v in value)
    return str(value)


def sacrebleu_settings(metric: Any) -> dict[str, Setting]:
    """What a sacreBLEU metric's own signature holds, in its order: the version last, what is not set left out."""
    info = dict(metric.get_signature().info)
    info["version"] = info.pop("version")
    words = {True: "yes", False: "no"}
    return {name: words[v] if isinstance(v, bool) else v for name, v in info.items() if v is not None}
