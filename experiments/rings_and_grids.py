"""Gaussians on a ring and on a grid: how many of 8 and 25 modes does a generator find?

Lin et al., "PacGAN: The power of two samples in generative adversarial networks", NeurIPS 2018,
table 1: radius 1 and deviation 0.01, or spacing 2 and deviation 0.05; 2,500 samples of each of 10
trials; a sample is of high quality within 3 deviations of a mode, a mode is found if one such
sample is there, the reverse KL is of the histogram of high-quality samples. A circle through all
modes finds 8 of 8: read the three scores together.

`paper`: networks, 400 epochs of 100,000 points, batches of 100 packs, Adam 1e-4 (beta1 0.8), both
players at once, as in the authors' code. `cpu`: smaller networks, 20,000 alternating steps of 200
packs. All trials of an arm are one program.

Expected (paper, ring and grid): GAN 6.3 and 17.3 modes, PacGAN2 7.9 and 23.8, PacGAN4 7.8 and 24.8.

Run:    python -m experiments.rings_and_grids --preset cpu
Check:  --smoke        400 epochs: --preset paper (a GPU)
"""

from __future__ import annotations

import functools
import json
import math
import pathlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from gan_mtl import alternating, losses, metrics, mtl, nets, parallel
from gan_mtl.data import generated
from gan_mtl.games import (
    Adversary,
    Extras,
    Latents,
    MultiPlayers,
    Optimizers,
    Players,
    Unroll,
    at_once,
    gan,
    gan_rows,
    multi_adversarial,
)
from gan_mtl.run import record, tables
from gan_mtl.run.whole import write
from gan_mtl.types import Context, Game
from gan_mtl.update import variables_of

RESULTS = pathlib.Path(__file__).parent / "results" / "rings_and_grids.json"
PICTURE = pathlib.Path(__file__).parents[1] / "docs" / "rings_and_grids.png"
POINTS = 100_000
SAMPLES = 2_500
DRAWN = 500  # samples of a trial in the picture
LOOK = 250  # steps between two looks at the clock
SHAPES = {  # by name: points, centres' number, deviation
    "ring": (functools.partial(generated.ring, radius=1.0, std=0.01), 8, 0.01),
    "grid": (generated.grid, 25, 0.05),
}
PAPER = {  # table 1: modes, high quality %, reverse KL, each with its standard error
    ("gan", "ring"): ("6.3 ± 0.5", "98.2 ± 0.2", "0.45 ± 0.09"),
    ("gan", "grid"): ("17.3 ± 0.8", "94.8 ± 0.7", "0.70 ± 0.07"),
    ("pacgan2", "ring"): ("7.9 ± 0.1", "95.6 ± 2.0", "0.07 ± 0.03"),
    ("pacgan2", "grid"): ("23.8 ± 0.7", "91.3 ± 0.8", "0.13 ± 0.04"),
    ("pacgan3", "ring"): ("7.8 ± 0.1", "97.7 ± 0.3", "0.10 ± 0.02"),
    ("pacgan3", "grid"): ("24.6 ± 0.4", "94.2 ± 0.4", "0.06 ± 0.02"),
    ("pacgan4", "ring"): ("7.8 ± 0.1", "95.9 ± 1.4", "0.07 ± 0.02"),
    ("pacgan4", "grid"): ("24.8 ± 0.2", "93.6 ± 0.6", "0.04 ± 0.01"),
}


@dataclass(frozen=True)
class Budget:
    """Networks and training of all arms."""

    networks: Literal["pacgan", "small"] = "small"
    steps: int = 20_000
    batch_size: int = 200
    """Packs of points."""
    learning_rate: float = 2e-3
    half_life: float = 50_000.0
    """Of the averaged generator that is sampled, in points; 0 samples the last one."""
    at_once: bool = False
    """Both players move from the same parameters."""


BUDGETS = {
    "cpu": Budget(),
    "paper": Budget("pacgan", 400_000, 100, 1e-4, 0.0, at_once=True),
}


