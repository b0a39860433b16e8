"""The CamVid study: its class weights are those of the data, its table says what it should."""

import os
import pathlib

import numpy as np
import pytest

from experiments import camvid_segmentation
from gan_mtl.data import camvid


def cell(arm, seed, miou):
    scores = {
        "segmentation_miou": miou,
        "segmentation_pixel_accuracy": 0.8,
        "segmentation_iou": [miou] * 10 + [0.0],
    }
    return {"arm": arm, "labels": None, "seed": seed, "scores": scores}


def test_the_table_has_paired_differences_and_every_class():
    cells = [cell("segmentation", i, 0.4 + 0.1 * i) for i in range(3)]
    cells += [cell("adversary", i, 0.42 + 0.1 * i) for i in range(3)]
    cells.append({"arm": "both", "labels": None, "seed": 0, "scores": None})
    text = camvid_segmentation.tabulate(camvid_segmentation.CONFIG, cells)
    assert "half resolution" in text and "50.0 ± 10.0" in text
    row = next(line for line in text.splitlines() if "| + adversary " in line)
    assert "+2.0" in row and "+2.0 .. +2.0" in row
    assert all(name in text for name in camvid_segmentation.NAMES)
    bicyclist = next(line for line in text.splitlines() if "Bicyclist" in line)
    assert bicyclist.count("0.0 ± 0.0") == 2


def test_the_class_weights_are_those_of_the_training_masks():
    path = pathlib.Path(os.environ.get("GAN_MTL_DATA", ""), "camvid", camvid.FILE)
    if not path.is_file():
        pytest.skip(f"{path} is not there: GAN_MTL_DATA names the folder of the real data")
    mask = camvid.read_split(path, "train").targets["mask"]
    counts = np.array([(mask == k).sum() for k in range(11)])
    there = np.array([(mask == k).any(axis=(1, 2)).sum() for k in range(11)])
    frequency = counts / (there * mask[0].size)
    expected = np.median(frequency) / frequency
    np.testing.assert_allclose(camvid_segmentation.MEDIAN_FREQUENCY, expected, atol=6e-4)
