"""What a game of several adversaries is made of: networks, groups, and who judges whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from gan_mtl.games import tasks as tasks_lib
from gan_mtl.games.players import Latents
from gan_mtl.games.scenes import Penalty
from gan_mtl.games.tasks import Task
from gan_mtl.losses.adversarial import AdversarialLoss
from gan_mtl.types import Array, Batch, Coefficient, Context, Network, Variables

Share = Literal["both", "gen", "disc", "none"]


class Adversary(NamedTuple):
    """One V_i: a discriminator and the data that it takes for real.

    alpha: its weight in both players' objectives; a constant or a schedule. What is learned or
        computed (simplex, Nash, ...) is a weighting of the turns on top of it.
    source: the batch entry with its real images.
    look: what the discriminator sees of an image, `(images) -> images`: a crop, a fixed random
        projection; None is the image.
    asks: the name of another adversary whose discriminator this one asks; it has none then.
    """

    name: str
    alpha: Coefficient = 1.0
    source: str = "images"
    look: Callable[[Array], Array] | None = None
    asks: str | None = None


class MultiPlayers(NamedTuple):
    """The networks; which group each is in stands in brackets.

    gen: (`gen`) latents to images; with `gen_head`, to its input.
    disc: (`disc/<name>`, one for every adversary) images, or features of the trunk, to logits [n].
    trunk: (`trunk`) images to features; None: discriminators look at images.
    gen_head: (`gen/<name>`) from the generator's output to images of the adversary's kind; None:
        all adversaries judge the same images.
    encoder: (`enc`) images to latents [n, dim], for the rows of reconstruction.
    """

    gen: Network
    disc: Network
    trunk: Network | None = None
    gen_head: Network | None = None
    encoder: Network | None = None


class Plan(NamedTuple):
    """What the functions of both turns have in common."""

    players: MultiPlayers
    adversaries: tuple[Adversary, ...]
    latents: Latents
    adversarial: AdversarialLoss
    share: Share
    tasks: tuple[Task, ...]
    penalties: tuple[Penalty, ...]

    def owner(self, task: Task) -> str:
        """The adversary whose images a task looks at."""
        return next(a.name for a in self.adversaries if a.source == task.source)

    @property
    def kinds(self) -> int:
        """How many kinds of images are made: one for all adversaries, or one each."""
        apart = self.players.gen_head is not None or self.gen_of("") != "gen"
        return len(self.adversaries) if apart else 1

    def asked(self, name: str) -> str:
        """The adversary whose discriminator judges for this one."""
        return next(a.asks or a.name for a in self.adversaries if a.name == name)

    def trunk_of(self, name: str) -> str:
        return "trunk" if self.share in ("both", "disc") else f"trunk/{self.asked(name)}"

    def disc_of(self, name: str) -> str:
        return f"disc/{self.asked(name)}"

    def gen_of(self, name: str) -> str:
        return "gen" if self.share in ("both", "gen") else f"gen/trunk/{name}"

    @property
    def heads(self) -> tuple[str, ...]:
        """The discriminators' groups."""
        return tuple(dict.fromkeys(self.disc_of(a.name) for a in self.adversaries))

    def made_by(self, name: str) -> tuple[str, ...]:
        """The groups that make the images of an adversary."""
        head = () if self.players.gen_head is None else (f"gen/{name}",)
        return (self.gen_of(name), *head)

    def judged_by(self, name: str) -> tuple[str, ...]:
        """The groups that judge them."""
        trunk = () if self.players.trunk is None else (self.trunk_of(name),)
        return (*trunk, self.disc_of(name))

    def draw(self, name: str, variables: Variables, z: Array, context: Context):
        """Images from latents."""
        tag = context.fold("gen")
        images, variables = variables.apply(self.players.gen, self.gen_of(name), z, context=tag)
        if self.players.gen_head is None:
            return images, variables
        tag = context.fold("head")
        return variables.apply(self.players.gen_head, f"gen/{name}", images, context=tag)

    def make(self, variables: Variables, counts: Mapping[str, int], context: Context):
        """So many images for every adversary; of one kind the same ones for all."""
        made: dict[str, Array] = {}
        for name in counts if self.kinds > 1 else [next(iter(counts))]:
            tag = context.fold(name)
            z = self.latents.draw(counts[name], tag.fold("latents"))
            made[name], variables = self.draw(name, variables, z, tag)
        if self.kinds == 1:
            made = dict.fromkeys(counts, next(iter(made.values())))
        return made, variables

    def counts(self, batch: Batch) -> dict[str, int]:
        """How many real images every adversary has."""
        return {a.name: batch[a.source].shape[0] for a in self.adversaries}

    def see(self, name: str, variables: Variables, images: Array, context: Context):
        """What the discriminator's head looks at."""
        adversary = next(a for a in self.adversaries if a.name == name)
        images = images if adversary.look is None else adversary.look(images)
        if self.players.trunk is None:
            return images, variables
        return variables.apply(
            self.players.trunk, self.trunk_of(name), images, context=context.fold("trunk")
        )

    def judge(self, name: str, variables: Variables, hidden: Array, context: Context):
        """Logits [n]."""
        tag = context.fold("disc")
        return variables.apply(self.players.disc, self.disc_of(name), hidden, context=tag)

    def logits(self, name: str, variables: Variables, context: Context, images: Array) -> Array:
        """Images to logits [n], of an adversary; nothing is written."""
        hidden, variables = self.see(name, variables, images, context)
        return self.judge(name, variables, hidden, context)[0]


def check(plan: Plan, relation: Coefficient, reconstruction: Coefficient) -> None:
    """Raises ValueError for adversaries, tasks and networks that do not go together."""
    names = [adversary.name for adversary in plan.adversaries]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"multi_adversarial() needs distinct adversaries, got {names}.")
    owners = [adversary.name for adversary in plan.adversaries if adversary.asks is None]
    for adversary in plan.adversaries:
        if adversary.asks is not None and adversary.asks not in owners:
            raise ValueError(
                f"Adversary {adversary.name!r} asks the discriminator of {adversary.asks!r}, but "
                f"those with one of their own are {owners}."
            )
    if plan.share not in ("both", "gen", "disc", "none"):
        raise ValueError(f"share={plan.share!r} is not one of 'both', 'gen', 'disc', 'none'.")
    if plan.adversarial.batch_statistic:
        raise ValueError(
            "multi_adversarial() takes losses per example; a relativistic average belongs to gan()."
        )
    if reconstruction and plan.players.encoder is None:
        raise ValueError("reconstruction needs players.encoder, from images to latents.")
    if plan.players.encoder is not None and not reconstruction:
        raise ValueError("players.encoder is trained by nothing: give reconstruction a weight.")
    if relation and len(plan.heads) < 2:
        raise ValueError(f"relation={relation} needs two discriminators or more: {plan.heads}.")
    sources = [adversary.source for adversary in plan.adversaries]
    for task in plan.tasks:
        if plan.players.trunk is None:
            raise ValueError(f"Task {task.name!r} is a head on the trunk: give players.trunk.")
        if task.source not in sources:
            raise ValueError(
                f"Task {task.name!r} looks at {task.source!r}, which no adversary does: {sources}."
            )
    tasks_lib.check_fake_tasks(plan.tasks, False, "build a gan()")
