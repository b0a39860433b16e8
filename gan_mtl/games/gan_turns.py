"""What both turns of `gan` do: one forward pass each, and every objective from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import optax

from gan_mtl.games import tasks as tasks_lib
from gan_mtl.games.players import Latents, Players, ask, discriminate, features, synthesise
from gan_mtl.games.scenes import (
    Augment,
    Contrast,
    Controlled,
    Information,
    Row,
    Scene,
    Unroll,
    pack,
    unpack,
)
from gan_mtl.games.tasks import Task
from gan_mtl.losses.adversarial import AdversarialLoss
from gan_mtl.losses.conditional import multi_hinge_disc, multi_hinge_gen
from gan_mtl.losses.latent import unroll
from gan_mtl.types import (
    Array,
    Batch,
    Coefficient,
    Context,
    Loss,
    Objective,
    Optimizer,
    Outcome,
    Variables,
    batch_statistic,
)

AUGMENT, ADVERSARIAL = "augment", "adversarial"  # whose memories stand in the trunk's state


class Plan(NamedTuple):
    """What the functions of both turns have in common."""

    players: Players
    latents: Latents
    adversarial: AdversarialLoss | Controlled
    tasks: tuple[Task, ...]
    num_classes: int | None
    projected: bool
    multi_hinge: bool
    fakes_in_disc: bool
    disc_rows: tuple[Row, ...]
    gen_rows: tuple[Row, ...]
    augment: Augment | None
    pack: int
    top_k: Callable[[Array, Context], Array] | None
    move_latents: Callable[..., Array] | None
    unroll: Unroll | None
    information: Information | None
    contrast: Contrast | None

    def make(self, variables: Variables, z: Array, wanted: Array | None, context: Context):
        """Images of these latents."""
        return synthesise(self.players, self.num_classes, variables, z, wanted, context)

    def see(self, variables: Variables, images: Array, context: Context):
        """The trunk's features of images as they are."""
        return features(self.players, variables, images, context)

    def augmented(self, variables: Variables, images: Array, context: Context) -> Array:
        """Images as the discriminator is shown them."""
        if self.augment is None:
            return images
        memory = ()
        if self.augment.memory is not None:
            memory = (variables.recall("trunk", AUGMENT),)
        each = self.augment.function(unpack(images, self.pack), context.fold(AUGMENT), *memory)
        return pack(each, self.pack)

    def look(self, variables: Variables, images: Array, context: Context):
        """The trunk's features of images, augmented if the game augments."""
        return self.see(variables, self.augmented(variables, images, context), context)

    def plain(self, variables: Variables, images: Array, hidden: Array, context: Context):
        """The trunk's features of images that tasks see: as they are, like those of the reals.

        Args:
            hidden: of the same images, augmented if the game augments.
        """
        return (hidden, variables) if self.augment is None else self.see(variables, images, context)

    def judge(self, variables: Variables, hidden: Array, labels: Array | None, context: Context):
        """Logits [n]; without `disc` the features are the logits."""
        if self.players.disc is None:
            return hidden, variables
        return discriminate(self.players, self.projected, variables, hidden, labels, context)

    def reality(self, outputs: Array) -> Array:
        """The logit of "real" [n], out of all that the discriminator says."""
        if self.multi_hinge:
            return outputs[:, :-1].max(axis=1) - outputs[:, -1]
        if self.adversarial.reads == "pixels":
            return outputs[:, 0]
        return -outputs if self.adversarial.reads == "energies" else outputs

    def play(
        self,
        side: Literal["disc", "gen"],
        outputs: tuple[Array, Array],
        labels: Any,
        variables: Variables,
        context: Context,
    ) -> Array:
        """One side of the adversarial loss, per example.

        Args:
            outputs: the discriminator's of reals and of fakes.
            labels: of the reals in the discriminator's turn, of the fakes in the generator's.
        """
        if self.multi_hinge and side == "disc":
            return multi_hinge_disc(outputs[0], labels, outputs[1])
        if self.multi_hinge:
            return multi_hinge_gen(outputs[1], labels)
        pair = self.adversarial
        if isinstance(pair, Controlled):
            found = pair.at(variables.recall("trunk", ADVERSARIAL))
            values = (found.disc if side == "disc" else found.gen)(*outputs)
            return batch_statistic("adversarial", values)  # part of a batch would steer it
        player = pair.disc if side == "disc" else pair.gen
        if not pair.batch_statistic:
            return player(*outputs)
        return batch_statistic("adversarial", player(*outputs, axis_name=context.axis_name))


