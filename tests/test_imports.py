"""Arrows point one way: who may import whom, read from the source."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
CORE = {"types", "draws"}
OURS = {  # module or package: which of ours it may import
    "types": set(),
    "draws": {"types"},
    "table": {"types"},
    "losses": CORE | {"losses"},
    "metrics": CORE | {"metrics"},
    "mtl": CORE | {"mtl"},
    "nets": CORE | {"nets"},
    "data": CORE | {"data"},
    "rows": {"types", "table", "mtl"},
    "gradients": {"types", "table", "mtl", "rows"},
    "relations": {"types", "table", "mtl", "gradients"},
    "audit": {"types", "table", "gradients"},
    "update": {"types", "table", "mtl", "rows", "gradients", "audit"},
    "games": CORE | {"table", "losses", "mtl", "games"},
    "parallel": {"types", "audit", "update"},
}
PURE = {"numpy", "jax", "optax", "chex", "jaxtyping"}
STANDARD = {
    *("__future__", "collections", "functools", "hashlib", "itertools", "math", "typing"),
    *("operator", "dataclasses", "zlib"),
}


def imports(path):
    """Top-level names, and ours as `gan_mtl.X`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "gan_mtl":
                yield from (f"gan_mtl.{alias.name}" for alias in node.names)
            else:
                yield node.module


def layer(path):
    relative = path.relative_to(ROOT / "gan_mtl")
    return relative.parts[0].removesuffix(".py")


FILES = sorted((ROOT / "gan_mtl").rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_arrows_point_one_way(path):
    here = layer(path)
    for name in imports(path):
        assert not name.startswith("experiments"), f"{path} imports {name}"
        if name.startswith("gan_mtl") and here in OURS:
            other = name.split(".")[1] if "." in name else ""
            assert other in OURS[here] or (other == here), f"{path} imports {name}"


@pytest.mark.parametrize("package", ["losses", "metrics", "mtl"])
def test_what_others_import_needs_little(package):
    for path in (ROOT / "gan_mtl" / package).rglob("*.py"):
        for name in imports(path):
            top = name.split(".")[0]
            assert top in PURE | STANDARD | {"gan_mtl"}, f"{path} imports {name}"


def test_only_parallel_compiles_and_only_run_prints():
    for path in FILES:
        here, text = layer(path), path.read_text()
        calls = [
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Call)
        ]
        if here != "parallel":
            assert not {"jax.jit", "jax.pmap"} & set(calls), f"{path} compiles"
        if here not in ("run", "data"):
            assert not {"print", "open", "time.time", "time.perf_counter"} & set(calls), path


def test_every_layer_is_listed():
    found = {layer(path) for path in FILES} - {"__init__", "run"}
    assert found == set(OURS)
