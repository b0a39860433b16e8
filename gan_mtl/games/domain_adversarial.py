r"""Domain-adversarial training: features that tell the classes, and not the domain.

    turn   objective    trunk  heads/class  domain
    model  class            1            1       .
    model  domain     -lambda            .       1

The negative entry is the gradient reversal layer. The domain classifier sees the trunk's features
(DANN), or these with the predicted class (CDAN): what of the network is the trunk, and what the
heads, says where it is attached.

Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016, arXiv 1505.07818; Long,
Cao, Wang, Jordan, "Conditional Adversarial Domain Adaptation", NeurIPS 2018, arXiv 1705.10667.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import softmax, softplus

from gan_mtl import table
from gan_mtl.games import domains as domains_lib
from gan_mtl.games.domains import Domains, Pair
from gan_mtl.games.tasks import Task
from gan_mtl.losses.cdan import (
    LARGEST,
    entropy_weights,
    multilinear_map,
    random_multilinear_map,
)
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
    Schedule,
    Turn,
    Variables,
    Weighting,
)

DOMAIN = "domain"


def dann_schedule(steps: int, *, gamma: float = 10.0, highest: float = 1.0) -> Schedule:
    r"""DANN's :math:`\lambda_p = 2 / (1 + e^{-\gamma p}) - 1`, p the progress from 0 to 1.

    Args:
        steps: updates from p = 0 to p = 1, where it stays.
        gamma: 10 in the paper.
        highest: a factor, 1 in the paper; a tenth of it can be worth many points.
    """
    if steps < 1:
        raise ValueError(f"steps: expected at least 1, the updates of the run, got {steps}")
    text = f"{highest:g}*ramp({steps})"
    return Schedule(functools.partial(_ramp, steps, gamma, highest), text)


def _ramp(steps: int, gamma: float, highest: float, step: Array) -> Array:
    p = jnp.clip(jnp.asarray(step, float) / steps, 0, 1)
    return highest * jnp.tanh(gamma * p / 2)  # tanh(x / 2) = 2 / (1 + exp(-x)) - 1


class _Plan(NamedTuple):
    """What builds and plays the game; `classes` is the task that the domain classifier sees."""

    trunk: Network
    tasks: tuple[Task, ...]
    domain: Network
    domains: Domains
    weight: Coefficient
    classes: Task | None = None
    entropy: bool = False
    random_width: int | None = None


def dann(
    trunk: Network,
    tasks: tuple[Task, ...],
    domain: Network,
    optimizer: Optimizer | Mapping[str, Optimizer],
    *,
    domains: Domains,
    weight: Coefficient = 1.0,
    domain_weight: Coefficient = 1.0,
    weighting: Weighting | Aggregator | None = None,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """The game above.

    Args:
        trunk: images to features, group `trunk`.
        tasks: of the source's examples, `games.source_task(head, domains)`; others may make their
            own targets, on either domain.
        domain: features to logits [n] of being the source, group `domain`.
        optimizer: of all groups, or one by group.
        domains: the two, and whether they are normalised together.
        weight: lambda, at least 0; `dann_schedule(steps)` is the paper's, 0 is source-only
            training with a domain classifier that watches.
        domain_weight: of the domain classifier's own entry; 1, or lambda too as in some ports.
        weighting, ema: as of `multitask`.

    Returns:
        A game that predicts every task and `features`. Metrics: `domain_accuracy`, near 0.5 where
        the domains are not told apart, and `lambda`.

    Raises:
        ValueError: for a task that reads the target's labels; at `init` for a batch without the
            domains.
    """
    plan = _Plan(trunk, tasks, domain, domains, weight)
    return _game(plan, optimizer, domain_weight, weighting, ema)


def cdan(
    trunk: Network,
    tasks: tuple[Task, ...],
    domain: Network,
    optimizer: Optimizer | Mapping[str, Optimizer],
    *,
    domains: Domains,
    classes: str = "class",
    entropy: bool = False,
    random_width: int | None = None,
    weight: Coefficient = 1.0,
    domain_weight: Coefficient = 1.0,
    weighting: Weighting | Aggregator | None = None,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """The game above, its domain classifier on the features times the predicted class.

    Predictions pass no gradient here, as in the authors' code: the reversed gradient reaches the
    trunk through the features alone.

    Args:
        classes: the name of the task whose class probabilities are seen.
        entropy: weigh examples by 1 + exp(-H) of their prediction (CDAN+E).
        random_width: D of the random multilinear map (1024 in the paper), whose two matrices are
            the frozen group `random`; None takes the whole product, at most 4096 wide.
        trunk, tasks, domain, optimizer, domains, weight, domain_weight, weighting, ema: as of
            `dann`.
    """
    task = domains_lib.conditioning(tasks, classes)
    plan = _Plan(trunk, tasks, domain, domains, weight, task, entropy, random_width)
    return _game(plan, optimizer, domain_weight, weighting, ema)


def _game(plan: _Plan, optimizer, domain_weight, weighting, ema) -> Game:
    domains_lib.check_domains(plan.domains, plan.tasks)
    entries = {"trunk": domains_lib.ascended(plan.weight), DOMAIN: domain_weight}
    rows = {**domains_lib.task_rows(plan.tasks), DOMAIN: Objective(entries, signed=True)}
    turn = Turn("model", functools.partial(_losses, plan), rows, optimizer, weighting)
    return Game(
        functools.partial(_init, plan),
        (turn,),
        ema=ema or {},
        predict=domains_lib.predictions(plan.trunk, plan.tasks),
        frozen=("random",) if plan.random_width else (),
    )


def _init(plan: _Plan, key: jax.Array, batch: Batch) -> dict[str, dict[str, Any]]:
    key_base, key_random, key_domain = jax.random.split(key, 3)
    groups, hidden = domains_lib.init_tasks(
        plan.trunk, plan.tasks, plan.domains, key_base, batch, DOMAIN
    )
    if plan.classes is not None:
        head, group = plan.classes.head, groups[plan.classes.group]
        context = Context(key_base, jnp.zeros((), jnp.int32))
        logits, _ = head.apply(group, hidden, context=context)
        flat = hidden.reshape(hidden.shape[0], -1)
        d, k = flat.shape[1], logits.shape[1]
        if plan.random_width:
            keys = jax.random.split(key_random)
            shapes = {"r_f": (d, plan.random_width), "r_g": (k, plan.random_width)}
            maps = {
                name: jax.random.normal(key, shape, flat.dtype)
                for key, (name, shape) in zip(keys, shapes.items(), strict=True)
            }
            groups["random"] = {"params": maps}
        elif d * k > LARGEST:
            raise ValueError(
                f"cdan: features of width {d} times {k} classes are {d * k} inputs of the domain "
                f"classifier, above {LARGEST}: give random_width=1024, the random map of the paper."
            )
        hidden = _conditioned(groups.get("random"), flat, logits)
    return {**groups, DOMAIN: plan.domain.init(key_domain, hidden)}


def _conditioned(random: Any, hidden: Array, logits: Array) -> Array:
    """Features and predicted class in one, [n, d k] or [n, D]."""
    hidden = hidden.reshape(hidden.shape[0], -1)
    probabilities = softmax(jax.lax.stop_gradient(logits))
    if random is None:
        return multilinear_map(hidden, probabilities)
    return random_multilinear_map(hidden, probabilities, **random["params"])


def _losses(plan: _Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    found, variables = domains_lib.play_tasks(
        plan.trunk, plan.tasks, plan.domains, variables, batch, context
    )
    seen, weights, variables = _seen(plan, found, variables, context)
    tag = context.fold(DOMAIN)
    (source, target), variables = domains_lib.over_both(
        plan.domain, DOMAIN, seen, plan.domains, variables, tag
    )
    loss = domains_lib.both(softplus(-source), softplus(target), context, weights)
    metrics = {
        **found.metrics,
        "domain_accuracy": domains_lib.told_apart(source, target, context),
        "lambda": Loss(table.coefficient(plan.weight, context.step)),
    }
    return Outcome({**found.losses, DOMAIN: loss}, variables, metrics)


def _seen(
    plan: _Plan, found: domains_lib.Tasks, variables: Variables, context: Context
) -> tuple[Pair, Pair | None, Variables]:
    """What the domain classifier is shown of both domains, and the examples' weights."""
    if plan.classes is None:
        return found.hidden, None, variables
    target, variables = domains_lib.on_target(plan.classes, found.hidden[1], variables, context)
    logits = (found.outputs[plan.classes.name], target)
    random = variables.of("random") if plan.random_width else None
    seen = [_conditioned(random, h, x) for h, x in zip(found.hidden, logits, strict=True)]
    weights = (entropy_weights(logits[0]), entropy_weights(logits[1])) if plan.entropy else None
    return (seen[0], seen[1]), weights, variables
