"""Self-attention against loops over places in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.checks import (
    CONTEXT,
    KEY,
    check_bfloat16,
    count,
    out_shape,
    spectral_kernels,
)
from nets.compiled import compiled

from gan_mtl import nets

X = jax.random.normal(KEY, (2, 4, 5, 16))


def test_equals_loops_over_places():
    network = compiled(nets.SelfAttention(spectral=False))
    variables = network.init(KEY, X)
    variables["params"]["gamma"] = jnp.float32(0.7)
    out, _ = network.apply(variables, X, context=CONTEXT)
    w = {
        name: np.asarray(variables["params"][name]["kernel"], np.float64)[0, 0]
        for name in ("query", "key", "value", "out")
    }
    assert {name: k.shape[1] for name, k in w.items()} == {
        "query": 2, "key": 2, "value": 8, "out": 16
    }  # fmt: skip
    for x, y in zip(np.asarray(X, np.float64), out, strict=True):
        pooled = [
            (
                (x[i : i + 2, j : j + 2] @ w["key"]).max((0, 1)),
                (x[i : i + 2, j : j + 2] @ w["value"]).max((0, 1)),
            )
            for i in (0, 2)
            for j in (0, 2)
        ]
        for i in range(4):
            for j in range(5):
                scores = np.array([key @ (x[i, j] @ w["query"]) for key, _ in pooled])
                beta = np.exp(scores) / np.exp(scores).sum()
                o = sum(b * value for b, (_, value) in zip(beta, pooled, strict=True)) @ w["out"]
                np.testing.assert_allclose(y[i, j], x[i, j] + 0.7 * o, rtol=1e-4, atol=1e-4)


def test_is_the_identity_at_first_when_only_gamma_moves():
    network = compiled(nets.SelfAttention())
    variables = network.init(KEY, X)
    np.testing.assert_array_equal(network.apply(variables, X, context=CONTEXT)[0], X)

    @jax.jit
    def gradients(gamma):
        def loss(params):
            out, _ = network.apply({**variables, "params": params}, X, context=CONTEXT)
            return jnp.sum(jnp.sin(out))

        return jax.grad(loss)({**variables["params"], "gamma": gamma})

    first, later = gradients(jnp.float32(0)), gradients(jnp.float32(1))
    assert bool(first.pop("gamma") != 0)
    assert not any(bool(g.any()) for g in jax.tree.leaves(first))
    assert all(bool(g.any() & jnp.isfinite(g).all()) for g in jax.tree.leaves(later))


def test_count_shapes_spectral_norm_and_bfloat16():
    """SAGAN for 32 pixels in kwotsin/mimicry has 256 channels in G: 81,921 parameters more."""
    x = jnp.ones((1, 16, 16, 256))
    assert count(nets.SelfAttention(), x) == 4386308 - 4304387
    assert spectral_kernels(nets.SelfAttention(), x) == (4, 4)
    assert out_shape(nets.SelfAttention(), jnp.ones((2, 3, 7, 4))) == (2, 3, 7, 4)
    check_bfloat16(nets.SelfAttention(), X)


def test_refuses_a_single_row():
    with pytest.raises(ValueError, match=r"inputs of shape \(2, 1, 5, 16\).*at least 2x2 places"):
        compiled(nets.SelfAttention()).init(KEY, X[:, :1])
