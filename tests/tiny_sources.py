"""An experiment on two joined sets, small enough for tests."""

from dataclasses import dataclass

import optax

from gan_mtl import nets
from gan_mtl.games import Adversary, Latents, MultiPlayers, Optimizers, multi_adversarial
from gan_mtl.run import probes
from gan_mtl.run.config import Arm, Config

linen = nets.from_linen


@dataclass(frozen=True)
class Settings:
    """Nothing to set."""


def build(settings, spec):
    """A GAN of two tasks on shared trunks."""
    players = MultiPlayers(
        gen=linen(nets.MLPTrunk((6,))),
        gen_head=linen(nets.MLPGenerator((), spec.image_shape, output="tanh")),
        trunk=linen(nets.MLPTrunk((6,))),
        disc=linen(nets.Head()),
    )
    adversaries = tuple(Adversary(name, 1.0, f"images/{name}") for name in spec.sources)
    adam = Optimizers(optax.adam(1e-3), optax.adam(1e-3))
    return multi_adversarial(players, adversaries, Latents(3), adam)


def evaluate(e):
    """Leakage before and after."""

    def of(predict):
        return lambda name, images: predict(f"features/{name}", images)

    before, after = (probes.leakage(of(p), e.dataset) for p in (e.fresh(), e.predict))
    return {"before": before, "after": after, "seen": e.dataset.train.num_examples}


def tabulate(config, cells):
    """The scores."""
    return str([cell["scores"] for cell in cells])


CONFIG = Config(
    name="tiny_sources",
    arms={"joint": Arm(build, Settings())},
    evaluate=evaluate,
    tabulate=tabulate,
    steps=4,
    batch_size=4,
    devices=1,
    log_every=2,
    save_every=2,
    sample_every=4,
    feature_steps=8,
    relations_every=2,
    fraction=0.5,
)
