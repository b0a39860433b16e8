"""One device, jit over 8 and pmap over 8 are the same update: float64 to 1e-10, float32 to 1e-5."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toys
import zoo

from gan_mtl import audit, parallel
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


def assert_agree(a, b, tolerance):
    for (path, x), y in zip(jax.tree.leaves_with_path(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(
            x, y, rtol=tolerance, atol=tolerance, err_msg=jax.tree_util.keystr(path)
        )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("mode", ["jit", "pmap"])
def test_eight_devices_agree_with_one_in_float64(mode, optimizer):
    """Parameters, statistics, EMA, optimizer state and losses after 20 steps."""
    one = trajectory(optimizer, "jit", 1)
    eight = trajectory(optimizer, mode, 8)
    assert one[1].params["gen"]["kernel"].dtype == np.float64
    assert_agree(one[2], eight[2], 1e-10)
    assert_agree(one[1], eight[1], 1e-10)


@pytest.mark.parametrize("mode", ["jit", "pmap"])
def test_repeated_turns_take_the_same_slices_on_any_number_of_devices(mode):
    one = trajectory("sgd", "jit", 1, repeats=2)
    assert_agree(one[1:], trajectory("sgd", mode, 8, repeats=2)[1:], 1e-10)


@pytest.mark.parametrize("mode", ["jit", "pmap"])
def test_float32_agrees_to_rounding(mode):
    one = trajectory("sgd", "jit", 1, dtype="float32")
    assert_agree(one[0], trajectory("sgd", mode, 8, dtype="float32")[0], 1e-5)


def test_the_mesh_may_shard_large_parameters_over_a_second_axis(monkeypatch):
    monkeypatch.setattr(parallel, "LARGE", 12)
    trajectory.cache_clear()
    one = trajectory("adam", "jit", 1)
    assert_agree(one[1:], trajectory("adam", "jit", 8, model=2)[1:], 1e-10)
    mesh = parallel.make_mesh(8, model=2)
    kernel = np.zeros((6, 4))
    assert parallel._spec(kernel, 2) == jax.sharding.PartitionSpec("model")
    assert parallel._spec(np.zeros((3, 6)), 2) == jax.sharding.PartitionSpec(None, "model")
    assert parallel._spec(np.zeros((3, 5)), 2) == jax.sharding.PartitionSpec()
    assert mesh.shape == {"data": 4, "model": 2}


@pytest.mark.parametrize("together", [True, False])
def test_seeds_in_one_program_or_in_turn_equal_single_runs(together):
    with jax.enable_x64(True):
        updater = alternating(toys.game())
        keys = jax.random.split(jax.random.key(5), 2)
        batches = [toys.batch(8, seed=i, dtype=jnp.float64) for i in range(2)]
        both = {k: np.stack([b[k] for b in batches]) for k in batches[0]}
        compiled = parallel.compile_update(
            updater, num_devices=2, seeds=2, vmap_seeds=together, steps_per_call=1
        )
        state = compiled.init(keys, both)
        for i in range(3):
            step_keys = jax.vmap(lambda k, i=i: jax.random.fold_in(k, i))(keys)
            state, metrics = compiled.update(i, step_keys, state, compiled.put(both))
        assert metrics["disc/class"].shape == (2,)
        for n, split in enumerate(compiled.split(state)):
            alone = jax.jit(updater.init)(keys[n], batches[n])
            update = jax.jit(updater.update)
            for i in range(3):
                alone, _ = update(jax.random.fold_in(keys[n], i), alone, batches[n])
            assert_agree(split, alone, 1e-10)
        again = compiled.split(compiled.join(compiled.split(state)))
        assert_agree(again, compiled.split(state), 0)


@pytest.mark.parametrize("mode", ["jit", "pmap"])
def test_many_steps_in_one_call_equal_single_calls(mode):
    with jax.enable_x64(True):
        updater = alternating(toys.game(optax.adam))
        batches = [toys.batch(8, seed=i, dtype=jnp.float64) for i in range(4)]
        keys = jax.random.split(jax.random.key(5), 4)
        many = parallel.compile_update(updater, mode=mode, num_devices=4, steps_per_call=4)
        one = parallel.compile_update(updater, num_devices=1, steps_per_call=1)
        start = jax.device_get(jax.jit(updater.init)(keys[0], batches[0]))
        state = one.join([start])
        for i in range(4):
            state, _ = one.update(i, keys[i], state, one.put(batches[i]))
        stacked = {k: np.stack([b[k] for b in batches]) for k in batches[0]}
        scanned, metrics = many.update(0, keys, many.join([start]), many.put(stacked))
        assert metrics["gen/adversarial"].shape == (4,)
        assert bool(jnp.isnan(metrics["disc/penalty"][1])) and not bool(
            jnp.isnan(metrics["disc/penalty"][2])
        )
        assert_agree(many.split(scanned), one.split(state), 1e-10)


def test_each_variant_is_compiled_once():
    updater = alternating(toys.game())
    traces = []

    def counted(*args, due=None, **kwargs):
        traces.append(due)
        return updater.update(*args, due=due, **kwargs)

    compiled = parallel.compile_update(updater._replace(update=counted), num_devices=1)
    batch = toys.batch(8)
    state = compiled.init(jax.random.key(0), batch)
    for i in range(10):
        key = jax.random.fold_in(jax.random.key(1), i)
        state, _ = compiled.update(i, key, state, compiled.put(batch))
    assert sorted(traces) == [(False,), (True,)]


def test_bad_choices_are_refused_by_name():
    updater = alternating(toys.game())
    with pytest.raises(ValueError, match="parallel='xla'"):
        parallel.compile_update(updater, mode="xla")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"devices=9, but 8.*--devices"):
        parallel.compile_update(updater, num_devices=9)
    with pytest.raises(ValueError, match="model=3 does not divide the 8"):
        parallel.make_mesh(8, model=3)
    with pytest.raises(ValueError, match=r"batch_size=30 .* 8 devices; use 24 or 32"):
        parallel.check_divides(30, 8)


def test_the_choice_of_seeds_is_said():
    updater = alternating(toys.game())
    example = (jax.random.key(0), toys.batch(8))
    text = parallel.compile_update(updater, seeds=3, example=example).description
    assert "3 seeds vmapped" in text and "jit on 8 cpu devices" in text
    updater = alternating(zoo.game("classifier"))
    example = (jax.random.key(0), zoo.batch())
    text = parallel.compile_update(updater, seeds=3, example=example).description
    assert "3 seeds in turn (convolutions of 4 pixels on CPU)" in text

    def convolve(x):
        return jax.lax.conv(x, jnp.ones((1, 1, 3, 3)), (1, 1), "SAME")

    looped = jax.jit(lambda x: jax.lax.fori_loop(0, 2, lambda i, x: convolve(x), x))
    assert audit.largest_convolution(looped, jnp.ones((1, 1, 28, 20))) == 28
    assert audit.largest_convolution(jnp.sin, jnp.ones(3)) == 0
