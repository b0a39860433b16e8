"""CIFAR-10 by residual GANs, after the protocol of mimicry's tables.

ResNets of 32 pixels, batches of 64, Adam 2e-4 (beta 0, 0.9), five discriminator updates a step,
100,000 steps with the rate falling linearly to 0; hinge loss under spectral norm (Miyato et al.,
"Spectral Normalization for Generative Adversarial Networks", ICLR 2018), its projection
discriminator (Miyato & Koyama, "cGANs with Projection Discriminator", ICLR 2018), and WGAN-GP
(Gulrajani et al., "Improved Training of Wasserstein GANs", NeurIPS 2017).

Full CIFAR-10 and the Inception weights are the user's to supply: `--data cifar10 --preset paper`,
and the weights' file (pt_inception-2015-12-05-6726825d.pth) in the variable GAN_MTL_INCEPTION.
Scores are then 50,000 samples against 50,000 training images; without the file they are under
the library's own classifier. Here: the subset, for a picture.

Expected (mimicry, 50,000 against 50,000): FID 16.77 ± 0.04 (SNGAN), 10.84 ± 0.03 (projection),
22.29 ± 0.06 (WGAN-GP).

Run:    python -m experiments.cifar10_sngan --data-dir DIR --preset cpu
Check:  --smoke     See: --dry-run     The protocol: --preset paper (a GPU)
"""

from __future__ import annotations

import functools
import os
import pathlib
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import optax

from gan_mtl import losses, metrics, nets, parallel
from gan_mtl.games import Latents, Optimizers, Players, gan, gan_rows
from gan_mtl.metrics import Moments
from gan_mtl.nets.inception import inception_features, inception_params, inception_preprocess
from gan_mtl.nets.state_dict import read_state_dict
from gan_mtl.run import tables
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm, Config, Spec, chosen_arms
from gan_mtl.run.evaluate import Evaluation, sample_scores, unit_range
from gan_mtl.types import Game

VARIABLE = "GAN_MTL_INCEPTION"
PAPER = {"sngan": "16.77 ± 0.04", "projection": "10.84 ± 0.03", "wgan_gp": "22.29 ± 0.06"}


@dataclass(frozen=True)
class Settings:
    """One arm."""

    kind: Literal["sngan", "projection", "wgan_gp"] = "sngan"
    gen_width: int | None = None
    """Channels of the narrowest block; None is the paper's."""
    disc_width: int | None = None
    repeats: int = 5
    learning_rate: float = 2e-4


def build(settings: Settings, spec: Spec) -> Game:
    """The pair of ResNets."""
    side, _, channels = spec.image_shape
    conditional = settings.kind == "projection"
    critic = settings.kind == "wgan_gp"
    gen = nets.sngan_generator(side, channels, width=settings.gen_width, conditional=conditional)
    trunk = nets.sngan_trunk(side, width=settings.disc_width, spectral=not critic)
    head = nets.ProjectionHead(spec.num_classes) if conditional else nets.Head()
    rate = optax.linear_schedule(settings.learning_rate, 0.0, spec.steps)
    fast = optax.linear_schedule(settings.learning_rate, 0.0, spec.steps * settings.repeats)
    return gan(
        Players(nets.from_linen(gen), nets.from_linen(trunk), nets.from_linen(head)),
        Latents(128),
        Optimizers(gen=optax.adam(rate, 0.0, 0.9), disc=optax.adam(fast, 0.0, 0.9)),
        adversarial=losses.wasserstein if critic else losses.hinge,
        penalties=(gan_rows.gradient_penalty(10.0),) if critic else (),
        condition="projection" if conditional else "none",
        num_classes=spec.num_classes if conditional else None,
        disc_repeats=settings.repeats,
    )


def evaluate(e: Evaluation, count: int = 50_000) -> dict[str, Any]:
    """FID under the user's Inception weights, or the library's scores under its own classifier."""
    file = os.environ.get(VARIABLE)
    if not file:
        return sample_scores(e, min(count, 10_000))
    params = inception_params(read_state_dict(pathlib.Path(file).read_bytes()))
    features = parallel.compile_function(
        lambda x: inception_features(params, inception_preprocess(x, "legacy"))
    )

    def moments(images: np.ndarray) -> Moments:
        found = Moments.empty(2048)
        for start in range(0, len(images), 500):
            found = found.add(np.asarray(features(images[start : start + 500])))
        return found

    asked = np.arange(count) % e.game.classes if e.game.classes else None
    sampled = unit_range(e.sample(count, asked), e.spec.value_range)
    fakes = np.clip((sampled + 1) * 127.5 + 0.5, 0, 255).astype(np.uint8)
    fake, real = moments(fakes), moments(e.dataset.train.images)
    return {
        "fid": metrics.frechet_distance(fake.mean, fake.cov, real.mean, real.cov),
        "protocol": {
            "features": "Inception 2015-12-05, legacy resizer",
            "features_hash": metrics.weights_hash(params),
            "real": f"{real.count} training images",
            "fake": fake.count,
            "ema": False,
        },
    }


def tabulate(config: Config, cells: tables.Cells) -> str:
    """FID where it was measured, else the distance under the library's classifier."""
    rows = []
    for name, arm in chosen_arms(config).items():
        fid, own = (tables.values(cells, name, score) for score in ("fid", "frechet"))
        measured = tables.mean_std(fid, 1, 2) if fid else "not measured here"
        rows.append([arm.text, measured, tables.mean_std(own, 1, 1), PAPER[name]])
    header = ["arm", "FID", "Frechet, own classifier", "mimicry (FID)"]
    budget = f"{config.steps} steps of {config.batch_size}"
    return f"{config.data}, {config.seeds} seeds, {budget}\n\n{tables.markdown(header, rows)}"


def arms(**widths: int) -> dict[str, Arm]:
    """The rows, in the papers' widths or narrower."""
    return {
        "sngan": Arm(build, Settings("sngan", **widths), "SNGAN"),
        "projection": Arm(build, Settings("projection", **widths), "projection discriminator"),
        "wgan_gp": Arm(build, Settings("wgan_gp", **widths), "WGAN-GP"),
    }


CONFIG = Config(
    name="cifar10_sngan",
    arms=arms(),
    evaluate=evaluate,
    tabulate=tabulate,
    data="cifar10",
    steps=100_000,
    batch_size=64,
    log_every=250,
    save_every=5_000,
    sample_every=5_000,
    relations_every=0,
    about="months on 2 CPU cores, a day on a GPU",
    presets={
        "smoke": {
            "arms": arms(gen_width=8, disc_width=8),
            **{"only": ("projection",), "data": "cifar10_subset", "feature_steps": 20},
            **{"steps": 2, "log_every": 1, "save_every": 2, "sample_every": 2, "batch_size": 8},
            "evaluate": functools.partial(evaluate, count=100),
            "about": "a minute",
        },
        "cpu": {
            "arms": arms(gen_width=32, disc_width=32),
            **{"only": ("sngan",), "data": "cifar10_subset", "steps": 1_500},
            **{"save_every": 500, "sample_every": 500, "batch_size": 32},
            "evaluate": functools.partial(evaluate, count=2_000),
            "about": "half an hour on 2 CPU cores",
        },
        "paper": {},
    },
)

if __name__ == "__main__":
    main(CONFIG)
