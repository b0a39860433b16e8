"""MNIST and Fashion-MNIST under every adversarial loss: one network, one budget, one classifier.

DCGANs (Radford et al. 2016), Adam 2e-4 (beta1 0.5), batches of 64, averaged generator. Samples are
scored by Frechet distance, kernel distance and PRDC under a small classifier of ours, trained on
the training images and named by its hash: these distances compare with nothing outside this table.
The order of methods is set beside that of Lucic et al., "Are GANs Created Equal?", NeurIPS 2018
(best Frechet distance under the Inception network of a wide search, as reprinted by Dai & Wipf
2019): their point is that the order is mostly one of budgets. A VAE of the same networks stands
beside them, the discriminator's trunk as its encoder, with grey pixels as Bernoulli ones.

Expected: no order that holds over both sets; saturating and clipped losses behind at equal budget.

Run:    python -m experiments.mnist_gan_zoo --data-dir DIR --preset cpu [--data fashion_mnist]
Check:  --smoke     See: --dry-run     20 epochs at 28 pixels, ten seeds: --preset paper (a GPU)
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import optax

from gan_mtl import games, losses, nets
from gan_mtl.games import Extras, Latents, Optimizers, Penalty, Players, gan, gan_rows
from gan_mtl.losses import AdversarialLoss
from gan_mtl.losses.augment import diff_augment
from gan_mtl.run import tables
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm, Config, Spec, chosen_arms
from gan_mtl.run.evaluate import Evaluation, sample_scores
from gan_mtl.types import Game

LUCIC = {  # best Frechet distances, MNIST and Fashion-MNIST; only their order is used
    "minimax": (9.8, 29.6),
    "non_saturating": (6.8, 26.5),
    "least_squares": (7.8, 30.7),
    "wgan": (6.7, 21.5),
    "wgan_gp": (20.3, 24.5),
    "dragan": (7.6, 27.7),
}
SETS = ("mnist", "fashion_mnist")
Loss = Literal[
    "minimax",
    "non_saturating",
    "least_squares",
    "hinge",
    "wasserstein",
    "relativistic",
    "relativistic_average",
]
LOSSES: dict[Loss, AdversarialLoss] = {
    "minimax": losses.minimax,
    "non_saturating": losses.non_saturating,
    "least_squares": losses.least_squares,
    "hinge": losses.hinge,
    "wasserstein": losses.wasserstein,
    "relativistic": losses.relativistic,
    "relativistic_average": losses.relativistic_average(),
}


@dataclass(frozen=True)
class Settings:
    """One arm."""

    loss: Loss = "non_saturating"
    penalty: Literal["", "gradient_penalty", "r1", "r1_r2", "dragan"] = ""
    weight: float = 1.0
    """Of the penalty."""
    clip: float = 0.0
    """Largest weight of the critic; 0 does not clip."""
    spectral: bool = False
    extra: Literal["", "lecam", "consistency", "diff_augment", "top_k"] = ""
    disc_repeats: int = 1
    width: int = 32
    learning_rate: float = 2e-4
    b1: float = 0.5
    half_life: float = 5_000.0


def penalties(settings: Settings) -> tuple[Penalty, ...]:
    """The penalty's rows; R1 and R2 have the weight itself as their coefficient."""
    return {
        "": (),
        "gradient_penalty": (gan_rows.gradient_penalty(settings.weight),),
        "r1": (gan_rows.r1(2 * settings.weight),),
        "r1_r2": (gan_rows.r1(2 * settings.weight), gan_rows.r2(2 * settings.weight)),
        "dragan": (gan_rows.dragan(settings.weight),),
    }[settings.penalty]


