"""Every multi-task architecture on tiny networks, and networks that an oracle can follow."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_mtl import nets
from gan_mtl.games import architectures as arch
from gan_mtl.games import multitask
from gan_mtl.games.tasks import Task
from gan_mtl.types import Context, Network, starting

TASKS = ("a", "b")
CLASSES = 3
KEY = jax.random.key(0)
linen = nets.from_linen


def context(train=True, step=0):
    return Context(jax.random.key(5), jnp.full((), step, jnp.int32), train)


def layer(width):
    """tanh(x W + b), x flattened."""

    def init(key, x):
        inputs = x.reshape(x.shape[0], -1).shape[1]
        keys = jax.random.split(key)
        kernel = jax.random.normal(keys[0], (inputs, width), x.dtype) / np.sqrt(inputs)
        return {"params": {"w": kernel, "b": 0.1 * jax.random.normal(keys[1], (width,), x.dtype)}}

    def apply(variables, x, context):
        p = variables["params"]
        return jnp.tanh(x.reshape(x.shape[0], -1) @ p["w"] + p["b"][None]), {}

    return Network(init, apply)


def run_layer(variables, group, x):
    """The same in NumPy."""
    p = variables.params[group]
    return np.tanh(np.asarray(x).reshape(len(x), -1) @ np.asarray(p["w"]) + np.asarray(p["b"]))


def places(width, stride=1):
    """tanh(x W) at every stride-th place of a map [n, h, w, c]."""

    def init(key, x):
        return {"params": {"w": jax.random.normal(key, (x.shape[-1], width), x.dtype)}}

    def apply(variables, x, context):
        return jnp.tanh(x[:, ::stride, ::stride] @ variables["params"]["w"]), {}

    return Network(init, apply)


def pyramid(flat=False):
    """Maps of 3 and 4 channels, of strides 1 and 2; or the same values in one row."""
    fine, coarse = places(3), places(4, stride=2)

    def init(key, x):
        keys = jax.random.split(key)
        found = [place.init(key, x) for place, key in zip((fine, coarse), keys, strict=True)]
        return {"params": {str(i): one["params"] for i, one in enumerate(found)}}

    def apply(variables, x, context):
        maps = tuple(
            place.apply({"params": variables["params"][str(i)]}, x, context=context)[0]
            for i, place in enumerate((fine, coarse))
        )
        if flat:
            return jnp.concatenate([m.reshape(len(m), -1) for m in maps], axis=1), {}
        return maps, {}

    return Network(init, apply)


def run_places(variables, group, x, stride=1):
    """The same in NumPy."""
    return np.tanh(np.asarray(x)[:, ::stride, ::stride] @ np.asarray(variables.params[group]["w"]))


def transferred(tasks):
    plan = arch.hard_sharing(tasks, layer(5))
    start = plan.init(jax.random.key(9), images())["trunk"]
    return arch.transfer(plan, {"trunk": start}, alpha=0.1)


def branching(tasks):
    branch = nets.Branch(optax.exponential_decay(5.0, 10, 0.5))
    return arch.ltb(tasks, ((layer(5),), (layer(4), layer(4)), (layer(5),) * 2), linen(branch))


MIXTURE = linen(nets.SoftmaxMixture())
BLOCKS = (arch.Block(places(3), places(4)), arch.Block(places(3, stride=2), places(4)))
LEVEL = arch.Level((layer(5),), (layer(5),))
ALL = {
    "hard_sharing": lambda tasks: arch.hard_sharing(tasks, layer(5)),
    "cross_stitch": lambda tasks: arch.cross_stitch(
        tasks, (layer(4), layer(5)), linen(nets.CrossStitch())
    ),
    "mmoe": lambda tasks: arch.mmoe(tasks, (layer(5),) * 3, MIXTURE),
    "cgc": lambda tasks: arch.cgc(tasks, (layer(5),), (layer(5),), MIXTURE),
    "ple": lambda tasks: arch.ple(tasks, (LEVEL,) * 3, MIXTURE),
    "mtan": lambda tasks: arch.mtan(
        tasks, BLOCKS, linen(nets.Attention()), linen(nets.AttentionLink(batch_norm=False))
    ),
    "dselect_k": lambda tasks: arch.dselect_k(
        tasks, (layer(5),) * 3, linen(nets.DSelectMixture(2, gamma=4.0)), entropy=0.01
    ),
    "ltb": branching,
    "shared_private": lambda tasks: arch.shared_private(tasks, layer(5), layer(4), gamma=0.1),
    "l2_tie": lambda tasks: arch.soft_sharing(tasks, layer(5), tie=arch.l2_tie, weight=0.1),
    "trace_norm_tie": lambda tasks: arch.soft_sharing(
        tasks, layer(5), tie=arch.trace_norm_tie, weight=0.1
    ),
    "transfer": transferred,
}


def images(n=8, seed=0, dtype=jnp.float32):
    return jax.random.uniform(jax.random.key(seed), (n, 4, 4, 1), dtype, -1, 1)


def started(plan, n=8, seed=0):
    """Variables and images."""
    x = images(n, seed)
    return starting(jax.jit(plan.init)(jax.random.fold_in(KEY, seed), x)), x


def filled(shapes, seed=0):
    """Arrays of these shapes with draws of NumPy in them, positive variances: no initialisation."""
    rng = np.random.default_rng(seed)

    def fill(path, leaf):
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return np.zeros(leaf.shape, leaf.dtype)
        values = 0.2 * rng.standard_normal(leaf.shape)
        return np.asarray(np.exp(values) if "'var'" in str(path) else values, leaf.dtype)

    return jax.tree_util.tree_map_with_path(fill, shapes)


def features(plan, variables, x, tasks=None, **options):
    """The features of tasks, as NumPy arrays."""
    found = represented(plan, variables, x, tasks, **options)
    return {task: np.asarray(value) for task, value in found.features.items()}


def represented(plan, variables, x, tasks=None, **options):
    """Features, and losses of the architecture's own."""

    def apply(variables, x):
        return plan.apply(variables, x, tasks or plan.tasks, context(**options))[0]

    return jax.jit(apply)(variables, x)


