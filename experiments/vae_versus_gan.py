"""Autoencoders, VAEs and GANs under one evaluator: default settings, and settings that were tuned.

All have the networks of Flax's VAE example (784 - 500 - 20 - 500 - 784; the discriminator is of the
encoder's size), one budget and no averaging. Samples are scored by Frechet distance and PRDC under
a small classifier of ours, named by its hash; reconstructions by the mean squared error of a pixel,
black 0 and white 1; codes by a linear classifier of 5,000 training images. "Tuned" is the best of a
family's default and four settings at one distance from it (rate, latents, or what the family has of
its own), by the Frechet distance to 5,000 images carved out of the training split; test images
choose nothing.

Dai & Wipf, "Diagnosing and Enhancing VAE Models", ICLR 2019, table 1, set the best distances of the
search of Lucic et al., "Are GANs Created Equal?", NeurIPS 2018, beside untuned VAEs: under the
Inception network, so that only the order of families compares. MNIST: NS GAN 6.8 tuned and about 10
by default, two-stage VAE 12.6, VAE (cross-entropy) 16.6, with a learned variance 54.5.

Expected: tuned GANs before VAEs; a two-stage VAE not behind an untuned GAN.

The preset `nats` is of likelihoods: MNIST binarised by one seeded draw, ten epochs of 128. Flax's
example ends at about 104 nats (its -ELBO, one code an image); the importance-weighted bound of
5,000 codes stands beside it. Papers that draw anew in every epoch have another training set.

Run:    python -m experiments.vae_versus_gan --data-dir DIR --preset cpu [--data fashion_mnist]
Nats:   python -m experiments.vae_versus_gan --data-dir DIR --preset nats
Check:  --smoke     See: --dry-run     20 epochs, five seeds: --preset paper (a GPU)
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import numpy as np
import optax

from gan_mtl import games, metrics, nets
from gan_mtl.data import take, to_float
from gan_mtl.games import Latents, Optimizers, Players, gan, gan_rows
from gan_mtl.games.latent_models import Kind
from gan_mtl.run import tables
from gan_mtl.run.bounds import LOG_WEIGHTS, bound_scores
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm, Config, Spec, chosen_arms
from gan_mtl.run.evaluate import Evaluation, needed_features, sample_scores, unit_range
from gan_mtl.run.probes import linear_probe
from gan_mtl.types import Game, Network

linen = nets.from_linen


@dataclass(frozen=True)
class Settings:
    """One arm."""

    model: Literal["autoencoder", "vae", "two_stage", "vae_gan", "bigan", "gan"] = "vae"
    likelihood: Kind = "bernoulli"
    """Of images, in `vae` and `two_stage`."""
    beta: float = 1.0
    codes: int = 1
    """Of an image in training; above 1 the bound is the importance-weighted one."""
    latent: int = 20
    width: int = 500
    learning_rate: float = 1e-3
    b1: float = 0.9
    gamma: float = 1e-3
    """Of the features' likelihood in VAE/GAN's decoder."""
    r1: float = 0.0
    """Weight of R1 in the GAN."""


def build(settings: Settings, spec: Spec) -> Game:
    """The arm's game on dense networks."""
    adam = optax.adam(settings.learning_rate, b1=settings.b1)
    return {
        "autoencoder": _autoencoder,
        "vae": _vae,
        "two_stage": _two_stage,
        "vae_gan": _vae_gan,
        "bigan": _bigan,
        "gan": _gan,
    }[settings.model](settings, spec, adam)


def _pair(
    settings: Settings, spec: Spec, output: Literal["none", "tanh"] = "none"
) -> tuple[Network, Network]:
    """An encoder with a law, and the decoder."""
    encoder, decoder = nets.dense_vae(spec.image_shape, settings.latent, (settings.width,), output)
    return linen(encoder), linen(decoder)


def _codes(settings: Settings):
    """An encoder without a law."""
    return linen(nets.Head(settings.latent, (settings.width,), jax.nn.relu))


def _autoencoder(settings: Settings, spec: Spec, adam: optax.GradientTransformation) -> Game:
    return games.autoencoder(_codes(settings), _pair(settings, spec)[1], adam)


def _vae(settings: Settings, spec: Spec, adam: optax.GradientTransformation) -> Game:
    return games.vae(
        *_pair(settings, spec),
        settings.latent,
        adam,
        likelihood=games.Likelihood(settings.likelihood),
        beta=settings.beta,
        samples=settings.codes,
        bound="iwae" if settings.codes > 1 else "elbo",
    )


def _two_stage(settings: Settings, spec: Spec, adam: optax.GradientTransformation) -> Game:
    back = nets.MLPGenerator((settings.width,), (settings.latent,), jax.nn.relu, "none")
    encoder = nets.Head(2 * settings.latent, (settings.width,), jax.nn.relu)
    stages = games.Stages(*_pair(settings, spec), linen(encoder), linen(back))
    likelihood = games.Likelihood(settings.likelihood)
    return games.two_stage_vae(stages, settings.latent, (adam, adam), likelihood=likelihood)


