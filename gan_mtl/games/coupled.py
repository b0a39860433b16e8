"""Players of two domains that share layers: generators their first ones, discriminators their last.

What CoGAN and UNIT have in common. What a domain has for itself is a group `<layers>/<domain>`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.games import domains as domains_lib
from gan_mtl.games import tasks as tasks_lib
from gan_mtl.games.domains import Domains, Pair
from gan_mtl.games.tasks import LABELLED, Task
from gan_mtl.losses.adversarial import AdversarialLoss
from gan_mtl.types import Batch, Coefficient, Context, Loss, Network, Objective, Variables, starting

ADVERSARIAL = "adversarial"


class CoupledPlayers(NamedTuple):
    """The networks; which group each is in stands in brackets.

    gen: (`gen`) latents to what `gen_out` takes: the layers that know what is in the picture.
    gen_out: (`gen/<domain>`) to images of the domain.
    front: (`front/<domain>`) images of the domain to what the trunk takes.
    trunk: (`trunk`) to features.
    disc: (`disc`) features to logits [n].
    """

    gen: Network
    gen_out: Network
    front: Network
    trunk: Network
    disc: Network


class CoupledPlan(NamedTuple):
    """What both turns of a coupled game have in common."""

    players: CoupledPlayers
    adversarial: AdversarialLoss
    tasks: tuple[Task, ...]
    domains: Domains

    def own(self, layers: str) -> tuple[str, str]:
        """The groups that either domain has for itself."""
        return f"{layers}/{self.domains.source}", f"{layers}/{self.domains.target}"

    def domain_of(self, task: Task) -> int | None:
        """Whose images, all or labelled, a task looks at: 0 the source's, 1 the target's."""
        for i, entry in enumerate(self.domains.images):
            if task.source in (entry, LABELLED + entry):
                return i
        return None

    def make(self, variables: Variables, z: Pair, context: Context) -> tuple[Pair, Variables]:
        """Images of latents, of the source and of the target."""
        hidden, variables = domains_lib.over_both(
            self.players.gen, "gen", z, self.domains, variables, context.fold("gen")
        )
        return self.finish(variables, hidden, context)

    def finish(self, variables: Variables, hidden: Pair, context: Context):
        """Images of what the shared layers made, and the variables after."""
        tag = context.fold("gen_out")
        return domains_lib.over_both(
            self.players.gen_out, self.own("gen"), hidden, self.domains, variables, tag
        )

    def make_pair(self, variables: Variables, z: Array, context: Context):
        """Both domains' images of the same latents, and the variables after; one shared pass."""
        tag = context.fold("gen")
        hidden, variables = variables.apply(self.players.gen, "gen", z, context=tag)
        return self.finish(variables, (hidden, hidden), context)

    def see(self, variables: Variables, images: Pair, context: Context) -> tuple[Pair, Variables]:
        """The shared features of both domains' images."""
        tag = context.fold("front")
        hidden, variables = domains_lib.over_both(
            self.players.front, self.own("front"), images, self.domains, variables, tag
        )
        tag = context.fold("trunk")
        return domains_lib.over_both(
            self.players.trunk, "trunk", hidden, self.domains, variables, tag
        )

    def judge(self, variables: Variables, hidden: Pair, context: Context):
        """Logits [n] of both domains' features, and the variables after."""
        tag = context.fold("disc")
        return domains_lib.over_both(
            self.players.disc, "disc", hidden, self.domains, variables, tag
        )

    def features_of(self, which: int, variables: Variables, images: Array, context: Context):
        """The features of one domain's images, and the variables after."""
        tag, entry = context.fold("front"), self.own("front")[which]
        hidden, variables = variables.apply(self.players.front, entry, images, context=tag)
        tag = context.fold("trunk")
        return variables.apply(self.players.trunk, "trunk", hidden, context=tag)


def images_of(plan: CoupledPlan, batch: Batch) -> Pair:
    """The batch's images, of the source and of the target."""
    return batch[plan.domains.images[0]], batch[plan.domains.images[1]]


def judged(
    plan: CoupledPlan, variables: Variables, batch: Batch, fakes: Pair, context: Context
) -> tuple[dict[str, Loss], dict[str, Loss], Pair, Variables]:
    """The discriminators' turn: losses, metrics and the fakes' features; fakes are held."""
    fakes = jax.lax.stop_gradient(fakes)
    real, variables = plan.see(variables, images_of(plan, batch), context.fold("real"))
    fake, variables = plan.see(variables, fakes, context.fold("fake"))
    real_logits, variables = plan.judge(variables, real, context.fold("r"))
    fake_logits, variables = plan.judge(variables, fake, context.fold("f"))
    against = summed(plan.adversarial.disc, real_logits, fake_logits)
    known = dict(zip(plan.domains.images, real, strict=True))
    for task in plan.tasks:
        if task.source not in known:  # examples drawn among the labelled ones
            which, tag = plan.domain_of(task), context.fold(task.source)
            assert which is not None  # `check`
            known[task.source], variables = plan.features_of(
                which, variables, batch[task.source], tag
            )
    found, variables = domains_lib.heads_on(
        plan.players.trunk, plan.tasks, known, real, variables, batch, context
    )
    return {ADVERSARIAL: against, **found.losses}, found.metrics, fake, variables


