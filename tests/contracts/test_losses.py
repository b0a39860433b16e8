"""What every public loss promises: shapes, dtypes, jit, vmap, one trace, examples that run."""

import inspect

import beartype
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest

from gan_mtl import losses
from gan_mtl.losses import (
    adversarial,
    augment,
    cdan,
    centres,
    conditional,
    confusion,
    coral,
    depth,
    dsn,
    energies,
    information,
    label_maps,
    latent,
    mcd,
    mdd,
    mmd,
    multi_scale,
    path_lengths,
    penalties,
    regularizers,
    reversal,
    segmentation,
    semi_supervised,
    sharing,
    stabilisers,
    tasks,
    vae,
    wdgrl,
)
from gan_mtl.types import Context

N, K = 6, 4
KEY = jax.random.key(0)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))
LOGITS = jax.random.normal(KEY, (2, N, K))
LABELS = jnp.array([0, 1, 2, 3, -1, 0])
CLASSES = jnp.array([0, 1, 2, 2, 1, 0])
W = jax.random.normal(jax.random.key(1), (K,))
MAPS = jax.random.normal(jax.random.key(2), (2, N, 3, 5, K + 1))
MASK = jax.random.randint(KEY, (N, 3, 5), 0, K).at[0, 0].set(255)
OBJECTS = jnp.tile(jnp.array([[[1.0, 0.0, 4.0, 2.0, 0.0], [0, 0, 0, 0, -1.0]]]), (N, 1, 1))
HEAT = centres.centre_targets(OBJECTS, K + 1, (3, 5), (3, 5)).heat


def disc(x):
    return jnp.tanh(x * W[None]).sum(axis=1)


PAIRS = {
    name: value
    for name, value in vars(adversarial).items()
    if isinstance(value, losses.AdversarialLoss)
} | {
    "relativistic_average": adversarial.relativistic_average(),
    "smoothed": adversarial.smoothed(),
    "energy_based": energies.energy_based(1.0),
    "began": energies.began(energies.BeganState(jnp.float32(0.3))),
}
LECAM = stabilisers.LeCamState(jnp.float32(0.1), jnp.float32(-0.1))


def synthesis(w):
    return jnp.tanh(w * W[None]).reshape(len(w), 2, 2, 1)


