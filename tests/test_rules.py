"""What no module does: stand in for another, or use names of MLflow that it does not document."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "experiments"
FILES = sorted(PACKAGE.rglob("*.py"))
TRACKING = sorted((PACKAGE / "tracking").glob("*.py"))

OF_A_PROGRAM_UNDER_TEST = "solution"
"""The one module that is put into `sys.modules`, in the sandbox: the program, as if imported."""

# Experimental since MLflow 3.14, and used by `tracking.queues` alone.
QUEUES = {
    "mlflow.genai.review_queues": {
        "add_items_to_review_queue",
        "create_review_queue",
        "list_review_queue_items",
        "list_review_queues",
    },
    "mlflow.genai.label_schemas": {
        "InputCategorical",
        "create_label_schema",
        "list_label_schemas",
        "update_label_schema",
    },
}
MLFLOW = {
    "MlflowClient",
    "MlflowException",
    "active_run",
    "delete_assessment",
    "end_run",
    "get_trace",
    "log_artifact",
    "log_feedback",
    "log_metrics",
    "log_params",
    "set_experiment",
    "set_tag",
    "set_tracking_uri",
    "start_run",
    "start_span",
    "start_span_no_context",
    "update_current_trace",
}
ENTITIES = {
    "AssessmentSource",
    "AssessmentSourceType",
    "Dataset",
    "DatasetInput",
    "InputTag",
    "NoOpSpan",
    "Run",
    "SpanType",
    "Trace",
}
CLIENT = {
    "create_experiment",
    "create_run",
    "delete_run",
    "delete_traces",
    "download_artifacts",
    "get_experiment",
    "get_experiment_by_name",
    "get_run",
    "list_artifacts",
    "log_inputs",
    "search_experiments",
    "search_runs",
    "search_traces",
    "set_experiment_tag",
    "set_tag",
    "set_terminated",
}
TAGS = {
    "mlflow.chat.tokenUsage",
    "mlflow.data.context",
    "mlflow.note.content",
    "mlflow.parentRunId",
    "mlflow.sharedViewState.",  # the exception: read by MLflow's pages, not in its reference
    "mlflow.source.git.commit",
    "mlflow.source.name",
    "mlflow.user",
}
"""Tags, keys and attributes that mean something to MLflow."""


def writes_to_modules(source: str) -> Iterator[str]:
    """Yield the lines that change `sys.modules` or how modules are found."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
            continue
        text = ast.unparse(node)
        match node:
            case ast.Subscript(value=value, slice=key, ctx=ast.Store() | ast.Del()):
                is_write = ast.unparse(value) == "sys.modules" and not (
                    isinstance(key, ast.Constant) and key.value == OF_A_PROGRAM_UNDER_TEST
                )
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                is_write = text in ("sys.modules", "sys.meta_path", "sys.path_hooks")
            case ast.Call(func=ast.Attribute(value=value, attr=name)):
                changes = name not in ("get", "keys", "values", "items", "copy")
                is_write = changes and ast.unparse(value) in ("sys.modules", "sys.meta_path")
            case _:
                is_write = False
        if is_write:
            yield text


def names_of_mlflow(source: str) -> Iterator[tuple[str, str]]:
    """Yield where a name that is used of MLflow comes from, and the name.

    Clients are known by their name: `client`, or `MlflowClient(...)` itself.
    """
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (
                    ("import", alias.name)
                    for alias in names
                    if alias.name.startswith("mlflow.") or (alias.name == "mlflow" and alias.asname)
                )
            case ast.ImportFrom(module=str(module), names=names) if (
                module.partition(".")[0] == "mlflow"
            ):
                yield from ((module, alias.name) for alias in names)
            case ast.Attribute(value=ast.Name(id="mlflow"), attr=name):
                yield "mlflow", name
            case ast.Attribute(value=value, attr=name) if ast.unparse(value).startswith(
                ("client", "MlflowClient(")
            ) and "." not in ast.unparse(value):
                yield "client", name
            case ast.Constant(value=str(text)) if text.startswith("mlflow."):
                yield "tag", text


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_stands_in_for_another(path: Path) -> None:
    assert list(writes_to_modules(path.read_text(encoding="utf-8"))) == []


def test_what_is_used_of_mlflow_is_allowed_here_and_documented_there() -> None:
    import mlflow.entities

    used = {
        (source, name)
        for path in FILES
        for source, name in names_of_mlflow(path.read_text(encoding="utf-8"))
        if path in TRACKING or source == "tag"
    }
    allowed = {
        *(("mlflow", name) for name in MLFLOW),
        *(("mlflow.entities", name) for name in ENTITIES),
        *(("client", name) for name in CLIENT),
        *(("tag", name) for name in TAGS),
        *((module, name) for module, names in QUEUES.items() for name in names),
    }
    assert used - allowed == set()
    assert allowed - used == set(), "no longer used"
    assert set(mlflow.__all__) >= MLFLOW
    assert set(mlflow.entities.__all__) >= ENTITIES
    assert all(set(import_module(module).__all__) >= names for module, names in QUEUES.items())
    assert all(inspect.getdoc(getattr(mlflow.MlflowClient, name)) for name in CLIENT)


