"""Which code a configuration may name, decided before any of it is imported.

A configuration may come from a stranger: `--config-dir`, a saved experiment, a run's own
`.hydra`. Whatever it names as `_target_`, or as a class of logging, would run. So only what
stands below is taken, and packages that the user names in the environment, which no file can
set:

    EXPERIMENTS_TRUSTED=my_package python run.py --config-dir mine dataset=mine

What Hydra itself makes (callbacks, sweeper, launcher, handlers of logs) is looked at before
Hydra is called. What a run is made of (data set, backend) is made here, by `made`.

A server is told keys, passwords and whatever else a configuration takes from the environment. So
a file that was sent may name those only that this project's own files name.
"""

from __future__ import annotations

import argparse
import inspect
import os
import re
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Any
from urllib.parse import urlsplit

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from experiments.app.explain import unreadable_file
from experiments.app.launchers import KINDS
from experiments.app.sent import SENT
from experiments.environment.machine import is_here
from experiments.environment.project import PROJECT
from experiments.errors import ConfigError, UserError, did_you_mean
from experiments.store import runs

VARIABLE = "EXPERIMENTS_TRUSTED"
"""Of the environment: packages and servers that a configuration may name, with commas between."""

PARTS = frozenset(
    {
        "experiments.backends.llama_cpp.LlamaCpp",
        "experiments.backends.openai.OpenAI",
        "experiments.backends.scripted.Scripted",
        "experiments.problems.load_evalplus",
        "experiments.problems.load_jsonl",
        "experiments.problems.load_own",
    }
)
"""Backends and data sets of this project."""

_LOGGING = frozenset(
    {
        "experiments.app.ConsoleHandler",
        "experiments.app.PrintableFormatter",
        "logging.FileHandler",
        "logging.Formatter",
        "logging.NullHandler",
        "logging.StreamHandler",
    }
)
_PLUGINS = "hydra._internal.core_plugins"
OF_HYDRA = {
    "callbacks": frozenset({"experiments.app.sweep.SweepCallback"}),
    "launcher": frozenset(
        {
            f"{_PLUGINS}.basic_launcher.BasicLauncher",
            "hydra_plugins.planned_launcher.PlannedLauncher",
            *(kind.target for kind in KINDS.values()),
        }
    ),
    "sweeper": frozenset(
        {
            f"{_PLUGINS}.basic_sweeper.BasicSweeper",
            "hydra_plugins.race_sweeper.RaceSweeper",
        }
    ),
    "job_logging": _LOGGING,
    "hydra_logging": _LOGGING,
}
"""What each part of Hydra's own configuration may name."""

_NAMING = ("_target_", "class", "()")
"""Keys whose value is imported and called; the last two are those of `logging.config`."""

SERVERS = ("backend.base_url", "tracking.uri", "tracking.artifacts")
"""What says where a run sends something."""

_FILES = ("", "file", "sqlite")

_SIZES = ("n_jobs", "threads", "retries")
"""Settings of a launcher that any file may have."""

_ENUMERABLE = ("BasicSweeper", "RaceSweeper")
"""Sweepers whose jobs are known before they begin."""

_OF_THE_RUN = re.compile(
    r"\$\{hydra[.:](job\.(name|num|id|override_dirname)|runtime\.(cwd|output_dir)"
    r"|sweep\.(dir|subdir)|run\.dir)\}"
)
"""What Hydra fills in by itself, which is always a text."""


def made(config: Any, key: str, **given: Any) -> Any:
    """Return what a part of a configuration describes: a data set, or a backend.

    All that it names is looked at before any of it is imported. Each argument is given by its
    name; a block with a `_target_` among the arguments is made first.

    Args:
        config: with a `_target_`.
        key: where it stands.
        given: further arguments, passed on as they are.

    Raises:
        ConfigError: it names what is not trusted, or its arguments do not fit.
    """
    if not isinstance(config, DictConfig) or "_target_" not in config:
        raise ConfigError(f"{key} has no _target_, so that nothing can be made of it", _see(key))
    plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    _refuse_strangers(plain, PARTS, key)
    return _built(plain, key, given)


def arguments(target: Any) -> Iterable[str]:
    """Return the names of the arguments of a `_target_`.

    Raises:
        ConfigError: it is not trusted, or there is no such thing.
    """
    return inspect.signature(found(target)).parameters


def found(target: Any, key: str = "_target_") -> Callable[..., Any]:
    """Return the class or function that a `_target_` of a data set or a backend names.

    Raises:
        ConfigError: it is not trusted, or there is no such thing.
    """
    _refuse(target, PARTS, key)
    try:
        located = get_object(target)
    except Exception as error:
        raise ConfigError(f"{key} is '{target}', which cannot be imported: {error}") from error
    if not callable(located):
        raise ConfigError(f"{key} is '{target}', which is neither a class nor a function")
    made_by: Callable[..., Any] = located
    return made_by


