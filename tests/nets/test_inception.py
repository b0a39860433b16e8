"""The Inception network of FID: sizes, names, golden values of PyTorch, and the resizers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan_mtl.nets import (
    Inception,
    inception_features,
    inception_logits,
    inception_params,
    inception_preprocess,
)
from gan_mtl.nets.inception import bicubic_matrix, bilinear_matrix

SHAPES = jax.eval_shape(
    Inception().init, jax.random.key(0), jax.ShapeDtypeStruct((1, 75, 75, 3), jnp.float32)
)["params"]
LEAVES = {
    "conv.weight": "kernel",
    "bn.weight": "scale",
    "bn.bias": "bias",
    "bn.running_mean": "mean",
    "bn.running_var": "var",
    "fc.weight": "kernel",
    "fc.bias": "bias",
}


def torch_shapes():
    """Names and shapes of the published port, from ours."""
    found = {"fc.weight": (1008, 2048), "fc.bias": (1008,)}
    for path, leaf in jax.tree_util.tree_leaves_with_path(SHAPES):
        *layer, last = [key.key for key in path]
        if layer != ["fc"]:
            name = next(k for k, v in LEAVES.items() if v == last)
            shape = [leaf.shape[i] for i in (3, 2, 0, 1)] if last == "kernel" else leaf.shape
            found[".".join([*layer, name])] = tuple(shape)
    return found


def weights():
    """Closed-form values, the same in any library."""
    state = {}
    for i, (name, shape) in enumerate(sorted(torch_shapes().items())):
        k = np.arange(np.prod(shape)) % 9973
        values = np.sin(0.37 * k * k + i + 1.0).reshape(shape)
        if name.endswith(("conv.weight", "fc.weight")):
            values = values * np.sqrt(4 / np.prod(shape[1:]))
        elif name.endswith(("bn.weight", "running_var")):
            values = 1 + 0.3 * values
        else:
            values = 0.1 * values
        state[name] = values.astype(np.float32)
    return state


@pytest.fixture(scope="module")
def state():
    return weights()


def test_sizes_are_the_known_ones():
    """23,834,568 of torchvision's without its second head and with 1000 classes, and 8 x 2049."""
    sizes = {True: 0, False: 0}
    for path, leaf in jax.tree_util.tree_leaves_with_path(SHAPES):
        sizes[path[-1].key in ("mean", "var")] += int(np.prod(leaf.shape))
    assert sizes[False] == 23_834_568 + 8 * 2049
    images = jax.ShapeDtypeStruct((2, 299, 299, 3), jnp.float32)
    features, logits = jax.eval_shape(
        lambda p, x: Inception().apply({"params": p}, x), SHAPES, images
    )
    assert features.shape == (2, 2048) and logits.shape == (2, 1008)


def test_names_of_the_published_port():
    names = torch_shapes()
    assert len(names) == 94 * 5 + 2
    assert names["Conv2d_1a_3x3.conv.weight"] == (32, 3, 3, 3)
    assert names["Mixed_5b.branch5x5_2.conv.weight"] == (64, 48, 5, 5)
    assert names["Mixed_6c.branch7x7dbl_5.conv.weight"] == (192, 160, 1, 7)
    assert names["Mixed_6b.branch7x7_3.conv.weight"] == (192, 128, 7, 1)
    assert names["Mixed_7a.branch7x7x3_4.bn.running_var"] == (192,)
    assert names["Mixed_7c.branch3x3dbl_3b.conv.weight"] == (384, 384, 3, 1)
    assert names["Mixed_7c.branch_pool.conv.weight"] == (192, 2048, 1, 1)


@pytest.mark.slow
def test_every_array_goes_to_its_place(state):
    tracked = {**state, "Conv2d_1a_3x3.bn.num_batches_tracked": np.array(0)}
    params = inception_params(tracked)
    assert jax.tree.structure(params) == jax.tree.structure(SHAPES)
    np.testing.assert_array_equal(params["fc"]["kernel"], state["fc.weight"].T)
    np.testing.assert_array_equal(
        params["Mixed_6b"]["branch7x7_2"]["kernel"],
        state["Mixed_6b.branch7x7_2.conv.weight"].transpose(2, 3, 1, 0),
    )
    np.testing.assert_array_equal(
        params["Mixed_5d"]["branch_pool"]["var"], state["Mixed_5d.branch_pool.bn.running_var"]
    )
    means = [float(x.mean()) for x in jax.tree.leaves(params)]
    expected = [float(x.mean()) for x in state.values()]
    np.testing.assert_allclose(sorted(means), sorted(expected), atol=1e-5)


