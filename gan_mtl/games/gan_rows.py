"""Ready-made rows, masks and augmentations of `gan`, each a loss of `gan_mtl.losses` over a scene.

For `Extras`: `disc_rows=(lecam(), consistency(...))`, `gen_rows=(mode_seeking(),)`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from gan_mtl import draws
from gan_mtl.games.scenes import (
    Augment,
    Code,
    Contrast,
    Controlled,
    Information,
    Penalty,
    Row,
    Scene,
)
from gan_mtl.losses import (
    augment,
    conditional,
    energies,
    path_lengths,
    penalties,
    pixels,
    semi_supervised,
    stabilisers,
)
from gan_mtl.losses.information import categorical_code, continuous_code
from gan_mtl.types import (
    Array,
    Coefficient,
    Context,
    Network,
    PyTree,
    Schedule,
    batch_statistic,
    devices,
)

View = Callable[[Array, Context], Array]


def r1(gamma: float, every: int = 1) -> Penalty:
    """R1 of weight gamma / 2; StyleGAN2 plays it at every 16th step."""

    def function(disc, real: Array, fake: Array, context: Context) -> Array:
        del fake, context
        return penalties.r1(disc, real)

    return Penalty("r1", function, gamma / 2, every)


def r2(gamma: float, every: int = 1) -> Penalty:
    """R2, the same at generated images; with `r1` and a relativistic loss it is R3GAN's."""

    def function(disc, real: Array, fake: Array, context: Context) -> Array:
        del real, context
        return penalties.r2(disc, fake)

    return Penalty("r2", function, gamma / 2, every, of="fake")


def gradient_penalty(weight: float = 10.0, every: int = 1) -> Penalty:
    """WGAN-GP's penalty between reals and fakes."""
    return Penalty("gradient_penalty", penalties.gradient_penalty, weight, every)


def dragan(weight: float = 10.0, every: int = 1) -> Penalty:
    """DRAGAN's penalty around reals."""

    def function(disc, real: Array, fake: Array, context: Context) -> Array:
        del fake
        return penalties.dragan(disc, real, context)

    return Penalty("dragan", function, weight, every)


def lecam(weight: float = 0.3, decay: float = 0.99, start: int = 1000) -> Row:
    """LeCam's regulariser of the discriminator; see `losses.stabilisers.lecam`.

    Args:
        weight: 0.3 for CIFAR-10.
        decay: of the moving averages.
        start: steps before it sets in; until then its coefficient is 0 and the averages are those
            of the step.
    """

    def function(scene: Scene, context: Context, memory: stabilisers.LeCamState):
        memory = stabilisers.lecam_update(
            memory,
            scene.real_logits,
            scene.fake_logits,
            jnp.where(context.step >= start, decay, 0.0),
            context.axis_name,
        )
        return stabilisers.lecam(scene.real_logits, scene.fake_logits, memory), memory

    rising = Schedule(lambda step: weight * (step >= start), f"{weight:g} from step {start}")
    return Row("lecam", function, rising, memory=stabilisers.lecam_init)


def consistency(view: View, weight: Coefficient = 10.0) -> Row:
    """CR: the discriminator's logits of real images and of another view of them are to be equal.

    Args:
        view: `(images, context) -> images`, a flip and a shift in the paper.
    """
    return Row("consistency", functools.partial(_consistency, view, False), weight)


def fake_consistency(view: View, weight: Coefficient = 10.0) -> Row:
    """bCR's other half: the same of generated images; goes with `consistency`."""
    return Row("fake_consistency", functools.partial(_consistency, view, True), weight)


def _consistency(view: View, fakes: bool, scene: Scene, context: Context) -> Array:
    images = scene.fake if fakes else scene.real
    logits, disc = (
        (scene.fake_logits, scene.disc_fake) if fakes else (scene.real_logits, scene.disc)
    )
    return stabilisers.consistency(logits, disc(view(images, context.fold("view"))))


def cut_mix_consistency(weight: Coefficient = 1.0) -> Row:
    """A mixed image's pixels are judged as those of its two parts; see `losses.pixels`.

    Goes with `adversarial=losses.per_pixel(...)`. The U-Net GAN of Schönfeld et al. 2020, without
    their further adversarial term on mixed images.
    """

    def function(scene: Scene, context: Context) -> Array:
        n, h, w = scene.real.shape[:3]
        mask = pixels.cut_mix_mask(n, (h, w), context.fold("mask"))
        mixed = scene.outputs(pixels.cut_mix(mask, scene.real, scene.fake))
        return pixels.cut_mix_consistency(mixed, mask, scene.real_outputs, scene.fake_outputs)

    return Row("cut_mix", function, weight)


