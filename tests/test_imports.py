"""Arrows point one way: who may import whom, read from the source."""

import ast
import importlib
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
CORE = {"types", "draws"}
OURS = {  # module or package: which of ours it may import
    "types": set(),
    "draws": {"types"},
    "table": {"types"},
    "audio": CORE | {"audio"},
    "losses": CORE | {"losses"},
    "metrics": CORE | {"metrics"},
    "mtl": CORE | {"mtl"},
    "nets": CORE | {"nets"},
    "sampling": CORE | {"sampling"},
    "data": CORE | {"audio", "data"},
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


@pytest.mark.parametrize("package", ["audio", "losses", "metrics", "mtl", "sampling"])
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


FIXED = {  # names that other projects import
    "gan_mtl": "Game Turn Objective Loss Outcome alternating",
    "gan_mtl.losses.adversarial": """
        AdversarialLoss minimax non_saturating least_squares hinge wasserstein relativistic""",
    "gan_mtl.losses.penalties": "gradient_penalty r1 r2 dragan lecam consistency",
    "gan_mtl.mtl": """
        equal fixed log_sum uncertainty dwa rlw gls imtl_l gradnorm mgda pcgrad gradvac graddrop
        imtl_g cagrad nash fairgrad aligned upgrad dualproj conflict_free famo stch dbmtl excess
        sdmgrad modo moco krum trimmed_mean cr_mogm hypervolume gman from_weighting""",
    "gan_mtl.metrics": """
        frechet_distance kernel_distance prdc inception_score mode_coverage delta_m
        classification_report""",
    "gan_mtl.parallel": "compile_update",
}


@pytest.mark.parametrize("module", FIXED)
def test_fixed_names_are_there(module):
    found = importlib.import_module(module)
    missing = [name for name in FIXED[module].split() if not hasattr(found, name)]
    assert not missing, f"{module} has no {missing}"
