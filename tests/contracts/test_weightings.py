"""What every public weighting and aggregator promises: shapes, dtypes, stable state, one trace."""

import jax
import jax.numpy as jnp
import methods
import numpy as np
import pytest

from gan_mtl import mtl
from gan_mtl.types import Aggregator, Weighting

T, KEY = 5, jax.random.key(0)
SHAPES = {"bias": (), "kernel": (4, 3), "head": {"w": (7,)}}
DESIGN = """
equal fixed log_sum uncertainty dwa rlw gls imtl_l gradnorm mgda pcgrad gradvac graddrop imtl_g
cagrad nash fairgrad aligned upgrad dualproj conflict_free famo stch dbmtl excess sdmgrad modo moco
krum trimmed_mean cr_mogm hypervolume gman
"""
every = pytest.mark.parametrize("name", sorted(methods.FACTORIES))


def build(name):
    """The method, and as an aggregator."""
    method = methods.make(name, T)
    lifted = method if isinstance(method, Aggregator) else mtl.from_weighting(method)
    return method, lifted


def rows_of(step, batches, dtype: type = np.float32):
    """Rows and losses of a step, with leading axes [batches, T] where there is more than one."""
    draw = np.random.default_rng(step)
    lead = (T,) if batches == 1 else (batches, T)
    is_shape = {"is_leaf": lambda x: isinstance(x, tuple)}
    rows = jax.tree.map(lambda s: draw.normal(size=lead + s).astype(dtype), SHAPES, **is_shape)
    return draw.uniform(0.5, 2.0, size=lead).astype(dtype), rows


def start(aggregator, dtype: type = np.float32):
    _, rows = rows_of(0, 1, dtype)
    return aggregator.init(T, rows) if aggregator.keeps_rows else aggregator.init(T)


def described(tree):
    return jax.tree.map(lambda x: (jnp.shape(x), jnp.asarray(x).dtype), tree)


def set_row(losses, rows, i, value, batches):
    """The same with row i at this value, in every batch."""
    at = (i,) if batches == 1 else (slice(None), i)

    def put(x):
        x = x.copy()
        x[at] = value
        return x

    return losses, jax.tree.map(put, rows)


def test_every_name_of_the_design_is_there():
    assert not set(DESIGN.split()) - set(methods.FACTORIES)


@every
def test_ten_steps_with_one_trace(name):
    """Shapes and dtypes of direction, weights and state, which stay; all finite; one trace."""
    method, aggregator = build(name)
    assert isinstance(method, Weighting | Aggregator)
    traces = []

    def step(key, losses, rows, state):
        traces.append(name)
        direction, weights, state = aggregator.update(key, losses, rows, state)
        if aggregator.observe is not None:
            state = aggregator.observe(0.9 * losses, state)
        return direction, weights, state

    compiled, state = jax.jit(step), start(aggregator)
    before = described(state)
    for i in range(10):
        losses, rows = rows_of(i, aggregator.num_batches)
        if i in (3, 4):  # a task without labels
            losses, rows = set_row(losses, rows, 2, 0.0, aggregator.num_batches)
        key = jax.random.fold_in(KEY, i)
        direction, weights, state = compiled(key, losses, rows, state)
        assert described(state) == before
        assert weights.shape == (T,) and weights.dtype == jnp.float32
        assert jax.tree.map(jnp.shape, direction) == SHAPES
        assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(direction))
        assert all(np.isfinite(x).all() for x in jax.tree.leaves((direction, weights)))
    assert len(traces) == 1
    if isinstance(method, Aggregator) or method.needs_gramian:
        losses, rows = rows_of(0, aggregator.num_batches)
        losses, rows = set_row(losses, rows, 1, np.nan, aggregator.num_batches)
        direction, weights, _ = compiled(KEY, losses, rows, state)
        np.testing.assert_array_equal(np.isnan(weights), np.arange(T) == 1)
        assert all(np.isnan(x).all() for x in jax.tree.leaves(direction))


@every
def test_vmap_in_float64(name):
    """Two runs at once are the two runs, and everything is of the rows' precision."""
    _, aggregator = build(name)
    with jax.enable_x64(True):
        pairs = [rows_of(i, aggregator.num_batches, np.float64) for i in range(3)]
        losses, rows = (
            jax.tree.map(lambda *x: jnp.stack(x), *xs) for xs in zip(*pairs, strict=True)
        )
        keys, state = jax.random.split(KEY, 3), start(aggregator, np.float64)
        step = jax.jit(jax.vmap(aggregator.update, in_axes=(0, 0, 0, None)))
        direction, weights, after = step(keys, losses, rows, state)
        assert all(x.dtype == jnp.float64 for x in jax.tree.leaves((direction, weights)))
        turned = jax.tree.map(lambda x: x[::-1], (keys, losses, rows))
        other = step(*turned, state)
        for a, b in zip(*map(jax.tree.leaves, ((direction, weights, after), other)), strict=True):
            np.testing.assert_allclose(a, b[::-1], rtol=1e-9, atol=1e-12)
