"""DANN and CDAN: table, losses by hand, reversal as an operation, a toy with a known answer."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from linear import linear

from gan_mtl import games, nets, table
from gan_mtl.losses import cross_entropy, gradient_reversal
from gan_mtl.types import Context, Schedule, starting
from gan_mtl.update import alternating, variables_of

KEY = jax.random.key(5)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))
DOMAINS = games.Domains("a", "b")
RNG = np.random.default_rng(0)
CLASS = games.source_task(linear(3), DOMAINS)


def batch(n=6, m=6):
    return {
        "images/a": jnp.asarray(RNG.normal(size=(n, 2, 2, 1)), jnp.float32),
        "labels/a": jnp.asarray(RNG.integers(0, 3, n)),
        "images/b": jnp.asarray(1 + RNG.normal(size=(m, 2, 2, 1)), jnp.float32),
    }


BATCH = batch()


def dann(**options):
    return games.dann(linear(3), (CLASS,), linear(None), optax.sgd(0.1), domains=DOMAINS, **options)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def outcome(game, data):
    groups = game.init(KEY, data)
    return game.turns[0].losses(starting(groups), data, CONTEXT), groups


def logits_by_hand(groups, data):
    """The features of both domains through the linear trunk, and their domain logits."""
    trunk, judge = (np.asarray(groups[n]["params"]["w"]) for n in ("trunk", "domain"))
    hidden = [np.asarray(data[f"images/{d}"]).reshape(-1, 4) @ trunk for d in "ab"]
    return hidden, [h @ judge for h in hidden] if judge.shape[0] == 3 else None


def test_their_table():
    lines = table.render(dann(weight=games.dann_schedule(100))).splitlines()
    assert [line.split() for line in lines] == [
        ["turn", "objective", "trunk", "heads/class", "domain"],
        ["model", "class", "1", "1", "."],
        ["model", "domain", "-1*ramp(100)", ".", "1"],
    ]


def test_the_schedule_is_the_paper_s():
    schedule = games.dann_schedule(200, highest=0.5)
    steps = np.array([0, 1, 20, 100, 200])
    wanted = 0.5 * (2 / (1 + np.exp(-10 * steps / 200)) - 1)
    np.testing.assert_allclose(schedule.value(jnp.asarray(steps)), wanted, rtol=1e-5, atol=1e-9)
    assert float(schedule.value(jnp.asarray(999))) == float(schedule.value(jnp.asarray(200)))
    with pytest.raises(ValueError, match="steps: expected at least 1"):
        games.dann_schedule(0)


def test_the_domain_loss_is_the_sum_of_both_domains_means():
    """Of unequal numbers; a source example is a one."""
    data = batch(6, 4)
    found, groups = outcome(dann(weight=0.3), data)
    _, (source, target) = logits_by_hand(groups, data)
    loss = found.losses["domain"]
    value = (loss.values * loss.mask).sum() / loss.mask.sum()
    wanted = -np.log(sigmoid(source)).mean() - np.log(1 - sigmoid(target)).mean()
    np.testing.assert_allclose(value, wanted, rtol=1e-5)
    right = found.metrics["domain_accuracy"]
    wanted = ((source > 0).mean() + (target < 0).mean()) / 2
    np.testing.assert_allclose((right.values * right.mask).sum() / right.mask.sum(), wanted, 1e-5)
    np.testing.assert_allclose(found.metrics["lambda"].values, 0.3, rtol=1e-6)


def test_gradient_reversal_and_the_table_s_negative_entry_give_one_update():
    """One backward pass through the operation, against the table; a lambda that is scheduled."""
    with jax.enable_x64(True):
        data = {k: x.astype(float) if "images" in k else x for k, x in BATCH.items()}
        game = dann(weight=games.dann_schedule(10))
        updater = alternating(game)
        start = updater.init(KEY, data)
        start = jax.tree.map(
            lambda x: x.astype(float) if jnp.issubdtype(x.dtype, jnp.floating) else x, start
        )._replace(step=jnp.asarray(4, jnp.int32))
        after, metrics = jax.jit(updater.update)(KEY, start, data)

        def loss(params):
            w = {name: tree["w"] for name, tree in params.items()}
            hidden = [data[f"images/{d}"].reshape(-1, 4) @ w["trunk"] for d in "ab"]
            classes = cross_entropy(hidden[0] @ w["heads/class"], data["labels/a"]).mean()
            coefficient = 2 / (1 + jnp.exp(-10 * 0.4)) - 1
            seen = [gradient_reversal(h, coefficient) @ w["domain"] for h in hidden]
            told = jax.nn.softplus(-seen[0]).mean() + jax.nn.softplus(seen[1]).mean()
            return classes + told

        value, slopes = jax.jit(jax.value_and_grad(loss))(start.params)
        wanted = jax.tree.map(lambda w, g: w - 0.1 * g, start.params, slopes)
        for a, b in zip(jax.tree.leaves(after.params), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(metrics["model/class"] + metrics["model/domain"], value, 1e-12)


def test_cdan_sees_features_times_the_predicted_class_and_weighs_sure_examples():
    game = games.cdan(
        linear(3), (CLASS,), linear(None), optax.sgd(0.1), domains=DOMAINS, entropy=True
    )
    found, groups = outcome(game, BATCH)
    hidden, _ = logits_by_hand(groups, BATCH)
    head, judge = (np.asarray(groups[n]["params"]["w"]) for n in ("heads/class", "domain"))
    total = 0
    for h, sign in zip(hidden, (-1, 1), strict=True):
        p = np.exp(h @ head) / np.exp(h @ head).sum(axis=1, keepdims=True)
        logits = np.stack([np.outer(x, q).ravel() for x, q in zip(h, p, strict=True)]) @ judge
        weights = 1 + np.exp((p * np.log(p)).sum(axis=1))
        total += (weights * np.log1p(np.exp(sign * logits[:, 0]))).sum() / weights.sum()
    loss = found.losses["domain"]
    np.testing.assert_allclose((loss.values * loss.mask).sum() / 2, total, rtol=1e-4)


def test_cdan_s_predictions_pass_no_gradient():
    game = games.cdan(
        linear(3),
        (CLASS,),
        linear(None),
        optax.sgd(0.1),
        domains=DOMAINS,
        random_width=5,
        entropy=True,
    )
    groups = game.init(KEY, BATCH)
    assert game.frozen == ("random",) and groups["random"]["params"]["r_g"].shape == (3, 5)

    def total(head):
        variables = starting({**groups, "heads/class": {"params": head}})
        loss = game.turns[0].losses(variables, BATCH, CONTEXT).losses["domain"]
        return (loss.values * loss.mask).sum()

    assert not jax.grad(total)(groups["heads/class"]["params"])["w"].any()


def toy():
    """The first coordinate tells the class, the second the domain; with the target's labels."""
    labels = np.arange(64) % 2
    told = (2 * labels - 1) * np.random.default_rng(1).uniform(0.5, 1.0, 64)
    domains = {"images/a": (told, np.zeros(64)), "images/b": (told[::-1], np.full(64, 3.0))}
    data = {k: jnp.asarray(np.stack(x, axis=1), jnp.float32) for k, x in domains.items()}
    return {**data, "labels/a": jnp.asarray(labels)}, jnp.asarray(labels[::-1].copy())