def _vae_gan(settings: Settings, spec: Spec, adam: optax.GradientTransformation) -> Game:
    players = games.VaeGanPlayers(*_pair(settings, spec, "tanh"), _trunk(settings), _head())
    optimizers = Optimizers(gen=adam, disc=adam)
    return games.vae_gan(players, settings.latent, optimizers, gamma=settings.gamma)


def _bigan(settings: Settings, spec: Spec, adam: optax.GradientTransformation) -> Game:
    decoder = _pair(settings, spec, "tanh")[1]
    disc = nets.PairDiscriminator(nets.MLPTrunk((settings.width,)), (settings.width,))
    players = games.BiganPlayers(_codes(settings), decoder, linen(disc))
    return games.bigan(players, Latents(settings.latent), Optimizers(gen=adam, disc=adam))


def _gan(settings: Settings, spec: Spec, adam: optax.GradientTransformation) -> Game:
    players = Players(gen=_pair(settings, spec, "tanh")[1], trunk=_trunk(settings), disc=_head())
    penalties = (gan_rows.r1(2 * settings.r1),) if settings.r1 else ()
    optimizers = Optimizers(gen=adam, disc=adam)
    return gan(players, Latents(settings.latent), optimizers, penalties=penalties)


def _trunk(settings: Settings):
    return linen(nets.MLPTrunk((settings.width,)))


def _head():
    return linen(nets.Head())


def evaluate(e: Evaluation, count: int = 5_000) -> dict[str, Any]:
    """Scores of samples, of reconstructions and of codes, where there are some."""
    found: dict[str, Any] = {}
    if e.game.sample is not None:
        found = sample_scores(e, count)
        if e.dataset.validation is not None:
            found["validation_frechet"] = _validation_frechet(e, count)
    if "reconstruction" in e.game.predict:
        images = e.dataset.test.images
        again = (unit_range(e.predict("reconstruction", images), e.spec.value_range) + 1) / 2
        found["reconstruction_error"] = float(np.square(again - images / 255).mean())
    if "latents" in e.game.predict:
        train, test = take(e.dataset.train, np.arange(count)), e.dataset.test
        codes = [e.predict("latents", split.images) for split in (train, test)]
        found["probe"] = linear_probe((codes[0], codes[1]), (train.labels, test.labels))
    return found


def _validation_frechet(e: Evaluation, count: int) -> float:
    """Frechet distance of the same samples to the carved-out images."""
    assert e.dataset.validation is not None
    features = needed_features(e).features
    real = features(to_float(e.dataset.validation.images))
    fake = features(unit_range(e.sample(count, None), e.spec.value_range))
    return metrics.frechet_distance(*metrics.moments(real), *metrics.moments(fake))


def evaluate_nats(e: Evaluation, images: int = 1_000, codes: int = 5_000) -> dict[str, Any]:
    """The bounds on the test images, the importance-weighted one on the first of them.

    None of a game without a density (the likelihood "optimal"): its cells stay empty.
    """
    if LOG_WEIGHTS not in e.game.predict:
        return {}
    return bound_scores(e, codes=codes, images=images)


def tabulate(config: Config, cells: tables.Cells) -> str:
    """Families by default, then tuned."""
    arms = chosen_arms(config)
    blocks = [
        f"{config.data}, {config.seeds} seeds, {config.steps} steps of {config.batch_size}, "
        f"{config.validation} validation images"
    ]
    for title in ("default", "tuned"):
        rows = []
        for family in FAMILIES:
            name = family if title == "default" else tuned(config, cells, family)
            if name in arms and (title == "default" or name is not None):
                rows.append([arms[name].text, *_scores(cells, name)])
        header = [title, "Frechet", "precision", "recall", "density", "coverage"]
        header += ["error of reconstruction", "probe %", "validation"]
        blocks.append(tables.markdown(header, rows))
    return "\n\n".join(blocks)


def _scores(cells: tables.Cells, name: str) -> list[str]:
    shown = [tables.mean_std(tables.values(cells, name, "frechet"), 1, 1)]
    for score in ("precision", "recall", "density", "coverage"):
        shown.append(tables.mean_std(tables.values(cells, name, score), 1, 2))
    shown.append(tables.mean_std(tables.values(cells, name, "reconstruction_error"), 1, 4))
    shown.append(tables.mean_std(tables.values(cells, name, "probe"), 100, 1))
    shown.append(tables.mean_std(tables.values(cells, name, "validation_frechet"), 1, 1))
    return shown


def tuned(config: Config, cells: tables.Cells, family: str) -> str | None:
    """The arm of a family with the least mean distance on validation images; None without one."""
    means = {}
    for name in chosen_arms(config):
        found = tables.values(cells, name, "validation_frechet")
        if name.split("_at_")[0] == family and found:
            means[name] = float(np.mean(list(found.values())))
    return min(means, key=lambda name: means[name]) if means else None


