"""What the games of the zoo are made of."""

import optax

from gan_mtl import nets
from gan_mtl.games import Latents, Optimizers, Players, class_task, rotation_task

CLASSES = 3
LATENTS = Latents(4)
linen = nets.from_linen


def adam():
    return Optimizers(gen=optax.adam(1e-3, b1=0.5), disc=optax.adam(1e-3, b1=0.5))


def players(**others):
    return Players(
        gen=linen(nets.MLPGenerator((6,), (4, 4, 1), output="tanh", batch_norm=True)),
        trunk=linen(nets.MLPTrunk((6,), input_noise=0.1, kernel_norm="spectral")),
        disc=others.pop("disc", linen(nets.Head())),
        **others,
    )


def class_head(labelled=False, **options):
    return class_task(linen(nets.Head(CLASSES)), labelled=labelled, **options)


def rotation_head(**options):
    return rotation_task(linen(nets.Head(4)), **options)
