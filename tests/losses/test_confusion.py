"""Domain confusion: the cross-entropy to one half each, its minimum, its slope."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.losses import domain_confusion


def test_cross_entropy_to_the_uniform_distribution():
    logits = np.array([-3.0, 0.0, 0.7, 5.0])
    d = 1 / (1 + np.exp(-logits))
    found, slope = jax.vmap(jax.value_and_grad(lambda x: domain_confusion(x[None])[0]))(
        jnp.asarray(logits)
    )
    np.testing.assert_allclose(found, -0.5 * (np.log(d) + np.log(1 - d)), rtol=1e-5)
    np.testing.assert_allclose(slope, d - 0.5, atol=1e-6)
    np.testing.assert_allclose(found[1], np.log(2), rtol=1e-6)
    with pytest.raises(ValueError, match=r"logits: .*take the only column"):
        domain_confusion(jnp.ones((4, 1)))
