"""What is not finite is found where it is due, and named."""

import jax.numpy as jnp
import numpy as np
import pytest
import test_rows as toy

from gan_mtl.run import watch
from gan_mtl.types import Rows

GAME = toy.game(rows=Rows(every=2))


def values(**broken):
    """Four steps of two seeds; `name=(step, seed)` is not finite."""
    names = [f"model/{kind}{task}" for kind in ("", "weight/") for task in toy.TASKS]
    found = {name: np.ones((4, 2)) for name in names}
    for name, place in broken.items():
        found[f"model/{name.replace('__', '/')}"][place] = np.inf
    return found


def test_nothing_is_said_where_all_is_finite():
    assert watch.broken_values(GAME, values(), first=8) is None


@pytest.mark.parametrize(
    "broken, expected",
    [
        ({"b": (3, 1)}, watch.Broken(1, "Non-finite loss at step 11: turn 'model', objective 'b'")),
        (
            {"weight__c": (2, 0)},
            watch.Broken(0, "Non-finite gradient at step 10: turn 'model', objective 'c'"),
        ),
    ],
)
def test_the_first_broken_value_is_named(broken, expected):
    assert watch.broken_values(GAME, values(**broken), first=8) == expected


def test_a_lazy_row_has_no_value_between():
    (turn,) = GAME.turns
    rows = {**turn.objectives, "c": turn.objectives["c"]._replace(every=3)}
    lazy = GAME._replace(turns=(turn._replace(objectives=rows),))
    assert watch.broken_values(lazy, values(c=(2, 0)), first=8) is None
    assert watch.broken_values(lazy, values(c=(1, 0)), first=8) is not None


def test_broken_groups_are_named_with_their_turns():
    params = {"trunk": {"u": jnp.ones(3)}, "head/a": {"v": jnp.array([1.0, jnp.nan])}, "empty": {}}
    finite = watch.all_finite(params)
    assert set(finite) == {"trunk", "head/a"}
    text = "Non-finite parameters at step 7: groups ['head/a'], moved in turns ['model']"
    assert watch.broken_parameters(GAME, finite, 7) == text
    assert watch.broken_parameters(GAME, {"trunk": True}, 7) is None