class Drawn(NamedTuple):
    """What the generator was asked for, and with which latents."""

    z: Array
    wanted: Any
    codes: Any


def draw_latents(plan: Plan, n: int, context: Context) -> Array:
    """Latents [n, dim], the code last."""
    z = plan.latents.draw(n, context)
    if plan.information is None:
        return z
    code = plan.information.code
    return z.at[:, -code.width :].set(code.draw(n, context.fold("code")))


def draw(plan: Plan, variables: Variables, n: int, context: Context) -> Drawn:
    """Latents, moved if the game moves latents, and labels, if any."""
    wanted = ask(plan.num_classes, n, context)
    context = context.fold("generate")
    z, codes = draw_latents(plan, n, context.fold("latents")), None
    if plan.information is not None:
        codes = z[:, -plan.information.code.width :]
    if plan.move_latents is not None:

        def value(z: Array) -> Array:
            made, at = plan.make(variables, z, wanted, context)
            hidden, at = plan.look(at, pack(made, plan.pack), context)
            return plan.reality(plan.judge(at, hidden, wanted, context)[0])

        moved = plan.move_latents(value, z)
        z = moved if codes is None else moved.at[:, -codes.shape[1] :].set(codes)
    return Drawn(z, wanted, codes)


def disc_losses(plan: Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    """The discriminator's turn."""
    images = batch["images"]
    drawn = draw(plan, variables, images.shape[0], context)
    fakes, variables = plan.make(variables, drawn.z, drawn.wanted, context.fold("generate"))
    if plan.move_latents is None:  # moved latents are functions of the discriminator
        fakes = jax.lax.stop_gradient(fakes)
    fakes, reals = pack(fakes, plan.pack), pack(images, plan.pack)
    real, variables = plan.look(variables, reals, context.fold("real"))
    fake, variables = plan.look(variables, fakes, context.fold("fake"))
    labels = batch["labels"] if plan.projected else None
    real_outputs, variables = plan.judge(variables, real, labels, context.fold("r"))
    fake_outputs, variables = plan.judge(variables, fake, drawn.wanted, context.fold("f"))
    outputs = (real_outputs, fake_outputs)
    real_logits, fake_logits = map(plan.reality, outputs)
    against = plan.play("disc", outputs, batch.get("labels"), variables, context)
    if plan.augment is not None and plan.augment.update is not None:
        against = batch_statistic(AUGMENT, against)  # part of a batch would steer it
    losses = {"adversarial": Loss(against)}
    metrics = {
        "real_logits": Loss(real_logits),
        "fake_logits": Loss(fake_logits),
    }
    known = {} if plan.augment else {"images": real}
    for task in plan.tasks:
        played, variables = tasks_lib.play(task, plan.see, known, variables, batch, context)
        losses[task.name] = played.loss
        if plan.fakes_in_disc and task.name == "class":
            tag = context.fold("fake class")
            plain, variables = plan.plain(variables, fakes, fake, tag)
            classes, variables = variables.apply(task.head, task.group, plain, context=tag)
            losses["class_fake"] = tasks_lib.as_loss(task.loss(classes, drawn.wanted))
        if played.accuracy is not None:
            metrics[f"{task.name}_accuracy"] = played.accuracy
    losses |= _informed(plan, variables, fake, drawn, context)
    if plan.contrast is not None:
        losses["contrast"] = _contrast(plan, variables, real, batch["labels"], context)
    shown = _scene(plan, variables, (reals, fakes), (real, fake), outputs, drawn, labels)
    for row in plan.disc_rows:
        scene = shown(context.fold(row.name))
        values, variables = row.play(scene, variables, "trunk", context)
        losses[row.name] = Loss(values)
    if plan.augment is not None and plan.augment.update is not None:
        memory = plan.augment.update(variables.recall("trunk", AUGMENT), real_logits, context)
        variables = variables.remember("trunk", AUGMENT, jax.lax.stop_gradient(memory))
    if isinstance(plan.adversarial, Controlled):
        memory = variables.recall("trunk", ADVERSARIAL)
        memory = plan.adversarial.update(memory, *outputs, context)
        variables = variables.remember("trunk", ADVERSARIAL, jax.lax.stop_gradient(memory))
    return Outcome(losses, variables, metrics)


def gen_losses(plan: Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    """The generator's turn."""
    images = batch["images"]
    drawn = draw(plan, variables, images.shape[0], context)
    made, variables = plan.make(variables, drawn.z, drawn.wanted, context.fold("generate"))
    fakes, reals = pack(made, plan.pack), pack(images, plan.pack)
    labels = batch["labels"] if plan.projected else None
    if plan.unroll is not None:
        variables = _ahead(plan, variables, (reals, fakes), drawn, batch.get("labels"), context)
    fake, variables = plan.look(variables, fakes, context.fold("fake"))
    fake_outputs, variables = plan.judge(variables, fake, drawn.wanted, context.fold("f"))
    real, _ = plan.look(variables, reals, context.fold("real"))  # dead code in most games
    real_outputs, _ = plan.judge(variables, real, labels, context.fold("r"))
    outputs = (real_outputs, fake_outputs)
    if plan.unroll is not None and plan.unroll.saddle:
        values = -plan.play("disc", outputs, batch.get("labels"), variables, context)
    else:
        values = plan.play("gen", outputs, drawn.wanted, variables, context)
    mask = None if plan.top_k is None else plan.top_k(plan.reality(fake_outputs), context)
    losses = {"adversarial": Loss(values, mask)}
    for task in plan.tasks:
        if task.fake_weight:
            plain, _ = plan.plain(variables, fakes, fake, context.fold("fake class"))
            losses[task.name] = tasks_lib.fake_task(
                task, plan.see, variables, fakes, plain, drawn.wanted, context
            )
    losses |= _informed(plan, variables, fake, drawn, context)
    if plan.contrast is not None:
        losses["contrast"] = _contrast(plan, variables, fake, drawn.wanted, context)
    shown = _scene(plan, variables, (reals, fakes), (real, fake), outputs, drawn, labels)
    for row in plan.gen_rows:
        values, variables = row.play(shown(context.fold(row.name)), variables, "gen", context)
        losses[row.name] = Loss(values)
    return Outcome(losses, variables)


def _scene(plan: Plan, variables: Variables, images, hidden, outputs, drawn: Drawn, labels):
    """`(context of a row) -> Scene`."""

    def judged(x: Array, labels: Array | None, context: Context) -> Array:
        found, at = plan.look(variables, x, context)
        return plan.judge(at, found, labels, context)[0]

    def shown(context: Context) -> Scene:
        def make(z: Array) -> Array:
            return pack(plan.make(variables, z, drawn.wanted, context)[0], plan.pack)

        return Scene(
            *images,
            *map(plan.reality, outputs),
            *outputs,
            *hidden,
            latents=drawn.z,
            disc=lambda x: plan.reality(judged(x, labels, context)),
            disc_fake=lambda x: plan.reality(judged(x, drawn.wanted, context)),
            outputs=lambda x: judged(x, labels, context),
            features=lambda x: plan.see(variables, x, context)[0],
            make=make,
            draw=lambda tag: draw_latents(plan, drawn.z.shape[0], context.fold(tag)),
            variables=variables,
        )

    return shown


def _informed(plan: Plan, variables: Variables, fake: Array, drawn: Drawn, context: Context):
    if plan.information is None:
        return {}
    _, head, loss, _ = plan.information
    outputs, _ = variables.apply(head, "heads/code", fake, context=context.fold("code"))
    return {"information": Loss(loss(outputs, drawn.codes, plan.information.code))}


def _contrast(plan: Plan, variables: Variables, hidden: Array, labels: Any, context: Context):
    assert plan.contrast is not None
    pair, _ = variables.apply(
        plan.contrast.head, "heads/contrast", hidden, labels, context=context.fold("contrast")
    )
    values = plan.contrast.loss(*pair, labels, axis_name=context.axis_name)
    return Loss(batch_statistic("contrast", values))


def _ahead(plan: Plan, variables: Variables, images, drawn: Drawn, labels, context: Context):
    """The variables after discriminator steps on this batch, as functions of the generator's."""
    assert plan.unroll is not None
    reals, fakes = images
    given = labels if plan.projected else None
    judges = ("trunk",) if plan.players.disc is None else ("trunk", "disc")
    moving = {name: variables.params[name] for name in judges}

    def loss(params: dict[str, Any]) -> Array:
        at = variables._replace(params={**variables.params, **params})
        real, at = plan.look(at, reals, context.fold("real"))
        fake, at = plan.look(at, fakes, context.fold("fake"))
        real_logits, at = plan.judge(at, real, given, context.fold("r"))
        fake_logits, _ = plan.judge(at, fake, drawn.wanted, context.fold("f"))
        outputs = (real_logits, fake_logits)
        values = plan.play("disc", outputs, labels, variables, context)
        return batch_statistic("unrolled", values).mean()

    optimizer = plan.unroll.optimizer
    if context.axis_name is not None:
        optimizer = optax.chain(_over_devices(context.axis_name), optimizer)
    moved: dict[str, Any] = unroll(loss, moving, optimizer, plan.unroll.steps)  # pyright: ignore
    return variables._replace(params={**variables.params, **moved})


def _over_devices(axis_name: str) -> Optimizer:
    """The mean of the devices' gradients (the gradient of a mean would be each device's own)."""
    return optax.stateless(lambda grads, params: jax.lax.pmean(grads, axis_name))


def row(entries: set[str], weight: Coefficient, every: int = 1) -> Objective:
    """A row with one coefficient for all its groups."""
    return Objective(dict.fromkeys(sorted(entries), weight), every)


def disc_table(plan: Plan, judged: set[str], seen: set[str]) -> dict[str, Objective]:
    """The discriminator's rows.

    Args:
        judged: groups between images and logits.
        seen: groups between images and the features that heads take.
    """
    rows = {"adversarial": row(judged, 1.0)._replace(signed=True)}
    for task in plan.tasks:
        rows[task.name] = row({*seen, task.group}, task.weight)
        if plan.fakes_in_disc and task.name == "class":
            rows["class_fake"] = rows["class"]
    if plan.information is not None:
        rows["information"] = row({*seen, "heads/code"}, plan.information.weight)
    if plan.contrast is not None:
        rows["contrast"] = row({*seen, "heads/contrast"}, plan.contrast.weight)
    rows.update({r.name: row(judged, r.weight, r.every) for r in plan.disc_rows})
    return rows


def gen_table(plan: Plan, made: set[str]) -> dict[str, Objective]:
    """The generator's rows; `made` are the groups between latents and images."""
    rows = {"adversarial": row(made, 1.0)._replace(signed=True)}
    rows.update({t.name: row(made, t.fake_weight) for t in plan.tasks if t.fake_weight})
    if plan.information is not None:
        rows["information"] = row(made, plan.information.weight)
    if plan.contrast is not None:
        rows["contrast"] = row(made, plan.contrast.fake_weight)
    rows.update({r.name: row(made, r.weight, r.every) for r in plan.gen_rows})
    return rows
