"""IMTL-L: learned scales that draw every weighted loss to one."""

import jax.numpy as jnp
import numpy as np
import optax
import weightings as w

from gan_mtl.mtl import imtl_l


def test_scales_descend_the_objective():
    w.check_descends(imtl_l, lambda s, losses: (jnp.exp(s) * losses - s).sum(), 0.0)


def test_a_run_with_adam_by_hand():
    point, s, step, expected = np.zeros(2), np.zeros(3), w.adam(0.025), []
    for _ in range(8):
        losses, gradients = w.quadratics(point)
        point = point - 0.05 * np.exp(s) @ gradients
        s = step(s, np.exp(s) * losses - 1)
        expected.append(point)
    np.testing.assert_allclose(w.play_quadratics(imtl_l(), 8), expected, rtol=1e-10)


def test_weighted_losses_go_to_one():
    losses = np.tile([0.1, 1.0, 20.0], (400, 1))
    found, _ = w.double(imtl_l(optax.sgd(0.05)), losses[:, :2])
    np.testing.assert_allclose((found * losses[:, :2])[-1, 1], 1.0, rtol=1e-9)
    found, _ = w.double(imtl_l(optax.adam(0.05)), losses)
    np.testing.assert_allclose((found * losses)[-1], 1.0, rtol=0.02)


def test_laws():
    w.check_laws(imtl_l, w.losses_of())
    assert imtl_l().positive


def test_an_absent_task_keeps_its_scale():
    _, state = w.double(imtl_l(), np.array([[1.5, 0.0, 2.0]] * 3))
    assert state.value[1] == 0 and (state.value[[0, 2]] != 0).all()
