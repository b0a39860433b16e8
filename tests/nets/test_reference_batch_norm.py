"""Virtual batch normalisation against float64 NumPy, and its independence from the batch."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.checks import CONTEXT, KEY, check_devices, check_gradients
from nets.compiled import compiled

from gan_mtl import nets

REFERENCE, N = 5, 4
X = 2 + jax.random.normal(KEY, (REFERENCE + N, 3, 4, 2))


class _Network(nn.Module):
    reference: int = REFERENCE

    @nn.compact
    def __call__(self, x: Any, *, context: Any) -> Any:
        x = nets.Conv(3)(x, context=context)
        x = nn.relu(nets.VirtualBatchNorm(self.reference)(x, context=context))
        return nets.Head()(x, context=context)


@pytest.mark.parametrize("x", [X, X[:, 0, 0]], ids=["maps", "vectors"])
def test_each_example_is_normalised_by_the_reference_and_itself(x):
    network = compiled(nets.VirtualBatchNorm(REFERENCE))
    variables = network.init(KEY, x)
    assert set(variables) == {"params"}
    out, _ = network.apply(variables, x, context=CONTEXT)
    scale = np.asarray(variables["params"]["scale"], np.float64)
    wide = np.asarray(x, np.float64).reshape(x.shape[0], -1, 2)
    reference = wide[:REFERENCE]
    mean, square = reference.mean((0, 1)), (reference**2).mean((0, 1))
    for n, example in enumerate(wide):
        m, s = mean, square
        if n >= REFERENCE:
            m = (example.mean(0) + REFERENCE * mean) / (REFERENCE + 1)
            s = ((example**2).mean(0) + REFERENCE * square) / (REFERENCE + 1)
        expected = scale * (example - m) / np.sqrt(s - m**2 + 1e-5)
        np.testing.assert_allclose(out[n].reshape(-1, 2), expected, rtol=1e-3, atol=1e-4)


def test_the_reference_is_fixed_and_no_example_sees_another():
    network = compiled(nets.WithReference(_Network(), REFERENCE))
    variables = network.init(KEY, X)
    np.testing.assert_array_equal(variables["reference"]["input_0"], X[:REFERENCE])
    x = X[REFERENCE:]
    logits, new = network.apply(variables, x, context=CONTEXT)
    assert logits.shape == (N,)
    np.testing.assert_array_equal(new["reference"]["input_0"], X[:REFERENCE])
    moved, _ = network.apply(variables, x.at[0].add(1.0), context=CONTEXT)
    assert bool(moved[0] != logits[0])
    np.testing.assert_allclose(moved[1:], logits[1:], rtol=1e-6)
    still, _ = network.apply(variables, x, context=CONTEXT._replace(train=False))
    np.testing.assert_allclose(still, logits, rtol=1e-6)


def test_gradients_bfloat16_and_devices():
    module = nets.WithReference(_Network(), REFERENCE)
    check_gradients(module, X, dead=("Conv_0/bias",))  # the normalisation takes it away
    narrow = compiled(nets.VirtualBatchNorm(REFERENCE, dtype=jnp.bfloat16))
    out, _ = narrow.apply(narrow.init(KEY, X), X, context=CONTEXT)
    assert out.dtype == jnp.float32 and bool(jnp.isfinite(out).all())
    check_devices(nets.WithReference(_Network(2), 2), X[:4])


def test_errors_name_value_and_remedy():
    with pytest.raises(ValueError, match=r"reference=10 for 9 examples.*WithReference"):
        compiled(nets.VirtualBatchNorm(10)).init(KEY, X)
    with pytest.raises(ValueError, match=r"size=5 of a reference batch.* 4 examples"):
        compiled(nets.WithReference(_Network(), REFERENCE)).init(KEY, X[:4])
