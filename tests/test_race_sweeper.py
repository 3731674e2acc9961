"""`hydra/sweeper=race`: rounds of jobs until it is known who is best."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from conftest import ROOT, Workplace
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, open_dict

from experiments import app
from experiments.app.race import race
from experiments.errors import ConfigError, UserError
from experiments.records import Outcome, Verdict
from experiments.report import racing
from experiments.stats.race import in_race_order
from experiments.store import files, runs

RACE = ("-m", "hydra/sweeper=race", "backend=scripted", "limit=40", "race.block=10")


@pytest.fixture(autouse=True)
def _hydra() -> Iterator[None]:
    assert app.main  # registers the schema
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield


def config(folder: Path, *overrides: str) -> DictConfig:
    found = compose(
        "config",
        overrides=[f"dataset.folder={ROOT / 'problems'}", *overrides],
        return_hydra_config=True,
    )
    with open_dict(found):
        found.hydra.sweep.dir = str(folder)
        found.hydra.runtime.output_dir = str(folder)
    return found


class Jobs:
    """Jobs that need no process: a model of the name `0.7` solves 7 of 10 problems."""

    def __init__(self, folder: Path, fails: str = "", problems: int = 60) -> None:
        self.folder = folder
        self.launched: list[dict[str, str]] = []
        self._fails = fails
        self._order = in_race_order(self._ids(problems), seed=0)

    @staticmethod
    def _ids(problems: int) -> list[str]:
        from experiments.problems.own import load_own

        return [each.id for each in load_own(str(ROOT / "problems")).problems[:problems]]

    def __call__(self, jobs: Sequence[Sequence[str]]) -> None:
        for job in jobs:
            given = {key: value for key, _, value in (each.partition("=") for each in job)}
            self.launched.append(given)
            folder = self.folder / given["hydra.sweep.subdir"]
            folder.mkdir(parents=True, exist_ok=True)
            if given["model"] == self._fails and given["race.start"] == "20":
                (folder / "failure.txt").write_text("out of memory\n")
                continue
            start, stop = int(given["race.start"]), int(given["race.stop"])
            verdicts = [self._verdict(place, float(given["model"])) for place in range(start, stop)]
            files.write_records(folder / "verdicts.jsonl", verdicts)
            (folder / "metrics.json").write_text("{}")

    def _verdict(self, place: int, rate: float) -> Verdict:
        solved = (place * 3) % 10 < 10 * rate
        outcome = Outcome.PASSED if solved else Outcome.WRONG_ANSWER
        return Verdict(self._order[place], 0, outcome, outcome, 1, 1, 0, 0)

    def parts(self, model: str) -> list[tuple[int, int]]:
        """The problems that each job of a model answered."""
        return [
            (int(job["race.start"]), int(job["race.stop"]))
            for job in self.launched
            if job["model"] == model
        ]


def models(*rates: str) -> list[list[str]]:
    return [[f"model={rate}", "prompt=plain"] for rate in rates]


def test_each_round_answers_the_next_block_and_each_candidate_ends_with_a_run_of_its_own(
    tmp_path: Path,
) -> None:
    jobs = Jobs(tmp_path)
    race(config(tmp_path, "race.block=10"), models("0.1", "0.9", "0.8"), jobs)
    assert jobs.parts("0.1")[0] == (0, 10)
    assert jobs.parts("0.1")[-1] == (0, jobs.parts("0.1")[-2][1])
    last = max(stop for _, stop in jobs.parts("0.9"))
    rounds = [(start, start + 10) for start in range(0, last, 10)]
    assert jobs.parts("0.9") == [*rounds, (0, last)]
    closing = jobs.launched[-3:]
    assert [job["hydra.sweep.subdir"] for job in closing] == ["0", "1", "2"]
    assert all("tracking.enabled" not in job for job in closing)
    assert all(job["tracking.enabled"] == "false" for job in jobs.launched[:-3])

    kept = json.loads((tmp_path / "race.json").read_text())
    assert kept["over"]
    assert kept["leader"] == "0.9"
    worst = kept["runners"][0]
    assert (worst["candidate"], worst["finding"], worst["folder"]) == ("0.1", "worse", "0")
    assert worst["problems"] == jobs.parts("0.1")[-1][1] < last
    assert [point["problems"] for point in worst["curve"]] == list(range(10, last, 10))[
        : len(worst["curve"])
    ]
    found = racing.read(tmp_path)
    assert racing.told(found)[2].startswith("0.1: worse than the best (solved 2 of 20")
    assert racing.headline(found).startswith("On problems like these, 0.9")


def test_a_race_can_be_about_these_problems_alone(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, problems=20)
    asked = ("limit=20", "race.population=false", "race.question=order")
    race(config(tmp_path, *asked), models("0.5", "0.6"), jobs)
    found = racing.read(tmp_path)
    assert racing.headline(found).startswith("On these 20 problems, 0.6 is the best")
    assert racing.told(found)[0].startswith("0.6: the best (solved 12 of 20")
    assert racing.told(found)[-1] == "0.5 is worse than 0.6 (after 20)"


def test_a_job_that_fails_ends_the_race_and_shows_as_failed(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, fails="0.8")
    race(config(tmp_path, "race.block=10"), models("0.9", "0.8"), jobs)
    assert jobs.parts("0.9") == [(0, 10), (10, 20), (20, 30), (0, 20)]
    assert jobs.parts("0.8") == [(0, 10), (10, 20), (20, 30)]
    assert (tmp_path / "1" / "failure.txt").exists()
    assert not (tmp_path / "1" / "metrics.json").exists()
    assert "The race is not over: after 20 of 60" in racing.headline(racing.read(tmp_path))


@pytest.mark.parametrize(
    ("candidates", "overrides", "words"),
    [
        (models("0.5"), (), "A race needs two candidates or more"),
        (models("0.5", "0.5"), (), "given twice"),
        (models("0.5", "0.6"), ("race.alpha=2",), "race.alpha=2.0 is out of range"),
        (models("0.5", "0.6"), ("race.alpha=0",), "race.alpha=0.0 is out of range"),
        (models("0.5", "0.6"), ("race.margin=0",), "race.margin=0.0 is out of range"),
        (models("0.5", "0.6"), ("race.block=0",), "race.block=0 is out of range"),
        (models("0.5", "0.6"), ("limit=0",), "limit=0 is out of range"),
        (
            models("0.5", "0.6"),
            ("sampling.samples=3", "sampling.temperature=0.8"),
            "one answer per problem, and sampling.samples=3",
        ),
        ([["seed=1"], ["seed=2"]], (), "cannot differ in seed"),
        ([["dataset.folder=a"], ["dataset.folder=b"]], (), "cannot differ in dataset.folder"),
        ([["sampling.samples=1"], ["sampling.samples=2"]], (), "differ in sampling.samples"),
    ],
)
def test_what_is_no_race_is_told_in_one_line(
    tmp_path: Path, candidates: list[list[str]], overrides: tuple[str, ...], words: str
) -> None:
    jobs = Jobs(tmp_path)
    with pytest.raises(ConfigError, match=words.replace("(", r"\(")) as error:
        race(config(tmp_path, *overrides), candidates, jobs)
    assert "\n" not in str(error.value)
    assert jobs.launched == []


def test_a_data_set_that_is_not_here_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder /nowhere"):
        race(config(tmp_path, "dataset.folder=/nowhere"), models("1", "0"), Jobs(tmp_path))


@pytest.mark.slow
def test_a_race_from_the_command_line(workplace: Workplace) -> None:
    done = workplace.run(*RACE, "backend.mode=reference,wrong", "hydra.sweep.dir=outputs/sweep")
    assert done.returncode == 0, done.stderr
    assert "reference: the best" in done.stdout
    assert "wrong: worse than the best" in done.stdout
    folder = workplace.folder / "outputs" / "sweep"
    runners = json.loads((folder / "race.json").read_text())["runners"]
    assert {path.name for path in folder.glob("*/metrics.json")} == {"metrics.json"}
    for index, runner in enumerate(runners):
        verdicts = runs.read_verdicts(folder / str(index))
        assert len(verdicts) == runner["problems"] < 40
        manifest = json.loads((folder / str(index) / "manifest.json").read_text())
        assert not [label for label in manifest["labels"] if label.startswith("race.")]

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{workplace.folder}/mlruns/mlflow.db")
    found = client.search_runs([each.experiment_id for each in client.search_experiments()])
    jobs = [run for run in found if run.data.tags["kind"] == "run"]
    assert len(jobs) == 2
    assert {run.data.params["race.stop"] for run in jobs} == {str(runners[0]["problems"])}


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    [
        (),
        *(
            pytest.param(
                ("hydra/launcher=joblib", f"hydra.launcher.n_jobs={jobs}"), marks=pytest.mark.soak
            )
            for jobs in (1, 2)
        ),
    ],
)
def test_a_race_that_fails_goes_on_with_the_same_command(
    workplace: Workplace, launcher: tuple[str, ...]
) -> None:
    """In each round a job's folder has what the one before left."""
    if launcher:
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="it is not installed")
    command = (*RACE, "backend.mode=reference,wrong", "tracking.enabled=false", *launcher)
    done = workplace.run(*command, "backend.fails_after=4")
    assert done.returncode == 1
    assert "2 jobs failed" in done.stderr
    assert "Traceback" not in done.stderr
    assert answers(workplace) == 8
    done = workplace.run(*command)
    assert done.returncode == 0, done.stderr
    assert "reference: the best" in done.stdout
    assert "Traceback" not in done.stderr
    asked = answers(workplace)
    assert workplace.run(*command).returncode == 0
    assert answers(workplace) == asked, "what is in the store is not generated again"


def answers(workplace: Workplace) -> int:
    """Return how many generations the store has."""
    files = workplace.folder.glob("outputs/store/*.jsonl")
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)


def test_a_race_of_one_from_the_command_line_is_one_line(workplace: Workplace) -> None:
    done = workplace.run(*RACE, "backend.mode=wrong", "tracking.enabled=false")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("error: A race needs two candidates")
    assert "Traceback" not in done.stderr
