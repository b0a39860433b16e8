"""WaveGAN: the phase shuffle by hand, sizes of the paper, shapes, draws by example, bad input."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl import nets
from gan_mtl.nets.wavegan import shuffle_phase
from gan_mtl.types import Context

KEY = jax.random.key(2)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))


def test_every_example_is_shifted_by_its_own_reflected_shift():
    x = np.arange(12.0).reshape(1, 6, 1, 2).repeat(40, axis=0).astype(np.float32)
    found = np.asarray(shuffle_phase(jnp.asarray(x), 2, CONTEXT))
    seen = set()
    for example in found:
        padded = np.pad(x[0], ((2, 2), (0, 0), (0, 0)), mode="reflect")
        (shift,) = (k for k in range(5) if np.array_equal(example, padded[k : k + 6]))
        seen.add(shift)
    assert seen == set(range(5))  # 40 draws of five values


def test_a_shift_belongs_to_the_example_and_not_to_its_slice():
    x = jax.random.normal(KEY, (8, 6, 1, 1))
    whole = shuffle_phase(x, 2, CONTEXT)
    half = shuffle_phase(x[1::2], 2, CONTEXT._replace(stride=2, offset=1))
    np.testing.assert_array_equal(whole[1::2], half)


def test_it_is_for_training_alone():
    x = jax.random.normal(KEY, (4, 8, 1, 2))
    network = nets.from_linen(nets.PhaseShuffle(2))
    shuffled, _ = network.apply({"params": {}}, x, context=CONTEXT)
    same, _ = network.apply({"params": {}}, x, context=CONTEXT._replace(train=False))
    np.testing.assert_array_equal(same, x)
    assert not np.array_equal(shuffled, x)


def _count(module, *inputs):
    network = nets.from_linen(module)
    params = jax.eval_shape(lambda *x: network.init(KEY, *x), *inputs)["params"]
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def test_sizes_of_the_paper_s_networks():
    """By hand: kernels of 25 samples, biases, one dense layer."""
    widths = (1024, 512, 256, 128, 64, 1)
    layers = list(itertools.pairwise(widths))
    up = sum(25 * a * b + b for a, b in layers)
    down = sum(25 * a * b + a for a, b in layers)
    waves = jnp.ones((1, 16_384, 1, 1))
    made = _count(nets.WaveGANGenerator(), jnp.ones((1, 100)))
    assert made == 100 * 16_384 + 16_384 + up == 19_065_345
    seen = _count(nets.WaveGANTrunk(), waves) + _count(nets.Head(), jnp.ones((1, 16_384)))
    assert seen == down + 16_384 + 1 == 17_427_969


def _made(module, *inputs):
    network = nets.from_linen(module)

    def run(*inputs):
        return network.apply(network.init(KEY, *inputs), *inputs, context=CONTEXT)[0]

    return jax.eval_shape(run, *inputs)


def test_shapes_with_a_condition():
    waves = _made(nets.WaveGANGenerator(2048, width=1), jnp.ones((2, 3)), jnp.eye(2))
    assert waves.shape == (2, 2048, 1, 1) and waves.dtype == jnp.float32
    assert _made(nets.WaveGANTrunk(width=1), jnp.ones((2, 2048, 1, 1))).shape == (2, 2 * 16)


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match="samples=1000 is no multiple of 1024"):
        _count(nets.WaveGANGenerator(1000), jnp.ones((1, 2)))
    with pytest.raises(ValueError, match=r"takes \[n, t, 1, channels\]"):
        _count(nets.WaveGANTrunk(), jnp.ones((1, 1024, 2, 1)))
    with pytest.raises(ValueError, match="radius=6: expected 0 to 5 for 6 samples"):
        shuffle_phase(jnp.ones((1, 6, 1, 1)), 6, CONTEXT)
