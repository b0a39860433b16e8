"""The players of a game from label maps: what they are made of, and how they generate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_mtl.games.players import Latents
from gan_mtl.games.tasks import Task
from gan_mtl.losses.segmentation import IGNORE
from gan_mtl.types import (
    Aggregator,
    Batch,
    Coefficient,
    Context,
    Loss,
    Network,
    Optimizer,
    Schedule,
    Variables,
    Weighting,
)

Masks = Int[Array, "n h w"]


class MapPlayers(NamedTuple):
    """The networks of a game from label maps; which group each is in stands in brackets.

    gen: (`gen`) latents [n, z] and one-hot maps [n, h, w, k] to images [n, h, w, c].
    disc: (`disc`) `oasis`: images to logits [n, h, w, k + 1]; `pix2pix`: images and one-hot maps to
        logits of patches [n, p, q].
    trunk: (`trunk`) images to the features that the heads of tasks take; None without tasks.
    """

    gen: Network
    disc: Network
    trunk: Network | None = None


class MapOptimizers(NamedTuple):
    """One optimizer per turn, or one for every group of it; no `tasks`: their networks rest."""

    gen: Optimizer | Mapping[str, Optimizer]
    disc: Optimizer | Mapping[str, Optimizer]
    tasks: Optimizer | Mapping[str, Optimizer] | None = None


class Synthetic(NamedTuple):
    """Images of the generator as training data of the tasks: a row `<task>_fake` for every task.

    weight: the coefficient of these rows; `from_step` gives one that starts late.
    compose: `(pairs, context) -> pairs`, new label maps with their targets, of those of the batch
        (`layouts.rearranged`); None takes these as they are. Pairs are arrays by the names `mask`,
        `objects`, ...
    """

    weight: Coefficient = 1.0
    compose: Callable[[dict[str, Array], Context], dict[str, Array]] | None = None


Weightings = tuple[
    Weighting | Aggregator | None, Weighting | Aggregator | None, Weighting | Aggregator | None
]
NO_WEIGHTINGS: Weightings = (None, None, None)


class MapPlan(NamedTuple):
    """What the functions of all turns have in common.

    prefix: of the batch entries with labelled examples; empty where all of them are.
    conditional: whether the discriminator sees the label maps.
    """

    players: MapPlayers
    num_classes: int
    latents: Latents | None
    tasks: tuple[Task, ...]
    synthetic: Synthetic | None
    prefix: str
    conditional: bool

    @property
    def source(self) -> str:
        """The batch entry with the images of the label maps."""
        return self.prefix + "images"

    @property
    def targets(self) -> str:
        """The batch entry with the label maps."""
        return self.prefix + "mask"

    def on_fakes(self) -> tuple[Task, ...]:
        """The tasks that look at the images of the label maps, and so at generated ones too."""
        return tuple(task for task in self.tasks if task.source == self.source)

    def one_hot(self, mask: Masks, dtype) -> Float[Array, "n h w k"]:
        """A channel for every class; zeros where ignored, NaN where a class is out of range.

        Raises:
            TypeError: for a map that is not of integers.
        """
        if not jnp.issubdtype(mask.dtype, jnp.integer):
            raise TypeError(f"label maps: expected integer classes, got dtype {mask.dtype}")
        faulty = (mask != IGNORE) & ((mask < 0) | (mask >= self.num_classes))
        maps = jax.nn.one_hot(mask.astype(jnp.int32), self.num_classes, dtype=dtype)
        return jnp.where(faulty[..., None], jnp.nan, maps)

    def draw(self, n: int, context: Context) -> Float[Array, "n z"]:
        """Latents; of width 0 for a generator without."""
        return jnp.zeros((n, 0)) if self.latents is None else self.latents.draw(n, context)

    def make(self, variables: Variables, mask: Masks, context: Context):
        """Images of these label maps, with latents drawn, and the variables after them."""
        z = self.draw(mask.shape[0], context.fold("latents"))
        return self.paint(variables, z, mask, context)

    def paint(self, variables: Variables, z: Array, mask: Masks, context: Context):
        """Images of these latents and label maps, and the variables after them."""
        maps = self.one_hot(mask, z.dtype)
        return variables.apply(self.players.gen, "gen", z, maps, context=context.fold("gen"))

    def judge(self, variables: Variables, images: Array, mask: Masks, context: Context):
        """All that the discriminator says of images, and the variables after it."""
        inputs = (images, self.one_hot(mask, images.dtype)) if self.conditional else (images,)
        return variables.apply(self.players.disc, "disc", *inputs, context=context)

    def see(self, variables: Variables, images: Array, context: Context):
        """The features that the heads take."""
        assert self.players.trunk is not None
        return variables.apply(self.players.trunk, "trunk", images, context=context)


class Made(NamedTuple):
    """What a player's turn looks at: real images with their maps, and fakes of these maps.

    visible: 1 where a map says anything; others (all 255) count nothing.
    batch: the whole batch.
    """

    real: Array
    fake: Array
    mask: Array
    visible: Float[Array, " n"]
    batch: Batch


Side = Callable[[MapPlan, Made, Variables, Context], tuple[dict[str, Loss], Variables]]


def from_step(start: int, weight: float = 1.0) -> Schedule:
    """A coefficient that is 0 before a step, and `weight` from there on."""
    return Schedule(lambda step: weight * (step >= start), f"{weight:g} from step {start}")


def visible(mask: Masks) -> Array:
    """Whether a map has a pixel that is not ignored, shape [n]."""
    return (mask != IGNORE).any(axis=(1, 2))


def check(plan: MapPlan, optimizers: MapOptimizers) -> None:
    """Raises ValueError for what does not go together."""
    if not 1 <= plan.num_classes < IGNORE:
        raise ValueError(
            f"num_classes={plan.num_classes}: a label map has 1 .. 254 classes, the background "
            "included, as 255 is what is ignored."
        )
    if plan.latents is not None:
        plan.latents.check()
    if bool(plan.tasks) != (plan.players.trunk is not None):
        raise ValueError(
            f"tasks={[t.name for t in plan.tasks]} with players.trunk="
            f"{plan.players.trunk}: heads need a trunk, and a trunk needs heads; give both or none."
        )
    if optimizers.tasks is None and (plan.synthetic or any(not t.fake_weight for t in plan.tasks)):
        raise ValueError(
            "Without optimizers.tasks the tasks' networks are frozen and only judge the generator: "
            "give every task a fake_weight and leave synthetic out, or give an optimizer."
        )
    if plan.synthetic is not None and not plan.on_fakes():
        raise ValueError(f"synthetic: no task looks at {plan.source!r}; give one, or leave it out.")
    for task in plan.tasks:
        teaches = task.fake_weight or (plan.synthetic is not None and task.source == plan.source)
        targets = task.targets or plan.source
        if teaches and not (task.source == plan.source and targets.startswith(plan.prefix)):
            raise ValueError(
                f"Task {task.name!r} with source={task.source!r} and targets={task.targets!r}: "
                f"generated images take the place of {plan.source!r}; with labelled=True give "
                "labelled(task), otherwise the task as it is."
            )
