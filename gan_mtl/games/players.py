"""The two players of every GAN here: what they are made of, and how they generate."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_mtl import draws
from gan_mtl.games import tasks as tasks_lib
from gan_mtl.games.tasks import Task
from gan_mtl.types import (
    Aggregator,
    Batch,
    Coefficient,
    Context,
    Losses,
    Network,
    Objective,
    Optimizer,
    Schedule,
    Turn,
    Variables,
    Weighting,
    starting,
)

Owner = Literal["disc", "gen", "both", "alternating"]
PERIOD = 100  # steps for which one player owns a shared group, then the other


class Latents(NamedTuple):
    """The law of the latents: normal, or uniform on [low, high)."""

    dim: int
    law: Literal["normal", "uniform"] = "normal"
    low: float = -1.0
    high: float = 1.0

    def check(self) -> None:
        """Raises ValueError for a law that there is not."""
        if self.law not in ("normal", "uniform"):
            raise ValueError(f"Latents: law={self.law!r} is not 'normal' or 'uniform'.")
        if self.dim < 1 or (self.law == "uniform" and not self.low < self.high):
            raise ValueError(f"{self}: dim must be at least 1, and low below high.")

    def draw(self, n: int, context: Context) -> Float[Array, "n dim"]:
        """Latents of the slice's n examples."""
        if self.law == "normal":
            return draws.normal(n, (self.dim,), context)
        return draws.uniform(n, (self.dim,), context, self.low, self.high)


class Players(NamedTuple):
    """The networks of a game; which group each is in stands in brackets.

    gen: (`gen`) latents, or latents and a condition, to images; with `middle`, to its input.
    trunk: (`trunk`) images to features; with `middle`, to its input.
    disc: (`disc`) features, or features and integer labels, to logits [n]; None where the class
        logits are the discriminator.
    embed: (`shared`, roles gen and disc) labels to an embedding of the features' width: the
        generator's condition and the discriminator's projection.
    middle: (`shared`, roles gen and disc) a hidden block of equal input and output width that both
        players pass through; needs `gen_out`.
    gen_out: (`gen/out`) from the block's output to images.
    """

    gen: Network
    trunk: Network
    disc: Network | None = None
    embed: Network | None = None
    middle: Network | None = None
    gen_out: Network | None = None


class Optimizers(NamedTuple):
    """One optimizer per turn, or one for every group that the turn moves."""

    gen: Optimizer | Mapping[str, Optimizer]
    disc: Optimizer | Mapping[str, Optimizer]


def check_players(players: Players, num_classes: int | None) -> None:
    """Raises ValueError for a combination of networks that means nothing."""
    if players.embed is not None and players.middle is not None:
        raise ValueError("Players share either `embed` or `middle`, not both: drop one.")
    if (players.middle is None) != (players.gen_out is None):
        raise ValueError("`middle` and `gen_out` go together: the block ends inside the generator.")
    if players.embed is not None and not num_classes:
        raise ValueError("`embed` shares class embeddings: give num_classes.")


def check_no_batch_norm(
    penalties: Iterable[str], groups: Mapping[str, Mapping[str, Any]], judging: Iterable[str]
) -> None:
    """Raises ValueError for BatchNorm under a penalty: one image's gradient would be all images'.

    Gulrajani et al. 2017, section 4: the penalty is of the critic's gradient with respect to each
    input independently.

    Args:
        penalties: names of the penalties; none is always right.
        groups: the freshly initialised ones.
        judging: names of the groups that the penalties look through.
    """
    names = list(penalties)
    normed = [group for group in judging if "batch_stats" in groups.get(group, {})]
    if names and normed:
        raise ValueError(
            f"The penalties {names} look at every image by itself, but BatchNorm in the groups "
            f"{normed} mixes the images of a batch: use norm='spectral' or norm=None there, or "
            "leave the penalties out."
        )


def ask(num_classes: int | None, n: int, context: Context) -> Int[Array, " n"] | None:
    """The classes that the generator is asked for, drawn uniformly; None if unconditional."""
    return draws.integers(n, num_classes, context.fold("labels")) if num_classes else None


