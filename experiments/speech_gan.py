"""Spoken digits by GANs, in a given speaker's voice: log-mel pictures, and waves.

Free Spoken Digit Dataset, the publisher's split (all six speakers in both parts). Every generator
is asked for a digit and a speaker. Pictures: DCGANs conditional by projection (Miyato & Koyama
2018), or AC-GANs with a head for digits and one for speakers. Waves: WaveGAN (Donahue et al. 2019)
with WGAN-GP, with and without phase shuffle. A classifier trained on the real training clips and
then frozen says which digit and which speaker it hears; its accuracy on real held-out clips stands
beside, and so do the scores of held-out clips in place of generated ones.

Expected: digit accuracy of generated clips at least 80 %. The inception score and the Frechet
distance are under this classifier, on this split: they compare with nothing outside this table
(the papers' are of SC09 under another one). A nearest-neighbour ratio far below 1 says copies.

Clips come as WAV files and pictures in every run's `samples`; stretched pictures hold no length and
become 0.45 s.

Run:    python -m experiments.speech_gan --data-dir DIR --preset cpu
Check:  --smoke, --preset smoke_waves     See: --dry-run
Waves:  --preset waves (a GPU)            64 pixels, three seeds: --preset paper (a GPU)
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import optax

from gan_mtl import games, losses, metrics, nets, sampling
from gan_mtl.data import Dataset, to_float, to_uint8
from gan_mtl.data.fsdd import SPEAKER, SPEAKERS
from gan_mtl.games import Extras, Latents, Optimizers, Players, Task, gan, gan_rows
from gan_mtl.run import judges, sounds, tables
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm, Config, Spec, chosen_arms
from gan_mtl.run.evaluate import Evaluation, unit_range
from gan_mtl.types import Array, Batch, Context, Game

DIGITS = 10
SPLIT = 300  # clips of which an inception score is taken: as many as are held out
VOICES = DIGITS * len(SPEAKERS)  # what a generator is asked for: 10 * speaker + digit
linen = nets.from_linen


@dataclass(frozen=True)
class Settings:
    """One arm."""

    kind: Literal["pictures", "waves"] = "pictures"
    condition: Literal["projection", "auxiliary"] = "projection"
    augment: bool = True
    """Whether the discriminator sees pictures moved (DiffAugment)."""
    radius: int = 2
    """Of the phase shuffle; 0 leaves it out."""
    width: int = 32
    disc_repeats: int = 1
    latents: int = 64
    learning_rate: float = 2e-4
    b1: float = 0.5
    b2: float = 0.999
    half_life: float = 5_000.0
    """Of the averaged generator, in examples."""


def voiced(batch: Batch, context: Context) -> Batch:
    """The batch with digit and speaker in one label."""
    del context
    return {**batch, "labels": DIGITS * batch[SPEAKER] + batch["labels"]}


def digit_loss(logits: Array, asked: Array) -> Array:
    """Cross-entropy of the digit that a label holds."""
    return losses.cross_entropy(logits, asked % DIGITS)


def speaker_loss(logits: Array, asked: Array) -> Array:
    """Cross-entropy of the speaker that a label holds."""
    return losses.cross_entropy(logits, asked // DIGITS)


def heads() -> tuple[Task, ...]:
    """AC-GAN's two heads; the generator plays both."""
    common: dict[str, Any] = {"fake_weight": 1.0, "classifies": False}
    return (
        Task("class", linen(nets.Head(DIGITS)), digit_loss, **common),
        Task(SPEAKER, linen(nets.Head(len(SPEAKERS))), speaker_loss, **common),
    )


