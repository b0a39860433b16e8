"""Checkpoints: exact, complete or not there at all, readable years later."""

import json
import math
import random

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toys
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from gan_mtl.run import fingerprint
from gan_mtl.run.checkpoints import CheckpointError, open_checkpoints
from gan_mtl.update import alternating

SMALL = {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}


@pytest.fixture(scope="module")
def toy():
    """The toy game's state after two Adam steps, and how to go on."""
    updater = alternating(toys.game(optax.adam))
    batch = toys.batch(16)
    state = jax.jit(updater.init)(jax.random.key(0), batch)
    play = jax.jit(updater.update, donate_argnums=1)
    for i in range(2):
        state, _ = play(jax.random.key(i), state, batch)
    return state, lambda state, i: play(jax.random.key(i), state, batch)[0]


def everything(state):
    """A tree with what a state may hold: optimizer states, bfloat16, typed keys, nothing at all."""
    return {
        "state": state,
        "half": jnp.linspace(-3, 3, 50, dtype=jnp.bfloat16),
        "key": jax.random.key(7),
        "keys": jax.random.split(jax.random.key(8), 3),
        "flags": jnp.array([True, False]),
        "bytes": jnp.arange(5, dtype=jnp.uint8),
        "empty": jnp.zeros((0, 3)),
        "odd": jnp.array([jnp.nan, -0.0, jnp.inf, 1e-42]),
        "nothing": {},
    }


def mesh(n):
    return jax.make_mesh((n,), ("d",), axis_types=(AxisType.Auto,), devices=jax.devices()[:n])


def on(n, tree, *spec):
    """The tree on n devices: leaves that divide are split where `spec` says so."""
    devices = mesh(n)

    def put(leaf):
        splits = spec and leaf.ndim and leaf.shape[0] and leaf.shape[0] % n == 0
        return jax.device_put(leaf, NamedSharding(devices, PartitionSpec(*spec if splits else ())))

    return jax.tree.map(put, tree)


def shapes(tree):
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=a.sharding), tree)


def damage(folder, how):
    """Damages the largest file below `folder` and gives its path."""
    path = max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    data = bytearray(path.read_bytes())
    if how == "flipped":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif how == "truncated":
        path.write_bytes(data[:-1])
    else:
        path.unlink()
    return path


def test_round_trip(tmp_path, toy):
    tree = everything(toy[0])
    checkpoints = open_checkpoints(tmp_path / "not" / "yet")
    checkpoints.save(2, tree, {"seed": 3, "position": {"epoch": 1, "drawn": [4, 5]}}, {"fid": 2.5})
    for like in (tree, shapes(tree)):
        found = checkpoints.restore(like)
        assert found.step == 2
        assert found.meta == {"seed": 3, "position": {"epoch": 1, "drawn": [4, 5]}}
        assert jax.tree.structure(found.state) == jax.tree.structure(tree)
        assert fingerprint.digest(found.state) == fingerprint.digest(tree)
        assert found.state["key"].dtype == tree["key"].dtype
        assert jax.tree.all(jax.tree.map(lambda a, b: a.sharding == b.sharding, found.state, tree))
    checkpoints.close()


