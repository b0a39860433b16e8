"""Errors of depth maps, from sums over all known pixels of a set.

A `DepthScores` is a value that takes images as they come: `add` returns a new one. A pixel is known
where its true depth is finite and above 0; the others count nowhere, whatever is predicted there.

Reference:
    Eigen, Puhrsch & Fergus, "Depth Map Prediction from a Single Image using a Multi-Scale Deep
    Network", NeurIPS 2014.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

LIMIT = 1.25  # of the ratio of two depths that are taken for the same


class DepthReport(NamedTuple):
    """Errors over all known pixels; nan where there is none.

    absolute_relative: the mean of |y - t| / t, with t the true depth.
    rmse: the root of the mean of (y - t)^2, in the unit of the depths.
    rmse_log: that of natural logarithms.
    delta: the share of pixels with max(y / t, t / y) < 1.25, in [0, 1].
    pixels: those that are known.
    images: those that were added, the wholly unknown among them.
    """

    absolute_relative: float
    rmse: float
    rmse_log: float
    delta: float
    pixels: int
    images: int


class DepthScores(NamedTuple):
    """Sums of a stream; batches and order change them by rounding at most.

    relative, squares, log_squares: of the pixels' errors.
    within: pixels whose ratio is below 1.25.
    pixels: known ones.
    images: so far; errors number them from 0.
    """

    relative: float = 0.0
    squares: float = 0.0
    log_squares: float = 0.0
    within: int = 0
    pixels: int = 0
    images: int = 0

    def add(self, depths: ArrayLike, predictions: ArrayLike) -> DepthScores:
        """The sums after a further batch.

        Args:
            depths: true depths, shape [n, h, w]; nan, infinity, 0 and less are unknown.
            predictions: depths (not their logarithms), likewise; above 0 where depths are known.

        Raises:
            ValueError: for other shapes; by the number of the image, for a prediction that is not
                finite and above 0.
        """
        depths, predictions = np.asarray(depths, np.float64), np.asarray(predictions, np.float64)
        if depths.ndim != 3 or depths.shape != predictions.shape:
            raise ValueError(
                f"depths and predictions: expected two of one shape [n, h, w], got {depths.shape} "
                f"and {predictions.shape}; resize the predictions first"
            )
        known = np.isfinite(depths) & (depths > 0)
        wrong = known & ~(np.isfinite(predictions) & (predictions > 0))
        if wrong.any():
            i, y, x = np.argwhere(wrong)[0]
            raise ValueError(
                f"sample {self.images + i}: predictions: expected depths above 0, got "
                f"{predictions[i, y, x]} at {[int(y), int(x)]}; of logarithms take the exponential"
            )
        true, found = depths[known], predictions[known]
        return DepthScores(
            relative=self.relative + float((np.abs(found - true) / true).sum()),
            squares=self.squares + float(((found - true) ** 2).sum()),
            log_squares=self.log_squares + float((np.log(found / true) ** 2).sum()),
            within=self.within + int((np.maximum(found / true, true / found) < LIMIT).sum()),
            pixels=self.pixels + true.size,
            images=self.images + len(depths),
        )

    def merge(self, other: DepthScores) -> DepthScores:
        """The sums of both streams."""
        return DepthScores(
            relative=self.relative + other.relative,
            squares=self.squares + other.squares,
            log_squares=self.log_squares + other.log_squares,
            within=self.within + other.within,
            pixels=self.pixels + other.pixels,
            images=self.images + other.images,
        )

    def report(self) -> DepthReport:
        """Errors of all images so far."""

        def mean(total: float) -> float:
            return total / self.pixels if self.pixels else np.nan

        return DepthReport(
            absolute_relative=mean(self.relative),
            rmse=float(np.sqrt(mean(self.squares))),
            rmse_log=float(np.sqrt(mean(self.log_squares))),
            delta=mean(self.within),
            pixels=self.pixels,
            images=self.images,
        )
