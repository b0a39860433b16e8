"""The small problems that a Gramian poses, solved on the device: no callback, no outer solver.

All are posed for *unit rows* (`unit_rows`), so that no scale of a row enters, and solved for a
handful up to some dozens of tasks: closed forms for two, otherwise a primal-dual interior point or
a damped Newton method, and last a linear system on the active set that it found. Everything may be
compiled and vmapped, in float32 and float64. `unit_rows` and `reported` hold the package's rule for
rows that are zero or not finite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Array, Bool, Float, Int

from gan_mtl.types import Key

ITERATIONS = 60  # most problems reach rounding within 12


class UnitRows(NamedTuple):
    """The Gramian taken apart: G_ij = norms_i cosines_ij norms_j for the tasks that are present.

    norms: 1 where absent; present: rows that are neither zero nor broken (an absent one is a unit
    vector at right angles to all others); broken: rows that are not finite, or whose square is not.
    """

    cosines: Float[Array, "tasks tasks"]
    norms: Float[Array, " tasks"]
    present: Bool[Array, " tasks"]
    broken: Bool[Array, " tasks"]


def unit_rows(gramian: Float[Array, "tasks tasks"]) -> UnitRows:
    """Cosines and norms of the rows."""
    squares = jnp.diagonal(gramian)
    broken = ~jnp.isfinite(squares)
    present = (squares > 0) & ~broken
    norms = jnp.sqrt(jnp.where(present, squares, 1))
    both = present[:, None] & present[None, :] & ~jnp.eye(len(squares), dtype=bool)
    cosines = jnp.where(both, gramian, 0) / norms[:, None] / norms[None, :]
    cosines = jnp.clip(cosines, -1, 1) + jnp.eye(len(squares), dtype=gramian.dtype)
    return UnitRows(cosines, norms, present, broken)


def reported(weights: Float[Array, " tasks"], rows: UnitRows) -> Float[Array, " tasks"]:
    """The weights as the package promises them: 0 where a row is zero, NaN where it is broken."""
    return jnp.where(rows.broken, jnp.nan, jnp.where(rows.present, weights, 0))


def preference(
    pref: Sequence[float] | None, like: Float[Array, " tasks"]
) -> Float[Array, " tasks"]:
    """The preference vector, or 1 / T for all; its length and signs checked by name."""
    if pref is None:
        return jnp.full_like(like, 1 / like.shape[0])
    if len(pref) != like.shape[0] or not all(p >= 0 for p in pref):
        raise ValueError(f"pref: expected {like.shape[0]} numbers >= 0, got {pref}")
    return jnp.asarray(pref, like.dtype)


def smallest(num_tasks: int, dtype) -> float:
    """Eigenvalues of the cosines below this are rounding: 2 T eps."""
    return 2 * num_tasks * float(jnp.finfo(dtype).eps)


def _definite(cosines: Array) -> Array:
    """Lifts the eigenvalues that are rounding to `smallest`; others stay as they are."""
    floor = smallest(len(cosines), cosines.dtype)
    values, vectors = jnp.linalg.eigh(cosines)
    return cosines + (vectors * jnp.maximum(floor - values, 0)[None, :]) @ vectors.T


def dual_cone(cosines: Float[Array, "t t"], u: Float[Array, " t"]) -> Float[Array, " t"]:
    """argmin over v >= u of v' C v / 2: the projection of u' U onto the rows' dual cone.

    Args:
        cosines: C, of the unit rows U.
        u: non-negative. Two tasks: v = max(u, -c (u_2, u_1)).
    """
    if len(u) == 2:
        return jnp.maximum(u, -cosines[0, 1] * u[::-1])
    cosines, scale = _definite(cosines), jnp.max(u) + jnp.finfo(u.dtype).tiny
    return u + scale * _nonnegative_qp(cosines, cosines @ (u / scale))


def min_norm(
    cosines: Float[Array, "t t"], norms: Float[Array, " t"], present: Bool[Array, " t"]
) -> Float[Array, " t"]:
    """argmin over the simplex of |sum_i w_i norms_i U_i|^2, over the tasks that are present.

    With a = 1 / norms and y = w / a it is the direction of argmin over y >= 0 of
    y' C y + (a' y - 1)^2, which has a solution for every C. Two tasks: y_1 = max(0, a_1 - c a_2).
    """
    a = jnp.where(present, jnp.min(jnp.where(present, norms, jnp.inf)) / norms, 0)
    if len(a) == 2:
        y = jnp.maximum(a - cosines[0, 1] * a[::-1], 0)
    else:
        lifted = _definite(cosines) + a[:, None] * a[None, :]
        y = _nonnegative_qp(lifted, jnp.where(present, -a, 1))
    total = a @ y
    even = present / jnp.maximum(present.sum(), 1)
    return jnp.where(total > 0, a * y / jnp.where(total > 0, total, 1), even)


def conflict_averse(
    cosines: Float[Array, "t t"], a: Float[Array, " t"], b: Float[Array, " t"]
) -> Float[Array, " t"]:
    """argmin over w >= 0, a' w = 1 of b' w + |w' U|, scaled to y = w / |w' U|: y' C y = 1.

    The conditions are z = C y + b - level a >= 0 and y_i z_i = 0, with the level such that
    y' C y = 1. On an active set that is one quadratic equation; two tasks: the best of three sets.
    Where |w' U| = 0 is best there is no such y, and eigenvalues of rounding bound it.
    """
    cosines = _definite(cosines)

    def dual(y):
        z = cosines @ y + b
        return z - a * (y @ z) / (a @ y)

    def solve(active):
        alpha, beta = (_on_active(cosines, x, active) for x in (a, b))
        gap = (a @ alpha) * (b @ beta) - (a @ beta) ** 2
        level = (a @ beta + jnp.sqrt(jnp.maximum(a @ alpha - gap, 0))) / (a @ alpha)
        return level * alpha - beta

    def residual(y):
        worst = jnp.max(jnp.abs(jnp.minimum(y, dual(y))))
        rounding = smallest(len(y), y.dtype) * (y @ y)
        return jnp.maximum(worst, jnp.abs(y @ cosines @ y - 1) - rounding)

    if len(a) == 2:
        sets = jnp.array([[True, True], [True, False], [False, True]])
        found = jnp.maximum(jax.vmap(solve)(sets), 0)
        errors = jax.vmap(residual)(found)
        return found[jnp.argmin(jnp.where(jnp.isnan(errors), jnp.inf, errors))]
    y, active, size = _shortest(cosines, a, b)
    return _polish(solve, residual, dual, y / size, active)


def power_point(
    cosines: Float[Array, "t t"], c: Float[Array, " t"], alpha: float
) -> Float[Array, " t"]:
    """The x > 0 with C x = c x^(-1/alpha): argmin of x' C x / 2 - sum_i c_i phi(x_i).

    phi is log x for alpha = 1, else x^(1-1/alpha) / (1-1/alpha). Newton's method on this strictly
    convex function, damped by the best of eight steps until its decrement is small. Where the rows
    have a vanishing positive combination no x is finite, and eigenvalues of rounding bound it.

    Args:
        c: positive, at most 1; all equal for alpha = 1. There two tasks have
            x = sqrt(c / (1 + cosine)).
    """
    cosines, q = _definite(cosines), 1 / alpha
    if len(c) == 2 and alpha == 1:
        return jnp.sqrt(c / (1 + cosines[0, 1]))
    halvings = 0.5 ** jnp.arange(8, dtype=c.dtype)

    def value(x):
        gain = jnp.log(x) if alpha == 1 else x ** (1 - q) / (1 - q)
        return x @ cosines @ x / 2 - c @ gain

    def residual(x):
        return jnp.max(jnp.abs((cosines @ x) * x**q / c - 1))

    def step(carry):
        x, error, count = carry
        slope = cosines @ x - c * x**-q
        dx = -cho_solve(cho_factor(cosines + jnp.diag(q * c * x ** (-q - 1))), slope)
        longest = jnp.minimum(1, 0.95 / jnp.maximum(jnp.max(-dx / x), 0.01))
        tried = longest * halvings
        best = tried[jnp.argmin(jax.vmap(lambda t: value(x + t * dx))(tried))]
        size = jnp.where(-slope @ dx < 0.01 * (c @ x ** (1 - q)), longest, best)
        after = x + size * dx
        found = residual(after)
        good = jnp.isfinite(found) & ((found < error) | (error > 1e-3))
        count = jnp.where(good, count + 1, ITERATIONS)
        return jnp.where(good, after, x), jnp.where(good, found, error), count

    def unfinished(carry):
        _, error, count = carry
        return (error > 2 * jnp.finfo(c.dtype).eps) & (count < ITERATIONS)

    x = c ** (1 / (1 + q))
    x = x * ((c @ x ** (1 - q)) / (x @ cosines @ x)) ** (1 / (1 + q))
    return jax.lax.while_loop(unfinished, step, (x, residual(x), jnp.zeros((), int)))[0]


def _nonnegative_qp(h: Array, f: Array) -> Array:
    """argmin over y >= 0 of y' H y / 2 + f' y, for H positive semi-definite and |f| about 1."""

    def prepare(point):  # z = H y + f, y_i z_i = products
        y, z = point
        factor = cho_factor(h + jnp.diag(z / y))

        def direction(products):
            dy = cho_solve(factor, z - h @ y - f - products / y)
            return dy, -(products + z * dy) / y

        return direction

    def dual(y):
        return h @ y + f

    def residual(y):
        return jnp.max(jnp.abs(jnp.minimum(y, dual(y))))

    y, z = _interior(prepare, lambda point: point, (jnp.ones_like(f), jnp.ones_like(f)))
    return _polish(lambda active: _on_active(h, -f, active), residual, dual, y, y > z)


def _shortest(c: Array, a: Array, b: Array) -> tuple[Array, Array, Array]:
    """argmin over y >= 0, a' y = 1 of b' y + |y' U|, which of it are not 0, and the norm.

    Where rounding ended the path early (|y' U| can vanish on it) all count as not 0. On the path
    the norm's gradient is u / (mu + sqrt(mu^2 + u' u)): the barrier of its cone.
    """

    def norm(point):
        mu = (point[0] * point[1]).mean()
        root = jnp.sqrt(mu**2 + point[0] @ c @ point[0])
        return mu + root, root

    def prepare(point):  # z = C y / size + b - level a
        y, z, level = point
        g, (size, root) = c @ y, norm(point)
        bent = (c - g[:, None] * g[None, :] / (size * root)) / size
        factor = cho_factor(bent + jnp.diag(z / y))
        by_level = cho_solve(factor, a)

        def direction(products):
            p = cho_solve(factor, z + level * a - g / size - b - products / y)
            dlevel = (1 - a @ (y + p)) / (a @ by_level)
            dy = p + dlevel * by_level
            return dy, -(products + z * dy) / y, dlevel

        return direction

    start = (jnp.ones_like(a) / a.sum(), jnp.ones_like(a), jnp.zeros_like(a[0]))
    point = _interior(prepare, lambda point: point[:2], start, centre=0.3)
    y, z, _ = point
    early = (y * z).mean() > jnp.finfo(y.dtype).eps
    return y, (y > z) | early, norm(point)[0]


def _interior(prepare: Callable, pairs: Callable, start: tuple, centre: float = 0.0) -> tuple:
    """Mehrotra's predictor and corrector, down to a complementarity of eps^1.5.

    Args:
        prepare: `(point) -> direction`, where `direction(products)` is the Newton step that takes
            the products of the pairs down by `products`.
        pairs: `(point) -> (primal, dual)`, the entries that stay positive, of a point or a step.
        centre: the least share of the products that a step aims at; above 0 where prepare is not
            the Newton step of a quadratic program.
    """

    def longest(point, step):
        (p, d), (dp, dd) = pairs(point), pairs(step)
        return 1 / jnp.maximum(jnp.maximum(jnp.max(-dp / p), jnp.max(-dd / d)), 1)

    def advance(carry):
        point, count = carry
        (p, d), direction = pairs(point), prepare(point)
        step = direction(p * d)
        t, (dp, dd) = longest(point, step), pairs(step)
        ahead = (p + t * dp) @ (d + t * dd) / (p @ d)
        step = direction(p * d + dp * dd - jnp.maximum(ahead**3, centre) * (p * d).mean())
        t = (0.9 if centre else 0.99) * longest(point, step)
        after = jax.tree.map(lambda x, dx: x + t * dx, point, step)
        good = jnp.all(jnp.array([jnp.isfinite(x).all() for x in after]))
        point = jax.tree.map(lambda x, y: jnp.where(good, x, y), after, point)
        return point, jnp.where(good, count + 1, ITERATIONS)

    def unfinished(carry):
        (p, d), count = pairs(carry[0]), carry[1]
        return (count < ITERATIONS) & ((p * d).mean() > float(jnp.finfo(p.dtype).eps) ** 1.5)

    return jax.lax.while_loop(unfinished, advance, (start, jnp.zeros((), int)))[0]


def _on_active(h: Array, right: Array, active: Array) -> Array:
    """Solves H y = right on the active rows, 0 elsewhere, with one step of refinement."""
    inside = active[:, None] & active[None, :]
    matrix = jnp.where(inside, h, jnp.eye(len(right), dtype=h.dtype))
    right = jnp.where(active, right, 0)
    factor = cho_factor(matrix)
    y = cho_solve(factor, right)
    return y + cho_solve(factor, right - matrix @ y)


def _polish(solve: Callable, residual: Callable, dual: Callable, y: Array, active: Array) -> Array:
    """Exact solves on the active set and its three corrections; what has the least residual."""

    def correct(_, carry):
        best, least, active = carry
        found = solve(active)
        active = jnp.where(active, found > 0, dual(found) < 0)
        found = jnp.maximum(found, 0)
        error = residual(found)
        better = error <= least  # False for NaN
        return jnp.where(better, found, best), jnp.where(better, error, least), active

    return jax.lax.fori_loop(0, 4, correct, (y, residual(y), active))[0]


def inverse_of_ones(cosines: Float[Array, "t t"], present: Bool[Array, " t"]) -> Float[Array, " t"]:
    """C^+ 1 over the tasks that are present: equal products with all unit rows, if any has them.

    Eigenvalues up to T eps of the largest count as 0. Two tasks: along (1, 1) whatever the cosine.
    """
    ones = present.astype(cosines.dtype)
    if len(ones) == 2:
        return ones
    values, vectors = jnp.linalg.eigh(cosines)
    kept = values > smallest(len(ones), cosines.dtype) / 2 * values[-1]
    inverse = jnp.where(kept, 1 / jnp.where(kept, values, 1), 0)
    return jnp.where(present, vectors @ (inverse * (vectors.T @ ones)), 0)


def random_orders(key: Key, num_tasks: int) -> Int[Array, "steps tasks"]:
    """Column i is a random order of all tasks, in which task i visits them."""
    keys = jax.random.split(key, num_tasks)
    return jax.vmap(lambda k: jax.random.permutation(k, num_tasks), out_axes=1)(keys)
