"""Oxford-IIIT Pet: breed, species, mask and head box of one picture, from tfds's records.

Parkhi, Vedaldi, Zisserman & Jawahar, "Cats and Dogs", CVPR 2012; 3,680 pictures to train and 3,669
to test (CC BY-SA 4.0). `load("tfds:oxford_iiit_pet", size=...)` reads it: the label is the breed
(37), and every batch holds

    species   int32 [n]          0 cat, 1 dog
    mask      uint8 [n, h, w]    0 background, 1 pet, 255 (ignored) on the border between them
    objects   float32 [n, 1, 5]  the head, with the species as its class

The publisher's trimap has 1 pet, 2 background, 3 border. Heads were annotated in the training
pictures alone, and not in all; where none is given it is unknown (class -2), and neither trains nor
scores boxes, so that an average precision needs a part carved out of the training pictures. The
centre crop of `resize` cuts boxes, and one that it cuts off is absent (class -1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gan_mtl.data.resize import Size, height_width, resized_masks, resized_objects
from gan_mtl.data.targets import IGNORE, MASK, OBJECTS, UNKNOWN

SPECIES = "species"
NUM_CLASSES = {MASK: 2, OBJECTS: 2}
TRIMAP = {1: 1, 2: 0, 3: IGNORE}
_FEATURES = ("image", "species", "segmentation_mask", "head_bbox")


def targets_of(record: Mapping[str, Any], size: Size | None, where: str) -> dict[str, np.ndarray]:
    """The targets of one record.

    Args:
        record: `image` uint8 [h, w, 3], `species`, `segmentation_mask` uint8 [h, w, 1] and
            `head_bbox`, float (ymin, xmin, ymax, xmax) in parts of height and width, all zeros
            where there is none.
        size: to which the image is resized; None keeps it.
        where: names the record in an error.

    Returns:
        `species` int32 [], `mask` uint8 [h2, w2], `objects` float32 [1, 5]; see the module.

    Raises:
        ValueError: if a feature is absent, a mask has another size or other values than 1, 2 and
            3, or a box is none.
    """
    absent = [name for name in _FEATURES if name not in record]
    if absent:
        raise ValueError(
            f"{where} has no {', no '.join(absent)}; prepare version 4.0.0 of the set, or later"
        )
    old = record["image"].shape[:2]
    species = np.array(record["species"], np.int32)
    mask = _mask(np.asarray(record["segmentation_mask"]), old, where)
    objects = _objects(np.asarray(record["head_bbox"], np.float64), int(species), old, where)
    if size is not None and height_width(size) != old:
        mask = resized_masks(mask[None], size)[0]
        objects = resized_objects(objects[None], old, size)[0]
    return {SPECIES: species, MASK: mask, OBJECTS: objects}


def _mask(trimap: np.ndarray, old: tuple[int, int], where: str) -> np.ndarray:
    if trimap.shape != (*old, 1):
        raise ValueError(
            f"{where} has a segmentation_mask of shape {list(trimap.shape)}, its image is "
            f"{list(old)}; the files are damaged: prepare the set anew"
        )
    unknown = np.setdiff1d(trimap, list(TRIMAP))
    if unknown.size:
        raise ValueError(
            f"{where} has {unknown[0]} in its segmentation_mask, which holds 1 (pet), 2 "
            "(background) and 3 (border); prepare the set anew"
        )
    classes = np.zeros(256, np.uint8)
    for value, found in TRIMAP.items():
        classes[value] = found
    return classes[trimap[..., 0]]


def _objects(box: np.ndarray, species: int, old: tuple[int, int], where: str) -> np.ndarray:
    if not box.any():
        return np.array([(0, 0, 0, 0, UNKNOWN)], np.float32)
    y0, x0, y1, x1 = box.tolist()
    if not (0 <= y0 < y1 <= 1 and 0 <= x0 < x1 <= 1):
        raise ValueError(
            f"{where} has the head_bbox {box.tolist()}; it is (ymin, xmin, ymax, xmax) within "
            "0 .. 1, or all zeros where there is no box"
        )
    height, width = old
    return np.array([(x0 * width, y0 * height, x1 * width, y1 * height, species)], np.float32)