def build(settings: Settings, spec: Spec) -> Game:
    """The arm's GAN."""
    adam = optax.adam(settings.learning_rate, b1=settings.b1, b2=settings.b2)
    auxiliary = settings.condition == "auxiliary"
    common: dict[str, Any] = {
        "condition": settings.condition,
        "num_classes": VOICES,
        "tasks": heads() if auxiliary else (),
        "disc_repeats": settings.disc_repeats,
        "ema": {"gen": settings.half_life},
    }
    side, channels = spec.image_shape[0], spec.image_shape[2]
    disc = linen(nets.Head() if auxiliary else nets.ProjectionHead(VOICES))
    if settings.kind == "waves":
        gen = nets.WaveGANGenerator(side, channels, settings.width)
        trunk = nets.WaveGANTrunk(settings.width, settings.radius)
        common |= {"adversarial": losses.wasserstein}
        common |= {"penalties": (gan_rows.gradient_penalty(10.0),)}
    else:
        gen = nets.DCGANGenerator(side, channels, settings.width)
        trunk = nets.DCGANTrunk(side, settings.width, kernel_init=nets.lecun)
        if settings.augment:
            moved = gan_rows.diff_augmentation(("translation",))
            common["extras"] = Extras(augment=moved)
    game = gan(
        Players(linen(gen), linen(trunk), disc),
        Latents(settings.latents),
        Optimizers(gen=adam, disc=adam),
        **common,
    )
    return games.augmented(game, voiced)


def pictured(dataset: Dataset) -> Dataset:
    """The data set as log-mel pictures, which the classifier takes."""
    view = sounds.view_of(dataset.name)
    if view is None or view.front_end is not None:
        return dataset
    train, test = (
        split._replace(images=to_uint8(sounds.shown(view, to_float(split.images)), -1.0, 1.0))
        for split in (dataset.train, dataset.test)
    )
    return dataset._replace(train=train, test=test)


def listener() -> Game:
    """The classifier of digits and speakers, before it is trained."""
    tasks = (
        games.class_task(linen(nets.Head(DIGITS)), labelled=False),
        Task(SPEAKER, linen(nets.Head(len(SPEAKERS))), targets=SPEAKER),
    )
    return games.multitask(linen(nets.CNNTrunk((32, 64), features=64)), tasks, optax.adam(1e-3))


