"""A run's own file, `run.yaml`, on the command line: `python run.py run.yaml OVERRIDE ...`.

It takes the place of the choices in `conf/config.yaml`. A choice that is made on the command line
(`prompt=cot`) takes the place of that block of the file. The file may come from anybody: it may set
what a run's file sets and nothing else, so that Hydra's own settings, which can name any function,
are out of its reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experiments.errors import ConfigError, did_you_mean
from experiments.experiment.shared import SETTINGS

CONFIG = "config"
SENT = "sent"
"""Names of the main configuration: of `conf/`, and of a file of a run."""

GROUPS = ("model", "quantization", "prompt", "dataset", "backend")

LONGEST_BYTES = 1_000_000

_WITH_VALUE = (
    *("-cn", "--config-name", "-cp", "--config-path", "-cd", "--config-dir"),
    *("-p", "--package", "--experimental-rerun"),
)
"""Hydra's options that take the argument behind them."""


def take(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Return the name of the main configuration, and the command line without a run's file.

    `+experiment=` becomes `experiment=`, which is what Hydra takes where a group may be empty: a
    saved question is found under either.

    Args:
        arguments: of the command line.

    Raises:
        ConfigError: the file cannot be read, or is no run's file.
    """
    arguments = [
        each.removeprefix("+") if each.startswith("+experiment=") else each for each in arguments
    ]
    files = [
        each
        for before, each in zip(["", *arguments], arguments, strict=False)
        if each.endswith((".yaml", ".yml"))
        and not each.startswith("-")
        and "=" not in each
        and before not in _WITH_VALUE
    ]
    if not files:
        return CONFIG, arguments
    if len(files) > 1:
        raise ConfigError(
            f"One run's file at a time, and these are {len(files)}: {', '.join(files)}"
        )
    (file,) = files
    rest = [each for each in arguments if each != file]
    chosen = {each.lstrip("+~").partition("=")[0] for each in rest if "=" in each}
    if "experiment" in chosen:
        raise ConfigError(
            f"{file} is a whole run, and experiment= is another question", "Leave one of them out."
        )
    register(read(Path(file)), chosen)
    return SENT, rest


def read(file: Path) -> dict[str, Any]:
    """Return what a run's file sets, references to the environment as they are written.

    Raises:
        ConfigError: it cannot be read, or sets something else.
    """
    from yaml import AliasEvent, YAMLError, parse  # type: ignore[import-untyped]

    try:
        if file.stat().st_size > LONGEST_BYTES:
            raise ConfigError(f"{file} is too long for a run's file", _WHERE)
        source = file.read_text(encoding="utf-8")
        if any(isinstance(event, AliasEvent) for event in parse(source)):
            raise ConfigError(f"{file} refers to parts of itself (*name)", "Write them out.")
        content = OmegaConf.to_container(OmegaConf.create(source), resolve=False)
    except (OSError, UnicodeDecodeError, YAMLError, OmegaConfBaseException) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        raise ConfigError(f"{file} cannot be read: {reason}", _WHERE) from None
    if not isinstance(content, dict) or not content:
        raise ConfigError(f"{file} holds no settings", _WHERE)
    found = {str(key): value for key, value in content.items()}
    for key in found:
        if key not in SETTINGS:
            hint = did_you_mean(key, SETTINGS)
            raise ConfigError(f"{file} sets '{key}', which a run's file may not", hint)
    missing = [name for name in GROUPS if not isinstance(found.get(name), dict)]
    if missing:
        raise ConfigError(f"{file} has no block '{missing[0]}'", _WHERE)
    return found


_WHERE = "A run leaves run.yaml in its folder; name that file."


def register(content: dict[str, Any], chosen: Iterable[str] = ()) -> None:
    """Let Hydra find a run's configuration under the name `SENT`.

    Args:
        content: of a run's file.
        chosen: keys of the command line; a block that is chosen there is not the file's.
    """
    chosen = set(chosen)
    kept = {name: value for name, value in content.items() if name not in chosen}
    pinned = dict(kept.get("pinned") or {})
    if chosen & {"model", "quantization"}:
        pinned["weights"] = None
    if "dataset" in chosen:
        pinned["dataset"] = None
    emptied = [{f"override {name}": None} for name in GROUPS if name in kept]
    node = {"defaults": [CONFIG, "_self_", *emptied], **kept, "pinned": pinned}
    ConfigStore.instance().store(name=SENT, node=node)
