"""Heads and what they are asked: several steps by hand, targets, masks, features seen once."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_mtl.games import class_task, multitask, rotation_task
from gan_mtl.games.tasks import (
    Task,
    check_tasks,
    entropy_task,
    init_heads,
    judge,
    owning,
    play,
    predictions,
    shift,
)
from gan_mtl.types import Context, Network, Schedule, starting
from gan_mtl.update import alternating

N, LABELLED, WIDTH, CLASSES = 8, 5, 3, 4
SHAPE = (2, 2, 1)
KEY = jax.random.key(0)
CONTEXT = Context(jax.random.key(5), jnp.zeros((), jnp.int32))


def linear(out):
    def init(key, x):
        return {"params": {"w": jax.random.normal(key, (x[0].size, out), x.dtype)}}

    def apply(variables, x, context):
        return x.reshape(len(x), -1) @ variables["params"]["w"], {}

    return Network(init, apply)


TRUNK = linear(WIDTH)
CLASS = class_task(linear(CLASSES))
ENTROPY = entropy_task(CLASS, weight=0.3)


def batch_of(seed=0, dtype: type = np.float32):
    draw = np.random.default_rng(seed)
    return {
        "images": draw.normal(size=(N, *SHAPE)).astype(dtype),
        "labels": draw.integers(0, CLASSES, N).astype(np.int32),
        "labelled_images": draw.normal(size=(LABELLED, *SHAPE)).astype(dtype),
        "labelled_labels": draw.integers(0, CLASSES, LABELLED).astype(np.int32),
    }


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def entropy_by_hand(logits):
    """Value [n] and gradient [n, k]: H = -sum p log p, dH/dl = -p (log p + H)."""
    p = softmax(logits)
    h = -(p * np.log(p)).sum(axis=1)
    return h, -p * (np.log(p) + h[:, None])


def losses_of(game, batch, key=KEY):
    variables = starting(game.init(key, batch))
    return variables, game.turns[0].losses(variables, batch, CONTEXT)


def test_entropy_asks_the_head_of_another_task_about_all_images():
    game, batch = multitask(TRUNK, (CLASS, ENTROPY), optax.sgd(0.1)), batch_of()
    variables, found = losses_of(game, batch)
    assert set(variables.params) == {"trunk", "heads/class"}
    w, c = (np.asarray(variables.params[g]["w"], np.float64) for g in ("trunk", "heads/class"))
    expected, _ = entropy_by_hand(batch["images"].reshape(N, -1) @ w @ c)
    loss = found.losses["entropy"]
    np.testing.assert_allclose(loss.values, expected, rtol=1e-4)
    assert loss.mask is None and set(found.metrics) == {"class_accuracy"}
    assert dict(game.turns[0].objectives["entropy"].entries) == {"trunk": 0.3, "heads/class": 0.3}
    assert set(game.predict) == {"features", "class"}


def test_many_steps_of_class_and_entropy_equal_a_loop_by_hand():
    """Five steps of SGD with momentum on trunk and head; gradients by hand in float64."""
    with jax.enable_x64(True):
        game = multitask(TRUNK, (CLASS, ENTROPY), optax.sgd(0.2, momentum=0.9))
        updater = alternating(game)
        state = updater.init(KEY, batch_of(0, np.float64))
        update = jax.jit(updater.update)
        w, c = (np.asarray(state.params[g]["w"]) for g in ("trunk", "heads/class"))
        speed_w, speed_c = np.zeros_like(w), np.zeros_like(c)
        for step in range(5):
            batch = batch_of(step, np.float64)
            state, metrics = update(jax.random.fold_in(KEY, step), state, batch)
            x, z = (batch[k].reshape(-1, 4) for k in ("images", "labelled_images"))
            y = np.eye(CLASSES)[batch["labelled_labels"]]
            h, slope = entropy_by_hand(x @ w @ c)
            p = softmax(z @ w @ c)
            np.testing.assert_allclose(metrics["model/entropy"], h.mean(), rtol=1e-10)
            class_loss = -(y * np.log(p)).sum() / LABELLED
            np.testing.assert_allclose(metrics["model/class"], class_loss, rtol=1e-10)
            from_class, from_entropy = (p - y) / LABELLED, 0.3 * slope / N
            grad_c = (z @ w).T @ from_class + (x @ w).T @ from_entropy
            grad_w = z.T @ from_class @ c.T + x.T @ from_entropy @ c.T
            speed_w, speed_c = 0.9 * speed_w + grad_w, 0.9 * speed_c + grad_c
            w, c = w - 0.2 * speed_w, c - 0.2 * speed_c
        np.testing.assert_allclose(state.params["trunk"]["w"], w, rtol=1e-9)
        np.testing.assert_allclose(state.params["heads/class"]["w"], c, rtol=1e-9)


def test_minimising_entropy_alone_makes_the_asked_head_sure():
    """With the class row at weight zero, only the entropy row can move its head."""
    silent = CLASS._replace(weight=0.0)
    game = multitask(TRUNK, (silent, entropy_task(silent)), optax.sgd(0.2))
    updater, batch = alternating(game), batch_of()
    state, update = updater.init(KEY, batch), jax.jit(updater.update)
    before, seen = state.params["heads/class"]["w"], []
    for step in range(20):
        state, metrics = update(jax.random.fold_in(KEY, step), state, batch)
        seen.append(float(metrics["model/entropy"]))
    assert all(b < a for a, b in itertools.pairwise(seen)) and seen[-1] < 0.5 * seen[0]
    assert not np.array_equal(before, state.params["heads/class"]["w"])


def test_a_task_that_asks_needs_the_head_that_it_asks():
    batch = batch_of()
    with pytest.raises(ValueError, match=r"'entropy' asks the head of 'class'.*\['rotation'\]"):
        check_tasks((rotation_task(linear(4)), ENTROPY), batch)
    with pytest.raises(ValueError, match=r"distinct names, got \['entropy', 'entropy'\]"):
        check_tasks((ENTROPY,), batch, "entropy")
    assert owning((CLASS, ENTROPY)) == (CLASS,) and ENTROPY.group == CLASS.group == "heads/class"


def test_a_batch_without_a_task_s_entries_is_named_with_what_it_has():
    bare = {"images": batch_of()["images"]}
    match = r"Task 'class' needs the batch entry 'labelled_images'; the batch has \['images'\]"
    with pytest.raises(ValueError, match=match):
        check_tasks((CLASS,), bare)
    check_tasks((rotation_task(linear(4)),), bare)  # makes its own targets


def test_heads_start_apart_whatever_tasks_ask_them():
    hidden = jnp.zeros((N, WIDTH))
    tasks = (CLASS, ENTROPY, rotation_task(linear(CLASSES)))
    groups = init_heads(tasks, KEY, hidden)
    assert set(groups) == {"heads/class", "heads/rotation"}
    a, b = (groups[name]["params"]["w"] for name in groups)
    assert a.shape == b.shape == (WIDTH, CLASSES) and not np.isin(a, b).any()
    without = init_heads((CLASS, tasks[2]), KEY, hidden)
    np.testing.assert_array_equal(without["heads/class"]["params"]["w"], a)


def test_images_are_seen_once_by_all_tasks_that_leave_them_as_they_are():
    seen = []

    def features(variables, images, context):
        seen.append(images)
        return TRUNK.apply(variables.of("trunk"), images, context=context)[0], variables

    whole = class_task(linear(CLASSES), labelled=False, name="whole")
    doubled = entropy_task(whole)._replace(
        name="doubled", augment=lambda images, context: 2.0 * images
    )
    tasks = (CLASS, ENTROPY, whole, doubled, rotation_task(linear(4)))
    batch, hidden = batch_of(), jnp.zeros((N, WIDTH))
    groups = {"trunk": TRUNK.init(KEY, batch["images"]), **init_heads(tasks, KEY, hidden)}
    variables, known = starting(groups), {}
    for task in tasks:
        _, variables = play(task, features, known, variables, batch, CONTEXT)
    assert len(seen) == 4 and set(known) == {"images", "labelled_images"}
    np.testing.assert_array_equal(seen[0], batch["labelled_images"])
    np.testing.assert_array_equal(seen[1], batch["images"])
    np.testing.assert_array_equal(seen[2], 2.0 * batch["images"])
    w = np.asarray(groups["trunk"]["params"]["w"])
    np.testing.assert_allclose(known["images"], batch["images"].reshape(N, -1) @ w, rtol=1e-5)


def test_augmentation_comes_before_the_transform_that_makes_the_targets():
    def brightness(images, context):
        return images, (images.mean(axis=(1, 2, 3)) > 0).astype(jnp.int32)

    task = Task(
        "bright",
        linear(2),
        targets=None,
        transform=brightness,
        augment=lambda images, context: jnp.ones_like(images),
    )
    batch = batch_of()
    game = multitask(TRUNK, (task,), optax.sgd(0.1))
    variables, found = losses_of(game, batch)
    logits = np.ones((N, 4)) @ np.asarray(variables.params["trunk"]["w"])
    logits = logits @ np.asarray(variables.params["heads/bright"]["w"])
    expected = -np.log(softmax(logits)[:, 1])  # every image has become bright
    np.testing.assert_allclose(found.losses["bright"].values, expected, rtol=1e-4)
    np.testing.assert_array_equal(found.losses["bright"].mask, np.ones(N))


def test_a_class_task_reads_the_labelled_batch_or_masks_hidden_labels():
    assert (CLASS.source, CLASS.targets) == ("labelled_images", "labelled_labels")
    whole = class_task(linear(CLASSES), labelled=False, name="digit", weight=2.0)
    assert (whole.source, whole.targets, whole.group) == ("images", "labels", "heads/digit")
    logits = np.random.default_rng(0).normal(size=(4, CLASSES))
    (values, mask), accuracy, _ = judge(
        whole, jnp.asarray(logits, jnp.float32), jnp.array([3, -1, 0, -1])
    )
    assert mask is not None and accuracy is not None and accuracy.mask is mask
    p = softmax(logits)
    expected = [-np.log(p[0, 3]), 0.0, -np.log(p[2, 0]), 0.0]
    np.testing.assert_allclose(values * mask, expected, rtol=1e-5)
    right = [logits[0].argmax() == 3, 0, logits[2].argmax() == 0, 0]
    np.testing.assert_array_equal(accuracy.values * mask, right)


def test_integer_targets_of_a_task_that_does_not_classify_have_a_mask_and_no_accuracy():
    counting = Task("count", linear(1), lambda y, t: (y - t) ** 2, classifies=False)
    played = judge(counting, jnp.array([1.0, 5.0]), jnp.array([3, -1]))
    np.testing.assert_array_equal(played.loss.values, [4.0, 36.0])
    np.testing.assert_array_equal(played.loss.mask, [1.0, 0.0])
    assert played.accuracy is None


def test_predictions_are_the_heads_on_the_trunk_s_features():
    def features(variables, images, context):
        return variables.apply(TRUNK, "trunk", images, context=context)

    batch = batch_of()
    variables, _ = losses_of(multitask(TRUNK, (CLASS, ENTROPY), optax.sgd(0.1)), batch)
    found = predictions((CLASS, ENTROPY), features)
    w, c = (np.asarray(variables.params[g]["w"]) for g in ("trunk", "heads/class"))
    x = batch["images"].reshape(N, -1)
    calm = CONTEXT._replace(train=False)
    np.testing.assert_allclose(
        found["features"](variables, batch["images"], calm), x @ w, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        found["class"](variables, batch["images"], calm), x @ w @ c, rtol=1e-4, atol=1e-5
    )


def test_weights_become_coefficients_of_trunk_and_head():
    ramp = Schedule(lambda step: step / 10.0, "t/10")
    task = rotation_task(linear(4), weight=ramp)
    game = multitask(TRUNK, (CLASS, task), optax.sgd(0.1))
    rows = game.turns[0].objectives
    assert dict(rows["rotation"].entries) == {"trunk": ramp, "heads/rotation": ramp}
    assert task.targets is None


@pytest.mark.parametrize("pixels", [0, 2])
def test_shift_fills_what_comes_in(pixels):
    images = jnp.ones((30, 3, 3, 1))
    moved = np.asarray(shift(images, CONTEXT, pixels=pixels, fill=-1.0))
    assert set(np.unique(moved)) == ({1.0} if pixels == 0 else {-1.0, 1.0})
    # What is left of a square moved by (i, j) is (3 - |i|) (3 - |j|) pixels.
    kept = {(3 - i) * (3 - j) for i in range(pixels + 1) for j in range(pixels + 1)}
    counts = (moved > 0).sum(axis=(1, 2, 3))
    assert set(counts) <= kept and (pixels == 0 or len(set(counts)) > 2)


def test_shift_of_a_slice_moves_the_examples_as_the_whole_batch_does():
    images = jax.random.normal(KEY, (9, 3, 3, 1))
    move = functools.partial(shift, fill=0.0)
    whole = move(images, CONTEXT)
    part = move(images[1::3], CONTEXT._replace(stride=3, offset=1))
    np.testing.assert_array_equal(part, whole[1::3])