def test_forward_equals_pytorch(state):
    """Golden values of torch-fidelity's network (PyTorch 2.13) with the same weights, at 75 px."""
    k = np.arange(75 * 75 * 3)
    images = jnp.asarray((k * k * 7 + k * 13) % 256 - 128, jnp.float32).reshape(1, 75, 75, 3) / 128
    params = inception_params(state)
    features, logits = inception_features(params, images), inception_logits(params, images)
    np.testing.assert_allclose(
        features[0, :2048:293],
        [0.31938076, 0.026890753, 0.1326464, 0.063351244, 0, 0, 0],
        atol=2e-5,
    )
    np.testing.assert_allclose(
        logits[0, ::144],
        [-0.36627194, 0.070683986, -0.08758253, -0.1723437, -0.07982803, -0.9513162, -0.48803172],
        atol=2e-5,
    )


def test_other_weights_are_refused_by_name(state):
    torchvision = {**state, "AuxLogits.fc.bias": np.zeros(1000)}
    with pytest.raises(ValueError, match=r"1 are unknown \(AuxLogits\.fc\.bias\)"):
        inception_params(torchvision)
    with pytest.raises(ValueError, match=r"1 names are missing \(fc\.bias\)"):
        inception_params({k: v for k, v in state.items() if k != "fc.bias"})
    with pytest.raises(ValueError, match=r"fc\.weight gives shape \(2048, 1000\), expected"):
        inception_params({**state, "fc.weight": np.zeros((1000, 2048))})


@pytest.mark.parametrize(("size", "wanted"), [(32, 299), (299, 299), (300, 7), (5, 9)])
def test_legacy_is_bilinear_without_half_pixels(size, wanted):
    signal = np.random.default_rng(0).normal(size=size)
    expected = np.interp(np.arange(wanted) * size / wanted, np.arange(size), signal)
    np.testing.assert_allclose(bilinear_matrix(size, wanted) @ signal, expected, atol=1e-5)


@pytest.mark.parametrize(("size", "wanted"), [(32, 299), (299, 299), (512, 299), (300, 7), (5, 9)])
def test_clean_is_the_bicubic_of_pillow(size, wanted):
    image = np.random.default_rng(0).uniform(0, 255, (size, 11)).astype(np.float32)
    expected = np.asarray(Image.fromarray(image).resize((11, wanted), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(bicubic_matrix(size, wanted) @ image, expected, atol=2e-3)


def test_preprocess_takes_the_file_s_range_to_the_network_s():
    images = np.random.default_rng(1).integers(0, 256, (2, 20, 32, 3)).astype(np.uint8)
    clean = inception_preprocess(images, "clean")
    for c in range(3):
        channel = Image.fromarray(images[1, :, :, c].astype(np.float32))
        expected = np.asarray(channel.resize((299, 299), Image.Resampling.BICUBIC))
        np.testing.assert_allclose(clean[1, :, :, c], (expected - 128) / 128, atol=2e-5)
    legacy = inception_preprocess(images, "legacy")
    assert legacy.shape == (2, 299, 299, 3) and legacy.dtype == jnp.float32
    np.testing.assert_allclose(legacy[:, 0, 0], (images[:, 0, 0] - 128.0) / 128, atol=1e-6)
    assert float(jnp.abs(legacy - clean).max()) > 0.1
    grey = inception_preprocess(images[..., :1], "legacy")
    np.testing.assert_allclose(grey, jnp.repeat(legacy[..., :1], 3, axis=-1), atol=1e-6)


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match=r"images: .*\(4, 8, 8\)"):
        inception_preprocess(jnp.ones((4, 8, 8)), "clean")
    with pytest.raises(ValueError, match="resizer: expected 'legacy' or 'clean', got 'bilinear'"):
        inception_preprocess(jnp.ones((4, 8, 8, 3)), "bilinear")  # pyright: ignore[reportArgumentType]
