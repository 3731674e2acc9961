"""What Hydra and OmegaConf say of a wrong configuration, in one line that helps."""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from omegaconf import DictConfig, OmegaConf, open_dict

from experiments.environment.project import PROJECT
from experiments.errors import MOST_LISTED, ConfigError, StoreError, UserError, did_you_mean
from experiments.schema import Config

log = logging.getLogger(__name__)

FORMER_SETTINGS = {
    "backend.lanes": "one engine decodes on all threads.",
}
"""Settings of earlier versions that saved configurations may still name, and why they went."""


def explain(error: BaseException) -> str:
    """Return one line that names the key or the file, and what to type instead."""
    if isinstance(error, UserError):
        return str(error)
    text = str(error)
    if error.__cause__ is not None:  # Hydra names the override, OmegaConf says why
        text = f"{text}\n{error.__cause__}"
    for pattern, explanation in _EXPLANATIONS:
        if match := re.search(pattern, text, re.DOTALL):
            return str(explanation(match))
    return " ".join(text.split())


def unreadable_file(error: Exception, folders: Iterable[Path]) -> ConfigError:
    """Return what to do about a file of the configuration that is no YAML.

    Args:
        error: what reading raised. YAML names its file, and a wrong character does not.
        folders: where the file is.
    """
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, UnicodeDecodeError):
        files = (file for folder in folders for file in sorted(folder.rglob("*.yaml")))
        named = (file for file in files if error.object[:999] in file.read_bytes())
        reason = f"{next(named, 'a file')}: {reason}"
    if isinstance(error, KeyError):
        reason = f"{reason} is not there"
    return ConfigError(
        f"The configuration cannot be read: {reason}",
        "A file of it is YAML in UTF-8, with blanks and no tabs before its keys.",
    )


def full_disk(error: Exception) -> StoreError | None:
    """Return what to do about a disk that takes no more; None for any other error."""
    if isinstance(error, OSError) and error.errno in _REFUSED and error.filename:
        return StoreError(
            f"{error.strerror}: {error.filename}", "Check the folder and its permissions."
        )
    if not isinstance(error, OSError) or error.errno not in _FULL:
        return None
    where = f": {error.filename}" if error.filename else ""
    return StoreError(
        f"{error.strerror}{where}",
        "What is done is kept. Free some space, and the same command goes on from there.",
    )


def no_folder(error: OSError) -> StoreError:
    """Return what to do about a folder of runs that cannot be made."""
    return StoreError(
        f"The run's folder cannot be made: {error.strerror}: {error.filename}",
        "Set hydra.run.dir (of a sweep: hydra.sweep.dir) to a folder that can be written.",
    )


def refuse_unknown(
    config: DictConfig, arguments: Callable[[str], Iterable[str]], path: tuple[str, ...] = ()
) -> None:
    """Refuse a key that nothing reads: Hydra lets `+key=value` pass.

    Settings of earlier versions, in a saved configuration, are dropped with a warning.

    Args:
        config: a block of the configuration.
        arguments: gives the names of the arguments of a `_target_`.
        path: where the block stands.

    Raises:
        ConfigError: names the key.
    """
    kind = OmegaConf.get_type(config)
    if is_dataclass(kind):
        known = [field.name for field in fields(kind)]
    elif "_target_" in config:
        known = list(arguments(config["_target_"]))
    else:
        return
    for key in list(map(str, config)):
        if key not in known and not key.startswith("_"):  # _target_ and the like are Hydra's
            name = ".".join([*path, key])
            if (reason := FORMER_SETTINGS.get(name)) is None:
                raise _no_setting([*path, key], known)
            log.warning("%s is not a setting any more, and is left out: %s", name, reason)
            with open_dict(config):
                del config[key]
            continue
        if not OmegaConf.is_missing(config, key) and isinstance(config[key], DictConfig):
            refuse_unknown(config[key], arguments, (*path, key))


def _unknown_option(match: re.Match[str]) -> ConfigError:
    group, _, name = match["name"].rpartition("/")
    options = re.findall(r"^\t(\S+)$", match["options"], re.MULTILINE)
    if group != match["listed"]:  # Hydra lists those of the folder above
        options = [path.stem for path in (PROJECT / "conf" / group).glob("*.yaml")]
    hint = did_you_mean(name, options)
    if len(options) > MOST_LISTED:
        hint += f" See conf/{group}/."
    elif not hint.startswith("Known"):
        hint += f" Known: {', '.join(sorted(options))}."
    return ConfigError(f"There is no {group} '{name}' (conf/{group}/{name}.yaml)", hint)


