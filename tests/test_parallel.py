"""What is chosen, said and refused: the mesh, steps in a call, seeds, variants, placed data."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toys
import zoo
from jax.sharding import PartitionSpec
from marks import slow

from gan_mtl import parallel
from gan_mtl.update import alternating

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    "marks, steps",
    [
        ((20,), 20),
        ((1000, 50, 250), 10),
        ((30, 12), 6),
        ((48,), 16),
        ((7, 14), 7),
        ((23,), 1),
        ((9, 8), 1),
    ],
)
def test_a_call_ends_at_every_mark_on_accelerators(monkeypatch, marks, steps):
    """The largest common divisor that is at most 20; on a CPU always one step."""
    assert parallel.steps_that_divide(*marks) == 1
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert parallel.steps_that_divide(*marks) == steps
    common = [n for n in range(1, 21) if all(mark % n == 0 for mark in marks)]
    assert steps == common[-1]


@pytest.mark.parametrize(
    "backend, said", [("cpu", "1 step per call"), ("gpu", "20 steps per call")]
)
def test_steps_in_a_call_are_chosen_by_backend(monkeypatch, backend, said):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    compiled = parallel.compile_update(alternating(toys.game()), num_devices=1)
    assert compiled.description.endswith(said)
    assert compiled.steps_per_call == int(said.split()[0])
    asked = parallel.compile_update(alternating(toys.game()), num_devices=1, steps_per_call=3)
    assert asked.steps_per_call == 3 and "3 steps per call" in asked.description


def test_the_mesh_has_two_axes_and_large_arrays_are_sharded_over_the_second(monkeypatch):
    assert parallel.make_mesh(8, model=2).shape == {"data": 4, "model": 2}
    assert parallel.make_mesh().shape == {"data": 8, "model": 1}
    monkeypatch.setattr(parallel, "LARGE", 12)
    assert parallel._spec(np.zeros((6, 4)), 2) == PartitionSpec("model")
    assert parallel._spec(np.zeros((3, 6)), 2) == PartitionSpec(None, "model")
    assert parallel._spec(np.zeros((3, 5)), 2) == PartitionSpec()
    assert parallel._spec(np.zeros((2, 4)), 2) == PartitionSpec()  # small
    assert parallel._spec(np.zeros((6, 4)), 1) == PartitionSpec()


@pytest.mark.parametrize("mode", ["jit", "pmap"])
def test_batches_are_put_by_examples(mode):
    """Device i holds the i-th part of the examples, behind the axes of steps and seeds."""
    compiled = parallel.compile_update(
        alternating(toys.game()),
        mode=mode,
        num_devices=2,
        seeds=3,
        vmap_seeds=True,
        steps_per_call=2,
    )
    x = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    placed = compiled.put({"x": x})["x"]
    if mode == "pmap":
        np.testing.assert_array_equal(placed, x.reshape(2, 3, 2, 2, 5))
    else:
        for i, shard in enumerate(placed.addressable_shards):
            np.testing.assert_array_equal(shard.data, x[:, :, 2 * i : 2 * i + 2])
    with pytest.raises(ValueError, match=r"x=3 does not divide over 2 devices; use 2 or 4"):
        compiled.put({"x": x[:, :, :3]})


def test_the_folder_of_compiled_programs(monkeypatch, tmp_path):
    """The path given, else the environment's, else the user's cache folder."""
    before = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    try:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
        expected = str(tmp_path / "gan_mtl" / "jax")
        assert parallel.enable_compilation_cache() == expected
        monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/named")
        assert parallel.enable_compilation_cache() == "/named"
        assert parallel.enable_compilation_cache(tmp_path) == str(tmp_path)
        assert jax.config.jax_compilation_cache_dir == str(tmp_path)  # pyright: ignore
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


@pytest.mark.parametrize("together", [True, *slow(False)])
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
            toys.assert_agree(split, alone, 1e-10)
        again = compiled.split(compiled.join(compiled.split(state)))
        toys.assert_agree(again, compiled.split(state), 0)


@pytest.mark.parametrize("mode", ["pmap", *slow("jit")])
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
        toys.assert_agree(many.split(scanned), one.split(state), 1e-10)


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
