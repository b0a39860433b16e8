"""Every game of the library on tiny networks: what the contract tests run over."""

import functools

import jax
import jax.numpy as jnp
import optax
from zoo_codes import (
    ali,
    auto_encoder,
    beta_vae,
    bigan,
    sigma_vae,
    two_stage,
    vae_gan,
)
from zoo_domains import (
    aligned,
    confused,
    discrepant,
    joint_cdan,
    margins,
    second_phase,
    separated,
    shared_and_private,
    wasserstein_domains,
)
from zoo_maps import from_maps, judged_maps, segan, translated, vision
from zoo_parts import CLASSES, LATENTS, adam, class_head, linen, players, rotation_head
from zoo_repair import mended
from zoo_translation import coupled_pair, cycled, repainted, through_a_code

from gan_mtl import draws, games, nets
from gan_mtl.games import (
    Adversary,
    Augment,
    Code,
    Extras,
    MultiPlayers,
    Penalty,
    Players,
    Unroll,
    Weights,
    architectures,
    gan,
    gan_rows,
    multi_adversarial,
    multitask,
    semi_supervised,
)
from gan_mtl.losses import gradient_penalty, hinge, pixels, r1, relativistic, wasserstein
from gan_mtl.mtl import gman, learned_simplex, pcgrad


def unconditional():
    return gan(players(), LATENTS, adam(), ema={"gen": 100.0})


def wgan_gp():
    penalty = Penalty("gradient_penalty", gradient_penalty, 10.0)
    return gan(
        players(), LATENTS, adam(), adversarial=wasserstein, penalties=(penalty,), disc_repeats=2
    )


def lazy_r1():
    penalty = Penalty("r1", lambda f, real, fake, context: r1(f, real), 5.0, every=2)
    return gan(players(), LATENTS, adam(), adversarial=relativistic, penalties=(penalty,))


def projection():
    disc = linen(nets.ProjectionHead(CLASSES))
    return gan(
        players(disc=disc),
        LATENTS,
        adam(),
        adversarial=hinge,
        condition="projection",
        num_classes=CLASSES,
    )


def shared_embedding():
    embed = linen(nets.ClassEmbedding(CLASSES, 6))
    return gan(
        players(embed=embed),
        LATENTS,
        adam(),
        condition="projection",
        num_classes=CLASSES,
        owner="both",
    )


def shared_block():
    return gan(
        Players(
            gen=linen(nets.MLPTrunk((6,))),
            trunk=linen(nets.MLPTrunk((6,))),
            disc=linen(nets.Head()),
            middle=linen(nets.MLPTrunk((6,))),
            gen_out=linen(nets.MLPGenerator((), (4, 4, 1), output="tanh")),
        ),
        LATENTS,
        adam(),
        tasks=(rotation_head(),),
    )


def ac_gan():
    return gan(
        players(),
        LATENTS,
        adam(),
        tasks=(class_head(fake_weight=1.0),),
        condition="auxiliary",
        num_classes=CLASSES,
        fakes_in_disc=True,
    )


def rotation_gan():
    return gan(players(), LATENTS, adam(), tasks=(rotation_head(weight=1.0, fake_weight=0.2),))


def packed_ahead():
    """Pairs of images before a discriminator that the generator sees one step ahead."""
    extras = Extras(
        pack=2, unroll=Unroll(1, optax.sgd(0.1)), gen_rows=(gan_rows.mode_seeking(0.1),)
    )
    return gan(players(), LATENTS, adam(), extras=extras)


def _shrunk(images, context, memory):
    return images * (1 - memory * draws.uniform(images.shape[0], (1, 1, 1), context))


def _pressed(memory, real_logits, context):
    mean = (real_logits > 0).mean()
    mean = mean if context.axis_name is None else jax.lax.pmean(mean, context.axis_name)
    return memory + 0.1 * mean


def informed():
    """Codes to be read again, rows that remember, the better half of the fakes, augmentation."""
    code = Code((2,), 1)
    extras = Extras(
        disc_rows=(gan_rows.lecam(start=1), gan_rows.latent_consistency()),
        gen_rows=(gan_rows.feature_matching(),),
        augment=Augment(_shrunk, lambda: jnp.full((), 0.1), _pressed),
        top_k=gan_rows.top_k(2),
        information=gan_rows.information(code, linen(nets.Head(code.width))),
    )
    return gan(players(), LATENTS, adam(), extras=extras)