@pytest.mark.parametrize(("before", "after"), [(8, 1), (1, 8), (8, 4)])
def test_another_number_of_devices(tmp_path, toy, before, after):
    tree = on(before, {**everything(toy[0]), "wide": jnp.arange(64.0).reshape(16, 4)}, "d")
    checkpoints = open_checkpoints(tmp_path)
    checkpoints.save(1, tree, {})
    checkpoints.close()
    like = on(after, jax.tree.map(jnp.zeros_like, tree), "d")
    checkpoints = open_checkpoints(tmp_path)
    for target in (like, shapes(like)):
        found = checkpoints.restore(target)
        assert fingerprint.digest(found.state) == fingerprint.digest(tree)
        assert len(found.state["wide"].sharding.device_set) == after
        assert found.state["wide"].addressable_shards[0].data.shape == (16 // after, 4)
        bumped = jax.jit(lambda a: a + 1, donate_argnums=0)(found.state["wide"])
        np.testing.assert_array_equal(bumped, np.arange(64.0).reshape(16, 4) + 1)
    checkpoints.close()


def test_a_run_goes_on_bit_for_bit(tmp_path, toy):
    state, play = toy
    state = jax.tree.map(jnp.copy, state)
    checkpoints = open_checkpoints(tmp_path)
    for i in range(3):
        state = play(state, 10 + i)
    checkpoints.save(3, state, {})
    for i in range(3, 6):
        state = play(state, 10 + i)
    again = checkpoints.restore(state).state
    for i in range(3, 6):
        again = play(again, 10 + i)
    assert fingerprint.digest(again) == fingerprint.digest(state)
    checkpoints.close()


def test_saved_values_are_held_apart_from_donated_buffers(tmp_path):
    advance = jax.jit(lambda tree: jax.tree.map(lambda a: a + 1, tree), donate_argnums=0)
    state = on(8, {"big": jnp.zeros((512, 512)), "small": jnp.zeros((8,))}, "d")
    checkpoints = open_checkpoints(tmp_path, keep=5)
    for step in range(3):
        checkpoints.save(step, state, {})
        for _ in range(10):
            state = advance(state)
    for step in range(3):
        found = checkpoints.restore(state, step).state
        assert {float(a.min()) for a in found.values()} == {10.0 * step}
        assert {float(a.max()) for a in found.values()} == {10.0 * step}
    checkpoints.close()


@pytest.mark.parametrize(
    ("values", "mode", "kept"),
    [
        ([9, 3, 5, 7, 8, 9], "min", (2, 5, 6)),
        ([9, 3, 5, 7, 8, 9], "max", (5, 6)),
        ([1, 9, 9, 1, 1, 1], "max", (3, 5, 6)),
        ([math.nan, 3, math.nan, 7, 8, math.nan], "min", (2, 5, 6)),
        ([5, math.nan, math.nan, math.inf, 8, 7], "max", (5, 6)),
        ([None, 4, None, None, 5, None], "min", (2, 5, 6)),
        ([math.nan] * 6, "min", (5, 6)),
    ],
)
def test_what_is_kept(tmp_path, values, mode, kept):
    def opened():
        return open_checkpoints(tmp_path, keep=2, best="fid", best_mode=mode)

    checkpoints = opened()
    for step, value in enumerate(values, 1):
        if step == 4:  # what is best is known after starting again, too
            checkpoints.close()
            checkpoints = opened()
        checkpoints.save(step, SMALL, {}, None if value is None else {"fid": value})
    assert checkpoints.steps() == kept
    assert checkpoints.latest() == 6
    usable = {s: v for s, v in enumerate(values, 1) if v is not None and math.isfinite(v)}
    pick = min if mode == "min" else max
    best = max((s for s in usable if usable[s] == pick(usable.values())), default=None)
    assert checkpoints.best() == best
    checkpoints.close()


def test_without_a_best_metric(tmp_path):
    checkpoints = open_checkpoints(tmp_path, keep=1, asynchronous=False)
    assert (checkpoints.latest(), checkpoints.best(), checkpoints.steps()) == (None, None, ())
    for step in (10, 20):
        checkpoints.save(step, SMALL, {}, {"fid": 1.0})
    assert checkpoints.steps() == (20,)
    assert checkpoints.best() is None
    checkpoints.close()


def test_a_step_is_never_replaced_but_may_be_discarded(tmp_path):
    checkpoints = open_checkpoints(tmp_path, keep=9)
    for step in (1, 2, 3):
        checkpoints.save(step, {"x": np.full(3, step)}, {})
    with pytest.raises(CheckpointError, match="has a checkpoint of step 2 already"):
        checkpoints.save(2, {"x": np.zeros(3)}, {})
    assert checkpoints.restore({"x": np.zeros(3, int)}, 2).state["x"][0] == 2
    assert checkpoints.discard_after(1) == (2, 3)
    assert checkpoints.steps() == (1,)
    checkpoints.save(2, {"x": np.full(3, 7)}, {})
    assert checkpoints.restore({"x": np.zeros(3, int)}).state["x"][0] == 7
    checkpoints.close()


def test_a_look_at_a_run_that_is_going_on(tmp_path):
    with pytest.raises(CheckpointError, match=r"there is no folder .*nowhere"):
        open_checkpoints(tmp_path / "nowhere", read_only=True)
    checkpoints = open_checkpoints(tmp_path)
    checkpoints.save(1, SMALL, {"a": 1})
    checkpoints.wait()
    under_way = tmp_path / "2.orbax-checkpoint-tmp"
    under_way.mkdir()
    look = open_checkpoints(tmp_path, read_only=True)
    assert look.restore(SMALL).meta == {"a": 1}
    with pytest.raises(CheckpointError, match="was opened to be read; step 2 is not saved"):
        look.save(2, SMALL, {})
    look.close()
    assert under_way.is_dir()
    checkpoints.close()


@pytest.mark.parametrize("how", ["truncated", "flipped", "missing"])
def test_damage_is_noticed_and_the_step_before_is_offered(tmp_path, how):
    checkpoints = open_checkpoints(tmp_path, keep=3)
    tree = {"x": jax.random.normal(jax.random.key(0), (100, 100))}
    for step in (200, 400, 600):
        checkpoints.save(step, tree, {})
    checkpoints.close()
    path = damage(tmp_path / "600" / "state", how)
    checkpoints = open_checkpoints(tmp_path, keep=3)
    with pytest.raises(CheckpointError) as error:
        checkpoints.restore(tree)
    for part in (str(tmp_path / "600"), str(path), "--restore-step 400 (also there: 200)"):
        assert part in str(error.value)
    assert checkpoints.restore(tree, 400).step == 400
    damage(tmp_path / "400" / "state", "missing")
    with pytest.raises(CheckpointError, match=r"start again with --restore-step 200$"):
        checkpoints.restore(tree)
    damage(tmp_path / "200" / "manifest", "truncated")
    with pytest.raises(CheckpointError, match="no other checkpoint is left there"):
        checkpoints.restore(tree)
    checkpoints.close()


def test_no_flipped_bit_goes_unnoticed(tmp_path):
    """A bit anywhere in any file: an error, or in what Orbax alone reads, the same values."""
    tree = {"x": jax.random.normal(jax.random.key(0), (40, 40)), "y": jnp.zeros((3,))}
    checkpoints = open_checkpoints(tmp_path)
    checkpoints.save(1, tree, {"seed": 5})
    checkpoints.wait()
    draw = random.Random(0)
    noticed = 0
    files = [p for p in (tmp_path / "1").rglob("*") if p.is_file()]
    for path in files * 2:
        data = path.read_bytes()
        flipped = bytearray(data)
        flipped[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        path.write_bytes(flipped)
        try:
            found = checkpoints.restore(tree)
        except CheckpointError:
            noticed += 1
        else:
            assert path.parent == tmp_path / "1" and "json" not in path.name, path
            assert fingerprint.digest(found.state) == fingerprint.digest(tree)
            assert found.meta == {"seed": 5}
        path.write_bytes(data)
    assert noticed >= 2 * (len(files) - 2)
    checkpoints.close()


def test_values_are_compared_even_where_the_files_are_as_written(tmp_path):
    checkpoints = open_checkpoints(tmp_path)
    checkpoints.save(1, {"x": np.zeros(3), "y": np.ones(2)}, {})
    checkpoints.save(2, {"x": np.zeros(3), "y": np.ones(2)}, {})
    checkpoints.close()
    manifest = tmp_path / "2" / "manifest" / "metadata"
    content = json.loads(manifest.read_text())
    content["leaves"]["['y']"][1] = "0" * 64
    content["seal"] = fingerprint.seal({k: v for k, v in content.items() if k != "seal"})
    manifest.write_text(json.dumps(content))
    temporary = (tmp_path / "2").rename(tmp_path / "2.orbax-checkpoint-tmp")
    (temporary / fingerprint.INVENTORY).unlink()
    fingerprint.write_inventories(tmp_path)
    temporary.rename(tmp_path / "2")
    checkpoints = open_checkpoints(tmp_path)
    with pytest.raises(
        CheckpointError, match=r"values of \['y'\] are not those .*--restore-step 1$"
    ):
        checkpoints.restore({"x": np.zeros(3), "y": np.ones(2)})
    checkpoints.close()


def test_a_state_of_another_game(tmp_path):
    checkpoints = open_checkpoints(tmp_path)
    checkpoints.save(4, {"params": {"disc": jnp.zeros((2, 3))}, "old": jnp.zeros((1,))}, {})
    with pytest.raises(CheckpointError) as error:
        checkpoints.restore({"params": {"disc": jnp.zeros((2, 5))}, "new": jnp.zeros(())})
    message = str(error.value)
    assert "['params']['disc'] is float32[2,3] there and float32[2,5] here" in message
    assert "['old'] is float32[1] there and absent here" in message
    assert "['new'] is absent there and float32[] here" in message
    assert str(tmp_path / "4") in message and "--restore-step" not in message
    checkpoints.close()


def test_steps_that_are_not_there(tmp_path):
    checkpoints = open_checkpoints(tmp_path)
    with pytest.raises(CheckpointError, match="holds no complete checkpoint"):
        checkpoints.restore(SMALL)
    checkpoints.save(1, SMALL, {})
    with pytest.raises(CheckpointError, match=r"has no checkpoint of step 7; it has 1$"):
        checkpoints.restore(SMALL, 7)
    checkpoints.close()


def test_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match="keep must be at least 1, got 0"):
        open_checkpoints(tmp_path, keep=0)
    with pytest.raises(ValueError, match="'max' or 'min', got 'least'"):
        open_checkpoints(tmp_path, best_mode="least")
    checkpoints = open_checkpoints(tmp_path)
    with pytest.raises(ValueError, match="meta must hold JSON values only"):
        checkpoints.save(1, SMALL, {"array": np.zeros(2)})
    assert checkpoints.steps() == ()
    checkpoints.close()


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        CheckpointError, match=r"cannot write checkpoints into .*file/run.*--workdir"
    ):
        open_checkpoints(tmp_path / "file" / "run")
