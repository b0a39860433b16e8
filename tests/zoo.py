"""Every game of the library on tiny networks: what the contract tests run over."""

import functools

import jax
import jax.numpy as jnp
import optax
from pointwise import pointwise

from gan_mtl import draws, games, losses, mtl, nets
from gan_mtl.games import (
    Adversary,
    Augment,
    Code,
    Extras,
    Latents,
    MultiPlayers,
    Optimizers,
    Penalty,
    Players,
    Unroll,
    Weights,
    architectures,
    class_task,
    gan,
    gan_rows,
    multi_adversarial,
    multitask,
    rotation_task,
    semi_supervised,
)
from gan_mtl.losses import gradient_penalty, hinge, pixels, r1, relativistic, wasserstein
from gan_mtl.mtl import gman, learned_simplex, pcgrad
from gan_mtl.types import Rows
from gan_mtl.update import alternating

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


def encoder(law=True):
    return linen(nets.Head(2 * LATENTS.dim if law else LATENTS.dim, widths=(6,)))


def decoder(output="none", **options):
    return linen(nets.MLPGenerator((6,), (4, 4, 1), output=output, **options))


def _noisy(images, context):
    return images + 0.1 * draws.normal(len(images), images.shape[1:], context)


def auto_encoder():
    """Denoising, with the best variance for each image."""
    likelihood = games.Likelihood("optimal")
    options = {"likelihood": likelihood, "corrupt": _noisy}
    return games.autoencoder(encoder(law=False), decoder(), optax.adam(1e-3), **options)


def beta_vae():
    """Grey pixels as Bernoulli ones, two codes an image."""
    options = {"beta": 0.5, "samples": 2, "asked": 3, "ema": {"decoder": 100.0}}
    networks = (encoder(), decoder(batch_norm=True))
    return games.vae(*networks, LATENTS.dim, optax.adam(1e-3), **options)


def sigma_vae():
    """The importance-weighted bound, with a learned variance."""
    likelihood = games.Likelihood("learned")
    options = {"likelihood": likelihood, "samples": 3, "bound": "iwae", "asked": 3}
    return games.vae(encoder(), decoder(), LATENTS.dim, optax.adam(1e-3), **options)


def two_stage():
    """A second VAE on the codes of a first."""
    second = linen(nets.MLPGenerator((6,), (LATENTS.dim,), output="none"))
    stages = games.Stages(encoder(), decoder(), encoder(), second)
    return games.two_stage_vae(stages, LATENTS.dim, (optax.adam(1e-3), optax.adam(1e-3)))


def vae_gan():
    """A VAE whose pixels are the discriminator's features."""
    trunk, disc = linen(nets.MLPTrunk((6,))), linen(nets.Head())
    networks = games.VaeGanPlayers(encoder(), decoder("tanh", batch_norm=True), trunk, disc)
    return games.vae_gan(networks, LATENTS.dim, adam(), gamma=0.1)


def bigan(law=False):
    disc = linen(nets.PairDiscriminator(nets.MLPTrunk((6,)), (6,)))
    networks = games.BiganPlayers(encoder(law), decoder("tanh", batch_norm=True), disc)
    return games.bigan(networks, LATENTS, adam(), stochastic=law)


def ali():
    return bigan(law=True)


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


DOMAINS = games.Domains()


def domain_class(**options):
    return games.source_task(linen(nets.Head(CLASSES)), DOMAINS, **options)


def joint_cdan():
    """CDAN+E through the random map, both domains normalised together, and rotated targets."""
    rotation = rotation_head(source="images/target", weight=0.5)
    return games.cdan(
        pointwise(1, norm=True),
        (domain_class(), rotation),
        linen(nets.Head(widths=(4,))),
        optax.adam(1e-3),
        domains=DOMAINS._replace(passes="joint"),
        entropy=True,
        random_width=8,
        weight=games.dann_schedule(10),
    )


def aligned():
    """JAN, of features that drop out."""
    trunk = linen(nets.MLPTrunk((6,), dropout=0.2))
    return games.jan(trunk, (domain_class(),), optax.adam(1e-3), domains=DOMAINS, weight=0.5)


def domain_players(**options):
    """A trunk, the source's task and a network that judges features."""
    trunk = linen(nets.MLPTrunk((6,), **options))
    return trunk, (domain_class(),), linen(nets.Head())


def discrepant():
    """MCD, its last turn played twice, both domains normalised by themselves."""
    head, adams = linen(nets.Head(CLASSES)), optax.adam(1e-3)
    return games.mcd(pointwise(1, norm=True), head, adams, domains=DOMAINS, repeats=2)


def wasserstein_domains():
    return games.wdgrl(*domain_players(), adam(), domains=DOMAINS, critic_repeats=2)


def margins():
    trunk, tasks, _ = domain_players(dropout=0.2)
    return games.mdd(trunk, tasks, linen(nets.Head(CLASSES)), optax.adam(1e-3), domains=DOMAINS)


def confused():
    return games.domain_confusion(*domain_players(), adam(), domains=DOMAINS)


def separated():
    """DSN with an MMD, and a private encoder a domain."""
    trunk, tasks, _ = domain_players()
    dec = linen(nets.MLPGenerator((), (4, 4, 1), output="none"))
    adams = optax.adam(1e-3)
    return games.dsn(trunk, trunk, dec, tasks, None, adams, domains=DOMAINS)


def second_phase():
    """ADDA from a source encoder with BatchNorm."""
    trunk, tasks = pointwise(1, norm=True), (domain_class(),)
    key, images = jax.random.key(3), jnp.ones((2, 4, 4, 1))
    heads = tasks[0].head.init(key, jnp.ones((2, 4, 4, 1)))
    source = {"trunk": trunk.init(key, images), "heads/class": heads}
    return games.adda(trunk, tasks, linen(nets.Head()), adam(), source, domains=DOMAINS)


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
        from_maps,
        translated,
        joint_cdan,
        aligned,
        discrepant,
        wasserstein_domains,
        margins,
        confused,
        separated,
        second_phase,
        at_once,
    )
}


@functools.cache
def game(name):
    return GAMES[name]()


@functools.cache
def compiled(name):
    """`(init, update)` of a game, the same two programs for whoever asks: one compilation."""
    updater = alternating(game(name))
    return jax.jit(updater.init), jax.jit(updater.update)


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
