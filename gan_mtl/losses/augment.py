r"""Differentiable augmentation of what a discriminator sees: DiffAugment and ADA.

Pure functions of images `[n, h, w, c]` in [-1, 1] and a context; every random number belongs to a
global example, so devices and slices draw the same. Gradients flow to the images. Reals and fakes
are augmented alike, each with draws of their own (`context.fold("real")`), in the turns of *both*
players; images come back in the dtype that they had.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl import draws
from gan_mtl.losses._affine import Matrix, compose, resample, rotation, scaling, translation
from gan_mtl.losses._inputs import logits_of, wide
from gan_mtl.types import Context

Images = Float[Array, "n h w c"]
Scalar = Float[Array, ""]
_PER_IMAGE = (slice(None), None, None, None)


def _images(images: Array) -> Images:
    wider = wide("images", images)
    if wider.ndim != 4:
        raise ValueError(f"images: expected shape [n, h, w, c], got {wider.shape}")
    return wider


def _parts(policy: Sequence[str], known: Sequence[str]) -> None:
    if isinstance(policy, str) or not set(policy) <= set(known):
        raise ValueError(f"policy: expected names out of {tuple(known)}, got {policy!r}")


def _color(x: Images, context: Context) -> Images:
    """Brightness, then saturation, then contrast."""
    n = x.shape[0]

    def factor(name: str, low: float, high: float) -> Array:
        return draws.uniform(n, (), context.fold(name), low, high).astype(x.dtype)[_PER_IMAGE]

    x = x + factor("brightness", -0.5, 0.5)
    gray = x.mean(axis=3, keepdims=True)
    x = (x - gray) * factor("saturation", 0.0, 2.0) + gray
    mean = x.mean(axis=(1, 2, 3), keepdims=True)
    return (x - mean) * factor("contrast", 0.5, 1.5) + mean


def _translation(x: Images, context: Context) -> Images:
    """Whole pixels up to an eighth of each side; zeros come in."""
    n, h, w, _ = x.shape
    most_y, most_x = int(h / 8 + 0.5), int(w / 8 + 0.5)
    by_y = draws.integers(n, 2 * most_y + 1, context.fold("down")) - most_y
    by_x = draws.integers(n, 2 * most_x + 1, context.fold("right")) - most_x

    def one(image: Array, dy: Array, dx: Array) -> Array:
        rows, columns = jnp.arange(h) + dy, jnp.arange(w) + dx
        inside = ((rows >= 0) & (rows < h))[:, None] & ((columns >= 0) & (columns < w))[None]
        moved = image[rows.clip(0, h - 1)][:, columns.clip(0, w - 1)]
        return jnp.where(inside[..., None], moved, 0.0)

    return jax.vmap(one)(x, by_y, by_x)


def _cutout(x: Images, context: Context) -> Images:
    """A box of half of each side set to zero, its middle anywhere, cut off at the border."""
    n, h, w, _ = x.shape

    def outside(size: int, name: str) -> Array:
        box = int(size / 2 + 0.5)
        start = draws.integers(n, size + 1 - box % 2, context.fold(name)) - box // 2
        at = jnp.arange(size)[None] - start[:, None]
        return (at < 0) | (at >= box)

    keep = outside(h, "row")[:, :, None] | outside(w, "column")[:, None]
    return jnp.where(keep[..., None], x, 0.0)


_DIFF_AUGMENT: dict[str, Callable[[Images, Context], Images]] = {
    "color": _color,
    "translation": _translation,
    "cutout": _cutout,
}


def diff_augment(
    images: Images,
    context: Context,
    policy: Sequence[str] = ("color", "translation", "cutout"),
) -> Images:
    r"""DiffAugment: each part of the policy, in its order, on every image.

    - "color": brightness + U(-0.5, 0.5); saturation, the distance from the mean over channels times
      U(0, 2) (the identity on gray images); contrast, the distance from the image's mean times
      U(0.5, 1.5). Nothing is clipped.
    - "translation": by whole pixels, uniform up to 1/8 of the side each way, zeros coming in.
    - "cutout": a box of 1/2 of each side set to 0, its middle uniform in the image.

    Args:
        images: shape [n, h, w, c], in [-1, 1]; any number of channels, oblong too.
        context: the draws belong to the global examples.
        policy: the parts' names; an empty one is the identity.

    Reference:
        Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS 2020,
        as in the authors' code.
    """
    _parts(policy, tuple(_DIFF_AUGMENT))
    x = _images(images)
    for name in policy:
        x = _DIFF_AUGMENT[name](x, context.fold("diff_augment/" + name))
    return x.astype(images.dtype)


def _drawn(key: Array, chances: int, uniforms: int, normals: int) -> tuple[Array, Array, Array]:
    """So many numbers of U(0, 1), again of U(0, 1), and of N(0, 1)."""
    keys = jax.random.split(key, 3)
    return (
        jax.random.uniform(keys[0], (chances,)),
        jax.random.uniform(keys[1], (uniforms,)),
        jax.random.normal(keys[2], (normals,)),
    )


def _blit(key: Array, p: Scalar, h: int, w: int) -> Matrix:
    """Flip in x, turn by quarters, move by whole pixels: all exact on square images."""
    chances, uniform, _ = _drawn(key, 3, 4, 0)
    on = chances < p
    flip = jnp.where(on[0], jnp.floor(2 * uniform[0]), 0)
    quarters = jnp.where(on[1], jnp.floor(4 * uniform[1]), 0).astype(jnp.int32)
    x, y = jnp.where(on[2], (2 * uniform[2:] - 1) / 8, 0)
    cosine = jnp.array([1.0, 0.0, -1.0, 0.0])[quarters]
    sine = jnp.array([0.0, 1.0, 0.0, -1.0])[quarters]
    return compose(
        scaling(1 - 2 * flip, 1),
        rotation(cosine, sine),
        translation(-jnp.round(x * w), -jnp.round(y * h)),
    )


def _geometry(key: Array, p: Scalar, h: int, w: int) -> Matrix:
    """Scale, turn, stretch, turn, move by fractions; either turn so that P(one at least) = p."""
    chances, uniform, normal = _drawn(key, 5, 2, 4)
    on = chances < p
    scale, stretch = jnp.exp2(jnp.where(on[:2], 0.2 * normal[:2], 0))
    turned = chances[2:4] < 1 - jnp.sqrt(1 - p)
    before, after = jnp.where(turned, jnp.pi * (2 * uniform - 1), 0)
    x, y = jnp.where(on[4], normal[2:] / 8, 0)
    return compose(
        scaling(1 / scale, 1 / scale),
        rotation(jnp.cos(before), jnp.sin(before)),
        scaling(1 / stretch, stretch),
        rotation(jnp.cos(after), jnp.sin(after)),
        translation(-x * w, -y * h),
    )


def _color_matrix(key: Array, p: Scalar, channels: int) -> Float[Array, "4 4"]:
    """Brightness, contrast, flip of luma, hue, saturation, the last two of colour images only."""
    chances, uniform, normal = _drawn(key, 5, 2, 3)
    on = chances < p
    brightness = jnp.where(on[0], 0.2 * normal[0], 0)
    contrast = jnp.exp2(jnp.where(on[1], 0.5 * normal[1], 0))
    flip = jnp.where(on[2], jnp.floor(2 * uniform[0]), 0)
    luma = jnp.zeros((4, 4)).at[:3, :3].set(1 / 3)  # v v' of the unit vector of gray
    effects = [
        jnp.eye(4) - 2 * flip * luma,
        jnp.eye(4) * jnp.append(jnp.full(3, contrast), 1.0)[None],
        jnp.eye(4).at[:3, 3].set(brightness),
    ]
    if channels == 3:
        chroma = jnp.eye(4).at[3, 3].set(0.0) - luma
        cross = jnp.array([[0, -1, 1, 0], [1, 0, -1, 0], [-1, 1, 0, 0], [0, 0, 0, 0]]) / 3**0.5
        angle = jnp.where(on[3], jnp.pi * (2 * uniform[1] - 1), 0)
        saturation = jnp.exp2(jnp.where(on[4], normal[2], 0))
        hue = jnp.eye(4) + (jnp.cos(angle) - 1) * chroma + jnp.sin(angle) * cross
        effects = [jnp.eye(4) + (saturation - 1) * chroma, hue, *effects]
    return compose(*effects)


def _recolored(image: Float[Array, "h w c"], m: Float[Array, "4 4"]) -> Float[Array, "h w c"]:
    m = m.astype(image.dtype)
    if image.shape[2] == 1:  # the mean over the channels of a gray image in colour
        return image * (m[:3, :3].sum() / 3) + m[:3, 3].sum() / 3
    return (image[..., None, :] * m[None, None, :3, :3]).sum(axis=3) + m[None, None, :3, 3]


def ada_augment(
    images: Images,
    context: Context,
    p: float | Scalar,
    policy: Sequence[str] = ("blit", "geometry", "color"),
) -> Images:
    r"""ADA's augmentations, each applied to each image with probability p on its own.

    - "blit": flip in x, i in {0, 1}; turn by i quarters, i in 0 .. 3; move by whole pixels, uniform
      up to 1/8 of either side.
    - "geometry": scale by :math:`2^{N(0, 0.2^2)}`; turn by any angle, before and after a stretch by
      :math:`2^{N(0, 0.2^2)}` in x and its inverse in y (each with probability :math:`1 - \sqrt{1 -
      p}`); move by :math:`N(0, (1/8)^2)` of either side.
    - "color": brightness :math:`+ N(0, 0.2^2)`, contrast times :math:`2^{N(0, 0.5^2)}`, flip of
      luma, i in {0, 1}, hue turned by any angle, saturation times :math:`2^{N(0, 1)}`, as one
      affine map of the channels; hue and saturation only with three channels.

    These are the three parts of "bgc", the reference's default; it has filters, noise and cutout
    besides. At p = 0 images come back bit for bit. Below about p = 0.8 the augmentations do not
    leak into what the generator learns; the paper shows why.

    Args:
        images: shape [n, h, w, c], in [-1, 1]; c is 1 or 3 where the policy has "color".
        context: the draws belong to the global examples.
        p: in [0, 1]; may be traced (`AdaState.p`). No gradient goes to it.
        policy: names of the parts; the order is fixed.

    Reference:
        Karras et al., "Training Generative Adversarial Networks with Limited Data", NeurIPS 2020;
        parameters as in the authors' code. Differs: one bilinear resampling, where the reference
        doubles the resolution and filters with sym6 wavelets before and after, so high frequencies
        fade a little; images go on beyond their borders by reflection everywhere, where the
        reference reflects once and is black from there; quarter turns of oblong images resample.
    """
    _parts(policy, ("blit", "geometry", "color"))
    x = _images(images)
    n, h, w, channels = x.shape
    p = jax.lax.stop_gradient(jnp.asarray(p, jnp.float32))
    if p.shape != ():
        raise ValueError(f"p: expected one probability, shape (), got {p.shape}")
    if "blit" in policy or "geometry" in policy:

        def matrix(key: Array) -> Matrix:
            blit, geometry = jax.random.split(key)
            parts = [_blit(blit, p, h, w)] if "blit" in policy else []
            parts += [_geometry(geometry, p, h, w)] if "geometry" in policy else []
            return compose(*parts)

        matrices = draws.per_example(matrix, n, context.fold("ada_augment/place"))
        x = jax.vmap(resample)(x, matrices)
    if "color" in policy:
        if channels not in (1, 3):
            raise ValueError(
                f"images: expected 1 or 3 channels for 'color', got {channels}; leave it out of "
                "the policy: ('blit', 'geometry')"
            )
        recolor = draws.per_example(
            lambda key: _color_matrix(key, p, channels), n, context.fold("ada_augment/color")
        )
        x = jax.vmap(_recolored)(x, recolor)
    return x.astype(images.dtype)


class AdaState(NamedTuple):
    """The controller of ADA's p.

    p: in [0, 1]; sign_sum, count: of the signs of real logits since p last moved. All shape=(),
    dtype=float32.
    """

    p: Scalar
    sign_sum: Scalar
    count: Scalar


def ada_init(p: float = 0.0) -> AdaState:
    """A controller that starts at p."""
    if not 0 <= p <= 1:
        raise ValueError(f"p: expected a probability in [0, 1], got {p}")
    zero = jnp.zeros((), jnp.float32)
    return AdaState(jnp.asarray(p, jnp.float32), zero, zero)


def ada_update(
    state: AdaState,
    real_logits: Float[Array, " n"],
    *,
    batch: int,
    target: float = 0.6,
    speed_kimg: float = 500,
    every: int = 4,
    axis_name: str | None = None,
) -> AdaState:
    r"""Counts the signs of the real logits; after `every` batches p moves.

    The heuristic of overfitting is :math:`r_t = E[\mathrm{sign}\,D(x)]` over the last `every`
    batches, all devices together: above the target p rises, below it falls, by
    :math:`\mathrm{batch} \cdot \mathrm{every} / (1000\,\mathrm{speed\_kimg})`, so that it takes
    `speed_kimg` thousand real images from 0 to 1.

    Args:
        state: as made by `ada_init`.
        real_logits: of augmented reals, shape [n], those of this device.
        batch: the *global* number of real images per step: p moves once `batch * every` logits
            have been counted, however many calls bring them.
        target: of r_t, in (-1, 1).
        speed_kimg: see above, > 0.
        every: steps between two moves, > 0.
        axis_name: the pmap axis; None under jit.

    Reference:
        Karras et al. 2020, as above. Differs: p is held to at most 1 (the reference lets it grow),
        and moves first after `every` batches (there after the first one too).
    """
    for name, value in (("batch", batch), ("speed_kimg", speed_kimg), ("every", every)):
        if not value > 0:
            raise ValueError(f"{name}: expected a number > 0, got {value}")
    logits = jax.lax.stop_gradient(logits_of("real_logits", real_logits))
    seen = jnp.sign(logits).sum(), jnp.asarray(logits.shape[0], logits.dtype)
    if axis_name is not None:
        seen = jax.lax.psum(seen, axis_name)
    total = (state.sign_sum + seen[0]).astype(jnp.float32)
    count = (state.count + seen[1]).astype(jnp.float32)
    due = count >= batch * every
    step = batch * every / (1000 * speed_kimg) * jnp.sign(total / count - target)
    p = jnp.where(due, jnp.clip(state.p + step, 0.0, 1.0), state.p)
    return AdaState(p, jnp.where(due, 0.0, total), jnp.where(due, 0.0, count))
