r"""Image translation through a code that two domains share: VAEs, adversaries and the cycle.

    turn  objective       front/<d>  trunk  disc  enc/<d>  enc  gen  gen/<d>
    disc  adversarial             1      1     1        .    .    .        .
    gen   adversarial             .      .     .       l0   l0   l0       l0
    gen   kl                      .      .     .       l1   l1    .        .
    gen   reconstruction          .      .     .       l2   l2   l2       l2
    gen   cycle_kl                .      .     .       l3   l3   l3       l3
    gen   cycle                   .      .     .       l4   l4   l4       l4

for both domains d. Encoders share their last layers, generators their first. A code is
:math:`z = \mu(x) + \eta` with unit normal noise, so that :math:`\mathrm{KL}(q \| p) = \mu^2 / 2`:

.. math::
    \lambda_1 \mathrm{KL}(q_1(z | x_1)) + \lambda_2 |x_1 - G_1(z_1)|
    + \lambda_3 \mathrm{KL}(q_2(z | x_1^{1 \to 2})) + \lambda_4 |x_1 - G_1(E_2(x_1^{1 \to 2}))|

and the same with 1 and 2 exchanged, where :math:`x_1^{1 \to 2} = G_2(z_1)` is what the second
discriminator judges. The Laplacian's log-likelihood is a mean over pixels here and the KL a
mean over codes, so that the lambdas do not depend on sizes; :math:`\lambda_3` is also the weight of
the first code in the paper's cycle term, which is not counted twice here. Tasks stand on the
discriminators' shared features, as in `cogan`.

Liu, Breuel, Kautz, "Unsupervised Image-to-Image Translation Networks", NeurIPS 2017, arXiv
1703.00848.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl import draws
from gan_mtl.games import coupled
from gan_mtl.games import domains as domains_lib
from gan_mtl.games.coupled import CoupledPlan, CoupledPlayers
from gan_mtl.games.domains import Domains, Pair
from gan_mtl.games.players import Optimizers, turns
from gan_mtl.games.tasks import Task
from gan_mtl.losses.adversarial import AdversarialLoss, non_saturating
from gan_mtl.losses.tasks import l1
from gan_mtl.types import (
    Batch,
    Coefficient,
    Context,
    Game,
    Loss,
    Network,
    Objective,
    Outcome,
    Variables,
    starting,
)

ROWS = ("kl", "reconstruction", "cycle_kl", "cycle")


class UnitWeights(NamedTuple):
    """lambda_0 to lambda_4, as the table has them."""

    adversarial: Coefficient = 10.0
    kl: Coefficient = 0.1
    reconstruction: Coefficient = 100.0
    cycle_kl: Coefficient = 0.1
    cycle: Coefficient = 100.0


WEIGHTS = UnitWeights()


class _Plan(NamedTuple):
    """What the functions of both turns have in common."""

    coupled: CoupledPlan
    front: Network
    enc: Network
    latent: tuple[int, ...]

    def encode(self, variables: Variables, images: Pair, context: Context):
        """Means of the codes of both domains' images, and the variables after."""
        plan, tag = self.coupled, context.fold("enc/front")
        hidden, variables = domains_lib.over_both(
            self.front, plan.own("enc"), images, plan.domains, variables, tag
        )
        tag = context.fold("enc")
        return domains_lib.over_both(self.enc, "enc", hidden, plan.domains, variables, tag)

    def noisy(self, means: Pair, context: Context) -> Pair:
        """Codes drawn around their means."""
        z = [
            mean + draws.normal(mean.shape[0], mean.shape[1:], context.fold(i)).astype(mean.dtype)
            for i, mean in enumerate(means)
        ]
        return z[0], z[1]


