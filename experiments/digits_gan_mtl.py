"""Handwritten digits with few labels: a classifier alone, with a task, with a GAN, with both.

1,797 real 8x8 digits (scikit-learn): 1,437 for training, of which 30 show their label, and 360 for
testing. Four arms on the same budget and label draws, beside two classical methods; the semi-
supervised GAN is that of Salimans et al. 2016, the rotation task that of Chen et al. 2019. Settings
were found by experiments/digits_tuning.py on other label draws, never on test images.

Expected: (c) or (d) ahead of (a) and (b) by 5 points. No paper has this table; the measured one is
in experiments/README.md.

Run:    python -m experiments.digits_gan_mtl
Check:  --smoke     See: --dry-run     A grid of digits: --preset quick     The study: --preset cpu
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC

from gan_mtl import nets
from gan_mtl.data import Dataset
from gan_mtl.games import (
    Latents,
    Optimizers,
    Players,
    Weights,
    class_task,
    entropy_task,
    multitask,
    rotation_task,
    semi_supervised,
    shift,
)
from gan_mtl.run import tables
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm, Config, Spec, chosen_arms
from gan_mtl.run.evaluate import Evaluation, class_scores, sample_scores
from gan_mtl.types import Game, Network, Schedule

linen = nets.from_linen


@dataclass(frozen=True)
class Trunk:
    """What turns images into features."""

    kind: Literal["mlp", "cnn"] = "mlp"
    widths: tuple[int, ...] = (256, 256, 128)
    input_noise: float = 0.3
    hidden_noise: float = 0.5
    kernel_norm: Literal["weight", "spectral"] | None = "weight"

    def network(self) -> Network:
        """The network of the group `trunk`."""
        if self.kind == "cnn":
            last = len(self.widths) - 1
            cnn = nets.CNNTrunk(self.widths, pooled=(last,), input_noise=self.input_noise)
            return linen(cnn)
        mlp = nets.MLPTrunk(
            self.widths,
            input_noise=self.input_noise,
            hidden_noise=self.hidden_noise,
            kernel_norm=self.kernel_norm,
        )
        return linen(mlp)

    def head(self, out: int) -> Network:
        """A linear head on the features, with their noise."""
        return linen(nets.Head(out, noise=self.hidden_noise))


@dataclass(frozen=True)
class Settings:
    """One arm: what is not said of the GAN has no meaning without one."""

    trunk: Trunk = Trunk()
    learning_rate: float = 3e-3
    shift: bool = True
    """Whether labelled images are moved by up to a pixel."""
    rotation: float = 0.0
    """Weight of the rotation task on all images; 0 leaves it out."""
    entropy: float = 0.3
    """Weight of the entropy of unlabelled images' classes."""
    generator: float = 0.3
    """Weight of the generator's adversarial row beside feature matching."""
    conditional: float = 0.0
    """Weight of the class that the generator was asked for, in the second half of the steps: a
    classifier that is still wrong would teach it to be wrong. 0 leaves it unconditional."""
    gen_widths: tuple[int, ...] = (256, 256)
    gen_learning_rate: float = 1e-3
    latents: int = 50
    half_life: float = 50_000.0
    """Of the averaged copies, in examples."""


OUTPUTS: dict[tuple[float, float], Literal["tanh", "sigmoid"]] = {
    (-1.0, 1.0): "tanh",
    (0.0, 1.0): "sigmoid",
}


def adam(learning_rate: float, steps: int) -> optax.GradientTransformation:
    """Adam, beta1 = 0.5; constant for half of the steps, then linear to 0."""
    half = steps // 2
    parts = [
        optax.constant_schedule(learning_rate),
        optax.linear_schedule(learning_rate, 0.0, max(steps - half, 1)),
    ]
    return optax.adam(optax.join_schedules(parts, [half]), b1=0.5)


