"""What `gan` refuses before anything is compiled, by name and with the remedy."""

from __future__ import annotations

from typing import Any

from gan_mtl.games import tasks as tasks_lib
from gan_mtl.games.gan_turns import ADVERSARIAL, AUGMENT, Plan
from gan_mtl.games.players import check_players
from gan_mtl.games.scenes import Augment, Contrast, Controlled, Information, Row, Unroll
from gan_mtl.losses.adversarial import AdversarialLoss

CONDITIONS = ("none", "projection", "auxiliary", "contrastive", "multi_hinge")
KINDS: dict[str, tuple[tuple[type, ...], str]] = {  # of a plan's fields: what they are, and how
    "adversarial": (
        (AdversarialLoss, Controlled),
        "losses.hinge, a called losses.relativistic_average(), gan_rows.energy_control()",
    ),
    "augment": ((Augment,), "gan_rows.diff_augmentation(), or Augment(function)"),
    "unroll": ((Unroll,), "Unroll(steps, optimizer)"),
    "information": ((Information,), "gan_rows.information(code, head)"),
    "contrast": ((Contrast,), "gan_rows.reacgan(head)"),
}


def _check_kinds(plan: Plan) -> None:
    """Raises TypeError for a field of another kind."""
    for name, (kinds, remedy) in KINDS.items():
        given: Any = getattr(plan, name)
        if not isinstance(given, kinds) and (given is not None or name == ADVERSARIAL):
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise TypeError(f"{name}={given!r}: expected {wanted}, such as {remedy}.")
    if plan.adversarial.reads == "features":
        raise ValueError(
            "adversarial: this loss compares the features of two label maps of one image; play it "
            "in segmentation_adversary(), and take losses.non_saturating, hinge, ... here."
        )
    for name in ("disc_rows", "gen_rows"):
        for row in getattr(plan, name):
            if not isinstance(row, Row):
                raise TypeError(
                    f"extras.{name}: {row!r} is not a Row; give a tuple of rows, such as "
                    "(gan_rows.lecam(),), and penalties as penalties=."
                )


def _check_names(plan: Plan) -> None:
    """Raises ValueError for two objectives of one turn with the same name."""
    shared = ["adversarial", *["information"] * bool(plan.information)]
    shared += ["contrast"] * bool(plan.contrast)
    turns = {
        "disc": [*shared, AUGMENT, *(task.name for task in plan.tasks)]
        + ["class_fake"] * plan.fakes_in_disc
        + [row.name for row in plan.disc_rows],
        "gen": [*shared, *(task.name for task in plan.tasks if task.fake_weight)]
        + [row.name for row in plan.gen_rows],
    }
    for turn, names in turns.items():
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"Objectives of the turn {turn!r} need names of their own; {twice} occur twice."
            )


def check_outputs(plan: Plan, shape: tuple[int, ...]) -> None:
    """Raises ValueError for a discriminator that says something else than its loss takes.

    Args:
        shape: of the outputs for a batch (of packs).
    """
    if plan.multi_hinge:
        wanted = ((plan.num_classes or 0) + 1,)
        what = f"{wanted[0]} outputs an example, the classes and then 'fake'"
    elif plan.adversarial.reads == "pixels":
        wanted = shape[1:] if len(shape) == 2 else (0,)
        what = "one row an example, the image's logit and then its pixels', as nets.joined_logits"
    else:
        wanted, what = (), "one logit an example, shape [n], such as nets.Head()"
    if shape[1:] != wanted:
        who = "players.disc" if plan.players.disc is not None else "the trunk, without players.disc"
        raise ValueError(f"{who}: it gives {shape}, and the loss takes {what}.")