def generate(
    players: Players,
    latents: Latents,
    num_classes: int | None,
    variables: Variables,
    n: int,
    labels: Int[Array, " n"] | None,
    context: Context,
) -> tuple[Array, Variables]:
    """Images [n, h, w, c] from fresh latents; conditional where there are classes."""
    z = latents.draw(n, context.fold("latents"))
    return synthesise(players, num_classes, variables, z, labels, context)


def synthesise(
    players: Players,
    num_classes: int | None,
    variables: Variables,
    z: Float[Array, "n dim"],
    labels: Int[Array, " n"] | None,
    context: Context,
) -> tuple[Array, Variables]:
    """Images [n, h, w, c] of these latents."""
    inputs = [z]
    if num_classes:
        if players.embed is None:
            inputs.append(jax.nn.one_hot(labels, num_classes, dtype=inputs[0].dtype))
        else:
            condition, variables = variables.apply(
                players.embed, "shared@gen", labels, context=context.fold("embed")
            )
            inputs.append(condition)
    images, variables = variables.apply(players.gen, "gen", *inputs, context=context.fold("gen"))
    if players.middle is not None and players.gen_out is not None:
        images, variables = variables.apply(
            players.middle, "shared@gen", images, context=context.fold("middle")
        )
        images, variables = variables.apply(
            players.gen_out, "gen/out", images, context=context.fold("out")
        )
    return images, variables


def features(
    players: Players, variables: Variables, images: Array, context: Context
) -> tuple[Array, Variables]:
    """The trunk's features, through the shared block where there is one."""
    hidden, variables = variables.apply(players.trunk, "trunk", images, context=context)
    if players.middle is not None:
        hidden, variables = variables.apply(
            players.middle, "shared@disc", hidden, context=context.fold("middle")
        )
    return hidden, variables


def discriminate(
    players: Players,
    projected: bool,
    variables: Variables,
    hidden: Array,
    labels: Array | None,
    context: Context,
) -> tuple[Float[Array, " n"], Variables]:
    """Logits of "real", shape [n].

    Args:
        projected: whether `disc` takes the labels itself (a projection head).
    """
    assert players.disc is not None
    inputs = (hidden, labels) if projected and players.embed is None else (hidden,)
    logits, variables = variables.apply(players.disc, "disc", *inputs, context=context.fold("disc"))
    if projected and players.embed is not None:
        chosen, variables = variables.apply(
            players.embed, "shared@disc", labels, context=context.fold("embed")
        )
        logits = logits + (chosen * hidden.reshape(hidden.shape[0], -1)).sum(axis=1)
    return logits, variables


def init_players(
    players: Players,
    latents: Latents,
    num_classes: int | None,
    projected: bool,
    tasks: tuple[Task, ...],
    key: jax.Array,
    batch: Batch,
    pack: Callable[[Array], Array] = lambda images: images,
) -> dict[str, dict]:
    """The groups of all networks, from shapes that the networks give each other.

    Args:
        pack: how the trunk is shown the images.
    """
    keys = jax.random.split(key, 8)
    context = Context(keys[7], jnp.zeros((), jnp.int32))
    images = batch["images"]
    n = images.shape[0]
    labels = jnp.zeros((n,), jnp.int32) if num_classes else None
    z = latents.draw(n, context).astype(images.dtype)
    groups: dict[str, dict] = {}
    inputs = [z]
    if num_classes and players.embed is None:
        inputs.append(jax.nn.one_hot(labels, num_classes, dtype=images.dtype))
    elif num_classes and players.embed is not None:
        groups["shared"] = players.embed.init(keys[0], labels)
        inputs.append(players.embed.apply(groups["shared"], labels, context=context)[0])
    groups["gen"] = players.gen.init(keys[1], *inputs)
    if players.middle is not None and players.gen_out is not None:
        hidden, _ = players.gen.apply(groups["gen"], *inputs, context=context)
        groups["shared"] = players.middle.init(keys[0], hidden)
        hidden, _ = players.middle.apply(groups["shared"], hidden, context=context)
        groups["gen/out"] = players.gen_out.init(keys[2], hidden)
    shown = pack(images)
    groups["trunk"] = players.trunk.init(keys[3], shown)
    hidden, _ = features(players, starting(groups), shown, context)
    if players.disc is not None:
        inputs = (hidden, labels) if projected and players.embed is None else (hidden,)
        groups["disc"] = players.disc.init(keys[4], *inputs)
    groups.update(tasks_lib.init_heads(tasks, keys[5], hidden))
    fakes, _ = generate(players, latents, num_classes, starting(groups), n, labels, context)
    if fakes.shape != images.shape:
        raise ValueError(
            f"The generator makes images of shape {fakes.shape[1:]}, the data has "
            f"{images.shape[1:]}: give the generator the data's size and channels."
        )
    return groups


