"""What a conditional domain discriminator sees: products by hand, the estimate, the weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.losses import entropy_weights, multilinear_map, random_multilinear_map

RNG = np.random.default_rng(0)
F, G = RNG.normal(size=(5, 4)), RNG.dirichlet(np.ones(3), size=5)


def test_every_feature_times_every_probability():
    found = multilinear_map(jnp.asarray(F), jnp.asarray(G))
    np.testing.assert_allclose(found, [np.outer(f, g).ravel() for f, g in zip(F, G, strict=True)])


def test_the_random_map_estimates_its_inner_products():
    keys = jax.random.split(jax.random.key(0))
    r_f, r_g = (jax.random.normal(k, (n, 20_000)) for k, n in zip(keys, (4, 3), strict=True))
    mapped = np.asarray(random_multilinear_map(jnp.asarray(F), jnp.asarray(G), r_f, r_g))
    one = (F[0] @ np.asarray(r_f)) * (G[0] @ np.asarray(r_g)) / 20_000**0.5
    np.testing.assert_allclose(mapped[0], one, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(mapped @ mapped.T, (F @ F.T) * (G @ G.T), atol=0.15)


def test_sure_examples_count_twice_and_pass_no_gradient():
    logits = jnp.asarray([[0.0, 0.0, 0.0], [99.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
    p = np.exp([1.0, 2.0, 3.0]) / np.exp([1.0, 2.0, 3.0]).sum()
    wanted = [1 + 1 / 3, 2.0, 1 + np.exp((p * np.log(p)).sum())]
    np.testing.assert_allclose(entropy_weights(logits), wanted, rtol=1e-6)
    assert not jax.grad(lambda x: entropy_weights(x).sum())(logits).any()


def test_bad_input_is_refused_by_name():
    f, g = jnp.asarray(F), jnp.asarray(G)
    with pytest.raises(ValueError, match="same examples are needed, got 5 and 4"):
        multilinear_map(f, g[:4])
    with pytest.raises(ValueError, match=r"expected shapes \(4, D\) and \(3, D\), got \(4, 7\)"):
        random_multilinear_map(f, g, jnp.ones((4, 7)), jnp.ones((3, 8)))
