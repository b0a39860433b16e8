"""A network of one matrix: what a test can work out by hand."""

import jax
import jax.numpy as jnp

from gan_mtl.types import Network


def linear(out, *, seen=None, shape=(), classes=0):
    """One matrix and nothing else; with classes, <emb(y), x> beside it. `seen` keeps the inputs."""

    def init(key, *inputs):
        inputs = inputs[:1] if classes else inputs
        width = sum(x[0].size for x in inputs)
        params = {"w": jax.random.normal(key, (width, out or 1), inputs[0].dtype) / width**0.5}
        if classes:
            params["emb"] = jax.random.normal(jax.random.fold_in(key, 1), (classes, width))
        return {"params": params}

    def apply(variables, *inputs, context):
        if seen is not None:
            seen.append(inputs)
        params = variables["params"]
        first = inputs[:1] if classes else inputs
        x = jnp.concatenate([x.reshape(len(x), -1) for x in first], axis=1)
        y = x @ params["w"]
        if classes:
            y = y + (params["emb"][inputs[1]] * x).sum(axis=1)[:, None]
        return (y[:, 0] if out is None else y.reshape(len(x), *(shape or (out,)))), {}

    return Network(init, apply)
