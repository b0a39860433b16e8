r"""Images from label maps: what `oasis` and `pix2pix` have in common, and tasks beside them.

    turn   objective                  gen  disc  trunk  heads/segmentation
    disc   adversarial                  .     1      .                   .
    gen    adversarial                  1     .      .                   .
    gen    segmentation (fake_weight)   w     .      .                   .
    tasks  segmentation                 .     .      1                   1
    tasks  segmentation_fake            .     .      v                   v

The generator's images are judged by a discriminator, and by the heads of tasks against the very
targets that the label map came with. The tasks' networks are moved in their own turn only: by real
pairs, and by synthetic ones (v, a number or a `Schedule`), images that the generator makes of the
labelled scenes' maps or of maps composed anew. Without an optimizer of their own they are frozen.
Synthetic images are normalised by their own moments, and running averages are those of real images
alone, since these are what the tasks are asked about in the end.

Feeding synthetic pairs back as training data of several tasks is the idea of Bao, Li, et al.,
"Generative Modeling for Multi-task Visual Learning", ICML 2022, arXiv 2106.13409 (MGM); networks
and losses are not theirs.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from gan_mtl.games import tasks as tasks_lib
from gan_mtl.games.map_players import (
    Made,
    MapOptimizers,
    MapPlan,
    Side,
    Weightings,
    check,
    visible,
)
from gan_mtl.games.tasks import Task
from gan_mtl.types import (
    MEMORY,
    Array,
    Batch,
    Context,
    Game,
    Loss,
    Objective,
    Outcome,
    Turn,
    Variables,
    starting,
)

LAYOUTS = "layouts"  # the label maps of the first batch, in the state of `gen`


def build(
    plan: MapPlan,
    sides: tuple[Side, Side],
    rows: tuple[Mapping[str, Objective], Mapping[str, Objective]],
    optimizers: MapOptimizers,
    weightings: Weightings,
    ema: Mapping[str, float] | None,
    needs: tuple[str, ...] = (),
) -> Game:
    """The game of a plan.

    Args:
        sides: the adversarial losses of the discriminator's and of the generator's turn.
        rows: their objectives.
        needs: further batch entries.
    """
    check(plan, optimizers)
    teaching = {t.name: Objective({"gen": t.fake_weight}) for t in plan.tasks if t.fake_weight}
    turns = [
        Turn(
            "disc",
            functools.partial(_disc_losses, plan, sides[0]),
            rows[0],
            optimizers.disc,
            weightings[0],
        ),
        Turn(
            "gen",
            functools.partial(_gen_losses, plan, sides[1]),
            {**rows[1], **teaching},
            optimizers.gen,
            weightings[1],
        ),
    ]
    if plan.tasks and optimizers.tasks is not None:
        losses = functools.partial(_task_losses, plan)
        turns.append(Turn("tasks", losses, _task_table(plan), optimizers.tasks, weightings[2]))
    frozen = ("trunk", *dict.fromkeys(t.group for t in plan.tasks)) if plan.tasks else ()
    return Game(
        functools.partial(_init, plan, (*rows[0], *rows[1]), needs),
        tuple(turns),
        ema=ema or {},
        sample=functools.partial(_sample, plan),
        latents=None if plan.latents is None else functools.partial(_latents, plan),
        generate=None if plan.latents is None else functools.partial(_generate, plan),
        predict=tasks_lib.predictions(plan.tasks, plan.see) if plan.tasks else {},
        frozen=frozen if optimizers.tasks is None else (),
    )


def _init(plan: MapPlan, names: tuple[str, ...], needs: tuple[str, ...], key, batch: Batch):
    tasks_lib.check_tasks(plan.tasks, batch, *dict.fromkeys(names))
    for entry in (plan.source, plan.targets, *needs):
        if entry not in batch:
            raise ValueError(
                f"The game needs the batch entry {entry!r}; the batch has {sorted(batch)}. Label "
                "maps are the target 'mask' of the data; entries with 'labelled_' are there where "
                "labelled_batch_size is set."
            )
    images, mask = batch[plan.source], jnp.asarray(batch[plan.targets])
    context = Context(jax.random.fold_in(key, 1), jnp.zeros((), jnp.int32))
    keys = jax.random.split(key, 4)
    z = plan.draw(len(mask), context).astype(images.dtype)
    maps = plan.one_hot(mask, images.dtype)
    layouts = {MEMORY + LAYOUTS: mask}
    groups = {"gen": {**plan.players.gen.init(keys[0], z, maps), **layouts}}
    made = jax.eval_shape(lambda: plan.make(starting(groups), mask, context)[0])
    if made.shape != images.shape:
        raise ValueError(
            f"The generator makes images of shape {made.shape[1:]}, the data has "
            f"{images.shape[1:]}: give the generator the data's size and channels."
        )
    judged = (images, maps) if plan.conditional else (images,)
    groups["disc"] = plan.players.disc.init(keys[1], *judged)
    if plan.tasks:
        assert plan.players.trunk is not None
        groups["trunk"] = plan.players.trunk.init(keys[2], images)
        hidden, _ = plan.see(starting(groups), images, context)
        groups.update(tasks_lib.init_heads(plan.tasks, keys[3], hidden))
    return groups


def _made(plan: MapPlan, variables: Variables, batch: Batch, context: Context):
    """What both players look at, and the variables after the generator."""
    mask = batch[plan.targets]
    fake, variables = plan.make(variables, mask, context.fold("generate"))
    seen = visible(mask).astype(fake.dtype)
    return Made(batch[plan.source], fake, mask, seen, batch), variables


def _disc_losses(plan: MapPlan, side: Side, variables, batch, context) -> Outcome:
    made, variables = _made(plan, variables, batch, context)
    made = made._replace(fake=jax.lax.stop_gradient(made.fake))
    return Outcome(*side(plan, made, variables, context))


def _gen_losses(plan: MapPlan, side: Side, variables, batch, context) -> Outcome:
    made, variables = _made(plan, variables, batch, context)
    losses, variables = side(plan, made, variables, context)
    tasks = tuple(task for task in plan.tasks if task.fake_weight)
    pairs = {**batch, plan.source: made.fake}
    taught, _ = _judged(plan, tasks, variables, pairs, context.fold("tasks"))
    return Outcome({**losses, **taught}, variables)


def _task_losses(plan: MapPlan, variables, batch, context) -> Outcome:
    losses, metrics, known = {}, {}, {}
    for task in plan.tasks:
        played, variables = tasks_lib.play(task, plan.see, known, variables, batch, context)
        losses[task.name] = played.loss
        if played.accuracy is not None:
            metrics[f"{task.name}_accuracy"] = played.accuracy
    if plan.synthetic is not None:
        context = context.fold("synthetic")
        pairs = {**batch, **_composed(plan, batch, context)}
        fakes, _ = plan.make(variables, pairs[plan.targets], context.fold("generate"))
        pairs[plan.source] = jax.lax.stop_gradient(fakes)
        found, _ = _judged(plan, plan.on_fakes(), variables, pairs, context)
        losses |= {f"{name}_fake": loss for name, loss in found.items()}
    return Outcome(losses, variables, metrics)


def _judged(plan: MapPlan, tasks: tuple[Task, ...], variables, pairs, context):
    """The tasks' losses on generated pairs; those of maps that say nothing are masked."""
    shown, losses, known = visible(pairs[plan.targets]), {}, {}
    for task in tasks:
        played, variables = tasks_lib.play(task, plan.see, known, variables, pairs, context)
        values, mask = played.loss
        seen = shown.astype(values.dtype)
        losses[task.name] = Loss(values, seen if mask is None else seen * mask)
    return losses, variables


