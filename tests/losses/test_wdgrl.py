"""The critic's penalty between domains: known slopes, the three points, messages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.losses import critic_penalty, gradient_penalty
from gan_mtl.types import Context

CONTEXT = Context(jax.random.key(0), jnp.zeros((), jnp.int32))


def test_the_mean_over_both_domains_and_a_point_between():
    source = jax.random.normal(jax.random.key(1), (5, 3))
    target = 1 + jax.random.normal(jax.random.key(2), (5, 3))

    def critic(h):
        return (h**2).sum(axis=1) / 2  # its gradient at h is h

    between = gradient_penalty(critic, source, target, CONTEXT)
    ends = [(np.linalg.norm(h, axis=1) - 1) ** 2 for h in (source, target)]
    found = critic_penalty(critic, source, target, CONTEXT)
    np.testing.assert_allclose(found, (ends[0] + ends[1] + np.asarray(between)) / 3, rtol=1e-4)


def test_a_linear_critic_has_one_slope_everywhere():
    found = critic_penalty(lambda h: 3 * h[:, 0], jnp.ones((2, 4)), jnp.zeros((2, 4)), CONTEXT)
    np.testing.assert_allclose(found, [4.0, 4.0], rtol=1e-6)
    with pytest.raises(ValueError, match="real and fake: shapes must be equal"):
        critic_penalty(lambda h: h[:, 0], jnp.ones((2, 4)), jnp.ones((3, 4)), CONTEXT)