def test_review_queues_are_used_by_one_module() -> None:
    using = [path for path in FILES if "mlflow.genai" in path.read_text(encoding="utf-8")]
    assert using == [PACKAGE / "tracking" / "queues.py"]


@pytest.mark.parametrize(
    "line",
    [
        "sys.modules['datasets'] = stand_in",
        "sys.modules[name] = None",
        "del sys.modules['x']",
        "sys.modules.update(absent)",
        "sys.modules.pop('x')",
        "sys.modules = {}",
        "sys.meta_path.insert(0, finder)",
    ],
)
def test_a_stand_in_is_seen(line: str) -> None:
    assert list(writes_to_modules(line))


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("from mlflow.tracing.client import TracingClient", "TracingClient"),
        ("import mlflow.store.tracking", "mlflow.store.tracking"),
        ("mlflow.tracking.fluent", "tracking"),
        ("client._tracking_client", "_tracking_client"),
        ("MlflowClient(uri).store", "store"),
        ("tags = {'mlflow.sourceRun': run}", "mlflow.sourceRun"),
    ],
)
def test_a_name_of_mlflow_is_seen(line: str, name: str) -> None:
    assert name in {found for _, found in names_of_mlflow(line)}


# --- what runs code, or is unsafe on the bytes of others

RUNS_WHAT_IT_READS = {
    *("cloudpickle", "code", "dill", "joblib", "marshal", "pickle", "pickletools", "runpy"),
    *("shelve", "torch"),
}
"""Modules whose way of reading a file runs what stands in it, or trusts its bytes."""

RUNS_A_NAME = {
    *("__import__", "eval", "exec", "exec_module", "get_class", "get_method", "get_object"),
    *("import_module", "instantiate", "unsafe_load"),
}
"""Functions that run a text, or import what a text names."""

ALLOWED = {
    "app/launchers.py": {"get_class"},  # one of the launchers that stand there
    "app/trust.py": {"get_object"},  # after the name was looked at
    "problems/evalplus_sets.py": {"import_module"},  # one of two modules that stand there
    "sandbox/wire.py": {"marshal"},  # writes; it reads with a reader of its own
    "sandbox/worker/__main__.py": {"__import__", "marshal"},  # what the host says
    "sandbox/worker/executor.py": {"exec", "marshal"},  # the program; what the host says
    "sandbox/worker/kernel.py": {"runpy"},  # what its parent names, once it is confined
    "sandbox/worker/outputs.py": {"marshal"},  # writes
    "tracking/recorder.py": {"pickle"},  # the pipe of a process that it started
    "tracking/worker.py": {"pickle"},  # the pipe of the process that started it
}
"""Where they are used all the same: never on a file, nor on a text, that another may have sent."""


def runs_code(source: str) -> Iterator[str]:
    """Yield what a module uses that runs code which stands in a file or a text."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found = [alias.name for alias in names]
            case ast.ImportFrom(module=str(module), names=names):
                found = [module, *(alias.name for alias in names)]
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                found = [name]
                said = {each.arg: ast.unparse(each.value) for each in node.keywords}
                if said.get("allow_pickle", "False") != "False":
                    yield "allow_pickle"
                if ast.unparse(node.func) == "yaml.load":
                    yield "yaml.load"
            case _:
                continue
        for each in found:
            if each.partition(".")[0] in RUNS_WHAT_IT_READS:
                yield each.partition(".")[0]
            elif each in RUNS_A_NAME:
                yield each


def test_nothing_that_runs_code_is_read_from_a_file() -> None:
    used = {
        str(path.relative_to(PACKAGE)): found
        for path in FILES
        if (found := set(runs_code(path.read_text(encoding="utf-8"))))
    }
    assert used == ALLOWED


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("import pickle", "pickle"),
        ("from joblib import Memory", "joblib"),
        ("from torch.serialization import load", "torch"),
        ("value = eval(text)", "eval"),
        ("made = hydra.utils.instantiate(config)", "instantiate"),
        ("from hydra.utils import get_object as find", "get_object"),
        ("numpy.load(path, allow_pickle=True)", "allow_pickle"),
        ("numpy.load(path, allow_pickle=wanted)", "allow_pickle"),
        ("yaml.load(text, yaml.Loader)", "yaml.load"),
        ("yaml.unsafe_load(text)", "unsafe_load"),
    ],
)
def test_what_runs_code_is_seen(line: str, what: str) -> None:
    assert what in runs_code(line)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_process_of_ours_imports_from_the_folder_that_a_user_is_in(path: Path) -> None:
    """It may be a stranger's, with a `json.py` in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.List) and "sys.executable, '-m'" in ast.unparse(node):
            pytest.fail(f"line {node.lineno}: python -P -m")
