"""Repair of digits and clothes: holes, noise, blur and exposure, all methods under one protocol.

Corruptions of images in [0, 1], one draw for each test image, the same for all methods: a black
hole of half the side in the centre; each pixel black with probability 1/2; strokes of a brush;
normal noise of 0.5; motion blur of 5 pixels in one of four directions; gamma in [0.3, 3],
log-uniform. Every method that learns about damage sees all six in training, one drawn for each
image: one network repairs all, and is told the hole (noise, blur and exposure have it everywhere)
but not the kind. Beside them stand repairers of one kind alone, scored on all. Adam's rate falls
to 0 as a cosine (the discriminator's does not).

Methods: the input as it is; the training images' mean in the hole; a denoising autoencoder (not
told the hole); a VAE that knows whole images alone, by its reconstruction of the damaged image and
by a search of latents for the known pixels (Yeh et al. 2017); a repairer by squared error, and with
an adversary (Pathak et al. 2016) and a classification as further rows. Known pixels stay as they
are in all of them, and pixels are cut off at 0 and 1.

PSNR is of the squared error pooled over all images, SSIM that of Wang et al. 2004, each over the
hole's pixels and over the whole image; accuracy is of a small classifier of whole training images.
There is no published table of these sets to stand beside.

Expected: noise 8 dB above the input; the centre 3 dB above the mean and 10 points of accuracy above
the input. Measured by repairers of one kind (one seed, 3,000 steps, two minutes of a core each):
noise +9.0 dB; centre +3.3 dB and +45 points. One network for all six: +7.4, +2.6 and +42.

Run:    python -m experiments.repair --data-dir DIR --preset cpu [--data fashion_mnist]
Check:  --smoke     See: --dry-run     U-Nets, 50,000 steps, five seeds: --preset paper (a GPU)
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
import optax

from gan_mtl import games, metrics, nets
from gan_mtl.data import Dataset
from gan_mtl.games import Optimizers, corruptions
from gan_mtl.run import tables
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm, Config, Spec, chosen_arms
from gan_mtl.run.evaluate import Evaluation, evaluator
from gan_mtl.run.judges import judge
from gan_mtl.types import Game, Network, Variables

CORRUPTIONS = {
    "centre": corruptions.centre_hole,
    "pixels": corruptions.random_pixels,
    "strokes": corruptions.free_form,
    "noise": corruptions.gaussian_noise,
    "blur": corruptions.motion_blur,
    "exposure": corruptions.exposure,
}
ALL = functools.partial(corruptions.one_of, corruptions=tuple(CORRUPTIONS.values()))
RANGE = (0.0, 1.0)
MEASURES = {  # name: what it is, scale and digits
    "hole_psnr": ("PSNR over the hole, dB", 1, 1),
    "psnr": ("PSNR over the whole image, dB", 1, 1),
    "hole_ssim": ("SSIM over the hole", 1, 3),
    "ssim": ("SSIM over the whole image", 1, 3),
    "accuracy": ("accuracy of a classifier, %", 100, 1),
}
linen = nets.from_linen


@dataclass(frozen=True)
class Settings:
    """One arm that learns."""

    method: Literal["repairer", "autoencoder", "vae"] = "repairer"
    convolutions: bool = False
    """A U-Net in place of the dense repairer."""
    width: int = 512
    adversarial: float = 0.0
    classes: float = 0.0
    damage: str = "all"
    """What is seen in training: all kinds, or one of `CORRUPTIONS`."""
    search: bool = False
    """Of latents, in place of the VAE's reconstruction."""
    latent: int = 64
    learning_rate: float = 1e-3


@dataclass(frozen=True)
class Baseline:
    """One arm that does not."""

    fill: Literal["input", "mean"]
    count: int = 2_000
    judge_steps: int = 1_000