def contrastive():
    """A contrastive embedding, and latents moved towards what is judged better."""

    def moved(value, z):
        return z + 0.1 * jax.grad(lambda z: value(z).sum())(z)

    head = linen(nets.ContrastHead(CLASSES, 3))
    extras = Extras(contrast=gan_rows.reacgan(head, m_p=0.5), move_latents=moved)
    return gan(
        players(), LATENTS, adam(), condition="contrastive", num_classes=CLASSES, extras=extras
    )


def balanced():
    """An auto-encoder as the discriminator, steered by what it remembers, under DiffAugment."""
    encoder = nets.MLPTrunk((3,))
    autoencoder = nets.Autoencoder(encoder, nets.MLPGenerator((), (4, 4, 1), output="none"))
    pair = players(disc=None)._replace(trunk=linen(nets.Energy(autoencoder, "l1")))
    apart = gan_rows.pull_away(linen(encoder))
    extras = Extras(augment=gan_rows.diff_augmentation(("translation",)), gen_rows=(apart,))
    control = gan_rows.energy_control(lambda_k=0.1)
    return gan(pair, LATENTS, adam(), adversarial=control, extras=extras)


def multi_hinge():
    """Class scores and "fake" in place of a logit, DiffAugment."""
    disc = linen(nets.Head(CLASSES + 1))
    extras = Extras(augment=gan_rows.diff_augmentation())
    options = {"condition": "multi_hinge", "num_classes": CLASSES, "extras": extras}
    return gan(players(disc=disc), LATENTS, adam(), **options)


def per_pixel():
    """A logit for the image and one for each of its 16 pixels, consistent over mixed images."""
    pair = players(disc=None)._replace(trunk=linen(nets.MLPTrunk((17,), jnp.asarray)))
    extras = Extras(disc_rows=(gan_rows.cut_mix_consistency(0.5),))
    return gan(pair, LATENTS, adam(), adversarial=pixels.per_pixel(hinge), extras=extras)


def semi():
    return semi_supervised(
        players(disc=None),
        linen(nets.Head(CLASSES)),
        LATENTS,
        adam(),
        num_classes=CLASSES,
        ema={"trunk": 100.0, "heads/class": 100.0, "gen": 100.0},
    )


def semi_rotation():
    return semi_supervised(
        players(disc=None),
        linen(nets.Head(CLASSES)),
        LATENTS,
        adam(),
        num_classes=CLASSES,
        tasks=(rotation_head(weight=0.5),),
        weights=Weights(entropy=0.1, generator=0.1, conditional=0.5),
    )


def classifier():
    return multitask(
        linen(nets.CNNTrunk((4,), features=6)), (class_head(labelled=True),), optax.adam(1e-3)
    )


def classifier_rotation():
    optimizers = {name: optax.adam(1e-3) for name in ("trunk", "heads/class", "heads/rotation")}
    trunk = linen(nets.MLPTrunk((6,), dropout=0.2))
    return multitask(trunk, (class_head(labelled=True), rotation_head()), optimizers)


def branching():
    """Learning to branch: choices drawn per step, soft ones at first."""
    branch = linen(nets.Branch(optax.exponential_decay(5.0, 10, 0.5)))
    leaves = (linen(nets.MLPTrunk((6,))),) * 2
    plan = architectures.ltb(("class", "rotation"), ((linen(nets.MLPTrunk((6,))),), leaves), branch)
    return multitask(plan, (class_head(labelled=True), rotation_head()), optax.adam(1e-3))


def sparse_experts():
    """DSelect-k, whose gates have penalties, under a weighting that sees gradients."""
    gate = linen(nets.DSelectMixture(2))
    experts = (linen(nets.MLPTrunk((6,))),) * 3
    plan = architectures.dselect_k(("class", "rotation"), experts, gate, entropy=0.01)
    tasks = (class_head(), rotation_head())
    return multitask(plan, tasks, optax.adam(1e-3), weighting=pcgrad())


def transferred():
    """A trunk that starts from another one's parameters, and a frozen group that holds them."""
    plan = architectures.hard_sharing(("class",), linen(nets.MLPTrunk((6,))))
    start = plan.init(jax.random.key(3), jnp.zeros((2, 4, 4, 1)))
    return multitask(
        architectures.transfer(plan, start, alpha=0.1), (class_head(),), optax.adam(1e-3)
    )


