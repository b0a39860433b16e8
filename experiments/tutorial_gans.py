"""The small MNIST GANs of tutorials, and the remedies that tutorials name, one at a time.

Four configurations: `small` (100 - 128 - 784 against 784 - 128 - 1), `wide` (1024 - 1024 against
5x5 convolutions of 64 to 512 channels), `tapered` (128 - 256 against 256 - 128, tanh) and `decayed`
(the same with a sigmoid, latents uniform on (-1, 1) and Adam's rate 1e-3 x 0.9^(step / 1000)), in
which only what could not work is corrected: logits go to the losses, every player has its own.
Then `decayed` with one change each: depth, optimizer, a constant rate, ReLU, a Wasserstein loss
(clipped; gradient penalty), R1, spectral norm, both players at once under one combined loss; and
with what helps together. `--fraction 0.1` is the change of data.

A run has diverged if its last Frechet distance is above twice its own best one; the fixed score is
a distance of 300, under the library's classifier.

Expected: without a penalty nothing gets near; R1 and WGAN-GP do, alone.

Run:    python -m experiments.tutorial_gans --data-dir DIR --preset cpu [--fraction 0.1]
Check:  --smoke     See: --dry-run     10,000 steps, ten seeds: --preset paper
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import numpy as np
import optax

from gan_mtl import losses, metrics, nets
from gan_mtl.data import to_float
from gan_mtl.games import Latents, Optimizers, Players, at_once, gan, gan_rows
from gan_mtl.run import tables
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm, Config, Spec, chosen_arms
from gan_mtl.run.evaluate import Evaluation, needed_features, unit_range
from gan_mtl.types import Game

GOAL = 300.0
ADVERSARIAL = {"non_saturating": losses.non_saturating, "wasserstein": losses.wasserstein}
OUTPUTS: dict[tuple[float, float], Literal["tanh", "sigmoid"]] = {
    (-1.0, 1.0): "tanh",
    (0.0, 1.0): "sigmoid",
}


@dataclass(frozen=True)
class Settings:
    """One arm: the configuration `decayed` with changes."""

    gen: tuple[int, ...] = (128, 256)
    disc: tuple[int, ...] = (256, 128)
    convolutions: bool = False
    """A discriminator of 5x5 convolutions of stride 2 with the widths of `disc`."""
    relu: bool = False
    """In place of leaky ReLU."""
    uniform: bool = True
    """Latents uniform on (-1, 1), or normal."""
    optimizer: Literal["adam", "sgd", "rmsprop", "optimistic_adam"] = "adam"
    learning_rate: float = 1e-3
    decay: float = 0.9
    """Of the rate, over 1000 steps; 1 is constant."""
    loss: Literal["non_saturating", "wasserstein"] = "non_saturating"
    penalty: Literal["", "gradient_penalty", "r1"] = ""
    weight: float = 1.0
    clip: float = 0.0
    spectral: bool = False
    at_once: bool = False
    """Both players move at once, by the gradients of one combined loss."""


def optimizer(settings: Settings) -> optax.GradientTransformation:
    """With the rate's decay."""
    rate = optax.exponential_decay(settings.learning_rate, 1000, settings.decay)
    makers = {
        "adam": optax.adam,
        "sgd": optax.sgd,
        "rmsprop": optax.rmsprop,
        "optimistic_adam": optax.optimistic_adam_v2,
    }
    return makers[settings.optimizer](rate)


def build(settings: Settings, spec: Spec) -> Game:
    """The pair of networks and their game."""
    if spec.value_range not in OUTPUTS:
        raise ValueError(f"value_range={spec.value_range} is not one of {list(OUTPUTS)}.")
    activation = jax.nn.relu if settings.relu else nets.leaky_relu
    output = OUTPUTS[spec.value_range]
    if settings.convolutions:
        trunk = nets.ConvTrunk(settings.disc, kernel_size=5)
    else:
        norm = "spectral" if settings.spectral else None
        trunk = nets.MLPTrunk(settings.disc, activation, kernel_norm=norm)
    penalties = {
        "": (),
        "gradient_penalty": (gan_rows.gradient_penalty(settings.weight),),
        "r1": (gan_rows.r1(2 * settings.weight),),
    }
    disc = optimizer(settings)
    disc = optax.chain(disc, losses.clip_weights(settings.clip)) if settings.clip else disc
    game = gan(
        Players(
            gen=nets.from_linen(
                nets.MLPGenerator(settings.gen, spec.image_shape, activation, output)
            ),
            trunk=nets.from_linen(trunk),
            disc=nets.from_linen(nets.Head()),
        ),
        Latents(100, "uniform" if settings.uniform else "normal"),
        Optimizers(gen=optimizer(settings), disc=disc),
        adversarial=ADVERSARIAL[settings.loss],
        penalties=penalties[settings.penalty],
    )
    return at_once(game) if settings.at_once else game


