r"""Adversarial discriminative domain adaptation: a target encoder that passes for the source's.

    turn    objective    trunk/<target>  domain
    domain  adversarial               .       1
    model   adversarial               1       .

Two phases. The first is `multitask` on the source. Here, in the second, its trunk is the frozen
source encoder, the target encoder starts from a copy of it, and the frozen heads are asked about
the target encoder's features. The classifier sees features alone; the encoder descends the loss of
inverted labels, :math:`-\log D(M_t(x))`.

Tzeng, Hoffman, Saenko, Darrell, "Adversarial Discriminative Domain Adaptation", CVPR 2017, arXiv
1702.05464.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import softplus

from gan_mtl.games import domains as domains_lib
from gan_mtl.games import tasks as tasks_lib
from gan_mtl.games.domains import Domains
from gan_mtl.games.players import Optimizers
from gan_mtl.games.tasks import Task
from gan_mtl.types import (
    Array,
    Batch,
    Context,
    Game,
    Loss,
    Network,
    Objective,
    Outcome,
    PyTree,
    Turn,
    Variables,
)

ADVERSARIAL = "adversarial"


class _Plan(NamedTuple):
    """What the functions of both turns have in common."""

    trunk: Network
    tasks: tuple[Task, ...]
    domain: Network
    domains: Domains
    source: Mapping[str, Mapping[str, PyTree]]

    @property
    def encoders(self) -> tuple[str, str]:
        return f"trunk/{self.domains.source}", f"trunk/{self.domains.target}"


def adda(
    trunk: Network,
    tasks: tuple[Task, ...],
    domain: Network,
    optimizers: Optimizers,
    source: Mapping[str, Mapping[str, PyTree]],
    *,
    domains: Domains,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """The second phase.

    Args:
        trunk: images to features; groups `trunk/<source>`, frozen and run as in evaluation, and
            `trunk/<target>`.
        tasks: as the first phase had them; their heads are frozen.
        domain: features to logits [n] of being the source, group `domain`.
        optimizers: `disc` of the domain classifier's turn, `gen` of the target encoder's.
        source: what the first phase trained: by group (`trunk`, `heads/<task>`),
            `{"params": ..., other collections}`.
        domains: the two; the encoders differ, so they are always run separately.
        ema: half-lives in examples, by group.

    Returns:
        A game that predicts every task and `features` of the target's images, and
        `source/<name>` of the source's.

    Raises:
        ValueError: for a joint pass, a group that `source` has not; at `init` for other shapes.

    Example, of a run's state::

        trained = {g: {"params": state.params[g], **state.state[g]} for g in state.params}
        game = adda(trunk, tasks, domain, optimizers, trained, domains=domains)
    """
    plan = _Plan(trunk, tasks, domain, domains, source)
    domains_lib.check_domains(domains, tasks)
    heads = tuple(task.group for task in tasks_lib.owning(tasks))
    missing = [name for name in ("trunk", *heads) if name not in source]
    if missing or domains.passes == "joint":
        raise ValueError(
            f"adda: source lacks the groups {missing}; it has {sorted(source)}."
            if missing
            else "adda: two encoders have no joint pass: use Domains(passes='separate')."
        )
    predict = {}
    for prefix, entry in zip(("source/", ""), plan.encoders, strict=True):
        found = tasks_lib.predictions(tasks, functools.partial(_features, trunk, entry))
        predict.update({prefix + name: function for name, function in found.items()})
    rows = [{ADVERSARIAL: Objective({g: 1.0}, signed=True)} for g in ("domain", plan.encoders[1])]
    return Game(
        functools.partial(_init, plan),
        (
            Turn("domain", functools.partial(_domain, plan), rows[0], optimizers.disc),
            Turn("model", functools.partial(_model, plan), rows[1], optimizers.gen),
        ),
        ema=ema or {},
        predict=predict,
        frozen=(plan.encoders[0], *heads),
    )


def _init(plan: _Plan, key: jax.Array, batch: Batch) -> dict[str, dict[str, Any]]:
    key_base, key_domain = jax.random.split(key)
    groups, hidden = domains_lib.init_tasks(plan.trunk, plan.tasks, plan.domains, key_base, batch)
    started = {
        name: domains_lib.started("adda", name, plan.source[name], fresh)
        for name, fresh in groups.items()
    }
    encoder = started.pop("trunk")
    copies = {name: jax.tree.map(jnp.copy, encoder) for name in plan.encoders}
    return {**started, **copies, "domain": plan.domain.init(key_domain, hidden)}


def _features(trunk: Network, entry: str, variables: Variables, images: Array, context: Context):
    return variables.apply(trunk, entry, images, context=context)


def _encode(plan: _Plan, which: int, variables: Variables, batch: Batch, context: Context):
    """Features of one domain by its own encoder; the source's as in evaluation."""
    images, tag = batch[plan.domains.images[which]], context.fold("trunk")
    tag = tag if which else tag._replace(train=False)
    return variables.apply(plan.trunk, plan.encoders[which], images, context=tag)


def _domain(plan: _Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    source, variables = _encode(plan, 0, variables, batch, context)
    target, variables = _encode(plan, 1, variables, batch, context)
    hidden, tag = jax.lax.stop_gradient((source, target)), context.fold("domain")
    (source, target), variables = domains_lib.over_both(
        plan.domain, "domain", hidden, plan.domains, variables, tag
    )
    loss = domains_lib.both(softplus(-source), softplus(target), context)
    metrics = {"domain_accuracy": domains_lib.told_apart(source, target, context)}
    return Outcome({ADVERSARIAL: loss}, variables, metrics)


def _model(plan: _Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    target, variables = _encode(plan, 1, variables, batch, context)
    tag = context.fold("domain").fold("target")
    logits, variables = variables.apply(plan.domain, "domain", target, context=tag)
    return Outcome({ADVERSARIAL: Loss(softplus(-logits))}, variables)