@dataclass(frozen=True)
class Config:
    """What is run."""

    preset: Literal["cpu", "paper"] = "cpu"
    shapes: tuple[str, ...] = tuple(SHAPES)
    only: tuple[str, ...] = ()
    """Arms; all by default."""
    trials: int = 10
    steps: int | None = None
    """In place of the preset's."""
    out: pathlib.Path = RESULTS
    picture: pathlib.Path = PICTURE
    smoke: bool = False
    """Two arms, two trials, a few steps, nothing written."""


CONFIG = Config()


def networks(budget: Budget) -> Players:
    """Generator, trunk and head."""
    if budget.networks == "pacgan":
        return Players(
            gen=nets.from_linen(nets.PacGANGenerator()),
            trunk=nets.from_linen(nets.PacGANTrunk()),
            disc=nets.from_linen(nets.PacGANHead()),
        )
    gen = nets.MLPGenerator((128, 128, 128), (2,), jax.nn.relu, "none", batch_norm=True)
    return Players(
        gen=nets.from_linen(gen),
        trunk=nets.from_linen(nets.MLPTrunk((128, 128, 128))),
        disc=nets.from_linen(nets.Head()),
    )


def optimizers(budget: Budget, b1: float = 0.5, b2: float = 0.999) -> Optimizers:
    """Adam for both players; linear to 0 over the second half under "small"."""
    if budget.networks == "pacgan":
        adam = optax.adam(budget.learning_rate, b1=0.8)
        return Optimizers(gen=adam, disc=adam)
    half = budget.steps // 2
    fall = optax.linear_schedule(budget.learning_rate, 0.0, max(budget.steps - half, 1), half)
    return Optimizers(gen=optax.adam(fall, b1=b1, b2=b2), disc=optax.adam(fall, b1=b1, b2=b2))


def game(budget: Budget, options: Mapping[str, Any], **adam: float) -> Game:
    """One generator, one discriminator."""
    ema = {"gen": budget.half_life} if budget.half_life else {}
    players, optimizer = networks(budget), optimizers(budget, **adam)
    found = gan(players, Latents(2), optimizer, ema=ema, **options)
    movable = budget.at_once and options.get("disc_repeats", 1) == 1
    return at_once(found) if movable else found


def packed(budget: Budget, size: int) -> Game:
    """The plain GAN whose discriminator judges `size` points at once."""
    return game(budget, {"extras": Extras(pack=size)})


def unrolled(budget: Budget, saddle: bool, rate: float = 0.1) -> Game:
    """The generator looks five plain gradient steps of the discriminator ahead."""
    ahead = Unroll(5, optax.sgd(rate), saddle)
    return game(budget, {"extras": Extras(unroll=ahead)})


def wgan_gp(budget: Budget) -> Game:
    """Wasserstein loss, gradient penalty 0.1 (the authors' weight for toys), five critic steps."""
    penalty = gan_rows.gradient_penalty(0.1)
    options = {"adversarial": losses.wasserstein, "penalties": (penalty,), "disc_repeats": 5}
    return game(budget, options, b2=0.9)


def relativistic(budget: Budget, gamma: float = 0.02) -> Game:
    """Paired relativistic loss with R1 and R2 (gamma / 2 each)."""
    rows = (gan_rows.r1(gamma), gan_rows.r2(gamma))
    return game(budget, {"adversarial": losses.relativistic, "penalties": rows}, b1=0.0)


def several(budget: Budget, weighting: Callable[[], Any] | None, count: int = 3) -> Game:
    """Discriminators of their own initialisation against one generator."""
    one = networks(budget)
    players = MultiPlayers(gen=one.gen, disc=one.disc, trunk=one.trunk)  # pyright: ignore
    judges = tuple(Adversary(f"d{i}", 1 / count) for i in range(count))
    ema = {"gen": budget.half_life} if budget.half_life else {}
    how = None if weighting is None else weighting()
    return multi_adversarial(
        players,
        judges,
        Latents(2),
        optimizers(budget),
        share="gen",
        weightings=(None, how),
        ema=ema,
    )


