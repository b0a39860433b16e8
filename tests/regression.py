"""Softmax regression on 2x2 images, an experiment of it, and its training loop by hand in NumPy.

The start is fixed and nothing is drawn: what a run does depends on the order of its data alone.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import optax

from gan_mtl.data import Dataset, Split, stream
from gan_mtl.losses.tasks import cross_entropy
from gan_mtl.run import tables
from gan_mtl.run.config import Arm, Config, Spec
from gan_mtl.types import Game, Loss, Objective, Outcome, Turn

SHAPE, CLASSES = (2, 2, 1), 3
START = np.linspace(-0.5, 0.5, 4 * CLASSES).reshape(4, CLASSES)
DECAY, HALF_LIFE, MOMENTUM = 0.1, 8.0, 0.9


@dataclass(frozen=True)
class Settings:
    """The learning rate."""

    rate: float = 0.5


def logits_of(variables, images, context):
    """Images [n, 2, 2, 1] to logits [n, 3]."""
    return images.reshape(len(images), -1) @ variables.params["linear"]["w"]


def losses(variables, batch, context):
    """Cross-entropy, and half the squared weights as a lazy penalty."""
    found = {
        "class": Loss(
            cross_entropy(logits_of(variables, batch["images"], context), batch["labels"])
        ),
        "decay": Loss((variables.params["linear"]["w"] ** 2).sum() / 2),
    }
    return Outcome(found, variables)


def start(key, batch):
    """The same weights for every key."""
    return {"linear": {"params": {"w": jnp.asarray(START, jnp.float32)}}}


def build(settings, spec):
    """One turn: SGD with momentum, the penalty at every second step, averaged weights."""
    rows = {
        "class": Objective({"linear": 1.0}),
        "decay": Objective({"linear": DECAY}, every=2),
    }
    sgd = optax.sgd(settings.rate, momentum=MOMENTUM)
    return Game(
        start,
        (Turn("model", losses, rows, sgd),),
        ema={"linear": HALF_LIFE},
        predict={"class": logits_of},
    )


def majority(settings, dataset, seed):
    """A row that is not a game: the most frequent class."""
    counts = np.bincount(dataset.train.labels)
    return {"test_accuracy": float((dataset.test.labels == counts.argmax()).mean())}


def evaluate(e):
    """Accuracy, and the sum of all logits' magnitudes."""
    logits = e.predict("class", e.dataset.test.images)
    accuracy = (logits.argmax(axis=1) == e.dataset.test.labels).mean()
    return {"test_accuracy": float(accuracy), "size": float(np.abs(logits).sum())}


def tabulate(config, cells):
    """Accuracy by arm."""
    rows = [[a, tables.mean_std(tables.values(cells, a, "test_accuracy"))] for a in config.arms]
    return tables.markdown(["arm", "accuracy"], rows)


CONFIG = Config(
    name="regression",
    arms={
        "linear": Arm(build, Settings(), "softmax regression"),
        "majority": Arm(None, fit=majority, text="the most frequent class"),
    },
    evaluate=evaluate,
    tabulate=tabulate,
    steps=6,
    batch_size=4,
    log_every=2,
    save_every=2,
    eval_every=3,
    sample_every=0,
    devices=1,
    steps_per_call=1,
)
SPEC = Spec(SHAPE, CLASSES, CONFIG.value_range, CONFIG.steps)


def dataset():
    """24 training and 9 test images; the class is the brightest of the first three pixels."""

    def split(n, seed):
        images = np.random.default_rng(seed).integers(0, 256, (n, *SHAPE), np.uint8)
        labels = images.reshape(n, 4)[:, :CLASSES].argmax(axis=1).astype(np.int32)
        return Split(images, labels)

    return Dataset("corners", split(24, 0), split(9, 1), CLASSES, ("a", "b", "c"), {})


def write_npz(folder):
    """The data set as an archive: the name that `--data` takes."""
    data = dataset()
    np.savez(
        folder / "corners.npz",
        train_images=data.train.images,
        train_labels=data.train.labels,
        test_images=data.test.images,
        test_labels=data.test.labels,
    )
    return f"npz:{folder / 'corners.npz'}"


class Step(NamedTuple):
    """Losses before a step (NaN where not due), weights and averaged weights after it."""

    losses: dict[str, float]
    w: np.ndarray
    ema: np.ndarray


def by_hand(seed, steps=CONFIG.steps, rate=0.5):
    """Training as the experiment's game says it, in float64: one record per step."""
    batches = stream(dataset().train, CONFIG.batch_size, seed)
    w, ema, speed, found = START, START, np.zeros_like(START), []
    for step in range(steps):
        batch = batches.batch(step)
        x = batch["images"].reshape(-1, 4).astype(np.float64)
        wanted = np.eye(CLASSES)[batch["labels"]]
        p = np.exp(x @ w) / np.exp(x @ w).sum(axis=1, keepdims=True)
        due = step % 2 == 0
        values = {
            "class": -(wanted * np.log(p)).sum(axis=1).mean(),
            "decay": (w**2).sum() / 2 if due else np.nan,
        }
        speed = MOMENTUM * speed + x.T @ (p - wanted) / len(x) + due * 2 * DECAY * w
        w = w - rate * speed
        keep = 0.5 ** (CONFIG.batch_size / HALF_LIFE)
        ema = keep * ema + (1 - keep) * w
        found.append(Step(values, w, ema))
    return found


def scores_by_hand(w):
    """What `evaluate` says of weights."""
    test = dataset().test
    logits = (test.images.reshape(-1, 4) / 127.5 - 1) @ w
    return {
        "test_accuracy": float((logits.argmax(axis=1) == test.labels).mean()),
        "size": float(np.abs(logits).sum()),
    }