def needs_weights(backend: Any) -> bool:
    """Return whether a backend runs a GGUF of this disk.

    Raises:
        ConfigError: it is not trusted, or is no backend.
    """
    target = backend.get("_target_") if isinstance(backend, DictConfig) else None
    needed = getattr(found(target, "backend._target_"), "needs_weights", None)
    if needed is None:
        raise ConfigError(f"backend._target_ is '{target}', which is no backend", _see("backend"))
    return bool(needed)


def check_command(arguments: Sequence[str], folder: Path) -> None:
    """Look at all that Hydra would import for a command line, before it does.

    Args:
        arguments: the command line of `run.py`.
        folder: that of `run.py`, from which Hydra reads `--config-path`.

    Raises:
        ConfigError: something is named that is not trusted.
        HydraException: the configuration cannot be composed.
    """
    from experiments.app.jobs import combinations

    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--config-path", "-cp")
    parser.add_argument("--config-name", "-cn")
    parser.add_argument("--config-dir", "-cd")
    parser.add_argument("--multirun", "-m", action="store_true")
    parser.add_argument("--experimental-rerun")
    said, _ = parser.parse_known_intermixed_args(arguments)
    if said.experimental_rerun is not None:
        raise ConfigError(
            "--experimental-rerun unpickles its file, which runs whatever the file says",
            "Use the run's configuration: --config-path RUN/.hydra --config-name config",
        )
    main = folder / (said.config_path or "conf")
    name = said.config_name or "config"
    added = [said.config_dir] if said.config_dir else []
    overrides = [each for each in said.overrides if "=" in each or each.startswith("~")]
    if (
        added
        and not said.config_path
        and not _file(main, name).is_file()
        and _file(Path(added[0]), name).is_file()
    ):
        main, added = Path(added[0]), [str(main)]  # what stands in both is looked at there
    with (
        warnings.catch_warnings(action="ignore"),  # Hydra gives them again
        _readable([main, *map(Path, added)]),
        initialize_config_dir(str(main.resolve()), version_base="1.3"),
    ):
        searched = _search_path([main, *map(Path, added)], name, overrides)
        places = [f"file://{Path(each).resolve()}" for each in added] + searched
        overrides = [each for each in overrides if not each.startswith("hydra.searchpath=")]
        if places:
            overrides.append(f"hydra.searchpath=[{','.join(map(quoted, places))}]")
        parser_of_hydra = OverridesParser.create(
            config_loader=GlobalHydra.instance().config_loader()
        )
        typed = combinations(parser_of_hydra, {}, overrides)
        by_the_user = {each for job in typed for each in job}
        is_ours = not said.config_path and not places and name != SENT
        whole = _composed(name, typed[0])
        check(whole, by_the_user, is_ours)
        if not said.multirun and whole.hydra.mode != RunMode.MULTIRUN:
            return
        if not str((whole.hydra.sweeper or {}).get("_target_")).endswith(_ENUMERABLE):
            return
        jobs = combinations(parser_of_hydra, whole.hydra.sweeper.get("params") or {}, overrides)
        for job in _covering(jobs) if is_ours else jobs:
            try:
                config = _composed(name, job)
            except HydraException:
                continue  # Hydra will not compose it either, and tells why in its turn
            check(config, by_the_user, is_ours)


def _composed(name: str, overrides: Sequence[str]) -> DictConfig:
    """Return a configuration with Hydra's own part.

    Raises:
        ConfigError: a file has overrides, of which Hydra would make use for the jobs of a sweep.
    """
    config = compose(name, list(overrides), return_hydra_config=True)
    noted = config.hydra.overrides
    if len(noted.hydra) + len(noted.task) != len(overrides):
        raise ConfigError(
            "hydra.overrides stands in a file, and is what was typed", "Leave it out."
        )
    return config


@contextmanager
def _readable(folders: Iterable[Path]) -> Iterator[None]:
    """Tell in a line which file of a configuration cannot be read.

    What reading YAML raises is of several kinds. Nothing but reading happens in this context.
    """
    try:
        yield
    except (UserError, HydraException, OmegaConfBaseException):
        raise
    except (YAMLError, ValueError, KeyError, TypeError) as error:
        if str(error).startswith("Config group override"):
            raise  # of what was typed, which is told by what reads it
        raise unreadable_file(error, folders) from error