def check_game(plan: Plan, condition: str, num_classes: int | None) -> None:
    """Raises ValueError or TypeError for what does not go together."""
    check_players(plan.players, num_classes)
    plan.latents.check()
    _check_kinds(plan)
    if condition not in CONDITIONS:
        raise ValueError(
            f"condition={condition!r} is not one of {', '.join(map(repr, CONDITIONS))}."
        )
    if (condition == "none") != (not num_classes):
        raise ValueError(
            f"condition={condition!r} with num_classes={num_classes}: a generator of classes needs "
            "a condition, and a condition its num_classes; give both or neither."
        )
    if plan.players.embed is not None and condition != "projection":
        raise ValueError(
            "A shared embedding needs condition='projection', where both players use it."
        )
    classes = [task for task in plan.tasks if task.name == "class"]
    if condition == "auxiliary" and not classes:
        raise ValueError("condition='auxiliary' (AC-GAN) needs a task named 'class'.")
    if condition == "auxiliary" and not classes[0].fake_weight:
        raise ValueError(
            "condition='auxiliary' (AC-GAN): the generator takes a label, but the task 'class' has "
            f"fake_weight={classes[0].fake_weight:g}, so nothing teaches it the label: give "
            "class_task(..., fake_weight=1.0), or condition='none' for a generator without labels."
        )
    if plan.fakes_in_disc and condition != "auxiliary":
        raise ValueError("fakes_in_disc needs condition='auxiliary'.")
    tasks_lib.check_fake_tasks(plan.tasks, condition != "none", "set condition")
    _check_names(plan)
    _check_extras(plan, condition)


def _check_extras(plan: Plan, condition: str) -> None:
    """Raises ValueError for extras that do not go with the rest."""
    if plan.players.disc is None and (plan.projected or plan.multi_hinge):
        raise ValueError(f"condition={condition!r} needs players.disc, which sees the classes.")
    if (condition == "contrastive") != (plan.contrast is not None):
        raise ValueError(
            f"condition={condition!r} with extras.contrast={plan.contrast}: condition="
            "'contrastive' and extras.contrast go together."
        )
    if plan.pack < 1:
        raise ValueError(f"pack={plan.pack}: it must be at least 1.")
    if plan.pack > 1:
        alone = [t.name for t in plan.tasks] + ["information"] * bool(plan.information)
        alone += ["labels"] * bool(plan.num_classes)
        if alone:
            raise ValueError(
                f"pack={plan.pack}: the trunk sees {plan.pack} examples at once, so that "
                f"{alone} of one example cannot be asked: leave them out, or use pack=1."
            )
    if plan.pack > 1 and plan.move_latents is not None:
        raise ValueError(
            f"pack={plan.pack} with move_latents: the logits of packs say nothing of one latent; "
            "use pack=1."
        )
    if plan.augment is not None and plan.augment.update is not None:
        with_what = {
            f"pack={plan.pack}": plan.pack > 1 and "logits of packs are not those of images",
            "energies": plan.adversarial.reads == "energies" and "an energy has no sign",
        }
        for what, reason in with_what.items():
            if reason:
                raise ValueError(
                    f"{what} with an augmentation that follows the logits: {reason}; use one "
                    "without update, such as gan_rows.diff_augmentation()."
                )
    if any(row.name == "cut_mix" for row in plan.disc_rows):
        without = ["labels"] * plan.projected + ["augmentation"] * (plan.augment is not None)
        if without:
            raise ValueError(
                f"The row 'cut_mix' mixes two images: play it without {' and '.join(without)}."
            )
    if plan.information is not None and plan.information.code.width >= plan.latents.dim:
        raise ValueError(
            f"The code takes {plan.information.code.width} of {plan.latents.dim} latents: give "
            "Latents more dimensions, since noise needs some too."
        )
    if plan.unroll is not None and plan.unroll.steps < 1:
        raise ValueError(f"unroll.steps={plan.unroll.steps}: it must be at least 1.")
    if plan.unroll is not None and plan.unroll.saddle and plan.top_k is not None:
        raise ValueError(
            "unroll.saddle with top_k: the loss is of reals and fakes, and top_k chooses fakes; "
            "use Unroll(..., saddle=False), or no top_k."
        )
