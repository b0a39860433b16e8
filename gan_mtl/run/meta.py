"""What a checkpoint says of its run, and whether a run may go on from it."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

from gan_mtl.data import Dataset, front_end_hashes
from gan_mtl.run.config import Config, config_hash


def of(config: Config, dataset: Dataset, seed: int, step: int) -> dict[str, Any]:
    """Of a checkpoint: the config's hash, seed, position in the data, and front ends by name."""
    front_ends = front_end_hashes(dataset)
    return {
        **{"config": config_hash(config), "seed": seed, "data_step": step},
        **({"front_end": front_ends} if front_ends else {}),
    }


def check(found: Mapping[str, Any], config: Config, dataset: Dataset, folder: pathlib.Path) -> None:
    """Refuses a checkpoint, by its meta `found`, of another config or of other front ends.

    Checkpoints that hold no front end, as of before it was held, go on with any.

    Raises:
        ValueError: naming the cell's folder, and both hashes.
    """
    wanted = config_hash(config)
    if found.get("config") != wanted:
        raise ValueError(
            f"{folder}: its checkpoint is of another config ({found.get('config')}, not {wanted}); "
            "use another --workdir."
        )
    now = front_end_hashes(dataset)
    if found.get("front_end", now) != now:
        raise ValueError(
            f"{folder}: its checkpoint is of the front end {found['front_end']}, the data of "
            f"{now or 'none'}; use the version that it was begun with, or another --workdir."
        )
