"""Random loss weighting: weights drawn anew at every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.types import Key, Weighting

Law = Literal[
    "normal", "uniform", "random_normal", "dirichlet", "bernoulli", "constrained_bernoulli"
]


def rlw(law: Law = "normal", *, times_tasks: bool = False, seed: int = 0) -> Weighting:
    """Weights on the simplex, drawn from a law at every step: a litmus test for the others.

    Args:
        law: "normal", the softmax of z ~ N(0, I); "uniform", that of z_i ~ U(0, 1);
            "random_normal", that of a normal law whose means and deviations are themselves drawn
            once from U(0, 1); "dirichlet", with all parameters 1; "bernoulli", 0 or 1 with
            probability 1/2 each, never all 0, divided by their sum; "constrained_bernoulli", one
            objective at a time.
        times_tasks: whether the weights sum to K, as in the code of Kurin et al., not to 1.
        seed: of the means and deviations of "random_normal".

    Reference:
        Lin et al., "Reasonable Effectiveness of Random Weighting: A Litmus Test for Multi-Task
        Learning", TMLR 2022, section 3; the six laws as in Kurin et al., "In Defense of the Unitary
        Scalarization for Deep Multi-Task Learning", NeurIPS 2022.
    """
    if law not in get_args(Law):
        raise ValueError(f"law: expected one of {get_args(Law)}, got {law!r}")

    def init(num_tasks):
        del num_tasks
        return ()

    def update(key, losses, gramian, state):
        del gramian
        tasks = losses.size
        if law == "random_normal":
            mean, deviation = jax.random.uniform(jax.random.key(seed), (2, tasks))
            weights = jax.nn.softmax(mean + deviation * jax.random.normal(key, (tasks,)))
        else:
            weights = _LAWS[law](key, tasks)
        return (weights * (tasks if times_tasks else 1)).astype(losses.dtype), state

    return Weighting(init, update, needs_gramian=False)


def _bernoulli(key: Key, tasks: int) -> Float[Array, " tasks"]:
    """Fair bits given that one of them is 1: the first 1 is at i in proportion to 2^-i."""
    key_first, key_rest = jax.random.split(key)
    index = jnp.arange(tasks)
    first = jax.random.categorical(key_first, -index * jnp.log(2.0))
    rest = jax.random.bernoulli(key_rest, shape=(tasks,))
    bits = jnp.where(index > first, rest, index == first).astype(float)
    return bits / bits.sum()


_LAWS: dict[str, Callable[[Key, int], Array]] = {
    "normal": lambda key, tasks: jax.nn.softmax(jax.random.normal(key, (tasks,))),
    "uniform": lambda key, tasks: jax.nn.softmax(jax.random.uniform(key, (tasks,))),
    "dirichlet": lambda key, tasks: jax.random.dirichlet(key, jnp.ones(tasks)),
    "bernoulli": _bernoulli,
    "constrained_bernoulli": lambda key, tasks: jax.nn.one_hot(
        jax.random.randint(key, (), 0, tasks), tasks
    ),
}
