"""Standing statistics: BatchNorm's averages made anew, from many passes of the final generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gan_mtl.types import Array, PyTree, Variables


def standing_statistics(
    run: Callable[[Variables, int], Variables], variables: Variables, group: str, passes: int
) -> Variables:
    """The variables with a group's means and variances averaged over training-mode passes.

    Running averages lag behind the parameters, and an averaged (EMA) generator has never seen its
    own activations; with these, sampling no longer depends on the batch. Every pass counts alike:
    the mean of the batches' means, and of their variances, as in BigGAN's and StudioGAN's code.
    (The variance between the batches' means is left out, so take batches of the training's size.)

    The running averages' momentum is found out, not asked for: a pass that starts from ones ends
    higher than one that starts from zeros by just that.

    Args:
        run: `(variables, i) -> variables after it`: pass i in training mode, with latents (and
            labels, at random) of its own: `lambda v, i: v.apply(gen, "gen", latents(i),
            context=context.fold(i))[1]`.
        variables: of the game, or of its averaged copy.
        group: whose statistics to make anew, e.g. "gen".
        passes: how many; BigGAN takes 100 batches.

    Raises:
        ValueError: if the group has no statistics, or `run` does not update them.

    Reference:
        Brock, Donahue & Simonyan, "Large Scale GAN Training for High Fidelity Natural Image
        Synthesis", ICLR 2019.
    """
    if passes < 1:
        raise ValueError(f"passes: expected at least 1, got {passes}")
    state = variables.state.get(group, {})
    names = [path for path, _ in _statistics(state.get("batch_stats", {}))]
    if not names:
        raise ValueError(
            f"group: {group!r} has no mean or var in a collection batch_stats; groups that have "
            f"collections: {sorted(g for g, s in variables.state.items() if s)}"
        )

    def one_pass(start: float, i: int) -> list[Array]:
        filled = _filled(variables, group, lambda path, x: jnp.full_like(x, start))
        return [x for _, x in _statistics(run(filled, i).state[group]["batch_stats"])]

    first = one_pass(0.0, 0)
    momenta = [jnp.median(b - a) for a, b in zip(first, one_pass(1.0, 0), strict=True)]
    if any(bool(m > 1 - 1e-4) for m in momenta):
        raise ValueError("run: leaves the statistics as they are; its context must say train=True")
    totals = first
    for i in range(1, passes):
        totals = [a + b for a, b in zip(totals, one_pass(0.0, i), strict=True)]
    means = [t / passes / (1 - m) for t, m in zip(totals, momenta, strict=True)]
    found = dict(zip(names, means, strict=True))
    return _filled(variables, group, lambda path, x: found[path])


def _statistics(tree: PyTree) -> list[tuple[str, Array]]:
    """The leaves that are means or variances, by path (spectral vectors are neither)."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path), x) for path, x in leaves if _is_statistic(path)]


def _is_statistic(path: Any) -> bool:
    return getattr(path[-1], "key", None) in ("mean", "var")


def _filled(variables: Variables, group: str, value: Callable[[str, Array], Array]) -> Variables:
    def fill(path: Any, x: Array) -> Array:
        return value(jax.tree_util.keystr(path), x) if _is_statistic(path) else x

    state = variables.state[group]
    stats = jax.tree_util.tree_map_with_path(fill, state["batch_stats"])
    return variables._replace(state={**variables.state, group: {**state, "batch_stats": stats}})
