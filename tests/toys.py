"""A tiny game, written by hand without Flax, that uses everything the update offers.

Trunk with BatchNorm and a shared layer in two roles, a head with a spectral vector, noise layers,
masked class labels, a lazy penalty, a scheduled ascent.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_mtl import draws
from gan_mtl.types import Game, Loss, Network, Objective, Outcome, Schedule, Turn

WIDTH = 6
LATENTS = 3
PIXELS = 5
CLASSES = 4


def dense(out: int) -> Network:
    """A dense layer with tanh."""

    def init(key, x):
        kernel = jax.random.normal(key, (x.shape[-1], out)) / jnp.sqrt(x.shape[-1])
        return {"params": {"kernel": kernel, "bias": jnp.zeros((out,))}}

    def apply(variables, x, context):
        p = variables["params"]
        return jnp.tanh(x @ p["kernel"] + p["bias"][None]), {}

    return Network(init, apply)


def normed(out: int) -> Network:
    """Dense, BatchNorm over the global batch with running moments, and Gaussian noise."""

    def init(key, x):
        kernel = jax.random.normal(key, (x.shape[-1], out)) / jnp.sqrt(x.shape[-1])
        moments = {"mean": jnp.zeros((out,)), "var": jnp.ones((out,))}
        return {"params": {"kernel": kernel}, "batch_stats": moments}

    def apply(variables, x, context):
        def mean(a):
            local = a.mean(axis=0)
            return local if context.axis_name is None else jax.lax.pmean(local, context.axis_name)

        h = x @ variables["params"]["kernel"]
        mu = mean(h)
        var = mean(h**2) - mu**2
        old = variables["batch_stats"]
        new = {"mean": 0.9 * old["mean"] + 0.1 * mu, "var": 0.9 * old["var"] + 0.1 * var}
        h = (h - mu[None]) / jnp.sqrt(var + 1e-3)[None]
        h = h + 0.1 * draws.normal(x.shape[0], (out,), context)
        return jax.nn.leaky_relu(h, 0.2), {"batch_stats": new}

    return Network(init, apply)


def spectral(out: int | None) -> Network:
    """A linear layer divided by a power-iteration estimate of its largest singular value."""

    def init(key, x):
        kernel = jax.random.normal(key, (x.shape[-1], out or 1))
        return {"params": {"kernel": kernel}, "spectral": {"u": jnp.ones((out or 1,))}}

    def apply(variables, x, context):
        kernel, u = variables["params"]["kernel"], variables["spectral"]["u"]
        frozen = jax.lax.stop_gradient(kernel)
        v = frozen @ u
        v = v / jnp.linalg.norm(v)
        u = frozen.T @ v
        u = u / jnp.linalg.norm(u)
        y = x @ kernel / (v @ kernel @ u)
        return (y[:, 0] if out is None else y), {"spectral": {"u": u}}

    return Network(init, apply)


GEN, SHARED, OUT = dense(WIDTH), dense(WIDTH), dense(PIXELS)
STEM, TRUNK, DISC, CLASS = dense(WIDTH), normed(WIDTH), spectral(None), spectral(CLASSES)


def init(key, batch):
    keys = jax.random.split(key, 7)
    n = batch["images"].shape[0]
    hidden = jnp.zeros((n, WIDTH))
    return {
        "gen": GEN.init(keys[0], jnp.zeros((n, LATENTS))),
        "gen/out": OUT.init(keys[1], hidden),
        "shared": SHARED.init(keys[2], hidden),
        "stem": STEM.init(keys[3], batch["images"]),
        "trunk": TRUNK.init(keys[4], hidden),
        "disc": DISC.init(keys[5], hidden),
        "heads/class": CLASS.init(keys[6], hidden),
    }


def generate(variables, n, context):
    latents = draws.normal(n, (LATENTS,), context.fold("latents"))
    h, variables = variables.apply(GEN, "gen", latents, context=context.fold("gen"))
    h, variables = variables.apply(SHARED, "shared@gen", h, context=context.fold("shared"))
    return variables.apply(OUT, "gen/out", h, context=context.fold("out"))


def features(variables, images, context):
    h, variables = variables.apply(STEM, "stem", images, context=context)
    h, variables = variables.apply(SHARED, "shared@disc", h, context=context)
    return variables.apply(TRUNK, "trunk", h, context=context)


def cross_entropy(logits, labels):
    picked = jax.nn.one_hot(labels, logits.shape[-1])
    return -(picked * jax.nn.log_softmax(logits)).sum(axis=-1)


def disc_losses(variables, batch, context):
    n = batch["images"].shape[0]
    fakes, variables = generate(variables, n, context)
    real, variables = features(variables, batch["images"], context.fold("real"))
    fake, variables = features(variables, jax.lax.stop_gradient(fakes), context.fold("fake"))
    real_logits, variables = variables.apply(DISC, "disc", real, context=context)
    fake_logits, variables = variables.apply(DISC, "disc", fake, context=context)
    classes, variables = variables.apply(CLASS, "heads/class", real, context=context)
    labels = batch["labels"]
    losses = {
        "adversarial": Loss(jax.nn.softplus(-real_logits) + jax.nn.softplus(fake_logits)),
        "class": Loss(cross_entropy(classes, labels), (labels >= 0).astype(classes.dtype)),
        "penalty": Loss(real_logits**2),
    }
    return Outcome(losses, variables, {"real_logits": Loss(real_logits)})


def gen_losses(variables, batch, context):
    n = batch["images"].shape[0]
    fakes, variables = generate(variables, n, context)
    fake, variables = features(variables, fakes, context.fold("fake"))
    logits, variables = variables.apply(DISC, "disc", fake, context=context)
    return Outcome({"adversarial": Loss(jax.nn.softplus(-logits))}, variables)


def ramp(step):
    return 0.5 + 0.1 * step


def game(make_optimizer=optax.sgd, *, weighting=None, repeats=1, lazy=2, rate=0.05):
    """The toy game with any optimizer; the generator also ascends the class loss a little."""
    disc_groups = {"stem": 1.0, "shared@disc": 1.0, "trunk": 1.0}
    return Game(
        init=init,
        turns=(
            Turn(
                "disc",
                disc_losses,
                {
                    "adversarial": Objective({**disc_groups, "disc": 1.0}),
                    "class": Objective(
                        {
                            "stem": 0.7,
                            "shared@disc": 0.7,
                            "trunk": Schedule(ramp, "ramp", sign=-1),
                            "heads/class": 1.0,
                        }
                    ),
                    "penalty": Objective({"trunk": 0.1, "disc": 0.1}, every=lazy),
                },
                make_optimizer(rate),
                weighting=weighting,
                repeats=repeats,
            ),
            Turn(
                "gen",
                gen_losses,
                {"adversarial": Objective({"gen": 1.0, "gen/out": 1.0, "shared@gen": 0.5})},
                make_optimizer(rate),
            ),
        ),
        ema={"gen": 100.0, "trunk": 50.0},
    )


def linear_game():
    """Noise and masks, but no batch statistic: one turn on two heads."""

    def without_norm(variables, images, context):
        h, variables = variables.apply(STEM, "stem", images, context=context)
        h = h + 0.1 * draws.normal(h.shape[0], (WIDTH,), context)
        return variables.apply(SHARED, "shared@disc", h, context=context)

    def losses(variables, batch, context):
        h, variables = without_norm(variables, batch["images"], context)
        logits, variables = variables.apply(DISC, "disc", h, context=context)
        classes, variables = variables.apply(CLASS, "heads/class", h, context=context)
        mask = (batch["labels"] >= 0).astype(h.dtype)
        return Outcome(
            {
                "logits": Loss(logits**2),
                "class": Loss(cross_entropy(classes, batch["labels"]), mask),
            },
            variables,
            {"accuracy": Loss((classes.argmax(-1) == batch["labels"]).astype(h.dtype), mask)},
        )

    rows = {
        "logits": Objective({"stem": 1.0, "shared@disc": 1.0, "disc": 1.0}),
        "class": Objective({"stem": 0.5, "shared@disc": 1.0, "heads/class": 1.0}),
    }
    keep = ("stem", "shared", "disc", "heads/class")
    return Game(
        lambda key, batch: {k: v for k, v in init(key, batch).items() if k in keep},
        (Turn("model", losses, rows, optax.sgd(0.1)),),
    )


def batch(n, seed=0, labelled=0.6, dtype=jnp.float32):
    """Random images [n, 5] and labels in 0 .. 3, hidden (-1) for about 40 %."""
    keys = jax.random.split(jax.random.key(seed), 3)
    labels = jax.random.randint(keys[1], (n,), 0, CLASSES)
    shown = jax.random.uniform(keys[2], (n,)) < labelled
    return {
        "images": jax.random.normal(keys[0], (n, PIXELS), dtype),
        "labels": jnp.where(shown, labels, -1),
    }


def assert_agree(a, b, tolerance):
    """Two trees are equal to a relative and absolute tolerance, leaf by leaf, by name."""
    for (path, x), y in zip(jax.tree.leaves_with_path(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(
            x, y, rtol=tolerance, atol=tolerance, err_msg=jax.tree_util.keystr(path)
        )