def task_gans():
    """Two sources of unequal size: shared trunks, heads of both players each, alpha learned."""
    players = MultiPlayers(
        gen=linen(nets.MLPTrunk((6,))),
        disc=linen(nets.Head()),
        trunk=linen(nets.MLPTrunk((6,), kernel_norm="spectral")),
        gen_head=linen(nets.MLPGenerator((), (4, 4, 1), output="tanh")),
    )
    adversaries = (Adversary("a", 0.7), Adversary("b", 0.3, source="labelled_images"))
    return multi_adversarial(
        players,
        adversaries,
        LATENTS,
        adam(),
        tasks=(class_head(), rotation_head(fake_weight=0.1)),
        penalties=(Penalty("r1", lambda f, real, fake, context: r1(f, real), 0.1, every=2),),
        relation=0.01,
        weightings=(learned_simplex(), learned_simplex()),
        ema={"gen": 100.0},
    )


def several_discriminators():
    """One generator against three discriminators, and reconstruction, under a softmax mean."""
    players = MultiPlayers(
        gen=linen(nets.MLPGenerator((6,), (4, 4, 1), output="tanh")),
        disc=linen(nets.Head()),
        trunk=linen(nets.MLPTrunk((6,))),
        encoder=linen(nets.MLPTrunk((6, LATENTS.dim))),
    )
    halves = (None, lambda x: x[:, :2], lambda x: x[:, 2:])
    adversaries = tuple(Adversary(f"d{i}", look=look) for i, look in enumerate(halves))
    options = {"share": "gen", "reconstruction": 0.5, "weightings": (None, gman())}
    return multi_adversarial(players, adversaries, LATENTS, adam(), **options)


def at_once():
    return games.at_once(unconditional())


GAMES = {
    f.__name__: f
    for f in (
        unconditional,
        wgan_gp,
        lazy_r1,
        projection,
        shared_embedding,
        shared_block,
        ac_gan,
        rotation_gan,
        packed_ahead,
        informed,
        contrastive,
        balanced,
        multi_hinge,
        per_pixel,
        semi,
        semi_rotation,
        classifier,
        classifier_rotation,
        branching,
        sparse_experts,
        transferred,
        task_gans,
        several_discriminators,
        vision,
        judged_maps,
        segan,
        auto_encoder,
        beta_vae,
        sigma_vae,
        two_stage,
        vae_gan,
        bigan,
        ali,
        mended,
        from_maps,
        translated,
        joint_cdan,
        aligned,
        discrepant,
        wasserstein_domains,
        margins,
        confused,
        separated,
        shared_and_private,
        second_phase,
        coupled_pair,
        through_a_code,
        repainted,
        cycled,
        at_once,
    )
}


@functools.cache
def game(name):
    return GAMES[name]()


def batch(n=8, labelled=4, dtype=jnp.float32):
    """Images 4x4 in [-1, 1] with all labels and targets, a labelled batch, two domains."""
    keys = jax.random.split(jax.random.key(7), 6)
    shape = (4, 4, 1)
    objects = jnp.array([[0, 1, 3, 4, 1], [0, 0, 0, 0, -1]], dtype)
    mask = jax.random.randint(keys[4], (n, 4, 4), 0, CLASSES + 1)
    images = jax.random.uniform(keys[0], (n, *shape), dtype, -1, 1)
    labels = jax.random.randint(keys[1], (n,), 0, CLASSES)
    return {
        "images": images,
        "labels": labels,
        "images/source": images,
        "labels/source": labels,
        "images/target": images[::-1] ** 3,
        "labelled_images": jax.random.uniform(keys[2], (labelled, *shape), dtype, -1, 1),
        "labelled_labels": jax.random.randint(keys[3], (labelled,), 0, CLASSES),
        "objects": jnp.tile(objects[None], (n, 1, 1)),
        "mask": jnp.where(mask == CLASSES, 255, mask).astype(jnp.uint8),
        "depth": jnp.where(mask == CLASSES, 0.0, 1.0 + mask).astype(dtype),
        "present": jax.random.randint(keys[5], (n, CLASSES), 0, 2),
    }
