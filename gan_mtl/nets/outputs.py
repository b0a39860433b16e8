"""From features to what leaves a network: squashed images, logits."""

from __future__ import annotations

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float, Int

from gan_mtl.nets.layers import Activation, ClassEmbedding, Dense, flatten, leaky_relu, look_up
from gan_mtl.nets.noise import GaussianNoise
from gan_mtl.nets.spectral import spectral_kernel
from gan_mtl.nets.weight_norm import WeightNormDense
from gan_mtl.types import Context

Output = Literal["sigmoid", "tanh", "leaky_relu", "none"]
KernelNorm = Literal["weight", "spectral"] | None


def squash(x: Float[Array, " *shape"], output: Output) -> Float[Array, " *shape"]:
    """Maps a generator's last layer to the range of its images, in float32 or wider.

    Args:
        x: any shape.
        output: "sigmoid" for images in (0, 1), "tanh" for (-1, 1), "leaky_relu" for features that
            another network goes on from, "none" to leave x as it is.

    Returns:
        Shape of `x`.

    Raises:
        ValueError: another `output`.
    """
    functions = {
        "sigmoid": jax.nn.sigmoid,
        "tanh": jnp.tanh,
        "leaky_relu": leaky_relu,
        "none": lambda x: x,
    }
    if output not in functions:
        raise ValueError(f"output={output!r} is not one of {', '.join(map(repr, functions))}.")
    return functions[output](x.astype(jnp.promote_types(x.dtype, jnp.float32)))


def linear(
    features: int, kernel_norm: KernelNorm, dtype: Any, *, name: str | None = None, **keywords: Any
) -> nn.Module:
    """A dense layer with the kernel plain (None), weight-normalised or spectrally normalised.

    Raises:
        ValueError: another `kernel_norm`.
    """
    if kernel_norm == "weight":
        return WeightNormDense(features, dtype=dtype, name=name, **keywords)
    if kernel_norm not in (None, "spectral"):
        raise ValueError(f"kernel_norm={kernel_norm!r} is not None, 'weight' or 'spectral'.")
    spectral = kernel_norm == "spectral"
    return Dense(features, spectral=spectral, dtype=dtype, name=name, **keywords)


class Head(nn.Module):
    """Features to logits or regressions: hidden layers, if any, and a linear one.

    Attributes:
        out: number of outputs; None (or 1) gives one value per example of shape [n], never [n, 1].
        widths: of hidden layers.
        activation: after hidden layers.
        kernel_norm: None, "weight" or "spectral", for all layers.
        noise: standard deviation of Gaussian noise on the features in training.
        data_init: for "weight": initialise from the data that `init` receives.
        kernel_init: initialiser of the kernels; None is the layer's own.
        dtype: compute dtype.
    """

    out: int | None = None
    widths: tuple[int, ...] = ()
    activation: Activation = leaky_relu
    kernel_norm: KernelNorm = None
    noise: float = 0.0
    data_init: bool = False
    kernel_init: nn.initializers.Initializer | None = None
    dtype: Any = None

    @nn.compact
    def __call__(
        self, features: Float[Array, "n ..."], *, context: Context
    ) -> Float[Array, "n ..."]:
        """Shape [n, out], or [n] where `out` is None or 1. Features [n, ...] are flattened."""
        keywords: dict[str, Any] = {}
        if self.kernel_norm == "weight":
            keywords = {"data_init": self.data_init}
        if self.kernel_init is not None:
            keywords["kernel_init"] = self.kernel_init
        x = GaussianNoise(self.noise)(flatten(features), context=context)
        for width in self.widths:
            layer = linear(width, self.kernel_norm, self.dtype, **keywords)
            x = self.activation(layer(x, context=context))
        layer = linear(self.out or 1, self.kernel_norm, self.dtype, name="out", **keywords)
        y = layer(x, context=context)
        return y[:, 0] if self.out in (None, 1) else y


class ContrastHead(nn.Module):
    """Features and labels to an embedding of each image and the proxy of its class.

    For ContraGAN (Kang & Park, NeurIPS 2020) and ReACGAN (Kang et al., NeurIPS 2021): one linear
    layer, and a table with a row for each class.

    Attributes:
        num_classes: labels are 0 .. num_classes - 1.
        width: d, of both.
        dtype: compute dtype.
    """

    num_classes: int
    width: int = 512
    dtype: Any = None

    @nn.compact
    def __call__(
        self, features: Float[Array, "n ..."], labels: Int[Array, " n"], *, context: Context
    ) -> tuple[Float[Array, "n d"], Float[Array, "n d"]]:
        """`(embeddings, proxies)`."""
        dense = Dense(self.width, use_bias=False, dtype=self.dtype, name="embedding")
        table = ClassEmbedding(self.num_classes, self.width, dtype=self.dtype, name="proxies")
        return dense(flatten(features), context=context), table(labels, context=context)


class ProjectionHead(nn.Module):
    """<emb(y), phi(x)> + linear(phi(x)): Miyato & Koyama 2018, arXiv 1802.05637, equation 3.

    Attributes:
        num_classes: labels are 0 .. num_classes - 1; others give NaN, hidden ones (-1) included.
        spectral: whether linear and embedding kernels are spectrally normalised, as in the paper.
        dtype: compute dtype.
        widths: of hidden layers before phi, with leaky ReLU; none in the paper.
    """

    num_classes: int
    spectral: bool = False
    dtype: Any = None
    widths: tuple[int, ...] = ()

    @nn.compact
    def __call__(
        self, features: Float[Array, "n ..."], labels: Int[Array, " n"], *, context: Context
    ) -> Float[Array, " n"]:
        """Logits, shape [n]. Features [n, ...] are flattened: phi, or what hidden layers see."""
        phi = flatten(features)
        for width in self.widths:
            layer = Dense(width, spectral=self.spectral, dtype=self.dtype)
            phi = leaky_relu(layer(phi, context=context))
        if labels.shape != phi.shape[:1]:
            raise ValueError(
                f"ProjectionHead: labels of shape {labels.shape} for {phi.shape[0]} examples; "
                "labels are one integer per example, shape [n]."
            )
        psi = Dense(1, spectral=self.spectral, dtype=self.dtype, name="out")
        shape = (self.num_classes, phi.shape[1])
        table = self.param("embedding", nn.initializers.lecun_normal(1, 0), shape, jnp.float32)
        table = spectral_kernel(self, table, context) if self.spectral else table
        phi, table = promote_dtype(phi, table, dtype=self.dtype)
        return psi(phi, context=context)[:, 0] + jnp.sum(look_up(table, labels) * phi, axis=-1)