def build(settings: Settings, spec: Spec) -> Game:
    """The arm's game."""
    adam = optax.adam(optax.cosine_decay_schedule(settings.learning_rate, spec.steps))
    if settings.method == "repairer":
        return _repairer(settings, spec, adam)
    encoder, decoder = nets.dense_vae(spec.image_shape, settings.latent, (settings.width,))
    if settings.method == "autoencoder":
        code = linen(nets.Head(settings.latent, (settings.width,), encoder.activation))
        game = games.autoencoder(
            code,
            linen(decoder),
            adam,
            likelihood=games.Likelihood("gaussian", *RANGE),
            corrupt=damaged,
        )
        return games.restoring(game, CORRUPTIONS)
    game = games.vae(
        linen(encoder), linen(decoder), settings.latent, adam, likelihood=games.Likelihood(low=0.0)
    )
    return games.restoring(game, CORRUPTIONS, search=games.Search() if settings.search else None)


def damaged(images, context):
    """What the autoencoder is shown in training."""
    return ALL(images, context).images


def _repairer(settings: Settings, spec: Spec, adam: optax.GradientTransformation) -> Game:
    gen = nets.DenseRepairer((settings.width, settings.width))
    judges: dict[str, Network] = {}
    if settings.adversarial:
        judges["disc"] = linen(nets.Head())
    if settings.classes:
        judges["classes"] = linen(nets.Head(spec.num_classes))
    if judges:
        trunk = nets.ConvTrunk((32, 64)) if settings.convolutions else nets.MLPTrunk((256, 128))
        judges["trunk"] = linen(trunk)
    if settings.convolutions:
        gen = nets.UNetRepairer((32, 64, 128))
    adversary = optax.adam(2e-4, b1=0.5)
    return games.repair(
        games.RepairPlayers(linen(gen), **judges),
        Optimizers(gen=adam, disc=adversary),
        ALL if settings.damage == "all" else CORRUPTIONS[settings.damage],
        adversarial=settings.adversarial,
        classes=settings.classes,
        tests=CORRUPTIONS,
    )


def baseline(settings: Baseline, dataset: Dataset, seed: int) -> dict[str, Any]:
    """Scores of the input, or of the training images' mean in the hole."""
    mean = (dataset.train.images.mean(axis=0) / 255).astype(np.float32)

    def filled(variables, images, context):
        del variables, context
        return images if settings.fill == "input" else jnp.broadcast_to(mean, images.shape)

    game = games.restoring(Game(_nothing, (), predict={"reconstruction": filled}), CORRUPTIONS)
    spec = Spec(dataset.train.images.shape[1:], dataset.num_classes, RANGE, 0)
    predict, _ = evaluator(game, spec)(Variables({}, {}), seed)
    return scores(predict, dataset, settings.count, settings.judge_steps)


def _nothing(key, batch):
    del key, batch
    return {}


def evaluate(e: Evaluation, count: int = 2_000, judge_steps: int = 1_000) -> dict[str, Any]:
    """Scores of the first test images under every corruption."""
    return scores(e.predict, e.dataset, count, judge_steps)


def scores(
    predict: Callable[..., np.ndarray], dataset: Dataset, count: int, judge_steps: int
) -> dict[str, Any]:
    """The measures of every corruption, `CORRUPTION_MEASURE`, and the accuracy of whole images."""
    images, labels = dataset.test.images[:count], dataset.test.labels[:count]
    whole = (images / 255).astype(np.float32)
    classify = judge(_classifier(dataset.num_classes), "repair", dataset, RANGE, judge_steps, 128)

    def accuracy(shown: np.ndarray) -> float:
        return metrics.accuracy(labels, classify("class", shown).argmax(axis=-1))

    found: dict[str, Any] = {"images": len(images), "whole_accuracy": accuracy(whole)}
    for name in CORRUPTIONS:
        hole = predict(f"{name}/hole", images)
        repaired = predict(f"{name}/repaired", images).clip(*RANGE)
        found[f"{name}_psnr"] = metrics.pooled_psnr(repaired, whole)
        found[f"{name}_hole_psnr"] = metrics.pooled_psnr(repaired, whole, hole)
        found[f"{name}_ssim"] = float(metrics.ssim(repaired, whole).mean())
        found[f"{name}_hole_ssim"] = float(np.nanmean(metrics.ssim(repaired, whole, hole)))
        found[f"{name}_accuracy"] = accuracy(repaired)
    return found


