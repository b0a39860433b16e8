"""What the tests of the loss weightings share: trajectories, their laws, and Adam in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_mtl.types import Game, Loss, Objective, Outcome, Turn
from gan_mtl.update import alternating

KEY = jax.random.key(3)


def losses_of(steps=6, tasks=3, seed=0, low=0.05, high=4.0):
    """Positive losses of very different sizes, shape [steps, tasks], float64."""
    return np.random.default_rng(seed).uniform(low, high, (steps, tasks))


def gramians_of(steps=6, tasks=3, seed=1):
    rows = np.random.default_rng(seed).normal(size=(steps, tasks, 5)) * 3.0
    return rows @ rows.transpose(0, 2, 1)


def trajectory(weighting, losses, gramians=None, after=None, jit=True):
    """The weights of every step, shape [steps, tasks], and the last state, as NumPy arrays.

    Every state must have the structure, the shapes and the dtypes of the first.
    """
    update = jax.jit(weighting.update) if jit else weighting.update
    state = weighting.init(losses.shape[1])
    kinds = [(x.shape, x.dtype) for x in jax.tree.leaves(state)]
    found = []
    for step, row in enumerate(losses):
        products = None if gramians is None else jnp.asarray(gramians[step])
        key = jax.random.fold_in(KEY, step)
        weights, state = update(key, jnp.asarray(row), products, state)
        if weighting.observe is not None:
            state = jax.jit(weighting.observe)(jnp.asarray(after[step]), state)
        assert weights.dtype == jnp.asarray(row).dtype
        assert [(x.shape, x.dtype) for x in jax.tree.leaves(state)] == kinds
        assert not any(x.weak_type for x in jax.tree.leaves(state))
        found.append(np.asarray(weights, np.float64))
    return np.stack(found), jax.tree.map(np.asarray, state)


def double(weighting, losses, gramians=None, after=None):
    """The trajectory in float64."""
    with jax.enable_x64(True):
        return trajectory(weighting, losses, gramians, after)


def check_laws(make, losses, gramians=None, after=None, tolerance=1e-4, symmetric=True):
    """Float32 near float64, jit like plain, one trace, vmap like a loop, absent tasks, order."""
    expected, _ = double(make(), losses, gramians, after)
    single = [None if x is None else np.float32(x) for x in (losses, gramians, after)]
    found, _ = trajectory(make(), *single)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    plain, _ = trajectory(make(), *single, jit=False)
    np.testing.assert_allclose(found, plain, rtol=1e-5, atol=1e-6)
    _check_traces_and_vmap(make(), single)
    gone = [None if x is None else x.copy() for x in single]
    gone[0][1, 0] = 0.0
    if gramians is not None:
        gone[1][1, 0, :] = gone[1][1, :, 0] = 0.0
    if after is not None:
        gone[2][1, 0] = 0.0
    assert np.isfinite(trajectory(make(), *gone)[0]).all()
    if symmetric:
        order = np.array([2, 0, 1])
        moved = losses[:, order], gramians, None if after is None else after[:, order]
        if gramians is not None:
            moved = moved[0], gramians[:, order][:, :, order], moved[2]
        np.testing.assert_allclose(double(make(), *moved)[0], expected[:, order], rtol=1e-9)


def check_descends(make, objective, start):
    """Weights are the objective's slopes in the losses, while s descends it by SGD: autodiff.

    Args:
        make: `(optimizer) -> weighting`; objective: `(s[T], losses[T]) -> scalar`; start: of s.
    """
    losses = losses_of(4)
    found, _ = double(make(optax.sgd(0.1)), losses)
    with jax.enable_x64(True):
        s = jnp.full(3, start)
        for weights, row in zip(found, jnp.asarray(losses), strict=True):
            np.testing.assert_allclose(weights, jax.grad(objective, 1)(s, row), rtol=1e-12)
            s = s - 0.1 * jax.grad(objective)(s, row)


def _check_traces_and_vmap(weighting, arrays):
    losses, gramians, _ = arrays
    traces = 0

    def update(key, losses, products, state):
        nonlocal traces
        traces += 1
        return weighting.update(key, losses, products, state)

    compiled, state = jax.jit(update), weighting.init(losses.shape[1])
    for step in range(3):
        products = None if gramians is None else gramians[step]
        _, state = compiled(KEY, losses[step], products, state)
    assert traces == 1
    first = None if gramians is None else gramians[:2]
    axes = (None, 0, None if gramians is None else 0, None)
    mapped = jax.vmap(weighting.update, axes)(KEY, losses[:2], first, state)
    for i in range(2):
        one = weighting.update(KEY, losses[i], None if first is None else first[i], state)
        for a, b in zip(jax.tree.leaves(mapped), jax.tree.leaves(one), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-4, atol=1e-6)


def check_scalarisation(weighting, scalar, losses, tolerance=1e-7):
    """The weights of a weighting without memory are the gradient of `scalar(losses)` in float64."""
    with jax.enable_x64(True):
        found, _ = trajectory(weighting, losses)
        for weights, row in zip(found, losses, strict=True):
            np.testing.assert_allclose(weights, jax.grad(scalar)(jnp.asarray(row)), rtol=tolerance)


def adam(rate, b1=0.9, b2=0.999, eps=1e-8):
    """A step function `(value, gradient) -> value` with its own moments, in NumPy."""
    m, v, t = 0.0, 0.0, 0

    def step(value, gradient):
        nonlocal m, v, t
        t += 1
        m = b1 * m + (1 - b1) * gradient
        v = b2 * v + (1 - b2) * gradient**2
        return value - rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)

    return step


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


TARGETS = np.array([[1.0, -1.0], [-2.0, 0.5], [0.0, 3.0]])
SCALES = np.array([1.0, 3.0, 0.2])


def quadratics(w):
    """Losses `1 + 0.5 c_i |w - t_i|^2` and their gradients, shapes [3] and [3, 2]."""
    apart = w - TARGETS
    return 1 + 0.5 * SCALES * (apart**2).sum(axis=1), SCALES[:, None] * apart


def play_quadratics(weighting, steps, rate=0.05):
    """Parameters after every step of the compiled game on `quadratics`, in float64."""

    def losses(variables, batch, context):
        w, n = variables.params["w"]["w"], batch["x"].shape[0]
        values = [
            1 + 0.5 * c * ((w - jnp.asarray(t)) ** 2).sum()
            for c, t in zip(SCALES, TARGETS, strict=True)
        ]
        return Outcome({f"t{i}": Loss(jnp.full(n, v)) for i, v in enumerate(values)}, variables)

    def init(key, batch):
        return {"w": {"params": {"w": jnp.zeros(2, batch["x"].dtype)}}}

    rows = {f"t{i}": Objective({"w": 1.0}) for i in range(3)}
    game = Game(init, (Turn("model", losses, rows, optax.sgd(rate), weighting),))
    with jax.enable_x64(True):
        updater, batch = alternating(game), {"x": np.zeros((4, 1))}
        state, update = updater.init(KEY, batch), jax.jit(updater.update)
        found = []
        for _ in range(steps):
            state, _ = update(KEY, state, batch)
            found.append(np.asarray(state.params["w"]["w"]))
    return np.stack(found)
