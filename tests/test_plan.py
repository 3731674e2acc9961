"""What a sweep will take is said before it begins, and nothing is done for that."""

import json
import shutil
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from conftest import ROOT, Workplace
from hydra import initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from rich.console import Console
from rich.progress import Progress

from experiments import app, cli, store
from experiments.app import plan as planning
from experiments.app.jobs import combinations
from experiments.app.plan import SweepPlan
from experiments.backends.llama_cpp import measuring
from experiments.environment import machine, terminal
from experiments.experiment import estimating, forecast
from experiments.experiment.estimating import Cost, Estimate, Job, Past
from experiments.experiment.forecast import FROM_NOTHING, FROM_PAST, Forecaster
from experiments.records import FinishReason, Generation
from experiments.schema import BITS_PER_WEIGHT
from experiments.weights import Fetch, Make, header
from experiments.weights.levels import TENSOR_TYPES
from experiments.weights.workload import NUMBERS, Workload, main_type

JOB = Job("m", "q4_0", "plain", "problems", "abc", "here", 60, 60 * 700, 350, 1024, parallel=16)
PAST = Past(
    "m", "q4_0", "plain", "problems", "abc", "here",
    completions=20, prompt_tokens=4000, new_tokens=2000, seconds=100.0, timed=20, timed_tokens=2000,
)  # fmt: skip


