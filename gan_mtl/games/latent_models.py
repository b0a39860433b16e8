"""What models with a code have in common: likelihoods, encoders, codes that are drawn."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
from jax.nn import sigmoid, softplus
from jaxtyping import Array, Float

from gan_mtl import draws
from gan_mtl.losses import vae as losses
from gan_mtl.types import Context, Variables

Kind = Literal["bernoulli", "gaussian", "learned", "optimal"]
SCALE = "scale"  # the group of the learned log sigma
ROUNDING = 1e-5  # of pixels scaled to a range and back
LEAST_LOG_SIGMA = -6.0  # of images as they come, as in the code of Rybkin et al. 2021


class Likelihood(NamedTuple):
    """How probable an image is given the decoder's outputs.

    kind: "bernoulli": outputs are logits of white; "gaussian": outputs are means, with the standard
        deviation `sigma`; "learned": with one that is learned (group `scale`); "optimal": with the
        best one for each image (both sigma-VAE, Rybkin et al. 2021).
    low, high: black and white of the images, as `value_range` of the data.
    sigma: of "gaussian", in the images' unit.
    """

    kind: Kind = "bernoulli"
    low: float = -1.0
    high: float = 1.0
    sigma: float = 1.0

    def check(self) -> None:
        """Raises ValueError for a likelihood that there is not."""
        if self.kind not in ("bernoulli", "gaussian", "learned", "optimal"):
            raise ValueError(
                f"Likelihood: kind={self.kind!r} is not 'bernoulli', 'gaussian', 'learned' or "
                "'optimal'."
            )
        if not (self.low < self.high and self.sigma > 0):
            raise ValueError(
                f"{self}: give low below high, the range of the images, and sigma above 0."
            )

    @property
    def signed(self) -> bool:
        """Whether its negative logarithm may be below 0: densities may be above 1."""
        return self.kind != "bernoulli"

    def groups(self, images: Array) -> dict[str, dict[str, Any]]:
        """The groups that it brings with it, freshly initialised."""
        if self.kind != "learned":
            return {}
        return {SCALE: {"params": {"log_sigma": jnp.zeros((), images.dtype)}}}

    def entries(self, coefficient: float = 1.0) -> dict[str, float]:
        """Their entries in the row of the reconstruction."""
        return {SCALE: coefficient} if self.kind == "learned" else {}

    def nll(self, variables: Variables, outputs: Array, images: Array) -> Float[Array, " n"]:
        """Minus the log-likelihood of images [n, ...] of the outputs' shape, in nats."""
        if self.kind == "bernoulli":
            return losses.bernoulli_nll(outputs, self._white(images))
        if self.kind == "optimal":
            return losses.optimal_gaussian_nll(outputs, images)
        if self.kind == "learned":
            return losses.gaussian_nll(outputs, images, learned_log_sigma(variables))
        return losses.gaussian_nll(outputs, images, jnp.log(jnp.asarray(self.sigma)))

    def _white(self, images: Array) -> Array:
        """Images as parts of white; what rounding has put outside of [0, 1] is put back."""
        white = (images - self.low) / (self.high - self.low)
        nearest = jnp.clip(white, 0.0, 1.0)
        return jnp.where(jnp.abs(white - nearest) < ROUNDING, nearest, white)

    def mean(self, outputs: Float[Array, " n *dims"]) -> Float[Array, " n *dims"]:
        """The mean image, cut off at black and white."""
        if self.kind == "bernoulli":
            return self.low + (self.high - self.low) * sigmoid(outputs)
        return jnp.clip(outputs, self.low, self.high)


def learned_log_sigma(variables: Variables, group: str = SCALE) -> Float[Array, ""]:
    """The logarithm of a learned standard deviation, kept above -6 by a softplus."""
    value = variables.params[group]["log_sigma"]
    return LEAST_LOG_SIGMA + softplus(value - LEAST_LOG_SIGMA)


class Posterior(NamedTuple):
    """q(z | x): a normal with a mean and a variance of every latent."""

    mean: Float[Array, "n d"]
    log_variance: Float[Array, "n d"]

    def draw(self, context: Context, k: int = 1) -> Float[Array, "n k d"]:
        """k codes of each example; they belong to the example of the global batch."""
        n, d = self.mean.shape
        noise = draws.normal(n, (k, d), context.fold("codes")).astype(self.mean.dtype)
        return self.mean[:, None] + jnp.exp(0.5 * self.log_variance)[:, None] * noise

    def kl(self) -> Float[Array, " n"]:
        """To the standard normal, in nats."""
        return losses.kl_to_standard_normal(self.mean, self.log_variance)


def posterior(outputs: Array, latent: int, who: str = "encoder") -> Posterior:
    """The halves of an encoder's outputs [n, 2 latent].

    Raises:
        ValueError: for another shape.
    """
    if outputs.ndim != 2 or outputs.shape[1] != 2 * latent:
        raise ValueError(
            f"{who}: it gives {outputs.shape}; expected [n, {2 * latent}], the mean and the log "
            f"variance of latent={latent} codes, such as nets.Head({2 * latent}, widths=(...,))."
        )
    return Posterior(outputs[:, :latent], outputs[:, latent:])


def check_decoded(outputs: Array, images: Array, who: str = "decoder") -> None:
    """Raises ValueError for a decoder whose outputs are not of the images' shape."""
    if outputs.shape[1:] != images.shape[1:]:
        raise ValueError(
            f"{who}: it makes {outputs.shape[1:]}, the data has {images.shape[1:]}: give it the "
            "data's size and channels."
        )
