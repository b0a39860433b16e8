"""Running sums against the definition in one go, at magnitudes that overflow, and bad input."""

import math

import numpy as np
import pytest
from scipy.special import logsumexp

from gan_mtl.metrics import ImportanceSums

RNG = np.random.default_rng(2)


def sums(weights, *cuts):
    found = ImportanceSums.empty(len(weights))
    for part in np.split(weights, cuts, axis=1):
        found = found.add(part)
    return found


@pytest.mark.parametrize("offset", [0.0, -1000.0, 900.0])
def test_chunks_are_the_whole_at_any_magnitude(offset):
    """Weights of e^-1000 and e^900 are 0 and infinite as they stand."""
    weights = 8 * RNG.normal(size=(5, 300)) + offset
    wanted = logsumexp(weights, axis=1) - math.log(300)
    for found in (sums(weights), sums(weights, 1, 50, 299), sums(weights[:, ::-1], 7)):
        np.testing.assert_allclose(found.log_likelihood(), wanted, rtol=1e-13)
        over = np.exp(weights - weights.max(axis=1, keepdims=True))
        wanted_codes = over.sum(axis=1) ** 2 / (over**2).sum(axis=1)
        np.testing.assert_allclose(found.effective_codes(), wanted_codes, rtol=1e-12)


def test_by_hand():
    found = ImportanceSums.empty(2).add(np.log([[1.0, 3.0], [2.0, 2.0]]))
    np.testing.assert_allclose(found.log_likelihood(), np.log([2.0, 2.0]))
    np.testing.assert_allclose(found.effective_codes(), [16 / 10, 2.0])


def test_weights_of_zero_count_among_the_codes():
    found = ImportanceSums.empty(1).add([[-np.inf, -np.inf]])
    assert found.log_likelihood() == -np.inf and found.effective_codes() == 0
    np.testing.assert_allclose(found.add([[0.0, 0.0]]).log_likelihood(), np.log(0.5))


def test_bad_input_is_refused():
    empty = ImportanceSums.empty(3)
    with pytest.raises(ValueError, match="no code has been added"):
        empty.log_likelihood()
    for bad in (np.zeros((2, 4)), np.zeros(3), np.zeros((3, 0))):
        with pytest.raises(ValueError, match=r"log_weights: expected shape \[3, k\], one row"):
            empty.add(bad)
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match=rf"log_weights: {bad} at \[1, 0\]"):
            empty.add([[0.0], [bad], [0.0]])