# name -> (a function of arrays, the arrays, the shape of its value)
CASES = {
    **{f"{name}.disc": (pair.disc, LOGITS[:, :, 0], (N,)) for name, pair in PAIRS.items()},
    **{f"{name}.gen": (pair.gen, LOGITS[:, :, 0], (N,)) for name, pair in PAIRS.items()},
    "gradient_penalty": (
        lambda r, f: penalties.gradient_penalty(disc, r, f, CONTEXT),
        LOGITS,
        (N,),
    ),
    "dragan": (lambda r: penalties.dragan(disc, r, CONTEXT), LOGITS[:1], (N,)),
    "r1": (lambda r: penalties.r1(disc, r), LOGITS[:1], (N,)),
    "r2": (lambda f: penalties.r2(disc, f, per_example=True), LOGITS[:1], (N,)),
    "squared_gradient_norm": (
        lambda r: penalties.squared_gradient_norm(disc, r),
        LOGITS[:1],
        (N,),
    ),
    "cross_entropy": (lambda x: tasks.cross_entropy(x, LABELS), LOGITS[:1], (N,)),
    "binary_cross_entropy": (
        lambda x, y: tasks.binary_cross_entropy(x, jax.nn.sigmoid(y)),
        LOGITS,
        (N,),
    ),
    "l1": (tasks.l1, LOGITS, (N,)),
    "l2": (tasks.l2, LOGITS, (N,)),
    "huber": (tasks.huber, LOGITS, (N,)),
    "masked_mean": (lambda x: tasks.masked_mean(x[:, 0]), LOGITS[:1], ()),
    "supervised": (lambda x: semi_supervised.supervised(x, LABELS), LOGITS[:1], (N,)),
    "real_logit": (semi_supervised.real_logit, LOGITS[:1], (N,)),
    "real": (semi_supervised.real, LOGITS[:1], (N,)),
    "fake": (semi_supervised.fake, LOGITS[:1], (N,)),
    "entropy": (semi_supervised.entropy, LOGITS[:1], (N,)),
    "feature_matching": (semi_supervised.feature_matching, LOGITS, ()),
    "pull_away": (semi_supervised.pull_away, LOGITS[:1], ()),
    "relation_penalty": (
        lambda w: sharing.relation_penalty(w, jnp.eye(K) / K),
        LOGITS[:1],
        (),
    ),
    "trace_norm": (sharing.trace_norm, LOGITS[:1], ()),
    "trace_norm_prox": (lambda w: sharing.trace_norm_prox(w, 0.1), LOGITS[:1], (N, K)),
    "orthogonality": (sharing.orthogonality, LOGITS, ()),
    "max_gradient_penalty": (
        lambda r, f: penalties.max_gradient_penalty(disc, r, f, CONTEXT),
        LOGITS,
        (),
    ),
    "lecam": (lambda r, f: stabilisers.lecam(r, f, LECAM), LOGITS[:, :, 0], (N,)),
    "consistency": (stabilisers.consistency, LOGITS, (N,)),
    "latent_consistency": (stabilisers.latent_consistency, LOGITS, (N,)),
    "mode_seeking": (
        lambda a, b: stabilisers.mode_seeking(a, b, a[:, :2], b[:, :2]),
        LOGITS,
        (N,),
    ),
    "top_k_mask": (lambda f: stabilisers.top_k_mask(f, 2), LOGITS[:1, :, 0], (N,)),
    "path_lengths": (
        lambda w: path_lengths.path_lengths(synthesis, w, CONTEXT),
        LOGITS[:1],
        (N,),
    ),
    "path_length": (
        lambda w: path_lengths.path_length(synthesis, w, path_lengths.path_length_init(), CONTEXT)[
            0
        ],
        LOGITS[:1],
        (N,),
    ),
    "categorical_code": (lambda x: information.categorical_code(x, CLASSES), LOGITS[:1], (N,)),
    "continuous_code": (information.continuous_code, LOGITS, (N,)),
    "crammer_singer": (lambda x: conditional.crammer_singer(x, CLASSES), LOGITS[:1], (N,)),
    "multi_hinge_disc": (
        lambda r, f: conditional.multi_hinge_disc(r, CLASSES, f),
        LOGITS,
        (N,),
    ),
    "multi_hinge_gen": (lambda f: conditional.multi_hinge_gen(f, CLASSES), LOGITS[:1], (N,)),
    "conditional_contrastive": (
        lambda x, p: conditional.conditional_contrastive(x, p, CLASSES),
        LOGITS,
        (N,),
    ),
    "data_to_data": (lambda x, p: conditional.data_to_data(x, p, CLASSES), LOGITS, (N,)),
    "focal_heat": (lambda x: centres.focal_heat(x, HEAT), MAPS[:1], (N,)),
    "centre_loss": (lambda x: centres.centre_loss(x, OBJECTS, (3, 5)).values, MAPS[:1], (N,)),
    "pixel_cross_entropy": (
        lambda x: segmentation.pixel_cross_entropy(x, MASK).values,
        MAPS[:1],
        (N,),
    ),
    "scale_invariant_log": (
        lambda x: depth.scale_invariant_log(x[..., 0], 0.5 + MASK).values,
        MAPS[:1],
        (N,),
    ),
    "feature_gap": (
        lambda r, f: multi_scale.feature_gap((r, r[:, :2]), (f, f[:, :2])),
        MAPS,
        (N,),
    ),
    "soft_dice": (lambda x: segmentation.soft_dice(x, MASK), MAPS[:1], (N,)),
    "oasis_disc": (lambda r, f: label_maps.oasis_disc(r, f, MASK, jnp.ones(K)), MAPS, (N,)),
    "oasis_gen": (lambda f: label_maps.oasis_gen(f, MASK, jnp.ones(K)), MAPS[:1], (N,)),
    "oasis_unlabelled": (label_maps.oasis_unlabelled, MAPS[:1], (N,)),
    "label_mix_consistency": (
        lambda r, f: label_maps.label_mix_consistency(r + f, MASK > 1, r, f),
        MAPS,
        (N,),
    ),
    "deep_coral": (coral.deep_coral, LOGITS, ()),
    "multi_kernel_mmd": (mmd.multi_kernel_mmd, LOGITS, ()),
    "joint_mmd": (lambda s, t: mmd.joint_mmd((s, s[:, :2]), (t, t[:, :2])), LOGITS, ()),
    "multilinear_map": (lambda f, g: cdan.multilinear_map(f, g[:, :2]), LOGITS, (N, 2 * K)),
    "random_multilinear_map": (
        lambda f, g: cdan.random_multilinear_map(f, g, jnp.eye(K), jnp.eye(K)),
        LOGITS,
        (N, K),
    ),
    "entropy_weights": (cdan.entropy_weights, LOGITS[:1], (N,)),
    "classifier_discrepancy": (mcd.classifier_discrepancy, LOGITS, (N,)),
    "source_disparity": (mdd.source_disparity, LOGITS, (N,)),
    "target_disparity": (mdd.target_disparity, LOGITS, (N,)),
    "domain_confusion": (confusion.domain_confusion, LOGITS[:1, :, 0], (N,)),
    "critic_penalty": (lambda s, t: wdgrl.critic_penalty(disc, s, t, CONTEXT), LOGITS, (N,)),
    "scale_invariant_mse": (dsn.scale_invariant_mse, LOGITS, (N,)),
    "kl_to_standard_normal": (vae.kl_to_standard_normal, LOGITS, (N,)),
    "normal_nll": (lambda x, m: vae.normal_nll(x, m, 0.1 * m), LOGITS, (N,)),
    "bernoulli_nll": (
        lambda x, y: vae.bernoulli_nll(x, jax.nn.sigmoid(y)),
        LOGITS,
        (N,),
    ),
    "gaussian_nll": (vae.gaussian_nll, LOGITS, (N,)),
    "optimal_gaussian_nll": (vae.optimal_gaussian_nll, LOGITS, (N,)),
    "importance_bound": (vae.importance_bound, LOGITS[:1], (N,)),
    "optimise_latents": (lambda z: latent.optimise_latents(disc, z), LOGITS[:1], (N, K)),
}
OTHERWISE = {  # states and sizes, pairs (above, by half), and what keeps its argument's dtype
    *("lecam_init", "lecam_update", "top_k_size", "path_length_init", "began_init"),
    *("began_update", "ada_init", "ada_update", "energy_based", "began"),
    *("diff_augment", "ada_augment", "unroll"),
    *("centre_targets", "gaussian_radius", "checked_mask", "class_balance", "label_mix_mask"),
    *("one_hot_map", "scaled_map", "gradient_reversal", "distance_from_one"),
}


