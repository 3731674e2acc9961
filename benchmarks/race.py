"""Races with a known end: how often a claim is wrong, and how many generations are saved.

    python benchmarks/race.py             the tables of docs/decisions/race.md, in minutes
    python benchmarks/race.py --races 20  fewer races of each kind

A problem is solved if a normal number falls below what a candidate's rate asks for; that number
is correlated between candidates, as the difficulty of a problem is theirs together. A claim about
problems like these is held against the rates, one about this set against what all of it shows.
The seed is fixed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import product
from statistics import NormalDist

import numpy as np

from experiments.stats.race import Races

SIZES = (60, 164, 542)
FIELDS = (3, 8, 24)
CORRELATIONS = (0.5, 0.8)
BLOCK = 20
MARGIN = 0.05
LEAST_RATE = 0.05


def apart(points: int) -> tuple[float, ...]:
    """Return rates from 85 % downwards, each so many points behind the one before."""
    return tuple(max(LEAST_RATE, 0.85 - n * points / 100) for n in range(max(FIELDS)))


KINDS = {
    "equal": (0.5,) * max(FIELDS),
    **{f"{points} apart": apart(points) for points in (2, 5, 10, 20)},
    "one leads by 15": (0.60, *(0.45,) * (max(FIELDS) - 1)),
}


def rates(kind: str, candidates: int) -> Sequence[float]:
    """Return the candidates' true rates."""
    if kind == "15 to 70 %":
        return [float(rate) for rate in np.linspace(0.70, 0.15, candidates)]
    return KINDS[kind][:candidates]


def outcomes(
    random: np.random.Generator,
    races: int,
    problems: int,
    rates: Sequence[float],
    correlation: float,
) -> np.ndarray:
    """Return who solves what, shape (races, problems, candidates)."""
    shared = random.standard_normal((races, problems, 1))
    own = random.standard_normal((races, problems, len(rates)))
    level = np.array([NormalDist().inv_cdf(rate) for rate in rates])
    solved: np.ndarray = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own < level
    return solved.astype(float)


@dataclass(frozen=True)
class Ended:
    """What became of races of one kind; one entry per race.

    Attributes:
        made: share of the generations.
        wrong: something was claimed that is wrong.
        wrong_here: something was claimed that all problems of the set do not show.
        worse, equal: share of the candidates that were found worse than or equal to the best.
        best: all but one were found worse.
    """

    made: np.ndarray
    wrong: np.ndarray
    wrong_here: np.ndarray
    worse: np.ndarray
    equal: np.ndarray
    best: np.ndarray


def race(
    solved: np.ndarray,
    rates: Sequence[float],
    question: str = "best",
    population: bool = True,
    alpha: float = 0.05,
    block: int = BLOCK,
) -> Ended:
    """Run races to their end and hold their claims against the truth."""
    count, problems, candidates = solved.shape
    races = Races(
        count,
        candidates,
        problems,
        alpha=alpha,
        margin=MARGIN,
        question=question,
        population=population,
    )
    made = np.zeros(count)
    for start in range(0, problems, block):
        part = solved[:, start : start + block]
        made += races.running.sum(axis=1) * part.shape[1]
        races.observe(part)
        if races.over.all():
            break
    assert races.over.all()
    shown = solved.mean(axis=1)
    here = wrong(races, shown)
    worse = (races.dropped_at > 0) | (races.worse_at > 0).any(axis=2)
    equal = (races.equal_at > 0) | (races.alike_at > 0).any(axis=(1, 2))[:, None] & ~worse
    return Ended(
        made=made / (problems * candidates),
        wrong=wrong(races, np.broadcast_to(rates, shown.shape)) if population else here,
        wrong_here=here,
        worse=(worse & ~equal).mean(axis=1),
        equal=equal.mean(axis=1),
        best=(~worse).sum(axis=1) == 1,
    )


def wrong(races: Races, truth: np.ndarray) -> np.ndarray:
    """Return in which races something was claimed that is not true of these rates."""
    lead = truth[:, None, :] - truth[:, :, None]
    behind = lead.max(axis=2)
    margin = races.margin - 1e-9
    found = ((races.dropped_at > 0) & (behind <= 1e-9)).any(axis=1)
    found |= ((races.equal_at > 0) & (behind >= margin)).any(axis=1)
    found |= ((races.worse_at > 0) & (lead <= 1e-9)).any(axis=(1, 2))
    found |= ((races.alike_at > 0) & (np.abs(lead) >= margin)).any(axis=(1, 2))
    return np.asarray(found)


def grid(
    races: int, seed: int, question: str, population: bool
) -> Iterator[tuple[str, int, int, float, Ended]]:
    """Yield what became of the races of each kind."""
    random = np.random.default_rng(seed)
    kinds = (*KINDS, "15 to 70 %")
    for candidates, problems, correlation, kind in product(FIELDS, SIZES, CORRELATIONS, kinds):
        true = rates(kind, candidates)
        solved = outcomes(random, races, problems, true, correlation)
        yield kind, candidates, problems, correlation, race(solved, true, question, population)


