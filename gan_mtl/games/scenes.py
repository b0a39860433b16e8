"""What can be added to a GAN beside its adversarial row: rows, augmentation, codes, contrasts.

(A `Scene` is a pass of a game, and has nothing to do with pictures of scenes.)

Every addition is a plain function over a `Scene`, what is at hand in one pass of a turn. Where it
has to remember something between steps (a moving average, a probability), it says what it starts
with, and gets it back at every call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from gan_mtl import draws
from gan_mtl.losses.adversarial import AdversarialLoss, Reads
from gan_mtl.types import (
    Array,
    Coefficient,
    Context,
    Network,
    Optimizer,
    PyTree,
    Variables,
    batch_statistic,
)


class Scene(NamedTuple):
    """What is at hand in one pass of a turn of `gan`.

    real, fake: images; `fake` moves with the generator in its turn and is fixed in the other. With
        packing, groups of them side by side.
    real_logits, fake_logits: of "real", shape [n], augmented if the game augments.
    real_outputs, fake_outputs: all that the discriminator says of them: the logits again, or one
        row for each of several classes or pixels.
    real_features, fake_features: what the trunk made of them on the way.
    latents: those of `fake`, shape [n, dim].
    disc: images to logits [n], with its own draws; under a projection with the labels of the reals.
    disc_fake: the same with the labels that fakes were asked for.
    outputs: as `disc`, to all that the discriminator says.
    features: images to features, never augmented: those of a game's augmented images are
        `real_features` and `fake_features`.
    make: latents to images, asked for the classes that `fake` was asked for.
    draw: a tag to other latents [n, dim] of the same law, codes included.
    variables: of all groups, for rows that look inside a network.
    """

    real: Array
    fake: Array
    real_logits: Array
    fake_logits: Array
    real_outputs: Array
    fake_outputs: Array
    real_features: Array
    fake_features: Array
    latents: Array
    disc: Callable[[Array], Array]
    disc_fake: Callable[[Array], Array]
    outputs: Callable[[Array], Array]
    features: Callable[[Array], Array]
    make: Callable[[Array], Array]
    draw: Callable[[str], Array]
    variables: Variables


class Row(NamedTuple):
    """A further objective of a player, over a scene.

    function: `(scene, context) -> values [n]`, or a scalar for a batch statistic; with `memory`
        `(scene, context, memory) -> (values, memory)`.
    weight: its coefficient.
    every: played at every k-th step only, then times k; the memory rests between.
    memory: `() -> ` what it remembers before the first step; None: nothing. What enters it should
        go over all devices (`context.axis_name`).
    """

    name: str
    function: Callable[..., Any]
    weight: Coefficient
    every: int = 1
    memory: Callable[[], PyTree] | None = None

    def play(
        self, scene: Scene, variables: Variables, group: str, context: Context
    ) -> tuple[Array, Variables]:
        """The values, and the variables with what is to be remembered."""
        context = context.fold(self.name)
        if self.memory is None:
            return self.function(scene, context), variables
        values, memory = self.function(scene, context, variables.recall(group, self.name))
        memory = jax.lax.stop_gradient(memory)
        values = batch_statistic(self.name, values)  # part of a batch would be remembered
        return values, variables.remember(group, self.name, memory)


class Penalty(NamedTuple):
    """A regulariser of the discriminator as a row of its turn.

    function: `(disc_fn, real, fake, context) -> [n]` with `disc_fn` from images to logits [n];
        `gan_rows` has those of the literature ready.
    weight: the coefficient (gamma / 2 for R1, lambda for WGAN-GP).
    every: played at every k-th step, then times k.
    of: under a projection `disc_fn` has the labels of the reals, or those of the fakes.
    """

    name: str
    function: Callable[..., Array]
    weight: Coefficient
    every: int = 1
    of: Literal["real", "fake"] = "real"


class Augment(NamedTuple):
    """What is done to every image, real or generated, before the discriminator sees it.

    function: `(images, context) -> images`; with `memory` `(images, context, memory) -> images`.
    memory: `() -> ` what is remembered before the first step (the probability of ADA).
    update: `(memory, real_logits, context) -> memory`, after every discriminator pass; not with
        packing, energies or gradient accumulation.
    """

    function: Callable[..., Array]
    memory: Callable[[], PyTree] | None = None
    update: Callable[..., PyTree] | None = None


class Controlled(NamedTuple):
    """An adversarial loss that is steered by what it remembers (BEGAN's k).

    at: `(memory) -> AdversarialLoss`.
    memory: `() -> ` what is remembered before the first step.
    update: `(memory, real_outputs, fake_outputs, context) -> memory`, in every discriminator pass.
    reads: what the discriminator says, as of `AdversarialLoss`.
    """

    at: Callable[[PyTree], AdversarialLoss]
    memory: Callable[[], PyTree]
    update: Callable[..., PyTree]
    reads: Reads = "logits"


class Code(NamedTuple):
    """The part of the latents that the generator shall make readable (InfoGAN).

    categorical: how many values each categorical code has; they stand one-hot in the latents.
    continuous: how many codes are uniform on (-1, 1).
    """

    categorical: tuple[int, ...] = (10,)
    continuous: int = 2

    @property
    def width(self) -> int:
        """Latents that the code takes."""
        return sum(self.sizes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Latents of each code, in their order."""
        return (*self.categorical, *[1] * self.continuous)

    def draw(self, n: int, context: Context) -> Array:
        """Codes [n, width], categorical ones first."""
        parts = [
            jax.nn.one_hot(draws.integers(n, k, context.fold(f"category {i}")), k)
            for i, k in enumerate(self.categorical)
        ]
        if self.continuous:
            parts.append(draws.uniform(n, (self.continuous,), context.fold("continuous"), -1, 1))
        return jnp.concatenate(parts, axis=1)


class Information(NamedTuple):
    """InfoGAN's mutual information as a row of both turns.

    head: features to `code.width` numbers: logits of each categorical code, then means of the
        continuous ones; its group is `heads/code`.
    loss: `(outputs [n, width], codes [n, width], code) -> [n]`, minus the log-likelihood.
    """

    code: Code
    head: Network
    loss: Callable[[Array, Array, Code], Array]
    weight: Coefficient = 1.0


class Contrast(NamedTuple):
    """A contrastive conditioning (ContraGAN, ReACGAN) as a row of both turns, `contrast`.

    head: features and labels to `(embeddings [n, d], proxies [n, d])`; its group `heads/contrast`.
    loss: `(embeddings, proxies, labels, axis_name) -> [n]`, over the labels of the whole batch.
    """

    head: Network
    loss: Callable[..., Array]
    weight: Coefficient = 1.0
    fake_weight: Coefficient = 1.0


class Unroll(NamedTuple):
    """How far the generator looks ahead: discriminator steps that it differentiates through.

    The steps looked ahead descend the adversarial loss alone, without penalties and tasks. Metz,
    Poole, Pfau, Sohl-Dickstein, "Unrolled Generative Adversarial Networks", ICLR 2017, whose code
    unrolls Adam with its running state.

    optimizer: of these steps; its state is fresh at every step of the game.
    saddle: whether the generator descends minus the discriminator's loss where it looks, as in the
        paper: reals count too, as what becomes of the discriminator depends on the fakes. Else it
        descends its own loss there.
    """

    steps: int
    optimizer: Optimizer
    saddle: bool = True


def unpack(images: Array, size: int) -> Array:
    """The single images [n size, h, w, c] of packs [n, h, w, size c]; of features likewise."""
    if size == 1:
        return images
    apart = images.reshape(*images.shape[:-1], size, images.shape[-1] // size)
    return jnp.moveaxis(apart, -2, 1).reshape(-1, *images.shape[1:-1], apart.shape[-1])


def pack(images: Array, size: int) -> Array:
    """Groups of `size` consecutive examples side by side in the last axis: shape [n / size, ...].

    Lin et al., "PacGAN: The power of two samples in generative adversarial networks", NeurIPS 2018.

    Raises:
        ValueError: if `size` does not divide n.
    """
    n = images.shape[0]
    if n % size:
        raise ValueError(
            f"pack={size} does not divide the {n} examples of a pass (per device under pmap): use "
            f"a batch size that {size} divides."
        )
    if size == 1:
        return images
    groups = images.reshape(n // size, size, *images.shape[1:])
    beside = jnp.moveaxis(groups, 1, -2).reshape(*groups.shape[:1], *images.shape[1:-1], -1)
    return batch_statistic("packing", beside)
