r"""Domain separation networks: what the domains share, and what each has for itself.

    turn   objective       trunk  private/<source>  private/<target>    dec  heads/class  domain
    model  class               1                 .                 .      .            1       .
    model  reconstruction  alpha             alpha             alpha  alpha            .       .
    model  difference       beta              beta              beta      .            .       .
    model  domain         -gamma                 .                 .      .            .       1

The decoder sees the sum of an image's shared and private features. Without a domain classifier the
last row is `alignment`, an MMD of the shared features, in the trunk.

Bousmalis, Trigeorgis, Silberman, Krishnan, Erhan, "Domain Separation Networks", NeurIPS 2016, arXiv
1608.06019. Differs from the authors' code: the classifier's own entry is 1 (gamma there), and two
losses are of another scale, so that their weights b and g are others here.

- `difference` is the normalised `losses.orthogonality`: with n examples of a domain, and d shared
  and e private features, the sum over d e correlations, each a mean over examples. Theirs is the
  mean of d e squared sums over examples: beta = b n^2 / (d e).
- `alignment` is under the mean of the 19 kernels, theirs under the sum, and constant below 1e-4:
  gamma = 19 g. (Of a domain classifier gamma = g.)
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import softplus

from gan_mtl.games import domains as domains_lib
from gan_mtl.games.domains import Domains, Pair
from gan_mtl.games.tasks import Task
from gan_mtl.losses.dsn import scale_invariant_mse
from gan_mtl.losses.mmd import DSN_WIDTHS, Gaussians, multi_kernel_mmd
from gan_mtl.losses.sharing import orthogonality
from gan_mtl.types import (
    Aggregator,
    Array,
    Batch,
    Coefficient,
    Context,
    Game,
    Loss,
    Network,
    Objective,
    Optimizer,
    Outcome,
    Turn,
    Variables,
    Weighting,
)

ROWS = ("reconstruction", "difference", "domain", "alignment")


class _Plan(NamedTuple):
    """What builds and plays the game."""

    trunk: Network
    private: Network
    dec: Network
    tasks: tuple[Task, ...]
    domain: Network | None
    domains: Domains
    kernel: Gaussians

    @property
    def own(self) -> tuple[str, str]:
        """The groups of the private encoders."""
        return f"private/{self.domains.source}", f"private/{self.domains.target}"


def dsn(
    trunk: Network,
    private: Network,
    dec: Network,
    tasks: tuple[Task, ...],
    domain: Network | None,
    optimizer: Optimizer | Mapping[str, Optimizer],
    *,
    domains: Domains,
    alpha: Coefficient = 0.01,
    beta: Coefficient = 0.075,
    gamma: Coefficient = 0.25,
    kernel: Gaussians = DSN_WIDTHS,
    weighting: Weighting | Aggregator | None = None,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """The game above.

    Args:
        trunk: the shared encoder, images to features; tasks see these alone.
        private: images to features of the trunk's shape; one group a domain.
        dec: features to images, group `dec`.
        tasks, optimizer, domains, weighting, ema: as of `dann`.
        domain: features to logits [n] of being the source, group `domain`; None takes the MMD.
        alpha, beta, gamma: weights of reconstruction, difference and similarity. In the
            scale of the authors' code, see above, the defaults of the last two are 0.075 d e / n^2
            and, for the MMD, 0.25 / 19 = 0.013. That code lets beta and gamma wait for 10,000
            steps: give a `Schedule`.
        kernel: of the MMD.

    Returns:
        A game that predicts every task, `features`, and `reconstruction/<domain>` of images.

    Raises:
        ValueError: at `init`, for encoders of unlike features, a decoder of other images.
    """
    plan = _Plan(trunk, private, dec, tasks, domain, domains, kernel)
    domains_lib.check_domains(domains, tasks)
    encoders = ("trunk", *plan.own)
    rows = {
        **domains_lib.task_rows(tasks),
        "reconstruction": Objective(dict.fromkeys((*encoders, "dec"), alpha)),
        "difference": Objective(dict.fromkeys(encoders, beta), penalty=True),
    }
    if domain is None:
        rows["alignment"] = Objective({"trunk": gamma})
    else:
        entries = {"trunk": domains_lib.ascended(gamma), "domain": 1.0}
        rows["domain"] = Objective(entries, signed=True)
    turn = Turn("model", functools.partial(_losses, plan), rows, optimizer, weighting)
    shown = {
        f"reconstruction/{name}": functools.partial(_reconstructed, plan, entry)
        for name, entry in zip((domains.source, domains.target), plan.own, strict=True)
    }
    return Game(
        functools.partial(_init, plan),
        (turn,),
        ema=ema or {},
        predict={**domains_lib.predictions(trunk, tasks), **shown},
    )


def _init(plan: _Plan, key: jax.Array, batch: Batch) -> dict[str, dict[str, Any]]:
    key_base, *keys = jax.random.split(key, 5)
    groups, hidden = domains_lib.init_tasks(
        plan.trunk, plan.tasks, plan.domains, key_base, batch, *ROWS
    )
    for entry, own_key, name in zip(plan.own, keys, plan.domains.images, strict=False):
        groups[entry] = plan.private.init(own_key, batch[name])
    groups["dec"] = plan.dec.init(keys[2], hidden)
    if plan.domain is not None:
        groups["domain"] = plan.domain.init(keys[3], hidden)
    _check(plan, groups, hidden, batch[plan.domains.images[0]])
    return groups


def _check(plan: _Plan, groups: dict[str, dict[str, Any]], hidden: Array, images: Array) -> None:
    def shapes(key):
        context = Context(key, jnp.zeros((), jnp.int32))
        own, _ = plan.private.apply(groups[plan.own[0]], images, context=context)
        return own, plan.dec.apply(groups["dec"], hidden, context=context)[0]

    own, seen = jax.eval_shape(shapes, jax.random.key(0))
    for name, found, wanted in (("private", own, hidden), ("dec", seen, images)):
        if found.shape != wanted.shape:
            what = "the trunk's features" if name == "private" else "the images"
            raise ValueError(
                f"dsn: {name} gives shape {found.shape[1:]}, but {what} have {wanted.shape[1:]}; "
                "they are added, or compared, entry by entry."
            )


def _losses(plan: _Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    images = (batch[plan.domains.images[0]], batch[plan.domains.images[1]])
    found, variables = domains_lib.play_tasks(
        plan.trunk, plan.tasks, plan.domains, variables, batch, context
    )
    shared = found.hidden
    tag = context.fold("private")
    own, variables = domains_lib.over_both(
        plan.private, plan.own, images, plan.domains, variables, tag
    )
    summed = (shared[0] + own[0], shared[1] + own[1])
    tag = context.fold("dec")
    seen, variables = domains_lib.over_both(plan.dec, "dec", summed, plan.domains, variables, tag)
    errors = [scale_invariant_mse(x, y) for x, y in zip(seen, images, strict=True)]
    overlap = [
        orthogonality(_flat(s), _flat(p), context.axis_name)
        for s, p in zip(shared, own, strict=True)
    ]
    losses = {
        **found.losses,
        "reconstruction": domains_lib.both(errors[0], errors[1], context),
        "difference": Loss(overlap[0] + overlap[1]),
    }
    similar, metrics, variables = _similarity(plan, shared, variables, context)
    return Outcome({**losses, **similar}, variables, {**found.metrics, **metrics})


def _similarity(plan: _Plan, shared: Pair, variables: Variables, context: Context):
    """The row that draws the shared features together, and what its classifier knows."""
    if plan.domain is None:
        value = multi_kernel_mmd(
            _flat(shared[0]), _flat(shared[1]), context.axis_name, kernel=plan.kernel
        )
        return {"alignment": Loss(value)}, {}, variables
    tag = context.fold("domain")
    (source, target), variables = domains_lib.over_both(
        plan.domain, "domain", shared, plan.domains, variables, tag
    )
    loss = domains_lib.both(softplus(-source), softplus(target), context)
    metrics = {"domain_accuracy": domains_lib.told_apart(source, target, context)}
    return {"domain": loss}, metrics, variables


def _reconstructed(plan: _Plan, own: str, variables: Variables, images: Array, context: Context):
    tag = context.fold("trunk")
    shared, _ = variables.apply(plan.trunk, "trunk", images, context=tag)
    private, _ = variables.apply(plan.private, own, images, context=context.fold("private"))
    return variables.apply(plan.dec, "dec", shared + private, context=context.fold("dec"))[0]


def _flat(features: Array) -> Array:
    return features.reshape(features.shape[0], -1)