def evaluate(e: Evaluation, count: int = 1_200, judge_steps: int = 1_500) -> dict[str, Any]:
    """What the frozen classifier hears in generated clips, and in held-out ones."""
    dataset = pictured(e.dataset)
    hear = judges.judge(listener(), "cnn 32-64-64", dataset, (-1.0, 1.0), judge_steps)
    features = functools.partial(hear, "features")
    asked = np.arange(count) % VOICES
    clips, view = (
        unit_range(e.sample(count, asked), e.spec.value_range),
        sounds.view_of(e.dataset.name),
    )
    fakes = clips if view is None else sounds.shown(view, clips)
    real, train = (to_float(split.images) for split in (dataset.test, dataset.train))
    right = (dataset.test.labels, dataset.test.targets[SPEAKER])
    found = _heard(hear, fakes, (asked % DIGITS, asked // DIGITS))
    found |= {f"real_{name}": value for name, value in _heard(hear, real, right).items()}
    seen = features(real)
    moments = {name: metrics.moments(features(x)) for name, x in (("", fakes), ("real_", train))}
    for name, pair in moments.items():
        found[f"{name}frechet"] = metrics.frechet_distance(*metrics.moments(seen), *pair)
    near, far = (
        float(np.median(sampling.nearest(x, train, features).distance)) for x in (fakes, real)
    )
    protocol = f"cnn 32-64-64 of digits and speakers, {judge_steps} steps on the training clips"
    return {**found, "nearest": near / far, "protocol": {"features": protocol, "fake": count}}


def _heard(hear: judges.Predict, clips: np.ndarray, right: tuple[np.ndarray, np.ndarray]):
    """Accuracies of digit and speaker, and the inception score over digits (300 clips a split)."""
    logits = hear("class", clips)
    says = logits.argmax(axis=1), hear(SPEAKER, clips).argmax(axis=1)
    score = metrics.inception_score(logits, max(len(clips) // SPLIT, 1), logits=True, seed=0)
    return {
        "digit_accuracy": float((says[0] == right[0]).mean()),
        "speaker_accuracy": float((says[1] == right[1]).mean()),
        "both_accuracy": float(((says[0] == right[0]) & (says[1] == right[1])).mean()),
        "inception": score.mean,
    }


SCORES = (  # name, factor, digits, header
    ("digit_accuracy", 100, 1, "digit %"),
    ("speaker_accuracy", 100, 1, "speaker %"),
    ("both_accuracy", 100, 1, "both %"),
    ("inception", 1, 2, "inception score"),
    ("frechet", 1, 2, "Frechet"),
)


def tabulate(config: Config, cells: tables.Cells) -> str:
    """What is heard in generated clips, by arm; the last row is of real held-out clips."""
    rows, arms = [], chosen_arms(config)
    for name, arm in arms.items():
        found = [
            tables.mean_std(tables.values(cells, name, score), factor, digits)
            for score, factor, digits, _ in SCORES
        ]
        nearest = tables.mean_std(tables.values(cells, name, "nearest"), 1, 2)
        rows.append([arm.text, *found, nearest])
    first = next(iter(arms))
    real = [
        tables.mean_std(tables.values(cells, first, f"real_{score}"), factor, digits)
        for score, factor, digits, _ in SCORES
    ]
    rows.append(["real held-out clips (Frechet: training clips)", *real, "1"])
    header = ["arm", *(header for *_, header in SCORES), "nearest training clip"]
    title = f"{config.data}, {config.seeds} seeds, {config.steps} steps of {config.batch_size}"
    note = (
        "Nearest training clip: median distance in the classifier's features, divided by that of "
        "real held-out clips."
    )
    return f"{title}\n\n{tables.markdown(header, rows)}\n\n{note}"


WAVE = Settings("waves", width=64, disc_repeats=5, latents=100, learning_rate=1e-4, b2=0.9)
ARMS = {
    "projection": Arm(build, Settings(), "log-mel pictures, projection"),
    "auxiliary": Arm(build, Settings(condition="auxiliary"), "log-mel pictures, AC-GAN"),
    "wavegan": Arm(build, WAVE, "waves, WaveGAN"),
    "wavegan_unshuffled": Arm(build, replace(WAVE, radius=0), "waves, without phase shuffle"),
}
PICTURES, WAVES = ("projection", "auxiliary"), ("wavegan", "wavegan_unshuffled")
TINY: dict[str, Any] = {
    **{"steps": 2, "seeds": 1, "log_every": 1, "save_every": 2, "sample_every": 2},
    **{"batch_size": 8, "about": "a minute"},
    "evaluate": functools.partial(evaluate, count=60, judge_steps=20),
}

CONFIG = Config(
    name="speech_gan",
    arms={
        name: replace(arm, settings=replace(arm.settings, width=64)) for name, arm in ARMS.items()
    },
    only=PICTURES,
    evaluate=evaluate,
    tabulate=tabulate,
    data="fsdd_padded",
    steps=40_000,
    seeds=3,
    batch_size=64,
    log_every=250,
    save_every=1_000,
    sample_every=2_000,
    feature_steps=0,
    relations_every=0,
    about="a day on 2 CPU cores, an hour on a GPU",
    presets={
        "smoke": {
            **TINY,
            **{"data": "fsdd", "only": ("projection",)},
            "arms": {"projection": Arm(build, Settings(width=4), "log-mel pictures, projection")},
        },
        "smoke_waves": {
            **TINY,
            **{"data": "fsdd_waves", "only": ("wavegan",), "sample_every": 0},
            "arms": {"wavegan": Arm(build, replace(WAVE, width=1, disc_repeats=1), "WaveGAN")},
        },
        "cpu": {
            **{"arms": ARMS, "data": "fsdd", "steps": 4_000, "seeds": 1, "batch_size": 32},
            "about": "20 minutes of one CPU core",
        },
        "waves": {
            **{"data": "fsdd_waves", "only": WAVES, "steps": 50_000},
            "about": "hours on a GPU",
        },
        "paper": {},
    },
)

if __name__ == "__main__":
    main(CONFIG)
