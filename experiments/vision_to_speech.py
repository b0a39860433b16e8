"""From handwritten to spoken digits: what a trunk that has seen MNIST is worth to few labels.

6,000 of MNIST at 32x32, with labels, and the log-mel pictures of the spoken digits' training takes
(2,700, the publisher's split), of which 1, 5, 10 or 45 a class have a label, drawn by the seed. All
arms have one network, that of `fsdd_speakers`, and as many steps. Ways of transfer: fine-tuning
after MNIST; one trunk trained on both at once, with a head each, or one head for both; with that
an adversary that takes the modality out of the features of all pictures; and pairs of a digit and
a log-mel picture made from one latent, of which the features are tied (CoGAN, whose first layers
are each modality's own). Beside each stands what it has to beat: training from scratch, and for the
frozen trunk a *random* one.

Expected: little. A first measurement outside of this repository (8x8 digits, five draws) had, at 1,
5, 10 and 45 labels a class, fine-tuning 37.4, 62.3, 78.7, 92.7 %, scratch 37.5, 65.6, 79.7, 94.2;
frozen 27.3, 51.7, 61.5, 71.9, random 33.7, 51.3, 56.9, 63.0. Whatever beats scratch at 5 a class by
more than its standard deviation is news.

Measured (5 a class, three draws, 10 minutes of a core): scratch 67.4 +- 2.9, fine-tuned 66.3, joint
trunk with two heads 69.0; one head, the adversary and CoGAN's tied pairs lose 8 to 11 points.

Run:    python -m experiments.vision_to_speech --data-dir DIR --preset cpu
Check:  --smoke     See: --dry-run
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import optax

from experiments.fsdd_speakers import trunk
from gan_mtl import data, games, nets
from gan_mtl.games import Domains, Task
from gan_mtl.run import tables
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm, Config, Spec, chosen_arms
from gan_mtl.run.evaluate import Evaluation, class_scores
from gan_mtl.types import Batch, Game, Optimizer

DIGITS, SPEECH = "digits", "speech"
BOTH = (DIGITS, SPEECH)
BASES = {"digits_frozen": "random"}  # what an arm is to beat, where it is not `scratch`


@dataclass(frozen=True)
class Settings:
    """One arm."""

    tasks: tuple[str, ...] = (SPEECH,)
    """"digits", "speech" or both."""
    one_head: bool = False
    """Whether both have one head, in place of one each."""
    frozen: bool = False
    """Whether the trunk stays as it began."""
    weight: float = 0.0
    """What the ramp of the modality's reversed gradient ends at; 0 is no adversary."""
    digits: float = 1.0
    """Weight of the digits."""
    coupled: bool = False
    """Whether pairs of pictures are made from one latent."""
    tied: float = 0.0
    """Weight of the distance between the features of such a pair."""
    learning_rate: float = 1e-3


def build(settings: Settings, spec: Spec, trained: Mapping[str, Any] | None = None) -> Game:
    """The arm's game; with `trained` its trunk goes on from there, and its heads anew."""
    source, target = spec.sources
    domains = Domains(source, target)
    head = nets.from_linen(nets.Head(10))
    digits = games.source_task(head, domains, name=DIGITS, weight=settings.digits)
    speech = Task(
        SPEECH,
        head,
        source=f"labelled_{domains.images[1]}",
        targets=f"labelled_{domains.labels[1]}",
    )
    adam = optax.adam(settings.learning_rate)
    digits = digits._replace(asks=SPEECH) if settings.one_head else digits
    tasks = tuple(task for task in (digits, speech) if task.name in settings.tasks)
    if settings.coupled:
        return pairs(settings, domains, tasks, spec)
    if settings.weight:
        judge = nets.from_linen(nets.Head(widths=(100, 100), activation=nn.relu))
        ramp = games.dann_schedule(spec.steps, highest=settings.weight)
        return games.dann(trunk(), tasks, judge, adam, domains=domains, weight=ramp)
    optimizer: Optimizer | dict[str, Optimizer] = adam
    if settings.frozen:
        optimizer = {"trunk": optax.set_to_zero(), **{task.group: adam for task in tasks}}
    game = games.multitask(trunk(), tasks, optimizer)
    if trained is None:
        return game
    return game._replace(init=functools.partial(started, game.init, trained["trunk"]))