ARMS: dict[str, tuple[str, Callable[[Budget], Game], int]] = {  # text, builder, points a pack
    "gan": ("GAN", functools.partial(packed, size=1), 1),
    "pacgan2": ("PacGAN2", functools.partial(packed, size=2), 2),
    "pacgan3": ("PacGAN3", functools.partial(packed, size=3), 3),
    "pacgan4": ("PacGAN4", functools.partial(packed, size=4), 4),
    "unrolled": ("unrolled, own loss", functools.partial(unrolled, saddle=False), 1),
    "saddle": ("unrolled, saddle point", functools.partial(unrolled, saddle=True), 1),
    "wgan_gp": ("WGAN-GP", wgan_gp, 1),
    "relativistic": ("relativistic + R1 + R2", relativistic, 1),
    "three": ("3 discriminators, mean", functools.partial(several, weighting=None), 1),
    "gman": ("3 discriminators, GMAN", functools.partial(several, weighting=mtl.gman), 1),
    "upgrad": ("3 discriminators, UPGrad", functools.partial(several, weighting=mtl.upgrad), 1),
}


def train(arm: str, shape: str, budget: Budget, trials: int) -> tuple[np.ndarray, float]:
    """Samples [trials, 2500, 2] of all trials of an arm, and milliseconds a step of all trials."""
    _, build, size = ARMS[arm]
    played = build(budget)
    updater = alternating(played)
    points = SHAPES[shape][0](POINTS, 0).images
    count = budget.batch_size * size * max(turn.repeats for turn in played.turns)
    draw = np.random.default_rng(0)

    def rows(*lead: int) -> dict[str, np.ndarray]:
        return {"rows": draw.integers(0, POINTS, (*lead, count), dtype=np.int32)}

    def gather(data, batch):
        return {"images": data["points"][batch["rows"]]}

    per_call = math.gcd(LOOK, budget.steps)
    keys = jax.vmap(jax.random.key)(jnp.arange(trials))
    compiled = parallel.compile_update(
        updater,
        num_devices=1,
        seeds=trials,
        vmap_seeds=True,
        steps_per_call=per_call,
        gather=gather,
    )
    data = compiled.keep([{"points": points}] * trials)
    first = {"images": points[rows(trials)["rows"]]}
    state = compiled.init(keys, first)
    began, warm = time.perf_counter(), 0.0
    for step in range(0, budget.steps, per_call):
        numbers = step + jnp.arange(per_call)
        now = jax.vmap(lambda n: jax.vmap(jax.random.fold_in, (0, None))(keys, n))(numbers)
        state, found = compiled.update(step, now, state, compiled.put(rows(per_call, trials)), data)
        if not step:
            jax.block_until_ready(found)
            warm = time.perf_counter() - began
    jax.block_until_ready(state)
    spent = time.perf_counter() - began - warm
    milliseconds = 1e3 * spent / max(budget.steps - per_call, 1)
    return _samples(played, compiled.split(state)), milliseconds


def _samples(played: Game, states: list[Any]) -> np.ndarray:
    def draw(state, key):
        context = Context(key, jnp.zeros((), jnp.int32), train=False)
        assert played.sample is not None
        return played.sample(variables_of(state), SAMPLES, None, context)

    drawn = parallel.compile_function(draw)
    keys = jax.random.split(jax.random.key(1), len(states))
    return np.stack([np.asarray(drawn(s, k)) for s, k in zip(states, keys, strict=True)])


def centres(shape: str) -> np.ndarray:
    """The modes' centres [k, 2]: the points of a draw without noise."""
    make, count, _ = SHAPES[shape]
    return make(count, 0, std=0.0).images


def measure(arm: str, shape: str, budget: Budget, trials: int) -> tuple[dict[str, Any], np.ndarray]:
    """One row of the table, and samples for the picture."""
    samples, milliseconds = train(arm, shape, budget, trials)
    _, _, std = SHAPES[shape]
    found = [metrics.mode_coverage(x, centres(shape), std) for x in samples]
    row = {
        "arm": arm,
        "shape": shape,
        "milliseconds": round(milliseconds, 2),
        "modes": [one.modes for one in found],
        "quality": [round(one.quality, 4) for one in found],
        "reverse_kl": [round(one.reverse_kl, 4) for one in found],
    }
    return row, samples[:, :DRAWN]


