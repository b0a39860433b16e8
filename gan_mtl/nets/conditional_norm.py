"""Batch normalisation whose gain and bias come from a condition or from the latents."""

from __future__ import annotations

from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.nets.batch_norm import BatchNorm
from gan_mtl.nets.layers import Dense, Initializer, dcgan_normal
from gan_mtl.types import Context

GeneratorNorm = Literal["batch", "conditional", "self"] | None


class ConditionalBatchNorm(nn.Module):
    """y = (1 + W_g e) * x_hat + W_b e: one gain and one bias per channel and condition.

    Dumoulin, Shlens & Kudlur 2017, arXiv 1610.07629; de Vries et al. 2017, arXiv 1707.00683. With a
    one-hot label as e, a row of W_g is that class's gain less 1: the table of class embeddings of
    SNGAN with projection. With an embedding shared by all layers, it is BigGAN's. A label that is
    one-hot nowhere (all zeros) has gain 1 and bias 0.

    Attributes:
        momentum, epsilon: as of `BatchNorm`.
        spectral: whether W_g and W_b are spectrally normalised (BigGAN).
        gain_init: initialiser of W_g; N(0, 0.02²).
        bias_init: initialiser of W_b; zeros.
        dtype: compute dtype.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    spectral: bool = False
    gain_init: Initializer = dcgan_normal
    bias_init: Initializer = nn.initializers.zeros
    dtype: Any = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "n ... c"], condition: Float[Array, "n e"], *, context: Context
    ) -> Float[Array, "n ... c"]:
        """`x` normalised, scaled and shifted, each example by its own condition."""
        check_condition(self, x, condition)
        x = _normalised(self, x, context)
        gain = self._linear("gain", self.gain_init, x)(condition, context=context)
        bias = self._linear("bias", self.bias_init, x)(condition, context=context)
        return x * (1 + _over_places(gain, x)) + _over_places(bias, x)

    def _linear(self, name: str, init: Initializer, x: Array) -> Dense:
        return Dense(
            x.shape[-1],
            spectral=self.spectral,
            use_bias=False,
            kernel_init=init,
            dtype=self.dtype,
            name=name,
        )


class SelfModulatedBatchNorm(nn.Module):
    """y = gamma(z) * x_hat + beta(z): Chen, Lucic, Houlsby & Gelly 2019, arXiv 1810.01365.

    Both are linear in h = max(0, U z + b), the bias of gamma being 1 at first. As in the authors'
    code, gamma and beta share the hidden layer.

    Attributes:
        hidden: units of the hidden layer; 32 is the authors'.
        momentum, epsilon: as of `BatchNorm`.
        spectral: whether all three kernels are spectrally normalised.
        kernel_init: of all three kernels.
        dtype: compute dtype.
    """

    hidden: int = 32
    momentum: float = 0.9
    epsilon: float = 1e-5
    spectral: bool = False
    kernel_init: Initializer = dcgan_normal
    dtype: Any = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "n ... c"], latents: Float[Array, "n z"], *, context: Context
    ) -> Float[Array, "n ... c"]:
        """`x` normalised, scaled and shifted, each example by its own latents."""
        check_condition(self, x, latents)
        x = _normalised(self, x, context)
        plain: dict[str, Any] = {
            "spectral": self.spectral,
            "kernel_init": self.kernel_init,
            "dtype": self.dtype,
        }
        h = nn.relu(Dense(self.hidden, name="hidden", **plain)(latents, context=context))
        gamma = Dense(x.shape[-1], name="gamma", **plain)(h, context=context)
        beta = Dense(x.shape[-1], name="beta", **plain)(h, context=context)
        return x * (1 + _over_places(gamma, x)) + _over_places(beta, x)


def generator_norm(
    norm: GeneratorNorm,
    x: Float[Array, "n ... c"],
    condition: Float[Array, "n e"] | None,
    context: Context,
    *,
    dtype: Any = None,
    **keywords: Any,
) -> Float[Array, "n ... c"]:
    """The normalisation of a generator's layer by name, to be called inside a compact method.

    Args:
        norm: "batch", "conditional" (on `condition`), "self" (`condition` holds the latents) or
            None, which leaves `x` as it is.
        x: shape [n, ..., c].
        condition: shape [n, e]; not looked at by "batch" and None.
        context: of the pass.
        dtype: compute dtype.
        keywords: further attributes of the conditional layers.

    Raises:
        ValueError: another `norm`, or one that needs a condition without one.
    """
    check_generator_norm("generator_norm", norm, condition)
    if norm is None:
        return x
    if norm == "batch" or condition is None:
        return BatchNorm(dtype=dtype)(x, context=context)
    kind = ConditionalBatchNorm if norm == "conditional" else SelfModulatedBatchNorm
    return kind(dtype=dtype, **keywords)(x, condition, context=context)


def check_generator_norm(name: str, norm: GeneratorNorm, condition: Array | None) -> None:
    """Raises ValueError for an unknown `norm`, or one without the condition that it needs."""
    if norm not in ("batch", "conditional", "self", None):
        raise ValueError(f"{name}: norm={norm!r} is not None, 'batch', 'conditional' or 'self'.")
    if norm in ("conditional", "self") and condition is None:
        raise ValueError(
            f"{name}: norm={norm!r} without a condition; hand it one of shape [n, e] "
            "(a one-hot label, an embedding), or use norm='batch'."
        )


def check_condition(module: nn.Module, x: Array, condition: Array) -> None:
    """Raises ValueError unless there is one vector per example of `x`."""
    if condition.ndim != 2 or condition.shape[0] != x.shape[0]:
        raise ValueError(
            f"{type(module).__name__}: a condition of shape {condition.shape} for inputs of shape "
            f"{x.shape}; it takes one vector per example, [n, e] (one-hot labels, or embed them)."
        )


def _normalised(module: Any, x: Array, context: Context) -> Array:
    """x_hat: zero mean and unit variance over the batch, without scale and bias."""
    return BatchNorm(
        momentum=module.momentum,
        epsilon=module.epsilon,
        use_scale=False,
        use_bias=False,
        dtype=module.dtype,
    )(x, context=context)


def _over_places(value: Float[Array, "n c"], x: Float[Array, "n ... c"]) -> Array:
    """One value per example and channel, in the shape and dtype to go with `x`."""
    return jnp.expand_dims(value, tuple(range(1, x.ndim - 1))).astype(x.dtype)
