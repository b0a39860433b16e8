r"""Several adversaries at once: sum_i alpha_i V_i, and whatever puts them together.

V_i is the game of the generator against discriminator i. Tasks with data p_i of their own, a
discriminator head each on a shared trunk, a generator head each on a shared generator:

    turn  objective  trunk  disc/a  disc/b  gen  gen/a  gen/b
    disc  a              1       1       .    .      .      .
    disc  b              1       .       1    .      .      .
    gen   a              .       .       .    1      1      .
    gen   b              .       .       .    1      .      1

Without a trunk and generator heads it is one generator against several discriminators of the same
images (Durugkar et al., "Generative Multi-Adversarial Networks", ICLR 2017; Albuquerque et al.,
ICML 2019: `mtl.gman`, `mtl.hypervolume`). With one discriminator for all and data of one kind every
V_i is the same game, and alpha only scales the loss.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from gan_mtl.games import tasks as tasks_lib
from gan_mtl.games.adversaries import Adversary, MultiPlayers, Plan, Share, check
from gan_mtl.games.players import Latents, Optimizers, check_no_batch_norm, turns
from gan_mtl.games.scenes import Penalty
from gan_mtl.games.tasks import Task
from gan_mtl.losses.adversarial import AdversarialLoss, non_saturating
from gan_mtl.losses.sharing import trace_norm
from gan_mtl.types import (
    Aggregator,
    Array,
    Coefficient,
    Context,
    Game,
    Loss,
    Network,
    Objective,
    Outcome,
    Variables,
    Weighting,
    starting,
)


def multi_adversarial(
    players: MultiPlayers,
    adversaries: tuple[Adversary, ...],
    latents: Latents,
    optimizers: Optimizers,
    *,
    adversarial: AdversarialLoss = non_saturating,
    share: Share = "both",
    tasks: tuple[Task, ...] = (),
    penalties: tuple[Penalty, ...] = (),
    relation: Coefficient = 0.0,
    reconstruction: Coefficient = 0.0,
    weightings: tuple[Weighting | Aggregator | None, Weighting | Aggregator | None] = (None, None),
    ema: Mapping[str, float] | None = None,
) -> Game:
    """`min_G max_D sum_i alpha_i V_i(D_i, G_i)` as one table.

    Args:
        adversarial: the pair of losses on logits, per example.
        share: whose trunk is common: of both players, of one, of none (separate GANs, in one
            program). A trunk of one's own is the group `trunk/<name>` or `gen/trunk/<name>`.
        tasks: heads on the trunk, as rows of the discriminators' turn; each looks at the entry of
            an adversary. With a `fake_weight` (and a `transform`: rotations) the generator plays it
            too, in a row of its turn.
        penalties: of every discriminator, as rows `<penalty>/<name>` of their turn.
        relation: weight of the row `relation`: Zhang & Yeung's task relations between the
            discriminators' heads, |W|_tr^2 with a column of W per head. That is tr(W Omega^-1 W')
            at the Omega that minimises it, `metrics.task_covariance(W)`, with the same gradient.
        reconstruction: weight of the rows `reconstruction/<name>` of the generator's turn, the mean
            squared error of G(E(x)) on the adversary's images; needs `players.encoder`.
        weightings: of the discriminators' and of the generator's turn: alpha learned
            (`mtl.learned_simplex`), given by a bargain (`mtl.nash`), ...
        ema: half-lives in examples, by group.

    Returns:
        A game with `predict["disc/<name>"]`, `predict["features/<name>"]` where there is a trunk,
        and `sample(variables, n, labels, context)`, where labels are numbers of adversaries if each
        has images of its own (None: in turn).

    Raises:
        ValueError: for adversaries, tasks and networks that do not go together.
    """
    plan = Plan(players, adversaries, latents, adversarial, share, tasks, penalties)
    check(plan, relation, reconstruction)
    return Game(
        functools.partial(_init, plan),
        turns(
            (
                functools.partial(_disc_losses, plan, bool(relation)),
                functools.partial(_gen_losses, plan, bool(reconstruction)),
            ),
            (_disc_rows(plan, relation), _gen_rows(plan, reconstruction)),
            optimizers,
            weightings,
        ),
        ema=ema or {},
        sample=functools.partial(_sample, plan),
        classes=len(adversaries) if plan.kinds > 1 else 0,
        predict=_predictions(plan),
    )


def _init(plan: Plan, key, batch):
    others = [a.name for a in plan.adversaries] + ["relation"]
    tasks_lib.check_tasks(plan.tasks, batch, *others)
    for adversary in plan.adversaries:
        if adversary.source not in batch:
            raise ValueError(
                f"Adversary {adversary.name!r} takes its images from {adversary.source!r}; the "
                f"batch has {sorted(batch)}."
            )
    if plan.kinds == 1 and len(set(plan.counts(batch).values())) > 1:
        raise ValueError(
            f"All adversaries judge the same fakes, but have {plan.counts(batch)} real images: "
            "give them batches of one size, or the generator a head each."
        )
    keys = jax.random.split(key, 4 * len(plan.adversaries) + 3)
    context = Context(keys[-1], jnp.zeros((), jnp.int32))
    groups: dict[str, Any] = {}

    def add(group: str, network: Network | None, number: int, *inputs: Array) -> None:
        if network is not None and group not in groups:
            groups[group] = network.init(keys[number], *inputs)

    hidden: dict[str, Array] = {}
    for i, adversary in enumerate(plan.adversaries):
        name, images = adversary.name, batch[adversary.source]
        z = plan.latents.draw(images.shape[0], context).astype(images.dtype)
        add(plan.gen_of(name), plan.players.gen, 4 * i, z)
        made, _ = starting(groups).apply(plan.players.gen, plan.gen_of(name), z, context=context)
        add(f"gen/{name}", plan.players.gen_head, 4 * i + 1, made)
        made, _ = plan.draw(name, starting(groups), z, context)
        if made.shape != images.shape:
            raise ValueError(
                f"The generator makes images of shape {made.shape[1:]} for {name!r}, the data has "
                f"{images.shape[1:]}: give the generator the data's size and channels."
            )
        seen = images if adversary.look is None else adversary.look(images)
        if plan.players.trunk is not None:
            add(plan.trunk_of(name), plan.players.trunk, 4 * i + 2, seen)
        hidden[name], _ = plan.see(name, starting(groups), images, context)
        add(plan.disc_of(name), plan.players.disc, 4 * i + 3, hidden[name])
        add("enc", plan.players.encoder, -2, images)
    heads = {task.name: hidden[plan.owner(task)] for task in plan.tasks}
    groups.update(tasks_lib.init_heads(plan.tasks, keys[-3], heads))
    names = [penalty.name for penalty in plan.penalties]
    check_no_batch_norm(names, groups, [g for g in groups if g.startswith(("trunk", "disc"))])
    return groups


def _disc_losses(plan: Plan, related: bool, variables, batch, context) -> Outcome:
    fakes, variables = plan.make(variables, plan.counts(batch), context.fold("generate"))
    fakes = jax.lax.stop_gradient(fakes)
    losses, metrics, known = {}, {}, {}
    for adversary in plan.adversaries:
        name, tag = adversary.name, context.fold(adversary.name)
        images = batch[adversary.source]
        real, variables = plan.see(name, variables, images, tag.fold("real"))
        fake, variables = plan.see(name, variables, fakes[name], tag.fold("fake"))
        real_logits, variables = plan.judge(name, variables, real, tag.fold("r"))
        fake_logits, variables = plan.judge(name, variables, fake, tag.fold("f"))
        known.setdefault(name, {adversary.source: real})
        losses[name] = Loss(plan.adversarial.disc(real_logits, fake_logits))
        metrics[f"{name}/real_logits"] = Loss(real_logits)
        metrics[f"{name}/fake_logits"] = Loss(fake_logits)
        for penalty in plan.penalties:
            drawn = tag.fold(penalty.name)
            disc_fn = functools.partial(plan.logits, name, variables, drawn)
            values = penalty.function(disc_fn, images, fakes[name], drawn)
            losses[f"{penalty.name}/{name}"] = Loss(values)
    for task in plan.tasks:
        owner = plan.owner(task)
        see = functools.partial(plan.see, owner)
        played, variables = tasks_lib.play(task, see, known[owner], variables, batch, context)
        losses[task.name] = played.loss
        if played.accuracy is not None:
            metrics[f"{task.name}_accuracy"] = played.accuracy
    if related:
        heads = [variables.of(group)["params"] for group in plan.heads]
        columns = [jnp.concatenate([x.ravel() for x in jax.tree.leaves(h)]) for h in heads]
        losses["relation"] = Loss(jnp.square(trace_norm(jnp.stack(columns, axis=1))))
    return Outcome(losses, variables, metrics)


def _gen_losses(plan: Plan, reconstructs: bool, variables, batch, context) -> Outcome:
    fakes, variables = plan.make(variables, plan.counts(batch), context.fold("generate"))
    losses = {}
    for adversary in plan.adversaries:
        name, tag = adversary.name, context.fold(adversary.name)
        fake, variables = plan.see(name, variables, fakes[name], tag.fold("fake"))
        fake_logits, variables = plan.judge(name, variables, fake, tag.fold("f"))
        real, _ = plan.see(name, variables, batch[adversary.source], tag.fold("real"))
        real_logits, _ = plan.judge(name, variables, real, tag.fold("r"))
        losses[name] = Loss(plan.adversarial.gen(real_logits, fake_logits))
        for task in plan.tasks:
            if task.fake_weight and plan.owner(task) == name:
                see = functools.partial(plan.see, name)
                losses[task.name] = tasks_lib.fake_task(
                    task, see, variables, fakes[name], fake, None, context
                )
        if reconstructs:
            assert plan.players.encoder is not None
            images, tag = batch[adversary.source], tag.fold("reconstruction")
            z, variables = variables.apply(plan.players.encoder, "enc", images, context=tag)
            made, variables = plan.draw(name, variables, z, tag)
            errors = jnp.square(made - images).mean(axis=tuple(range(1, images.ndim)))
            losses[f"reconstruction/{name}"] = Loss(errors)
    return Outcome(losses, variables)


def _disc_rows(plan: Plan, relation: Coefficient) -> dict[str, Objective]:
    rows: dict[str, Objective] = {}
    for adversary in plan.adversaries:
        judged = plan.judged_by(adversary.name)
        rows[adversary.name] = Objective(dict.fromkeys(judged, adversary.alpha), signed=True)
        for p in plan.penalties:
            entries = dict.fromkeys(judged, p.weight)
            rows[f"{p.name}/{adversary.name}"] = Objective(entries, p.every, penalty=True)
    for task in plan.tasks:
        trunk = plan.trunk_of(plan.owner(task))
        rows[task.name] = Objective({trunk: task.weight, task.group: task.weight})
    if relation:
        rows["relation"] = Objective(dict.fromkeys(plan.heads, relation), penalty=True)
    return rows


def _gen_rows(plan: Plan, reconstruction: Coefficient) -> dict[str, Objective]:
    rows = {
        a.name: Objective(dict.fromkeys(plan.made_by(a.name), a.alpha), signed=True)
        for a in plan.adversaries
    }
    for task in plan.tasks:
        if task.fake_weight:
            made = plan.made_by(plan.owner(task))
            rows[task.name] = Objective(dict.fromkeys(made, task.fake_weight))
    if reconstruction:
        for a in plan.adversaries:
            entries = dict.fromkeys((*plan.made_by(a.name), "enc"), reconstruction)
            rows[f"reconstruction/{a.name}"] = Objective(entries)
    return rows


def _sample(plan: Plan, variables: Variables, n: int, labels, context: Context) -> Array:
    made, _ = plan.make(variables, {a.name: n for a in plan.adversaries}, context)
    if plan.kinds == 1:
        return made[plan.adversaries[0].name]
    labels = jnp.arange(n) % len(plan.adversaries) if labels is None else labels
    every = jnp.stack([made[a.name] for a in plan.adversaries])
    chosen = jnp.reshape(labels, (1, n, *[1] * (every.ndim - 2)))
    return jnp.take_along_axis(every, chosen, axis=0)[0]


def _predictions(plan: Plan) -> dict[str, Callable]:
    def features(name, variables, images, context):
        return plan.see(name, variables, images, context.fold("real"))[0]

    def disc(name, variables, images, context):
        return plan.logits(name, variables, context, images)

    names = [adversary.name for adversary in plan.adversaries]
    predict: dict[str, Callable] = {f"disc/{name}": functools.partial(disc, name) for name in names}
    if plan.players.trunk is not None:
        predict |= {f"features/{name}": functools.partial(features, name) for name in names}
    for task in plan.tasks:
        see = functools.partial(plan.see, plan.owner(task))
        predict[task.name] = tasks_lib.predictions((task,), see)[task.name]
    return predict
