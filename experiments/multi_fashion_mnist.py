"""MultiMNIST's protocol with a garment at the bottom right: two different classifications.

The build of Sener & Koltun 2018 (see `multimnist`) with the left picture from MNIST and the right
one from Fashion-MNIST, after Lin et al., "Pareto Multi-Task Learning", NeurIPS 2019, whose files
are their own random draw. Network, budget and arms are those of `multimnist`.

Expected: the garment's accuracy well below the digit's (MNIST is the easier set of the two). No
number of a paper belongs beside ours: theirs are of other draws, networks and budgets.

Run:    python -m experiments.multi_fashion_mnist --data-dir DIR --preset cpu
Check:  --smoke     See: --dry-run
"""

from __future__ import annotations

import functools
from dataclasses import replace

from experiments import multimnist
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm

TUNED = multimnist.Settings("fixed", left=0.6)  # by multimnist_tuning on these pictures
EQUAL = {
    "equal": Arm(multimnist.build, multimnist.Settings(), "equal"),
    "tuned": Arm(multimnist.build, TUNED, "equal, tuned (0.6 : 0.4)"),
}

ARMS = {**multimnist.ARMS, **EQUAL}

CONFIG = replace(
    multimnist.CONFIG,
    name="multi_fashion_mnist",
    arms=ARMS,
    data="multi_fashion_mnist",
    tabulate=functools.partial(multimnist.tabulate, paper={}),
    presets={
        **multimnist.CONFIG.presets,
        "cpu": {
            **{"steps": 468, "log_every": 78, "save_every": 468},
            "about": "a quarter of an hour on 2 CPU cores",
        },
        "paper": {"arms": {name: multimnist.published(arm) for name, arm in ARMS.items()}},
    },
)

if __name__ == "__main__":
    main(CONFIG)