def softmax(x):
    shifted = np.exp(x - x.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def gate(variables, group, x):
    """The weights of a `SoftmaxMixture`, in NumPy."""
    kernel = np.asarray(variables.params[group]["gate"]["kernel"])
    return softmax(np.asarray(x).reshape(len(x), -1) @ kernel)


def mixture(weights, outputs):
    return sum(weights[:, [i]] * output for i, output in enumerate(outputs))


def with_params(variables, **groups):
    """The variables with the parameters of some groups (`a__b` for `a/b`) replaced."""
    replaced = {name.replace("__", "/"): tree for name, tree in groups.items()}
    return variables._replace(params={**variables.params, **replaced})


def heads(sources=False):
    """A classification per task: of one batch, or of a batch entry of its own."""
    head = linen(nets.Head(CLASSES))
    if sources:
        return tuple(Task(t, head, source=f"images/{t}", targets=f"labels/{t}") for t in TASKS)
    return tuple(Task(t, head, targets=f"labels/{t}") for t in TASKS)


def batch(n=8, dtype=jnp.float32):
    """One batch of images with two labels, the second one hidden for some."""
    keys = jax.random.split(jax.random.key(3), 2)
    labels = [jax.random.randint(key, (n,), 0, CLASSES) for key in keys]
    return {
        "images": images(n, 1, dtype),
        "labels/a": labels[0],
        "labels/b": labels[1].at[1].set(-1),
    }


def batches_apart(sizes=(8, 4), dtype=jnp.float32):
    """A batch entry per task, of unequal sizes."""
    found = {}
    for i, (task, n) in enumerate(zip(TASKS, sizes, strict=True)):
        found[f"images/{task}"] = images(n, 10 + i, dtype)
        labels = jax.random.randint(jax.random.key(20 + i), (n,), 0, CLASSES)
        found[f"labels/{task}"] = labels
    return found


@functools.cache
def game(name, sources=False):
    return multitask(ALL[name](TASKS), heads(sources), optax.sgd(0.1))
