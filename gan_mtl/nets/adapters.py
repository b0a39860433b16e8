"""The one adapter from Flax Linen modules to `Network`, a pair of pure functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_mtl.types import Array, Context, Key, Network, PyTree


def from_linen(module: nn.Module, param_dtype: Any = None) -> Network:
    """Makes a `Network` of a Linen module.

    Our modules have `__call__(self, *inputs, context)`. Other Linen modules are given what their
    `__call__` asks for by name: `train` or `training`, `deterministic` and `use_running_average`
    (both `not context.train`), `axis_name`.

    Random streams of a pass: `"draws"` is `context.key`; `"dropout"`, which `flax.linen.Dropout`
    draws from, is folded from it (and from the device's number under pmap: Flax's own dropout draws
    per array, so unlike `nets.Dropout` its masks depend on the number of devices).

    A `flax.linen.BatchNorm` inside the module that was not given the axis of the devices would
    normalise every device's examples by themselves: training it under pmap is refused.

    Args:
        module: the module, unbound.
        param_dtype: the dtype of every floating variable. None is float32, or float64 where an
            input of `init` is float64 (tests that compare compilers run so).

    Returns:
        init: `(key, *inputs) -> {"params": ..., other collections}`, plain dicts. Runs the module
            once in training mode.
        apply: `(variables, *inputs, context) -> (outputs, collections)`. In training mode
            `collections` are the new values of all collections but the parameters, in the dtypes
            that they had; in evaluation mode it is empty. Floating outputs narrower than float32
            are cast to float32.

    Raises:
        TypeError: `module` is not a Linen module.
        ValueError: from `apply`, for a BatchNorm without the axis of the devices.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"from_linen: module={module!r} of type {type(module).__name__} is not a "
            "flax.linen.Module; a network of another library is Network(init, apply) directly."
        )
    accepted = inspect.signature(type(module).__call__).parameters

    def init(key: Key, *inputs: Any) -> dict[str, PyTree]:
        context = Context(jax.random.fold_in(key, 1), jnp.zeros((), jnp.int32))
        rngs = {"params": key, **_streams(context)}
        variables = nn.meta.unbox(module.init(rngs, *inputs, **_keywords(accepted, context)))
        dtype = _param_dtype(inputs) if param_dtype is None else param_dtype
        return {"params": {}, **jax.tree.map(lambda x: _cast_floating(x, dtype), variables)}

    def apply(
        variables: dict[str, PyTree], *inputs: Any, context: Context
    ) -> tuple[Any, dict[str, PyTree]]:
        state = {name: tree for name, tree in variables.items() if name != "params" and tree}
        keywords = _keywords(accepted, context)
        with nn.intercept_methods(_with_axis(context)):
            if not (context.train and state):
                outputs = module.apply(variables, *inputs, rngs=_streams(context), **keywords)
                return jax.tree.map(_widen, outputs), {}
            outputs, new = module.apply(
                variables, *inputs, rngs=_streams(context), mutable=list(state), **keywords
            )
        new = jax.tree.map(lambda old, x: x.astype(old.dtype), state, dict(new))
        return jax.tree.map(_widen, outputs), new

    return Network(init, apply)


def _keywords(accepted: Any, context: Context) -> dict[str, Any]:
    """What a module's `__call__` asks for by name, out of the context."""
    if "context" in accepted:
        return {"context": context}
    known = {
        "train": context.train,
        "training": context.train,
        "deterministic": not context.train,
        "use_running_average": not context.train,
        "axis_name": context.axis_name,
    }
    return {name: value for name, value in known.items() if name in accepted}


def _with_axis(context: Context) -> Callable[..., Any]:
    """Looks at every BatchNorm that runs: without the axis of the devices it is refused."""

    def look(run: Callable[..., Any], inputs: Any, keywords: Any, method: Any) -> Any:
        layer = method.module
        if method.method_name == "__call__" and isinstance(layer, nn.BatchNorm):
            _check_axis(layer, inputs, keywords, context)
        return run(*inputs, **keywords)

    return look


def _check_axis(layer: nn.BatchNorm, inputs: Any, keywords: Any, context: Context) -> None:
    """Raises ValueError for batch moments of one device where there are several."""
    given = inputs[1] if len(inputs) > 1 else keywords.get("use_running_average")
    averaged = layer.use_running_average if given is None else given
    if context.axis_name is not None and layer.axis_name is None and not averaged:
        raise ValueError(
            f"flax.linen.BatchNorm {'/'.join(layer.path)!r} has axis_name=None under pmap over "
            f"{context.axis_name!r}: every device would normalise by its own examples. Use "
            "nets.BatchNorm, let the module's __call__ take axis_name and hand it on, or train "
            "with jit."
        )


def _streams(context: Context) -> dict[str, Key]:
    dropout = context.fold("dropout").key
    if context.axis_name is not None:
        dropout = jax.random.fold_in(dropout, jax.lax.axis_index(context.axis_name))
    return {"draws": context.key, "dropout": dropout}


def _param_dtype(inputs: tuple[Any, ...]) -> Any:
    dtypes = [leaf.dtype for leaf in jax.tree.leaves(inputs) if hasattr(leaf, "dtype")]
    return jnp.float64 if jnp.dtype("float64") in dtypes else jnp.float32


def _cast_floating(x: Array, dtype: Any) -> Array:
    return x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x


def _widen(x: Any) -> Any:
    narrow = hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jnp.floating) and x.dtype.itemsize < 4
    return x.astype(jnp.float32) if narrow else x