@pytest.fixture
def place(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the demo model's F16 and its problems."""
    monkeypatch.chdir(workplace.folder)
    (workplace.folder / "models" / "demo").unlink()
    (workplace.folder / "models" / "demo").mkdir()
    source = ROOT / "models" / "demo" / "demo-f16.gguf"
    (workplace.folder / "models" / "demo" / source.name).symlink_to(source)
    return workplace.folder


def foreseen(*overrides: str, measures: bool = False) -> SweepPlan:
    """Return the plan of some overrides."""
    assert app.main  # registers the schema
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return planning.plan(overrides, measures)


def told(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *words: str,
    columns: int = 80,
) -> tuple[int, str, str]:
    """Return the exit code, output and errors of `experiments plan`."""
    monkeypatch.setattr(terminal.results, "width", columns)
    code = cli.main(["plan", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


# The jobs of a sweep.


@pytest.mark.parametrize(
    ("params", "overrides"),
    [
        ({}, ["limit=3"]),
        ({}, ["model=mistral,dolphin", "quantization=q4_k_m,q8_0", "prompt=plain"]),
        ({"model": "a,b"}, ["model=c", "seed=range(1,4)"]),
        ({"model": "a,b", "limit": 7}, ["+x=[1,2],[3]", "prompt='a, b',c"]),
    ],
)
def test_jobs_are_those_of_hydra_s_sweeper(params: dict[str, object], overrides: list[str]) -> None:
    parser = OverridesParser.create()
    given = [*(f"{key}={value}" for key, value in params.items()), *overrides]
    expected = BasicSweeper.split_arguments(parser.parse_overrides(given), None)
    assert combinations(parser, params, overrides) == expected[0]


def test_a_saved_experiment_is_foreseen(place: Path) -> None:
    found = foreseen("experiment=under_4gb", "limit=2")
    assert len(found.jobs) == 9
    assert all(isinstance(job.decision, Fetch) for job in found.jobs)
    assert found.names[0] == "qwen2_5_coder_3b"
    assert not list((place / "models").glob("*/*.part"))


# Weights, generations, memory and disk.


def test_nothing_is_made_for_a_plan(place: Path) -> None:
    found = foreseen("quantization=q8_0,q2_k", "limit=2")
    assert all(isinstance(job.decision, Make) for job in found.jobs)
    assert [path.name for path in place.glob("models/demo/*")] == ["demo-f16.gguf"]
    assert not (place / "outputs").exists()
    files = forecast.new_files(found.jobs)
    assert [file.path.name for file in files] == ["demo-q8_0.gguf", "demo-q2_k.gguf"]
    assert {file.origin for file in files} == {"demo-f16.gguf"}


def test_generations_in_the_store_are_counted(place: Path) -> None:
    before = foreseen("quantization=f16", "limit=4")
    [job] = before.jobs
    assert (len(job.keys), len(job.kept), job.new) == (4, 0, 4)
    kept = store.GenerationStore(place / "outputs" / "store")
    for key in sorted(job.keys)[:3]:
        kept.append(Generation(key, "p", 0, "x", FinishReason.END_TOKEN, new_tokens=50))
    after = foreseen("quantization=f16", "limit=4")
    assert len(after.jobs[0].kept) == 3
    assert after.seconds.value < before.seconds.value / 2
    assert "4 generations: 3 in the store, 1 to be made." in after.lines()[0]
    assert not foreseen("quantization=f16", "limit=4", "cache=off").jobs[0].kept


@pytest.mark.parametrize("level", ["f16", "q8_0"])
@pytest.mark.slow
def test_what_jobs_share_is_generated_once(place: Path, level: str) -> None:
    found = foreseen(f"quantization={level}", "seed=1,2,3", "limit=2")  # greedy: no seed matters
    assert [job.new for job in found.jobs] == [2, 0, 0]
    assert list(found.names) == ["seed=1", "seed=2", "seed=3"]
    assert "3 jobs, 2 generations: 0 in the store, 2 to be made" in found.lines()[0]
    sampled = foreseen(f"quantization={level}", "seed=1,2,3", "limit=2", "sampling.temperature=1")
    assert [job.new for job in sampled.jobs] == [2, 2, 2]


def test_of_weights_that_are_not_here_nobody_knows_what_the_store_has(place: Path) -> None:
    found = foreseen("quantization=q8_0", "limit=1")
    assert "nobody knows what the store has" in found.lines()[0]


def test_a_file_made_from_one_to_fetch_is_both(place: Path) -> None:
    found = foreseen("model=mistral", "quantization=iq4_xs", "limit=1")
    files = forecast.new_files(found.jobs)
    assert [file.is_made for file in files] == [False, True]
    assert files[0].bytes == pytest.approx(7.24e9 * 2)
    assert files[1].bytes == pytest.approx(7.24e9 * BITS_PER_WEIGHT["iq4_xs"] / 8)


def test_what_a_run_refuses_a_plan_refuses(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "memory_available", lambda: 9 * 10**9)
    full = shutil.disk_usage(place)._replace(free=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    found = foreseen("model=mistral", "quantization=f16,q4_0", "limit=1")
    assert [bool(job.memory and job.memory.refusal) for job in found.jobs] == [True, True]
    first, second, disk = found.refusals
    assert "quantization=q6_k,q5_k_m,q4_k_m,q4_0,q3_k_m,q2_k" not in first
    assert "backend.parallel=1" in second
    assert disk.startswith("The weights need 18.")
    assert "the disk of models has 1.0 GB" in disk
    assert "2 of 2 do not fit" in found.lines()[2]


def test_a_key_that_is_missing_is_told_beside_the_price(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    code, out, err = told(capsys, monkeypatch, "model=gpt_4o", "backend=openai", "limit=10")
    assert code == 1
    assert "Price: 0.0" in out
    assert err.startswith("error: https://api.openai.com/v1 needs a key")
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert told(capsys, monkeypatch, "model=gpt_4o", "backend=openai", "limit=10")[0] == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["quantization=q9"], "There is no quantization 'q9'"),
        (["model=demoo"], "There is no model 'demoo'"),
        (["modle=demo"], "There is no setting 'modle'"),
        (["limit=0"], "limit=0 is out of range. Take 1 or more"),
        (["quantization=iq2_s"], "iq2_s cannot be made here"),
        (["model=local", "model.file=/nowhere.gguf"], "/nowhere.gguf cannot be read"),
        (["dataset.folder=/nowhere"], "/nowhere"),
        (["thinking=on"], "cannot be asked for thinking=on"),
        (["model=gpt_4o"], "it runs on a server. Add backend=openai"),
        (["model"], "The command line cannot be read"),
        (["seed=interval(1,2)"], "is no list of values"),
        (["hydra/sweeper=race", "quantization=q8_0"], "A race needs two candidates"),
        (["hydra/sweeper=race", "seed=1,2"], "The candidates of a race cannot differ in seed"),
        (["fidelity=true", "prompt=plain,cot"], "no two runs differ in that alone"),
    ],
)
def test_bad_input_is_one_line(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    expected: str,
) -> None:
    code, out, err = told(capsys, monkeypatch, *words)
    assert code == 1
    assert out == ""
    [line] = err.strip().splitlines()
    assert line.startswith("error: ")
    assert expected in line


def test_one_job_that_cannot_be_leaves_the_others(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = told(capsys, monkeypatch, "quantization=q8_0,iq2_s", "limit=2")
    assert code == 1
    assert "refused" in out
    assert "2 jobs, 2 generations" in out
    assert err.count("error: ") == 1


def test_jobs_that_are_refused_for_different_reasons_are_all_told(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = told(capsys, monkeypatch, "quantization=iq2_s,iq2_xs")
    assert code == 1
    assert "2 jobs, 0 generations: each job is refused." in out
    assert err.count("error: ") == 2


def test_a_plan_fits_80_columns(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("model=mistral,qwen3_30b_a3b", "quantization=q8_0,q4_k_m", "prompt=plain,paper_plain")
    _, out, _ = told(capsys, monkeypatch, *words)
    assert max(map(len, out.splitlines())) <= 80
    rows = [line for line in out.splitlines() if "60 of 60" in line]
    assert len(rows) == 8
    assert all("fetch ≈" in row and " to " in row for row in rows)


def test_a_narrow_terminal_has_the_names_of_jobs(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("quantization=f16,q8_0", "prompt=plain,cot", "limit=1")
    _, out, _ = told(capsys, monkeypatch, *words, columns=40)
    assert max(map(len, out.splitlines())) <= 40
    assert [line.split("  ")[0] for line in out.splitlines() if "1 of 1" in line] == [
        "f16 · plain",
        "f16 · cot",
        "q8_0 · plain",
        "q8_0 · cot",
    ]


def test_nothing_left_to_do_is_said(place: Path) -> None:
    [job] = foreseen("quantization=f16", "limit=2").jobs
    kept = store.GenerationStore(place / "outputs" / "store")
    for key in job.keys:
        kept.append(Generation(key, "p", 0, "x", FinishReason.END_TOKEN))
    done = foreseen("quantization=f16", "limit=2")
    assert done.lines()[0].endswith("all are in the store, and nothing is to be generated.")
    assert done.seconds.value == 0
    assert not done.refusals


@pytest.mark.slow
def test_a_long_sweep_begins_with_its_plan(workplace: Workplace) -> None:
    sweep = ("-m", "model=mistral,dolphin", "tracking.enabled=false")
    done = workplace.run(*sweep, HF_HUB_OFFLINE="1")
    first = done.stderr.splitlines()[:4]
    assert first[0].startswith("2 jobs, 120 generations: 0 in the store")
    assert [line.partition(":")[0] for line in first[1:]] == ["Weights", "Memory", "Time"]
    short = workplace.run("-m", "limit=1,2", "backend=scripted", "tracking.enabled=false")
    assert short.returncode == 0, short.stderr
    assert "generations:" not in short.stderr


# From earlier runs.


@pytest.mark.slow
def test_time_is_told_from_an_earlier_run_with_the_same_settings(place: Path) -> None:
    [job] = foreseen("quantization=f16", "limit=4").jobs
    assert job.source == FROM_NOTHING
    assert job.weights is not None
    folder = place / "outputs" / "earlier"
    folder.mkdir(parents=True)
    manifest = {"labels": dict(job.labels), "weights": {"sha256": job.weights.sha256}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "metrics.json").write_text("{}")
    made_on = made_on_of(["quantization=f16", "limit=4"])
    made = [
        Generation(
            str(number), "p", number, "x", FinishReason.END_TOKEN,
            prompt_tokens=100, new_tokens=50, wall_seconds=20.0, made_on=made_on,
        )
        for number in range(4)
    ]  # fmt: skip
    store.files.write_records(folder / "generations.jsonl", made)
    [again] = foreseen("quantization=f16", "limit=4").jobs
    assert again.source == FROM_PAST
    assert again.seconds is not None
    assert again.seconds.value == pytest.approx(80.0)
    elsewhere = [replace(each, made_on="another machine") for each in made]
    store.files.write_records(folder / "generations.jsonl", elsewhere)
    [there] = foreseen("quantization=f16", "limit=4").jobs
    assert there.source == FROM_NOTHING


def made_on_of(overrides: list[str]) -> str:
    """Return machine and settings of the job that these overrides make."""
    seen: list[Job] = []
    original = Forecaster._job

    def noted(self: Forecaster, *given: object) -> Job:
        seen.append(original(self, *given))  # type: ignore[arg-type]
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Forecaster, "_job", noted)
        foreseen(*overrides)
    return seen[0].made_on


def test_each_completion_of_the_same_question_takes_as_long() -> None:
    found = estimating.remembered(JOB, [PAST])
    assert found is not None
    assert found.value == 60 * 100.0 / 20
    other = estimating.remembered(replace(JOB, prompt="cot"), [PAST])
    assert other is not None
    assert other.value == pytest.approx(60 * 100 * 100.0 / 2000)  # 100 tokens of an answer
    assert other.factor > found.factor
    assert estimating.remembered(replace(JOB, made_on="there"), [PAST]) is None
    assert estimating.remembered(replace(JOB, sha256="other"), [PAST]) is None


def test_lengths_are_those_of_the_closest_question() -> None:
    other = replace(PAST, prompt="cot", new_tokens=8000)
    assert estimating.new_tokens(JOB, [PAST, other]).value == 100
    assert estimating.new_tokens(replace(JOB, dataset="mbpp"), [PAST, other]).value == 250
    assert estimating.new_tokens(replace(JOB, model="n"), [PAST]).value == estimating.USUAL_TOKENS
    thinker = replace(JOB, model="n", thinks=True, most_tokens=500)
    assert estimating.new_tokens(thinker, [PAST]).value == 500


def test_sums_keep_what_is_wrong_with_all() -> None:
    both = estimating.total([Estimate(10, 2), Estimate(20, 2)])
    assert (both.low, both.value, both.high) == (15, 30, 60)
    product = Estimate(3, 1.5).times(Estimate(2, 1.5))
    assert product.value == 6
    assert 1.5 < product.factor < 1.5**2


# From the speed of a machine.

COST = Cost(prefill=1e-11, steps={1: 1e-9, 16: 4e-9}, attention=0.0)


def test_a_step_lies_between_those_that_were_measured() -> None:
    assert COST.step(1) == COST.step(0.5) == 1e-9
    assert COST.step(8.5) == pytest.approx(2.5e-9)
    assert COST.step(31) == pytest.approx(7e-9)


def test_time_is_prefilling_and_steps() -> None:
    work, costs = Workload({"q4_0": 1e9}), {"q4_0": COST}
    found = estimating.modelled(JOB, work, costs, [PAST])
    prompt, shared = 200, 200 * 350 / 700
    prefill = (shared + 60 * (prompt - shared)) * 1e9 * 1e-11
    assert found.value == pytest.approx(prefill + 60 * 100 / 16 * 4.0)
    assert found.high < found.value * 1.5
    guess = {"q4_0": replace(COST, is_measured=False)}
    assert estimating.modelled(JOB, work, guess, [PAST]).factor > 1.5 * found.factor
    one = estimating.modelled(replace(JOB, parallel=1), work, costs, [PAST])
    assert one.value == pytest.approx(prefill + 60 * 100 * 1.0)


def test_attention_grows_with_what_is_kept() -> None:
    costs = {"q4_0": replace(COST, attention=1e-9)}
    work = Workload({"q4_0": 1e9})
    plain, kept = (
        estimating.modelled(replace(JOB, kv_values_per_token=n), work, costs, [PAST]).value
        for n in (0, 10_000)
    )
    assert kept - plain == pytest.approx(60 * 100 * (200 + 50) * 10_000 * 1e-9)


def test_experts_cost_less_than_weights_that_all_pass_through() -> None:
    costs = {"q4_0": COST}
    dense = estimating.modelled(JOB, Workload({"q4_0": 1e9}), costs, [PAST]).value
    mixed = Workload({}, {"q4_0": 1e9}, used=1 / 8)
    assert dense / 8 < estimating.modelled(JOB, mixed, costs, [PAST]).value < dense / 2
    alone = replace(JOB, parallel=1)
    seconds = estimating.modelled(alone, mixed, costs, [PAST]).value
    whole = estimating.modelled(alone, Workload({"q4_0": 1e9}), costs, [PAST]).value
    assert seconds == pytest.approx(whole / 8)


def test_dollars_are_tokens_times_prices() -> None:
    found = estimating.dollars(JOB, (1e-6, 1e-5), [PAST])
    assert found.value == pytest.approx(60 * (200 * 1e-6 + 100 * 1e-5))


def test_every_level_has_a_type_of_tensors() -> None:
    assert main_type("q4_k_m") == "q4_k"
    assert main_type("iq2_m").startswith("iq")
    assert {main_type(level) for level in BITS_PER_WEIGHT} <= set(NUMBERS)


@pytest.mark.parametrize("name", ["q4_k", "q8_0", "f16"])
def test_the_model_that_is_measured_is_whole(tmp_path: Path, name: str) -> None:
    number = NUMBERS[name]
    kind = measuring.TensorType(number, *TENSOR_TYPES[number])
    path = tmp_path / "zeros.gguf"
    measuring._write(path, kind)
    found = header.read(path)
    assert found.types.most_common(1)[0][0] == name
    assert 100e6 < found.file_bytes < 400e6
    assert path.stat().st_blocks * 512 < 1e6, "a hole takes no room"


@pytest.mark.slow
def test_a_machine_is_measured_once(place: Path) -> None:
    overrides = ["model=mistral", "quantization=q4_0", "limit=1"]
    [job] = foreseen(*overrides, measures=True).jobs
    assert job.source == forecast.FROM_MEASURING
    [again] = foreseen(*overrides).jobs
    assert again.source == forecast.FROM_MEASURING
    assert again.seconds == job.seconds
    assert not list((place / "outputs" / "cache").glob(".measured*"))


# How it is told.


def test_times_are_short() -> None:
    assert [terminal.duration(n) for n in (0.2, 59, 90, 1500, 9000, 4e5)] == [
        "1 s", "59 s", "1.5 min", "25 min", "2.5 h", "4.6 days",
    ]  # fmt: skip
    assert terminal.spread(660, 3420) == "11 to 57 min"
    assert terminal.spread(660, 7200) == "11 min to 2.0 h"


def test_the_bar_says_when_it_will_be_over() -> None:
    clock = [0.0]
    progress = Progress(console=Console(file=StringIO()), get_time=lambda: clock[0])
    number = progress.add_task("Generating", total=20, completed=4, before=4)
    [task] = progress.tasks
    column = terminal.TimeColumn()
    clock[0] = 120.0
    assert column.render(task).plain == "2.0 min"
    progress.advance(number, 4)
    assert column.render(task).plain.startswith("6.0 min left, over ")
    progress.advance(number, 12)
    assert column.render(task).plain == "2.0 min"


def test_a_plan_is_five_lines_at_most(place: Path) -> None:
    found = foreseen("model=mistral,gpt_4o", "limit=1")
    assert isinstance(found, SweepPlan)
    assert 3 <= len(found.lines()) <= 5
