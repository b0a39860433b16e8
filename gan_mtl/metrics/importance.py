r"""Log-likelihoods of latent-variable models by importance sampling, from codes as they come.

With k independent codes :math:`z_i \sim q(z \mid x)` and log weights
:math:`w_i = \log p(x, z_i) - \log q(z_i \mid x)`, the value :math:`\log \tfrac1k \sum_i e^{w_i}` is
below :math:`\log p(x)` on average, by less the larger k is. Print k: numbers of different k do not
compare. A model is compared at k = 5000 since Burda, Grosse & Salakhutdinov, "Importance Weighted
Autoencoders", ICLR 2016.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike


class ImportanceSums(NamedTuple):
    """Sums over the codes of n images, in float64; memory does not grow with k.

    peak: shape [n], the greatest log weight so far; total, squares: of the weights, and of their
    squares, over that peak; count: k so far.
    """

    peak: Float[np.ndarray, " n"]
    total: Float[np.ndarray, " n"]
    squares: Float[np.ndarray, " n"]
    count: int = 0

    @classmethod
    def empty(cls, n: int) -> ImportanceSums:
        """Of n images, no code seen yet."""
        return cls(np.full(n, -np.inf), np.zeros(n), np.zeros(n))

    def add(self, log_weights: ArrayLike) -> ImportanceSums:
        """The sums after further codes of every image.

        Args:
            log_weights: w in nats, shape [n, more]; -inf is a weight of 0.

        Raises:
            ValueError: for another shape, NaN or +inf.
        """
        values = np.asarray(log_weights, np.float64)
        if values.ndim != 2 or len(values) != len(self.peak) or not values.shape[1]:
            raise ValueError(
                f"log_weights: expected shape [{len(self.peak)}, k], one row an image, got "
                f"{values.shape}"
            )
        if np.isnan(values).any() or np.isposinf(values).any():
            i, j = np.argwhere(~(values < np.inf))[0]
            raise ValueError(f"log_weights: {values[i, j]} at [{i}, {j}]; expected less than inf")
        peak = np.maximum(self.peak, values.max(axis=1))
        base = np.where(np.isfinite(peak), peak, 0.0)  # all weights are 0 as yet
        kept, weights = np.exp(self.peak - base), np.exp(values - base[:, None])
        return ImportanceSums(
            peak,
            self.total * kept + weights.sum(axis=1),
            self.squares * kept**2 + (weights**2).sum(axis=1),
            self.count + values.shape[1],
        )

    def log_likelihood(self) -> Float[np.ndarray, " n"]:
        """The bound on log p(x) of every image, in nats.

        Raises:
            ValueError: before the first code.
        """
        if not self.count:
            raise ValueError("log_likelihood: no code has been added")
        with np.errstate(divide="ignore"):
            return self.peak + np.log(self.total) - math.log(self.count)

    def effective_codes(self) -> Float[np.ndarray, " n"]:
        r""":math:`(\sum w)^2 / \sum w^2`, from 1 to k: how many codes of equal weight say as much.

        Where it is near 1 a single code carries the sum, and the bound is still loose.
        """
        return np.divide(
            self.total**2, self.squares, out=np.zeros_like(self.total), where=self.squares > 0
        )
