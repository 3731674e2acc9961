"""Write docs/configuration.md: every setting, as the schema and the groups' signatures have it.

    python tools/configuration.py            writes the page
    python tools/configuration.py --check    says whether it is current

Names, types, defaults and ranges are those of `experiments.schema`; what a setting means is the
line of its class's docstring. The settings of `backend` and `dataset` are the arguments of what
`_target_` names in `conf/`.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_type_hints

from hydra.utils import get_object
from omegaconf import MISSING as UNSET
from omegaconf import OmegaConf

from experiments import schema

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"
PAGE = ROOT / "docs" / "configuration.md"

BEGINNING = """# Configuration

<!-- Made by `make docs` from src/experiments/schema.py and conf/: change those instead. -->

Every setting of a run. Each can be set on the command line under the name in the first column
(`limit=5 sampling.temperature=0.2`), in a file of `conf/`, or swept over with `-m`
(`sampling.temperature=0.2,0.8`). A name that does not exist, a wrong type and a number out of its
range are refused in one line, before anything is loaded.

    python run.py --cfg job model=mistral limit=5       # what a run would be told, nothing else
    python run.py --help                                # all choices

`null` means: not set. What then holds is said with the setting.
"""

GROUPS = """## Choices

One file in `conf/<group>/` is one choice of `<group>=`. Files of your own stand beside them
([how](adding.md)).
"""

OF_TARGETS = """## `backend.*` and `dataset.*`

