"""F = sum_i alpha_i f_i, beside the predictions that it is made of."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import zoo
from linear import linear

from gan_mtl.games import class_task, combined, multitask
from gan_mtl.types import Context
from gan_mtl.update import alternating, variables_of

KEY = jax.random.key(0)


def game(widths=(3, 3)):
    heads = [
        class_task(linear(w), labelled=False, name=n) for n, w in zip("ab", widths, strict=True)
    ]
    return multitask(linear(5), tuple(heads), optax.sgd(0.1))


def test_it_is_the_weighted_sum_of_the_heads_on_one_trunk():
    whole = combined(game(), {"a": 0.25, "b": -2.0})
    state = alternating(whole).init(KEY, zoo.batch())
    context = Context(KEY, jnp.zeros((), jnp.int32), train=False)
    x = zoo.batch()["images"]
    w = {g: np.asarray(p["w"]) for g, p in state.params.items()}
    features = np.asarray(x).reshape(len(x), -1) @ w["trunk"]
    expected = features @ (0.25 * w["heads/a"] - 2.0 * w["heads/b"])
    found = whole.predict["combined"](variables_of(state), x, context)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert set(whole.predict) == {*game().predict, "combined"}
    assert [t.objectives for t in whole.turns] == [t.objectives for t in game().turns]


@pytest.mark.parametrize("alpha", [{}, {"a": 1.0, "c": 1.0}])
def test_unknown_predictions_are_named(alpha):
    with pytest.raises(ValueError, match="the game predicts"):
        combined(game(), alpha)


def test_outputs_of_different_shapes_are_refused():
    whole = combined(game((3, 4)), {"a": 1.0, "b": 1.0})
    state = alternating(whole).init(KEY, zoo.batch())
    context = Context(KEY, jnp.zeros((), jnp.int32), train=False)
    with pytest.raises(ValueError, match="one shape"):
        whole.predict["combined"](variables_of(state), zoo.batch()["images"], context)
