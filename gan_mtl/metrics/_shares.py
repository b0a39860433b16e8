"""Shares of counts, and means of those that there are."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def share(part: ArrayLike, whole: ArrayLike, nothing: float = np.nan) -> np.ndarray:
    """Part over whole; `nothing` where the whole is 0."""
    part, whole = np.asarray(part), np.asarray(whole)
    return np.where(whole > 0, part / np.maximum(whole, 1), nothing)


def known_mean(values: np.ndarray) -> float:
    """Of those that are not nan; nan if all are."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else np.nan