These groups name a class or a function of Python (`_target_`); its arguments are their settings.
"""

BLOCKS = (
    ("A run", schema.Config, "", "Set at the top: `limit=5`."),
    (
        "`sampling.*`",
        schema.Sampling,
        "sampling.",
        "What is not set is as the model's file has it (its makers' advice), else as here.",
    ),
    ("`sandbox.*`", schema.SandboxConfig, "sandbox.", ""),
    ("`tracking.*`", schema.TrackingConfig, "tracking.", ""),
    ("`race.*`", schema.RaceConfig, "race.", "With `-m hydra/sweeper=race`."),
    (
        "`pinned.*`",
        schema.PinnedConfig,
        "pinned.",
        "What a run is held to. The `run.yaml` of a run sets it ([sharing](sharing.md)).",
    ),
    ("`model.*`", schema.ModelConfig, "model.", "What a file in `conf/model/` may say."),
    ("`quantization.*`", schema.QuantizationConfig, "quantization.", "`conf/quantization/`."),
    ("`prompt.*`", schema.PromptConfig, "prompt.", "What a file in `conf/prompt/` may say."),
    (
        "A rubric",
        schema.RubricConfig,
        "",
        "What a file in `conf/review/` may say, chosen with `experiments review --rubric NAME`.",
    ),
    ("Its `grades`", schema.GradeConfig, "", ""),
)
"""Title, class, prefix on the command line, and a remark."""

NOT_SET_BY_PEOPLE = {"weights", "thinking", "cache"}
"""Arguments that a run gives by itself. (`cache` of a data set is a path that nobody sets.)"""


@dataclass(frozen=True)
class Setting:
    """One row of a table."""

    name: str
    takes: str
    default: str
    meaning: str

    def __str__(self) -> str:
        """Return the row as Markdown."""
        cells = (f"`{self.name}`", self.takes, self.default, self.meaning)
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


HEAD = "| setting | takes | default | what it is |\n|---|---|---|---|"


def page() -> str:
    """Return the page."""
    parts = [BEGINNING]
    for title, of, prefix, remark in BLOCKS:
        rows = list(of_class(of, prefix))
        parts.append(f"## {title}\n")
        parts += [f"{remark}\n"] if remark else []
        parts.append("\n".join([HEAD, *map(str, rows)]) + "\n")
    parts.append(OF_TARGETS)
    for group in ("backend", "dataset"):
        for file in sorted((CONF / group).glob("*.yaml")):
            parts.append(of_target(group, file))
    parts.append(GROUPS)
    groups = sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name != "hydra")
    parts.append("| group | choices |\n|---|---|")
    for group in groups:
        names = sorted(
            str(file.relative_to(CONF / group).with_suffix(""))
            for file in CONF.glob(f"{group}/**/*.yaml")
        )
        parts.append(f"| `{group}` | {', '.join(f'`{name}`' for name in names)} |")
    return "\n".join(parts).rstrip() + "\n"


def of_class(of: type, prefix: str) -> Iterator[Setting]:
    """Yield the settings of a class of the schema, nested blocks under their dotted names.

    Raises:
        SystemExit: a setting is not explained in the docstring of its class.
    """
    known = explained(of, "Attributes")
    hints = get_type_hints(of)
    for each in fields(of):
        nested = hints[each.name]
        if is_dataclass(nested) and of is schema.Config:
            continue  # a block with a section of its own, or a group
        if is_dataclass(nested):
            yield from of_class(nested, f"{prefix}{each.name}.")
            continue
        if of is schema.Config and each.default is UNSET:
            continue  # a group
        if each.name not in known:
            raise SystemExit(f"{of.__name__}.{each.name} is not explained in its docstring")
        yield Setting(
            f"{prefix}{each.name}",
            taken(nested, limits(of, each.name)),
            default(each),
            known[each.name],
        )


def limits(of: type, name: str) -> Mapping[str, Any]:
    """Return what the schema keeps beside a field; a class that only sets defaults inherits it."""
    for base in of.__mro__:
        for each in fields(base) if is_dataclass(base) else ():
            if each.name == name and each.metadata:
                return each.metadata
    return {}


def of_target(group: str, file: Path) -> str:
    """Return the section of one file of a group whose `_target_` is code."""
    settings: Any = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    target = get_object(settings["_target_"])
    known = {} if not target.__doc__ else explained(target, "Args")
    hints = get_type_hints(target.__init__ if inspect.isclass(target) else target)
    title = f"### `{group}={file.stem}`\n\n{opening(file)}\n\n"
    rows = []
    for name, argument in inspect.signature(target).parameters.items():
        if name in NOT_SET_BY_PEOPLE:
            continue
        if name not in known:
            raise SystemExit(f"{settings['_target_']}: {name} is not explained in its docstring")
        value = settings.get(name, argument.default)
        rows.append(Setting(f"{group}.{name}", taken(hints[name], {}), written(value), known[name]))
    return title + "\n".join([HEAD, *map(str, rows)]) + "\n"


def opening(file: Path) -> str:
    """Return the first sentences of a file, which stand in its comment."""
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        text = line.removeprefix("#").strip()
        if not line.startswith("#") or not text:
            break
        lines.append(text)
    return re.split(r" python run\.py ", " ".join(lines))[0].strip()


def explained(of: Any, section: str) -> dict[str, str]:
    """Return what a docstring says of each name in one of its sections; bases are asked, too."""
    found: dict[str, str] = {}
    for each in reversed(of.__mro__ if inspect.isclass(of) else [of]):
        text = inspect.cleandoc(each.__doc__ or "")
        _, _, rest = text.partition(f"\n{section}:\n")
        body = re.split(r"\n(?=\S)", rest)[0]
        for entry in re.split(r"\n(?= {4}\S)", f"\n{body}"):
            names, colon, meaning = entry.strip().partition(": ")
            if colon and re.fullmatch(r"\w+(, \w+)*", names):
                for name in names.split(", "):
                    found[name] = _as_typed(" ".join(meaning.split()))
    return found


def _as_typed(text: str) -> str:
    """Return a text with names of classes as the settings are called on the command line."""
    text = re.sub(r"`ThinkingConfig\.(\w+)`", r"`model.thinking.\1`", text)
    text = re.sub(r"`ModelConfig\.(\w+)`", r"`model.\1`", text)
    return text.replace("`SamplingConfig`", "`sampling.*`")


def taken(hint: Any, metadata: Mapping[str, Any]) -> str:
    """Return in words what a setting takes."""
    if "range" in metadata:
        return f"{kind(hint)}, {metadata['range']}"
    return kind(hint)


def kind(hint: Any) -> str:
    """Return a type in words; a choice by its values."""
    names = [each for each in get_args(hint) if each is not type(None)]
    origin = getattr(hint, "__origin__", None)
    if inspect.isclass(hint) and issubclass(hint, Enum):
        return ", ".join(f"`{each.value}`" for each in hint)
    words = {str: "text", int: "whole number", float: "number", bool: "`true`, `false`"}
    if hint in words:
        return words[hint]
    text = str(hint)
    if origin in (list, tuple) or "Sequence" in text.split("[")[0]:
        return "list"
    if origin is dict or "Mapping[" in text.split("|")[0]:
        return "block"
    if names:
        return " or ".join(dict.fromkeys(kind(each) for each in names))
    return "path" if hint is Path else "data set"


def default(each: Field[Any]) -> str:
    """Return the default of a field as YAML has it."""
    if each.default_factory is not MISSING:
        return written(each.default_factory())
    if each.default is MISSING or each.default == UNSET:
        return "has to be given"
    return written(each.default)


def written(value: Any) -> str:
    """Return a value as it is typed on the command line."""
    if isinstance(value, Enum):
        value = value.value
    if value is inspect.Parameter.empty:
        return "has to be given"
    if value is None:
        return "`null`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value in ("", (), [], {}):
        return "none"
    return f"`{value}`"


def main() -> None:
    """Write the page, or hold it against what it would be."""
    made = page()
    is_current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == made
    if "--check" in sys.argv[1:]:
        sys.exit(None if is_current else f"{PAGE} is not current. Type: make docs")
    PAGE.write_text(made, encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} {'was current' if is_current else 'was written'}")


if __name__ == "__main__":
    main()
