"""The small problems of a Gramian: conditions of optimality, brute force and SciPy as oracles."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mtl.oracles import dual_cone as nearest
from mtl.oracles import jacobians
from scipy.optimize import minimize

from gan_mtl.mtl import _solvers as solvers

BOTH = pytest.mark.parametrize("dtype", [np.float64, np.float32])
PROBLEMS = ((3, None), (5, None), (5, 3), (8, 6))  # tasks, and the rank of their rows
N = 6


def cosines_of(num_tasks, rank=None, seed=0, shift=0.0):
    """Cosines [N, T, T] of random rows, in float64, and the unit rows themselves."""
    rows = jacobians(num_tasks, n=N, rank=rank, seed=seed, shift=shift)
    units = rows / np.linalg.norm(rows, axis=2, keepdims=True)
    return units @ units.transpose(0, 2, 1), units


@functools.cache
def compiled(function, x64, **options):
    del x64  # a program by precision
    return jax.jit(jax.vmap(functools.partial(function, **options)))


def run(function, *arrays, dtype=np.float64, **options):
    """The function over a leading axis, as float64."""
    given = [x if np.asarray(x).dtype == bool else np.asarray(x, dtype) for x in arrays]
    with jax.enable_x64(dtype == np.float64):
        found = compiled(function, dtype == np.float64, **options)(*map(jnp.asarray, given))
        assert found.dtype == dtype
        return np.asarray(found, np.float64)


def smallest_over_active_sets(h, f):
    """argmin over y >= 0 of y' H y / 2 + f' y, by trying all 2^T sets of positive entries."""
    best, least = np.zeros(len(f)), 0.0
    for size in range(1, len(f) + 1):
        for active in map(list, itertools.combinations(range(len(f)), size)):
            y = np.zeros(len(f))
            y[active] = np.linalg.lstsq(h[np.ix_(active, active)], -f[active], rcond=None)[0]
            value = y @ h @ y / 2 + f @ y
            if y.min() >= 0 and value < least:
                best, least = y, value
    return best, least


def test_unit_rows_take_the_gramian_apart():
    rows = jacobians(4, n=1, seed=1, spread=6.0)[0]
    with jax.enable_x64(True):
        found = jax.device_get(solvers.unit_rows(jnp.asarray(rows @ rows.T)))
    np.testing.assert_allclose(found.norms, np.linalg.norm(rows, axis=1), rtol=1e-12)
    again = found.norms[:, None] * found.cosines * found.norms[None, :]
    np.testing.assert_allclose(again, rows @ rows.T, rtol=1e-12)
    np.testing.assert_array_equal(np.diagonal(found.cosines), 1)
    assert found.present.all() and not found.broken.any()


def test_rows_of_zero_and_broken_rows_stand_apart():
    """Both count as absent, at right angles to all others; only the broken ones are reported so."""
    gramian = np.array([[4.0, 2, 0, 1], [2, 9, 0, np.nan], [0, 0, 0, 0], [1, np.nan, 0, np.inf]])
    rows = solvers.unit_rows(jnp.asarray(gramian))
    np.testing.assert_array_equal(rows.present, [True, True, False, False])
    np.testing.assert_array_equal(rows.broken, [False, False, False, True])
    np.testing.assert_array_equal(rows.norms, [2, 3, 1, 1])
    expected = np.eye(4)
    expected[0, 1] = expected[1, 0] = 1 / 3
    np.testing.assert_allclose(rows.cosines, expected, rtol=1e-6)
    weights = solvers.reported(jnp.array([1.0, 2.0, 3.0, 4.0]), rows)
    np.testing.assert_array_equal(weights, [1, 2, 0, np.nan])


def test_cosines_never_leave_their_range():
    """Rounding of nearly equal rows would give a cosine above 1."""
    row = np.float32([1 / 3, 1e3 / 7])
    gramian = np.float32([[row @ row, np.nextafter(row @ row, np.inf)]] * 2)
    gramian[1, 1] = row @ row
    cosines = np.asarray(solvers.unit_rows(jnp.asarray(gramian)).cosines)
    assert cosines.max() == 1 and cosines.min() >= -1


def test_preferences():
    like = jnp.zeros(4)
    np.testing.assert_array_equal(solvers.preference(None, like), 0.25)
    np.testing.assert_array_equal(solvers.preference([0, 1, 2, 3], like), [0, 1, 2, 3])
    for wrong in ((1, 2, 3), (1, 1, 1, -1), (1, 1, 1, float("nan"))):
        with pytest.raises(ValueError, match="pref: expected 4 numbers >= 0, got"):
            solvers.preference(wrong, like)


@BOTH
@pytest.mark.parametrize("num_tasks, rank", [(2, None), *PROBLEMS])
def test_dual_cone(num_tasks, rank, dtype):
    """v >= u, C v >= 0, (v - u) (C v) = 0; and v' U is the projection that active sets find."""
    cosines, units = cosines_of(num_tasks, rank, seed=2)
    u = np.random.default_rng(0).uniform(size=(N, num_tasks))
    u[0, 0] = 0.0
    v = run(solvers.dual_cone, cosines, u, dtype=dtype)
    tolerance = 1e-9 if dtype == np.float64 else 2e-5
    slack = np.einsum("nij,nj->ni", cosines, v)
    residual = np.abs(np.minimum(v - u, slack)).max(axis=1)
    assert (residual <= tolerance * v.max(axis=1)).all()
    expected = [nearest(j, one) @ j for j, one in zip(units, u, strict=True)]
    off = np.linalg.norm(np.einsum("nt,ntp->np", v, units) - expected, axis=1)
    rounding = solvers.smallest(num_tasks, dtype)  # an eigenvalue: d is off by its root
    assert (off <= 2 * np.sqrt(rounding) * np.linalg.norm(v, axis=1)).all()


