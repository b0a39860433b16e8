"""The steps of `mtl_cost` in PyTorch, through TorchJD: same networks, batch, optimizer, methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]
from torch.nn.functional import cross_entropy  # pyright: ignore[reportMissingImports]
from torchjd import aggregation, autojac  # pyright: ignore[reportMissingImports]

NAMES = {
    "mgda": "MGDA",
    "pcgrad": "PCGrad",
    "gradvac": "GradVac",
    "graddrop": "GradDrop",
    "imtl_g": "IMTLG",
    "aligned": "AlignedMTL",
    "upgrad": "UPGrad",
    "dualproj": "DualProj",
    "conflict_free": "ConFIG",
    "excess": "ExcessMTL",
    "cagrad": "CAGrad",
    "nash": "NashMTL",
    "fairgrad": "FairGrad",
    "krum": "Krum",
    "trimmed_mean": "TrimmedMean",
}
WAYS = {"together": None, "in turn": 1}  # backward passes under vmap, or one after another


def contenders(
    case: Any, batch: Mapping[str, np.ndarray], methods: tuple[str, ...], threads: int
) -> dict[str, Callable[[], None]]:
    """Steps by method and way; a method whose optional package is missing is left out, and said.

    Args:
        case: a case of `mtl_cost`.
        methods: our names; those that TorchJD does not have are left out.
    """
    torch.set_num_threads(threads)
    found = {"equal": step_of(case, batch, None)}
    for name in NAMES:
        if name not in methods:
            continue
        try:
            for way, chunk in WAYS.items():
                found[f"{name}/{way}"] = step_of(case, batch, aggregator(name, case.tasks), chunk)
        except ImportError as error:
            print(f"TorchJD's {NAMES[name]} is left out: {error}", flush=True)
    return found


def aggregator(name: str, tasks: int) -> Any:
    """TorchJD's aggregator under our name for it, with our constants where it asks for some."""
    constants: dict[str, dict[str, Any]] = {
        "cagrad": {"c": 0.4},
        "nash": {"n_tasks": tasks},
        "fairgrad": {"alpha": 1.0},
        "krum": {"n_byzantine": 0},
        "trimmed_mean": {"trim_number": min(1, (tasks - 1) // 2)},
    }
    return getattr(aggregation, NAMES[name])(**constants.get(name, {}))


def step_of(
    case: Any, arrays: Mapping[str, np.ndarray], aggregator: Any, chunk: int | None = None
) -> Callable[[], None]:
    """A step of the plain sum, or of `mtl_backward` and an aggregator."""
    torch.manual_seed(0)
    trunk, heads = networks(case)
    shared = list(trunk.parameters())
    adam = torch.optim.Adam([*shared, *heads.parameters()], lr=case.rate)
    images = torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2).contiguous()
    labels = [torch.from_numpy(arrays[f"t{i}"]).long() for i in range(case.tasks)]

    def step():
        features = trunk(images)
        losses = [cross_entropy(h(features), y) for h, y in zip(heads, labels, strict=True)]
        adam.zero_grad()
        if aggregator is None:
            torch.stack(losses).sum().backward()
        else:
            autojac.mtl_backward(losses, features=features, parallel_chunk_size=chunk)
            autojac.jac_to_grad(shared, aggregator)
        adam.step()

    return step


def networks(case: Any) -> tuple[Any, Any]:
    """Trunk and heads with the layers of `mtl_cost.game`."""
    wide, out = case.width, case.classes
    if case.network == "mlp":
        layers = (nn.Flatten(), nn.Linear(case.side**2, wide), nn.LeakyReLU(0.2))
        trunk = nn.Sequential(*layers, nn.Linear(wide, wide), nn.LeakyReLU(0.2))
        return trunk, nn.ModuleList(nn.Linear(wide, out) for _ in range(case.tasks))
    first = (nn.Conv2d(1, 10, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(10, 20, 5), nn.Dropout2d())
    rest = (nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(320, 50), nn.ReLU())

    def head():
        return nn.Sequential(nn.Linear(50, 50), nn.ReLU(), nn.Dropout(), nn.Linear(50, out))

    return nn.Sequential(*first, *rest), nn.ModuleList(head() for _ in range(case.tasks))
