"""Data that stays on the devices: the same run as with batches sent at every call."""

import jax
import numpy as np
import pytest
import tiny_experiment

from gan_mtl import data, parallel
from gan_mtl.run import feed
from gan_mtl.run.config import Spec
from gan_mtl.update import alternating

SEEDS, STEPS = 2, 4
SPEC = Spec((8, 8, 1), 10, (-1.0, 1.0), STEPS)


@pytest.fixture(scope="module")
def sources():
    """A stream for each seed: the same images, other visible labels."""
    digits = data.load("digits")
    return [
        data.stream(data.with_labels(digits, 3, seed).train, 16, seed, labelled_batch_size=8)
        for seed in range(SEEDS)
    ]


def states_after(sources, *, resident, **options):
    """The states of all seeds after four steps."""
    updater = alternating(tiny_experiment.semi(tiny_experiment.Settings(), SPEC))
    compiled = parallel.compile_update(
        updater, seeds=SEEDS, gather=sources[0].gather if resident else None, **options
    )
    roots = jax.vmap(jax.random.key)(np.arange(SEEDS, dtype=np.uint32))
    calls = feed.feed(sources, roots, feed.step_keys, compiled.steps_per_call, resident)
    kept = {"data": compiled.keep([s.arrays for s in sources])} if resident else {}
    state = compiled.init(roots, calls.example)
    for step in range(0, STEPS, compiled.steps_per_call):
        batch = compiled.put(calls.batch(step))
        state, _ = compiled.update(step, calls.keys(step), state, batch, **kept)
    return jax.device_get(compiled.split(state))


@pytest.fixture(scope="module")
def sent(sources):
    """The reference: batches are sent, one device, one seed after another, one step per call."""
    return states_after(sources, resident=False, num_devices=1, vmap_seeds=False)


@pytest.mark.parametrize(
    "options",
    [
        {"num_devices": 1, "vmap_seeds": False},
        {"num_devices": 4, "vmap_seeds": True, "steps_per_call": 2},
        {"num_devices": 4, "vmap_seeds": True, "mode": "pmap"},
        {"num_devices": 2, "vmap_seeds": False, "mode": "pmap", "steps_per_call": 4},
    ],
)
def test_resident_data_gives_the_same_states(sources, sent, options):
    found = states_after(sources, resident=True, **options)
    first, second = (jax.tree.leaves(state.params["trunk"])[-1] for state in sent)
    assert not np.array_equal(first, second)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(sent), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


def test_images_that_all_seeds_share_are_placed_once(sources):
    updater = alternating(tiny_experiment.semi(tiny_experiment.Settings(), SPEC))
    compiled = parallel.compile_update(updater, num_devices=2, seeds=SEEDS, vmap_seeds=True)
    common, own = compiled.keep([s.arrays for s in sources])
    assert set(common) == {"images"} and common["images"].shape[0] == 1437
    assert set(own) == {"labels"} and own["labels"].shape == (SEEDS, 1437)


def test_where_data_stays(sources):
    stream = sources[0]
    assert feed.choose_resident(stream, None, "gpu")
    assert not feed.choose_resident(stream, None, "cpu")
    assert feed.choose_resident(stream, True, "cpu")
    assert not feed.choose_resident(stream._replace(arrays=None), None, "gpu")
    with pytest.raises(ValueError, match="resident=True, but this data set is read piecewise"):
        feed.choose_resident(stream._replace(arrays=None), True, "gpu")
    huge = {"images": np.broadcast_to(np.zeros((), np.uint8), (1 << 22, 32, 32, 1))}
    assert not feed.choose_resident(stream._replace(arrays=huge), None, "gpu")
    assert feed.choose_resident(stream._replace(arrays=huge), True, "gpu")


def test_keys_are_a_function_of_root_and_step(sources):
    roots = jax.vmap(jax.random.key)(np.arange(SEEDS, dtype=np.uint32))
    one = feed.feed(sources, roots, feed.step_keys, 1, False)
    four = feed.feed(sources, roots, feed.step_keys, 4, False)
    assert four.keys(0).shape == (4, SEEDS) and one.keys(2).shape == (SEEDS,)
    assert bool((four.keys(0)[2] == one.keys(2)).all())
    assert four.batch(0)["images"].shape == (4, SEEDS, 16, 8, 8, 1)
    np.testing.assert_array_equal(four.batch(0)["images"][3], one.batch(3)["images"])
