"""A run as one file, `run.yaml`: what one sends to a colleague, who types `python run.py run.yaml`.

It holds all that decides the texts and the verdicts, as it came out: no `auto` is left, sampling is
as it was used, a revision is a commit, and the digests of weights and data set are in `pinned`,
which a run checks. What belongs to a machine is left out: where things lie, where runs are tracked
(such an address may hold a password), how many cores judge.

What the configuration takes from the environment (`${oc.env:NAME}`) stays as it is written: a
secret is not sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments.errors import StoreError, masked, printable
from experiments.records import run_name
from experiments.store import runs, write_text
from experiments.store.files import read_yaml

SETTINGS = (
    *("model", "quantization", "prompt", "dataset", "backend", "sampling", "sandbox", "race"),
    *("thinking", "thinking_budget", "limit", "seed", "pinned"),
)
"""What such a file holds."""

OF_A_MACHINE = ("workers", "rejudge")
"""Settings of the sandbox that decide no verdict."""

_COMPUTED = re.compile(r"\$\{(?![\w.\[\]-]+\})")
"""Where a reference begins that is more than the name of another setting: it may find its way to
the environment, under whatever name."""

_KEPT = "\N{NULL}{"


def write(config: DictConfig, manifest: Mapping[str, Any], folder: Path) -> None:
    """Write a run's file into its folder.

    Args:
        config: of the run, as Hydra composed it.
        manifest: what became of it.
        folder: of the run.

    Raises:
        StoreError: the file cannot be written.
    """
    write_text(folder / runs.SHARED, masked(text(shared(config, manifest), manifest)))


def shared(config: DictConfig, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's configuration as plain data, as it came out.

    Args:
        config: of the run, as Hydra composed it or as it is kept in `.hydra/config.yaml`.
        manifest: `manifest.json`.
    """
    whole = _resolved(config)
    content = {name: whole[name] for name in SETTINGS if name in whole}
    described = manifest.get("backend") or {}
    content["backend"] = {
        key: described.get(key, value) if value == "auto" else value
        for key, value in content["backend"].items()
    }
    content["sampling"] = dict(manifest["sampling"])
    for name in OF_A_MACHINE:
        content["sandbox"].pop(name, None)
    weights = manifest.get("weights") or {}
    _pin_revision(content["model"], weights)
    content["pinned"] = {"weights": weights.get("sha256"), "dataset": manifest["dataset"]["sha256"]}
    return content


def remade(folder: Path) -> dict[str, Any]:
    """Return a run's configuration as plain data, of an earlier version that left no file of it.

    Raises:
        StoreError: Hydra's note of the configuration is not there, or no manifest.
    """
    saved = read_yaml(folder / runs.CONFIGURATION)
    if not isinstance(saved, dict):
        raise StoreError(f"{folder} has neither {runs.SHARED} nor {runs.CONFIGURATION}")
    return shared(OmegaConf.create(saved), runs.read_manifest(folder))


def kept(folder: Path) -> dict[str, Any]:
    """Return what a run's file in a folder sets, as it is written; nothing if there is none."""
    found = read_yaml(folder / runs.SHARED)
    return {str(key): value for key, value in found.items()} if isinstance(found, dict) else {}


def text(content: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """Return a run's file: the configuration, under a word on what it is."""
    name = printable(" ".join(run_name(manifest["labels"]).split()))  # it stays within its comment
    machine, backend = manifest.get("machine") or {}, manifest.get("backend") or {}
    made = f"{machine.get('processor')}, {machine.get('cores')} cores"
    if "build" in backend:
        made = f"llama-cpp-python {backend['build']} on {made}"
    return (
        f"# {name}\n#\n#   python run.py {runs.SHARED}\n#\n"
        f"# Made with {made}.\n"
        "# Weights and problems are held to the digests in `pinned`. docs/sharing.md says when\n"
        "# another machine may write other texts.\n\n"
        f"{OmegaConf.to_yaml(OmegaConf.create(dict(content)))}"
    )


def _pin_revision(model: dict[str, Any], weights: Mapping[str, Any]) -> None:
    """Put the commit that the weights were fetched at in the place of a branch."""
    repository, commit = weights.get("repository"), weights.get("commit")
    if not repository or not commit:
        return
    if model.get("repository") == repository:
        model["revision"] = commit
    model["files"] = {
        level: f"{repository}@{commit}{file.removeprefix(repository)}"
        if file.startswith(f"{repository}:")
        else file
        for level, file in model["files"].items()
    }


def _resolved(config: DictConfig) -> dict[str, Any]:
    """Return a configuration with references to settings followed, others as written."""
    raw = OmegaConf.to_container(config, resolve=False, enum_to_str=True)
    hidden = _each_text(raw, lambda text: _COMPUTED.sub(_KEPT, text))
    found = OmegaConf.to_container(OmegaConf.create(hidden), resolve=True)
    escaped = _each_text(found, lambda text: text.replace("${", "\\${").replace(_KEPT, "${"))
    assert isinstance(escaped, dict)
    return escaped


def _each_text(data: Any, change: Callable[[str], str]) -> Any:
    """Return plain data with each text in it changed."""
    if isinstance(data, dict):
        return {key: _each_text(value, change) for key, value in data.items()}
    if isinstance(data, list):
        return [_each_text(value, change) for value in data]
    return change(data) if isinstance(data, str) else data
