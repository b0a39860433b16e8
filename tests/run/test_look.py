"""Looking at a generator: what lies between latents, and whether it has learnt by heart."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan_mtl import data
from gan_mtl.run import commands, look
from gan_mtl.run.load import load
from gan_mtl.types import Context
from gan_mtl.update import variables_of


def test_the_command_writes_its_pictures_and_prints_the_numbers(semi_run, tmp_path, capsys):
    commands.main(["look", str(semi_run), "--out", str(tmp_path), "--count", "20"])
    *paths, rest = capsys.readouterr().out.split("\n", 3)
    names = ["interpolation.png", "directions.png", "neighbours.png"]
    assert paths == [str(tmp_path / name) for name in names]
    for path in paths:
        with Image.open(path) as picture:
            assert picture.size[0] > look.COLUMNS * 8
    found = json.loads(rest)
    assert 0 < found["nearest_held_out"] < found["nearest_sample"]  # three steps of training


def test_rows_begin_and_end_at_latents_and_go_straight(semi_run):
    loaded = load(semi_run)
    context = Context(jax.random.key(3), jnp.zeros((), jnp.int32), train=False)
    made = look.interpolation(loaded, context)
    assert made.shape == (look.ROWS * look.COLUMNS, 8, 8, 1)
    assert loaded.game.latents is not None and loaded.game.generate is not None
    ends = loaded.game.latents(2 * look.ROWS, context)
    middle = ends[0] + (ends[1] - ends[0]) * 4 / (look.COLUMNS - 1)
    asked = jnp.zeros((3,), jnp.int32)
    wanted = jnp.stack([ends[0], middle, ends[1]])
    expected = loaded.game.generate(variables_of(loaded.state), wanted, asked, context)
    np.testing.assert_allclose(made[[0, 4, look.COLUMNS - 1]], expected, atol=1e-5)


def test_sampling_is_generating_from_latents(semi_run):
    loaded = load(semi_run)
    context = Context(jax.random.key(3), jnp.zeros((), jnp.int32), train=False)
    variables, labels = variables_of(loaded.state), jnp.arange(4)
    game = loaded.game
    assert game.sample is not None and game.latents is not None and game.generate is not None
    z = game.latents(4, context)
    made = game.generate(variables, z, labels, context)
    np.testing.assert_array_equal(game.sample(variables, 4, labels, context), made)


def test_a_copying_generator_is_found_out(semi_run):
    loaded, digits = load(semi_run), data.load("digits")
    low, high = loaded.spec.value_range
    copies = data.to_float(digits.train.images, low, high)
    found = look.memorising(loaded._replace(sample=lambda key, n, label: copies[:n]), digits, 30)
    assert found["nearest_sample"] < 1e-6 < found["nearest_held_out"]


def test_a_run_without_latents_is_refused(semi_run):
    loaded = load(semi_run)
    bare = loaded._replace(game=loaded.game._replace(generate=None))
    context = Context(jax.random.key(3), jnp.zeros((), jnp.int32), train=False)
    with pytest.raises(ValueError, match="no generator from latents"):
        look.interpolation(bare, context)


def judged(loaded, context):
    """The run with a judge that weighs pixels by their row."""
    rows = jnp.arange(8.0)[None, :, None, None]
    disc = lambda variables, x, context: (rows * x).sum(axis=(1, 2, 3))  # noqa: E731
    game = loaded.game._replace(predict={**loaded.game.predict, "disc": disc})
    return loaded._replace(game=game)


def test_maps_show_what_the_logit_depends_on(semi_run, tmp_path):
    loaded, digits = load(semi_run), data.load("digits")
    context = Context(jax.random.key(3), jnp.zeros((), jnp.int32), train=False)
    low, high = loaded.spec.value_range
    maps = look.gradients(judged(loaded, context), np.zeros((2, 8, 8, 1), np.float32), context)
    expected = low + (high - low) * np.arange(8.0) / 7
    np.testing.assert_allclose(maps[1, :, 3, 0], expected, rtol=1e-6)
    found = look.pictures(judged(loaded, context), digits, tmp_path)
    assert [path.name for path in found][-1] == "gradients.png" and found[-1].exists()


def test_directions_are_those_that_change_a_linear_generator_most(semi_run):
    loaded = load(semi_run)
    context = Context(jax.random.key(3), jnp.zeros((), jnp.int32), train=False)
    sizes = jnp.zeros((loaded.game.latents(1, context).shape[1], 64)).at[1, 7].set(4.0)
    weights = sizes.at[2, 30].set(1.0)

    def linear(variables, z, labels, context):
        return (z @ weights).reshape(-1, 8, 8, 1)

    bare = loaded._replace(game=loaded.game._replace(generate=linear))
    made = look.directions(bare, context).reshape(-1, look.COLUMNS, 64)
    spans = made[:, -1] - made[:, 0]
    first, second = spans[0], spans[1]
    assert abs(first[7]) == pytest.approx(6 * 4.0, rel=0.15) and abs(first[30]) < 1.0
    assert abs(second[30]) == pytest.approx(6 * 1.0, rel=0.15)


def test_every_row_of_codes_varies_one_code_of_one_latent(semi_run, tmp_path):
    """Of a generator that draws its four latents: noise, a code of two values, a number."""
    loaded = load(semi_run)
    context = Context(jax.random.key(3), jnp.zeros((), jnp.int32), train=False)

    def shown(variables, z, labels, context):
        return jnp.pad(z, ((0, 0), (0, 60))).reshape(-1, 8, 8, 1)

    game = loaded.game._replace(generate=shown, codes=(2, 1))
    coded = loaded._replace(game=game)
    made = look.codes(coded, context).reshape(2, look.COLUMNS, 8, 8)
    np.testing.assert_array_equal(made[0, :, 0, 1:3], np.eye(2)[np.arange(look.COLUMNS) % 2])
    np.testing.assert_allclose(made[1, :, 0, 3], np.linspace(-2, 2, look.COLUMNS), rtol=1e-6)
    for rest in (made[0, :, 0, 3], made[1, :, 0, 1], made[:, :, 0, 0].ravel()):
        assert np.ptp(rest) == 0
    found = look.pictures(coded, data.load("digits"), tmp_path)
    assert tmp_path / "codes.png" in found
