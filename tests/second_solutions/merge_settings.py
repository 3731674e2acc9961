"""By flat maps from paths to entries: a path is decided as soon as a rule fits."""

from typing import Any


def merge_settings(
    base: dict[str, object], ours: dict[str, object], theirs: dict[str, object]
) -> tuple[dict[str, object], list[list[str]]]:
    merged: dict[str, object] = {}
    conflicts: list[list[str]] = []
    todo: list[tuple[list[str], Any]] = [([], merged)]

    def entry(version: Any, path: list[str]) -> list[Any]:
        """Return a list with the entry, or an empty one if it is missing."""
        for name in path:
            if not isinstance(version, dict) or name not in version:
                return []
            version = version[name]
        return [version]

    while todo:
        path, target = todo.pop()
        names: set[str] = set()
        for version in (base, ours, theirs):
            for found in entry(version, path):
                if isinstance(found, dict):
                    names |= found.keys()
        for name in names:
            full = [*path, name]
            old, our, their = (entry(version, full) for version in (base, ours, theirs))
            both = [*our, *their]
            if our == their or (our != old and their == old):
                target.update(zip([name], our, strict=False))
            elif our == old:
                target.update(zip([name], their, strict=False))
            elif len(both) == 2 and all(isinstance(value, dict) for value in both):
                target[name] = {}
                todo.append((full, target[name]))
            else:
                conflicts.append(full)
                target[name] = both[0]
    conflicts.sort()
    return merged, conflicts
