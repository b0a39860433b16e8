"""Noise and dropout: distributions, evaluation, independence from the number of devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.compiled import compiled

from gan_mtl import nets
from gan_mtl.types import Context

KEY = jax.random.key(1)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))
LAYERS = [nets.GaussianNoise(0.5), nets.Dropout(0.3)]


@pytest.mark.parametrize("layer", LAYERS)
def test_identity_in_evaluation(layer):
    x = jax.random.normal(KEY, (4, 3))
    out, _ = compiled(layer).apply({}, x, context=CONTEXT._replace(train=False))
    np.testing.assert_array_equal(out, x)


@pytest.mark.parametrize("layer", LAYERS)
def test_eight_devices_draw_what_one_draws(layer):
    x = jax.random.normal(KEY, (16, 3, 2))
    apply = compiled(layer).apply
    whole, _ = jax.jit(lambda x: apply({}, x, context=CONTEXT))(x)
    split = jax.pmap(
        lambda x: apply({}, x, context=CONTEXT._replace(axis_name="data"))[0], axis_name="data"
    )(x.reshape(8, 2, 3, 2))
    np.testing.assert_array_equal(split.reshape(x.shape), whole)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_slice_of_a_batch_draws_its_own_part(layer):
    x = jax.random.normal(KEY, (8, 3))
    apply = compiled(layer).apply
    whole, _ = apply({}, x, context=CONTEXT)
    odd, _ = apply({}, x[1::2], context=CONTEXT._replace(stride=2, offset=1))
    np.testing.assert_array_equal(odd, whole[1::2])


def test_gaussian_moments():
    x = jnp.full((400, 50), 2.0)
    out, _ = compiled(nets.GaussianNoise(0.5)).apply({}, x, context=CONTEXT)
    assert abs(float(out.mean()) - 2) < 0.02 and abs(float(out.std()) - 0.5) < 0.02


def test_dropout_keeps_the_mean_and_drops_its_rate():
    x = jnp.ones((400, 50))
    out, _ = compiled(nets.Dropout(0.3)).apply({}, x, context=CONTEXT)
    assert abs(float((out == 0).mean()) - 0.3) < 0.02
    np.testing.assert_allclose(np.unique(out), [0, 1 / 0.7], rtol=1e-6)


def test_layers_and_keys_draw_apart():
    trunk = compiled(nets.MLPTrunk((4, 4), input_noise=1.0, hidden_noise=1.0))
    x = jnp.zeros((2, 4))
    variables = trunk.init(KEY, x)
    one, _ = trunk.apply(variables, x, context=CONTEXT)
    two, _ = trunk.apply(variables, x, context=CONTEXT.fold("other"))
    assert bool((one != two).any())
    assert bool((one[0] != one[1]).any())


@pytest.mark.parametrize(
    ("layer", "message"),
    [(nets.GaussianNoise(-1.0), "std=-1.0"), (nets.Dropout(1.0), r"rate=1.0 .*\[0, 1\)")],
)
def test_errors_name_the_value(layer, message):
    with pytest.raises(ValueError, match=message):
        compiled(layer).apply({}, jnp.ones((2, 2)), context=CONTEXT)
