r"""Losses of class-conditional GANs: multi-class hinge, 2C and D2D-CE.

(AC-GAN needs no more than `tasks.cross_entropy` on the class logits.)

2C and D2D-CE compare examples of a batch with one another: their values are batch statistics, for
all examples of *all* devices, whose embeddings and labels are gathered over the axis. Every example
needs its label.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.nn import logsumexp, relu
from jaxtyping import Array, Float, Int

from gan_mtl.losses._inputs import rows_of, same_shape
from gan_mtl.types import batch_statistic

TINY = 1e-12  # inside the square root: an embedding of zero has a finite gradient


def _labels(labels: Array, n: int) -> Array:
    labels = jnp.asarray(labels)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"labels: expected integer class numbers, got dtype {labels.dtype}")
    if labels.shape != (n,):
        raise ValueError(f"labels: expected one class per row, shape ({n},), got {labels.shape}")
    return labels


def crammer_singer(logits: Float[Array, "n k"], labels: Int[Array, " n"]) -> Float[Array, " n"]:
    r"""The multi-class hinge :math:`\mathrm{relu}(1 + \max_{j \ne y} l_j - l_y)`.

    Args:
        logits: shape [n, k], k at least 2.
        labels: integers 0 .. k - 1; any other gives NaN.

    Example:
        >>> crammer_singer(jnp.array([[2.0, 0.5, -1.0]]), jnp.array([1]))
        Array([2.5], dtype=float32)

    Reference:
        Crammer & Singer, "On the Algorithmic Implementation of Multiclass Kernel-based Vector
        Machines", JMLR 2001.
    """
    logits = rows_of("logits", logits)
    n, k = logits.shape
    labels = _labels(labels, n)
    if k < 2:
        raise ValueError(f"logits: expected at least two classes, got shape {logits.shape}")
    own = jax.nn.one_hot(labels, k, dtype=bool)
    right = jnp.where(own, logits, 0.0).sum(axis=1)
    wrong = jnp.where(own, -jnp.inf, logits).max(axis=1)
    return jnp.where((labels >= 0) & (labels < k), relu(1 + wrong - right), jnp.nan)


def multi_hinge_disc(
    real_logits: Float[Array, "n k"], labels: Int[Array, " n"], fake_logits: Float[Array, "n k"]
) -> Float[Array, " n"]:
    """The discriminator's half of the multi-class hinge game, over K classes and "fake".

    `crammer_singer` of the reals at their class plus that of the fakes at the *last* of the k = K +
    1 logits. Its generator's half is `multi_hinge_gen`.

    Args:
        real_logits: shape [n, K + 1].
        labels: classes of the reals, 0 .. K - 1.
        fake_logits: shape [n, K + 1].

    Reference:
        Kavalerov, Czaja, Chellappa, "A Multi-Class Hinge Loss for Conditional GANs", WACV 2021, in
        the form of StudioGAN, which adds an unsupervised term (`semi_supervised.feature_matching`
        with norm "l1") to the generator's.
    """
    real, fake = rows_of("real_logits", real_logits), rows_of("fake_logits", fake_logits)
    same_shape(real_logits=real, fake_logits=fake)
    is_fake = jnp.full(fake.shape[:1], fake.shape[1] - 1)
    return crammer_singer(real, labels) + crammer_singer(fake, is_fake)


def multi_hinge_gen(
    fake_logits: Float[Array, "n k"], labels: Int[Array, " n"]
) -> Float[Array, " n"]:
    """The generator's half: `crammer_singer` of the fakes at the classes that were asked for.

    Args:
        fake_logits: shape [n, K + 1], "fake" last.
        labels: the classes that G was given, 0 .. K - 1.

    Reference:
        As `multi_hinge_disc`.
    """
    return crammer_singer(fake_logits, labels)


def _unit(rows: Float[Array, "n d"]) -> Float[Array, "n d"]:
    return rows * jax.lax.rsqrt(jnp.square(rows).sum(axis=1, keepdims=True) + TINY)


def _similarities(
    embeddings: Array, proxies: Array, labels: Array, axis_name: str | None
) -> tuple[Array, Array, Array, Array]:
    """Cosines [n] with the own proxy and [n, m] with all m embeddings; same class; not itself."""
    embeddings, proxies = rows_of("embeddings", embeddings), rows_of("proxies", proxies)
    same_shape(embeddings=embeddings, proxies=proxies)
    n = embeddings.shape[0]
    labels = _labels(labels, n)
    embeddings = _unit(embeddings)
    to_proxy = (embeddings * _unit(proxies)).sum(axis=1)
    everyone, their_labels, first = embeddings, labels, 0
    if axis_name is not None:
        everyone = jax.lax.all_gather(embeddings, axis_name, tiled=True)
        their_labels = jax.lax.all_gather(labels, axis_name, tiled=True)
        first = jax.lax.axis_index(axis_name) * n
    to_others = jnp.matmul(embeddings, everyone.T, precision="highest")
    same = labels[:, None] == their_labels[None]
    others = (first + jnp.arange(n))[:, None] != jnp.arange(len(everyone))[None]
    return to_proxy, to_others, same, others


def conditional_contrastive(
    embeddings: Float[Array, "n d"],
    proxies: Float[Array, "n d"],
    labels: Int[Array, " n"],
    axis_name: str | None = None,
    *,
    temperature: float = 1.0,
) -> Float[Array, " n"]:
    r"""ContraGAN's 2C loss: an image is near its class's proxy and images of its class.

    With :math:`s` the cosine, divided by the temperature, of embedding i with its proxy
    (:math:`s_{ip}`) and with the other embeddings (:math:`s_{ij}`),
    :math:`-\log\bigl[(e^{s_{ip}} + \sum_{j \ne i,\, y_j = y_i} e^{s_{ij}}) / (e^{s_{ip}} +
    \sum_{j \ne i} e^{s_{ij}})\bigr]`: never negative, and 0 where all are of one class.

    Args:
        embeddings: l(x), shape [n, d], of any norm.
        proxies: e(y), the embedding of each example's own class, shape [n, d].
        labels: shape [n], those of this device.
        axis_name: the pmap axis; None under jit.
        temperature: > 0; 1 for CIFAR-10 in StudioGAN's configuration.

    Reference:
        Kang & Park, "ContraGAN: Contrastive Learning for Conditional Image Generation", NeurIPS
        2020.
    """
    if not temperature > 0:
        raise ValueError(f"temperature: expected a number > 0, got {temperature}")
    to_proxy, to_others, same, others = _similarities(embeddings, proxies, labels, axis_name)
    to_proxy, to_others = to_proxy[:, None] / temperature, to_others / temperature

    def log_sum(chosen: Array) -> Array:
        rows = jnp.concatenate([to_proxy, jnp.where(chosen, to_others, -jnp.inf)], axis=1)
        return logsumexp(rows, axis=1)

    return batch_statistic("conditional_contrastive", log_sum(others) - log_sum(others & same))


def data_to_data(
    embeddings: Float[Array, "n d"],
    proxies: Float[Array, "n d"],
    labels: Int[Array, " n"],
    axis_name: str | None = None,
    *,
    temperature: float = 0.5,
    m_p: float = 0.98,
    m_n: float | None = None,
) -> Float[Array, " n"]:
    r"""ReACGAN's data-to-data cross-entropy (D2D-CE): near the proxy, far from other classes.

    With cosines :math:`c`, :math:`[t]_- = \min(t, 0)` and :math:`[t]_+ = \max(t, 0)`,
    :math:`-\log\bigl[e^{[c_{ip} - m_p]_-/\tau} / (e^{[c_{ip} - m_p]_-/\tau} + \sum_{j:\, y_j \ne
    y_i} e^{[c_{ij} - m_n]_+/\tau})\bigr]`. The margins drop the gradients of easy examples: of one
    nearer to its proxy than m_p, and of one farther from another class than m_n.

    Args:
        embeddings: f, shape [n, d], of any norm.
        proxies: v, the proxy of each example's own class, shape [n, d].
        labels: shape [n], those of this device.
        axis_name: the pmap axis; None under jit.
        temperature: tau > 0; 0.5 for CIFAR-10 in StudioGAN's configuration.
        m_p: the margin of positives, in [-1, 1]; 0.98 there.
        m_n: the margin of negatives, in [-1, 1]; None is 1 - m_p, as in the authors' code.

    Reference:
        Kang, Shim, Cho, Park, "Rebooting ACGAN: Auxiliary Classifier GANs with Stable Training",
        NeurIPS 2021. The authors' code subtracts each row's largest entry from the negatives'
        exponents alone, which scales them against the positive; this is the formula without that.
    """
    if not temperature > 0:
        raise ValueError(f"temperature: expected a number > 0, got {temperature}")
    m_n = 1 - m_p if m_n is None else m_n
    for name, margin in (("m_p", m_p), ("m_n", m_n)):
        if not -1 <= margin <= 1:
            raise ValueError(f"{name}: expected a cosine in [-1, 1], got {margin}")
    to_proxy, to_others, same, _ = _similarities(embeddings, proxies, labels, axis_name)
    positive = -relu(m_p - to_proxy) / temperature
    negatives = jnp.where(same, -jnp.inf, relu(to_others - m_n) / temperature)
    rows = jnp.concatenate([positive[:, None], negatives], axis=1)
    return batch_statistic("data_to_data", logsumexp(rows, axis=1) - positive)
