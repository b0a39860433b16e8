"""Stacked MNIST: how many of a thousand modes does a DCGAN find, and one that judges packs?

Lin et al., "PacGAN: The power of two samples in generative adversarial networks", NeurIPS 2018,
tables 2 and 3: 26,000 samples, the digit of every channel by a classifier, modes found of 1000 and
KL(generated || uniform) in nats. `veegan` is the set-up of table 2 (a DCGAN of four layers, Adam
2e-4, batches of 64, two generator updates a step), `small` that of table 3 with a discriminator a
quarter or half as wide as the generator. Deviations: batches of 60 images, which 2, 3 and 4 divide;
channels are drawn from the training digits alone, images lie in -1 .. 1 (there 0 .. 1 under a
tanh), the generator's two updates are one at twice the rate, and the classifier is ours, named by
its hash. `cpu` has 16 pixels, narrow networks and a tenth of an epoch: its numbers compare with
nothing but each other.

Expected (paper): DCGAN 78.9 modes (KL 4.50), PacDCGAN2 1000 (0.06); table 3, a quarter: 78.5 (5.21)
and 484.5 (2.61), half: 487.7 (2.24) and 840.7 (1.00).

Run:    python -m experiments.stacked_mnist --data-dir DIR --preset cpu
Check:  --smoke     See: --dry-run     50 epochs, ten seeds: --preset paper (a GPU)
"""

from __future__ import annotations

import functools
import pathlib
from dataclasses import dataclass, replace
from typing import Any

import optax

from gan_mtl import data, metrics, nets, parallel
from gan_mtl.data import Dataset, Split
from gan_mtl.games import Extras, Latents, Optimizers, Players, gan
from gan_mtl.run import tables
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm, Config, Spec, chosen_arms
from gan_mtl.run.evaluate import Evaluation, FeatureNetwork, train_features, unit_range
from gan_mtl.types import Game

PAPER = {
    "dcgan": "78.9 ± 6.46 / 4.50 ± 0.127",
    "pac2": "1000 ± 0 / 0.06 ± 0.003",
    "pac3": "1000 / 0.06",
    "pac4": "1000 / 0.07",
    "quarter": "78.5 ± 17.56 / 5.21 ± 0.19",
    "quarter_pac2": "484.5 ± 32.99 / 2.61 ± 0.22",
    "half": "487.7 ± 34.59 / 2.24 ± 0.15",
    "half_pac2": "840.7 ± 15.92 / 1.00 ± 0.05",
}


@dataclass(frozen=True)
class Settings:
    """One arm."""

    pack: int = 1
    gen_width: int = 64
    disc_width: int = 64
    norm: bool = True
    """Batch normalisation in the discriminator, as in the DCGAN."""
    latents: int = 100
    gen_rate: float = 4e-4
    disc_rate: float = 2e-4
    b2: float = 0.999


def build(settings: Settings, spec: Spec) -> Game:
    """A pair of DCGANs."""
    side, _, channels = spec.image_shape
    trunk = nets.DCGANTrunk(side, settings.disc_width, "batch" if settings.norm else None)
    return gan(
        Players(
            gen=nets.from_linen(nets.DCGANGenerator(side, channels, settings.gen_width)),
            trunk=nets.from_linen(trunk),
            disc=nets.from_linen(nets.Head()),
        ),
        Latents(settings.latents, "uniform"),
        Optimizers(
            gen=optax.adam(settings.gen_rate, b1=0.5, b2=settings.b2),
            disc=optax.adam(settings.disc_rate, b1=0.5, b2=settings.b2),
        ),
        extras=Extras(pack=settings.pack),
    )


def evaluate(e: Evaluation, count: int = 26_000, steps: int | None = None) -> dict[str, Any]:
    """Modes and KL of as many samples.

    Args:
        steps: of the classifier's training; by default the library's.
    """
    judge = classifier(e.dataset, steps)
    images = unit_range(e.sample(count, None), e.spec.value_range)
    digits = [judge.classify(images[..., i : i + 1]) for i in range(3)]
    found = metrics.class_coverage(100 * digits[0] + 10 * digits[1] + digits[2], 1000)
    return {
        "modes": found.modes,
        "kl": found.reverse_kl,
        "samples": count,
        "classifier": f"{judge.name}, {judge.accuracy:.2%}, hash {judge.digest}",
    }


