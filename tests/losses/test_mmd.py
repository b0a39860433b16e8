"""Multi-kernel and joint MMD: sums over pairs in NumPy, properties, devices, messages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.losses import joint_mmd, mmd, multi_kernel_mmd

RNG = np.random.default_rng(0)
SOURCE, TARGET = RNG.normal(size=(8, 3)), 0.5 + RNG.normal(size=(16, 3))


def kernel(x, y, squared_widths):
    """The mean of the kernels of one pair."""
    return np.mean([np.exp(-((x - y) ** 2).sum() / (2 * s)) for s in squared_widths])


def mean_distance(points):
    p = len(points)
    return sum(((x - y) ** 2).sum() for x in points for y in points) / (p * (p - 1))


def expectation(first, second, k, skip=False):
    pairs = [
        k(x, y) for i, x in enumerate(first) for j, y in enumerate(second) if not (skip and i == j)
    ]
    return np.mean(pairs)


def oracle(k, source, target, unbiased=False):
    within = expectation(source, source, k, unbiased) + expectation(target, target, k, unbiased)
    return within - 2 * expectation(source, target, k)


@pytest.mark.parametrize("unbiased", [False, True])
def test_it_is_the_mean_over_pairs(unbiased):
    scale = mean_distance(np.concatenate([SOURCE, TARGET]))
    widths = [scale * f for f in (1 / 8, 1 / 4, 1 / 2, 1, 2)]
    want = oracle(lambda x, y: kernel(x, y, widths), SOURCE, TARGET, unbiased)
    got = multi_kernel_mmd(jnp.asarray(SOURCE), jnp.asarray(TARGET), unbiased=unbiased)
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_the_19_fixed_widths_of_domain_separation_networks():
    """Their code sums exp(-d^2 / 2 sigma) over 19 sigmas from 1e-6 to 1e6; ours is the mean."""
    widths = mmd.DSN_WIDTHS.widths
    assert (len(widths), min(widths), max(widths)) == (19, 1e-6, 1e6)
    want = oracle(lambda x, y: 19 * kernel(x, y, widths), SOURCE, TARGET)
    got = 19 * multi_kernel_mmd(jnp.asarray(SOURCE), jnp.asarray(TARGET), kernel=mmd.DSN_WIDTHS)
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_the_joint_kernel_is_the_product_of_the_layers():
    others = RNG.normal(size=(8, 2)), RNG.normal(size=(16, 2))
    fixed = mmd.Gaussians((0.7, 2.0), relative=False)
    scale = mean_distance(np.concatenate([SOURCE, TARGET]))

    def k(x, y):
        return kernel(x[:3], y[:3], [scale]) * kernel(x[3:], y[3:], fixed.widths)

    joined = [np.concatenate(pair, axis=1) for pair in ((SOURCE, others[0]), (TARGET, others[1]))]
    layers = [[jnp.asarray(x) for x in pair] for pair in ((SOURCE, others[0]), (TARGET, others[1]))]
    got = joint_mmd(*layers, kernels=(mmd.Gaussians((1.0,)), fixed))
    np.testing.assert_allclose(got, oracle(k, *joined), rtol=1e-5)


def test_the_joint_law_is_seen_where_the_layers_apart_agree():
    """The same features and the same classes in both domains, but paired the other way round."""
    features = jnp.asarray([[-1.0], [-1.0], [1.0], [1.0]])
    classes = jnp.eye(2)[jnp.array([0, 0, 1, 1])]
    assert abs(float(multi_kernel_mmd(features, features))) < 1e-6
    assert float(joint_mmd((features, classes), (features, classes[::-1]))) > 0.1
    assert abs(float(joint_mmd((features, classes), (features, classes)))) < 1e-6


def test_the_unbiased_estimate_is_zero_in_the_mean_and_the_biased_one_is_not():
    draws = jax.random.normal(jax.random.key(0), (200, 2, 8, 3))
    for unbiased, low, high in ((True, -0.01, 0.01), (False, 0.05, 0.3)):
        found = jax.vmap(lambda x, u=unbiased: multi_kernel_mmd(x[0], x[1], unbiased=u))(draws)
        assert low < float(found.mean()) < high


def test_features_that_are_all_equal_have_a_finite_gradient():
    value, slope = jax.value_and_grad(multi_kernel_mmd)(jnp.ones((4, 3)), jnp.ones((4, 3)))
    assert float(value) == 0 and jnp.isfinite(slope).all()


def test_a_shift_far_away_does_not_round_the_distances_away():
    far = multi_kernel_mmd(jnp.asarray(SOURCE + 1e3), jnp.asarray(TARGET + 1e3))
    near = multi_kernel_mmd(jnp.asarray(SOURCE), jnp.asarray(TARGET))
    np.testing.assert_allclose(far, near, rtol=1e-2)


@pytest.mark.parametrize("unbiased", [False, True])
def test_devices_gather_all_pairs(unbiased):
    w = jnp.asarray(RNG.normal(size=(3, 2)), jnp.float32)
    source, target = jnp.asarray(SOURCE, jnp.float32), jnp.asarray(TARGET, jnp.float32)

    def loss(w, source, target, axis_name=None):
        features = jnp.tanh(source @ w), jnp.tanh(target @ w)
        return multi_kernel_mmd(*features, axis_name, unbiased=unbiased)

    want, slope = jax.value_and_grad(loss)(w, source, target)
    mapped = jax.pmap(
        jax.value_and_grad(lambda *x: loss(*x, "i")), axis_name="i", in_axes=(None, 0, 0)
    )
    got, slopes = mapped(w, source.reshape(8, 1, 3), target.reshape(8, 2, 3))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(slopes.mean(axis=0), slope, rtol=1e-3, atol=1e-5)


def test_bad_input_is_refused_by_name():
    x = jnp.ones((4, 3))
    with pytest.raises(ValueError, match="source and target: widths must be equal, got 3 and 2"):
        multi_kernel_mmd(x, jnp.ones((4, 2)))
    with pytest.raises(ValueError, match=r"squared widths above 0, got \(1.0, 0.0\)"):
        multi_kernel_mmd(x, x, kernel=mmd.Gaussians((1.0, 0.0)))
    with pytest.raises(ValueError, match=r"as many layers.*got 2, 1 and 2"):
        joint_mmd((x, x), (x,))
    with pytest.raises(ValueError, match=r"different numbers of examples, \[\(2, 4\), \(4, 4\)\]"):
        joint_mmd((x, x[:2]), (x, x))
    with pytest.raises(ValueError, match=r"sources\[1\] and targets\[1\]: widths"):
        joint_mmd((x, x), (x, x[:, :2]))
    with pytest.raises(ValueError, match="two examples a domain, got 1 and 4"):
        multi_kernel_mmd(x[:1], x, unbiased=True)
