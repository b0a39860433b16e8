"""Games of the zoo on two domains."""

import jax
import jax.numpy as jnp
import optax
from pointwise import pointwise
from zoo_parts import CLASSES, adam, linen, rotation_head

from gan_mtl import games, nets

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


def shared_and_private():
    """ASP-MTL, its two tasks on the two domains."""
    trunk = pointwise(1, norm=True)
    tasks = tuple(
        games.Task(name, linen(nets.Head(CLASSES)), source=f"images/{name}", targets=labels)
        for name, labels in (("source", "labels/source"), ("target", "labels"))
    )
    return games.asp_mtl(trunk, trunk, tasks, linen(nets.Head(2)), optax.adam(1e-3))
