"""Games whose rows look at the whole batch: one device, jit and pmap over 8 agree, in float64."""

import functools

import jax
import jax.numpy as jnp
import pytest
import toys
import zoo
from marks import slow

from gan_mtl import parallel
from gan_mtl.update import alternating

STEPS = 3


def cast(tree):
    return jax.tree.map(
        lambda x: x.astype(float) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree
    )


@functools.cache
def last_state(name, mode, devices):
    """After some steps with sources of 16 and 8 examples, on the host."""
    with jax.enable_x64():
        updater = alternating(zoo.GAMES[name]())
        batch = jax.device_get(zoo.batch(16, 8, dtype=jnp.float64))
        start = cast(jax.jit(updater.init)(jax.random.key(0), batch))
        compiled = parallel.compile_update(updater, mode=mode, num_devices=devices)
        state = compiled.join([jax.device_get(start)])
        for step in range(STEPS):
            key = jax.random.fold_in(jax.random.key(1), step)
            state, _ = compiled.update(step, key, state, compiled.put(batch))
        return jax.device_get(compiled.split(state)[0])


@pytest.mark.parametrize("mode", ["pmap", *slow("jit")])
@pytest.mark.parametrize("name", ["task_gans", *slow("several_discriminators")])
def test_eight_devices_agree_with_one(name, mode):
    toys.assert_agree(last_state(name, "jit", 1), last_state(name, mode, 8), 1e-10)


@pytest.mark.parametrize(
    "name",
    [
        *("informed", "vision", "beta_vae", "joint_cdan"),
        *slow(
            "packed_ahead",
            "contrastive",
            "balanced",
            "per_pixel",
            "from_maps",
            "judged_maps",
            "ali",
            "mended",
            "coupled_pair",
            "through_a_code",
            "aligned",
            "separated",
        ),
    ],
)
def test_what_looks_at_the_whole_batch_agrees_under_pmap(name):
    toys.assert_agree(last_state(name, "jit", 1), last_state(name, "pmap", 8), 1e-10)
