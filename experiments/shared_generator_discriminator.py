"""What may generator and discriminator share, and whose is it? Sharing by owner, as table entries.

Both players are dense networks of equal hidden widths, a first layer of their own, then hidden
blocks. Shared are: nothing; the class embedding (the generator's condition, the discriminator's
projection); the first block of both; all blocks (the trunk). A shared group stands in the table in
two roles, and its owner's turn moves it: the discriminator's, the generator's, both (two opposed
updates a step), or either for 100 steps by turns. All are conditional by projection, have the same
widths and the same budget; what is shared is fewer parameters.

Expected: no published ablation shares layers under both losses and varies the owner. NICE-GAN (Chen
et al. 2020) shares the discriminator's first layers as an encoder and says that only the
discriminator's objective may train them; ELECTRA (Clark et al. 2020, no adversary) gains by sharing
embeddings and little more. So: embeddings do no harm, blocks do, least if the discriminator owns
them, and two owners are worst.

Scored as `mnist_gan_zoo`: Frechet distance to the test images and how often the class asked for is
recognised, under a small classifier that is named by its hash.

Run:    python -m experiments.shared_generator_discriminator --preset cpu (8x8 digits)
Other sets: --data-dir DIR and --data mnist, fashion_mnist or fsdd, --size 16
Check:  --smoke     See: --dry-run     wide networks, 28 pixels, five seeds: --preset paper (a GPU)
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any, Literal

import optax

from gan_mtl import nets
from gan_mtl.games import Latents, Optimizers, Players, gan
from gan_mtl.games.players import Owner
from gan_mtl.run import tables
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm, Config, Spec, chosen_arms
from gan_mtl.run.evaluate import Evaluation, sample_scores
from gan_mtl.types import Game

linen = nets.from_linen


@dataclass(frozen=True)
class Settings:
    """One arm."""

    shared: Literal["none", "embeddings", "first", "trunk"] = "none"
    owner: Owner = "disc"
    width: int = 128
    blocks: int = 2
    """Hidden layers after the first."""
    latents: int = 64
    learning_rate: float = 2e-4
    b1: float = 0.5
    half_life: float = 5_000.0
    """Of the averaged generator, in examples."""


def players(settings: Settings, spec: Spec) -> Players:
    """The networks; both players have `blocks + 1` hidden layers whatever is shared."""
    width, classes = settings.width, spec.num_classes
    inside = {"none": 0, "embeddings": 0, "first": 1, "trunk": settings.blocks}[settings.shared]
    own = (width,) * (settings.blocks - inside)
    last = nets.MLPGenerator(own, spec.image_shape, output="tanh")
    if inside:
        return Players(
            gen=linen(nets.MLPGenerator((), (width,), output="leaky_relu")),
            trunk=linen(nets.MLPTrunk((width,))),
            disc=linen(nets.ProjectionHead(classes, widths=own)),
            middle=linen(nets.MLPTrunk((width,) * inside)),
            gen_out=linen(last),
        )
    embed = linen(nets.ClassEmbedding(classes, width)) if settings.shared != "none" else None
    return Players(
        gen=linen(last.clone(widths=(width, *own))),
        trunk=linen(nets.MLPTrunk((width, *own))),
        disc=linen(nets.Head() if embed else nets.ProjectionHead(classes)),
        embed=embed,
    )


def build(settings: Settings, spec: Spec) -> Game:
    """The arm's GAN."""
    adam = optax.adam(settings.learning_rate, b1=settings.b1)
    return gan(
        players(settings, spec),
        Latents(settings.latents),
        Optimizers(gen=adam, disc=adam),
        condition="projection",
        num_classes=spec.num_classes,
        owner=settings.owner,
        ema=averaged(settings),
    )


def averaged(settings: Settings) -> dict[str, float]:
    """Half-lives of the generator's groups; of a shared one too."""
    groups = ("gen", "gen/out") if settings.shared in ("first", "trunk") else ("gen",)
    shared = () if settings.shared == "none" else ("shared",)
    return dict.fromkeys((*groups, *shared), settings.half_life)


def evaluate(e: Evaluation, count: int = 5_000) -> dict[str, Any]:
    """Scores of samples against the test images."""
    return sample_scores(e, count)


def tabulate(config: Config, cells: tables.Cells) -> str:
    """Scores by what is shared and whose it is, and the difference to nothing shared."""
    rows = []
    apart = {s: tables.values(cells, "none", s) for s in ("frechet", "classified_as_asked")}
    for name, arm in chosen_arms(config).items():
        found = {s: tables.values(cells, name, s) for s in (*apart, "recall")}
        change = tables.paired(found["frechet"], apart["frechet"]) if name != "none" else None
        row = [
            {"first": "first block"}.get(arm.settings.shared, arm.settings.shared),
            "" if arm.settings.shared == "none" else arm.settings.owner,
            tables.mean_std(found["frechet"], 1, 1),
            "" if change is None else f"{change.mean:+.1f}",
            tables.mean_std(found["classified_as_asked"], 100, 1),
            tables.mean_std(found["recall"], 1, 2),
        ]
        rows.append(row)
    header = ["shared", "owner", "Frechet", "minus none", "as asked %", "recall"]
    title = f"{config.data}, {config.seeds} seeds, {config.steps} steps of {config.batch_size}"
    return f"{title}\n\n{tables.markdown(header, rows)}"


OWNERS: tuple[Owner, ...] = ("disc", "gen", "both", "alternating")


def arms(base: Settings) -> dict[str, Arm]:
    """What is shared, by owner."""
    found = {"none": Arm(build, base, "nothing shared")}
    for shared in ("embeddings", "first", "trunk"):
        for owner in OWNERS:
            settings = replace(base, shared=shared, owner=owner)
            found[f"{shared}_{owner}"] = Arm(build, settings, f"{shared}, owner {owner}")
    return found


CONFIG = Config(
    name="shared_generator_discriminator",
    arms=arms(Settings(width=512)),
    evaluate=evaluate,
    tabulate=tabulate,
    data="mnist",
    steps=50_000,
    seeds=5,
    batch_size=64,
    log_every=500,
    save_every=5_000,
    sample_every=5_000,
    about="a day on 2 CPU cores, an hour on a GPU",
    presets={
        "smoke": {
            "only": ("none", "trunk_alternating"),
            **{"steps": 2, "seeds": 1, "log_every": 1, "save_every": 2, "sample_every": 2},
            **{"data": "digits", "batch_size": 16, "feature_steps": 20, "about": "a minute"},
            "arms": arms(Settings(width=16)),
            "evaluate": functools.partial(evaluate, count=500),
        },
        "cpu": {
            "arms": arms(Settings()),
            **{"data": "digits", "steps": 6_000, "seeds": 2, "sample_every": 3_000},
            **{"save_every": 3_000, "about": "20 minutes of one CPU core"},
            "evaluate": functools.partial(evaluate, count=2_000),
        },
        "paper": {},
    },
)

if __name__ == "__main__":
    main(CONFIG)
