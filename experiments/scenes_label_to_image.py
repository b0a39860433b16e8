"""Scenes from label maps: do synthetic scenes help where 1 % or 10 % of the scenes are labelled?

A generator makes scenes of `digit_scenes` from label maps, judged by OASIS's segmentation network
with a class "fake" (Schönfeld et al. 2021) or by pix2pix's patches and L1 (Isola et al. 2017), and
by a trunk with heads for tags, boxes and pixels. The trunk learns from the labelled scenes and,
from a quarter of the run on, from the generator's scenes too: Bao et al., "Generative Modeling for
Multi-task Visual Learning", ICML 2022 (the idea; networks, losses and data are not theirs).

Label maps of synthetic scenes: those of labelled scenes with every digit moved to a new place, in
its own shape; boxes and tags are derived from the new map (`games.layouts`). Classes are not
exchanged, nor digits mirrored: the strokes in the map say what it is. OASIS's discriminator also
sees the unlabelled scenes, as "not fake" of whatever class, a row of ours. Hidden labels are in no
batch entry that these arms read. All arms have the same steps and labelled batches; `all` has every
label.

Scores of tasks are of the test scenes. Of the generator: how well a segmentation network that was
trained on all labels finds in its scenes the test maps that they were made from, and the Frechet
distance to the test scenes under a classifier of the largest digit. Settings were not tuned.

Expected: open; no paper has these numbers. Measured (one seed, 1,000 steps, 200 labels, half an
hour of a core): mAP at 0.5 of 35.9 % without, 48.4 with OASIS's scenes, 53.6 with pix2pix's; mean
IoU 28.9, 30.5, 33.0; with every label 74.3 and 39.2.

Run:    python -m experiments.scenes_label_to_image --data-dir DIR --preset cpu
Check:  --smoke     See: --dry-run     64x64, 50,000 steps, 5 seeds: --preset paper (a GPU)
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any, Literal

import optax

from gan_mtl import games, nets
from gan_mtl.games import Latents, MapOptimizers, MapPlayers, Synthetic, Task, from_step, layouts
from gan_mtl.run import tables
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm, Config, Spec, chosen_arms
from gan_mtl.run.evaluate import Evaluation
from gan_mtl.run.judges import judge, synthesis_scores
from gan_mtl.run.vision_scores import detection_scores, presence_scores, segmentation_scores
from gan_mtl.types import Game

linen = nets.from_linen


@dataclass(frozen=True)
class Settings:
    """One arm."""

    generator: Literal["", "oasis", "pix2pix"] = ""
    """What makes synthetic scenes; none is the tasks alone."""
    every_label: bool = False
    """Whether the tasks alone see all labels."""
    taught: float = 0.3
    """Weight of every task in the generator's turn; 0 is a generator without task losses."""
    synthetic: float = 0.5
    """Weight of every task's row on synthetic scenes."""
    start: float = 0.25
    """Part of the steps before synthetic scenes count."""
    unlabelled: float = 1.0
    """Weight of OASIS's row on unlabelled scenes."""
    widths: tuple[int, ...] = (16, 32, 64)
    """Channels of the trunk's stages."""
    head: int = 32
    """Channels of the heads' decoders."""
    skip: int = 0
    """Finest maps that boxes leave out."""
    gen: tuple[int, ...] = (48, 32, 16, 16)
    """Channels of the SPADE generator's first map and blocks."""
    hidden: int = 8
    """Channels inside of a SPADE layer."""
    disc: tuple[int, ...] = (16, 32, 48)
    """Channels of OASIS's encoder; pix2pix's U-Net and patches have them doubled."""
    latents: int = 8
    gen_rate: float = 1e-3
    disc_rate: float = 2e-3
    rate: float = 3e-3
    """Of the tasks' Adam at first; it falls to 0 by a cosine."""
    half_life: float = 1_000.0
    """Of the averaged generator, in examples."""


