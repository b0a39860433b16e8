"""An experiment small enough for tests: two arms on 8x8 digits, some twenty steps."""

from dataclasses import dataclass

import optax

from gan_mtl import nets
from gan_mtl.games import (
    Latents,
    Optimizers,
    Players,
    Weights,
    class_task,
    multitask,
    semi_supervised,
)
from gan_mtl.run import tables
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm, Config
from gan_mtl.run.evaluate import class_scores

linen = nets.from_linen


@dataclass(frozen=True)
class Settings:
    """Learning rate, width of the trunk, weight of the class that is asked for."""

    learning_rate: float = 1e-3
    width: int = 12
    explode_at: int = -1
    conditional: float = 0.1


def exploding(settings):
    """Adam, whose learning rate is NaN from a step on (to see the run stop)."""

    def rate(count):
        bad = (settings.explode_at >= 0) & (count >= settings.explode_at)
        return optax.constant_schedule(settings.learning_rate)(count) / (1 - bad) * (1 - bad)

    return optax.adam(rate if settings.explode_at >= 0 else settings.learning_rate)


def classifier(settings, spec):
    """A class head alone."""
    trunk = linen(nets.MLPTrunk((settings.width,), input_noise=0.1))
    task = class_task(linen(nets.Head(spec.num_classes)))
    return multitask(trunk, (task,), exploding(settings))


def semi(settings, spec):
    """A semi-supervised GAN with BatchNorm in the generator."""
    players = Players(
        gen=linen(nets.MLPGenerator((12,), spec.image_shape, output="tanh", batch_norm=True)),
        trunk=linen(nets.MLPTrunk((settings.width,), input_noise=0.1, kernel_norm="spectral")),
    )
    adam = optax.adam(settings.learning_rate)
    return semi_supervised(
        players,
        linen(nets.Head(spec.num_classes)),
        Latents(4),
        Optimizers(adam, adam),
        num_classes=spec.num_classes,
        weights=Weights(conditional=settings.conditional),
        ema={"gen": 500.0, "trunk": 500.0, "heads/class": 500.0},
    )


def constant(settings, dataset, seed):
    """A row that is not a game: always the class of the first visible label."""
    del settings, seed
    first = dataset.train.labels[dataset.train.visible[0]]
    return {"test_accuracy": float((dataset.test.labels == first).mean())}


def evaluate(e):
    """Accuracy and the confusion matrix."""
    return class_scores(e)


def tabulate(config, cells):
    """Mean accuracy by arm."""
    labels = config.labels[0]
    rows = [
        [arm, tables.mean_std(tables.values(cells, arm, "test_accuracy", labels), 100)]
        for arm in config.arms
    ]
    return tables.markdown(["arm", "accuracy"], rows)


CONFIG = Config(
    name="tiny_experiment",
    arms={
        "classifier": Arm(classifier, Settings(), "class head alone"),
        "semi": Arm(semi, Settings(), "semi-supervised GAN"),
        "constant": Arm(None, fit=constant, text="the most frequent label"),
    },
    evaluate=evaluate,
    tabulate=tabulate,
    labels=(30,),
    steps=12,
    batch_size=16,
    labelled_batch_size=8,
    log_every=3,
    eval_every=6,
    save_every=3,
    sample_every=6,
    feature_steps=8,
    presets={"smoke": {"steps": 3}, "slow": {"steps": 3000}},
)

if __name__ == "__main__":
    main(CONFIG)
