"""What README and docs show: commands to type, files to write, links, messages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from conftest import ROOT

PAGES = sorted(
    path.relative_to(ROOT)
    for path in [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        ROOT / "problems" / "README.md",
        ROOT / "models" / "demo" / "README.md",
    ]
)
TYPED = ("", "sh", "bash", "shell", "console")
"""Languages of fences whose lines are typed; the lines of others are shown."""

_FIRST_WORDS = (
    *("python", "python3", "experiments", "make", "pip", "pytest", "mlflow", "source", "eval"),
    *("git", "apt", "apt-get", "sudo", "podman", "docker", "wsl", "cp", "sed", "export", "cmake"),
    *("sbatch", "squeue", "srun", "ray", "ssh", "scp", "rsync", "curl", "cd", "mkdir", "psql"),
)
_COMMAND = re.compile(
    rf"(?:[A-Z_]+=\S* )*(?:\S*/bin/)?(?:{'|'.join(map(re.escape, _FIRST_WORDS))})(?: |$)"
)
_FENCE = re.compile(r"^( *)```(\w*)$")


@dataclass(frozen=True)
class Command:
    """A command line as it is typed, and where it stands."""

    page: str
    text: str

    def __str__(self) -> str:
        """Return it as the name of a test."""
        return f"{self.page}: {self.text}"


@dataclass(frozen=True)
class File:
    """A file that a page shows whole, to be written under a name."""

    path: str
    content: str


def read(page: Path | str) -> str:
    """Return the text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def steps(text: str, page: str = "") -> Iterator[Command | File]:
    """Yield what a reader of a page types and writes, in order.

    Commands stand in indented blocks or in fences without a language. A file stands in a fence
    with one, behind a line that ends in its name in backquotes and a colon.
    """
    lines = iter(text.split("\n"))
    last = ""
    for line in lines:
        fence = _FENCE.match(line)
        if fence:
            indent, language = fence.groups()
            body = []
            for inner in lines:
                if inner == f"{indent}```":
                    break
                body.append(inner.removeprefix(indent))
            name = re.search(r"`([^`]+)`:$", last)
            if language in TYPED:
                yield from commands(body, page)
            elif name:
                yield File(name[1], "\n".join(body) + "\n")
        elif line.startswith("    ") or re.match(r" {6}\S", line):
            block = [line]
            while block[-1].endswith("\\"):
                block.append(next(lines))
            yield from commands(block, page)
        if line.strip():
            last = line


def commands(lines: list[str], page: str) -> Iterator[Command]:
    """Yield the commands among the lines of a block, with their continuations, without remarks."""
    text = re.sub(r"\\\n\s*", "", "\n".join(line.strip().removeprefix("$ ") for line in lines))
    for line in text.split("\n"):
        typed = re.split(r"\s{2,}#|\s+# ", line)[0].strip()
        if _COMMAND.match(typed):
            yield Command(page, typed)


def inline(text: str) -> Iterator[str]:
    """Yield what stands in backquotes within running text."""
    plain = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from (" ".join(found.split()) for found in re.findall(r"(?<!`)`([^`]+)`(?!`)", plain))


def links(text: str) -> Iterator[str]:
    """Yield the targets of links and pictures."""
    yield from re.findall(r"\]\(([^)\s]+)\)", text)


def anchors(text: str) -> set[str]:
    """Return what one can link to within a page: its headings, as GitHub writes them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    }


def said(*folders: str) -> list[re.Pattern[str]]:
    """Return all texts in the sources, as patterns: what is put into them may be anything."""
    found = set()
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.JoinedStr(values=values):
                        found.add(
                            "".join(
                                str(part.value) if isinstance(part, ast.Constant) else "\0"
                                for part in values
                            )
                        )
                    case ast.Constant(value=str(value)):
                        found.add(re.sub(r"%[sdr,.0-9]*[sdrf]", "\0", value))
    return [
        re.compile(".+".join(re.escape(part) for part in text.split("\0")))
        for text in found
        if len(text.replace("\0", "").strip()) >= 12
    ]
