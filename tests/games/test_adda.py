"""ADDA: table, the frozen source, the copied start, both losses by hand, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import two_domains as two
from linear import linear
from pointwise import pointwise

from gan_mtl import games
from gan_mtl.types import Network, starting

TRAINED = {
    "trunk": {"params": {"w": jnp.asarray(two.RNG.normal(size=(4, 3)), jnp.float32)}},
    "heads/class": {"params": {"w": jnp.asarray(two.RNG.normal(size=(3, 3)), jnp.float32)}},
}


def game(source=TRAINED, domains=two.DOMAINS, trunk=None):
    trunk = trunk or linear(3)
    return games.adda(trunk, (two.CLASS,), linear(None), two.SGD, source, domains=domains)


def test_its_table_and_what_is_frozen():
    header, lines = two.rows(game())
    assert header == ["turn", "objective", "domain", "trunk/b"]
    assert lines == [["domain", "adversarial", "1", "."], ["model", "adversarial", ".", "1"]]
    assert game().frozen == ("trunk/a", "heads/class")


def test_the_target_encoder_starts_from_the_source_s_and_labels_are_inverted():
    (domain, model), w = two.outcomes(game())
    start = np.asarray(TRAINED["trunk"]["params"]["w"])
    for group in ("trunk/a", "trunk/b"):
        np.testing.assert_array_equal(w[group], start)
    s, t = (np.asarray(two.BATCH[f"images/{d}"]) @ start @ w["domain"][:, 0] for d in "ab")
    told = two.softplus(-s).mean() + two.softplus(t).mean()
    np.testing.assert_allclose(two.value(domain.losses["adversarial"]), told, rtol=1e-4)
    fooled = two.softplus(-t).mean()
    np.testing.assert_allclose(two.value(model.losses["adversarial"]), fooled, rtol=1e-4)


@pytest.mark.parametrize(("number", "groups"), [(0, {"domain"}), (1, {"trunk/b"})])
def test_a_turn_moves_nothing_else(number, groups):
    assert two.moved(game(), number, two.BATCH) == groups


def test_predictions_are_of_the_target_s_encoder_and_the_source_s_beside():
    played = game()
    groups = played.init(two.KEY, two.BATCH)
    groups["trunk/b"] = jax.tree.map(lambda x: 2 * x, groups["trunk/b"])
    images, variables = two.BATCH["images/a"], starting(groups)
    said = {n: f(variables, images, two.CONTEXT) for n, f in played.predict.items()}
    np.testing.assert_allclose(said["class"], 2 * said["source/class"], rtol=1e-5)


def test_the_source_s_encoder_runs_as_in_evaluation():
    """Its BatchNorm takes running averages; the target's takes the batch."""
    seen = []
    network = pointwise(2, norm=True)

    def apply(variables, *inputs, context):
        seen.append(context.train)
        return network.apply(variables, *inputs, context=context)

    images = {"images/a": jnp.ones((4, 2, 2, 1)), "images/b": jnp.ones((4, 2, 2, 1))}
    data = {**images, "labels/a": jnp.zeros(4, int)}
    trunk = network.init(two.KEY, images["images/a"])
    head = {"params": {"w": jnp.ones((8, 3))}}
    played = game({"trunk": trunk, "heads/class": head}, trunk=Network(network.init, apply))
    groups = played.init(two.KEY, data)
    seen.clear()
    played.turns[0].losses(starting(groups), data, two.CONTEXT)
    assert seen == [False, True]


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match=r"lacks the groups \['heads/class'\]; it has \['trunk'\]"):
        game({"trunk": TRAINED["trunk"]})
    with pytest.raises(ValueError, match="two encoders have no joint pass"):
        game(domains=two.DOMAINS._replace(passes="joint"))
    other = {**TRAINED, "trunk": {"params": {"w": jnp.ones((4, 2))}}}
    with pytest.raises(ValueError, match=r"group 'trunk' has the shapes .*\(4, 3\).*\(4, 2\)"):
        game(other).init(two.KEY, two.BATCH)