def table(results: list[dict[str, Any]]) -> str:
    """A block for each shape: means and standard errors over trials, and the paper's."""
    blocks = []
    for shape in dict.fromkeys(row["shape"] for row in results):
        lines = []
        for row in (row for row in results if row["shape"] == shape):
            scores = [_mean_se(row["modes"], 1, 1), _mean_se(row["quality"], 100, 1)]
            scores.append(_mean_se(row["reverse_kl"], 1, 2))
            printed = " / ".join(PAPER.get((row["arm"], shape), ()))
            lines.append([ARMS[row["arm"]][0], *scores, f"{row['milliseconds']:.1f}", printed])
        heads = ["arm", f"modes of {SHAPES[shape][1]}", "high quality %", "reverse KL"]
        shown = tables.markdown([*heads, "ms a step, all trials", "paper"], lines)
        trials = len(results[0]["modes"])
        blocks.append(f"{shape}, {trials} trials, mean ± standard error\n\n{shown}")
    return "\n\n".join(blocks)


def _mean_se(values: list[float], scale: float, digits: int) -> str:
    array = scale * np.asarray(values, float)
    if not np.isfinite(array).all():
        return f"{array.mean():.{digits}f}"
    return f"{array.mean():.{digits}f} ± {array.std(ddof=1) / math.sqrt(len(array)):.{digits}f}"


def draw(pictures: Mapping[tuple[str, str], np.ndarray], path: pathlib.Path) -> None:
    """The first trial of every arm, a row for each shape."""
    from matplotlib.figure import Figure

    shapes = list(dict.fromkeys(shape for _, shape in pictures))
    arms = list(dict.fromkeys(arm for arm, _ in pictures))
    figure = Figure(figsize=(1.7 * len(arms), 1.9 * len(shapes)), dpi=90)
    axes = np.asarray(figure.subplots(len(shapes), len(arms), squeeze=False))
    for (arm, shape), samples in pictures.items():
        axis = axes[shapes.index(shape), arms.index(arm)]
        limit = 1.6 * np.abs(centres(shape)).max() / (1.2 if shape == "grid" else 1.0)
        axis.plot(*centres(shape).T, "o", color="0.8", markersize=7, zorder=1)
        axis.plot(*samples[0].T, ".", markersize=1.5, zorder=2)
        axis.set(xlim=(-limit, limit), ylim=(-limit, limit), xticks=[], yticks=[], aspect="equal")
        if shape == shapes[0]:
            axis.set_title(ARMS[arm][0], fontsize=7)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def main(config: Config = CONFIG, argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Runs all arms, prints the tables, writes them and the picture."""
    config = tyro.cli(
        Config, default=config, args=argv, prog="python -m experiments.rings_and_grids"
    )
    arms = config.only or tuple(ARMS)
    for option, given, known in (("only", arms, ARMS), ("shapes", config.shapes, SHAPES)):
        if unknown := [name for name in given if name not in known]:
            raise SystemExit(f"--{option} {unknown[0]} is not one of {', '.join(known)}.")
    budget, trials = BUDGETS[config.preset], config.trials
    if config.steps is not None:
        budget = replace(budget, steps=config.steps)
    if trials < 2 or budget.steps < 1:
        raise SystemExit(
            f"--trials {trials} --steps {budget.steps}: give at least 2 trials, which share a "
            "program and make the standard error, of at least 1 step."
        )
    if config.smoke:
        arms, trials, budget = ("pacgan2", "upgrad"), 2, replace(budget, steps=4)
    parallel.enable_compilation_cache()
    results, pictures = [], {}
    for shape in config.shapes:
        for arm in arms:
            row, pictures[arm, shape] = measure(arm, shape, budget, trials)
            results.append(row)
            print(table([row]).splitlines()[-1], flush=True)
    print(f"\n{table(results)}")
    if not config.smoke:
        draw(pictures, config.picture)
        protocol = {**vars(budget), "trials": trials, "samples": SAMPLES, "points": POINTS}
        protocol["radius"] = "3 standard deviations"
        found = record.measurement("experiments.rings_and_grids", protocol, ("--out", "--picture"))
        found |= {"preset": config.preset, "rows": results}
        write(config.out, json.dumps(found, indent=1))
    return results


if __name__ == "__main__":
    main()
