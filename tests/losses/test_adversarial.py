"""Adversarial losses: golden values in float64, stability at extreme logits, the Nash point."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl import losses
from gan_mtl.losses.adversarial import relativistic_average

R = np.array([-3.0, -0.5, 0.0, 0.25, 2.0, 7.0])
F = np.array([1.5, -2.0, 0.0, 3.0, -0.75, 7.5])


def sp(t):
    return np.logaddexp(0.0, t)


GOLDEN = {  # written out in NumPy, float64
    "minimax": (sp(-R) + sp(F), -sp(F)),
    "non_saturating": (sp(-R) + sp(F), sp(-F)),
    "least_squares": ((R - 1) ** 2 / 2 + F**2 / 2, (F - 1) ** 2 / 2),
    "hinge": (np.maximum(0, 1 - R) + np.maximum(0, 1 + F), -F),
    "wasserstein": (F - R, -F),
    "relativistic": (np.log1p(np.exp(F - R)), np.log1p(np.exp(R - F))),
}
RAGAN = (
    sp(-(R - F.mean())) + sp(F - R.mean()),
    sp(-(F - R.mean())) + sp(R - F.mean()),
)
ALL = {name: getattr(losses, name) for name in GOLDEN}


@pytest.mark.parametrize("name", GOLDEN)
def test_values(name):
    with jax.enable_x64(True):
        for got, want in zip(
            (ALL[name].disc(jnp.array(R), jnp.array(F)), ALL[name].gen(jnp.array(R), jnp.array(F))),
            GOLDEN[name],
            strict=True,
        ):
            assert got.dtype == jnp.float64
            np.testing.assert_allclose(got, want, rtol=1e-14, atol=1e-15)


def test_relativistic_average_values():
    loss = relativistic_average()
    got = loss.disc(jnp.array(R, jnp.float32), jnp.array(F, jnp.float32))
    np.testing.assert_allclose(got, RAGAN[0], rtol=1e-6)
    got = loss.gen(jnp.array(R, jnp.float32), jnp.array(F, jnp.float32))
    np.testing.assert_allclose(got, RAGAN[1], rtol=1e-6)


def test_tables_by_hand():
    """Hinge and least squares at the corners; Goodfellow's -log 4 at the Nash point."""
    one, zero = jnp.ones(1), jnp.zeros(1)
    assert losses.hinge.disc(one, -one) == 0 and losses.hinge.disc(zero, zero) == 2
    assert losses.hinge.disc(-one, one) == 4 and losses.hinge.gen(one, one) == -1
    assert losses.least_squares.disc(one, zero) == 0 and losses.least_squares.disc(zero, one) == 1
    assert losses.least_squares.gen(one, zero) == 0.5 and losses.least_squares.gen(one, one) == 0
    np.testing.assert_allclose(losses.minimax.disc(zero, zero), np.log(4), rtol=1e-6)
    np.testing.assert_allclose(losses.minimax.gen(zero, zero), -np.log(2), rtol=1e-6)


@pytest.mark.parametrize("name", GOLDEN)
def test_nash_point_is_stationary_for_the_discriminator(name):
    """Where fakes are reals, moving the common logit does not help D (least squares: at 1/2)."""
    at = jnp.full((3,), 0.5 if name == "least_squares" else 0.0)
    slope = jax.grad(lambda t: ALL[name].disc(at + t, at + t).sum())(0.0)
    np.testing.assert_allclose(slope, 0.0, atol=1e-6)


def test_saturation():
    """Sure fakes: minimax gives the generator no gradient, non-saturating the full one."""
    f = jnp.array([-30.0])
    assert abs(jax.grad(lambda f: losses.minimax.gen(f, f).sum())(f)[0]) < 1e-12
    np.testing.assert_allclose(jax.grad(lambda f: losses.non_saturating.gen(f, f).sum())(f), -1)


def test_both_players_want_what_they_should():
    """G losses fall with the fake logit, D losses fall with real and rise with fake logits."""
    r, f = jnp.array([0.3]), jnp.array([0.2])
    for loss in [*ALL.values(), relativistic_average()]:
        real, fake = jax.grad(lambda r, f, loss=loss: loss.disc(r, f).sum(), (0, 1))(r, f)
        assert real[0] < 0 < fake[0]
        assert jax.grad(lambda f, loss=loss: loss.gen(r, f).sum())(f)[0] < 0


