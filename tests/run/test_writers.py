import io
import json
import math
import os
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.run import writers

PICTURE = np.zeros((4, 6, 3), np.uint8)


def lines(path):
    """The lines as strict JSON, without NaN or Infinity."""

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return [json.loads(x, parse_constant=refuse) for x in path.read_text().splitlines()]


def test_jsonl_is_json_in_every_line(tmp_path):
    path = tmp_path / "run" / "metrics.jsonl"
    writer = writers.jsonl(path)
    writer.scalars(1, {"a": jnp.float32(0.5), "b": np.float64("nan"), "c": -math.inf, "d": 3})
    assert lines(path) == [{"step": 1, "a": 0.5, "b": None, "c": "-inf", "d": 3}]  # flushed
    writer.scalars(2, {"matrix": np.eye(2, dtype=int), "names": ("x", None), "of": {"0": jnp.inf}})
    writer.images(2, {"samples": PICTURE})
    writer.close()
    assert lines(path)[1] == {
        "step": 2,
        "matrix": [[1, 0], [0, 1]],
        "names": ["x", None],
        "of": {"0": "inf"},
    }
    first, second = writers.read_jsonl(path)
    assert math.isnan(first["b"]) and first["c"] == -math.inf and first["a"] == 0.5
    assert second["of"] == {"0": math.inf} and second["names"][0] == "x"


