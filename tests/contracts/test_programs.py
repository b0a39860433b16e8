"""The compiled CPU program of an update keeps convolutions out of loops and branches."""

import re

import jax
import jax.numpy as jnp
import optax
import pytest

from gan_mtl import nets
from gan_mtl.games import Latents, Optimizers, Penalty, Players, gan, rotation_task
from gan_mtl.losses import r1
from gan_mtl.update import alternating

linen = nets.from_linen
INSIDE = r"(?:body|condition|true_computation|false_computation)=%([\w.\-]+)"


def computations(text):
    """The program's computations, by name."""
    found = {}
    for block in re.split(r"\n(?=(?:ENTRY )?%[\w.\-]+ \()", text):
        head = re.match(r"(?:ENTRY )?%([\w.\-]+) \(", block)
        if head:
            found[head.group(1)] = block
    return found


def convolutions_inside(text):
    """Names of computations with a convolution that a loop or a branch runs."""
    blocks = computations(text)
    waiting = re.findall(INSIDE, text)
    for names in re.findall(r"branch_computations=\{([^}]*)\}", text):
        waiting += re.findall(r"%([\w.\-]+)", names)
    seen, guilty = set(), []
    while waiting:
        name = waiting.pop()
        if name in seen or name not in blocks:
            continue
        seen.add(name)
        if re.search(r"\bconvolution\(|onednn\$conv", blocks[name]):
            guilty.append(name)
        waiting += re.findall(r"(?:calls|to_apply)=%([\w.\-]+)", blocks[name])
        waiting += re.findall(INSIDE, blocks[name])
    return guilty


def small_dcgan():
    players = Players(
        gen=linen(nets.DCGANGenerator(8, 1, width=4)),
        trunk=linen(nets.DCGANTrunk(8, width=4, norm="spectral")),
        disc=linen(nets.Head()),
    )
    penalty = Penalty("r1", lambda f, real, fake, context: r1(f, real), 1.0, every=4)
    adam = Optimizers(optax.adam(1e-3), optax.adam(1e-3))
    task = rotation_task(linen(nets.Head(4)))
    return gan(players, Latents(4), adam, penalties=(penalty,), tasks=(task,))


@pytest.fixture(scope="module")
def parts():
    updater = alternating(small_dcgan())
    batch = {"images": jnp.zeros((8, 8, 8, 1))}
    key = jax.random.key(0)
    return updater, key, jax.jit(updater.init)(key, batch), batch


@pytest.mark.parametrize("due", [(False,), (True,)])
def test_variants_that_the_host_chooses_have_none(parts, due):
    updater, key, state, batch = parts
    program = jax.jit(lambda k, s, b: updater.update(k, s, b, due=due)).lower(key, state, batch)
    text = program.compile().as_text()
    assert re.search(r"\bconvolution\(|onednn\$conv", text), "no convolution found at all"
    assert not convolutions_inside(text)


def test_the_check_finds_a_convolution_inside_a_loop():
    def step(x, _):
        return jax.lax.conv(x, jnp.ones((1, 1, 3, 3)), (1, 1), "SAME"), None

    looped = jax.jit(lambda x: jax.lax.scan(step, x, length=5)[0])
    text = looped.lower(jnp.ones((2, 1, 16, 16))).compile().as_text()
    assert convolutions_inside(text)
