"""Task heads on a trunk: what a head is asked, and about which examples."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_mtl import draws
from gan_mtl.losses.semi_supervised import entropy
from gan_mtl.losses.tasks import HIDDEN, binary_cross_entropy, cross_entropy
from gan_mtl.types import Batch, Coefficient, Context, Loss, Network, Variables

LABELLED = "labelled_"  # begins the entries of examples that are drawn among the labelled ones
LossFn = Callable[[Array, Array], Array | Loss]
Transform = Callable[[Array, Context], tuple[Array, Array]]


class Task(NamedTuple):
    """One head on the shared trunk; its group is `heads/<name>`, its objective `<name>`.

    head: features to outputs.
    loss: `(outputs, targets) -> [n]`, or a `Loss` whose mask says what each example counts (maps
        of classes with ignored pixels).
    source: the batch entry that holds its images.
    targets: the batch entry that holds its targets; None where `transform` makes them. Integers of
        -1 are hidden and masked, as are floats of -1 under `binary_cross_entropy`; other losses of
        floats take every target as it is.
    transform: `(images, context) -> (images, targets)`, for self-supervision.
    augment: `(images, context) -> images`, in training, before everything else.
    weight: the objective's coefficient in trunk and head.
    fake_weight: where not 0 the generator plays the task too, and this is its coefficient there:
        with the labels that it was asked for, or with `transform` of its images.
    classifies: whether outputs are logits of integer targets, so that an accuracy is reported: one
        logit per class, or of the shape of targets in 0 and 1, where above 0 means 1.
    asks: the name of another task whose head this one asks; it has none of its own then.
    """

    name: str
    head: Network
    loss: LossFn = cross_entropy
    source: str = "images"
    targets: str | None = "labels"
    transform: Transform | None = None
    augment: Callable[[Array, Context], Array] | None = None
    weight: Coefficient = 1.0
    fake_weight: Coefficient = 0.0
    classifies: bool = True
    asks: str | None = None

    @property
    def group(self) -> str:
        """The parameter group of the head."""
        return f"heads/{self.asks or self.name}"


def class_task(head: Network, *, labelled: bool = True, name: str = "class", **options) -> Task:
    """Classification of the images whose labels are visible.

    Args:
        labelled: take `labelled_images` and `labelled_labels` (few labels, drawn apart); else
            `images` with `labels`, where -1 is masked.
    """
    prefix = LABELLED if labelled else ""
    return Task(name, head, source=prefix + "images", targets=prefix + "labels", **options)


def labelled(task: Task) -> Task:
    """The task on the examples with a visible label: entries with `labelled_` before their name."""
    targets = task.targets and LABELLED + task.targets
    return task._replace(source=LABELLED + task.source, targets=targets)


def rotate(
    images: Float[Array, "n h w c"], context: Context
) -> tuple[Float[Array, "n h w c"], Int[Array, " n"]]:
    """Turns every image by 0, 90, 180 or 270 degrees, drawn per example: images and class 0 .. 3.

    Raises:
        ValueError: if the images are not square.
    """
    if images.ndim != 4 or images.shape[1] != images.shape[2]:
        raise ValueError(
            f"Rotation takes square images [n, side, side, c], got {images.shape}: crop or resize "
            "them, or drop the rotation task."
        )
    turns = draws.integers(images.shape[0], 4, context.fold("rotation"))
    turned = jnp.stack([jnp.rot90(images, k, axes=(1, 2)) for k in range(4)])
    chosen = jnp.take_along_axis(turned, turns[None, :, None, None, None], axis=0)[0]
    return chosen, turns


def rotation_task(head: Network, *, weight: Coefficient = 1.0, **options) -> Task:
    """Self-supervision by rotation: which of four quarter turns? The head has four outputs.

    Chen et al., "Self-Supervised GANs via Auxiliary Rotation Loss", CVPR 2019: there every image of
    a part of the batch is shown in all four positions, here every image in one drawn position.
    """
    return Task("rotation", head, targets=None, transform=rotate, weight=weight, **options)


def entropy_task(asked: Task, *, weight: Coefficient = 1.0) -> Task:
    """Entropy minimisation: the head of `asked` shall be sure of the class of every image.

    Grandvalet & Bengio, "Semi-supervised Learning by Entropy Minimization", NeurIPS 2004.
    """
    return Task(
        "entropy",
        asked.head,
        loss=_entropy_of,
        targets=None,
        weight=weight,
        classifies=False,
        asks=asked.name,
    )


def _entropy_of(logits: Array, _: Array) -> Array:
    return entropy(logits)


def shift(
    images: Float[Array, "n h w c"], context: Context, *, pixels: int = 1, fill: float = -1.0
) -> Float[Array, "n h w c"]:
    """Moves every image by up to `pixels` along both axes, drawn per example; `fill` comes in."""
    n, h, w, c = images.shape
    margin = ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0))
    padded = jnp.pad(images, margin, constant_values=fill)
    places = draws.integers(n, (2 * pixels + 1) ** 2, context.fold("shift"))
    rows, columns = jnp.divmod(places, 2 * pixels + 1)

    def crop(image, row, column):
        return jax.lax.dynamic_slice(image, (row, column, 0), (h, w, c))

    return jax.vmap(crop)(padded, rows, columns)


def common_source(tasks: tuple[Task, ...]) -> str | None:
    """The batch entry whose images all tasks look at as they are; None if there is no such one."""
    sources = {task.source for task in tasks}
    return None if any(map(changes, tasks)) or len(sources) > 1 else sources.pop()


def changes(task: Task) -> bool:
    """Whether the task looks at the images of its source in a changed form."""
    return task.transform is not None or task.augment is not None


class Played(NamedTuple):
    """A task's loss and accuracy over a batch, and what its head said."""

    loss: Loss
    accuracy: Loss | None
    outputs: Array | None = None


