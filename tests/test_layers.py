"""The cut of the project: imports point down only, and heavy libraries come late."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "experiments"

# A module may import modules of lower layers only. A folder is one module.
LAYERS = {
    "errors": 0,
    "records": 0,
    "environment": 1,
    "extract": 1,
    "schema": 1,
    "stats": 1,
    "store": 1,
    "prompts": 2,
    "sandbox": 2,
    "backends": 3,
    "weights": 3,
    "judge": 3,
    "tracking": 3,
    "experiment": 4,
    "problems": 4,
    "review": 4,
    "report": 5,
    "app": 6,
    "cli": 7,
}

MOST_MODULES = 19
"""More names than that at the top cannot be held in the head."""

# Libraries that one module keeps to itself.
OWNERS = {
    "mlflow": {"tracking"},
    "hydra": {"app", "cli"},
    "llama_cpp": {"backends", "weights"},
    "evalplus": {"problems", "report"},  # data sets; the sanitizer that ours is compared with
    "jinja2": {"prompts", "backends", "report"},
    "matplotlib": {"report"},
    "scipy": set[str](),
    "torch": set[str](),
}

HEAVY = ("mlflow", "llama_cpp", "evalplus", "matplotlib", "numpy", "pandas", "torch", "scipy")


def module_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def imported(source: str) -> Iterator[str]:
    """Yield the full names that a file imports, inside functions as well."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level == 1:  # the sandbox's worker is a package of its own where it runs
                continue
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def broken_rules(module: str, source: str) -> list[str]:
    """Return what a file imports against the rules."""
    broken = []
    for name in imported(source):
        top, *inner = name.split(".")
        if top == "experiments":
            other = inner[0]
            if other in LAYERS and other != module and LAYERS[other] >= LAYERS[module]:
                broken.append(f"{module} (layer {LAYERS[module]}) imports {name}")
            if other not in LAYERS:
                broken.append(f"{module} imports {name}, which has no layer")
        elif top in OWNERS and module not in OWNERS[top]:
            broken.append(f"{module} imports {name}, which is left to {OWNERS[top] or 'nobody'}")
    return broken


def test_every_module_has_a_layer() -> None:
    assert {module_of(path) for path in FILES} == set(LAYERS)
    assert len(LAYERS) <= MOST_MODULES


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    assert broken_rules(module_of(path), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("stats", "from experiments.extract import extract"),
        ("stats", "import experiments.judge"),
        ("errors", "from experiments import records"),
        ("store", "def f():\n    from experiments.judge import judge"),
        ("experiment", "import mlflow"),
        ("report", "from mlflow.entities import Run"),
        ("experiment", "from hydra.utils import instantiate"),
        ("stats", "def f():\n    from scipy import stats"),
        ("judge", "from experiments.nowhere import x"),
    ],
)
def test_a_broken_rule_is_seen(module: str, line: str) -> None:
    assert broken_rules(module, line)


def test_the_script_imports_the_app_alone() -> None:
    source = (ROOT / "run.py").read_text(encoding="utf-8")
    assert set(imported(source)) <= {"sys", "hydra", "omegaconf.DictConfig", "experiments.app"}
    assert source.splitlines()[2:5] == ["import sys", "", "import hydra"]


@pytest.mark.parametrize("module", ["app", "cli", "experiment", "report", "cli.doctor"])
def test_heavy_libraries_are_not_loaded_at_the_start(module: str) -> None:
    """So that `--help` and an error in the configuration come at once."""
    code = f"import sys, experiments.{module}; print(*sorted(set({HEAVY}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split() == []
