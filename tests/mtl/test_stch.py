"""Smooth Tchebycheff: the paper's formula, and the variant of the code by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import weightings as w

from gan_mtl.mtl import stch


@pytest.mark.parametrize("mu", [0.1, 1.0, 10.0])
@pytest.mark.parametrize(
    ("preference", "ideal"), [(None, 0.0), ((0.2, 0.5, 0.3), (-1.0, 0.0, 0.1))]
)
def test_the_gradient_of_the_papers_formula(mu, preference, ideal):
    rates = np.full(3, 1 / 3) if preference is None else np.array(preference)

    def scalar(x):
        return mu * jax.nn.logsumexp(rates * (x - jnp.asarray(ideal)) / mu)

    w.check_scalarisation(stch(mu, preference, ideal), scalar, w.losses_of())
    w.check_laws(lambda: stch(mu, preference, ideal), w.losses_of(), symmetric=preference is None)
    assert not stch(mu, preference, ideal).positive


def test_a_small_mu_follows_the_largest_term():
    weights = w.double(stch(1e-3, (0.2, 0.5, 0.3)), np.array([[1.0, 1.0, 3.0]]))[0][0]
    np.testing.assert_allclose(weights, [0.0, 0.0, 0.3], atol=1e-12)


def test_negative_losses_are_welcome_in_the_papers_formula():
    losses = w.losses_of() - 2.0
    np.testing.assert_allclose(
        w.double(stch(), losses + 100.0)[0], w.double(stch(), losses)[0], rtol=1e-9
    )


def test_the_variant_of_the_code_by_hand():
    """Two epochs of warm-up, one for the nadir, then the scaled soft maximum; K = 3, mu = 0.5."""
    losses, epoch, warmup, mu = w.losses_of(18), 3, 2, 0.5
    found, _ = w.double(stch(mu, epoch_steps=epoch, warmup_epochs=warmup), losses)
    np.testing.assert_allclose(found[:9], 1 / losses[:9], rtol=1e-12)
    nadir = losses[6:9].mean(axis=0)
    with jax.enable_x64(True):
        for weights, row in zip(found[9:], jnp.asarray(losses[9:]), strict=True):
            expected = jax.grad(lambda x: 3 * mu * jnp.log(jnp.exp(jnp.log(x / nadir) / mu).sum()))(
                row
            )
            np.testing.assert_allclose(weights, expected, rtol=1e-9)


def test_laws_of_the_variant():
    w.check_laws(lambda: stch(epoch_steps=1, warmup_epochs=2), w.losses_of())
    assert stch(epoch_steps=1).positive
    losses = np.array([[1.0, 2.0], [1.0, 0.0], [1.0, 0.0], [2.0, 3.0]])
    found = w.double(stch(epoch_steps=1, warmup_epochs=2), losses)[0]
    assert np.isfinite(found).all() and found[1, 1] == found[2, 1] == 0 < found[3, 1]


def test_bad_arguments():
    with pytest.raises(ValueError, match="mu: expected a number > 0"):
        stch(0.0)
    with pytest.raises(ValueError, match="preference: expected 2 numbers"):
        stch(preference=(0.1, 0.2, 0.7)).init(2)
    with pytest.raises(ValueError, match="ideal: expected 2 numbers"):
        stch(ideal=(0.1, 0.2, 0.7)).init(2)
    with pytest.raises(ValueError, match="give no epoch_steps"):
        stch(preference=(0.5, 0.5), epoch_steps=3)
    with pytest.raises(ValueError, match="epoch_steps, warmup_epochs: expected"):
        stch(epoch_steps=0)