def tasks_of(settings: Settings, spec: Spec) -> tuple[Task, ...]:
    """Tags, boxes and pixels of all scenes."""
    (height, width, _), k = spec.image_shape, spec.num_classes
    boxes = linen(nets.CentreHead(k, settings.head, skip=settings.skip))
    pixels = linen(nets.DenseHead(k + 1, (height, width), settings.head))
    return (
        games.presence_task(linen(nets.MapClassifier(k)), fake_weight=settings.taught),
        games.detection_task(boxes, (height, width), fake_weight=settings.taught),
        games.segmentation_task(pixels, dice=0.5, fake_weight=settings.taught),
    )


def adam(settings: Settings, steps: int) -> optax.GradientTransformation:
    """Of the tasks."""
    return optax.adam(optax.cosine_decay_schedule(settings.rate, max(steps, 1)))


def alone(settings: Settings, spec: Spec, steps: int, every_label: bool) -> Game:
    """The tasks without a generator."""
    tasks = (task._replace(fake_weight=0.0) for task in tasks_of(settings, spec))
    seen = tuple(task if every_label else games.labelled(task) for task in tasks)
    trunk = linen(nets.ConvPyramid(settings.widths, norm="batch"))
    return games.multitask(trunk, seen, adam(settings, steps))


def build(settings: Settings, spec: Spec) -> Game:
    """The arm's game; label maps have a class more than scenes, the background."""
    if not settings.generator:
        return alone(settings, spec, spec.steps, settings.every_label)
    channels, k = spec.image_shape[2], spec.num_classes + 1
    begin = round(settings.start * spec.steps)
    common: dict[str, Any] = {
        "labelled": True,
        "tasks": tuple(games.labelled(task) for task in tasks_of(settings, spec)),
        "synthetic": Synthetic(from_step(begin, settings.synthetic), layouts.rearranged),
        "ema": {"gen": settings.half_life},
    }
    trunk = linen(nets.ConvPyramid(settings.widths, norm="batch"))
    if settings.generator == "oasis":
        return games.oasis(
            MapPlayers(
                linen(nets.SPADEGenerator(settings.gen, channels, settings.hidden)),
                linen(nets.OASISDiscriminator(k, settings.disc, settings.disc[0] // 2)),
                trunk,
            ),
            Latents(settings.latents),
            optimizers(settings, spec, beta=0.0),
            k,
            unlabelled=settings.unlabelled,
            **common,
        )
    wide = tuple(2 * width for width in settings.disc)
    return games.pix2pix(
        MapPlayers(
            linen(nets.Pix2PixGenerator(wide, channels, dropped=1)),
            linen(nets.PatchDiscriminator(wide)),
            trunk,
        ),
        optimizers(settings, spec, beta=0.5),
        k,
        **common,
    )


def optimizers(settings: Settings, spec: Spec, beta: float) -> MapOptimizers:
    """Adam for each turn, of the players with this beta1."""
    return MapOptimizers(
        gen=optax.adam(settings.gen_rate, b1=beta),
        disc=optax.adam(settings.disc_rate, b1=beta),
        tasks=adam(settings, spec.steps),
    )


def evaluate(e: Evaluation, judge_steps: int = 3_000, large: bool = False) -> dict[str, Any]:
    """Scores of the tasks on the test scenes, and of the generator where there is one.

    Args:
        judge_steps: of the network that scores the generator: the tasks alone, with every label.
        large: whether it has the trunk of `published`.
    """
    k = e.spec.num_classes
    found = {**presence_scores(e), **detection_scores(e, k), **segmentation_scores(e, k + 1)}
    if e.game.sample is not None:
        size = "large" if large else "small"
        game = alone(LARGE if large else Settings(), e.spec, judge_steps, every_label=True)
        name = f"tasks of scenes_label_to_image, {size}"
        predict = judge(game, name, e.dataset, e.spec.value_range, judge_steps)
        found |= synthesis_scores(e, predict)
    return found


def tabulate(config: Config, cells: tables.Cells) -> str:
    """Scores by arm, a table for every number of labelled scenes."""
    blocks = [f"{config.seeds} seeds, {config.steps} steps of {config.labelled_batch_size}"]
    for labels in config.labels:
        rows = [
            [arm.text, *(_cell(cells, name, score, labels) for score in SCORES)]
            for name, arm in chosen_arms(config).items()
        ]
        blocks.append(f"{labels} labelled scenes\n\n{tables.markdown(['arm', *HEADER], rows)}")
    return "\n\n".join(blocks)


def _cell(cells: tables.Cells, arm: str, score: str, labels: int) -> str:
    scale = 1 if score == "frechet" else 100
    return tables.mean_std(tables.values(cells, arm, score, labels), scale, 1)


SCORES = (
    *("segmentation_miou", "detection_map_50", "presence_macro_f1"),
    *("asked_miou", "real_miou", "frechet"),
)
HEADER = ("mIoU %", "mAP@.5 %", "macro F1 %", "generated: mIoU %", "reals: mIoU %", "Frechet")

OASIS = Settings(generator="oasis")
ARMS = {
    "alone": Arm(build, Settings(), "labelled scenes alone"),
    "oasis": Arm(build, OASIS, "+ OASIS's scenes, taught by the tasks"),
    "oasis_untaught": Arm(build, replace(OASIS, taught=0.0), "+ OASIS's scenes, no task losses"),
    "pix2pix": Arm(build, Settings(generator="pix2pix"), "+ pix2pix's scenes, taught by the tasks"),
    "all": Arm(build, Settings(every_label=True), "all scenes labelled"),
}


WIDE: dict[str, Any] = {"widths": (32, 64, 128, 256), "head": 64, "skip": 1}
LARGE = Settings(**WIDE)


def published(arm: Arm) -> Arm:
    """The arm with networks for 64x64 and the authors' learning rates."""
    settings = replace(
        arm.settings,
        **WIDE,
        gen=(512, 512, 256, 128, 64),
        hidden=128,
        disc=(128, 128, 256, 512),
        latents=64,
        gen_rate=2e-4 if arm.settings.generator == "pix2pix" else 1e-4,
        disc_rate=2e-4 if arm.settings.generator == "pix2pix" else 4e-4,
        half_life=32 * 6_931.0,
    )
    return replace(arm, settings=settings)


CONFIG = Config(
    name="scenes_label_to_image",
    arms=ARMS,
    evaluate=evaluate,
    tabulate=tabulate,
    data="digit_scenes",
    size=32,
    labels=(200, 2_000),
    steps=1_000,
    seeds=1,
    batch_size=16,
    labelled_batch_size=16,
    log_every=100,
    save_every=500,
    sample_every=500,
    about="an hour on a CPU core",
    presets={
        "smoke": {
            "data": "digit_scenes_small",
            "only": ("pix2pix",),  # OASIS takes minutes to compile
            "labels": (20,),
            **{"steps": 2, "batch_size": 4, "labelled_batch_size": 4, "feature_steps": 0},
            **{"log_every": 1, "save_every": 2, "sample_every": 2, "relations_every": 0},
            **{"check": False, "about": "two minutes, compilation most of all"},
            "evaluate": functools.partial(evaluate, judge_steps=2),
        },
        "cpu": {
            **{"steps": 500, "log_every": 50, "sample_every": 250, "relations_every": 0},
            "about": "40 minutes on a CPU core",
        },
        "paper": {
            "arms": {name: published(arm) for name, arm in ARMS.items()},
            **{"size": None, "steps": 50_000, "seeds": 5},
            "evaluate": functools.partial(evaluate, judge_steps=20_000, large=True),
            **{"batch_size": 32, "labelled_batch_size": 32},
            **{"log_every": 500, "save_every": 5_000, "sample_every": 5_000},
            "about": "hours a cell on a GPU",
        },
    },
)

if __name__ == "__main__":
    main(CONFIG)
