"""Shared and private encoders against NumPy."""

import architectures as tiny
import numpy as np

from gan_mtl import table
from gan_mtl.games import architectures as arch


def test_features_are_the_shared_and_the_private_ones_side_by_side():
    plan = tiny.ALL["shared_private"](tiny.TASKS)
    variables, x = tiny.started(plan)
    found = tiny.represented(plan, variables, x)
    shared = tiny.run_layer(variables, "trunk", x)
    for t in tiny.TASKS:
        own = tiny.run_layer(variables, f"trunk/{t}", x)
        expected = np.concatenate([shared, own], axis=1)
        np.testing.assert_allclose(found.features[t], expected, rtol=1e-5, atol=1e-6)
        s, h = (f - f.mean(axis=0) for f in (shared, own))
        s, h = (f / np.linalg.norm(f, axis=1, keepdims=True) for f in (s, h))
        orthogonality = np.square(s.T @ h / len(s)).sum()
        value = found.losses[f"orthogonality/{t}"].values
        np.testing.assert_allclose(value, orthogonality, rtol=1e-4)


def test_the_penalty_is_a_row_of_each_task_in_both_encoders():
    turn = tiny.game("shared_private").turns[0]
    assert turn.objectives["orthogonality/a"].entries == {"trunk": 0.1, "trunk/a": 0.1}
    assert table.movers(turn, "trunk/b") == ("b", "orthogonality/b")
    plain = arch.shared_private(tiny.TASKS, tiny.layer(5), tiny.layer(4))
    assert not plain.objectives


def test_a_private_encoder_of_nothing_is_hard_sharing():
    plan = arch.shared_private(tiny.TASKS, tiny.layer(5), tiny.layer(0))
    variables, x = tiny.started(plan)
    shared = tiny.run_layer(variables, "trunk", x)
    for found in tiny.features(plan, variables, x).values():
        np.testing.assert_allclose(found, shared, rtol=1e-5, atol=1e-6)
