"""Test session set-up: eight forced CPU devices, quick compilation and its cache, strict ranks."""

import importlib.metadata
import os
import pathlib

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Programs here run for moments: quick compilation is worth more than their speed. The last flag,
# which jaxlib 0.10 knows and 0.12 refuses, halves the time of a compilation at least.
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_force_host_platform_device_count=8",
        "--xla_backend_optimization_level=0",
        "--xla_llvm_disable_expensive_passes=true",
        "--xla_cpu_use_fusion_emitters=false"
        if tuple(map(int, importlib.metadata.version("jaxlib").split(".")[:2])) < (0, 11)
        else "",
    ]
).strip()

import jax
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update(
    "jax_compilation_cache_dir",
    os.environ.get("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".jax_cache")),
)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@pytest.fixture(autouse=True, scope="module")
def forget_programs():
    """Frees a module's programs: thousands at once are more mappings than a process may have."""
    yield
    jax.clear_caches()
