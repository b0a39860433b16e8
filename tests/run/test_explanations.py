"""Where heads look: of networks whose heads look at one channel, and one place."""

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from gan_mtl.data import Dataset, Split
from gan_mtl.games.tasks import Task, predictions
from gan_mtl.run import drawings, explanations
from gan_mtl.types import Context, Game, Network, Variables

RNG = np.random.default_rng(8)
IMAGES = RNG.integers(60, 256, (5, 4, 4, 1)).astype(np.uint8)
VARIABLES = Variables({"heads/presence": {}, "heads/detection": {}, "heads/segmentation": {}}, {})
CONTEXT = Context(jax.random.key(0), jnp.zeros((), jnp.int32), train=False)


def network(function):
    return Network(lambda key, *x: {"params": {}}, lambda v, x, context: (function(x), {}))


def features(variables, images, context):
    """Two channels: three columns of the image, and the last one."""
    left = (jnp.arange(4) < 3)[None, None, :, None]
    return jnp.concatenate([images * left, images * ~left], axis=-1), variables


HEADS = {
    "presence": lambda x: x.sum(axis=(1, 2)) * jnp.array([[1.0, 30.0]]),  # class 1: the last column
    "detection": lambda x: jnp.pad(x[..., :1], ((0, 0),) * 3 + ((0, 4),)),  # looks left
    "segmentation": lambda x: jnp.concatenate(
        [jnp.full_like(x[..., :1], 0.1), x[..., 1:], x[..., :1] * 0], axis=-1
    ),
}


def game(**more):
    tasks = tuple(Task(name, network(f)) for name, f in HEADS.items())
    predict = {**predictions(tasks, features), **more}
    return Game(init=lambda key, batch: {}, turns=(), predict=predict)


def masks(variables, images, context):
    return images, 0.25 * images[:, ::2, ::2] + 0.5


def test_heads_look_where_their_channel_is():
    x = jnp.asarray(IMAGES / 255)
    found = explanations.cams(game(), VARIABLES, x, CONTEXT)
    assert list(found) == ["presence", "detection", "segmentation"]
    for name, (seen, blank) in {
        "presence": (np.s_[:, :, 3:], np.s_[:, :, :3]),
        "detection": (np.s_[:, :, :3], np.s_[:, :, 3:]),
        "segmentation": (np.s_[:, :, 3:], np.s_[:, :, :3]),
    }.items():
        assert (found[name][seen] > 0).all() and not found[name][blank].any(), name
        np.testing.assert_allclose(found[name].max(axis=(1, 2)), 1.0, rtol=1e-6)
        part = np.asarray(x)[seen][..., 0]
        expected = part / part.max(axis=(1, 2), keepdims=True)
        np.testing.assert_allclose(found[name][seen], expected, rtol=1e-5)


def test_heads_on_features_without_places_are_left_out():
    flat = predictions(
        (Task("presence", network(lambda x: x[:, :2])),),
        lambda v, x, context: (x.reshape(len(x), -1), v),
    )
    bare = Game(init=lambda key, batch: {}, turns=(), predict=flat)
    assert explanations.cams(bare, VARIABLES, jnp.asarray(IMAGES / 255), CONTEXT) == {}


def test_masks_of_every_task_and_block():
    attending = game(**{"attention/a": masks, "attention/b": masks})
    x = jnp.asarray(IMAGES / 255)
    found = explanations.attention(attending, VARIABLES, x, CONTEXT)
    assert list(found) == ["a 0", "a 1", "b 0", "b 1"]
    assert found["a 1"].shape == (5, 2, 2) and explanations.attention(game(), *(None,) * 3) == {}
    for heat in found.values():
        assert heat.min() == 0 and heat.max() == 1


def test_the_pictures(tmp_path):
    split = Split(IMAGES, np.zeros(5, np.int32))
    data = Dataset("toy", split, split, 2, ("a", "b"), {})
    attending = game(**{"attention/presence": masks})
    paths = explanations.write(tmp_path, attending, VARIABLES, data, (0.0, 1.0))
    assert [path.name for path in paths] == ["grad_cam.png", "attention.png"]
    for path, rows in zip(paths, (3, 2), strict=True):
        with Image.open(path) as picture:
            assert picture.size[1] // drawings.SIDE == rows
    assert len(explanations.write(tmp_path, game(), VARIABLES, data, (0.0, 1.0))) == 1
