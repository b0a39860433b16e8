"""Checkpoints whose writer is killed, or finds no room on the disk."""

import os
import random
import subprocess
import sys

import jax.numpy as jnp

from gan_mtl.run.checkpoints import open_checkpoints

SAVES_UNTIL_KILLED = """
import os, signal, sys, threading
import jax.numpy as jnp
from gan_mtl.run.checkpoints import open_checkpoints
folder, moment = sys.argv[1], float(sys.argv[2])
checkpoints = open_checkpoints(folder, keep=2, best="fid")
for step in range(100):
    if step == 2:
        threading.Timer(moment, os.kill, (os.getpid(), signal.SIGKILL)).start()
    tree = {"x": jnp.full((300, 300), float(step)), "step": jnp.asarray(step)}
    checkpoints.save(step, tree, {"step": step}, {"fid": float(step % 3)})
    if step == 0:
        checkpoints.wait()
"""


def test_killed_at_any_moment(tmp_path):
    """SIGKILL at drawn moments of a loop that saves without a pause; all processes at once."""
    draw = random.Random(1)
    running = []
    for number in range(5):
        command = [sys.executable, "-c", SAVES_UNTIL_KILLED, str(tmp_path / str(number))]
        running.append(subprocess.Popen([*command, str(draw.uniform(0, 0.8))], env=one_device()))
    assert [process.wait(timeout=120) for process in running] == [-9] * 5
    like = {"x": jnp.zeros((300, 300)), "step": jnp.asarray(0)}
    for number in range(5):
        folder = tmp_path / str(number)
        checkpoints = open_checkpoints(folder, keep=2, best="fid")
        found = checkpoints.restore(like)
        assert found.step == checkpoints.latest() == found.meta["step"] == int(found.state["step"])
        assert float(found.state["x"].min()) == float(found.state["x"].max()) == found.step
        checkpoints.save(found.step + 1, like, {})
        checkpoints.close()
        assert not list(folder.glob("*tmp*"))


def one_device():
    return {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"} | {"JAX_PLATFORMS": "cpu"}


NO_ROOM = """
import resource, sys
import numpy as np
from gan_mtl.run.checkpoints import CheckpointError, open_checkpoints
checkpoints = open_checkpoints(sys.argv[1])
checkpoints.save(1, {"x": np.zeros(3)}, {})
checkpoints.wait()
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
noise = np.random.default_rng(0).normal(size=100_000)
try:
    checkpoints.save(2, {"x": noise}, {})
    checkpoints.wait()
except CheckpointError as error:
    print(error)
print(checkpoints.steps())
"""


def test_no_room(tmp_path):
    """The files of this process may not grow beyond 100 kB: as when the disk is full."""
    result = subprocess.run(
        [sys.executable, "-c", NO_ROOM, str(tmp_path)],
        env=one_device(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert f"could not be written into {tmp_path}" in result.stdout, result.stderr[-2000:]
    assert "choose another --workdir" in result.stdout
    assert result.stdout.endswith("(1,)\n")
