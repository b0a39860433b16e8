"""Tasks that ask what is in an image, where it is, and what every pixel is of.

Their batch entries are the targets of data sets such as `digit_scenes`: `present`, `objects`,
`mask`, `depth`. Heads take the maps of a trunk (`nets.ConvPyramid`, `nets.ResNetPyramid`).
"""

from __future__ import annotations

from jaxtyping import Array, Float, Int

from gan_mtl.games.tasks import Task
from gan_mtl.losses.centres import centre_loss
from gan_mtl.losses.depth import scale_invariant_log
from gan_mtl.losses.segmentation import pixel_cross_entropy, soft_dice
from gan_mtl.losses.tasks import binary_cross_entropy, l2
from gan_mtl.types import Coefficient, Loss, Network


def presence_task(head: Network, *, weight: Coefficient = 1.0, **options) -> Task:
    """Which classes are in the image? `present`, shape [n, k], of 0, 1, and -1 where hidden.

    Args:
        head: k logits, as of `nets.MapClassifier(k)`.
    """
    return Task("presence", head, binary_cross_entropy, targets="present", weight=weight, **options)


def detection_task(
    head: Network,
    size: tuple[int, int],
    *,
    size_weight: float = 0.1,
    offset_weight: float = 1.0,
    weight: Coefficient = 1.0,
    **options,
) -> Task:
    """Boxes and their classes: `objects`, shape [n, m, 5]; the loss is `losses.centre_loss`.

    Args:
        head: `nets.CentreHead(k)`.
        size: height and width of the images.
        size_weight, offset_weight: of the loss.
    """

    def loss(outputs: Float[Array, "n h w k+4"], objects: Float[Array, "n m 5"]) -> Loss:
        return centre_loss(
            outputs, objects, size, size_weight=size_weight, offset_weight=offset_weight
        )

    return Task(
        "detection",
        head,
        loss,
        targets="objects",
        weight=weight,
        classifies=False,
        **options,
    )


def segmentation_task(
    head: Network,
    *,
    dice: float = 0.0,
    class_weights: Float[Array, " k"] | None = None,
    weight: Coefficient = 1.0,
    **options,
) -> Task:
    """The class of every pixel: `mask`, shape [n, h, w], 255 where ignored.

    Args:
        head: k logits a pixel, as of `nets.DenseHead(k, size)`.
        dice: weight of the soft Dice loss beside the cross-entropy. Both have one mean over the
            images, in which an image counts by its pixels that are not ignored, times their
            `class_weights` where there are any.
        class_weights: of the cross-entropy's pixels.
    """

    def loss(logits: Float[Array, "n h w k"], mask: Int[Array, "n h w"]) -> Loss:
        found = pixel_cross_entropy(logits, mask, class_weights)
        return found._replace(values=found.values + dice * soft_dice(logits, mask))

    return Task(
        "segmentation",
        head,
        loss,
        targets="mask",
        weight=weight,
        classifies=False,
        **options,
    )


def depth_task(head: Network, *, lam: float = 0.5, weight: Coefficient = 1.0, **options) -> Task:
    """The distance of every pixel: `depth`, shape [n, h, w]; unknown where not finite or <= 0.

    Args:
        head: the logarithm of the depth, as of `nets.DenseHead(1, size)`.
        lam: lambda of `losses.scale_invariant_log`: how far a common factor is forgiven.
    """

    def loss(outputs: Float[Array, "n h w 1"], depth: Float[Array, "n h w"]) -> Loss:
        return scale_invariant_log(outputs[..., 0], depth, lam)

    return Task("depth", head, loss, targets="depth", weight=weight, classifies=False, **options)


def reconstruction_task(head: Network, *, weight: Coefficient = 1.0, **options) -> Task:
    """The image itself, by the mean square over its pixels.

    Args:
        head: outputs of the images' shape, as of `nets.DenseHead(channels, size)`.
    """
    return Task(
        "reconstruction", head, l2, targets="images", weight=weight, classifies=False, **options
    )