def evaluate(e: Evaluation, count: int = 2_000) -> dict[str, Any]:
    """Frechet distance of as many samples to as many test images."""
    judge = needed_features(e)
    real = to_float(e.dataset.test.images[:count])
    fake = unit_range(e.sample(count, None), e.spec.value_range)
    moments = [metrics.moments(judge.features(x)) for x in (real, fake)]
    return {"frechet": metrics.frechet_distance(*moments[0], *moments[1])}


def diverged(history: list[float]) -> bool:
    """Whether a run has ended far from its best."""
    return history[-1] > 2 * min(history)


def tabulate(config: Config, cells: tables.Cells) -> str:
    """Final distance, share of diverged runs, steps to the goal."""
    rows = []
    for name, arm in chosen_arms(config).items():
        runs = [cell for cell in cells if cell["arm"] == name and cell["scores"] is not None]
        paths = [[(x["step"], x["frechet"]) for x in run.get("evaluations", ())] for run in runs]
        paths = [path for path in paths if path]
        bad = sum(diverged([score for _, score in path]) for path in paths)
        reached = [next((s for s, score in path if score <= GOAL), None) for path in paths]
        steps = [s for s in reached if s is not None]
        rows.append(
            [
                arm.text,
                tables.mean_std(tables.values(cells, name, "frechet"), 1, 0),
                f"{bad} of {len(paths)}",
                f"{len(steps)} of {len(paths)}" + (f", {int(np.mean(steps))}" if steps else ""),
            ]
        )
    header = ["arm", "Frechet", "diverged", f"reached {GOAL:g}, after steps"]
    part = "" if config.fraction == 1 else f", {config.fraction:g} of the training images"
    title = (
        f"{config.data}, {config.seeds} seeds, {config.steps} steps of {config.batch_size}{part}"
    )
    return f"{title}\n\n{tables.markdown(header, rows)}"


BASE = Settings()
CRITIC = replace(BASE, loss="wasserstein")
ARMS = {
    "small": Arm(
        build,
        replace(BASE, gen=(128,), disc=(128,), relu=True, uniform=False, decay=1.0),
        "small",
    ),
    "wide": Arm(
        build,
        Settings((1024, 1024), (64, 128, 256, 512), True, learning_rate=2e-4, decay=1.0),
        "wide (convolutional discriminator)",
    ),
    "tapered": Arm(build, replace(BASE, uniform=False, learning_rate=2e-4, decay=1.0), "tapered"),
    "decayed": Arm(build, BASE, "decayed"),
    "deeper": Arm(
        build, replace(BASE, gen=(128, 256, 512, 512), disc=(512, 512, 256, 128)), "deeper"
    ),
    "sgd": Arm(build, replace(BASE, optimizer="sgd", learning_rate=0.1), "SGD"),
    "rmsprop": Arm(build, replace(BASE, optimizer="rmsprop"), "RMSProp"),
    "optimistic": Arm(build, replace(BASE, optimizer="optimistic_adam"), "optimistic Adam"),
    "constant": Arm(build, replace(BASE, decay=1.0), "constant rate"),
    "relu": Arm(build, replace(BASE, relu=True), "ReLU"),
    "wgan": Arm(build, replace(CRITIC, clip=0.01), "Wasserstein, clipped"),
    "wgan_gp": Arm(
        build, replace(CRITIC, penalty="gradient_penalty", weight=10.0), "Wasserstein, GP"
    ),
    "r1": Arm(build, replace(BASE, penalty="r1"), "R1"),
    "spectral": Arm(build, replace(BASE, spectral=True), "spectral norm"),
    "at_once": Arm(build, replace(BASE, at_once=True), "one combined loss, at once"),
    "together": Arm(
        build,
        replace(BASE, gen=(128, 256, 512, 512), disc=(512, 512, 256, 128), penalty="r1"),
        "deeper + R1",
    ),
}

CONFIG = Config(
    name="tutorial_gans",
    arms=ARMS,
    evaluate=evaluate,
    tabulate=tabulate,
    data="mnist",
    value_range=(0.0, 1.0),
    steps=10_000,
    seeds=10,
    batch_size=64,
    log_every=500,
    eval_every=500,
    save_every=5_000,
    sample_every=5_000,
    relations_every=0,
    about="days on 2 CPU cores, hours on a GPU",
    presets={
        "smoke": {
            "only": ("decayed", "at_once"),
            **{"steps": 2, "seeds": 1, "log_every": 1, "eval_every": 1, "save_every": 2},
            **{"sample_every": 2, "feature_steps": 20, "about": "a minute"},
            "evaluate": functools.partial(evaluate, count=200),
        },
        "cpu": {
            **{"steps": 4_000, "seeds": 3, "save_every": 4_000, "sample_every": 4_000},
            "only": tuple(
                name for name in ARMS if name != "wide"
            ),  # the convolutional one wants a GPU
            "about": "half an hour on 2 CPU cores",
        },
        "paper": {},
    },
)

if __name__ == "__main__":
    main(CONFIG)
