"""The geometric mean: its gradient, and losses whose product underflows."""

import jax.numpy as jnp
import numpy as np
import weightings as w

from gan_mtl.mtl import gls


def test_the_gradient_of_the_geometric_mean():
    w.check_scalarisation(gls(), lambda x: jnp.prod(x) ** (1 / 3), w.losses_of())
    w.check_laws(gls, w.losses_of())
    assert gls().positive


def test_equal_losses_have_weights_of_one_over_k():
    np.testing.assert_allclose(w.double(gls(), np.full((1, 4), 0.3))[0], 0.25, rtol=1e-12)


def test_a_common_unit_does_not_matter():
    losses = w.losses_of()
    np.testing.assert_allclose(
        w.double(gls(), 1e3 * losses)[0], w.double(gls(), losses)[0], rtol=1e-12
    )


def test_a_product_that_underflows_in_float32():
    losses = np.full((1, 40), 1e-3, np.float32)
    np.testing.assert_allclose(w.trajectory(gls(), losses)[0], 1 / 40, rtol=1e-4)


def test_an_absent_task_is_as_if_it_were_not_there():
    losses = np.array([[0.7, 0.0, 2.0]])
    found = w.double(gls(), losses)[0][0]
    np.testing.assert_allclose(found[[0, 2]], w.double(gls(), losses[:, [0, 2]])[0][0], rtol=1e-12)
    assert found[1] == 0