MODULES = {
    *(adversarial, augment, conditional, energies, information, latent, path_lengths),
    *(penalties, regularizers, semi_supervised, sharing, stabilisers, tasks),
    *(centres, depth, label_maps, multi_scale, segmentation, vae),
    *(cdan, confusion, coral, dsn, mcd, mdd, mmd, reversal, wdgrl),
}


def public_functions(module):
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and name[0] != "_"
    }


def test_every_public_loss_is_in_the_table():
    for module in MODULES - {adversarial, regularizers}:
        assert not set(public_functions(module)) - set(CASES) - OTHERWISE, module.__name__
    assert {"minimax", "non_saturating", "least_squares", "hinge", "wasserstein"} < set(PAIRS)


@pytest.mark.parametrize("name", CASES)
def test_shape_dtype_jit_vmap(name):
    function, arrays, shape = CASES[name]
    plain = function(*arrays)
    assert plain.shape == shape and plain.dtype == jnp.float32
    assert jnp.isfinite(plain).all()

    traces = 0

    def counted(*arrays):
        nonlocal traces
        traces += 1
        return function(*arrays)

    compiled = jax.jit(counted)
    for _ in range(3):
        np.testing.assert_allclose(compiled(*arrays), plain, rtol=1e-5, atol=1e-6)
    assert traces == 1

    stacked = [jnp.stack([a, 2 * a, -a]) for a in arrays]
    mapped = jax.jit(jax.vmap(function))(*stacked)
    assert mapped.shape == (3, *shape)
    for i, scale in enumerate((1, 2, -1)):
        want = compiled(*(scale * a for a in arrays))
        np.testing.assert_allclose(mapped[i], want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_finite_and_of_the_argument_dtype(name):
    function, arrays, _ = CASES[name]
    for dtype in ("float32", "bfloat16"):
        cast = [a.astype(dtype) for a in arrays]
        # half precision is widened
        assert jax.eval_shape(function, *cast).dtype == jnp.float32
        slopes = jax.jit(jax.grad(lambda *a: function(*a).sum(), tuple(range(len(cast)))))
        gradients = slopes(*cast)
        for gradient in gradients:
            assert gradient.dtype == dtype and jnp.isfinite(gradient).all()


@pytest.mark.parametrize("name", CASES)
def test_float64_stays(name):
    function, arrays, _ = CASES[name]
    with jax.enable_x64(True):
        doubled = (a.astype(jnp.float64) for a in arrays)
        assert jax.eval_shape(function, *doubled).dtype == jnp.float64


@pytest.mark.parametrize("make", public_functions(regularizers).values(), ids=lambda f: f.__name__)
def test_regularizers_keep_structure_and_dtype(make):
    params = {"a": {"kernel": jnp.ones((2, 3))}, "b": jnp.ones(3, jnp.bfloat16)}
    transformation = make(0.1)
    assert isinstance(transformation, optax.GradientTransformation)
    state = transformation.init(params)
    updates, after = jax.jit(transformation.update)(params, state, params)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    for update, param in zip(jax.tree.leaves(updates), jax.tree.leaves(params), strict=True):
        assert (update.shape, update.dtype) == (param.shape, param.dtype)


@pytest.mark.parametrize(
    ("function", "good", "bad"),
    [
        (tasks.cross_entropy, (LOGITS[0], LABELS), (LOGITS[0], LABELS[:3])),
        (tasks.masked_mean, (LOGITS[0, :, 0],), (LOGITS[0],)),
        (tasks.l1, (LOGITS[0], LOGITS[1]), (LOGITS[0], LOGITS[1, :2])),
        (semi_supervised.real, (LOGITS[0],), (LOGITS,)),
        (semi_supervised.feature_matching, (LOGITS[0], LOGITS[1, :2]), (LOGITS[0], W)),
    ],
)
def test_signatures_say_the_shapes(function, good, bad):
    """The jaxtyping annotations are true, checked by machine."""
    checked = jaxtyping.jaxtyped(typechecker=beartype.beartype)(function)
    checked(*good)
    with pytest.raises(jaxtyping.TypeCheckError):
        checked(*bad)