def looking_at_both():
    """A linear trunk that starts with both coordinates in every feature, a little noise apart."""

    def init(key, x):
        return {"params": {"w": 1 + 0.2 * jax.random.normal(key, (2, 4))}}

    return linear(4)._replace(init=init)


def test_lambda_zero_fails_on_the_target_and_lambda_one_solves_it_with_every_seed():
    """And the trunk no longer looks at the coordinate of the domain.

    Nothing in the source speaks against that coordinate. Without the decay the two players circle.
    """
    data, hidden = toy()
    sgd = optax.sgd(0.05)
    decayed = optax.chain(optax.add_decayed_weights(0.4), optax.sgd(0.25))

    def trained(key, coefficient):
        game = games.dann(
            looking_at_both(),
            (games.source_task(linear(2), DOMAINS),),
            nets.from_linen(nets.Head()),
            {"trunk": sgd, "heads/class": sgd, "domain": decayed},
            domains=DOMAINS,
            weight=Schedule(lambda step: coefficient, "lambda"),
        )
        updater = alternating(game)
        state = updater.init(key, data)

        def step(state, i):
            return updater.update(jax.random.fold_in(key, i), state, data)[0], None

        state, _ = jax.lax.scan(step, state, jnp.arange(600))
        predict = game.predict["class"]
        said = [predict(variables_of(state), data[f"images/{d}"], CONTEXT) for d in "ab"]
        truth = (data["labels/a"], hidden)
        right = [(x.argmax(axis=1) == y).mean() for x, y in zip(said, truth, strict=True)]
        return *right, jnp.abs(state.params["trunk"]["w"][1]).max()

    keys = jax.random.split(jax.random.key(0), 5)
    over_seeds = jax.vmap(trained, (0, None))
    source, target, axis = jax.jit(jax.vmap(over_seeds, (None, 0)))(keys, jnp.array([0.0, 1.0]))
    assert (source == 1).all(), source
    assert (target[0] <= 0.6).all() and (target[1] == 1).all(), target
    assert (axis[0] > 0.5).all() and (axis[1] < 0.05).all(), axis


def test_accumulation_gives_the_gradient_of_the_batch_and_refuses_weights_within_it():
    game = dann(weight=0.5)
    states = []
    for accumulate in (1, 2):
        updater = alternating(game, accumulate=accumulate)
        states.append(jax.jit(updater.update)(KEY, updater.init(KEY, BATCH), BATCH)[0].params)
    for a, b in zip(*map(jax.tree.leaves, states), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    game = games.cdan(
        linear(3), (CLASS,), linear(None), optax.sgd(0.1), domains=DOMAINS, entropy=True
    )
    updater = alternating(game, accumulate=2)
    with pytest.raises(ValueError, match=r"batch statistics \['domain_weights'\]"):
        jax.eval_shape(updater.update, KEY, updater.init(KEY, BATCH), BATCH)


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match="reads 'labels/b', but the target's labels are hidden"):
        games.dann(
            linear(3),
            (CLASS._replace(source="images/b", targets="labels/b"),),
            linear(None),
            optax.sgd(0.1),
            domains=DOMAINS,
        )
    cdan = functools.partial(
        games.cdan, linear(3), (CLASS,), linear(None), optax.sgd(0.1), domains=DOMAINS
    )
    with pytest.raises(ValueError, match=r"classes='digit' is not among the tasks \['class'\]"):
        cdan(classes="digit")
    with pytest.raises(ValueError, match=r"2000 times 3 classes are 6000.*random_width=1024"):
        games.cdan(linear(2000), (CLASS,), linear(None), optax.sgd(0.1), domains=DOMAINS).init(
            KEY, BATCH
        )
