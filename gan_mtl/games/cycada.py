r"""CyCADA: images of either domain in the style of the other, with what they show kept.

    turn   objective    disc/<s>  disc/<t>  domain  gen/<s>  gen/<t>  trunk  heads/class
    disc   adversarial         1         1       .        .        .      .            .
    disc   domain              .         .       1        .        .      .            .
    gen    adversarial         .         .       .        1        1      .            .
    gen    cycle               .         .       .   lambda   lambda      .            .
    gen    semantic            .         .       .       mu       mu      .            .
    model  class               .         .       .        .        .      1            1
    model  domain              .         .       .        .        .     nu            .

`gen/<t>` translates the source's images into the target, `gen/<s>` back. The cycle is
:math:`\lVert G_{T \to S}(G_{S \to T}(x_s)) - x_s \rVert_1` and the same of the target (equation 3).
A frozen classifier of the source, :math:`f_S`, shall say the same of an image before and after
(`semantic`, equation 4): :math:`L(f_S(G_{S \to T}(x_s)), \arg\max f_S(x_s))` and the same of
:math:`G_{T \to S}(x_t)`. The task network starts from it and learns the source's labels on
translated images (equation 1); with `domain` its features of these and of the target's images are
drawn together (equation 5), as in `adda`.

Deviations ("lite"): all at once, where the authors train in three phases; the L1 norm is a mean
over pixels; discriminators judge whole images, and remember no old ones.

Hoffman et al., "CyCADA: Cycle-Consistent Adversarial Domain Adaptation", ICML 2018, arXiv
1711.03213.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import softplus

from gan_mtl.games import coupled
from gan_mtl.games import domains as domains_lib
from gan_mtl.games import tasks as tasks_lib
from gan_mtl.games.domains import Domains, Pair
from gan_mtl.games.tasks import Task
from gan_mtl.losses.adversarial import AdversarialLoss, least_squares
from gan_mtl.losses.tasks import cross_entropy, l1
from gan_mtl.types import (
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
    PyTree,
    Turn,
    Variables,
    starting,
)

CYCLE, SEMANTIC, DOMAIN = "cycle", "semantic", "domain"


class CycadaPlayers(NamedTuple):
    """The networks; which groups each has stands in brackets.

    gen: (`gen/<domain>`, named by what it makes) images to images of the other domain.
    disc: (`disc/<domain>`) images to logits [n].
    trunk, head: (`trunk`, `heads/<name>`; frozen `source/trunk`, `source/heads/<name>`) images to
        features, features to class logits.
    domain: (`domain`) features to logits [n] of being translated from the source; None leaves the
        features alone.
    """

    gen: Network
    disc: Network
    trunk: Network
    head: Network
    domain: Network | None = None


class CycadaOptimizers(NamedTuple):
    """One optimizer per turn, or one for every group that the turn moves."""

    disc: Optimizer | Mapping[str, Optimizer]
    gen: Optimizer | Mapping[str, Optimizer]
    model: Optimizer | Mapping[str, Optimizer]


class _Plan(NamedTuple):
    """What the functions of all turns have in common."""

    players: CycadaPlayers
    task: Task
    adversarial: AdversarialLoss
    domains: Domains
    source: Mapping[str, Mapping[str, PyTree]]

    @property
    def names(self) -> tuple[str, str]:
        return self.domains.source, self.domains.target

    def images(self, batch: Batch) -> Pair:
        return batch[self.domains.images[0]], batch[self.domains.images[1]]

    def translate(self, variables: Variables, images: Pair, context: Context):
        """Images of both domains in the other: in the source's style, in the target's."""
        made = []
        for name, x in zip(self.names, images[::-1], strict=True):
            tag, entry = context.fold("gen").fold(name), f"gen/{name}"
            y, variables = variables.apply(self.players.gen, entry, x, context=tag)
            made.append(y)
        return (made[0], made[1]), variables

    def judge(self, variables: Variables, images: Pair, context: Context):
        """Logits of images, each domain's by its own discriminator, and the variables after."""
        entries = (f"disc/{self.domains.source}", f"disc/{self.domains.target}")
        return domains_lib.over_both(
            self.players.disc, entries, images, self.domains, variables, context.fold("disc")
        )

    def classify(self, variables: Variables, prefix: str, images: Array, context: Context):
        """Features and class logits by the task network, or by the source's ("source/")."""
        tag = context.fold("trunk")
        hidden, variables = variables.apply(
            self.players.trunk, f"{prefix}trunk", images, context=tag
        )
        tag, entry = context.fold(self.task.name), prefix + self.task.group
        logits, variables = variables.apply(self.players.head, entry, hidden, context=tag)
        return hidden, logits, variables