def tabulate_nats(config: Config, cells: tables.Cells) -> str:
    """Nats of test images, by arm."""
    rows = []
    for name, arm in chosen_arms(config).items():
        shown = [
            tables.mean_std(tables.values(cells, name, score), 1, digits)
            for score, digits in (
                ("negative_elbo", 2),
                ("negative_elbo_of_these", 2),
                ("iwae_nll", 2),
                ("iwae_error", 2),
                ("iwae_codes", 0),
                ("iwae_images", 0),
                ("effective_codes", 0),
            )
        ]
        rows.append([arm.text, *shown])
    header = ["arm", "-ELBO, all", "-ELBO, these", "-IWAE bound, these", "error over images"]
    header += ["codes k", "these", "effective codes"]
    title = (
        f"{config.data}, nats, {config.seeds} seeds, {config.steps} steps of {config.batch_size}; "
        "all test images, and the first of them (`these`)"
    )
    return f"{title}\n\n{tables.markdown(header, rows)}"


ADVERSARIAL = Settings("gan", learning_rate=2e-4, b1=0.5)
SIGMA = Settings("vae", "learned")
TWO = Settings("two_stage", "learned")


def _common(base: Settings) -> dict[str, dict[str, Any]]:
    rate = base.learning_rate
    return {
        "slow": {"learning_rate": rate / 3},
        "fast": {"learning_rate": rate * 3},
        "narrow": {"latent": 10},
        "broad": {"latent": 40},
    }


FAMILIES: dict[str, tuple[Settings, str, dict[str, dict[str, Any]]]] = {
    "autoencoder": (Settings("autoencoder"), "autoencoder", {}),
    "vae": (Settings(), "VAE, cross-entropy", _common(Settings())),
    "beta_vae": (
        Settings(beta=4.0),
        "beta-VAE",
        {
            "eighth": {"beta": 0.125},
            "quarter": {"beta": 0.25},
            "half": {"beta": 0.5},
            "two": {"beta": 2.0},
        },
    ),
    "sigma_vae": (SIGMA, "sigma-VAE, learned variance", _common(SIGMA)),
    "two_stage": (TWO, "two-stage VAE", _common(TWO)),
    "vae_gan": (
        replace(ADVERSARIAL, model="vae_gan"),
        "VAE/GAN",
        {
            "strong": {"gamma": 1e-2},
            "stronger": {"gamma": 1e-1},
            "fast": {"learning_rate": 1e-3},
            "narrow": {"latent": 10},
        },
    ),
    "bigan": (
        replace(ADVERSARIAL, model="bigan"),
        "BiGAN",
        {
            "slow": {"learning_rate": 5e-5},
            "fast": {"learning_rate": 1e-3},
            "narrow": {"latent": 10},
            "broad": {"latent": 40},
        },
    ),
    "gan": (
        ADVERSARIAL,
        "GAN, non-saturating",
        {
            "fast": {"learning_rate": 1e-3},
            "broad": {"latent": 40},
            "r1_low": {"r1": 0.1},
            "r1_high": {"r1": 1.0},
        },
    ),
}


def arms_of(family: str) -> dict[str, Arm]:
    """The default of a family, and the settings beside it."""
    base, text, others = FAMILIES[family]
    found = {family: Arm(build, base, text)}
    for name, fields in others.items():
        changed = ", ".join(f"{field} {value:g}" for field, value in fields.items())
        arm = Arm(build, replace(base, **fields), f"{text}, {changed.replace('_', ' ')}")
        found[f"{family}_at_{name}"] = arm
    return found


NATS = {
    "vae": Arm(build, Settings(), "VAE"),
    "iwae": Arm(build, Settings(codes=5), "IWAE, 5 codes in training"),
}

CONFIG = Config(
    name="vae_versus_gan",
    arms={name: arm for family in FAMILIES for name, arm in arms_of(family).items()},
    evaluate=evaluate,
    tabulate=tabulate,
    data="mnist",
    validation=5_000,
    steps=8_600,
    seeds=5,
    batch_size=128,
    log_every=100,
    save_every=4_300,
    sample_every=4_300,
    relations_every=0,
    about="an hour on a GPU",
    presets={
        "smoke": {
            "only": ("two_stage", "gan_at_r1_low"),
            **{"steps": 2, "seeds": 1, "log_every": 1, "save_every": 2, "sample_every": 2},
            **{"size": 16, "batch_size": 16, "feature_steps": 20, "about": "a minute"},
            "evaluate": functools.partial(evaluate, count=500),
        },
        "cpu": {
            **{"steps": 1_300, "seeds": 1, "save_every": 1_300, "sample_every": 1_300},
            "about": "half an hour on one CPU core",
        },
        "nats": {
            **{"arms": NATS, "data": "binarised_mnist", "validation": 0, "steps": 4_690},
            **{"seeds": 1, "feature_steps": 0, "log_every": 70, "save_every": 4_690},
            **{"sample_every": 0, "evaluate": evaluate_nats, "tabulate": tabulate_nats},
            "about": "ten minutes on one CPU core",
        },
        "paper": {},
    },
)

if __name__ == "__main__":
    main(CONFIG)
