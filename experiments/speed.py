"""How long a training step takes on this CPU: gan_mtl, plain JAX and PyTorch, side by side.

Two GANs, non-saturating loss, Adam, each player once per step:
- `mlp`: 100-128-784 against 784-128-1, batch 128;
- `dcgan`: 32x32x3, 64 channels, batch normalisation, batch 64 (Radford et al. 2016), float32.

Each contender has its own process and all cores; they take turns, block by block. `gan_mtl` is
the framework's compiled update, `jax` the same step by hand with the same networks, `torch` PyTorch
with its default memory format, `torch (channels last)` with the other one. Latents are drawn in the
step; a step has ended when its results are there. `median` and `fastest` are of the wall clock,
`cores` is the median time that all cores spent together, which other work disturbs less.

Expected: at most 1.1 times PyTorch. Measured: `experiments/results/speed.json`; dcgan 1.05 times
its default memory format, 1.13 times the other. Duration: about 3 minutes on 2 cores.

Run:    python -m experiments.speed          PyTorch rows: pip install gan_mtl[bench]
Check:  --smoke
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import pathlib
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from gan_mtl import alternating, draws, nets, parallel
from gan_mtl.games import Latents, Optimizers, Players, gan
from gan_mtl.run import record
from gan_mtl.run.memory import keep_memory
from gan_mtl.run.whole import write
from gan_mtl.types import Context, Network

RESULTS = pathlib.Path(__file__).parent / "results" / "speed.json"
Step = Callable[[], None]  # one training step, finished when it returns


@dataclass(frozen=True)
class Config:
    """The protocol of a measurement."""

    cases: tuple[str, ...] = ("mlp", "dcgan")
    rounds: int = 12
    """Rounds; in each, every contender has its block of steps in turn."""
    block_seconds: float = 0.6
    """Length of a block; one step more comes first and is not measured."""
    keep_memory: bool = True
    """Whether JAX's processes keep freed memory: see `keep_memory`. PyTorch is faster without."""
    note: str = ""
    """What else there is to know of the machine."""
    out: pathlib.Path = RESULTS
    smoke: bool = False
    """Tiny networks, one round, nothing written."""


CONFIG = Config()


class Case(NamedTuple):
    """A GAN to be measured, in the sizes that both frameworks build it from."""

    name: str
    batch: int
    shape: tuple[int, int, int]
    width: int
    latents: int = 100
    rate: float = 2e-4


CASES = {
    "mlp": Case("mlp", 128, (28, 28, 1), 128),
    "dcgan": Case("dcgan", 64, (32, 32, 3), 64),
}


def players(case: Case) -> Players:
    """The networks of a case, for both JAX contenders."""
    linen = nets.from_linen
    if case.name == "mlp":
        gen = nets.small_generator(case.shape).clone(widths=(case.width,))
        trunk = nets.small_trunk().clone(widths=(case.width,))
    else:
        size, _, channels = case.shape
        gen = nets.DCGANGenerator(size, channels, case.width)
        trunk = nets.DCGANTrunk(size, case.width, norm="batch")
    return Players(linen(gen), linen(trunk), linen(nets.Head()))


def framework_step(case: Case, images: np.ndarray) -> Step:
    """The update of `games.gan`, as `parallel` compiles it."""
    adam = optax.adam(case.rate, b1=0.5)
    updater = alternating(gan(players(case), Latents(case.latents), Optimizers(adam, adam)))
    compiled = parallel.compile_update(updater, num_devices=1)
    key, batch = jax.random.key(0), compiled.put({"images": images})
    state, done = compiled.init(key, batch), 0

    def step():
        nonlocal state, done
        state, _ = compiled.update(done, key, state, batch)
        done += 1
        jax.block_until_ready(state)

    return step


def plain_step(case: Case, images: np.ndarray) -> Step:
    """The same step by hand: what the framework is compared with."""
    gen, trunk, head = players(case)[:3]
    assert head is not None
    adam = optax.adam(case.rate, b1=0.5)
    update = jax.jit(
        functools.partial(_plain_update, gen, trunk, head, adam, case), donate_argnums=0
    )
    batch, key = jnp.asarray(images), jax.random.key(0)
    state = jax.jit(functools.partial(_plain_init, gen, trunk, head, adam, case))(key, batch)

    def step():
        nonlocal state
        state = update(state, batch)
        jax.block_until_ready(state)

    return step


def _plain_init(gen: Network, trunk: Network, head: Network, adam, case: Case, key, images):
    latents = jnp.zeros((case.batch, case.latents))
    made, seen = gen.init(key, latents), trunk.init(key, images)
    context = Context(key, jnp.zeros((), jnp.int32))
    features, _ = trunk.apply(seen, images, context=context)
    judged = head.init(key, features)
    gen_params, disc_params = made.pop("params"), (seen.pop("params"), judged["params"])
    return {
        "step": jnp.zeros((), jnp.int32),
        "gen": (gen_params, made, adam.init(gen_params)),
        "disc": (disc_params, seen, adam.init(disc_params)),
    }


