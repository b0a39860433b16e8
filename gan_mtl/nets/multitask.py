"""The units of multi-task architectures: what mixes, gates, attends or chooses between features."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan_mtl.nets.batch_norm import BatchNorm
from gan_mtl.nets.conv import max_pool
from gan_mtl.nets.layers import Conv, Dense, flatten
from gan_mtl.types import Context

Features = tuple[Any, ...]  # of every expert, trunk or node: an array [n, ...] or a pyramid of maps


def mix(weights: Float[Array, "n k"], features: Features) -> Any:
    """sum_i weights[:, i] features[i]; of pyramids, map by map.

    Raises:
        ValueError: for features of several shapes.
    """
    _check_alike("mix", features)

    def summed(*maps: Array) -> Array:
        return jnp.einsum("nk,kn...->n...", weights, jnp.stack(maps))

    return jax.tree.map(summed, *features)


class CrossStitch(nn.Module):
    """A task's row of a cross-stitch unit (Misra et al. 2016, equation 1).

    Attributes:
        own: alpha_S, the first weight of the task's own activations. The others share 1 - own, so
            that the combination is convex, as at the paper's starts (table 1; there is one other
            there, and 0.9 goes with alpha_D = 0.1).
        per_channel: one alpha per channel, as in the paper's networks for segmentation, or one for
            all, as in those for detection.
        dtype: compute dtype.
    """

    own: float = 0.9
    per_channel: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(
        self, own: Float[Array, "n ... c"], others: Features, *, context: Context
    ) -> Float[Array, "n ... c"]:
        """Shape of `own`."""
        del context
        features = (own, *others)
        _check_alike("CrossStitch", features)
        first = [self.own] + [(1 - self.own) / max(len(others), 1)] * len(others)
        width = own.shape[-1] if self.per_channel else 1

        def start(_: Array) -> Array:
            return jnp.tile(jnp.array(first, jnp.float32)[:, None], (1, width))

        alpha = self.param("alpha", start).astype(self.dtype or own.dtype)
        shape = (len(features),) + (1,) * (own.ndim - 1) + (width,)
        return (alpha.reshape(shape) * jnp.stack(features)).sum(axis=0)


class SoftmaxMixture(nn.Module):
    """softmax(W x) over experts, x flattened: the gate of MMoE (section 4.2), CGC and PLE.

    Attributes:
        use_bias: whether there is a bias; the papers have none.
        dtype: compute dtype.
    """

    use_bias: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(
        self, inputs: Float[Array, "n ..."], experts: Features, *, context: Context
    ) -> Any:
        """Shape of an expert's features, an array or a pyramid."""
        gate = Dense(len(experts), use_bias=self.use_bias, dtype=self.dtype, name="gate")
        return mix(jax.nn.softmax(gate(flatten(inputs), context=context)), experts)


def smooth_step(t: Float[Array, " *n"], gamma: float = 1.0) -> Float[Array, " *n"]:
    """0 up to -gamma / 2, 1 from gamma / 2 on, a cubic between (DSelect-k)."""
    t = jnp.clip(t, -gamma / 2, gamma / 2)
    return -2 / gamma**3 * t**3 + 3 / (2 * gamma) * t + 0.5