def test_jsonl_goes_on_after_a_torn_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "a": 1.0}\n{"step": 2, "a"')
    assert [line["step"] for line in writers.read_jsonl(path)] == [1]
    writer = writers.jsonl(path)
    writer.scalars(2, {"a": 2.0})
    writer.close()
    assert lines(path) == [{"step": 1, "a": 1.0}, {"step": 2, "a": 2.0}]


def test_a_resumed_file_has_no_doubles(tmp_path):
    path = tmp_path / "metrics.jsonl"
    steps = [json.dumps({"step": step}) + "\n" for step in (10, 20, 30, 40)]
    path.write_text("".join(steps) + '{"st')
    assert writers.truncate_after(path, 20) == 3
    assert lines(path) == [{"step": 10}, {"step": 20}]
    assert writers.truncate_after(path, 20) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.jsonl"]
    writer = writers.jsonl(path)
    writer.scalars(30, {})
    writer.close()
    assert [line["step"] for line in lines(path)] == [10, 20, 30]
    assert writers.truncate_after(path, -1) == 3
    assert path.read_text() == ""
    assert writers.truncate_after(tmp_path / "none", 3) == 0
    assert writers.read_jsonl(tmp_path / "none") == []


def test_a_line_that_a_kill_cut_is_one_that_ends_without_a_break(tmp_path):
    """Every prefix of a file, at every byte, is read and continued as its whole lines."""
    whole = b"".join(json.dumps({"step": s, "a": s / 3}).encode() + b"\n" for s in range(3))
    path = tmp_path / "metrics.jsonl"
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        writer = writers.jsonl(path)
        writer.scalars(9, {})
        writer.close()
        steps = list(range(whole[:cut].count(b"\n")))
        assert [line["step"] for line in lines(path)] == [*steps, 9]


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX")
    writer = writers.tensorboard(tmp_path / "tb")
    writer.scalars(1, {"disc/adversarial": 0.5, "absent": math.nan, "report": {"0": 1.0}})
    writer.images(1, {"samples": PICTURE})
    writer.close()
    (events,) = (tmp_path / "tb").iterdir()
    content = events.read_bytes()
    assert b"disc/adversarial" in content and b"samples" in content
    assert b"absent" not in content and b"report" not in content
    writers.tensorboard(tmp_path / "tb", resumed_at=1).close()


@pytest.mark.parametrize(
    ("module", "make", "extra"),
    [
        ("tensorboardX", lambda: writers.tensorboard("tb"), r"gan_mtl\[tensorboard\]"),
        ("wandb", lambda: writers.wandb("project"), r"gan_mtl\[wandb\]"),
    ],
)
def test_without_the_extra(monkeypatch, module, make, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=extra):
        make()


def test_wandb(monkeypatch):
    seen = []
    run = types.SimpleNamespace(
        log=lambda values, step: seen.append((step, values)), finish=lambda: seen.append("finish")
    )
    service = types.ModuleType("wandb")
    monkeypatch.setattr(
        service, "init", lambda **options: seen.append(options) or run, raising=False
    )
    monkeypatch.setattr(service, "Image", lambda image: ("image", image.shape), raising=False)
    monkeypatch.setitem(sys.modules, "wandb", service)
    writer = writers.wandb("digits", name="first", config={"lr": 1e-3})
    writer.scalars(3, {"a": jnp.float32(1.5), "b": math.nan})
    writer.images(3, {"samples": PICTURE})
    writer.close()
    assert seen == [
        {"project": "digits", "name": "first", "config": {"lr": 1e-3}},
        (3, {"a": 1.5}),
        (3, {"samples": ("image", (4, 6, 3))}),
        "finish",
    ]


def test_multi_closes_all(tmp_path):
    seen = []

    def fail():
        raise OSError("no room")

    first = writers.silent()._replace(close=fail, scalars=lambda step, values: seen.append(values))
    second = writers.silent()._replace(
        close=lambda: seen.append("closed"), images=lambda step, images: seen.append(step)
    )
    writer = writers.multi(second, first, second)
    writer.scalars(1, {"a": 1.0})
    writer.images(2, {})
    with pytest.raises(OSError, match="no room"):
        writer.close()
    assert seen == [{"a": 1.0}, 2, 2, "closed", "closed"]


def test_only_the_first_process_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    path = tmp_path / "metrics.jsonl"
    screen = io.StringIO()
    for writer in (
        writers.jsonl(path),
        writers.tensorboard(tmp_path / "tb"),
        writers.wandb("p"),
        writers.console(10, stream=screen),
    ):
        writer.scalars(1, {"a": 1.0})
        writer.images(1, {"b": PICTURE})
        writer.close()
    assert list(tmp_path.iterdir()) == [] and screen.getvalue() == ""


def played(stream, steps, seconds_a_step=0.5, **options):
    """A console that got two losses at every one of `steps`, on a clock of its own."""
    now = [100.0]
    writer = writers.console(1000, stream=stream, clock=lambda: now[0], **options)
    for step in steps:
        lazy = math.nan if step % 40 else 2.5
        values = {"disc/adversarial": 1.23456, "disc/penalty": lazy, "disc/weight/class": 0.1}
        writer.scalars(step, {**values, "grad_norm/disc/trunk": 3.0, "gen/adversarial": 0.7})
        now[0] += 20 * seconds_a_step
    writer.close()
    return stream.getvalue()


def test_plain_lines_when_not_a_terminal():
    text = played(io.StringIO(), range(0, 1001, 20), every=60.0)
    assert "\x1b" not in text and "\r" not in text
    first, second, *_, last = text.splitlines()
    assert first == "step 0/1000  disc/adversarial 1.235  disc/penalty 2.5  gen/adversarial 0.7"
    losses = "disc/adversarial 1.235  disc/penalty 2.5  gen/adversarial 0.7"
    assert second == f"step 120/1000  2 steps/s  7:20 left  {losses}"
    assert last.startswith("step 1000/1000  2 steps/s  0:00 left")


def test_a_long_run_shows_hours_and_a_resumed_one_its_own_pace():
    text = played(io.StringIO(), range(400, 461, 20), 60.0, start=400)
    assert "step 460/1000  0.0167 steps/s  9:00:00 left" in text


def test_a_bar_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for name, value in {"TERM": "xterm", "COLUMNS": "120"}.items():
        monkeypatch.setenv(name, value)
    text = played(Terminal(), range(0, 1001, 100), show=2)
    assert "compiling" in text and "1000/1000" in text
    assert "10 steps/s" in text and "disc/adversarial 1.235  disc/penalty 2.5" in text
    assert "gen/adversarial" not in text


def test_reading_a_run_needs_no_extra():
    """Late imports: TensorBoard, W&B and rich load only where they are used."""
    late = "('tensorboardX', 'wandb', 'rich.progress')"
    code = f"import sys, gan_mtl.run.writers; print([m for m in {late} if m in sys.modules])"
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert found.stdout.decode().strip() == "[]", found.stderr.decode()