def _composed(plan: MapPlan, batch: Batch, context: Context) -> dict[str, Array]:
    """Label maps with their targets, by their entries of the batch."""
    entries = {plan.targets, *(task.targets for task in plan.on_fakes())}
    pairs = {e: jnp.asarray(batch[e]) for e in sorted(filter(None, entries)) if e != plan.source}
    assert plan.synthetic is not None
    if plan.synthetic.compose is None:
        return pairs
    plain = {entry.removeprefix(plan.prefix): x for entry, x in pairs.items()}
    found = plan.synthetic.compose(plain, context.fold("compose"))
    return {entry: found[entry.removeprefix(plan.prefix)] for entry in pairs}


def _task_table(plan: MapPlan) -> dict[str, Objective]:
    rows = {t.name: Objective(dict.fromkeys(("trunk", t.group), t.weight)) for t in plan.tasks}
    if plan.synthetic is not None:
        weight = plan.synthetic.weight
        for task in plan.on_fakes():
            entries = dict.fromkeys(("trunk", task.group), weight)
            rows[f"{task.name}_fake"] = Objective(entries)
    return rows


def _latents(plan: MapPlan, n: int, context: Context) -> Array:
    return plan.draw(n, context.fold("latents"))


def _sample(plan: MapPlan, variables: Variables, n: int, labels, context: Context) -> Array:
    return _generate(plan, variables, _latents(plan, n, context), labels, context)


def _generate(plan: MapPlan, variables: Variables, z: Array, labels, context: Context) -> Array:
    """Images of the label maps [n, h, w] asked for, or of those of the first batch in turn."""
    if labels is None:
        kept = variables.recall("gen", LAYOUTS)
        labels = kept[jnp.arange(z.shape[0]) % len(kept)]
    if labels.ndim != 3 or len(labels) != z.shape[0]:
        raise ValueError(
            f"labels of shape {labels.shape} for {z.shape[0]} images: this generator is asked for "
            "label maps, integers of shape [n, h, w]; None takes those of the first batch."
        )
    return plan.paint(variables, z, labels, context)[0]