@BOTH
@pytest.mark.parametrize("num_tasks, rank", [(2, None), *PROBLEMS])
def test_min_norm(num_tasks, rank, dtype):
    """As short as the best of all active sets, with norms over three decades and an absent row."""
    cosines, units = cosines_of(num_tasks, rank, seed=3, shift=0.5)
    norms = 10.0 ** np.random.default_rng(1).uniform(-1.5, 1.5, size=(N, num_tasks))
    present = np.ones((N, num_tasks), bool)
    present[0, -1] = False
    cosines[0, -1, :-1] = cosines[0, :-1, -1] = 0.0
    w = run(solvers.min_norm, cosines, norms, present, dtype=dtype)
    assert w.min() >= 0 and w[0, -1] == 0
    np.testing.assert_allclose(w.sum(axis=1), 1, rtol=1e-6)
    for one, j, scale, there in zip(w, units, norms, present, strict=True):
        rows = (j * scale[:, None])[there]
        smallest = np.linalg.norm(rows, axis=1).min()
        rows = rows / smallest  # y' (J J' + 1 1') y / 2 - 1' y has its direction
        y, _ = smallest_over_active_sets(rows @ rows.T + 1, -np.ones(len(rows)))
        expected = np.linalg.norm(y / y.sum() @ rows)
        tolerance = 1e-8 if dtype == np.float64 else 1e-4
        np.testing.assert_allclose(np.linalg.norm(one[there] @ rows), expected, atol=tolerance)


def test_min_norm_of_nothing_is_even():
    absent = np.zeros((1, 3), bool)
    w = run(solvers.min_norm, np.eye(3)[None], np.ones((1, 3)), absent)
    np.testing.assert_array_equal(w, 0)
    opposite = np.array([[[1.0, -1.0], [-1.0, 1.0]]])
    w = run(solvers.min_norm, opposite, np.array([[1.0, 3.0]]), np.ones((1, 2), bool))
    np.testing.assert_allclose(w, [[0.75, 0.25]], rtol=1e-12)


def averse(w, units, b):
    return b @ w + np.linalg.norm(w @ units)


def by_slsqp(units, a, b):
    """The least b' w + |w' U| over w >= 0, a' w = 1, from several starts."""
    starts = [np.full(len(a), 1 / a.sum()), *(np.eye(len(a)) / a[:, None])]
    found = [
        minimize(
            averse,
            0.9 * start + 0.1 * starts[0],
            args=(units, b),
            bounds=[(0, None)] * len(a),
            constraints={"type": "eq", "fun": lambda w: a @ w - 1},
            options={"ftol": 1e-14, "maxiter": 500},
        ).fun
        for start in starts
    ]
    return min(found)