@pytest.mark.parametrize("name", [*GOLDEN, "relativistic_average"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_finite_at_extreme_logits(name, dtype):
    loss = relativistic_average() if name == "relativistic_average" else ALL[name]
    r = jnp.array([1e4, -1e4, 1e4, -1e4, 0.0], dtype)
    f = jnp.array([1e4, 1e4, -1e4, -1e4, 0.0], dtype)
    for player in (loss.disc, loss.gen):
        values = player(r, f)
        assert values.dtype == jnp.float32 and values.shape == (5,)
        assert jnp.isfinite(values).all()
        for gradient in jax.grad(lambda r, f, p=player: p(r, f).sum(), (0, 1))(r, f):
            assert gradient.dtype == r.dtype and jnp.isfinite(gradient).all()


@pytest.mark.parametrize("name", [*GOLDEN, "relativistic_average"])
def test_shapes_are_refused_by_name(name):
    pair = relativistic_average() if name == "relativistic_average" else ALL[name]
    for player in (pair.disc, pair.gen):
        with pytest.raises(ValueError, match=r"fake_logits.*\(4, 1\).*fake_logits\[:, 0\]"):
            player(jnp.ones(4), jnp.ones((4, 1)))
        with pytest.raises(ValueError, match=r"real_logits.*\(4, 3, 3\).*one number per example"):
            player(jnp.ones((4, 3, 3)), jnp.ones(4))
        with pytest.raises(ValueError, match=r"real_logits and fake_logits.*\(4,\) and \(1,\)"):
            player(jnp.ones(4), jnp.ones(1))
        with pytest.raises(TypeError, match=r"real_logits.*int32"):
            player(jnp.arange(4), jnp.ones(4))


def test_relativistic_average_over_devices():
    """Eight devices see the global means; averaged gradients are those of one device."""
    key = jax.random.key(0)
    r, f = jax.random.normal(key, (2, 16))
    w = jnp.float32(0.7)

    loss = relativistic_average()
    assert loss.batch_statistic and not any(pair.batch_statistic for pair in ALL.values())

    def total(axis_name):
        def mean(w, r, f):
            pair = (loss.disc, loss.gen)
            return sum(player(w * r, w * f, axis_name=axis_name) for player in pair).mean()

        return mean

    want, slope = jax.value_and_grad(total(None))(w, r, f)
    mapped = jax.pmap(jax.value_and_grad(total("i")), axis_name="i", in_axes=(None, 0, 0))
    got, slopes = mapped(w, r.reshape(8, 2), f.reshape(8, 2))
    np.testing.assert_allclose(got.mean(), want, rtol=1e-6)
    np.testing.assert_allclose(slopes.mean(), slope, rtol=1e-5)


@pytest.mark.parametrize("target", [0.7, 0.9, 1.0])
def test_smoothed_values(target):
    with jax.enable_x64(True):
        loss = losses.smoothed(target)
        r, f = jnp.array(R), jnp.array(F)
        want = target * sp(-R) + (1 - target) * sp(R) + sp(F)
        np.testing.assert_allclose(loss.disc(r, f), want, rtol=1e-12)
        np.testing.assert_allclose(loss.gen(r, f), sp(-F), rtol=1e-12)
        if target == 1:
            np.testing.assert_array_equal(loss.disc(r, f), losses.non_saturating.disc(r, f))


def test_smoothing_is_one_sided():
    """The best logit of a real is that of the target; a fake's still goes to minus infinity."""
    loss, at = losses.smoothed(0.8), jnp.array([np.log(0.8 / 0.2)])
    real, fake = jax.grad(lambda r, f: loss.disc(r, f).sum(), (0, 1))(at, jnp.array([-20.0]))
    np.testing.assert_allclose(real, 0, atol=1e-6)
    assert fake[0] > 0
    with pytest.raises(ValueError, match=r"real: expected a target in \(0, 1\], got 1.1"):
        losses.smoothed(1.1)
