"""What this machine can do: isolation, processor, memory, weights that are here."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path

from rich.table import Table
from rich.text import Text

from experiments.environment.provenance import provenance
from experiments.environment.terminal import results, size
from experiments.sandbox import Ability, abilities

FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "f16c", "fma", "asimd")
"""Of a processor, those that llama.cpp's kernels have a version for."""


def show(models: Path) -> None:
    """Print what this machine can do, one line each.

    Args:
        models: folder of weights.
    """
    machine = provenance()["machine"]
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    found = [
        Ability("system", True, f"{machine['system']}, Python {platform.python_version()}"),
        Ability("processor", True, f"{machine['processor']}, {machine['cores']} cores"),
        Ability("features", True, " ".join(_features()) or "none known"),
        Ability("memory", True, f"{machine['memory_gigabytes']} GiB"),
        *abilities(),
        *_weights(models),
    ]
    for ability in found:
        mark = Text("✓", style="green") if ability.works else Text("✗", style="red")
        table.add_row(mark, ability.name, Text(ability.detail, overflow="fold"))
    results.print(table)


def _features() -> list[str]:
    """Return the features of the processor that make llama.cpp faster."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "").split()
    return [feature for feature in FEATURES if feature in flags]


def _weights(models: Path) -> Iterator[Ability]:
    """Yield one line per folder of weights."""
    files = sorted(models.glob("**/*.gguf"))
    if not files:
        yield Ability("weights", False, f"no GGUF in {models}{os.sep}")
    for folder in sorted({file.parent for file in files}):
        here = [file for file in files if file.parent == folder]
        sizes = ", ".join(f"{file.name} ({size(file.stat().st_size)})" for file in here)
        yield Ability(f"weights: {folder.name}", True, sizes)