@BOTH
@pytest.mark.parametrize("num_tasks, rank", [(2, None), (3, None), (5, None), (8, 6)])
def test_conflict_averse(num_tasks, rank, dtype):
    """y' C y = 1, z = C y + b - level a >= 0 and y z = 0; its value is SLSQP's."""
    cosines, units = cosines_of(num_tasks, rank, seed=4, shift=0.5)
    draw = np.random.default_rng(2)
    a = draw.uniform(0.2, 1, size=(N, num_tasks))
    b = np.einsum("nij,nj->ni", cosines, a)  # slopes of a combination, as in CAGrad
    b = b / np.sqrt(np.einsum("ni,ni->n", a, b))[:, None] / 0.4
    y = run(solvers.conflict_averse, cosines, a, b, dtype=dtype)
    tolerance = 1e-9 if dtype == np.float64 else 2e-5
    assert y.min() >= 0
    np.testing.assert_allclose(np.einsum("ni,nij,nj->n", y, cosines, y), 1, atol=tolerance)
    z = np.einsum("nij,nj->ni", cosines, y) + b
    level = (y * z).sum(axis=1) / (a * y).sum(axis=1)
    slack = z - level[:, None] * a
    assert np.abs(np.minimum(y, slack)).max() <= tolerance * y.max()
    for one, j, scale, slopes in zip(y, units, a, b, strict=True):
        w = one / (scale @ one)
        best = by_slsqp(j, scale, slopes)
        np.testing.assert_allclose(averse(w, j, slopes), best, atol=max(tolerance, 1e-7))


@BOTH
@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("num_tasks, rank", [(2, None), (5, None), (8, 6)])
def test_power_point(num_tasks, rank, alpha, dtype):
    """C x = c x^(-1/alpha), and x is where SciPy's minimiser of the convex function ends."""
    cosines, _ = cosines_of(num_tasks, rank, seed=5, shift=1.0)
    c = np.random.default_rng(3).uniform(0.1, 1, size=(N, 1 if alpha == 1 else num_tasks))
    c = np.broadcast_to(c, (N, num_tasks))
    x = run(solvers.power_point, cosines, c, dtype=dtype, alpha=alpha)
    assert x.min() > 0
    residual = np.einsum("nij,nj->ni", cosines, x) * x ** (1 / alpha) / c - 1
    assert np.abs(residual).max() < (1e-12 if dtype == np.float64 else 5e-6)

    def value(log, matrix, c):
        q, x = 1 / alpha, np.exp(log)
        gain = log if alpha == 1 else x ** (1 - q) / (1 - q)
        return x @ matrix @ x / 2 - c @ gain, x * (matrix @ x) - c * x ** (1 - q)

    for one, matrix, weight in zip(x, cosines, c, strict=True):
        start = np.zeros(num_tasks)
        found = minimize(value, start, (matrix, weight), "BFGS", jac=True, options={"gtol": 1e-9})
        np.testing.assert_allclose(one, np.exp(found.x), rtol=1e-4)


@BOTH
@pytest.mark.parametrize("num_tasks, rank", [(3, None), (8, 5)])
def test_inverse_of_ones(num_tasks, rank, dtype):
    """NumPy's pseudo-inverse over the tasks that are present."""
    cosines, units = cosines_of(num_tasks, rank, seed=6, shift=0.3)
    present = np.ones((N, num_tasks), bool)
    present[1, 0] = False
    cosines[1, 0, 1:] = cosines[1, 1:, 0] = 0.0
    v = run(solvers.inverse_of_ones, cosines, present, dtype=dtype)
    assert v[1, 0] == 0
    for one, j, there in zip(v, units, present, strict=True):
        expected = np.linalg.pinv(j[there]) @ np.ones(there.sum())
        tolerance = 1e-9 if dtype == np.float64 else 2e-3
        np.testing.assert_allclose(one[there] @ j[there], expected, rtol=tolerance, atol=tolerance)


def test_two_tasks_are_along_the_bisector_whatever_the_cosine():
    for cosine in (-1.0, 0.3, 1.0):
        matrix = np.array([[[1.0, cosine], [cosine, 1.0]]])
        found = run(solvers.inverse_of_ones, matrix, np.ones((1, 2), bool))
        np.testing.assert_array_equal(found, 1)


def test_everyone_visits_all_tasks_in_an_order_of_his_own():
    orders = jax.jit(jax.vmap(lambda key: solvers.random_orders(key, 4)))(
        jax.random.split(jax.random.key(0), 600)
    )
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.arange(4)[None, :, None] + 0 * orders)
    first = np.asarray(orders)[:, 0]  # [draws, task]: whom each visits first
    for visitor in range(4):
        counts = np.bincount(first[:, visitor], minlength=4)
        assert np.abs(counts - 150).max() < 45  # more than four standard deviations
    assert abs(np.corrcoef(first[:, 0], first[:, 1])[0, 1]) < 0.15