def fooled(
    plan: CoupledPlan, variables: Variables, batch: Batch, fakes: Pair, context: Context
) -> tuple[Loss, Variables]:
    """The generators' adversarial loss, of both domains."""
    fake, variables = plan.see(variables, fakes, context.fold("fake"))
    fake_logits, variables = plan.judge(variables, fake, context.fold("f"))
    real, _ = plan.see(variables, images_of(plan, batch), context.fold("real"))  # often dead code
    real_logits, _ = plan.judge(variables, real, context.fold("r"))
    return summed(plan.adversarial.gen, real_logits, fake_logits), variables


def summed(player: Callable[..., Array], real_logits: Pair, fake_logits: Pair) -> Loss:
    """One player's loss over both domains: their sum, in pairs of examples."""
    return Loss(player(real_logits[0], fake_logits[0]) + player(real_logits[1], fake_logits[1]))


def disc_rows(plan: CoupledPlan, weight: Coefficient = 1.0) -> dict[str, Objective]:
    """The discriminators' rows: the adversarial one, and the tasks'."""
    fronts = plan.own("front")
    judging = dict.fromkeys((*fronts, "trunk", "disc"), weight)
    rows = {ADVERSARIAL: Objective(judging, signed=True)}
    for task in plan.tasks:
        which = plan.domain_of(task)
        assert which is not None  # `check`
        groups = (fronts[which], "trunk", task.group)
        rows[task.name] = Objective(dict.fromkeys(groups, task.weight))
    return rows


def check(who: str, plan: CoupledPlan) -> None:
    """Raises ValueError for domains, losses and tasks that a coupled game cannot play."""
    domains_lib.check_domains(plan.domains, plan.tasks)
    check_pair(who, plan.adversarial)
    for task in plan.tasks:
        if tasks_lib.changes(task) or plan.domain_of(task) is None:
            raise ValueError(
                f"{who}: task {task.name!r} must look at the images of a domain as they are, "
                f"{plan.domains.images[0]!r} or {plan.domains.images[1]!r} or those of them with a "
                f"label ({LABELLED!r} before the name), since each has first layers of its own: "
                "give games.source_task(head, domains), or games.labelled(task)."
            )


def check_pair(who: str, adversarial: AdversarialLoss) -> None:
    """Raises ValueError for a pair of losses that is no function of one logit an image."""
    if adversarial.batch_statistic or adversarial.reads != "logits":
        raise ValueError(
            f"{who}: the pair must be a function of one logit an image, without batch means: take "
            "losses.non_saturating, least_squares, hinge, ..."
        )


def init(
    who: str, plan: CoupledPlan, z: Array, key: jax.Array, batch: Batch, *others: str
) -> dict[str, dict]:
    """The groups of the players, from latents and as many images of both domains.

    Raises:
        ValueError: for a batch without a task's entries, generators of other images.
    """
    tasks_lib.check_tasks(plan.tasks, batch, ADVERSARIAL, *others)
    keys = jax.random.split(key, 9)
    context = Context(keys[8], jnp.zeros((), jnp.int32))
    players, images = plan.players, images_of(plan, batch)
    groups = {"gen": players.gen.init(keys[0], z)}
    hidden, _ = starting(groups).apply(players.gen, "gen", z, context=context)
    for i, (out, front) in enumerate(zip(plan.own("gen"), plan.own("front"), strict=True)):
        groups[out] = players.gen_out.init(keys[1 + i], hidden)
        groups[front] = players.front.init(keys[3 + i], images[i])
    made, _ = plan.make_pair(starting(groups), z, context)
    if made[0].shape[1:] != images[0].shape[1:]:
        raise ValueError(
            f"{who}: players.gen_out makes {made[0].shape[1:]}, the data has "
            f"{images[0].shape[1:]}: give it the data's size and channels."
        )
    front = plan.own("front")[0]
    seen, _ = starting(groups).apply(players.front, front, images[0], context=context)
    groups["trunk"] = players.trunk.init(keys[5], seen)
    features, _ = plan.features_of(0, starting(groups), images[0], context)
    groups["disc"] = players.disc.init(keys[6], features)
    return {**groups, **tasks_lib.init_heads(plan.tasks, keys[7], features)}


def generate(
    plan: CoupledPlan, variables: Variables, z: Array, labels: Array | None, context: Context
) -> Float[Array, "n ..."]:
    """Images of latents in the domains asked for: 0 the source, 1 the target; None is in turn."""
    pair, _ = plan.make_pair(variables, z, context)
    n = z.shape[0]
    which = jnp.arange(n) % 2 if labels is None else labels
    which = which.reshape(n, *[1] * (pair[0].ndim - 1))
    return jnp.where(which == 0, pair[0], pair[1])


def predictions(plan: CoupledPlan) -> dict:
    """Features and tasks of the target's images, and `source/<name>` of the source's."""
    predict = {}
    for which, prefix in ((0, "source/"), (1, "")):
        found = tasks_lib.predictions(plan.tasks, _Features(plan, which))
        predict.update({prefix + name: function for name, function in found.items()})
    return predict


class _Features(NamedTuple):
    """`features_of` with the domain given, as a function."""

    plan: CoupledPlan
    which: int

    def __call__(self, variables: Variables, images: Array, context: Context):
        return self.plan.features_of(self.which, variables, images, context)
