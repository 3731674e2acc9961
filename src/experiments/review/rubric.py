"""A rubric: the grades that a person can give, read from `conf/review/` and checked."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from experiments.errors import ConfigError, did_you_mean
from experiments.schema import GradeConfig, RubricConfig, check

MOST_GRADES = 9
"""One key each."""

MOST_REASONS = 10
"""MLflow offers no more in one question."""

LONGEST_NAME = 64
"""Characters of a grade or a reason in MLflow."""


@dataclass(frozen=True)
class Grade:
    """A grade; the attributes are those of `GradeConfig`."""

    name: str
    points: float
    right: bool
    meaning: str


@dataclass(frozen=True)
class Rubric:
    """A rubric; the attributes are those of `RubricConfig`."""

    name: str
    version: int
    grades: tuple[Grade, ...]
    reasons: tuple[str, ...]

    @property
    def digest(self) -> str:
        """The beginning of the SHA-256 of all that it says."""
        content = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def grade(self, name: str) -> Grade | None:
        """Return the grade of that name, if there is one."""
        return next((grade for grade in self.grades if grade.name == name), None)


def load(name: str, conf: Path) -> Rubric:
    """Return a rubric.

    Args:
        name: of a file in `conf/review/`, or the path of one anywhere.
        conf: the folder of all configuration.

    Raises:
        ConfigError: there is none of that name, or it has a mistake; names file and key.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError  # type: ignore[import-untyped]

    known = {path.stem: path for path in (conf / "review").glob("*.yaml")}
    path = Path(name) if name.endswith((".yaml", ".yml")) else known.get(name)
    if path is None or not path.is_file():
        raise ConfigError(f"There is no rubric '{name}'", did_you_mean(name, known))
    try:
        given = OmegaConf.load(path)
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(RubricConfig), given))
    except (OmegaConfBaseException, YAMLError, OSError, ValueError) as error:
        raise ConfigError(f"{path}: {_reason(error)}", "See conf/review/default.yaml.") from None
    assert isinstance(config, RubricConfig)
    try:
        check(config)
        _check(config)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.what}", error.hint) from None
    grades = tuple(Grade(**asdict(grade)) for grade in config.grades)
    return Rubric(config.name, config.version, grades, tuple(config.reasons))


def _check(config: RubricConfig) -> None:
    """Hold a rubric against what the schema cannot say.

    Raises:
        ConfigError: names the key.
    """
    grades: Sequence[GradeConfig] = config.grades
    if not 2 <= len(grades) <= MOST_GRADES:
        raise ConfigError(f"grades has {len(grades)} entries", f"Take 2 to {MOST_GRADES}.")
    if len(config.reasons) > MOST_REASONS:
        raise ConfigError(
            f"reasons has {len(config.reasons)} entries", f"Take at most {MOST_REASONS}."
        )
    for number, grade in enumerate(grades):
        check(grade, f"grades[{number}].")
    for key, names in (("grades", [g.name for g in grades]), ("reasons", config.reasons)):
        name, times = Counter(names).most_common(1)[0] if names else ("", 1)
        if times > 1:
            raise ConfigError(f"{key} has '{name}' twice", "Each name may stand once.")
        for name in names:
            if not 0 < len(name.strip()) <= LONGEST_NAME:
                raise ConfigError(
                    f"{key} has a name of {len(name.strip())} characters",
                    f"Take 1 to {LONGEST_NAME}.",
                )


def _reason(error: Exception) -> str:
    """Return what is wrong, with the key that OmegaConf names in a later line."""
    lines = [line.strip() for line in str(error).splitlines()]
    key = next((line.split(":", 1)[1].strip() for line in lines if "full_key:" in line), "")
    if not key:
        return " ".join(lines)
    return lines[0] if f"'{key}'" in lines[0] else f"{lines[0]} (at {key})"
