"""The sizes of well-known small GANs on 28x28 images, by name.

| name    | generator                                  | discriminator                          |
|---------|--------------------------------------------|----------------------------------------|
| small   | z - 128 ReLU - 784 sigmoid                 | 784 - 128 ReLU - 1                     |
| wide    | z - 1024 - 1024 - 784, leaky ReLU, sigmoid | 5x5 stride 2: 64 - 128 - 256 - 512 - 1 |
| tapered | z - 128 - 256 - 784, leaky ReLU, tanh      | 784 - 256 - 128 - 1, leaky ReLU        |

Discriminators are a trunk here; `Head()` is the last layer and gives logits, not probabilities.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn

from gan_mtl.nets.convnets import CNNTrunk, ConvTrunk
from gan_mtl.nets.mlp import MLPGenerator, MLPTrunk
from gan_mtl.nets.outputs import Output

MNIST = (28, 28, 1)


def small_generator(output_shape: tuple[int, ...] = MNIST, dtype: Any = None) -> MLPGenerator:
    """z - 128 (ReLU) - sigmoid images of `output_shape`; z has 100 dimensions by custom."""
    return MLPGenerator((128,), output_shape, nn.relu, "sigmoid", dtype=dtype)


def small_trunk(dtype: Any = None) -> MLPTrunk:
    """Inputs - 128 (ReLU)."""
    return MLPTrunk((128,), nn.relu, dtype=dtype)


def wide_generator(output_shape: tuple[int, ...] = MNIST, dtype: Any = None) -> MLPGenerator:
    """z - 1024 - 1024 - sigmoid images of `output_shape`, leaky ReLU."""
    return MLPGenerator((1024, 1024), output_shape, output="sigmoid", dtype=dtype)


def wide_trunk(dtype: Any = None) -> ConvTrunk:
    """5x5 convolutions of stride 2 with 64 - 128 - 256 - 512 channels, leaky ReLU."""
    return ConvTrunk((64, 128, 256, 512), kernel_size=5, dtype=dtype)


def tapered_generator(
    output_shape: tuple[int, ...] = MNIST, output: Output = "tanh", dtype: Any = None
) -> MLPGenerator:
    """z - 128 - 256 - images of `output_shape`, leaky ReLU; tanh, or sigmoid."""
    return MLPGenerator((128, 256), output_shape, output=output, dtype=dtype)


def tapered_trunk(dtype: Any = None) -> MLPTrunk:
    """Inputs - 256 - 128, leaky ReLU."""
    return MLPTrunk((256, 128), dtype=dtype)


def multitask_trunk(dtype: Any = None) -> CNNTrunk:
    """3x3 convolutions with 32, 64, 128 channels and 2x2 max-pooling; a map for dense tasks."""
    return CNNTrunk((32, 64, 128), output="map", dtype=dtype)