class DSelectMixture(nn.Module):
    """The DSelect-k gate: k selectors, each a binary code of an expert, in a convex combination.

    Attributes:
        k: the number of selectors, and the most experts that the trained gate can choose.
        gamma: width of the smooth step.
        per_example: whether codes and weights are linear in the inputs, or the task's alone.
        dtype: compute dtype.

    First values as in the authors' code: codes in +-gamma / 100, weights in +-0.05, uniform.
    """

    k: int
    gamma: float = 1.0
    per_example: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(
        self, inputs: Float[Array, "n ..."], experts: Features, *, context: Context
    ) -> tuple[Any, Float[Array, "*n k experts"]]:
        """The mixture, and what every selector gives to every expert (without n if per task).

        The mixture has the shape of an expert's features, an array or a pyramid.
        """
        if len(experts) < 2:
            raise ValueError(f"DSelectMixture chooses among 2 experts or more, got {len(experts)}.")
        bits = (len(experts) - 1).bit_length()
        codes = np.array(list(itertools.product((False, True), repeat=bits))[: len(experts)])
        z = self._logits("z", self.k * bits, self.gamma / 100, inputs, context)
        w = self._logits("w", self.k, 0.05, inputs, context)
        steps = smooth_step(z, self.gamma).reshape(*z.shape[:-1], self.k, 1, bits)
        codes = codes.reshape((1,) * (steps.ndim - 2) + codes.shape)
        selectors = jnp.where(codes, steps, 1 - steps).prod(axis=-1)
        weights = (jax.nn.softmax(w)[..., None] * selectors).sum(axis=-2)
        weights = jnp.broadcast_to(weights, (inputs.shape[0], len(experts)))
        return mix(weights, experts), selectors

    def _logits(
        self, name: str, width: int, scale: float, inputs: Array, context: Context
    ) -> Float[Array, "*n width"]:
        def start(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
            return jax.random.uniform(key, shape, dtype, -scale, scale)

        bias = self.param(f"{name}_bias", start, (width,))
        if not self.per_example:
            return bias.astype(self.dtype or bias.dtype)
        linear = Dense(width, use_bias=False, kernel_init=start, dtype=self.dtype, name=name)
        out = linear(flatten(inputs), context=context)
        return out + bias.astype(out.dtype)[None]


class Attention(nn.Module):
    """MTAN's attention of one task in one block: h(g([u; linked])) * p, both 1x1 convolutions.

    Attributes:
        width: of g; None is the width of p, as in the authors' code.
        batch_norm: whether g and h are normalised before ReLU and sigmoid, as in the paper.
        dtype: compute dtype.
    """

    width: int | None = None
    batch_norm: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        u: Float[Array, "n ... a"],
        p: Float[Array, "n ... c"],
        linked: Float[Array, "n ... b"] | None = None,
        *,
        context: Context,
    ) -> Float[Array, "n ... c"]:
        """Shape of `p`, whose places `u` shares."""
        if u.shape[:-1] != p.shape[:-1]:
            raise ValueError(
                f"Attention: u of shape {u.shape} and p of shape {p.shape} differ in more than "
                "channels; the second part of a block keeps height and width."
            )
        x = u if linked is None else jnp.concatenate([u, linked], axis=-1)
        for name, width, function in (
            ("g", self.width or p.shape[-1], jax.nn.relu),
            ("h", p.shape[-1], jax.nn.sigmoid),
        ):
            x = Dense(width, dtype=self.dtype, name=name)(x, context=context)  # at every place
            if self.batch_norm:
                x = BatchNorm(dtype=self.dtype, name=f"{name}_norm")(x, context=context)
            x = function(x)
        return x * p


class AttentionLink(nn.Module):
    """MTAN's f: a 3x3 convolution to the next block's width, pooled to its height and width.

    Attributes:
        batch_norm: whether it is normalised before ReLU, as in the paper.
        dtype: compute dtype.
    """

    batch_norm: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(
        self, attended: Float[Array, "n h w c"], u: Float[Array, "n H W a"], *, context: Context
    ) -> Float[Array, "n H W a"]:
        """Shape of `u`."""
        x = Conv(u.shape[-1], 3, dtype=self.dtype, name="f")(attended, context=context)
        if self.batch_norm:
            x = BatchNorm(dtype=self.dtype, name="f_norm")(x, context=context)
        x = jax.nn.relu(x)
        while x.shape[1] > u.shape[1]:
            x = max_pool(x)
        if x.shape != u.shape:
            raise ValueError(
                f"AttentionLink: {attended.shape} halves to {x.shape}, not to {u.shape}; blocks "
                "keep or halve height and width."
            )
        return x


class Branch(nn.Module):
    """The choice of one parent, by the Gumbel softmax trick (Guo et al. 2020).

    In training a parent is drawn, and the gradient is that of the relaxed draw (straight-through);
    in evaluation it is the likeliest one.

    Attributes:
        temperature: tau, `(step) -> positive scalar`, such as one of optax's schedules, falling.
        warmup: steps in which the relaxed draw itself is used, so that all paths are trained; at
            least 1: under a hard draw paths that nobody chose have no gradient.
        dtype: compute dtype.
    """

    temperature: Callable[[Array], Any]
    warmup: int = 1
    dtype: Any = None

    @nn.compact
    def __call__(self, parents: Features, *, context: Context) -> Any:
        """Shape of a parent's features, an array or a pyramid.

        One draw for all examples, the same on all devices.
        """
        if self.warmup < 1:
            raise ValueError(f"Branch: warmup={self.warmup} must be at least 1.")
        logits = self.param("logits", nn.initializers.zeros, (len(parents),), jnp.float32)
        if context.train:
            noisy = logits + jax.random.gumbel(context.key, logits.shape, logits.dtype)
            soft = jax.nn.softmax(noisy / self.temperature(context.step))
            hard = _one_hot(noisy) + soft - jax.lax.stop_gradient(soft)
            weights = jnp.where(context.step < self.warmup, soft, hard)
        else:
            weights = _one_hot(logits)
        first = jax.tree.leaves(parents[0])[0]
        weights = weights.astype(self.dtype or first.dtype)
        return mix(jnp.tile(weights[None], (first.shape[0], 1)), parents)


def _one_hot(scores: Float[Array, " k"]) -> Float[Array, " k"]:
    return jax.nn.one_hot(scores.argmax(), scores.shape[0], dtype=scores.dtype)


def _check_alike(name: str, features: Features) -> None:
    """Raises ValueError for features of several shapes, which have no sum."""
    shapes = [jax.tree.map(jnp.shape, x) for x in features]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError(f"{name}: features of one shape are needed, got {shapes}.")