def latent_consistency(std: float = 0.05, weight: Coefficient = 20.0) -> Row:
    """zCR's row of the discriminator: images of a moved latent are judged alike.

    Args:
        std: of the normal noise that latents are moved by.
        weight: StudioGAN's 20.
    """

    def function(scene: Scene, context: Context) -> Array:
        moved = jax.lax.stop_gradient(scene.make(_moved(scene, std, context)))
        return stabilisers.consistency(scene.fake_logits, scene.disc_fake(moved))

    return Row("latent_consistency", function, weight)


def latent_spread(std: float = 0.05, weight: Coefficient = 0.5) -> Row:
    """zCR's row of the generator: images of a moved latent are to differ; unbounded below.

    The mean over pixels, which StudioGAN's 0.5 is for (the paper writes the sum).
    """

    def function(scene: Scene, context: Context) -> Array:
        moved = scene.make(_moved(scene, std, context))
        return stabilisers.latent_consistency(scene.fake, moved) / math.prod(moved.shape[1:])

    return Row("latent_spread", function, weight)


def _moved(scene: Scene, std: float, context: Context) -> Array:
    noise = draws.normal(*_size(scene.latents), context.fold("moved"))
    return scene.latents + std * noise.astype(scene.latents.dtype)


def mode_seeking(weight: Coefficient = 1.0) -> Row:
    """Images of other latents are to differ as much as the latents; see the loss."""

    def function(scene: Scene, context: Context) -> Array:
        z = scene.draw("other").astype(scene.latents.dtype)
        other = scene.make(z)
        size = scene.latents.shape[0] // other.shape[0]  # packed images belong to several latents
        pairs = (x.reshape(other.shape[0], size, -1) for x in (scene.latents, z))
        return stabilisers.mode_seeking(scene.fake, other, *pairs)

    return Row("mode_seeking", function, weight)


def _size(latents: Array) -> tuple[int, tuple[int, ...]]:
    return latents.shape[0], latents.shape[1:]


def path_length(
    mapping: Network,
    synthesis: Network,
    styles: int,
    weight: Coefficient = 2.0,
    every: int = 4,
    shrink: int = 2,
    decay: float = 0.01,
) -> Row:
    """StyleGAN2's path length of a generator with parameters `mapping` and `synthesis`.

    With `g = nets.style_generator(...)`: `path_length(from_linen(g.mapping),
    from_linen(g.synthesis), g.synthesis.styles)`. For unconditional generators; every layer has its
    own copy of w, as in the authors' code, but styles are not mixed.

    Args:
        mapping: latents to w.
        synthesis: w, shape [n, styles, d], to images.
        styles: how many w the synthesis takes; the length is over their mean square.
        every: played at every so many steps, times as many.
        shrink: of the batch, every such example is looked at.
        decay: of the moving average of the lengths.
    """

    def function(scene: Scene, context: Context, memory: path_lengths.PathLengthState):
        if len(scene.latents) % shrink:
            raise ValueError(
                f"path_length: shrink={shrink} does not divide the {len(scene.latents)} examples "
                "of a device."
            )
        inner = _part(scene, "gen", "mapping")
        w, _ = mapping.apply(inner, scene.latents[::shrink], context=context)
        w = jnp.repeat(w[:, None], styles, axis=1)

        def make(w: Array) -> Array:
            return synthesis.apply(_part(scene, "gen", "synthesis"), w, context=context)[0]

        return path_lengths.path_length(make, w, memory, context, decay=decay)

    return Row("path_length", function, weight, every, path_lengths.path_length_init)


def _part(scene: Scene, group: str, *path: str) -> dict[str, PyTree]:
    """The variables of one submodule of a group's network."""
    found = scene.variables.of(group)
    for name in path:
        found = {kind: tree[name] for kind, tree in found.items() if name in tree}
    return found


def pull_away(encoder: Network, weight: Coefficient = 0.1) -> Row:
    """EBGAN-PT's row of the generator: codes of generated images are to point apart.

    With the trunk `from_linen(nets.Energy(autoencoder))`: `pull_away(from_linen(
    autoencoder.encoder))`. Zhao et al. 2017, section 2.4.

    Args:
        encoder: images to codes [n, d]; the part `autoencoder/encoder` of the trunk.
        weight: the paper's 0.1.
    """

    def function(scene: Scene, context: Context) -> Array:
        own = _part(scene, "trunk", "autoencoder", "encoder")
        codes, _ = encoder.apply(own, scene.fake, context=context)
        return semi_supervised.pull_away(codes.reshape(len(codes), -1), context.axis_name)

    return Row("pull_away", function, weight)