def play(
    task: Task,
    features: Callable[[Variables, Array, Context], tuple[Array, Variables]],
    known: dict[str, Array],
    variables: Variables,
    batch: Batch,
    context: Context,
) -> tuple[Played, Variables]:
    """Asks the head about its examples.

    Args:
        features: the trunk, `(variables, images, context) -> (features, variables)`.
        known: features that this pass has already, by batch entry; used where nothing is
            transformed, and extended.
    """
    context = context.fold(task.name)
    images = batch[task.source]
    targets = batch[task.targets] if task.targets else images
    changed = changes(task)
    if task.augment is not None:
        images = task.augment(images, context.fold("augment"))
    if task.transform is not None:
        images, targets = task.transform(images, context)
    if changed or task.source not in known:
        hidden, variables = features(variables, images, context.fold("trunk"))
        if not changed:
            known[task.source] = hidden
    else:
        hidden = known[task.source]
    outputs, variables = variables.apply(task.head, task.group, hidden, context=context)
    return judge(task, outputs, targets)._replace(outputs=outputs), variables


def judge(task: Task, outputs: Array, targets: Array) -> Played:
    """Loss and accuracy of a head's outputs; hidden targets (-1) are masked.

    Where an example has several targets (labels of [n, k], maps of classes) it is masked if all of
    them are hidden, and its accuracy is the part of its visible ones that is right.

    Raises:
        ValueError: for outputs that are logits of no targets of this shape.
    """
    values = task.loss(outputs, targets)
    if isinstance(values, Loss):
        return Played(values, None)
    if (task.targets is None and task.transform is None) or not _can_hide(task, targets):
        return Played(Loss(values), None)
    visible = targets != HIDDEN
    axes = tuple(range(1, targets.ndim))
    mask = visible.any(axis=axes).astype(values.dtype)
    if not (task.classifies and jnp.issubdtype(targets.dtype, jnp.integer)):
        return Played(Loss(values, mask), None)
    if outputs.shape == targets.shape:
        right = (outputs > 0) == (targets > 0)
    elif outputs.shape[:-1] == targets.shape:
        right = outputs.argmax(axis=-1) == targets
    else:
        raise ValueError(
            f"Task {task.name!r} classifies, but outputs of shape {outputs.shape} are no logits of "
            f"targets of shape {targets.shape}: give one logit per class, shape "
            f"{(*targets.shape, 'k')}, or per target of 0 and 1; or set classifies=False."
        )
    right = (right & visible).sum(axis=axes) / jnp.maximum(visible.sum(axis=axes), 1)
    return Played(Loss(values, mask), Loss(right.astype(values.dtype), mask))