def pairs(settings: Settings, domains: Domains, tasks: tuple[Task, ...], spec: Spec) -> Game:
    """CoGAN: the network cut after its first convolution, and dense generators."""
    linen, conv = nets.from_linen, {"kernel_size": 5, "activation": nn.relu}
    players = games.CoupledPlayers(
        gen=linen(nets.MLPGenerator((256,), (512,), output="tanh")),
        gen_out=linen(nets.MLPGenerator((), spec.image_shape, output="tanh")),
        front=nets.standardised(linen(nets.ConvTrunk((16,), **conv, output="map"))),
        trunk=linen(nets.ConvTrunk((32,), **conv, features=100)),
        disc=linen(nets.Head()),
    )
    making = optax.adam(2e-4, b1=0.5)
    optimizers = games.Optimizers(gen=making, disc=optax.adam(settings.learning_rate))
    options = {"domains": domains, "tasks": tasks, "features": settings.tied}
    return games.cogan(players, games.Latents(100), optimizers, **options)


def started(init: Any, trained: Mapping[str, Any], key: jax.Array, batch: Batch) -> dict[str, Any]:
    """The game's first variables, but for the trunk."""
    return {**init(key, batch), "trunk": dict(trained)}


def evaluate(e: Evaluation) -> dict[str, Any]:
    """Test accuracy of the tasks that the arm has, and of the modality's features."""
    found = {}
    for source, name in zip(e.dataset.sources, BOTH, strict=True):
        part = data.part(e.dataset, e.dataset.test, source.name)
        asked = (name, f"source/{SPEECH}", SPEECH)  # the second: first layers are MNIST's own
        head = next((head for head in asked if head in e.game.predict), None)
        if head is not None:
            found[f"{name}_accuracy"] = class_scores(e, part, head=head)["test_accuracy"]
    return found


def tabulate(config: Config, cells: tables.Cells) -> str:
    """By arm the accuracy on spoken digits under every label count, and its gain over a control."""
    header = ["spoken digits, test accuracy %"]
    for labels in config.labels:
        header += [f"{labels // 10} a class", "minus its control, 95 %"]
    rows = []
    for name, arm in chosen_arms(config).items():
        if name == DIGITS:
            continue
        row = [arm.text]
        for labels in config.labels:
            found = tables.values(cells, name, "speech_accuracy", labels)
            base = tables.values(cells, BASES.get(name, "scratch"), "speech_accuracy", labels)
            change = tables.paired(found, base) if name not in ("scratch", "random") else None
            row.append(tables.mean_std(found, 100))
            row.append(
                "" if change is None else f"{100 * change.low:+.1f} .. {100 * change.high:+.1f}"
            )
        rows.append(row)
    title = (
        f"{config.seeds} draws of labels, {config.steps} steps of {config.labelled_batch_size} "
        f"labelled clips and {config.batch_size} pictures of either kind; the control is training "
        "from scratch, for the frozen trunk a random one"
    )
    return f"{title}\n\n{tables.markdown(header, rows)}"


CONFIG = Config(
    name="vision_to_speech",
    arms={
        DIGITS: Arm(build, Settings((DIGITS,)), "the trunk on MNIST"),
        "scratch": Arm(build, Settings(), "from scratch"),
        "fine_tuned": Arm(build, Settings(), "fine-tuned after MNIST", after=DIGITS),
        "joint": Arm(build, Settings(BOTH), "one trunk, two heads, both at once"),
        "joint_weak": Arm(build, Settings(BOTH, digits=0.1), "the same, MNIST at 0.1"),
        "one_head": Arm(build, Settings(BOTH, True), "one trunk, one head for both"),
        "adversarial": Arm(
            build, Settings(BOTH, True, weight=0.1), "the same, modality adversary to 0.1"
        ),
        "cogan": Arm(
            build, Settings(BOTH, True, coupled=True, tied=0.01), "CoGAN, pairs' features tied"
        ),
        "cogan_untied": Arm(
            build, Settings(BOTH, True, coupled=True), "the same, features not tied"
        ),
        "random": Arm(build, Settings(frozen=True), "head on a random trunk"),
        "digits_frozen": Arm(
            build, Settings(frozen=True), "head on the trunk of MNIST", after=DIGITS
        ),
    },
    evaluate=evaluate,
    tabulate=tabulate,
    data="joined:part:6000:mnist+plain:fsdd",
    size=32,
    labels=(10, 50, 100, 450),
    steps=1_000,
    seeds=5,
    batch_size=64,
    labelled_batch_size=32,
    log_every=100,
    save_every=1_000,
    sample_every=0,
    feature_steps=0,
    relations_every=0,
    about="two and a half hours of one CPU core",
    presets={
        "smoke": {
            **{"only": ("digits", "fine_tuned", "cogan"), "labels": (10,), "seeds": 1},
            **{"steps": 2, "log_every": 1, "save_every": 2},
            **{"batch_size": 8, "labelled_batch_size": 8},
            "about": "a minute",
        },
        "cpu": {"steps": 600, "seeds": 3, "save_every": 600, "about": "an hour of one CPU core"},
    },
)

if __name__ == "__main__":
    main(CONFIG)
