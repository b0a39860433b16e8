"""Text by a GAN, character by character: WGAN-GP over lines that a rule can check.

`text:numbers`: the English words of 0 .. 9,999. Generators make, for every place of a line, the
probabilities of all characters (Gulrajani et al. 2017, section 5.5, at a small part of the size);
nothing is sampled inside the game, and the critic tells rows of probabilities from rows with one
certain character. Scores of the most probable characters: the Jensen-Shannon divergence of n-grams
to the held-out lines, the share of lines that keep to the rule, and of these the ones that training
never showed. As many training lines, drawn by lot, stand beside: few lines diverge more.

Expected: short n-grams within a few hundredths of the floor, most lines valid, some of them new.
No published number is of this text.

Run:    python -m experiments.char_wgan --preset cpu [--data text:sums or text:FILE]
Check:  --smoke     See: --dry-run     width 512, as published: --preset paper (a GPU)
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optax

from gan_mtl import losses, metrics, nets
from gan_mtl.data import order, text
from gan_mtl.games import Latents, Optimizers, Players, gan, gan_rows
from gan_mtl.run import tables
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm, Config, Spec, chosen_arms
from gan_mtl.run.evaluate import Evaluation
from gan_mtl.types import Game

linen = nets.from_linen
GRAMS = (1, 2, 3, 4)


@dataclass(frozen=True)
class Settings:
    """One arm."""

    width: int = 32
    blocks: int = 2
    penalty: float = 10.0
    """Of the critic's gradient; 0 leaves it out, and the game is the non-saturating one."""
    disc_repeats: int = 5
    latents: int = 64
    learning_rate: float = 5e-4
    b1: float = 0.5
    b2: float = 0.9
    half_life: float = 5_000.0
    """Of the averaged generator, in examples."""


def build(settings: Settings, spec: Spec) -> Game:
    """The arm's GAN."""
    length, letters, _ = spec.image_shape
    adam = optax.adam(settings.learning_rate, b1=settings.b1, b2=settings.b2)
    players = Players(
        gen=linen(nets.TextGenerator(length, letters, settings.width, settings.blocks)),
        trunk=linen(nets.TextTrunk(settings.width, settings.blocks)),
        disc=linen(nets.Head()),
    )
    wasserstein = bool(settings.penalty)
    return gan(
        players,
        Latents(settings.latents),
        Optimizers(gen=adam, disc=adam),
        adversarial=losses.wasserstein if wasserstein else losses.non_saturating,
        penalties=(gan_rows.gradient_penalty(settings.penalty),) if wasserstein else (),
        disc_repeats=settings.disc_repeats,
        ema={"gen": settings.half_life},
    )


def evaluate(e: Evaluation, count: int = 2_000) -> dict[str, Any]:
    """Scores of generated lines, of as many training lines by lot, and ten lines to look at."""
    letters = text.alphabet(e.dataset)
    lines = text.decode(e.sample(count, None), letters)
    training, test = (text.decode(s.images, letters) for s in (e.dataset.train, e.dataset.test))
    some = [training[i] for i in order.permutation(len(training), 0, "floor")[:count]]
    found: dict[str, Any] = {"lines": lines[:10]}
    for prefix, shown in (("", lines), ("train_", some)):
        for n in GRAMS:
            found[f"{prefix}divergence_{n}"] = _divergence(shown, test, n)
    rule = _rule(e.dataset.name)
    if rule is not None:
        shares = metrics.rule_shares(lines, rule(), training)
        found |= shares._asdict()
    else:
        found["distinct"] = len(set(lines)) / count
    return found


def _rule(data: str) -> Callable[[], list[str]] | None:
    """All lines of the rule of `text:RULE`; None for `text:FILE`, which has none."""
    return text.RULES.get(data.partition(":")[2])


def _divergence(lines: list[str], test: list[str], n: int) -> float:
    """1 where no generated line has as many characters."""
    long = [line for line in lines if len(line) >= n]
    return metrics.ngram_divergence(long, test, n) if long else 1.0


def tabulate(config: Config, cells: tables.Cells) -> str:
    """Divergences and shares by arm; the last row is of the training lines."""

    def divergences(arm: str, prefix: str = "") -> list[str]:
        names = [f"{prefix}divergence_{n}" for n in GRAMS]
        return [tables.mean_std(tables.values(cells, arm, name), 1, 3) for name in names]

    rows, arms = [], chosen_arms(config)
    for name, arm in arms.items():
        shares = [
            tables.mean_std(tables.values(cells, name, score), 100, 1)
            for score in ("valid", "new", "distinct")
        ]
        rows.append([arm.text, *divergences(name), *shares])
    shares = ["-"] * 3 if _rule(config.data) is None else ["100", "0", "100"]
    rows.append(["training lines", *divergences(next(iter(arms)), "train_"), *shares])
    header = ["arm", *(f"JS of {n}-grams" for n in GRAMS), "valid %", "new %", "distinct %"]
    title = f"{config.data}, {config.seeds} seeds, {config.steps} steps of {config.batch_size}"
    return f"{title}\n\n{tables.markdown(header, rows)}\n\nJS in bits, to the held-out lines."


def arms(width: int, blocks: int, repeats: int) -> dict[str, Arm]:
    """The critic with its penalty, and the game without."""
    critic = Settings(width, blocks, disc_repeats=repeats)
    plain = Settings(width, blocks, penalty=0.0, disc_repeats=1, learning_rate=2e-4, b2=0.999)
    return {
        "wgan_gp": Arm(build, critic, f"WGAN-GP, {repeats} critic steps"),
        "non_saturating": Arm(build, plain, "non-saturating, one step each"),
    }


CONFIG = Config(
    name="char_wgan",
    arms=arms(512, 5, 5),
    evaluate=evaluate,
    tabulate=tabulate,
    data="text:numbers",
    value_range=(0.0, 1.0),
    steps=100_000,
    seeds=3,
    batch_size=64,
    log_every=500,
    save_every=5_000,
    sample_every=5_000,
    feature_steps=0,
    relations_every=0,
    about="a day on a GPU",
    presets={
        "smoke": {
            "only": ("wgan_gp",),
            **{"steps": 2, "seeds": 1, "log_every": 1, "save_every": 2, "sample_every": 2},
            **{"data": "text:sums", "batch_size": 8, "about": "a minute"},
            "arms": arms(4, 1, 1),
            "evaluate": functools.partial(evaluate, count=100),
        },
        "cpu": {
            "arms": arms(32, 2, 2),
            **{"steps": 3_000, "seeds": 1, "batch_size": 32},
            **{"log_every": 100, "sample_every": 1_000, "save_every": 1_000},
            "about": "20 minutes of one CPU core",
        },
        "paper": {},
    },
)

if __name__ == "__main__":
    main(CONFIG)