def _can_hide(task: Task, targets: Array) -> bool:
    """Whether a target of -1 says "hidden" to the task's loss, not a number like any other."""
    loss = task.loss
    while isinstance(loss, functools.partial):
        loss = loss.func
    return jnp.issubdtype(targets.dtype, jnp.integer) or loss is binary_cross_entropy


def fake_task(
    task: Task,
    features: Callable[[Variables, Array, Context], tuple[Array, Variables]],
    variables: Variables,
    fakes: Array,
    fake: Array,
    wanted: Int[Array, " n"] | None,
    context: Context,
) -> Loss:
    """The generator's row of a task, per example: its fakes, classified as asked or transformed.

    Args:
        features: the trunk, as for `play`.
        fakes, fake: generated images and their features.
        wanted: the classes that the generator was asked for.
    """
    context, targets = context.fold(task.name), wanted
    if task.transform is not None:
        fakes, targets = task.transform(fakes, context)
        fake, variables = features(variables, fakes, context.fold("trunk"))
    outputs, _ = variables.apply(task.head, task.group, fake, context=context)
    assert targets is not None  # `check_fake_tasks`
    return as_loss(task.loss(outputs, targets))


def as_loss(found: Array | Loss) -> Loss:
    """What a task's loss returned, as a `Loss`."""
    return found if isinstance(found, Loss) else Loss(found)


def check_fake_tasks(tasks: tuple[Task, ...], asked: bool, remedy: str) -> None:
    """Raises ValueError for a task of the generator's whose targets nobody has.

    Args:
        asked: whether the generator is asked for a class.
        remedy: what makes it so.
    """
    for task in tasks:
        if task.fake_weight and task.transform is None and not asked:
            raise ValueError(
                f"Task {task.name!r} has a fake_weight, but an unconditional generator was not "
                f"asked for any target: {remedy}, or fake_weight=0."
            )


def init_heads(
    tasks: tuple[Task, ...], key: jax.Array, hidden: Array | Mapping[str, Array]
) -> dict[str, dict]:
    """The groups of the heads, from features of the right shape, or from those of every task."""
    owners = owning(tasks)
    keys = jax.random.split(key, max(len(owners), 1))
    return {
        t.group: t.head.init(keys[i], hidden[t.name] if isinstance(hidden, Mapping) else hidden)
        for i, t in enumerate(owners)
    }


def owning(tasks: tuple[Task, ...]) -> tuple[Task, ...]:
    """The tasks that have a head of their own."""
    return tuple(task for task in tasks if task.asks is None)


def check_tasks(tasks: tuple[Task, ...], batch: Batch, *others: str) -> None:
    """Raises ValueError for two tasks of one name, or a batch without a task's entries."""
    names = [task.name for task in tasks] + list(others)
    if len(set(names)) < len(names):
        raise ValueError(f"Objectives of one turn need distinct names, got {names}.")
    heads = [task.name for task in owning(tasks)]
    for task in tasks:
        if task.asks is not None and task.asks not in heads:
            raise ValueError(
                f"Task {task.name!r} asks the head of {task.asks!r}, but the heads are {heads}."
            )
        for entry in filter(None, (task.source, task.targets)):
            if entry not in batch:
                raise ValueError(
                    f"Task {task.name!r} needs the batch entry {entry!r}; the batch has "
                    f"{sorted(batch)}. Labels come with the batch where all are visible, as "
                    "'labelled_images' and 'labelled_labels' where labelled_batch_size is set."
                )


def predictions(tasks: tuple[Task, ...], features: Callable) -> dict[str, Callable]:
    """`predict` of a game with these heads: `(variables, images, context) -> outputs` by name."""

    def hidden(variables: Variables, images: Array, context: Context) -> Array:
        return features(variables, images, context.fold("trunk"))[0]

    def predict(task: Task, variables: Variables, images: Array, context: Context) -> Array:
        found = variables.tap(hidden(variables, images, context))
        return variables.apply(task.head, task.group, found, context=context.fold(task.name))[0]

    return {"features": hidden, **{t.name: functools.partial(predict, t) for t in owning(tasks)}}