def _plain_update(gen: Network, trunk: Network, head: Network, adam, case: Case, state, images):
    context = Context(jax.random.fold_in(jax.random.key(0), state["step"]), state["step"])
    (gen_params, gen_stats, gen_opt), (disc_params, disc_stats, disc_opt) = (
        state["gen"],
        state["disc"],
    )

    def generate(params, tag):
        latents = draws.normal(case.batch, (case.latents,), context.fold(tag))
        return gen.apply({"params": params, **gen_stats}, latents, context=context)

    def judge(params, stats, x):
        features, new = trunk.apply({"params": params[0], **stats}, x, context=context)
        return head.apply({"params": params[1]}, features, context=context)[0], new or stats

    fakes, _ = generate(gen_params, "disc")

    def disc_loss(params):
        real, stats = judge(params, disc_stats, images)
        fake, stats = judge(params, stats, fakes)
        return (jax.nn.softplus(-real) + jax.nn.softplus(fake)).mean(), stats

    gradients, disc_stats = jax.grad(disc_loss, has_aux=True)(disc_params)
    updates, disc_opt = adam.update(gradients, disc_opt)
    disc_params = optax.apply_updates(disc_params, updates)

    def gen_loss(params):
        fakes, stats = generate(params, "gen")
        return jax.nn.softplus(-judge(disc_params, disc_stats, fakes)[0]).mean(), stats

    gradients, new_stats = jax.grad(gen_loss, has_aux=True)(gen_params)
    updates, gen_opt = adam.update(gradients, gen_opt)
    return {
        "step": state["step"] + 1,
        "gen": (optax.apply_updates(gen_params, updates), new_stats or gen_stats, gen_opt),
        "disc": (disc_params, disc_stats, disc_opt),
    }


def torch_step(case: Case, images: np.ndarray, channels_last: bool = False) -> Step:
    """The same step in PyTorch, as its DCGAN example writes it."""
    import torch  # pyright: ignore[reportMissingImports]
    from torch.nn import functional  # pyright: ignore[reportMissingImports]

    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    gen, disc = (net.to(memory_format=layout) for net in _torch_players(case))
    adam = functools.partial(torch.optim.Adam, lr=case.rate, betas=(0.5, 0.999))
    gen_opt, disc_opt = adam(gen.parameters()), adam(disc.parameters())
    real = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=layout)

    def step():
        with torch.no_grad():
            fakes = gen(torch.randn(case.batch, case.latents))
        loss = functional.softplus(-disc(real)).mean() + functional.softplus(disc(fakes)).mean()
        disc_opt.zero_grad()
        loss.backward()
        disc_opt.step()
        disc.requires_grad_(False)
        fakes = gen(torch.randn(case.batch, case.latents))
        loss = functional.softplus(-disc(fakes)).mean()
        gen_opt.zero_grad()
        loss.backward()
        gen_opt.step()
        disc.requires_grad_(True)

    return step


