"""MNIST as in 2014: the first GAN and the first conditional GAN, by Parzen-window log-likelihood.

Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014, table 1: 225 ± 2; Mirza & Osindero,
"Conditional Generative Adversarial Nets", 2014, table 1: 132 ± 1.8. Networks and training as in
their code and text: SGD in batches of 100, rate 0.1 divided by 1.000004 or 1.00004 a step, momentum
from 0.5 to 0.7 over all steps (250 epochs there), both players at once and half of the
discriminator's loss, dropout in it; 50,000 training images. Score: 10,000 samples (1,000 a class),
sigma of ten by 1,000 validation images, mean over 10,000 test images with its standard error over
these. Deviation: the output bias starts at one number, the logit of MNIST's mean pixel, where
theirs has one by pixel.

Kept as history: this score ranks models poorly (Theis et al., ICLR 2016), and MindSpore's code of
the conditional network prints 283. So the real data's own score stands beside it: 10,000 training
images in the samples' place.

Run:    python -m experiments.parzen_mnist --data-dir DIR --preset cpu
Check:  --smoke     See: --dry-run     250 epochs: --preset paper
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import flax.linen as nn
import numpy as np
import optax

from gan_mtl import metrics, nets
from gan_mtl.data import Dataset, to_float
from gan_mtl.games import Latents, Optimizers, Players, at_once, gan
from gan_mtl.run import tables
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm, Config, Spec, chosen_arms
from gan_mtl.run.evaluate import Evaluation
from gan_mtl.types import Game

MEAN = 0.1307  # of MNIST's training pixels
PAPER = {"gan": "225 ± 2", "cgan": "132 ± 1.8"}
linen = nets.from_linen


@dataclass(frozen=True)
class Settings:
    """One arm."""

    network: Literal["goodfellow", "mirza"] = "goodfellow"
    rate: float = 0.1
    decay: float = 1.000004
    """What the rate is divided by at every step, down to 1e-6."""
    rise: float = 1.0
    """Part of the steps over which the momentum rises from 0.5 to 0.7."""


def sgd(settings: Settings, steps: int) -> optax.GradientTransformation:
    """Momentum rises linearly over the steps, the rate falls by a factor a step."""
    rate = optax.exponential_decay(settings.rate, 1, 1 / settings.decay, end_value=1e-6)
    momentum = optax.linear_schedule(0.5, 0.7, max(int(settings.rise * steps), 1))
    return optax.inject_hyperparams(optax.sgd)(learning_rate=rate, momentum=momentum)


def build(settings: Settings, spec: Spec) -> Game:
    """The unconditional or the conditional pair."""
    half = replace(settings, rate=settings.rate / 2)
    optimizers = Optimizers(gen=sgd(settings, spec.steps), disc=sgd(half, spec.steps))
    if settings.network == "mirza":
        players = Players(
            gen=linen(nets.MirzaGenerator(spec.image_shape)),
            trunk=linen(nets.mirza_trunk()),
            disc=linen(nets.MirzaHead(spec.num_classes)),
        )
        latents = Latents(100, "uniform", 0.0, 1.0)
        classes = spec.num_classes
        game = gan(players, latents, optimizers, condition="projection", num_classes=classes)
        return at_once(game)
    bias = nn.initializers.constant(math.log(MEAN / (1 - MEAN)))
    players = Players(
        gen=linen(nets.GoodfellowGenerator(spec.image_shape, bias_init=bias)),
        trunk=linen(nets.GoodfellowTrunk()),
        disc=linen(nets.GoodfellowHead()),
    )
    game = gan(players, Latents(100), optimizers)
    return at_once(game)


def evaluate(e: Evaluation, count: int = 10_000) -> dict[str, Any]:
    """The protocol's score, of as many samples and test images."""
    asked = np.repeat(np.arange(10), count // 10) if e.game.classes else None
    return _score(e.sample(count, asked), e.dataset, count)


def real(settings: Any, dataset: Dataset, seed: int) -> dict[str, Any]:
    """Training images in the place of samples."""
    del settings
    if dataset.train.num_examples < 10_000:
        raise ValueError(
            f"{dataset.train.num_examples} training images: 10,000 stand in the samples' place; "
            "leave --fraction out."
        )
    chosen = np.random.default_rng(seed).choice(dataset.train.num_examples, 10_000, replace=False)
    return _score(to_float(dataset.train.images[chosen], 0.0, 1.0), dataset)


def _score(samples: np.ndarray, dataset: Dataset, count: int = 10_000) -> dict[str, Any]:
    if dataset.validation is None:
        raise ValueError("validation=0: sigma is chosen on validation images; give 1000 or more.")
    validation = to_float(dataset.validation.images[:1000], 0.0, 1.0)
    test = to_float(dataset.test.images[:count], 0.0, 1.0)
    found = metrics.parzen_score(samples, validation, test)
    return {
        "log_likelihood": found.mean,
        "standard_error": found.standard_error,
        "sigma": found.sigma,
    }


def tabulate(config: Config, cells: tables.Cells) -> str:
    """Score by arm; the error is over test images, as in the papers."""
    rows = []
    for name, arm in chosen_arms(config).items():
        found = tables.values(cells, name, "log_likelihood")
        errors = tables.values(cells, name, "standard_error")
        sigmas = tables.values(cells, name, "sigma")
        error = f"{np.mean(list(errors.values())):.1f}" if errors else "-"
        sigma = ", ".join(sorted({f"{s:.3f}" for s in sigmas.values()}))
        mean = tables.mean_std(found, 1, 0)
        rows.append([arm.text, mean, error, sigma, PAPER.get(name, "")])
    header = [
        "arm",
        "log-likelihood (nats), over seeds",
        "error over test images",
        "sigma",
        "paper",
    ]
    title = f"{config.seeds} seeds, {config.steps} steps of {config.batch_size}"
    return f"{title}\n\n{tables.markdown(header, rows)}"


CONFIG = Config(
    name="parzen_mnist",
    arms={
        "gan": Arm(build, Settings(), "GAN, 2014"),
        "cgan": Arm(build, Settings("mirza", decay=1.00004), "conditional GAN, 2014"),
        "real": Arm(None, fit=real, text="10,000 training images"),
    },
    evaluate=evaluate,
    tabulate=tabulate,
    data="mnist",
    validation=10_000,
    value_range=(0.0, 1.0),
    steps=125_000,
    seeds=3,
    batch_size=100,
    feature_steps=0,
    log_every=500,
    save_every=5_000,
    sample_every=5_000,
    about="hours on 2 CPU cores",
    presets={
        "smoke": {
            **{"only": ("gan", "cgan"), "steps": 2, "seeds": 1, "log_every": 1, "save_every": 2},
            **{"sample_every": 2, "evaluate": functools.partial(evaluate, count=100)},
            "about": "a minute",
        },
        "cpu": {"steps": 20_000, "seeds": 1, "about": "half an hour on 2 CPU cores"},
        "paper": {},
    },
)

if __name__ == "__main__":
    main(CONFIG)
