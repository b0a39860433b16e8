"""A run goes on after a kill, in the same bits; kills lose nothing saved."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import zoo

from gan_mtl import parallel
from gan_mtl.run import checkpoints, fingerprint
from gan_mtl.run.load import load
from gan_mtl.update import alternating

ROOT = pathlib.Path(__file__).resolve().parents[2]
K = 2


def key_of(step):
    return jax.random.fold_in(jax.random.key(4), step)


def advance(compiled, state, steps):
    for step in steps:
        batch = compiled.put(jax.device_get(zoo.batch()))
        state, _ = compiled.update(step, key_of(step), state, batch)
    return state


def start(compiled):
    return compiled.init(jax.random.key(0), jax.device_get(zoo.batch()))


def test_a_checkpoint_of_eight_devices_goes_on_with_one(tmp_path):
    eight = parallel.compile_update(alternating(zoo.game("semi")), num_devices=4)
    half = advance(eight, start(eight), range(K))
    store = checkpoints.open_checkpoints(tmp_path / "checkpoints")
    store.save(K, eight.split(half)[0], {})
    one = parallel.compile_update(alternating(zoo.game("semi")), num_devices=1)
    restored = store.restore(one.split(start(one))[0])
    store.close()
    rest = advance(one, one.join([restored.state]), range(K, 2 * K))
    expected = advance(eight, half, range(K, 2 * K))
    for a, b in zip(jax.tree.leaves(rest), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


def command(workdir, *more):
    return [
        *(sys.executable, "-m", "tiny_experiment", "--only", "semi", "--workdir", str(workdir)),
        *more,
    ]


def environment():
    path = os.pathsep.join([str(ROOT / "tests"), str(ROOT)])
    return {**os.environ, "PYTHONPATH": path, "XLA_FLAGS": ""}


def final_digest(cell):
    """Step and digest of the latest checkpoint."""
    loaded = load(cell)
    return loaded.step, fingerprint.digest(loaded.state)


def wait_for(path, process, seconds=120):
    end = time.monotonic() + seconds
    while not path() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    assert path(), process.communicate()[0][-2000:]


def saved_steps(cell):
    folder = cell / "checkpoints"
    return [p for p in folder.glob("[0-9]*") if p.name.isdigit()] if folder.exists() else []


def test_a_killed_run_goes_on_and_ends_in_the_same_bits(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    options = ("--steps", "30")
    done = subprocess.run(
        command(whole, *options), env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    process = subprocess.Popen(
        command(killed, *options),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    cell = killed / "labels-30" / "semi" / "seed-0"
    wait_for(lambda: len(saved_steps(cell)) > 0, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (cell / "DONE").exists()
    again = subprocess.run(
        command(killed, *options), env=environment(), capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr[-2000:]
    assert "resumed from step" in again.stdout
    assert final_digest(cell) == final_digest(whole / "labels-30" / "semi" / "seed-0")
    lines = [json.loads(line) for line in (cell / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(3, 31, 3))


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
    process = subprocess.Popen(
        command(tmp_path / "run", "--preset", "slow"),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    cell = tmp_path / "run" / "labels-30" / "semi" / "seed-0"
    wait_for(lambda: len(saved_steps(cell)) > 0, process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output[-2000:]
    assert "Go on with: python -m tiny_experiment" in output and "saved" in output
    assert saved_steps(cell) and not (cell / "DONE").exists()
