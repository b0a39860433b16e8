"""The K-logit game: equality with an explicit (K+1)-way softmax, batch statistics over devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.losses import semi_supervised, tasks

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 5)) * 3


def test_equals_the_explicit_softmax_with_a_fake_class():
    """Append the logit 0 and take the (K+1)-way softmax, in float64."""
    full = np.concatenate([LOGITS, np.zeros((6, 1))], axis=1)
    p = np.exp(full) / np.exp(full).sum(axis=1, keepdims=True)
    with jax.enable_x64(True):
        x = jnp.array(LOGITS)
        np.testing.assert_allclose(semi_supervised.real(x), -np.log(1 - p[:, -1]), rtol=1e-10)
        np.testing.assert_allclose(semi_supervised.fake(x), -np.log(p[:, -1]), rtol=1e-10)
        labels = jnp.array([0, 1, 2, 3, 4, -1])
        got = semi_supervised.supervised(x, labels)
        given_real = p[:, :-1] / p[:, :-1].sum(axis=1, keepdims=True)
        want = -np.log(given_real[np.arange(5), np.arange(5)])
        np.testing.assert_allclose(got, [*want, 0.0], rtol=1e-10)
        assert (got == tasks.cross_entropy(x, labels)).all()
        entropy = -(given_real * np.log(given_real)).sum(axis=1)
        np.testing.assert_allclose(semi_supervised.entropy(x), entropy, rtol=1e-10)


def test_softplus_form_of_the_paper():
    x = jnp.array(LOGITS, jnp.float32)
    z = semi_supervised.real_logit(x)
    np.testing.assert_allclose(semi_supervised.real(x), jax.nn.softplus(z) - z, atol=1e-5)
    np.testing.assert_allclose(semi_supervised.fake(x), jax.nn.softplus(z), rtol=1e-6)


@pytest.mark.parametrize("name", ["real", "fake", "entropy", "real_logit"])
@pytest.mark.parametrize("scale", [1e4, -1e4, 0.0])
def test_finite_at_extreme_logits(name, scale):
    loss = getattr(semi_supervised, name)
    logits = scale * jnp.array([[1.0, 0.0, -1.0], [1.0, 1.0, 1.0]])
    assert jnp.isfinite(loss(logits)).all()
    assert jnp.isfinite(jax.grad(lambda x: loss(x).sum())(logits)).all()


def test_feature_matching():
    a, b = RNG.normal(size=(9, 4)), RNG.normal(size=(6, 4))
    difference = a.mean(axis=0) - b.mean(axis=0)
    with jax.enable_x64(True):
        x, y = jnp.array(a), jnp.array(b)
        got = semi_supervised.feature_matching(x, y)
        assert got.shape == ()
        np.testing.assert_allclose(got, (difference**2).mean(), rtol=1e-12)
        got = semi_supervised.feature_matching(x, y, norm="l1")
        np.testing.assert_allclose(got, np.abs(difference).mean(), rtol=1e-12)
        assert semi_supervised.feature_matching(x, x[::-1]) < 1e-30


def test_pull_away_is_the_mean_squared_cosine_over_pairs():
    a = RNG.normal(size=(7, 4))
    unit = a / np.linalg.norm(a, axis=1, keepdims=True)
    cosines = (unit @ unit.T) ** 2
    want = (cosines.sum() - 7) / (7 * 6)
    np.testing.assert_allclose(semi_supervised.pull_away(jnp.array(a)), want, rtol=1e-5)
    np.testing.assert_allclose(semi_supervised.pull_away(jnp.ones((5, 3))), 1.0, rtol=1e-5)
    np.testing.assert_allclose(semi_supervised.pull_away(jnp.eye(5)), 0.0, atol=1e-6)
    gradient = jax.grad(semi_supervised.pull_away)(jnp.zeros((3, 4)))
    assert jnp.isfinite(gradient).all()


@pytest.mark.parametrize("name", ["feature_matching", "feature_matching_l1", "pull_away"])
def test_batch_statistics_over_devices(name):
    """Moments are averaged before the non-linearity; the mean of gradients is the true one."""
    x = jnp.array(RNG.normal(size=(16, 4)), jnp.float32)
    y = jnp.array(RNG.normal(size=(16, 4)), jnp.float32)

    def loss(w, x, y, axis_name=None):
        if name == "pull_away":
            return semi_supervised.pull_away(jnp.tanh(x @ w), axis_name)
        norm = "l1" if name.endswith("l1") else "l2"
        return semi_supervised.feature_matching(x @ w, jnp.tanh(y @ w), axis_name, norm=norm)

    w = jnp.array(RNG.normal(size=(4, 3)), jnp.float32)
    want, slope = jax.value_and_grad(loss)(w, x, y)
    mapped = jax.pmap(
        jax.value_and_grad(lambda w, x, y: loss(w, x, y, "i")), axis_name="i", in_axes=(None, 0, 0)
    )
    got, slopes = mapped(w, x.reshape(8, 2, 4), y.reshape(8, 2, 4))
    np.testing.assert_allclose(got, want, rtol=1e-5)
    np.testing.assert_allclose(slopes.mean(axis=0), slope, rtol=1e-4, atol=1e-6)


def test_shapes_are_refused_by_name():
    with pytest.raises(ValueError, match=r"logits.*\(4,\)"):
        semi_supervised.real(jnp.ones(4))
    with pytest.raises(ValueError, match="widths must be equal, got 3 and 2"):
        semi_supervised.feature_matching(jnp.ones((4, 3)), jnp.ones((4, 2)))
    with pytest.raises(ValueError, match=r"fake_features.*\(4, 2, 2, 3\)"):
        semi_supervised.feature_matching(jnp.ones((4, 3)), jnp.ones((4, 2, 2, 3)))
    with pytest.raises(ValueError, match=r"norm.*'max'"):
        semi_supervised.feature_matching(jnp.ones((4, 3)), jnp.ones((4, 3)), norm="max")  # pyright: ignore
    with pytest.raises(ValueError, match="at least two"):
        semi_supervised.pull_away(jnp.ones((1, 3)))
