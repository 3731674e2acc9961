"""By ranking every route for every path, without a tree."""

from typing import Any


def match_paths(routes: list[str], paths: list[str]) -> list[tuple[str, dict[str, str]] | None]:
    return [min(_fits(routes, path), default=(0, 0, None))[2] for path in paths]


def _fits(routes: list[str], path: str) -> list[tuple[Any, ...]]:
    wanted = [part for part in path.split("/") if part != ""]
    fits = []
    for place, route in enumerate(routes):
        pattern = [part for part in route.split("/") if part != ""]
        values: dict[str, str] = {}
        ranks = []
        position = 0
        for part in pattern:
            if position >= len(wanted):
                break
            if part.startswith("*"):
                values[part[1:]] = "/".join(wanted[position:])
                ranks.append(3)
                position = len(wanted)
            elif part.startswith(":"):
                values[part[1:]] = wanted[position]
                ranks.append(2)
                position += 1
            elif part == wanted[position]:
                ranks.append(1)
                position += 1
            else:
                break
        if position == len(wanted) and len(ranks) == len(pattern):
            fits.append((ranks, place, (route, values)))
    return fits
