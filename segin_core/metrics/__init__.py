"""Distances between images, each under its own name."""

from segin_core.metrics.pixel import l1
from segin_core.metrics.shift_tolerant import st_lpips

__all__ = ["l1", "st_lpips"]