def cycada(
    players: CycadaPlayers,
    optimizers: CycadaOptimizers,
    source: Mapping[str, Mapping[str, PyTree]],
    *,
    domains: Domains,
    name: str = "class",
    cycle: Coefficient = 10.0,
    semantic: Coefficient = 1.0,
    weight: Coefficient = 1.0,
    adversarial: AdversarialLoss = least_squares,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """The game above.

    Args:
        players: the networks.
        optimizers: by turn.
        source: f_S, as `multitask` on the source trained it: by group (`trunk`, `heads/<name>`),
            `{"params": ..., other collections}`.
        domains: the two, as many examples of either; networks always run separately.
        name: of the classes; labels are `labels/<source>`.
        cycle, semantic: lambda and mu; 0 leaves the row out.
        weight: nu, of the features' adversary in the trunk.
        adversarial: the pair of losses on logits, without batch means.
        ema: half-lives in examples, by group.

    Returns:
        A game that predicts `<name>` and `features` of the target's images, `source/<name>` by
        f_S, and `to/<target>` and `to/<source>`, images of the other domain translated.

    Raises:
        ValueError: for a joint pass, a group that `source` has not, a pair with batch means; at
            `init` for a batch without both domains in equal numbers, networks of other shapes.
    """
    task = domains_lib.source_task(players.head, domains, name=name)
    plan = _Plan(players, task, adversarial, domains, source)
    _check(plan)
    rows = _table(plan, cycle, semantic, weight)
    losses = (
        _disc_losses,
        functools.partial(_gen_losses, rows=tuple(rows["gen"])),
        _model_losses,
    )
    return Game(
        functools.partial(_init, plan),
        tuple(
            Turn(turn, functools.partial(function, plan), rows[turn], getattr(optimizers, turn))
            for turn, function in zip(rows, losses, strict=True)
        ),
        ema=ema or {},
        predict={
            **domains_lib.predictions(players.trunk, (task,)),
            f"source/{name}": functools.partial(_classes_of_source, plan),
            f"to/{domains.source}": functools.partial(_translated, plan, domains.source),
            f"to/{domains.target}": functools.partial(_translated, plan, domains.target),
        },
        frozen=("source/trunk", f"source/{task.group}"),
    )


def _table(plan: _Plan, cycle: Coefficient, semantic: Coefficient, weight: Coefficient):
    discs, gens = ([f"{what}/{name}" for name in plan.names] for what in ("disc", "gen"))
    disc = {coupled.ADVERSARIAL: Objective(dict.fromkeys(discs, 1.0), signed=True)}
    gen = {coupled.ADVERSARIAL: Objective(dict.fromkeys(gens, 1.0), signed=True)}
    model = domains_lib.task_rows((plan.task,))
    for row, coefficient in ((CYCLE, cycle), (SEMANTIC, semantic)):
        if coefficient:
            gen[row] = Objective(dict.fromkeys(gens, coefficient))
    if plan.players.domain is not None:
        disc[DOMAIN] = Objective({DOMAIN: 1.0}, signed=True)
        model[DOMAIN] = Objective({"trunk": weight}, signed=True)
    return {"disc": disc, "gen": gen, "model": model}


def _check(plan: _Plan) -> None:
    domains_lib.check_domains(plan.domains, (plan.task,))
    coupled.check_pair("cycada", plan.adversarial)
    missing = [name for name in ("trunk", plan.task.group) if name not in plan.source]
    if missing:
        raise ValueError(
            f"cycada: source lacks the groups {missing}; it has {sorted(plan.source)}."
        )
    if plan.domains.passes == "joint":
        raise ValueError(
            "cycada: domains meet in no network's pass: use Domains(passes='separate')."
        )


def _init(plan: _Plan, key: jax.Array, batch: Batch) -> dict[str, dict[str, Any]]:
    domains_lib.check_batch(plan.domains, batch, paired=True)
    players, images = plan.players, plan.images(batch)
    keys = jax.random.split(key, 7)
    fresh, hidden = domains_lib.init_tasks(
        players.trunk, (plan.task,), plan.domains, keys[0], batch, DOMAIN
    )
    groups = {}
    for name, group in fresh.items():
        groups[name] = domains_lib.started("cycada", name, plan.source[name], group)
        groups[f"source/{name}"] = jax.tree.map(jnp.copy, groups[name])
    for i, (name, other) in enumerate(zip(plan.names, images[::-1], strict=True)):
        groups[f"gen/{name}"] = players.gen.init(keys[1 + i], other)
        groups[f"disc/{name}"] = players.disc.init(keys[3 + i], images[i])
    if players.domain is not None:
        groups[DOMAIN] = players.domain.init(keys[5], hidden)
    context = Context(keys[6], jnp.zeros((), jnp.int32))
    made, _ = plan.translate(starting(groups), images, context)
    if made[1].shape != images[0].shape:
        raise ValueError(
            f"cycada: players.gen makes {made[1].shape[1:]}, the data has {images[0].shape[1:]}: "
            "give it the data's size and channels."
        )
    return groups


def _disc_losses(plan: _Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    images = plan.images(batch)
    fakes, variables = plan.translate(variables, images, context)
    fakes, metrics = jax.lax.stop_gradient(fakes), {}
    real, variables = plan.judge(variables, images, context.fold("real"))
    fake, variables = plan.judge(variables, fakes, context.fold("fake"))
    losses = {coupled.ADVERSARIAL: coupled.summed(plan.adversarial.disc, real, fake)}
    if plan.players.domain is not None:
        hidden, _, variables = plan.classify(variables, "", fakes[1], context.fold("source"))
        seen, _, variables = plan.classify(variables, "", images[1], context.fold("target"))
        hidden, seen = jax.lax.stop_gradient((hidden, seen))
        (source, target), variables = domains_lib.over_both(
            plan.players.domain,
            DOMAIN,
            (hidden, seen),
            plan.domains,
            variables,
            context.fold(DOMAIN),
        )
        losses[DOMAIN] = domains_lib.both(softplus(-source), softplus(target), context)
        metrics["domain_accuracy"] = domains_lib.told_apart(source, target, context)
    return Outcome(losses, variables, metrics)


def _gen_losses(
    plan: _Plan, variables: Variables, batch: Batch, context: Context, *, rows: tuple[str, ...]
) -> Outcome:
    images = plan.images(batch)
    fakes, variables = plan.translate(variables, images, context)
    fake, variables = plan.judge(variables, fakes, context.fold("fake"))
    real, _ = plan.judge(variables, images, context.fold("real"))  # dead code for most pairs
    losses = {coupled.ADVERSARIAL: coupled.summed(plan.adversarial.gen, real, fake)}
    if CYCLE in rows:
        back, variables = plan.translate(variables, fakes, context.fold("back"))
        losses[CYCLE] = Loss(l1(back[0], images[0]) + l1(back[1], images[1]))
    if SEMANTIC in rows:
        losses[SEMANTIC] = Loss(_semantic(plan, variables, images, fakes, context))
    return Outcome(losses, variables)


def _semantic(plan: _Plan, variables: Variables, images: Pair, fakes: Pair, context: Context):
    """f_S of an image translated against its own class of the image as it was; it never trains."""
    tag = context.fold("judged")._replace(train=False)
    values = jnp.zeros(images[0].shape[0])
    for before, after in zip(images, fakes[::-1], strict=True):
        _, said, _ = plan.classify(variables, "source/", before, tag)
        _, says, _ = plan.classify(variables, "source/", after, tag)
        values = values + cross_entropy(says, said.argmax(axis=1))
    return values


def _model_losses(plan: _Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    source, target = plan.images(batch)
    tag, entry = context.fold("gen").fold(plan.names[1]), f"gen/{plan.names[1]}"
    shown, variables = variables.apply(plan.players.gen, entry, source, context=tag)
    shown = jax.lax.stop_gradient(shown)
    _, logits, variables = plan.classify(variables, "", shown, context.fold("source"))
    played = tasks_lib.judge(plan.task, logits, batch[plan.domains.labels[0]])
    assert played.accuracy is not None  # classes
    losses = {plan.task.name: played.loss}
    metrics = {f"{plan.task.name}_accuracy": played.accuracy}
    if plan.players.domain is not None:
        seen, _, variables = plan.classify(variables, "", target, context.fold("target"))
        tag = context.fold(DOMAIN).fold("target")
        said, variables = variables.apply(plan.players.domain, DOMAIN, seen, context=tag)
        losses[DOMAIN] = Loss(softplus(-said))
    return Outcome(losses, variables, metrics)


def _classes_of_source(plan: _Plan, variables: Variables, images: Array, context: Context):
    return plan.classify(variables, "source/", images, context._replace(train=False))[1]


def _translated(plan: _Plan, name: str, variables: Variables, images: Array, context: Context):
    tag = context.fold("gen").fold(name)
    return variables.apply(plan.players.gen, f"gen/{name}", images, context=tag)[0]
