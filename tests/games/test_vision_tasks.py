"""Tasks on maps: what is ignored or hidden counts nothing, Dice comes on top."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zoo

from gan_mtl import games, losses, nets
from gan_mtl.games.tasks import play
from gan_mtl.losses.centres import HIDDEN_OBJECTS
from gan_mtl.types import Context, Variables, starting

KEY = jax.random.key(2)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))
linen = nets.from_linen


@pytest.fixture(scope="module")
def played():
    """`(batch) -> ` the outcome of the turn, and the head's outputs for the batch."""
    game = zoo.game("vision")
    groups = jax.jit(game.init)(KEY, zoo.batch())

    @jax.jit
    def run(batch):
        variables = starting(groups)
        outcome = game.turns[0].losses(variables, batch, CONTEXT)
        return {name: tuple(loss) for name, loss in outcome.losses.items()}

    return run


def mean(loss):
    values, mask = loss
    return values.mean() if mask is None else (values * mask).sum() / mask.sum()


def test_every_task_has_its_row(played):
    found = played(zoo.batch())
    assert set(found) == {"presence", "detection", "segmentation", "depth"}
    assert all(bool(jnp.isfinite(mean(loss))) for loss in found.values())


def test_ignored_pixels_and_hidden_objects_teach_nothing(played):
    """Of the second half of the batch: the means are those of the first half alone."""
    batch = zoo.batch()
    half = jnp.arange(8) < 4
    hidden = {
        **batch,
        "mask": jnp.where(half[:, None, None], batch["mask"], 255).astype(jnp.uint8),
        "objects": jnp.where(
            half[:, None, None], batch["objects"], batch["objects"].at[..., 4].set(HIDDEN_OBJECTS)
        ),
        "present": jnp.where(half[:, None], batch["present"], -1),
        "depth": jnp.where(half[:, None, None], batch["depth"], 0.0),
    }
    found, whole = played(hidden), played(batch)
    for name in ("presence", "detection", "depth"):
        np.testing.assert_allclose(mean(found[name]), whole[name][0][:4].mean(), rtol=1e-5)
        np.testing.assert_array_equal(found[name][1], half)
    values, mask = (x[:4] for x in whole["segmentation"])
    np.testing.assert_allclose(
        mean(found["segmentation"]), (values * mask).sum() / mask.sum(), 1e-5
    )


def test_dice_comes_on_top():
    head = linen(nets.DenseHead(3, (4, 4), 6, None))
    logits = jax.random.normal(KEY, (2, 4, 4, 3))
    mask = jax.random.randint(KEY, (2, 4, 4), 0, 3)
    plain, both = (games.segmentation_task(head, dice=d).loss(logits, mask) for d in (0.0, 2.0))
    expected = plain.values + 2.0 * losses.soft_dice(logits, mask)
    np.testing.assert_allclose(both.values, expected, rtol=1e-6)


def test_one_label_an_image():
    """The same head on maps, single-label; the label of the second image is hidden."""
    maps = jax.random.normal(KEY, (3, 4, 4, 2)), jax.random.normal(KEY, (3, 2, 2, 5))
    task = games.class_task(linen(nets.MapClassifier(3, 0)), labelled=False)
    params = {task.group: task.head.init(KEY, maps)["params"]}
    batch = {"images": jnp.zeros((3, 8, 8, 1)), "labels": jnp.array([2, -1, 0])}
    known = {"images": maps}
    found, _ = play(task, pytest.fail, known, Variables(params, {}), batch, CONTEXT)
    outputs = np.asarray(found.outputs, np.float64)
    likely = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.loss.values[::2], -np.log(likely[[0, 2], [2, 0]]), rtol=1e-5)
    np.testing.assert_array_equal(found.loss.mask, [1, 0, 1])
    np.testing.assert_array_equal(found.accuracy.values[::2], outputs.argmax(1)[::2] == [2, 0])