def classifier(dataset: Dataset, steps: int | None) -> FeatureNetwork:
    """The library's scoring network, trained on the first channel of the training images."""
    train, test = (
        Split(split.images[:60_000, ..., :1], split.targets["first"][:60_000])
        for split in (dataset.train, dataset.test)
    )
    names = tuple(map(str, range(10)))
    grey = data.assemble("one channel of stacked_mnist", train, test, names, source="stacked_mnist")
    folder = pathlib.Path(parallel.enable_compilation_cache()).parent
    return train_features(grey, folder, steps)


def tabulate(config: Config, cells: tables.Cells) -> str:
    """Modes and KL by arm, and the paper's."""
    rows = []
    counts: set[float] = set()
    for name, arm in chosen_arms(config).items():
        modes, kl = (tables.values(cells, name, score) for score in ("modes", "kl"))
        counts |= set(tables.values(cells, name, "samples").values())
        scores = [tables.mean_std(modes, 1, 1), tables.mean_std(kl, 1, 2)]
        rows.append([arm.text, *scores, PAPER.get(name, "")])
    header = ["arm", "modes of 1000", "KL", "paper (modes / KL)"]
    drawn = ", ".join(f"{int(n):,}" for n in sorted(counts)) or "no"
    budget = f"{config.seeds} seeds, {config.steps} steps of {config.batch_size}"
    return f"{budget}, {drawn} samples\n\n{tables.markdown(header, rows)}"


SMALL = Settings(latents=256, gen_rate=1e-4, b2=0.99, norm=False)
ARMS = {
    "dcgan": Arm(build, Settings(), "DCGAN"),
    "pac2": Arm(build, Settings(2), "PacDCGAN2"),
    "pac3": Arm(build, Settings(3), "PacDCGAN3"),
    "pac4": Arm(build, Settings(4), "PacDCGAN4"),
    "quarter": Arm(build, replace(SMALL, disc_width=16), "D = G / 4"),
    "quarter_pac2": Arm(build, replace(SMALL, disc_width=16, pack=2), "D = G / 4, PacDCGAN2"),
    "half": Arm(build, replace(SMALL, disc_width=32), "D = G / 2"),
    "half_pac2": Arm(build, replace(SMALL, disc_width=32, pack=2), "D = G / 2, PacDCGAN2"),
}


def narrow(arm: Arm) -> Arm:
    """The arm with half the channels."""
    widths = {
        "gen_width": arm.settings.gen_width // 2,
        "disc_width": arm.settings.disc_width // 2,
    }
    return replace(arm, settings=replace(arm.settings, **widths))


CONFIG = Config(
    name="stacked_mnist",
    arms=ARMS,
    evaluate=evaluate,
    tabulate=tabulate,
    data="stacked_mnist",
    steps=100_000,
    seeds=10,
    batch_size=60,
    feature_steps=0,
    log_every=250,
    save_every=5_000,
    sample_every=5_000,
    relations_every=0,
    about="days on 2 CPU cores, a day on a GPU",
    presets={
        "smoke": {
            "only": ("quarter_pac2",),
            **{"steps": 2, "seeds": 1, "log_every": 1, "save_every": 2, "sample_every": 2},
            **{"size": 16, "batch_size": 12, "about": "a minute"},
            "evaluate": functools.partial(evaluate, count=200, steps=20),
        },
        "cpu": {
            "arms": {name: narrow(arm) for name, arm in ARMS.items()},
            **{"size": 16, "steps": 1_000, "seeds": 2, "save_every": 1_000, "sample_every": 1_000},
            "evaluate": functools.partial(evaluate, count=26_000),
            "about": "a quarter of an hour on 2 CPU cores",
        },
        "paper": {},
    },
)

if __name__ == "__main__":
    main(CONFIG)