def _unknown_key(match: re.Match[str]) -> ConfigError:
    path = match["key"].lstrip("+~").split(".")
    return _no_setting(path, _known(path[:-1]))


def _no_setting(path: list[str], known: list[str]) -> ConfigError:
    group = "hydra/launcher" if path[:2] == ["hydra", "launcher"] else path[0]
    where = f"conf/{group}/*.yaml" if group in _GROUPS else "conf/config.yaml"
    return ConfigError(
        f"There is no setting '{'.'.join(path)}'",
        f"{did_you_mean(path[-1], known)} See {where}.".lstrip(),
    )


def _wrong_type(match: re.Match[str]) -> ConfigError:
    key = match["key"]
    where = f" (in conf/{match['file']}.yaml)" if match["file"] else ""
    reason = " ".join(match["reason"].split())
    return ConfigError(f"{key} has a wrong value{where}: {reason}", f"See {key} in conf/.")


def _wrong_group(match: re.Match[str]) -> ConfigError:
    key = match["key"]
    return ConfigError(
        f"{key}={match['value']} does not fit: {key} is a block of settings",
        f"Set one of them: {', '.join(f'{key}.{name}' for name in _known([key]))}.",
    )


def _says(what: str, hint: str) -> Callable[[re.Match[str]], ConfigError]:
    """Return what puts the named parts of a match, each in one line, into an error."""

    def explanation(match: re.Match[str]) -> ConfigError:
        parts = {name: " ".join(text.split()) for name, text in match.groupdict().items()}
        return ConfigError(what.format(**parts), hint.format(**parts))

    return explanation


def _unreadable(match: re.Match[str]) -> ConfigError:
    reason = " ".join(match["reason"].removeprefix("LexerNoViableAltException:").split())
    return ConfigError(
        f"The command line cannot be read: {reason}",
        "An override is KEY=VALUE; quote values with special characters: \"key='a, b'\"",
    )


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_REFUSED = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)

_GROUPS = (
    *("model", "quantization", "prompt", "dataset", "backend", "tracking", "experiment"),
    "hydra/launcher",
)
_BLOCKS = "|".join(field.name for field in fields(Config) if is_dataclass(field.type))

_EXPLANATIONS: list[tuple[str, Callable[[re.Match[str]], ConfigError]]] = [
    (
        r"Could not find '(?P<name>[^']+)'\s+Available options in '(?P<listed>[^']+)':\n"
        r"(?P<options>.*?)\n*$",
        _unknown_option,
    ),
    (
        r"In 'experiment/(?P<name>[^']+)': Could not (?:override '\w+@experiment|find 'experiment)",
        _says(
            "conf/experiment/{name}.yaml chooses for itself, and not for the run",
            "Open it with the line '# @package _global_', and choose by '- override /model: NAME'.",
        ),
    ),
    (r"(?P<reason>Could not override '')", _unreadable),
    (r"Could not override '(?P<key>[^']+)'", _unknown_key),
    (
        r"Environment variable '(?P<name>[^']+)' not found",
        _says("The environment variable {name} is not set", "Type: export {name}=..."),
    ),
    (r"Key '[^']+' (?:is )?not in .*?full_key: (?P<key>\S+)", _unknown_key),
    (rf"Error merging override (?P<key>{_BLOCKS})=(?P<value>\S*)\n", _wrong_group),
    (
        r"(?:In '(?P<file>[^']+)': .*?|^.*?)(?P<reason>(?:Value|Invalid value|Cannot) .*?)"
        r"\s+full_key: (?P<key>\S+)",
        _wrong_type,
    ),
    (
        r"field '[^']+' is not Optional\s+full_key: (?P<key>\S+)",
        _says("{key} may not be null", "Leave it out to take the default."),
    ),
    (
        r"missing mandatory value: (?P<key>\S+)",
        _says("{key} is not set", "Give it a value: {key}=..."),
    ),
    (r"(?P<reason>Config group override must be a string.*)", _unreadable),
    (
        r"(?P<reason>(?:Error parsing override|LexerNoViableAlt|no viable alternative|mismatched|"
        r"extraneous|token recognition).*?)(?:\s+See https:|$)",
        _unreadable,
    ),
]


def _known(path: list[str]) -> list[str]:
    """Return the names of the settings below a path, as far as the schema knows them."""
    kind: Any = Config
    for name in path:
        kind = get_type_hints(kind).get(name) if is_dataclass(kind) else None
    return [field.name for field in fields(kind)] if is_dataclass(kind) else []
