"""Task losses: scikit-learn and SciPy as oracles, hidden labels, masks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import huber as scipy_huber
from sklearn.metrics import log_loss

from gan_mtl.losses import tasks

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(7, 4)) * 3
LABELS = np.array([0, 1, 2, 3, 0, 3, 3])


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_cross_entropy_is_scikit_learns():
    with jax.enable_x64(True):
        got = tasks.cross_entropy(jnp.array(LOGITS), jnp.array(LABELS))
        want = log_loss(LABELS, softmax(LOGITS), labels=range(4))
        np.testing.assert_allclose(got.mean(), want, rtol=1e-12)
        smooth = tasks.cross_entropy(jnp.array(LOGITS), jnp.array(LABELS), 0.1)
        target = 0.9 * np.eye(4)[LABELS] + 0.1 / 4
        np.testing.assert_allclose(smooth, -(target * np.log(softmax(LOGITS))).sum(1), rtol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_hidden_labels_give_zero_and_no_gradient(smoothing):
    labels = jnp.array([0, -1, 2, -1, 0, 3, 3])
    logits = jnp.array(LOGITS, jnp.float32)
    values = tasks.cross_entropy(logits, labels, smoothing)
    assert (values[jnp.array([1, 3])] == 0).all() and (values[0] > 0)
    gradient = jax.grad(lambda x: tasks.cross_entropy(x, labels, smoothing).sum())(logits)
    assert (gradient[jnp.array([1, 3])] == 0).all() and jnp.isfinite(gradient).all()


def test_a_label_outside_its_range_is_not_silent():
    values = tasks.cross_entropy(jnp.zeros((3, 4)), jnp.array([4, -2, 3]))
    assert jnp.isnan(values[:2]).all() and jnp.isfinite(values[2])
    assert jnp.isnan(tasks.binary_cross_entropy(jnp.zeros(2), jnp.array([2.0, -0.5]))).all()


def test_binary_cross_entropy():
    with jax.enable_x64(True):
        logits, targets = RNG.normal(size=(6, 3)), RNG.uniform(size=(6, 3))
        p = 1 / (1 + np.exp(-logits))
        want = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean(axis=1)
        got = tasks.binary_cross_entropy(jnp.array(logits), jnp.array(targets))
        np.testing.assert_allclose(got, want, rtol=1e-12)
        targets[0] = -1
        targets[1, 0] = -1
        got, pull = jax.vjp(
            lambda x: tasks.binary_cross_entropy(x, jnp.array(targets)), jnp.array(logits)
        )
        part = -(targets * np.log(p) + (1 - targets) * np.log(1 - p))[1, 1:].mean()
        np.testing.assert_allclose(got[:2], [0.0, part], rtol=1e-12)
        (gradient,) = pull(jnp.ones(6))
        assert (gradient[0] == 0).all() and gradient[1, 0] == 0
    assert tasks.binary_cross_entropy(jnp.zeros(3), jnp.array([0, 1, 1])).shape == (3,)


def test_regression_losses():
    a, b = RNG.normal(size=(5, 3, 2)), RNG.normal(size=(5, 3, 2))
    with jax.enable_x64(True):
        x, y = jnp.array(a), jnp.array(b)
        np.testing.assert_allclose(tasks.l1(x, y), np.abs(a - b).mean(axis=(1, 2)), rtol=1e-12)
        np.testing.assert_allclose(tasks.l2(x, y), ((a - b) ** 2).mean(axis=(1, 2)), rtol=1e-12)
        for delta in (0.3, 1.0):
            want = scipy_huber(delta, a - b).mean(axis=(1, 2))
            np.testing.assert_allclose(tasks.huber(x, y, delta), want, rtol=1e-12)
    assert tasks.l2(jnp.ones(4), jnp.zeros(4)).shape == (4,)


@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_finite_at_extreme_logits(scale):
    logits = scale * jnp.eye(4)
    labels = jnp.array([0, 2, 1, 3])
    for loss in (
        lambda x: tasks.cross_entropy(x, labels),
        lambda x: tasks.cross_entropy(x, labels, 0.1),
        lambda x: tasks.binary_cross_entropy(x, jnp.eye(4)),
    ):
        assert jnp.isfinite(loss(logits)).all()
        assert jnp.isfinite(jax.grad(lambda x, loss=loss: loss(x).sum())(logits)).all()


def test_half_precision_is_widened():
    logits = jnp.array(LOGITS, jnp.bfloat16)
    values = tasks.cross_entropy(logits, jnp.array(LABELS))
    want = tasks.cross_entropy(logits.astype(jnp.float32), jnp.array(LABELS))
    assert values.dtype == jnp.float32 and (values == want).all()


def test_masked_mean():
    values, mask = jnp.array([1.0, 2.0, jnp.nan, 4.0]), jnp.array([1.0, 0.5, 0.0, 1.0])
    np.testing.assert_allclose(tasks.masked_mean(values, mask), 6 / 2.5, rtol=1e-6)
    assert tasks.masked_mean(values, jnp.zeros(4)) == 0
    gradient = jax.grad(lambda v: tasks.masked_mean(v, mask))(values)
    np.testing.assert_allclose(gradient, [0.4, 0.2, 0.0, 0.4], rtol=1e-6)
    assert jnp.isfinite(jax.grad(lambda v: tasks.masked_mean(v, 0 * mask))(values)).all()
    np.testing.assert_allclose(tasks.masked_mean(jnp.arange(4.0)), 1.5)


def test_masked_mean_is_sum_over_sum_across_devices():
    """One device holds all the labels: a mean of means would be an eighth."""
    values = jnp.arange(16.0)
    mask = jnp.zeros(16).at[:2].set(1.0)
    mapped = jax.pmap(lambda v, m: tasks.masked_mean(v, m, "i"), axis_name="i")
    np.testing.assert_allclose(mapped(values.reshape(8, 2), mask.reshape(8, 2)), 0.5)
    mask = (values > 4).astype(jnp.float32)
    got = mapped(values.reshape(8, 2), mask.reshape(8, 2))
    np.testing.assert_allclose(got, np.arange(5, 16).mean(), rtol=1e-6)


def test_shapes_are_refused_by_name():
    with pytest.raises(ValueError, match=r"labels.*\(4,\), got \(4, 1\)"):
        tasks.cross_entropy(jnp.ones((4, 3)), jnp.ones((4, 1), int))
    with pytest.raises(TypeError, match=r"labels.*float32"):
        tasks.cross_entropy(jnp.ones((4, 3)), jnp.ones(4))
    with pytest.raises(ValueError, match=r"logits.*\[n, d\].*\(4,\)"):
        tasks.cross_entropy(jnp.ones(4), jnp.ones(4, int))
    with pytest.raises(ValueError, match=r"label_smoothing.*1\.5"):
        tasks.cross_entropy(jnp.ones((4, 3)), jnp.ones(4, int), 1.5)
    with pytest.raises(ValueError, match=r"logits and targets.*\(4,\) and \(4, 1\)"):
        tasks.binary_cross_entropy(jnp.ones(4), jnp.ones((4, 1)))
    for loss in (tasks.l1, tasks.l2, tasks.huber):
        with pytest.raises(ValueError, match="predictions and targets"):
            loss(jnp.ones((4, 1)), jnp.ones(4))
    with pytest.raises(ValueError, match="delta"):
        tasks.huber(jnp.ones(4), jnp.ones(4), 0.0)
    with pytest.raises(ValueError, match=r"values and mask.*\(4,\) and \(4, 1\)"):
        tasks.masked_mean(jnp.ones(4), jnp.ones((4, 1)))
