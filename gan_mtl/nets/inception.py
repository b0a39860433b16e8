"""The Inception network of 2015-12-05, whose features define FID, KID and the inception score.

It is not the Inception v3 of torchvision or Keras: other weights, 1008 outputs (of which 1000 are
ImageNet classes), average pooling that leaves the padding out, and in the last block maximum
pooling where the paper averages. Layers carry the names of the published PyTorch port of the
weights, whose file `inception_params` takes. Weights are not part of this package.

    params = inception_params(read_state_dict(pathlib.Path(file).read_bytes()))
    features = inception_features(params, inception_preprocess(images, "legacy"))  # [n, 2048]

Reference:
    Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016; Heusel
    et al., "GANs Trained by a Two Time-Scale Update Rule", NeurIPS 2017 (the network of FID).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from gan_mtl.types import PyTree

SIZE = 299  # pixels a side
FEATURES, CLASSES = 2048, 1008

# A unit: name, channels, kernel, and optionally stride and padding; a chain feeds one to the next;
# a block's branches are chains beside each other, "avg" and "max" what pools before the last.
Unit = tuple[Any, ...]
STEM: tuple[Unit | str, ...] = (
    ("Conv2d_1a_3x3", 32, (3, 3), 2, "VALID"),
    ("Conv2d_2a_3x3", 32, (3, 3), 1, "VALID"),
    ("Conv2d_2b_3x3", 64, (3, 3)),
    "reduce",
    ("Conv2d_3b_1x1", 80, (1, 1)),
    ("Conv2d_4a_3x3", 192, (3, 3), 1, "VALID"),
    "reduce",
)


def _a(pooled: int) -> list[list[Any]]:
    return [
        [("branch1x1", 64, (1, 1))],
        [("branch5x5_1", 48, (1, 1)), ("branch5x5_2", 64, (5, 5))],
        [
            ("branch3x3dbl_1", 64, (1, 1)),
            ("branch3x3dbl_2", 96, (3, 3)),
            ("branch3x3dbl_3", 96, (3, 3)),
        ],
        ["avg", ("branch_pool", pooled, (1, 1))],
    ]


def _b() -> list[list[Any]]:
    return [
        [("branch3x3", 384, (3, 3), 2, "VALID")],
        [
            ("branch3x3dbl_1", 64, (1, 1)),
            ("branch3x3dbl_2", 96, (3, 3)),
            ("branch3x3dbl_3", 96, (3, 3), 2, "VALID"),
        ],
        ["reduce"],
    ]


def _c(inner: int) -> list[list[Any]]:
    return [
        [("branch1x1", 192, (1, 1))],
        [
            ("branch7x7_1", inner, (1, 1)),
            ("branch7x7_2", inner, (1, 7)),
            ("branch7x7_3", 192, (7, 1)),
        ],
        [
            ("branch7x7dbl_1", inner, (1, 1)),
            ("branch7x7dbl_2", inner, (7, 1)),
            ("branch7x7dbl_3", inner, (1, 7)),
            ("branch7x7dbl_4", inner, (7, 1)),
            ("branch7x7dbl_5", 192, (1, 7)),
        ],
        ["avg", ("branch_pool", 192, (1, 1))],
    ]


def _d() -> list[list[Any]]:
    return [
        [("branch3x3_1", 192, (1, 1)), ("branch3x3_2", 320, (3, 3), 2, "VALID")],
        [
            ("branch7x7x3_1", 192, (1, 1)),
            ("branch7x7x3_2", 192, (1, 7)),
            ("branch7x7x3_3", 192, (7, 1)),
            ("branch7x7x3_4", 192, (3, 3), 2, "VALID"),
        ],
        ["reduce"],
    ]


def _e(pool: str) -> list[list[Any]]:
    def fork(name: str, last: str) -> tuple[Unit, Unit]:
        return (f"{name}{last}a", 384, (1, 3)), (f"{name}{last}b", 384, (3, 1))

    return [
        [("branch1x1", 320, (1, 1))],
        [("branch3x3_1", 384, (1, 1)), fork("branch3x3_", "2")],
        [
            ("branch3x3dbl_1", 448, (1, 1)),
            ("branch3x3dbl_2", 384, (3, 3)),
            fork("branch3x3dbl_", "3"),
        ],
        [pool, ("branch_pool", 192, (1, 1))],
    ]


BLOCKS: dict[str, list[list[Any]]] = {
    "Mixed_5b": _a(32),
    "Mixed_5c": _a(64),
    "Mixed_5d": _a(64),
    "Mixed_6a": _b(),
    "Mixed_6b": _c(128),
    "Mixed_6c": _c(160),
    "Mixed_6d": _c(160),
    "Mixed_6e": _c(192),
    "Mixed_7a": _d(),
    "Mixed_7b": _e("avg"),
    "Mixed_7c": _e("max"),
}


class ConvNorm(nn.Module):
    """Convolution without bias, normalisation by stored statistics (epsilon 0.001), ReLU."""

    features: int
    kernel: tuple[int, int]
    stride: int = 1
    padding: str = "SAME"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n H W features"]:
        c = self.features
        shape = (*self.kernel, x.shape[-1], c)
        weight = self.param("kernel", nn.initializers.he_normal(), shape)
        scale = self.param("scale", nn.initializers.ones, (c,))
        bias = self.param("bias", nn.initializers.zeros, (c,))
        mean = self.param("mean", nn.initializers.zeros, (c,))
        var = self.param("var", nn.initializers.ones, (c,))
        x = jax.lax.conv_general_dilated(
            x,
            weight,
            (self.stride, self.stride),
            self.padding,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        factor = scale / jnp.sqrt(var + 1e-3)
        return nn.relu(
            (x - mean.reshape(1, 1, 1, c)) * factor.reshape(1, 1, 1, c) + bias.reshape(1, 1, 1, c)
        )


class Mixed(nn.Module):
    """A block: chains beside each other, their outputs joined along the channels."""

    branches: Any

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n H W features"]:
        return jnp.concatenate([_chain(branch, x) for branch in self.branches], axis=-1)


class Inception(nn.Module):
    """Images [n, h, w, 3] in [-1, 1], at least 75 pixels a side, to features and logits.

    The logits come without their bias, as the inception score has them; the bias is a parameter.
    """

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w 3"]
    ) -> tuple[Float[Array, "n 2048"], Float[Array, "n 1008"]]:
        x = _chain(STEM, images)
        for name, branches in BLOCKS.items():
            x = Mixed(branches, name=name)(x)
        features = x.mean(axis=(1, 2))
        head = self.param("fc", _head)
        return features, features @ head["kernel"]


def _head(key: Array) -> dict[str, Array]:
    kernel = nn.initializers.lecun_normal()(key, (FEATURES, CLASSES))
    return {"kernel": kernel, "bias": jnp.zeros(CLASSES)}


def _chain(units: Any, x: Array) -> Array:
    for unit in units:
        if unit == "reduce":
            x = nn.max_pool(x, (3, 3), (2, 2))
        elif unit == "max":
            x = nn.max_pool(x, (3, 3), padding="SAME")
        elif unit == "avg":
            x = nn.avg_pool(x, (3, 3), padding="SAME", count_include_pad=False)
        elif isinstance(unit[0], tuple):
            x = jnp.concatenate([_chain([part], x) for part in unit], axis=-1)
        else:
            x = ConvNorm(*unit[1:], name=unit[0])(x)
    return x


def inception_features(params: PyTree, images: Float[Array, "n h w 3"]) -> Float[Array, "n 2048"]:
    """The last pooling layer ("pool3"), of images in [-1, 1] as `inception_preprocess` makes them.

    For FID, KID and PRDC; pure, so to be compiled as it is and mapped over batches.
    """
    return _forward(params, images)[0]


def inception_logits(params: PyTree, images: Float[Array, "n h w 3"]) -> Float[Array, "n 1008"]:
    """Logits without bias, for `metrics.inception_score(..., logits=True)`."""
    return _forward(params, images)[1]


def _forward(params: PyTree, images: Array) -> tuple[Array, Array]:
    outputs: Any = Inception().apply({"params": params}, images)
    return outputs


def inception_params(state: Mapping[str, ArrayLike]) -> PyTree:
    """The parameters from the published port's arrays by name.

    Args:
        state: `pt_inception-2015-12-05-6726825d.pth` of pytorch-fid, read by `read_state_dict` or
            by torch, or an `.npz` of the same names: `Mixed_5b.branch1x1.conv.weight` [o, c, h, w],
            `.bn.weight`, `.bn.bias`, `.bn.running_mean`, `.bn.running_var`, `fc.weight`, `fc.bias`.
            `num_batches_tracked` is left aside.

    Raises:
        ValueError: for names that are missing or too many (torchvision's own weights have
            `AuxLogits`, and are another network), or another shape, by name.
    """
    shapes = jax.eval_shape(
        Inception().init, jax.random.key(0), jax.ShapeDtypeStruct((1, 75, 75, 3), jnp.float32)
    )["params"]
    wanted = {
        _torch_name([str(key.key) for key in path]): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(shapes)
    }
    given = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    missing, extra = sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys())
    if missing or extra:
        raise ValueError(
            f"state: not the 2015 Inception network: {len(missing)} names are missing "
            f"({', '.join(missing[:3])}), {len(extra)} are unknown ({', '.join(extra[:3])})"
        )

    def convert(path: Any, leaf: Any) -> Array:
        name = _torch_name([str(key.key) for key in path])
        array = np.asarray(given[name], np.float32)
        if array.ndim > 1:
            array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
        if array.shape != leaf.shape:
            raise ValueError(f"state: {name} gives shape {array.shape}, expected {leaf.shape}")
        return jnp.asarray(array)

    return jax.tree_util.tree_map_with_path(convert, shapes)


def _torch_name(path: list[str]) -> str:
    *layer, leaf = path
    if layer == ["fc"]:
        return f"fc.{'weight' if leaf == 'kernel' else 'bias'}"
    names = {
        "kernel": "conv.weight",
        "scale": "bn.weight",
        "bias": "bn.bias",
        "mean": "bn.running_mean",
        "var": "bn.running_var",
    }
    return ".".join([*layer, names[leaf]])


def inception_preprocess(
    images: ArrayLike, resizer: Literal["legacy", "clean"]
) -> Float[Array, "n 299 299 3"]:
    """Images of 0 to 255 (uint8, as files would have them) at 299x299, in [-1, 1).

    The resizer moves FID by whole points: it belongs to the score's protocol. Both then take
    `(x - 128) / 128`. Grey images are repeated to three channels.

    Args:
        images: shape [n, h, w, 1 or 3], 0 to 255. Fakes are rounded first, `clip(127.5 x + 128)`
            of x in [-1, 1] truncated to uint8, as the reals are.
        resizer: "legacy", TensorFlow 1's bilinear with corners at 0 and no half pixels, as in the
            FID paper's graph, torch-fidelity and most tables; or "clean", bicubic with
            antialiasing, per channel in float and neither rounded nor clipped, as Pillow's and
            clean-fid's (Parmar et al., CVPR 2022).
    """
    x = jnp.asarray(images)
    if x.ndim != 4 or x.shape[-1] not in (1, 3):
        raise ValueError(f"images: expected shape [n, h, w, 1 or 3], got {x.shape}")
    matrices = {"legacy": bilinear_matrix, "clean": bicubic_matrix}
    if resizer not in matrices:
        raise ValueError(f"resizer: expected 'legacy' or 'clean', got {resizer!r}")
    _, h, w, c = x.shape
    rows, columns = matrices[resizer](h, SIZE), matrices[resizer](w, SIZE)
    x = jnp.einsum("nhwc,Ww->nhWc", x.astype(jnp.float32), columns, precision="highest")
    x = jnp.einsum("nhWc,Hh->nHWc", x, rows, precision="highest")
    return (jnp.repeat(x, 3 // c, axis=-1) - 128) / 128


def bilinear_matrix(size: int, wanted: int) -> Float[np.ndarray, "wanted size"]:
    """TensorFlow 1's `resize_bilinear` of one axis: output i is at `i size / wanted`."""
    at = np.arange(wanted) * (size / wanted)
    low = np.floor(at).astype(int)
    high, weight = np.minimum(low + 1, size - 1), at - low
    matrix = np.zeros((wanted, size))
    np.add.at(matrix, (np.arange(wanted), low), 1 - weight)
    np.add.at(matrix, (np.arange(wanted), high), weight)
    return matrix.astype(np.float32)


def bicubic_matrix(size: int, wanted: int) -> Float[np.ndarray, "wanted size"]:
    """Pillow's bicubic filter of one axis (a = -0.5, widened where the image shrinks)."""
    scale = size / wanted
    widen = max(scale, 1.0)
    centre = (np.arange(wanted)[:, None] + 0.5) * scale
    position = np.arange(size)[None]
    first = np.maximum(np.floor(centre - 2 * widen + 0.5), 0)
    last = np.minimum(np.floor(centre + 2 * widen + 0.5), size)
    x = np.abs(position - centre + 0.5) / widen
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = np.where(x < 1, near, np.where(x < 2, far, 0.0))
    weights = np.where((position >= first) & (position < last), weights, 0.0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