def extras(settings: Settings, spec: Spec) -> Extras:
    """What stands beside the loss."""
    if settings.extra == "lecam":
        return Extras(disc_rows=(gan_rows.lecam(start=spec.steps // 10),))
    if settings.extra == "consistency":
        view = functools.partial(diff_augment, policy=("translation",))
        return Extras(disc_rows=(gan_rows.consistency(view),))
    if settings.extra == "diff_augment":
        return Extras(augment=gan_rows.diff_augmentation(("translation",)))
    if settings.extra == "top_k":
        return Extras(top_k=gan_rows.top_k(max(spec.steps // 50, 1)))
    return Extras()


def build(settings: Settings, spec: Spec) -> Game:
    """The pair of DCGANs."""
    side, _, channels = spec.image_shape
    norm = "spectral" if settings.spectral else None
    trunk = nets.DCGANTrunk(side, settings.width, norm=norm, kernel_init=nets.lecun)
    adam = functools.partial(optax.adam, settings.learning_rate, b1=settings.b1)
    disc = optax.chain(adam(), losses.clip_weights(settings.clip)) if settings.clip else adam()
    return gan(
        Players(
            gen=nets.from_linen(nets.DCGANGenerator(side, channels, settings.width)),
            trunk=nets.from_linen(trunk),
            disc=nets.from_linen(nets.Head()),
        ),
        Latents(64),
        Optimizers(gen=adam(), disc=disc),
        adversarial=LOSSES[settings.loss],
        penalties=penalties(settings),
        extras=extras(settings, spec),
        disc_repeats=settings.disc_repeats,
        ema={"gen": settings.half_life},
    )


def build_vae(settings: Settings, spec: Spec) -> Game:
    """The pair's trunk as an encoder, its generator as a decoder; of the settings three count."""
    side, _, channels = spec.image_shape
    encoder, decoder = nets.dcgan_vae(side, channels, 64, settings.width)
    return games.vae(
        nets.from_linen(encoder),
        nets.from_linen(decoder),
        64,
        optax.adam(settings.learning_rate),
        likelihood=games.Likelihood("bernoulli", *spec.value_range),
        ema={"decoder": settings.half_life},
    )


def evaluate(e: Evaluation, count: int = 5_000) -> dict[str, Any]:
    """Scores of samples against the test images."""
    return sample_scores(e, count)


def tabulate(config: Config, cells: tables.Cells) -> str:
    """Scores by arm, and the order by Frechet distance beside Lucic's."""
    arms = chosen_arms(config)
    found = {name: tables.values(cells, name, "frechet") for name in arms}
    means = {name: float(np.mean(list(v.values()))) for name, v in found.items() if v}
    theirs = {n: LUCIC[n][SETS.index(config.data)] for n in LUCIC} if config.data in SETS else {}
    ours, order = _ranks({n: means[n] for n in theirs if n in means}), _ranks(theirs)
    rows = []
    for name, arm in arms.items():
        scores = [tables.mean_std(found[name], 1, 1)]
        for score, scale, digits in (("kernel", 1, 0), ("precision", 1, 2), ("recall", 1, 2)):
            scores.append(tables.mean_std(tables.values(cells, name, score), scale, digits))
        for score in ("density", "coverage"):
            scores.append(tables.mean_std(tables.values(cells, name, score), 1, 2))
        rows.append([arm.text, *scores, str(ours.get(name, "")), str(order.get(name, ""))])
    header = ["arm", "Frechet", "kernel", "precision", "recall", "density", "coverage"]
    header += ["place of these", "in Lucic et al."]
    title = f"{config.data}, {config.seeds} seeds, {config.steps} steps of {config.batch_size}"
    return f"{title}\n\n{tables.markdown(header, rows)}"


def _ranks(values: dict[str, float]) -> dict[str, int]:
    return {name: i + 1 for i, name in enumerate(sorted(values, key=lambda n: values[n]))}


NS = Settings()
ARMS = {
    "minimax": Arm(build, Settings("minimax"), "minimax (saturating)"),
    "non_saturating": Arm(build, NS, "non-saturating"),
    "least_squares": Arm(build, Settings("least_squares"), "least squares"),
    "hinge": Arm(build, Settings("hinge"), "hinge"),
    "wgan": Arm(build, Settings("wasserstein", clip=0.05, disc_repeats=2), "WGAN, clipped"),
    "wgan_gp": Arm(
        build, Settings("wasserstein", "gradient_penalty", 10.0, disc_repeats=2), "WGAN-GP"
    ),
    "dragan": Arm(build, replace(NS, penalty="dragan", weight=10.0), "DRAGAN"),
    "relativistic": Arm(build, Settings("relativistic"), "relativistic"),
    "relativistic_average": Arm(build, Settings("relativistic_average"), "relativistic average"),
    "r1": Arm(build, replace(NS, penalty="r1"), "non-saturating + R1"),
    "r1_r2": Arm(build, Settings("relativistic", "r1_r2"), "relativistic + R1 + R2"),
    "spectral": Arm(build, Settings("hinge", spectral=True), "hinge + spectral norm"),
    "lecam": Arm(build, replace(NS, extra="lecam"), "non-saturating + LeCam"),
    "consistency": Arm(build, replace(NS, extra="consistency"), "non-saturating + consistency"),
    "diff_augment": Arm(build, replace(NS, extra="diff_augment"), "non-saturating + DiffAugment"),
    "top_k": Arm(build, replace(NS, extra="top_k"), "non-saturating + top-k"),
    "vae": Arm(build_vae, Settings(learning_rate=1e-3), "VAE, cross-entropy"),
}

CONFIG = Config(
    name="mnist_gan_zoo",
    arms={
        name: replace(arm, settings=replace(arm.settings, width=64)) for name, arm in ARMS.items()
    },
    evaluate=evaluate,
    tabulate=tabulate,
    data="mnist",
    steps=18_750,
    seeds=10,
    batch_size=64,
    log_every=250,
    save_every=1_000,
    sample_every=1_000,
    about="days on 2 CPU cores, hours on a GPU",
    presets={
        "smoke": {
            "only": ("wgan_gp", "lecam"),
            **{"steps": 2, "seeds": 1, "log_every": 1, "save_every": 2, "sample_every": 2},
            **{"size": 16, "batch_size": 16, "feature_steps": 20, "about": "a minute"},
            "evaluate": functools.partial(evaluate, count=500),
        },
        "cpu": {
            **{"arms": ARMS, "size": 16, "steps": 2_000, "seeds": 2},
            "about": "an hour on 2 CPU cores",
        },
        "paper": {},
    },
)

if __name__ == "__main__":
    main(CONFIG)
