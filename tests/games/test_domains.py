"""Two domains side by side: passes, hidden labels, messages."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from linear import linear

from gan_mtl import data, games
from gan_mtl.games import domains as domains_lib
from gan_mtl.types import Context, Network, Schedule, starting
from gan_mtl.update import alternating

KEY = jax.random.key(5)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))
DOMAINS = games.Domains("a", "b")
S, T = jax.random.normal(KEY, (2, 4, 3)) + jnp.array([0.0, 5.0])[:, None, None]


def centring():
    """Inputs less their batch mean, which is kept; per-example noise would show a wrong index."""

    def apply(variables, x, context):
        mean = x.mean(axis=0)
        return x - mean[None] + 100 * context.index(len(x))[:, None], {"seen": {"mean": mean}}

    return Network(lambda key, x: {"params": {}, "seen": {"mean": x.mean(axis=0)}}, apply)


def run(passes):
    network, domains = centring(), DOMAINS._replace(passes=passes)
    variables = starting({"trunk": network.init(KEY, S)})
    pair, after = domains_lib.over_both(network, "trunk", (S, T), domains, variables, CONTEXT)
    return pair, after.state["trunk"]["seen"]["mean"]


def test_separate_passes_normalise_each_domain_and_a_joint_one_both_together():
    steps = 100 * jnp.arange(4)[:, None]
    (source, target), last = run("separate")
    np.testing.assert_allclose(source, S - S.mean(axis=0)[None] + steps, atol=1e-4)
    np.testing.assert_allclose(target, T - T.mean(axis=0)[None] + steps, atol=1e-4)
    np.testing.assert_allclose(last, T.mean(axis=0), rtol=1e-5)  # the target's pass is the later
    (source, target), last = run("joint")
    middle = (S.mean(axis=0) + T.mean(axis=0)) / 2
    np.testing.assert_allclose(source, S - middle[None] + 2 * steps, atol=1e-4)
    np.testing.assert_allclose(target, T - middle[None] + 2 * steps + 100, atol=1e-4)
    np.testing.assert_allclose(last, middle, rtol=1e-5)


@pytest.mark.parametrize("passes", ["separate", "joint"])
def test_one_domain_alone_is_seen_as_beside_the_other(passes):
    network, domains = centring(), DOMAINS._replace(passes=passes)
    variables, batch = starting({"trunk": network.init(KEY, S)}), {"images/a": S, "images/b": T}
    tag = CONTEXT.fold("trunk")
    both, _ = domains_lib.over_both(network, "trunk", (S, T), domains, variables, tag)
    for which in (0, 1):
        one, _ = domains_lib.one_of(network, which, domains, variables, batch, CONTEXT)
        np.testing.assert_array_equal(one, both[which])


def test_one_loss_of_both_domains_is_the_sum_of_their_means():
    values, weights = (jnp.array([1.0, 3.0]), jnp.array([4.0])), jnp.array([3.0, 1.0])
    found = domains_lib.both(*values, CONTEXT)
    np.testing.assert_allclose((found.values * found.mask).sum() / found.mask.sum(), 6.0)
    found = domains_lib.both(*values, CONTEXT, (weights, jnp.array([7.0])))
    np.testing.assert_allclose((found.values * found.mask).sum() / found.mask.sum(), 5.5)


def test_the_target_s_labels_change_nothing():
    game = games.dann(
        linear(3),
        (games.source_task(linear(3), DOMAINS),),
        linear(None),
        optax.sgd(0.1),
        domains=DOMAINS,
    )
    batch = {"images/a": S, "labels/a": jnp.array([0, 1, 2, 0]), "images/b": T}
    updater = alternating(game)
    start, update = updater.init(KEY, batch), jax.jit(updater.update)
    plain, _ = update(KEY, start, {**batch, "labels/b": jnp.zeros(4)})
    for garbage in (jnp.full(4, jnp.nan), jnp.array([9.0, -1.0, 1e9, 2.0])):
        state, metrics = update(KEY, start, {**batch, "labels/b": garbage})
        jax.tree.map(np.testing.assert_array_equal, state.params, plain.params)
        assert all(bool(jnp.isfinite(x)) for x in metrics.values())


def test_a_joined_data_set_is_read_by_the_names_of_its_sources():
    rng = np.random.default_rng(0)
    parts = []
    for name in ("a", "b"):
        images = rng.integers(0, 256, (12, 2, 2, 1)).astype(np.uint8)
        split = data.Split(images, (np.arange(12) % 3).astype(np.int32))
        parts.append(data.assemble(name, split, split, ("x", "y", "z"), source="made"))
    whole = data.joined("both", parts)
    batch = data.joined_stream(whole.train, whole.sources, 4, seed=0).batch(0)
    assert set(batch) == {*DOMAINS.images, *DOMAINS.labels}
    task = games.source_task(linear(3), DOMAINS)
    game = games.coral(linear(3), (task,), optax.sgd(0.1), domains=DOMAINS)
    outcome = game.turns[0].losses(starting(game.init(KEY, batch)), batch, CONTEXT)
    assert np.isfinite(outcome.losses["class"].values).all()


def test_bad_input_is_refused_by_name():
    batch = {"images/a": S, "labels/a": jnp.zeros(4, int), "images/b": T}
    domains_lib.check_batch(DOMAINS, batch)
    with pytest.raises(ValueError, match=r"batch entry 'images/c'; the batch has \['images/a'"):
        domains_lib.check_batch(games.Domains("a", "c"), batch)
    with pytest.raises(ValueError, match=r"shapes \(3,\) and \(2,\): resize them to one"):
        domains_lib.check_batch(DOMAINS, {**batch, "images/b": T[:, :2]})
    for options, why in (({"paired": True}, "examples in pairs"), ({}, "a joint pass")):
        domains = DOMAINS if options else DOMAINS._replace(passes="joint")
        with pytest.raises(ValueError, match=f"{why} needs as many.*got 4 of 'a' and 2 of 'b'"):
            domains_lib.check_batch(domains, {**batch, "images/b": T[:2]}, **options)
    with pytest.raises(ValueError, match="source and target are both 'a'"):
        domains_lib.check_domains(games.Domains("a", "a"), ())
    with pytest.raises(ValueError, match="passes='mixed' is not 'separate' or 'joint'"):
        domains_lib.check_domains(DOMAINS._replace(passes="mixed"), ())
    for weight in (-1.0, Schedule(lambda step: 1.0, "one", -1)):
        with pytest.raises(ValueError, match="strength of the reversal, at least 0"):
            domains_lib.ascended(weight)
    task = games.source_task(linear(3), DOMAINS, augment=lambda x, context: x)
    with pytest.raises(ValueError, match="'class' says the classes of examples as they are"):
        domains_lib.conditioning((task,), "class")
