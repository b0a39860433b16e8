"""The loss of depths against loops over pairs of pixels; what a factor changes; the unknown."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.losses import scale_invariant_log

RNG = np.random.default_rng(3)
LOGS = RNG.normal(size=(3, 4, 5)).astype(np.float32)
DEPTHS = np.exp(RNG.normal(size=(3, 4, 5))).astype(np.float32)


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_against_differences_of_all_pairs_of_pixels(lam):
    """With lambda = 1 it is half the mean square of how much pairs of pixels are apart wrongly."""
    values, mask = scale_invariant_log(jnp.asarray(LOGS), jnp.asarray(DEPTHS), lam)
    for i in range(3):
        d = LOGS[i].ravel().astype(float) - np.log(DEPTHS[i].ravel().astype(float))
        pairs = np.mean([(a - b) ** 2 for a in d for b in d]) / 2
        expected = lam * pairs + (1 - lam) * np.mean(d**2)
        assert float(values[i]) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(mask, 1)


def test_a_common_factor_is_forgiven_by_lambda():
    logs, depths = jnp.asarray(LOGS), jnp.asarray(DEPTHS)
    for lam, left in ((1.0, 0.0), (0.5, 0.5), (0.0, 1.0)):
        exact = scale_invariant_log(jnp.log(depths) + 2.0, depths, lam).values
        np.testing.assert_allclose(exact, left * 4.0, atol=1e-5)
    one, two = (scale_invariant_log(logs + c, depths, 1.0).values for c in (0.0, 3.0))
    np.testing.assert_allclose(one, two, rtol=1e-4)


@pytest.mark.parametrize("unknown", [np.nan, 0.0, -1.0, np.inf])
def test_unknown_pixels_are_as_if_not_there(unknown):
    depths = DEPTHS.copy()
    depths[0, :, 3:] = unknown
    depths[1] = unknown
    weights = jnp.array([1.0, 0.0, 1.0])

    def total(logs):
        values, mask = scale_invariant_log(logs, jnp.asarray(depths))
        np.testing.assert_array_equal(mask, weights)
        return values.sum(), values

    (_, values), gradient = jax.value_and_grad(total, has_aux=True)(jnp.asarray(LOGS))
    seen = scale_invariant_log(jnp.asarray(LOGS[:1, :, :3]), jnp.asarray(DEPTHS[:1, :, :3]))
    np.testing.assert_allclose(values[0], seen.values[0], rtol=1e-6)
    assert values[1] == 0 and not gradient[1].any() and not gradient[0, :, 3:].any()
    assert jnp.isfinite(gradient).all() and gradient[0, :, :3].all()


def test_other_shapes_and_lambdas_are_refused():
    logs = jnp.zeros((2, 3, 3))
    with pytest.raises(ValueError, match=r"depths of shape \(2, 3\).*\(2, 3, 3\).*one depth a p"):
        scale_invariant_log(logs, jnp.ones((2, 3)))
    with pytest.raises(ValueError, match=r"of a single channel take \[..., 0\]"):
        scale_invariant_log(logs[..., None], jnp.ones((2, 3, 3)))
    with pytest.raises(ValueError, match="lam: expected a number from 0 to 1, got 2"):
        scale_invariant_log(logs, jnp.ones((2, 3, 3)), 2)