def table(cells: list[tuple[str, int, int, float, Ended]]) -> str:
    """Return the share of generations made and of wrong races, as Markdown."""
    kinds = list(dict.fromkeys(kind for kind, *_ in cells))
    lines = [
        "| candidates | problems | correlation | " + " | ".join(kinds) + " | wrong |",
        "|---:|---:|---:|" + "---:|" * (len(kinds) + 1),
    ]
    rows = dict.fromkeys((cell[1:4]) for cell in cells)
    for row in rows:
        those = {kind: ended for kind, *where, ended in cells if tuple(where) == row}
        made = " | ".join(f"{100 * those[kind].made.mean():.0f} %" for kind in kinds)
        wrong = np.concatenate([ended.wrong for ended in those.values()])
        shown = " | ".join(str(each) for each in row)
        lines.append(f"| {shown} | {made} | {100 * wrong.mean():.1f} % |")
    return "\n".join(lines)


def summary(cells: list[tuple[str, int, int, float, Ended]]) -> str:
    """Return how often something was wrong, in all and per kind, as Markdown."""
    lines = [
        "| | races | wrong | in the worst cell | not so on this set | worse | equal | one best |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    kinds = list(dict.fromkeys(kind for kind, *_ in cells))
    for name in (*kinds, "all"):
        those = [ended for kind, *_, ended in cells if name in (kind, "all")]
        mean = {
            each.name: 100 * np.concatenate([getattr(ended, each.name) for ended in those]).mean()
            for each in fields(Ended)
        }
        worst = max(100 * each.wrong.mean() for each in those)
        races = sum(len(each.wrong) for each in those)
        lines.append(
            f"| {name} | {races:,} | {mean['wrong']:.2f} % | {worst:.1f} % |"
            f" {mean['wrong_here']:.2f} % | {mean['worse']:.0f} % | {mean['equal']:.0f} % |"
            f" {mean['best']:.0f} % |"
        )
    return "\n".join(lines)


def plain(solved: np.ndarray, alpha: float = 0.05, block: int = BLOCK) -> Ended:
    """Run races with a beta mixture on discordant problems and Bonferroni's correction."""
    count, problems, candidates = solved.shape
    log_factorial = np.cumsum(np.log(np.maximum(np.arange(problems + 2), 1)))
    least = np.log(candidates * (candidates - 1) / 2 / alpha)
    wins = np.zeros((count, candidates, candidates), dtype=int)
    running = np.ones((count, candidates), dtype=bool)
    worse, made = ~running, np.zeros(count)
    for start in range(0, problems, block):
        part = solved[:, start : start + block]
        made += running.sum(axis=1) * part.shape[1]
        both = running[:, :, None] & running[:, None, :]
        alone = (part[:, :, :, None] * (1 - part[:, :, None, :])).sum(axis=1)
        wins += np.where(both, alone, 0).astype(int)
        losses = wins.transpose(0, 2, 1)
        every = wins + losses
        mixture = log_factorial[wins] + log_factorial[losses] - log_factorial[every + 1]
        found = (mixture + every * np.log(2) >= least) & (losses > wins) & both
        worse |= found.any(axis=2)
        running &= ~worse
        running &= (running.sum(axis=1) > 1)[:, None]
    none = np.zeros(count)
    return Ended(
        made / (problems * candidates), none, none, worse.mean(axis=1), none, worse.sum(axis=1)
    )


def against_plain(races: int, seed: int) -> str:
    """Return what a plain test takes and finds, and what a race does, as Markdown."""
    random = np.random.default_rng(seed)
    lines = [
        "| eight candidates | problems | plain | race | race, this set |",
        "|---|---:|---:|---:|---:|",
    ]
    for kind, problems in product(("15 to 70 %", "one leads by 15", "equal"), (164, 542)):
        true = rates(kind, 8)
        halves = [outcomes(random, races // 2, problems, true, each) for each in CORRELATIONS]
        solved = np.concatenate(halves)
        found = [plain(solved), race(solved, true), race(solved, true, population=False)]
        cells = (f"{100 * e.made.mean():.0f} %, {100 * e.worse.mean():.0f} %" for e in found)
        lines.append(f"| {kind} | {problems} | {' | '.join(cells)} |")
    return "\n".join(lines)


def alike(races: int, seed: int) -> str:
    """Return how often candidates of equal rates are told as equal, as Markdown."""
    random = np.random.default_rng(seed)
    lines = [
        "| candidates | problems | differ on | made | told as equal | wrong |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for candidates, problems, correlation in product((2, 4), SIZES, (0.9, 0.98, 0.995)):
        true = (0.6,) * candidates
        solved = outcomes(random, races, problems, true, correlation)
        ended = race(solved, true)
        differ = np.abs(solved[..., 0] - solved[..., 1]).mean()
        shares = (differ, ended.made.mean(), ended.equal.mean())
        cells = " | ".join(f"{100 * share:.0f} %" for share in shares)
        wrong = f"{100 * ended.wrong.mean():.1f} %"
        lines.append(f"| {candidates} | {problems} | {cells} | {wrong} |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--races", type=int, default=100, help="races of each kind")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(
        f"### Against a plain test: made, found worse\n\n{against_plain(given.races, given.seed)}"
    )
    print(f"\n### Candidates that are alike\n\n{alike(10 * given.races, given.seed)}", flush=True)
    for population, question in product((True, False), ("best", "order")):
        cells = list(grid(given.races, given.seed, question, population))
        title = f"{question}, about {'problems like these' if population else 'this set'}"
        print(f"\n### {title}\n\n{table(cells)}\n\n{summary(cells)}", flush=True)


if __name__ == "__main__":
    main()
