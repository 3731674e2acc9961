"""A run beside its repetition: which texts and verdicts are the same, and if not, why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from experiments.experiment.planning import Plan
from experiments.records import Generation, Verdict, by_sample
from experiments.schema import dotted
from experiments.store import runs

_SETTINGS_OF_NO_TEXT = ("build", "weights_sha256", "threads", "memory_map", "name")
"""What a backend says of itself that is no setting, or one that no text depends on."""


def some_of(plan: Plan, count: int, draw: Any) -> Plan:
    """Return a run of some of its problems, drawn at random.

    Args:
        plan: the whole run.
        count: of problems; all, if there are no more.
        draw: has `sample`, as `random.Random` has.
    """
    problems = plan.dataset.problems
    places = sorted(draw.sample(range(len(problems)), min(count, len(problems))))
    kept = tuple(problems[place] for place in places)
    names = {problem.id for problem in kept}
    return replace(
        plan,
        dataset=replace(plan.dataset, problems=kept),
        requests=[request for request in plan.requests if request.problem_id in names],
    )


@dataclass(frozen=True)
class Circumstances:
    """What may make a repetition another: of the texts, and of the verdicts on equal texts.

    Attributes:
        texts, verdicts: what differs, each in a few words.
    """

    texts: tuple[str, ...]
    verdicts: tuple[str, ...]


def circumstances(before: Mapping[str, Any], now: Mapping[str, Any]) -> Circumstances:
    """Return in what two runs differ, by their manifests."""
    texts = []
    if _digest(before, "weights") != _digest(now, "weights"):
        texts.append(f"other weights: {_digest(before, 'weights')} → {_digest(now, 'weights')}")
    backend = now.get("backend") or {}
    builds = [str((each.get("backend") or {}).get("build")) for each in (before, now)]
    if builds[0] != builds[1]:
        versions = {build.partition("-")[0] for build in builds}
        other = len(versions) > 1
        kind = "another version of llama.cpp" if other else "llama.cpp was compiled otherwise"
        texts.append(f"{kind}: {' → '.join(builds)}")
    settings = [_settings(each) for each in (before, now)]
    changed = [
        f"{name} {settings[0].get(name)} → {settings[1].get(name)}"
        for name in dict.fromkeys([*settings[0], *settings[1]])
        if settings[0].get(name) != settings[1].get(name)
    ]
    if changed:
        texts.append(f"other settings: {', '.join(changed)}")
    machines = [each.get("machine") or {} for each in (before, now)]
    if machines[0].get("processor") != machines[1].get("processor"):
        processors = " → ".join(str(each.get("processor")) for each in machines)
        texts.append(f"another processor: {processors}")
    if backend.get("name") == "openai":
        texts.append("a server wrote the texts, and promises none")
    verdicts = []
    if _digest(before, "dataset") != _digest(now, "dataset"):
        verdicts.append(f"other problems: {_digest(before, 'dataset')} → {_digest(now, 'dataset')}")
    pythons = [str((each.get("versions") or {}).get("python")) for each in (before, now)]
    if pythons[0] != pythons[1]:
        verdicts.append(f"another Python: {' → '.join(pythons)}")
    commits = [(each.get("source") or {}).get("git_commit") for each in (before, now)]
    if commits[0] != commits[1]:
        shown = " → ".join(str(commit)[:10] for commit in commits)
        verdicts.append(f"another version of this project: {shown}")
    return Circumstances(tuple(texts), tuple(verdicts))


@dataclass(frozen=True)
class Comparison:
    """What became of the texts and verdicts of a run that was made again.

    Attributes:
        asked: samples that both have.
        texts: of them, those with the same text.
        verdicts: of them, those with the same verdict.
        lines: for a person: the result, the first text and verdict that differ, and why.
    """

    asked: int
    texts: int
    verdicts: int
    lines: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        """Whether every text and every verdict came again."""
        return self.asked > 0 and self.asked == self.texts == self.verdicts


def compare(before: Path, now: Path, of_problems: int) -> Comparison:
    """Compare a run with its repetition.

    Args:
        before: folder of the run.
        now: folder of the repetition, of as many problems or fewer.
        of_problems: how many problems the run was asked.

    Raises:
        StoreError: a folder holds no run.
    """
    texts = [by_sample(runs.read_generations(folder)) for folder in (before, now)]
    verdicts = [by_sample(runs.read_verdicts(folder)) for folder in (before, now)]
    asked = [key for key in texts[1] if key in texts[0]]
    other = [key for key in asked if _text(texts[0][key]) != _text(texts[1][key])]
    judged = [key for key in asked if _outcome(verdicts[0], key) != _outcome(verdicts[1], key)]
    lines = [
        f"{len(asked) - len(other)} of {len(asked)} texts and {len(asked) - len(judged)} of "
        f"{len(asked)} verdicts are the same."
    ]
    found = circumstances(runs.read_manifest(before), runs.read_manifest(now))
    if other:
        key = other[0]
        place = _place(_text(texts[0][key]), _text(texts[1][key]))
        lines.append(f"Texts differ first in {key[0]}, from character {place} on.")
        why = list(found.texts)
        same_key = all(texts[0][key].key == texts[1][key].key for key in other)
        if not why and not same_key:
            why.append("other prompts: the problems, a template or this project's code has changed")
        if len({key[0] for key in asked}) < of_problems:
            why.append("fewer problems were decoded together, and sums are rounded by company")
        if any(texts[0][key].cached for key in asked):
            why.append("some texts were kept from earlier runs, and decoded in other company")
        if not why:
            why.append("nothing that is kept of the two runs differs, so this is worth a report")
        lines += [f"  {reason}" for reason in why]
    surprising = [key for key in judged if key not in other]
    if surprising:
        key = surprising[0]
        was, became = (_outcome(each, key) for each in verdicts)
        lines.append(
            f"Verdicts on equal texts differ first in {key[0]}: {' / '.join(was)} → "
            f"{' / '.join(became)}."
        )
        why = list(found.verdicts) or ["a limit of time or memory is near on one of the machines"]
        lines += [f"  {reason}" for reason in why]
    return Comparison(len(asked), len(asked) - len(other), len(asked) - len(judged), tuple(lines))


def _outcome(verdicts: Mapping[tuple[str, int], Verdict], key: tuple[str, int]) -> tuple[str, str]:
    verdict = verdicts.get(key)
    return ("", "") if verdict is None else (str(verdict.base), str(verdict.plus))


def _text(generation: Generation) -> str:
    return generation.thought + generation.text


def _place(one: str, other: str) -> int:
    """Return the number of the first character that differs."""
    pairs = enumerate(zip(one, other, strict=False), 1)
    ends = min(len(one), len(other)) + 1
    return next((number for number, (left, right) in pairs if left != right), ends)


def _digest(manifest: Mapping[str, Any], of: str) -> str:
    return str((manifest.get(of) or {}).get("sha256"))[:12]


def _settings(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides a text beside the weights and the prompt."""
    backend = manifest.get("backend") or {}
    left_out: Sequence[str] = _SETTINGS_OF_NO_TEXT
    if backend.get("flash_attention"):
        left_out = [name for name in left_out if name != "threads"]  # which split its sums
    own = {name: value for name, value in backend.items() if name not in left_out}
    whole = {"backend": own, "sampling": manifest.get("sampling") or {}}
    return {**dict(dotted(whole)), "seed": manifest.get("seed")}