def _classifier(num_classes: int) -> Game:
    trunk = linen(nets.CNNTrunk((16, 32), features=64))
    head = games.class_task(linen(nets.Head(num_classes)), labelled=False)
    return games.multitask(trunk, (head,), optax.adam(1e-3))


def tabulate(config: Config, cells: tables.Cells) -> str:
    """One table a measure: methods by corruptions."""
    arms = chosen_arms(config)
    done = [cell["scores"] for cell in cells if cell["scores"] is not None]
    blocks = [f"{config.data}, {config.seeds} seeds, {config.steps} steps of {config.batch_size}"]
    if done:
        blocks[0] += (
            f"; {done[0]['images']} test images; the classifier on whole ones "
            f"{100 * done[0]['whole_accuracy']:.1f} %"
        )
    for measure, (title, scale, digits) in MEASURES.items():
        rows = []
        for name, arm in arms.items():
            shown = [
                tables.mean_std(tables.values(cells, name, f"{kind}_{measure}"), scale, digits)
                for kind in CORRUPTIONS
            ]
            rows.append([arm.text, *shown])
        blocks.append(tables.markdown([title, *CORRUPTIONS], rows))
    return "\n\n".join(blocks)


L2 = Settings()
ARMS = {
    "input": Arm(None, Baseline("input"), "input as it is", fit=baseline),
    "mean": Arm(None, Baseline("mean"), "mean in the hole", fit=baseline),
    "autoencoder": Arm(build, Settings("autoencoder"), "denoising autoencoder"),
    "vae": Arm(build, Settings("vae"), "VAE, reconstruction"),
    "vae_search": Arm(build, Settings("vae", search=True), "VAE, search of latents"),
    "l2": Arm(build, L2, "repairer, L2"),
    "l2_adversary": Arm(build, replace(L2, adversarial=1e-3), "repairer, L2 + adversary"),
    "l2_classes": Arm(build, replace(L2, classes=1e-3), "repairer, L2 + classes"),
    "l2_both": Arm(
        build, replace(L2, adversarial=1e-3, classes=1e-3), "repairer, L2 + adversary + classes"
    ),
    **{
        f"l2_{kind}": Arm(build, replace(L2, damage=kind), f"repairer, L2, {kind} alone")
        for kind in ("centre", "noise", "exposure")
    },
}

CONFIG = Config(
    name="repair",
    arms={
        name: replace(arm, settings=replace(arm.settings, convolutions=True))
        if name.startswith("l2")
        else arm
        for name, arm in ARMS.items()
    },
    evaluate=evaluate,
    tabulate=tabulate,
    data="mnist",
    value_range=RANGE,
    steps=50_000,
    seeds=5,
    batch_size=64,
    feature_steps=0,
    log_every=250,
    save_every=2_500,
    sample_every=0,
    relations_every=0,
    about="hours on a GPU",
    presets={
        "smoke": {
            "only": ("l2_both",),
            **{"arms": ARMS, "steps": 2, "seeds": 1, "log_every": 1, "save_every": 2},
            **{"size": 16, "batch_size": 16, "about": "a minute"},
            "evaluate": functools.partial(evaluate, count=100, judge_steps=2),
        },
        "cpu": {
            **{"arms": ARMS, "steps": 6_000, "seeds": 1, "save_every": 6_000},
            "about": "forty minutes on one CPU core",
        },
        "paper": {},
    },
)

if __name__ == "__main__":
    main(CONFIG)