def asked(weight: float, steps: int) -> Schedule:
    """0 for half of the steps, then linearly up to `weight` at three quarters."""
    ramp = optax.linear_schedule(0.0, weight, max(steps // 4, 1), steps // 2)
    return Schedule(lambda step: jnp.asarray(ramp(step)), f"0 to {weight:g}")


def tasks(settings: Settings) -> tuple:
    """The rotation task, where it has a weight."""
    if not settings.rotation:
        return ()
    return (rotation_task(settings.trunk.head(4), weight=settings.rotation),)


def supervised(settings: Settings, spec: Spec) -> Game:
    """Arms (a), (b) and (e): the class head, the rotation head and entropy on one trunk."""
    moved = functools.partial(shift, fill=spec.value_range[0]) if settings.shift else None
    task = class_task(settings.trunk.head(spec.num_classes), augment=moved)
    entropy = (entropy_task(task, weight=settings.entropy),) if settings.entropy else ()
    return multitask(
        settings.trunk.network(),
        (task, *entropy, *tasks(settings)),
        adam(settings.learning_rate, spec.steps),
        ema=dict.fromkeys(("trunk", "heads/class"), settings.half_life),
    )


def gan(settings: Settings, spec: Spec) -> Game:
    """Arms (c) and (d): the class logits are also the discriminator of a GAN."""
    if spec.value_range not in OUTPUTS:
        raise ValueError(f"value_range={spec.value_range}: the generator knows {[*OUTPUTS]}.")
    moved = functools.partial(shift, fill=spec.value_range[0]) if settings.shift else None
    gen = nets.MLPGenerator(
        settings.gen_widths,
        spec.image_shape,
        activation=jax.nn.relu,
        output=OUTPUTS[spec.value_range],
        batch_norm=True,
    )
    return semi_supervised(
        Players(gen=linen(gen), trunk=settings.trunk.network()),
        settings.trunk.head(spec.num_classes),
        Latents(settings.latents, "uniform", -1.7, 1.7),
        Optimizers(
            gen=adam(settings.gen_learning_rate, spec.steps),
            disc=adam(settings.learning_rate, spec.steps),
        ),
        num_classes=spec.num_classes,
        augment=moved,
        tasks=tasks(settings),
        weights=Weights(
            entropy=settings.entropy,
            generator=settings.generator,
            conditional=asked(settings.conditional, spec.steps) if settings.conditional else 0.0,
        ),
        ema=dict.fromkeys(("trunk", "heads/class", "gen"), settings.half_life),
    )


def evaluate(e: Evaluation) -> dict[str, Any]:
    """Test accuracy, and scores of as many samples as there are training images.

    With --validation N the N carved-out images are scored in place of the test images, for tuning.
    """
    split = e.dataset.validation
    scores = class_scores(e, split)
    if split is not None:
        return {
            "validation_accuracy": scores["test_accuracy"],
            "validation_labels": len(split.labels),
        }
    if e.game.sample is not None:
        scores.update(sample_scores(e, 1440))
    return scores


def svm(settings: Any, dataset: Dataset, seed: int) -> dict[str, Any]:
    """scikit-learn's SVC (RBF, C = 10, its default gamma) on the visible labels."""
    del settings, seed
    x, y = flat(dataset.train.images), dataset.train.labels
    model = SVC(C=10.0).fit(x[dataset.train.visible], y[dataset.train.visible])
    return classical(model, dataset)


def label_spreading(settings: Any, dataset: Dataset, seed: int) -> dict[str, Any]:
    """scikit-learn's LabelSpreading (10 neighbours, alpha 0.2) on visible labels and all images."""
    del settings, seed
    model = LabelSpreading(kernel="knn", n_neighbors=10, alpha=0.2, max_iter=100)
    with np.errstate(invalid="ignore"):  # images that no label reaches: 0 / 0, then class 0
        model.fit(flat(dataset.train.images), dataset.train.labels)
        return classical(model, dataset)


def flat(images: np.ndarray) -> np.ndarray:
    """Pixels in 0 .. 1, a row per image."""
    return images.reshape(len(images), -1) / 255.0


def classical(model: Any, dataset: Dataset) -> dict[str, Any]:
    """The score that the arms have too."""
    split = dataset.validation or dataset.test
    name = "validation_accuracy" if dataset.validation is not None else "test_accuracy"
    return {name: float((model.predict(flat(split.images)) == split.labels).mean())}


def tabulate(config: Config, cells: tables.Cells) -> str:
    """The table of the study: a block for every label count, then the paired differences."""
    return "\n\n".join(block(config, cells, labels) for labels in config.labels)


def block(config: Config, cells: tables.Cells, labels: int) -> str:
    """Accuracy and sample quality by arm, under one label count."""
    name = "validation_accuracy" if config.validation else "test_accuracy"
    scores = ["frechet", "precision", "recall", "density", "coverage"]
    if any(cell["scores"] and "classified_as_asked" in cell["scores"] for cell in cells):
        scores.append("classified_as_asked")
    rows = []
    for arm, row in chosen_arms(config).items():
        found = tables.values(cells, arm, name, labels)
        quality = [
            tables.mean_std(tables.values(cells, arm, s, labels), digits=2 if i else 1)
            for i, s in enumerate(scores)
        ]
        rows.append([row.text, tables.mean_std(found, 100), *quality])
    heads = [score.replace("_", " ") for score in scores]
    shown = tables.markdown(["arm", f"{name.replace('_', ' ')} %", *heads], rows)
    tuned = "settings tuned on 250 validation labels under other draws"
    if config.data != "digits":
        tuned = "settings tuned for digits"
    if config.validation:
        tuned = f"scored on {config.validation} validation labels"
    title = f"{labels} labels, {config.seeds} label draws, {config.steps} steps; {tuned}"
    return f"{title}\n\n{shown}\n\n{differences(config, cells, labels, name)}"


def differences(config: Config, cells: tables.Cells, labels: int, name: str) -> str:
    """Paired differences of the GAN arms to the others, with 95 % intervals, in points."""
    lines = []
    for better in ("gan", "gan_rotation"):
        for other in ("classifier", "classifier_rotation", "label_spreading"):
            found = tables.paired(
                tables.values(cells, better, name, labels),
                tables.values(cells, other, name, labels),
            )
            if found is not None:
                lines.append(
                    [
                        f"{config.arms[better].text} minus {config.arms[other].text}",
                        f"{100 * found.mean:+.1f}",
                        f"{100 * found.low:+.1f} .. {100 * found.high:+.1f}",
                    ]
                )
    return tables.markdown(["paired difference", "points", "95 % interval"], lines)


CALM = Settings(Trunk("cnn", (16, 32), 0.1, 0.3, kernel_norm=None), 1e-3, entropy=0.0)
NOISY = Settings(Trunk("cnn", (16, 32), 0.3, 0.5, kernel_norm=None), 3e-3, entropy=0.0)
BOTH = replace(NOISY, entropy=0.3, generator=1.0, rotation=0.1)

CONFIG = Config(
    name="digits_gan_mtl",
    arms={  # settings: the best trial of each arm in experiments/digits_tuning.py; (f) has no trial
        "classifier": Arm(supervised, NOISY, "(a) classifier alone"),
        "classifier_rotation": Arm(
            supervised, replace(NOISY, rotation=0.5), "(b) classifier + rotation"
        ),
        "gan": Arm(gan, replace(CALM, entropy=0.3), "(c) GAN + classes"),
        "gan_rotation": Arm(gan, BOTH, "(d) GAN + classes + rotation"),
        "classifier_entropy": Arm(
            supervised,
            replace(NOISY, entropy=0.3, rotation=0.5),
            "(e) (b) + entropy, no generator",
        ),
        "gan_asked": Arm(gan, replace(BOTH, conditional=0.3), "(f) (d), asked for a class"),
        "svm": Arm(None, fit=svm, text="SVM (scikit-learn)"),
        "label_spreading": Arm(None, fit=label_spreading, text="LabelSpreading (scikit-learn)"),
    },
    evaluate=evaluate,
    tabulate=tabulate,
    only=(
        *("classifier", "classifier_rotation", "gan", "gan_rotation"),
        *("svm", "label_spreading"),
    ),
    data="digits",
    labels=(30,),
    steps=1200,
    seeds=3,
    batch_size=96,
    labelled_batch_size=32,
    log_every=100,
    save_every=400,
    sample_every=400,
    about="4 minutes on 2 CPU cores",
    presets={
        "smoke": {
            **{"steps": 4, "seeds": 1, "log_every": 2, "save_every": 4, "feature_steps": 20},
            "about": "a minute",
        },
        "quick": {"only": ("gan_rotation",), "seeds": 1, "steps": 1000, "about": "a minute"},
        "cpu": {
            "only": (),
            "labels": (30, 10, 100),
            "seeds": 10,
            "about": "an hour and a half on 2 CPU cores",
        },
    },
)

if __name__ == "__main__":
    main(CONFIG)
