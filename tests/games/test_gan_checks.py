"""What `gan` refuses: other kinds of things, equal names, outputs that its loss cannot take."""

import jax
import optax
import pytest
import zoo
from linear import linear
from linear_gans import N, played

from gan_mtl import losses
from gan_mtl.games import Extras, Latents, Penalty, Players, Row, Unroll, gan, gan_rows

KEY = jax.random.key(0)


def make(disc=None, latents=zoo.LATENTS, **options):
    players = Players(linear(16, shape=(4, 4, 1)), linear(5), linear(disc))
    return gan(players, latents, zoo.adam(), **options)


def nothing(scene, context):
    return scene.fake_logits


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"adversarial": "hinge"}, r"adversarial='hinge': expected AdversarialLoss or Controlled"),
        ({"adversarial": losses.relativistic_average}, r"a called losses\.relativistic_average"),
        ({"penalties": gan_rows.r1(1.0)}, r"penalties: 'r1' is not a Penalty; give a tuple"),
        ({"extras": Extras(disc_rows=gan_rows.lecam())}, r"disc_rows: 'lecam' is not a Row"),
        ({"extras": Extras(gen_rows=(gan_rows.r1(1.0),))}, r"and penalties as penalties="),
        ({"extras": Extras(augment=lambda x, c: x)}, r"expected Augment, such as gan_rows\.diff"),
        ({"extras": Extras(unroll=5)}, r"unroll=5: expected Unroll"),
    ],
)
def test_another_kind_of_thing_is_refused_with_the_remedy(options, match):
    with pytest.raises(TypeError, match=match):
        make(**options)


ADA = Extras(augment=gan_rows.adaptive_augmentation())
CUT_MIX = Extras(disc_rows=(gan_rows.cut_mix_consistency(),))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (
            {
                "tasks": (zoo.class_head(fake_weight=1.0),),
                "condition": "auxiliary",
                "num_classes": 3,
                "extras": Extras(gen_rows=(Row("class", nothing, 1.0),)),
            },
            r"'gen' need names of their own; \['class'\]",
        ),
        (
            {"penalties": (Penalty("lecam", losses.gradient_penalty, 1.0),)}
            | {"extras": Extras(disc_rows=(gan_rows.lecam(),))},
            r"'disc' need names of their own; \['lecam'\]",
        ),
        (
            {"extras": Extras(pack=2, move_latents=losses.optimise_latents)},
            r"pack=2 with move_latents",
        ),
        ({"extras": ADA._replace(pack=2)}, r"pack=2 with an augmentation that follows the logits"),
        (
            {"extras": ADA, "adversarial": losses.energy_based(1.0)},
            r"follows the logits: an energy has no sign",
        ),
        (
            {"extras": CUT_MIX, "condition": "projection", "num_classes": 3},
            r"'cut_mix' .* without labels",
        ),
        (
            {"extras": CUT_MIX._replace(augment=gan_rows.diff_augmentation())},
            r"'cut_mix' .* without augmentation",
        ),
        ({"latents": Latents(4, "gaussian")}, r"law='gaussian' is not 'normal' or 'uniform'"),
        ({"latents": Latents(0)}, r"dim must be at least 1"),
        ({"latents": Latents(4, "uniform", 1.0, 1.0)}, r"low below high"),
    ],
)
def test_what_would_go_wrong_in_silence_is_refused(options, match):
    with pytest.raises(ValueError, match=match):
        make(**options)


@pytest.mark.parametrize(
    ("disc", "options", "match"),
    [
        (3, {"condition": "multi_hinge", "num_classes": 3}, r"\(8, 3\).* 4 outputs an example"),
        (None, {"condition": "multi_hinge", "num_classes": 3}, r"\(8,\).* 4 outputs an example"),
        (None, {"adversarial": losses.per_pixel(losses.hinge)}, r"one row an example"),
        (2, {}, r"players\.disc: it gives \(8, 2\), and the loss takes one logit an example"),
    ],
)
def test_outputs_that_the_loss_cannot_take_are_refused(disc, options, match):
    with pytest.raises(ValueError, match=match):
        make(disc, **options).init(KEY, zoo.batch())


def test_the_epochs_of_top_k_have_steps():
    with pytest.raises(ValueError, match="steps_per_epoch=0"):
        gan_rows.top_k(0)


def test_the_hinge_of_classes_looks_ahead():
    extras = Extras(unroll=Unroll(1, optax.sgd(0.1)))
    game = make(4, condition="multi_hinge", num_classes=3, extras=extras)
    groups = game.init(KEY, zoo.batch())
    assert played(game, 1, groups).losses["adversarial"].values.shape == (N,)