def check(config: DictConfig, typed: Collection[str] = (), is_ours: bool = True) -> None:
    """Refuse a composed configuration that has Hydra run, or write, what a file may not ask for.

    Args:
        config: with Hydra's own part.
        typed: overrides of the command line, which are the user's own.
        is_ours: all of it is this project's own, or typed.

    Raises:
        ConfigError: names the key.
    """
    hydra: Any = OmegaConf.to_container(config.hydra, resolve=False)
    for part, allowed in OF_HYDRA.items():
        _refuse_late(hydra[part], f"hydra.{part}")
        _refuse_strangers(hydra[part], allowed, f"hydra.{part}")
        if part.endswith("_logging"):
            _refuse_in_logs(hydra[part], f"hydra.{part}")
    if hydra["job"]["env_set"] and not any("hydra.job.env_" in each for each in typed):
        raise ConfigError(
            "hydra.job.env_set and env_copy stand in a file, and variables of the environment can "
            "have other code run, or be written into the run's files",
            "Set them where you start the run: NAME=VALUE python run.py ...",
        )
    if hydra["output_subdir"] not in (runs.HYDRA, None):
        raise ConfigError(
            f"hydra.output_subdir is '{hydra['output_subdir']}', and reports look in {runs.HYDRA}",
            "Leave it out.",
        )
    if not is_ours:
        check_servers(config, typed)
        _refuse_launcher(hydra["launcher"], typed)


def check_servers(config: DictConfig, typed: Collection[str]) -> None:
    """Refuse a server that stands in none of this project's files, and was not typed.

    Args:
        config: that was sent.
        typed: overrides of the command line.

    Raises:
        ConfigError: names the key.
    """
    values = {each.partition("=")[2].replace("\\", "").strip("'\"") for each in typed}
    for key in SERVERS:
        try:
            place = OmegaConf.select(config, key)
        except OmegaConfBaseException:
            continue  # it is told when the value is used
        try:
            address = urlsplit(str(place or ""))
        except ValueError:
            continue  # no address at all, as is told when it is used
        host = address.hostname or ""
        if is_here(host) or (not address.netloc and address.scheme in _FILES):
            continue
        if place in values or place == os.environ.get("MLFLOW_TRACKING_URI"):
            continue
        if host in _known():
            continue
        raise ConfigError(
            f"{key} is '{place}' in a file that was sent: that server would be told keys and "
            "passwords of your environment",
            f"If you know {host} and trust it, type: {VARIABLE}={quote(host)} python run.py ...",
        )


def _refuse_launcher(launcher: Mapping[str, Any], typed: Collection[str]) -> None:
    """Refuse settings by which a launcher runs commands, or asks a cluster of somebody else."""
    files = (PROJECT / "conf/hydra/launcher").glob("*.yaml")
    own: Any = [OmegaConf.to_container(OmegaConf.load(each), resolve=False) for each in files]
    same = [each for each in own if each["launcher"] == launcher.get("launcher")]
    known = {"_target_": launcher["_target_"], **(same[0] if same else {})}
    for name, value in launcher.items():
        key = f"hydra.launcher.{name}"
        is_typed = any(each.lstrip("+").startswith((f"{key}=", f"{key}.")) for each in typed)
        if name not in _SIZES and not is_typed and (name not in known or known[name] != value):
            raise ConfigError(
                f"{key} is '{value}' in a file that was sent, and a launcher may run it, or send "
                "jobs to it",
                f"If you trust it, type it: {quote(f'{key}={value}')}",
            )


def _known() -> set[str]:
    """Return the servers that this project's models name, and those that the user trusts."""
    texts = [path.read_text(encoding="utf-8") for path in (PROJECT / "conf/model").glob("*.yaml")]
    named = re.findall(r"^ *base_url: *(\S+)", "\n".join(texts), re.MULTILINE)
    return {str(urlsplit(each).hostname) for each in named} | set(_trusted())


def _search_path(folders: Sequence[Path], name: str, overrides: Sequence[str]) -> list[str]:
    """Return the further places of configuration files that were typed, or that the main one names.

    Raises:
        ConfigError: a file names a package, which would be imported.
    """
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        if override.get_key_element() == "hydra.searchpath":
            return [str(each) for each in override.value() or ()]  # type: ignore[union-attr]
    main = next((file for each in folders if (file := _file(each, name)).is_file()), None)
    content = OmegaConf.load(main) if main else None
    if not isinstance(content, DictConfig):
        return []
    plain: Any = OmegaConf.to_container(content, resolve=False)
    named = plain.get("hydra")
    places = named.get("searchpath") if isinstance(named, dict) else named
    if "${" in str(places) or "pkg:" in str(places):
        raise ConfigError(
            f"hydra.searchpath in {main} has '{places}', which may import a package",
            f"If you trust it, type it: {quote(f'hydra.searchpath={places}')}",
        )
    return list(map(str, places)) if isinstance(places, list) else []


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name.removesuffix('.yaml')}.yaml"