def feature_matching(weight: Coefficient = 1.0) -> Row:
    """Mean features of generated images are to equal those of real ones (Salimans et al. 2016)."""

    def function(scene: Scene, context: Context) -> Array:
        n = scene.real.shape[0]
        real = jax.lax.stop_gradient(scene.real_features).reshape(n, -1)
        fake = scene.fake_features.reshape(n, -1)
        return semi_supervised.feature_matching(real, fake, context.axis_name)

    return Row("feature_matching", function, weight)


def energy_control(gamma: float = 0.5, lambda_k: float = 0.001) -> Controlled:
    """BEGAN: `adversarial` of a game whose trunk is `nets.energy` of an auto-encoder, no `disc`.

    Deviation: k follows the energies of the discriminator's pass, where the paper's follows those
    of the generator's.

    Args:
        gamma: the diversity ratio.
        lambda_k: the rate of k.
    """

    def update(memory, real_energies: Array, fake_energies: Array, context: Context):
        found = energies.began_update(
            memory,
            real_energies,
            fake_energies,
            gamma=gamma,
            lambda_k=lambda_k,
            axis_name=context.axis_name,
        )
        return found[0]

    return Controlled(energies.began, energies.began_init, update, reads="energies")


def information(code: Code, head: Network, weight: Coefficient = 1.0) -> Information:
    """InfoGAN's row: categorical codes by cross entropy, continuous ones by a unit normal."""

    def loss(outputs: Array, codes: Array, code: Code) -> Array:
        start, values = 0, jnp.zeros(outputs.shape[0], outputs.dtype)
        for k in code.categorical:
            part = slice(start, start + k)
            drawn = codes[:, part].argmax(axis=1)
            values, start = values + categorical_code(outputs[:, part], drawn), start + k
        if not code.continuous:
            return values
        return values + continuous_code(outputs[:, start:], codes[:, start:])

    return Information(code, head, loss, weight)


def contragan(head: Network, weight: float = 1.0, temperature: float = 1.0) -> Contrast:
    """ContraGAN's 2C loss over `head`, such as `nets.ContrastHead`."""
    loss = functools.partial(conditional.conditional_contrastive, temperature=temperature)
    return Contrast(head, loss, weight, weight)


def reacgan(
    head: Network, weight: float = 1.0, temperature: float = 0.5, m_p: float = 0.98
) -> Contrast:
    """ReACGAN's data-to-data cross-entropy over `head`, such as `nets.ContrastHead`."""
    loss = functools.partial(conditional.data_to_data, temperature=temperature, m_p=m_p)
    return Contrast(head, loss, weight, weight)


def diff_augmentation(
    policy: Sequence[str] = ("color", "translation", "cutout"),
) -> Augment:
    """DiffAugment of everything that the discriminator sees."""
    return Augment(functools.partial(augment.diff_augment, policy=tuple(policy)))


def adaptive_augmentation(
    target: float = 0.6, speed_kimg: float = 500.0, every: int = 4
) -> Augment:
    """ADA: the probability p of its augmentations follows the signs of the real logits.

    Args:
        target: the mean sign that p holds.
        speed_kimg: thousands of images in which p could go from 0 to 1.
        every: batches between two moves of p.
    """

    def function(images: Array, context: Context, memory: augment.AdaState) -> Array:
        return augment.ada_augment(images, context, memory.p)

    def update(memory: augment.AdaState, real_logits: Array, context: Context):
        return augment.ada_update(
            memory,
            real_logits,
            batch=real_logits.shape[0] * devices(context.axis_name),
            target=target,
            speed_kimg=speed_kimg,
            every=every,
            axis_name=context.axis_name,
        )

    return Augment(function, augment.ada_init, update)


def top_k(
    steps_per_epoch: int, gamma: float = 0.99, minimum: float = 0.5
) -> Callable[[Array, Context], Array]:
    """For `Extras.top_k`: the fakes that the discriminator likes best, ever fewer of them.

    Args:
        steps_per_epoch: after so many steps k is multiplied by gamma.
        gamma: below 1.
        minimum: where k ends, as a part of the batch.
    """

    if steps_per_epoch < 1:
        raise ValueError(f"steps_per_epoch={steps_per_epoch}: it must be at least 1.")

    def mask(fake_logits: Array, context: Context) -> Array:
        n = fake_logits.shape[0] * devices(context.axis_name)
        epoch = context.step // steps_per_epoch
        k = stabilisers.top_k_size(epoch, n, gamma, max(int(minimum * n), 1))
        return batch_statistic("top_k", stabilisers.top_k_mask(fake_logits, k, context.axis_name))

    return mask
