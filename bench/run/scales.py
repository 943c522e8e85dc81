"""The scales of a run: the published setting, and smaller ones that a model or a task has settings for."""

from __future__ import annotations

from typing import Literal

__all__ = ["Scale"]

Scale = Literal["smoke", "small", "paper"]
"""smoke: seconds, to see that all goes. small: minutes on two cores. paper: as it was published."""
