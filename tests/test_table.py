"""What a table says, against tables that were read by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_mtl import table
from gan_mtl.mtl import equal, from_weighting
from gan_mtl.types import Game, Objective, Outcome, Schedule, Turn, Weighting

LAMBDA = Schedule(lambda step: 2.0 * step / (1.0 + step), "lambda", sign=-1)
GRAMIAN = Weighting(lambda n: (), lambda key, losses, gramian, state: (losses, state))


def turn(rows, name="disc", **options):
    def losses(variables, batch, context):
        return Outcome({}, variables)

    return Turn(name, losses, rows, optax.sgd(0.1), **options)


ROWS = {
    "adversarial": Objective({"trunk": 1.0, "shared@disc": 0.5, "disc": 1.0}),
    "class": Objective({"trunk": 0.25, "shared@cond": 2.0, "heads/class": 1.0}),
    "domain": Objective({"stem": LAMBDA, "heads/domain": 1.0}),
    "penalty": Objective({"disc": 10.0, "stem": 1.0}, every=16),
}
DISC = turn(ROWS, repeats=5)
GEN = turn({"adversarial": Objective({"gen": 1.0})}, "gen", every=3)
GAME = Game(lambda key, batch: {}, (DISC, GEN))


def test_entries_and_groups_are_in_the_order_of_first_appearance():
    expected = [
        "trunk",
        "shared@disc",
        "disc",
        "shared@cond",
        "heads/class",
        "stem",
        "heads/domain",
    ]
    assert list(table.entries(DISC)) == expected
    groups = ["trunk", "shared", "disc", "heads/class", "stem", "heads/domain"]
    assert list(table.moved_groups(DISC)) == groups


def test_two_roles_of_a_group_make_it_shared():
    assert table.movers(DISC, "shared") == ("adversarial", "class")
    assert table.movers(DISC, "heads/domain") == ("domain",)
    assert table.movers(DISC, "gen") == ()
    assert table.shared_groups(DISC) == ("trunk", "shared", "disc", "stem")
    assert table.shared_groups(GEN) == ()


@pytest.mark.parametrize(
    ("entry", "expected"),
    [(1.0, False), (0.0, False), (-0.1, True), (LAMBDA, True), (LAMBDA._replace(sign=1), False)],
)
def test_one_negative_entry_is_an_ascent(entry, expected):
    assert table.ascends(Objective({"trunk": 1.0, "stem": entry})) is expected


@pytest.mark.parametrize(
    ("weighting", "expected"),
    [
        (None, ()),
        (equal(), ("adversarial", "class")),  # no lazy row, no ascended one
        (GRAMIAN, ("adversarial", "class", "domain")),  # ascended rows are rows of the Jacobian
        (from_weighting(equal()), ("adversarial", "class", "domain")),
    ],
    ids=["sum", "losses", "gramian", "aggregator"],
)
def test_which_objectives_a_weighting_is_given(weighting, expected):
    assert table.weighted(DISC._replace(weighting=weighting)) == expected


def test_a_row_that_shares_nothing_is_no_row_of_the_jacobian():
    rows = {**ROWS, "alone": Objective({"heads/alone": 1.0})}
    assert "alone" not in table.weighted(turn(rows, weighting=GRAMIAN))
    assert "alone" in table.weighted(turn(rows, weighting=equal()))


def test_periods_are_those_of_rows_and_turns_without_one():
    assert table.periods(GAME) == (3, 16)
    assert table.periods(GAME._replace(turns=(GEN._replace(every=1),))) == ()
    assert table.periods(GAME._replace(turns=(GEN._replace(every=16), DISC))) == (16,)


def test_coefficients_over_steps_are_signed_and_times_the_period():
    scheduled = jax.jit(lambda step: table.coefficient(LAMBDA, step, 4))
    for step in range(5):
        expected = -4 * 2.0 * step / (1.0 + step)
        np.testing.assert_allclose(scheduled(jnp.asarray(step)), expected, rtol=1e-6)
        assert float(table.coefficient(-0.5, jnp.asarray(step), 16)) == -8.0
    assert table.coefficient(3, jnp.asarray(0)).dtype == jnp.float32  # whole numbers too


def test_the_table_for_people():
    rows = {name: ROWS[name] for name in ("domain", "penalty")}
    expected = """
turn           objective                        stem  heads/domain  disc  gen
disc x5        domain                        -lambda             1     .    .
disc x5        penalty (every 16, times 16)        1             .    10    .
gen (every 3)  adversarial                         .             .     .    1
"""
    game = GAME._replace(turns=(DISC._replace(objectives=rows), GEN))
    assert table.render(game) == expected.strip()