def _torch_players(case: Case) -> tuple[Any, Any]:
    """Generator and discriminator with the layers of `players`."""
    from torch import nn  # pyright: ignore[reportMissingImports]

    size, _, channels = case.shape
    if case.name == "mlp":
        pixels = size * size * channels
        gen = (nn.Linear(case.latents, case.width), nn.ReLU(), nn.Linear(case.width, pixels))
        disc = (nn.Flatten(), nn.Linear(pixels, case.width), nn.ReLU(), nn.Linear(case.width, 1))
        shape = (channels, size, size)
        return nn.Sequential(*gen, nn.Sigmoid(), nn.Unflatten(1, shape)), nn.Sequential(*disc)
    stages = (size // 4).bit_length() - 1
    first = case.width * 2 ** (stages - 1)
    gen, disc = (
        [nn.Linear(case.latents, 16 * first, bias=False), nn.Unflatten(1, (first, 4, 4))],
        [],
    )
    for i in range(stages):
        wide, last = first >> i, i == stages - 1
        out = channels if last else wide // 2
        gen += [nn.BatchNorm2d(wide), nn.ReLU()]
        gen += [nn.ConvTranspose2d(wide, out, 4, 2, 1, bias=last)]
        here, seen = case.width << i, channels if i == 0 else case.width << (i - 1)
        disc += [nn.Conv2d(seen, here, 4, 2, 1, bias=i == 0)]
        disc += [nn.BatchNorm2d(here)] if i else []
        disc += [nn.LeakyReLU(0.2)]
    disc += [nn.Flatten(), nn.Linear(16 * first, 1)]
    return nn.Sequential(*gen, nn.Tanh()), nn.Sequential(*disc)


def contenders(case: Case) -> dict[str, Callable[[Case, np.ndarray], Step]]:
    """What is measured on a case, by name; PyTorch where it is installed."""
    found: dict[str, Any] = {"gan_mtl": framework_step, "jax": plain_step}
    if importlib.util.find_spec("torch") is not None:
        found["torch"] = torch_step
        if case.name == "dcgan":
            found["torch (channels last)"] = functools.partial(torch_step, channels_last=True)
    return found


def serve(connection: Any, case: Case, name: str, kept: bool) -> None:
    """A contender in its own process: seconds (wall, all cores) of the steps of a block."""
    if name.startswith("torch"):
        import torch  # pyright: ignore[reportMissingImports]

        torch.set_num_threads(cores())
    else:
        jax.config.update("jax_platforms", "cpu")
        if kept:
            keep_memory()
    images = np.random.default_rng(0).uniform(-1, 1, (case.batch, *case.shape)).astype(np.float32)
    step = contenders(case)[name](case, images)
    while seconds := connection.recv():
        connection.send(block(step, seconds))


def block(step: Step, seconds: float) -> list[tuple[float, float]]:
    """Seconds (wall, all cores) of every step of a block, after one that is not measured."""
    step()
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        wall, busy = time.perf_counter(), time.process_time()
        step()
        times.append((time.perf_counter() - wall, time.process_time() - busy))
    return times


def measure(config: Config, case: Case) -> list[dict[str, Any]]:
    """Milliseconds per step of every contender: in turn, block by block, `rounds` times."""
    context = multiprocessing.get_context("spawn")
    lines = {}
    for name in contenders(case):
        ours, theirs = context.Pipe()
        process = context.Process(
            target=serve, args=(theirs, case, name, config.keep_memory), daemon=True
        )
        process.start()
        lines[name] = ours
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in lines}
    for round_ in range(config.rounds + 1):
        for name, line in lines.items():
            line.send(config.block_seconds)
            found = line.recv()
            times[name] += found if round_ else []  # the first round warms up
    for line in lines.values():
        line.send(0)
    walls = {name: [1e3 * wall for wall, _ in values] for name, values in times.items()}
    medians = {name: statistics.median(values) for name, values in walls.items()}
    best = min((v for name, v in medians.items() if name.startswith("torch")), default=None)
    return [
        {
            "case": case.name,
            "contender": name,
            "steps": len(values),
            "median_ms": round(medians[name], 3),
            "quartiles_ms": [round(q, 3) for q in np.quantile(values, [0.25, 0.75]).tolist()],
            "fastest_ms": round(min(values), 3),
            "cpu_ms": round(1e3 * statistics.median(busy for _, busy in times[name]), 3),
            "times_best_torch": None if best is None else round(medians[name] / best, 3),
        }
        for name, values in walls.items()
    ]


def environment(config: Any, name: str = "speed") -> dict[str, Any]:
    """Command, versions, hardware, how busy it was, and the protocol of an experiment's config."""
    torch = "torch" if importlib.util.find_spec("torch") else None
    protocol = {k: v for k, v in asdict(config).items() if k not in ("out", "smoke")}
    found = record.measurement(f"experiments.{name}", protocol, ("--out",))
    return {
        **found,
        "versions": {**found["versions"], "torch": torch and importlib.metadata.version(torch)},
        "hardware": {"cores": cores(), "processor": _processor(), "backend": "cpu"},
        "load_average": [round(x, 2) for x in os.getloadavg()],
    }


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def table(rows: list[Mapping[str, Any]]) -> str:
    """The rows for people."""
    lines = [
        f"{'case':8} {'contender':22} {'median':>9} {'fastest':>9} {'cores':>9} {'x torch':>12}"
    ]
    for row in rows:
        ratio = row["times_best_torch"]
        numbers = "".join(f" {row[k]:6.2f} ms" for k in ("median_ms", "fastest_ms", "cpu_ms"))
        shown = "-" if ratio is None else f"{ratio:.2f}"
        lines.append(f"{row['case']:8} {row['contender']:22}{numbers} {shown:>12}")
    if not any(row["contender"].startswith("torch") for row in rows):
        lines.append(
            "PyTorch is not installed; its rows are left out (pip install gan_mtl[bench])."
        )
    return "\n".join(lines)


def main(config: Config = CONFIG, argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Measures, prints the table and writes it to `config.out`."""
    config = tyro.cli(Config, default=config, args=argv, prog="python -m experiments.speed")
    if unknown := sorted(set(config.cases) - set(CASES)):
        raise SystemExit(f"--cases {unknown[0]} is not one of {', '.join(CASES)}.")
    if config.smoke:
        config = replace(config, rounds=1, block_seconds=1e-9)
    before = environment(config)
    rows = []
    for name in config.cases:
        case = CASES[name]._replace(**({"batch": 8, "width": 8} if config.smoke else {}))
        rows += measure(config, case)
    print(table(rows))
    print(f"load average {before['load_average']} before, {list(os.getloadavg())} after")
    if not config.smoke:
        found = {**before, "load_average_after": os.getloadavg(), "rows": rows}
        write(config.out, json.dumps(found, indent=1))
    return rows


if __name__ == "__main__":
    main()