def quoted(place: str) -> str:
    """Return a path as it can be typed in an override."""
    escaped = place.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _covering(jobs: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    """Yield jobs until each override was in one: files of this project do not depend on others."""
    seen: set[str] = set()
    for job in jobs:
        if not seen.issuperset(job):
            yield job
            seen.update(job)


def _built(plain: Any, key: str, given: Mapping[str, Any] | None = None) -> Any:
    """Return a block with all that it names made."""
    if isinstance(plain, list):
        return [_built(each, key) for each in plain]
    if not isinstance(plain, dict):
        return plain
    content = {
        str(name): _built(value, f"{key}.{name}")
        for name, value in plain.items()
        if name not in ("_target_", "_convert_")  # what is made here is plain in any case
    }
    if "_target_" not in plain:
        return content
    content |= given or {}
    maker = found(plain["_target_"], f"{key}._target_")
    try:
        inspect.signature(maker).bind(**content)
    except TypeError as error:
        raise ConfigError(f"{key} does not fit {plain['_target_']}: {error}", _see(key)) from None
    return maker(**content)


def _refuse_strangers(value: Any, allowed: frozenset[str], key: str) -> None:
    """Refuse a block that names, at any depth, what is not trusted."""
    for name, inner in _entries(value):
        below = f"{key}.{name}"
        if name in _NAMING and (name == "_target_" or allowed is _LOGGING):
            _refuse(inner, allowed, below)
        _refuse_strangers(inner, allowed, below)


def _refuse(target: Any, allowed: frozenset[str], key: str) -> None:
    if isinstance(target, str) and (target in allowed or _is_trusted(target)):
        return
    what = f"{key} is '{target}', which would be imported and run"
    if not isinstance(target, str) or target.startswith(("experiments.", "hydra.")):
        raise ConfigError(what, did_you_mean(str(target), allowed))
    package = target.partition(".")[0]
    if package in sys.stdlib_module_names:
        raise ConfigError(
            what, "A part of Python is no part of an experiment: refused. Who sent you this file?"
        )
    plugin = ".".join(target.split(".")[:2]) if package == "hydra_plugins" else package
    raise ConfigError(
        what,
        f"If you know {plugin} and trust it, type: {VARIABLE}={quote(plugin)} python run.py ...",
    )


def _is_trusted(target: str) -> bool:
    """Return whether the user trusts the package of a target, and the target is made there."""
    of = [name for name in _trusted() if name.partition(".")[0] not in sys.stdlib_module_names]
    if not any(f"{target}.".startswith(f"{name}.") for name in of):
        return False
    try:  # `my_package.os.system` is none of the package's
        home = str(getattr(get_object(target), "__module__", ""))
    except Exception:  # whatever its import raises is told when it is made
        return True
    return any(f"{home}.".startswith(f"{name}.") for name in of)


def _trusted() -> list[str]:
    """Return what the user names in the environment."""
    return [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]


def _refuse_late(value: Any, key: str) -> None:
    """Refuse what would only be known when Hydra makes it."""
    if isinstance(value, str) and "${" in _OF_THE_RUN.sub("", value):
        raise ConfigError(
            f"{key} is '{value}', and what it will be cannot be looked at before it is used",
            "Write what it stands for.",
        )
    for name, inner in _entries(value):
        _refuse_late(inner, f"{key}.{name}")


def _refuse_in_logs(value: Any, key: str) -> None:
    """Refuse what `logging.config` imports beside classes, and files that are no logs."""
    if isinstance(value, str) and re.match(r"(ext|cfg)://(?!sys\.std(out|err)$)", value):
        raise ConfigError(f"{key} is '{value}', which logging would import", "Leave it out.")
    for name, inner in _entries(value):
        if name == "filename" and not str(inner).endswith(".log"):
            raise ConfigError(f"{key}.filename is '{inner}', and a log's name ends in .log")
        if name == ".":
            raise ConfigError(f"{key} sets attributes of an object ('.')", "Leave it out.")
        _refuse_in_logs(inner, f"{key}.{name}")


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((str(name), inner) for name, inner in value.items())
    elif isinstance(value, list | tuple):
        yield from ((str(place), inner) for place, inner in enumerate(value))


def _see(key: str) -> str:
    return f"See conf/{key.partition('.')[0]}/."