class Sampler(NamedTuple):
    """`sample`, `latents` and `generate` of a `Game`; labels are None where unconditional."""

    sample: Callable[..., Array]
    latents: Callable[..., Array]
    generate: Callable[..., Array]


def sampler(
    players: Players, draw: Callable[[int, Context], Float[Array, "n dim"]], num_classes: int | None
) -> Sampler:
    """How images are made of latents; classes in turn where none are asked for.

    Args:
        draw: the latents of n images, such as `Latents.draw`.
    """

    def latents(n: int, context: Context) -> Array:
        return draw(n, context.fold("latents"))

    def generate(variables: Variables, z: Array, labels: Array | None, context: Context) -> Array:
        if num_classes and labels is None:
            labels = jnp.arange(z.shape[0]) % num_classes
        return synthesise(players, num_classes, variables, z, labels, context)[0]

    def sample(variables: Variables, n: int, labels: Array | None, context: Context) -> Array:
        return generate(variables, latents(n, context), labels, context)

    return Sampler(sample, latents, generate)


def shared_entries(players: Players, role: str, owner: Owner) -> dict[str, float]:
    """The entry of the shared group in a turn's rows: there if the turn's player owns it."""
    shares = players.embed is not None or players.middle is not None
    return {f"shared@{role}": 1.0} if shares and owner in (role, "both", "alternating") else {}


def alternating_rows(rows: Mapping[str, Objective], role: str) -> dict[str, Objective]:
    """Rows in which the shared group's entry is there for 100 steps, and not for the next 100.

    The discriminator begins. While a player does not own the group its optimizer sees gradients of
    zero: what Adam remembers dies out within some tens of steps.
    """
    entry = f"shared@{role}"

    def row(found: Objective) -> Objective:
        if entry not in found.entries:
            return found
        own = _in_turn(found.entries[entry], role)
        return found._replace(entries={**found.entries, entry: own})

    return {name: row(found) for name, found in rows.items()}


def _in_turn(weight: Coefficient, role: str) -> Schedule:
    if not isinstance(weight, Schedule):
        constant = functools.partial(jnp.full_like, fill_value=abs(weight))
        weight = Schedule(constant, f"{abs(weight):g}", -1 if weight < 0 else 1)
    value = functools.partial(_owned, weight.value, role == "gen")
    return weight._replace(value=value, text=f"{weight.text}*{role}'s")


def _owned(value: Callable[[Array], Array], second: bool, step: Array) -> Array:
    mine = (step // PERIOD) % 2 == int(second)
    return jnp.where(mine, value(jnp.asarray(step, float)), 0.0)


def turns(
    losses: tuple[Losses, Losses],
    rows: tuple[Mapping[str, Objective], Mapping[str, Objective]],
    optimizers: Optimizers,
    weightings: tuple[Weighting | Aggregator | None, Weighting | Aggregator | None],
    disc_repeats: int = 1,
) -> tuple[Turn, Turn]:
    """The discriminator's turn, then the generator's; pairs are in this order."""
    disc = Turn("disc", losses[0], rows[0], optimizers.disc, weightings[0], disc_repeats)
    return disc, Turn("gen", losses[1], rows[1], optimizers.gen, weightings[1])
