"""Three GANs as tasks of one: sum_i alpha_i V_i over MNIST, Fashion-MNIST and USPS.

The tutorials' second system: every task has data p_i and a discriminator head of its own on a
shared trunk, and a generator head of its own on a shared generator. Arms: separate GANs; shared
ones with alpha fixed, learned on the simplex (hardest mixture), by Nash bargaining, by UPGrad; with
L1, L2, task relations, parameter transfer. Samples are scored by one classifier of all 30 classes.
The tutorials claim that sharing helps to generalise from little data: `--fraction 0.01` asks.

Expected: nothing published; the protocol is ours. Images are 16x16 (USPS's size, others resized).

Run:    python -m experiments.adversarial_multitask --data-dir DIR --preset cpu
Other:  python -m experiments.adversarial_multitask --data-dir DIR --preset cpu --fraction 0.01
Check:  --smoke     See: --dry-run
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import optax

from gan_mtl import data, losses, mtl, nets, table
from gan_mtl.games import Adversary, Latents, MultiPlayers, Optimizers, multi_adversarial
from gan_mtl.run import probes, tables
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm, Config, Spec
from gan_mtl.run.evaluate import Evaluation, distances, unit_range
from gan_mtl.types import Array, Coefficient, Game, Optimizer, Schedule

SAMPLES = 1000  # of every task, against as many test images
SHARED = ("trunk", "gen")
Alpha = Literal["fixed", "learned", "nash", "upgrad"]
WEIGHTINGS = {
    "fixed": lambda: None,
    "learned": mtl.learned_simplex,
    "nash": mtl.nash,
    "upgrad": mtl.upgrad,
}


@dataclass(frozen=True)
class Settings:
    """One arm."""

    share: Literal["both", "none"] = "both"
    alpha: Alpha = "fixed"
    """How the tasks are put together; fixed is alpha_i = 1 for all."""
    l1: float = 0.0
    """Strength of L1 on the shared groups."""
    l2: float = 0.0
    """Strength of L2 on the shared groups."""
    relation: float = 0.0
    """Weight of Zhang & Yeung's task relations between the discriminators' heads."""
    transfer: bool = False
    """The first task alone for a third of the steps, then the others alone, from its parameters."""
    learning_rate: float = 5e-4


def before(step: Array, *, end: int) -> Array:
    """1 before a step, then 0."""
    return (step < end).astype(float)


def after(step: Array, *, end: int) -> Array:
    """0 before a step, then 1."""
    return (step >= end).astype(float)


def alphas(settings: Settings, spec: Spec) -> list[Coefficient]:
    """alpha_i of every task."""
    count = len(spec.sources)
    if not settings.transfer:
        return [1.0] * count
    end = max(spec.steps // 3, 1)
    first = Schedule(functools.partial(before, end=end), f"1 until {end}")
    others = Schedule(functools.partial(after, end=end), f"1 from {end}")
    return [first, *[others] * (count - 1)]


def optimizer(settings: Settings, groups: list[str]) -> dict[str, Optimizer]:
    """Adam for every group, after the regularisers of the shared ones."""
    adam = optax.adam(settings.learning_rate, b1=0.5, b2=0.99)
    pulls = [losses.regularizers.l1(settings.l1), losses.regularizers.l2(settings.l2)]
    return {g: optax.chain(*pulls, adam) if g in SHARED else adam for g in groups}


def build(settings: Settings, spec: Spec) -> Game:
    """DCGANs of 16 pixels with spectral norm and the hinge loss."""
    side, _, channels = spec.image_shape
    players = MultiPlayers(
        gen=nets.from_linen(nets.DCGANGenerator(side, None, width=32)),
        gen_head=nets.from_linen(nets.DCGANHead(channels, width=16)),
        trunk=nets.from_linen(
            nets.DCGANTrunk(side, width=32, norm="spectral", kernel_init=nets.lecun)
        ),
        disc=nets.from_linen(nets.Head()),
    )
    names = list(spec.sources)
    apart = settings.share == "none"
    trunks = [f"trunk/{n}" for n in names] if apart else ["trunk"]
    gens = [f"gen/trunk/{n}" for n in names] if apart else ["gen"]
    return multi_adversarial(
        players,
        tuple(
            Adversary(name, alpha, f"images/{name}")
            for name, alpha in zip(names, alphas(settings, spec), strict=True)
        ),
        Latents(64),
        Optimizers(
            gen=optimizer(settings, [*gens, *(f"gen/{n}" for n in names)]),
            disc=optimizer(settings, [*trunks, *(f"disc/{n}" for n in names)]),
        ),
        adversarial=losses.hinge,
        share=settings.share,
        relation=settings.relation,
        weightings=(WEIGHTINGS[settings.alpha](), WEIGHTINGS[settings.alpha]()),
        ema={group: 5_000.0 for group in (*gens, *(f"gen/{n}" for n in names))},
    )


def evaluate(e: Evaluation) -> dict[str, Any]:
    """By task: Frechet distance and recognition of samples, probe of the trunk, train-test gap."""
    assert e.features is not None
    found: dict[str, Any] = {}
    fresh = e.fresh()
    for number, source in enumerate(e.dataset.sources):
        name = source.name
        train, test = (drawn(e.dataset, s, name) for s in (e.dataset.train, e.dataset.test))
        real = e.features.features(data.to_float(test.images))
        images = unit_range(e.sample(SAMPLES, np.full(SAMPLES, number)), e.spec.value_range)
        scores = distances(real, e.features.features(images))
        found |= {f"{name}/{k}": scores[k] for k in ("frechet", "density", "coverage")}
        classes = e.features.classify(images) - source.first_class
        own = (classes >= 0) & (classes < source.num_classes)
        found[f"{name}/recognised_as_task"] = float(own.mean())
        hidden = [e.predict(f"features/{name}", split.images) for split in (train, test)]
        found[f"{name}/probe_accuracy"] = probes.linear_probe(
            (hidden[0], hidden[1]), (train.labels, test.labels)
        )
        for when, predict in (("", e.predict), ("_before", fresh)):
            logits = [predict(f"disc/{name}", split.images) for split in (train, test)]
            found[f"{name}/gap{when}"] = outranking(*logits)
    if "trunk" in table.moved_groups(e.game.turns[0]):
        found["leakage_before"] = probes.leakage(features_by_source(fresh), e.dataset)
        found["leakage"] = probes.leakage(features_by_source(e.predict), e.dataset)
    found["protocol"] = {"features": e.features.name, "features_hash": e.features.digest}
    return found


def drawn(dataset: data.Dataset, split: data.Split, name: str) -> data.Split:
    """At most 1,000 examples of one source; by lot, since published files have an order."""
    part = data.part(dataset, split, name)
    return data.take(part, data.shuffled(part.num_examples, 0, "scores")[:SAMPLES])


def features_by_source(predict):
    """`(source, images) -> features` of a state."""
    return lambda name, images: predict(f"features/{name}", images)


def outranking(train: np.ndarray, test: np.ndarray) -> float:
    """How often a training image has a higher logit than a test image; 0.5 is no overfitting.

    The standard deviation of an untrained judge's is 0.017 with 1,000 images of each.
    """
    ordered = np.sort(test)
    below = np.searchsorted(ordered, train, "left") + np.searchsorted(ordered, train, "right")
    return float(below.mean() / (2 * len(test)))


SCORES = {  # score: header, scale, digits
    "frechet": ("Fréchet", 1, 1),
    "probe_accuracy": ("probe %", 100, 1),
    "gap": ("train > test %", 100, 1),
}


def tabulate(config: Config, cells: tables.Cells) -> str:
    """A row per arm: every score of every task, and the leakage.

    The difference is of the mean over tasks; for `transfer` over those that were transferred to.
    """
    scored = [cell["scores"] for cell in cells if cell["scores"]]
    suffix = "/frechet"
    sources = [k.removesuffix(suffix) for k in (scored[0] if scored else {}) if k.endswith(suffix)]
    header = ["arm", *(f"{text} {name}" for text, *_ in SCORES.values() for name in sources)]
    header += ["leakage % (untrained)", "mean Fréchet - shared's, 95 %"]
    rows = []
    for arm, settings in config.arms.items():
        found = [settings.text]
        for score, (_, scale, digits) in SCORES.items():
            for name in sources:
                values = tables.values(cells, arm, f"{name}/{score}")
                found.append(tables.mean_std(values, scale, digits))
        leak, start = (tables.values(cells, arm, k) for k in ("leakage", "leakage_before"))
        untrained = f" ({tables.mean_std(start, 100)})" if start else ""
        found.append(tables.mean_std(leak, 100) + untrained)
        targets = sources[1:] if settings.settings.transfer else sources
        rows.append([*found, _difference(cells, arm, targets)])
    part = f", {config.fraction:g} of the training images" if config.fraction < 1 else ""
    title = f"{config.seeds} seeds, {config.steps} steps of {config.batch_size} images a task{part}"
    return f"{title}\n\n{tables.markdown(header, rows)}"


def _difference(cells: tables.Cells, arm: str, sources: list[str]) -> str:
    def mean(of: str) -> dict[int, float]:
        parts = [tables.values(cells, of, f"{name}/frechet") for name in sources]
        seeds = set.intersection(*(set(part) for part in parts))
        return {seed: float(np.mean([part[seed] for part in parts])) for seed in seeds}

    found = None if arm == "shared" else tables.paired(mean(arm), mean("shared"))
    return "" if found is None else f"{found.low:+.1f} .. {found.high:+.1f}"


CONFIG = Config(
    name="adversarial_multitask",
    arms={
        "separate": Arm(build, Settings(share="none"), "separate GANs"),
        "shared": Arm(build, Settings(), "shared, alpha fixed"),
        "learned": Arm(build, Settings(alpha="learned"), "alpha learned (simplex)"),
        "nash": Arm(build, Settings(alpha="nash"), "alpha by Nash-MTL"),
        "upgrad": Arm(build, Settings(alpha="upgrad"), "UPGrad"),
        "l1": Arm(build, Settings(l1=1e-5), "shared + L1"),
        "l2": Arm(build, Settings(l2=1e-3), "shared + L2"),
        "relation": Arm(build, Settings(relation=1e-3), "shared + task relations"),
        "transfer": Arm(build, Settings(transfer=True), "transfer from the first task"),
    },
    evaluate=evaluate,
    tabulate=tabulate,
    data="joined:mnist+fashion_mnist+usps",
    size=16,
    steps=20_000,
    seeds=3,
    batch_size=32,
    log_every=100,
    save_every=20_000,
    sample_every=5_000,
    about="hours on 2 CPU cores",
    presets={
        "smoke": {
            "feature_steps": 20,
            "only": ("nash",),
            **{"steps": 2, "seeds": 1, "log_every": 1, "save_every": 2, "sample_every": 2},
            **{"batch_size": 4, "fraction": 0.02},
            "about": "a minute",
        },
        "cpu": {
            **{"steps": 1_500, "seeds": 2, "save_every": 1_500, "sample_every": 500},
            "about": "an hour on 2 CPU cores",
        },
    },
)

if __name__ == "__main__":
    main(CONFIG)
