"""Fixed weights: what was given, and the gradient of the weighted sum."""

import numpy as np
import pytest
import weightings as w

from gan_mtl.mtl import fixed

ALPHA = (0.5, 2.0, 1.5)


@pytest.mark.parametrize(("normalise", "total"), [(False, 4.0), (True, 1.0)])
def test_the_gradient_of_the_weighted_sum(normalise, total):
    weighting = fixed(ALPHA, normalise=normalise)
    scale = total / 4.0
    w.check_scalarisation(
        weighting, lambda x: sum(scale * a * x[i] for i, a in enumerate(ALPHA)), w.losses_of()
    )
    assert not weighting.positive and not weighting.needs_gramian
    w.check_laws(lambda: fixed(ALPHA, normalise=normalise), w.losses_of(), symmetric=False)


def test_losses_do_not_matter():
    losses = np.array([[0.0, -1e30, np.nan]], np.float32)
    np.testing.assert_array_equal(w.trajectory(fixed(ALPHA), losses)[0][0], ALPHA)


@pytest.mark.parametrize("alpha", [(-1.0, 2.0), (0.0, 0.0), (np.nan, 1.0), (np.inf, 1.0), ()])
def test_bad_weights(alpha):
    with pytest.raises(ValueError, match="alpha: expected finite numbers >= 0, not all 0"):
        fixed(alpha)


def test_as_many_as_objectives():
    with pytest.raises(ValueError, match="alpha: expected 2 numbers, one per objective"):
        fixed(ALPHA).init(2)
