"""One device, jit over 8 and pmap over 8 are the same update: float64 to 1e-10, float32 to 1e-5."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toys
from marks import slow

from gan_mtl import parallel
from gan_mtl.update import alternating

STEPS = 20
OPTIMIZERS = {"sgd": optax.sgd, "adam": optax.adam}


def cast(tree, dtype):
    return jax.tree.map(
        lambda x: x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree
    )


@functools.cache
def trajectory(optimizer, mode, num_devices, dtype="float64", repeats=1, **options):
    """States after 1 and after 20 steps, and all metrics, on the host."""
    with jax.enable_x64(dtype == "float64"):
        game = toys.game(OPTIMIZERS[optimizer], repeats=repeats)
        updater = alternating(game)
        compiled = parallel.compile_update(
            updater, mode=mode, num_devices=num_devices, steps_per_call=1, **options
        )
        batches = [toys.batch(16 * repeats, seed=i, dtype=jnp.dtype(dtype)) for i in range(STEPS)]
        start = cast(jax.jit(updater.init)(jax.random.key(0), batches[0]), jnp.dtype(dtype))
        state = compiled.join([jax.device_get(start)])
        seen, first = [], None
        for i in range(STEPS):
            key = jax.random.fold_in(jax.random.key(1), i)
            state, metrics = compiled.update(i, key, state, compiled.put(batches[i]))
            seen.append(jax.device_get(metrics))
            first = first or jax.device_get(compiled.split(state)[0])
        return first, jax.device_get(compiled.split(state)[0]), seen


@pytest.mark.parametrize("optimizer", ["adam", *slow("sgd")])
@pytest.mark.parametrize("mode", ["jit", "pmap"])
def test_eight_devices_agree_with_one_in_float64(mode, optimizer):
    """Parameters, statistics, EMA, optimizer state and losses after 20 steps."""
    one = trajectory(optimizer, "jit", 1)
    eight = trajectory(optimizer, mode, 8)
    assert one[1].params["gen"]["kernel"].dtype == np.float64
    toys.assert_agree(one[2], eight[2], 1e-10)
    toys.assert_agree(one[1], eight[1], 1e-10)


@pytest.mark.parametrize("mode", ["pmap", *slow("jit")])
def test_repeated_turns_take_the_same_slices_on_any_number_of_devices(mode):
    one = trajectory("sgd", "jit", 1, repeats=2)
    toys.assert_agree(one[1:], trajectory("sgd", mode, 8, repeats=2)[1:], 1e-10)


@pytest.mark.parametrize("mode", ["pmap", *slow("jit")])
def test_float32_agrees_to_rounding(mode):
    one = trajectory("sgd", "jit", 1, dtype="float32")
    toys.assert_agree(one[0], trajectory("sgd", mode, 8, dtype="float32")[0], 1e-5)


def test_the_mesh_may_shard_large_parameters_over_a_second_axis(monkeypatch):
    monkeypatch.setattr(parallel, "LARGE", 12)
    trajectory.cache_clear()
    one = trajectory("adam", "jit", 1)
    toys.assert_agree(one[1:], trajectory("adam", "jit", 8, model=2)[1:], 1e-10)
