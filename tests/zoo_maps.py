"""Games of the zoo on maps: scenes, segmentations, images from label maps."""

import functools

import optax
from pointwise import pointwise
from zoo_parts import CLASSES, LATENTS, adam, linen

from gan_mtl import games, losses, mtl, nets
from gan_mtl.games import multitask
from gan_mtl.types import Rows


def vision():
    """What is in an image, where, and every pixel, of one pyramid; rows of its two maps."""
    trunk = nets.ConvPyramid((6, 8), norm="batch")
    tasks = (
        games.presence_task(linen(nets.MapClassifier(CLASSES, 0))),
        games.detection_task(linen(nets.CentreHead(CLASSES, 6, None)), (4, 4)),
        games.segmentation_task(linen(nets.DenseHead(CLASSES, (4, 4), 6, None)), dice=0.5),
        games.depth_task(linen(nets.DenseHead(1, (4, 4), 6, None)), weight=0.5),
    )
    rows = Rows("features")
    return multitask(linen(trunk), tasks, optax.adam(1e-3), weighting=mtl.upgrad(), rows=rows)


def judged_maps():
    """A segmenter and its discriminator of maps, under flips of images and masks together."""
    tasks = (
        games.segmentation_task(pointwise(CLASSES)),
        games.reconstruction_task(pointwise(1), weight=0.5),
    )
    trunk, disc = pointwise(3, norm=True), linen(nets.MapDiscriminator((4,)))
    game = games.segmentation_adversary(trunk, tasks, disc, adam(), weight=0.1, tau=0.9)
    return games.augmented(game, functools.partial(games.crop_and_flip, size=(4, 4)))


def segan():
    """SegAN: a critic's features at several scales, bounded by its spectral norms."""
    task = games.segmentation_task(linen(nets.DenseHead(CLASSES, 2, 6, None)))
    critic = nets.MapDiscriminator((4, 4), outputs="features", spectral=True)
    return games.segmentation_adversary(
        linen(nets.ConvPyramid((6,))),
        (task,),
        linen(critic),
        adam(),
        adversarial=losses.multi_scale_l1,
    )


def map_tasks(**options):
    """Boxes and pixels on a trunk, to judge generated images."""
    return (
        games.detection_task(pointwise(CLASSES - 1 + 4), (4, 4), **options),
        games.segmentation_task(pointwise(CLASSES), **options),
    )


def from_maps():
    """OASIS whose images teach two tasks, at new places, and are judged by them."""
    gen = pointwise(1, noise=True, norm=True, squash=True)
    return games.oasis(
        games.MapPlayers(gen, pointwise(CLASSES + 1, norm=True), pointwise(3, norm=True)),
        LATENTS,
        games.MapOptimizers(*[optax.adam(1e-3)] * 3),
        CLASSES,
        unlabelled=0.5,
        tasks=map_tasks(fake_weight=0.1),
        synthetic=games.Synthetic(games.from_step(1, 0.5), games.layouts.rearranged),
        ema={"gen": 100.0},
    )


def translated():
    """pix2pix without noise, and a frozen segmenter that judges."""
    players = games.MapPlayers(pointwise(1, squash=True), pointwise(0), pointwise(3, norm=True))
    adams = games.MapOptimizers(*[optax.adam(1e-3)] * 2)
    return games.pix2pix(players, adams, CLASSES, tasks=map_tasks(fake_weight=0.1)[1:])