def unit(
    players: CoupledPlayers,
    enc_front: Network,
    enc: Network,
    latent: tuple[int, ...],
    optimizers: Optimizers,
    *,
    domains: Domains,
    tasks: tuple[Task, ...] = (),
    weights: UnitWeights = WEIGHTS,
    adversarial: AdversarialLoss = non_saturating,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """The game above.

    Args:
        players: generators and discriminators, as of `cogan`.
        enc_front: images to what `enc` takes; groups `enc/<domain>`.
        enc: to the means of codes; group `enc`.
        latent: shape of an example's code, such as (64,) or (8, 8, 32).
        optimizers: of the discriminators' turn, and of encoders and generators.
        domains, tasks, adversarial, ema: as of `cogan`.
        weights: lambda_0 to lambda_4.

    Returns:
        A game that samples as `cogan` does, and predicts `features` and every task of the target's
        images, `source/<name>` of the source's, and the translations of images by their mean
        codes, `to/<target>` of the source's and `to/<source>` of the target's.

    Raises:
        ValueError: as of `cogan`; at `init` for codes of another shape than `latent`.
    """
    plan = _Plan(CoupledPlan(players, adversarial, tasks, domains), enc_front, enc, latent)
    coupled.check("unit", plan.coupled)
    rows = (coupled.disc_rows(plan.coupled), _gen_table(plan.coupled, weights))
    return Game(
        functools.partial(_init, plan),
        turns(
            (functools.partial(_disc_losses, plan), functools.partial(_gen_losses, plan)),
            rows,
            optimizers,
            (None, None),
        ),
        ema=ema or {},
        sample=functools.partial(_sample, plan),
        latents=functools.partial(_latents, plan),
        generate=functools.partial(coupled.generate, plan.coupled),
        predict={
            **coupled.predictions(plan.coupled),
            f"to/{domains.target}": functools.partial(_translated, plan, 0),
            f"to/{domains.source}": functools.partial(_translated, plan, 1),
        },
        classes=2,
    )


def _gen_table(plan: CoupledPlan, weights: UnitWeights) -> dict[str, Objective]:
    encoders, generators = (*plan.own("enc"), "enc"), ("gen", *plan.own("gen"))

    def row(weight: Coefficient) -> Objective:
        return Objective(dict.fromkeys((*encoders, *generators), weight))

    return {
        coupled.ADVERSARIAL: row(weights.adversarial)._replace(signed=True),
        "kl": Objective(dict.fromkeys(encoders, weights.kl)),
        "reconstruction": row(weights.reconstruction),
        "cycle_kl": row(weights.cycle_kl),
        "cycle": row(weights.cycle),
    }


def _init(plan: _Plan, key: jax.Array, batch: Batch):
    domains_lib.check_batch(plan.coupled.domains, batch, paired=True)
    images = coupled.images_of(plan.coupled, batch)
    keys = jax.random.split(key, 5)
    context = Context(keys[4], jnp.zeros((), jnp.int32))
    entries = plan.coupled.own("enc")
    groups = {e: plan.front.init(k, x) for e, k, x in zip(entries, keys, images, strict=False)}
    hidden, _ = starting(groups).apply(plan.front, entries[0], images[0], context=context)
    groups["enc"] = plan.enc.init(keys[2], hidden)
    mean, _ = starting(groups).apply(plan.enc, "enc", hidden, context=context)
    if mean.shape[1:] != plan.latent:
        raise ValueError(
            f"unit: enc gives codes of shape {mean.shape[1:]}, expected latent={plan.latent}."
        )
    return {**groups, **coupled.init("unit", plan.coupled, mean, keys[3], batch, *ROWS)}


def _swapped(pair: Pair) -> Pair:
    return pair[1], pair[0]


def _translate(plan: _Plan, variables: Variables, batch: Batch, context: Context):
    """Means, codes, and images translated into the source and into the target."""
    images = coupled.images_of(plan.coupled, batch)
    means, variables = plan.encode(variables, images, context.fold("first"))
    z = plan.noisy(means, context.fold("noise"))
    fakes, variables = plan.coupled.make(variables, _swapped(z), context.fold("across"))
    return means, z, fakes, variables


def _disc_losses(plan: _Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    _, _, fakes, variables = _translate(plan, variables, batch, context)
    losses, metrics, _, variables = coupled.judged(plan.coupled, variables, batch, fakes, context)
    return Outcome(losses, variables, metrics)


def _gen_losses(plan: _Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    images = coupled.images_of(plan.coupled, batch)
    means, z, fakes, variables = _translate(plan, variables, batch, context)
    own, variables = plan.coupled.make(variables, z, context.fold("own"))
    # a fake of the source came of a target's image: its code makes the target's image again
    again, variables = plan.encode(variables, fakes, context.fold("second"))
    z = plan.noisy(again, context.fold("noise again"))
    back, variables = plan.coupled.make(variables, _swapped(z), context.fold("back"))
    loss, variables = coupled.fooled(plan.coupled, variables, batch, fakes, context)
    losses = {
        coupled.ADVERSARIAL: loss,
        "kl": Loss(_kl(means[0]) + _kl(means[1])),
        "reconstruction": Loss(l1(own[0], images[0]) + l1(own[1], images[1])),
        "cycle_kl": Loss(_kl(again[0]) + _kl(again[1])),
        "cycle": Loss(l1(back[0], images[0]) + l1(back[1], images[1])),
    }
    return Outcome(losses, variables)


def _kl(mean: Array) -> Float[Array, " n"]:
    """KL of a unit normal around the mean to the standard one, the mean over codes."""
    return 0.5 * jnp.square(mean).mean(axis=tuple(range(1, mean.ndim)))


def _latents(plan: _Plan, n: int, context: Context) -> Array:
    return draws.normal(n, plan.latent, context.fold("latents"))


def _sample(plan: _Plan, variables: Variables, n: int, labels: Array | None, context: Context):
    return coupled.generate(plan.coupled, variables, _latents(plan, n, context), labels, context)


def _translated(plan: _Plan, of: int, variables: Variables, images: Array, context: Context):
    """Images of the source (0) or of the target (1) in the other domain, by their mean codes."""
    tag, entry = context.fold("enc/front"), plan.coupled.own("enc")[of]
    hidden, variables = variables.apply(plan.front, entry, images, context=tag)
    mean, variables = variables.apply(plan.enc, "enc", hidden, context=context.fold("enc"))
    return plan.coupled.make_pair(variables, mean, context)[0][1 - of]
