import json
import math
import os
import shutil
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_model import write_tiny_model

from experiments import cli, report
from experiments.backends.llama_cpp import LlamaCpp, evaluating, host
from experiments.backends.llama_cpp.engine import Settings
from experiments.backends.llama_cpp.evaluating import Evaluator, Text, text_of
from experiments.backends.llama_cpp.model import Model
from experiments.experiment.fidelity import as_written
from experiments.extract import thoughts
from experiments.records import FinishReason, Generation, Message, Prompt, Weights
from experiments.report import fidelity
from experiments.schema import Sampling
from experiments.stats.divergence import Scores, compare, divergence, log_softmax

ANSWER = "```python\ndef f(x):\n    return x + 1\n```"


@pytest.fixture(autouse=True)
def _no_worker_is_left() -> Iterator[None]:
    yield
    host.close_worker()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf", scale=0.3)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model whose last layer alone is another."""
    return write_tiny_model(tmp_path_factory.mktemp("other") / "other.gguf", scale=0.4)


def weights_of(path: Path, vocabulary: int = 300) -> Weights:
    size = path.stat().st_size
    template = "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    return Weights(
        path, str(path), "tiny", "f16", size, 16.0, size // 2, chat_template=template,
        bos_token="<s>", eos_token="</s>", vocabulary=vocabulary, context_tokens=2048,
    )  # fmt: skip


def evaluated(
    path: Path, rows: Path, is_reference: bool, answers: int = 3, vocabulary: int = 300
) -> tuple[dict[str, Scores], int, dict[str, Any]]:
    made = LlamaCpp(weights_of(path, vocabulary), parallel=1, threads=1)
    prompts = [
        Prompt(f"p/{n}", "f", messages=(Message("user", f"Write a program. Number {n}."),))
        for n in range(answers)
    ]
    requests = made.prepare(prompts, Sampling(), 0)
    texts = [(one, ANSWER * (n + 1)) for n, one in enumerate(requests)]
    sizes: list[Any] = []
    scores, peak = made.evaluate(texts, rows, is_reference, sizes.append, lambda: None)
    return scores, peak, sizes[0]


# The formulas.


def test_the_divergence_is_that_of_the_definition() -> None:
    p, q = np.array([[0.5, 0.25, 0.25], [0.9, 0.05, 0.05]]), np.array([[0.2, 0.3, 0.5]] * 2)
    by_hand = [
        0.5 * math.log(0.5 / 0.2) + 0.25 * math.log(0.25 / 0.3) + 0.25 * math.log(0.25 / 0.5),
        0.9 * math.log(0.9 / 0.2) + 0.05 * math.log(0.05 / 0.3) + 0.05 * math.log(0.05 / 0.5),
    ]
    assert divergence(np.log(p), np.log(q)) == pytest.approx(by_hand, rel=1e-12)
    assert divergence(np.log(p), np.log(p)).tolist() == [0.0, 0.0]


def test_large_logits_overflow_nothing() -> None:
    found = log_softmax(np.array([[1e4, 0.0, -1e4]], dtype=np.float32))
    assert found.tolist() == [[0.0, -1e4, -2e4]]


def scores(*values: tuple[float, int]) -> Scores:
    divergences, tops = zip(*values, strict=True)
    return Scores([0] * len(tops), [1.0] * len(tops), list(tops), list(divergences))


def test_tokens_weigh_alike_and_problems_are_what_is_drawn() -> None:
    reference = {"a": scores((0, 7), (0, 7), (0, 7)), "b": scores((0, 7))}
    level = {"a": scores((0.1, 7), (0.2, 8), (0.3, 7)), "b": scores((1.0, 7))}
    found = compare(reference, level)
    assert found["divergence"].value == pytest.approx(0.4)
    assert (found["divergence"].low, found["divergence"].high) == pytest.approx((0.2, 1.0))
    assert found["same_token"].value == 0.75
    assert found["perplexity"].value == pytest.approx(math.e)
    assert found["same_text"].value == 0.5
    assert found["divergence_p99"].value == pytest.approx(np.quantile([0.1, 0.2, 0.3, 1.0], 0.99))


def test_texts_part_at_the_first_token_that_is_another() -> None:
    reference = {str(n): scores((0, 1), (0, 2), (0, 3)) for n in range(3)}
    level = {
        "0": scores((0, 1), (0, 9), (0, 9)),
        "1": scores((0, 1), (0, 2), (0, 9)),
        "2": scores((0, 1), (0, 2), (0, 3)),
    }
    assert [level[each].parts_at(reference[each]) for each in "012"] == [2, 3, math.inf]
    assert compare(reference, level)["parts_at"].value == 3
    assert compare(reference, reference)["parts_at"].value == math.inf


def test_problems_that_are_all_alike_have_no_interval() -> None:
    same = {"a": scores((0.1, 1)), "b": scores((0.1, 1))}
    assert compare(same, same)["divergence"] == (pytest.approx(0.1), None, None)


# What a model says of texts.


def test_a_level_does_not_diverge_from_itself(tiny: Path, tmp_path: Path) -> None:
    reference, _, size = evaluated(tiny, tmp_path / "rows", True)
    again, _, _ = evaluated(tiny, tmp_path / "rows", False)
    assert size["tokens"] == sum(len(each.tokens) for each in reference.values())
    assert size["bytes"] == (tmp_path / "rows").stat().st_size == size["tokens"] * 300 * 2
    found = compare(reference, again)
    assert found["divergence_p99"].value < 1e-6  # what float16 leaves out
    assert found["same_token"].value == 1.0
    assert found["perplexity"] == found["perplexity_reference"]
    assert found["parts_at"].value == math.inf


def logits_of(path: Path, text: Text) -> Any:
    """Return the logits of a text, of which all tokens but the last were read in one call."""
    import llama_cpp.llama_cpp as llama

    model = Model(str(path))
    parameters = llama.llama_context_default_params()
    parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = 1024
    context = llama.llama_init_from_model(model.pointer, parameters)
    count = len(text.tokens) - 1
    batch = llama.llama_batch_init(count, 0, 1)
    batch.n_tokens = count
    for place, token in enumerate(text.tokens[:-1]):
        batch.token[place], batch.pos[place], batch.n_seq_id[place] = token, place, 1
        batch.seq_id[place][0], batch.logits[place] = 0, 1
    assert llama.llama_decode(context, batch) == 0
    found = np.ctypeslib.as_array(llama.llama_get_logits(context), (count, model.size)).copy()
    llama.llama_free(context)
    model.close()
    return found[text.start - 1 :].astype(np.float64)


def test_figures_are_those_of_an_independent_computation(
    tiny: Path, other: Path, tmp_path: Path
) -> None:
    reference, _, _ = evaluated(tiny, tmp_path / "rows", True)
    level, _, _ = evaluated(other, tmp_path / "rows", False)
    assert level["p/2"].divergences
    model = Model(str(tiny))
    request = LlamaCpp(weights_of(tiny)).prepare(
        [Prompt("p", "f", messages=(Message("user", "Write a program. Number 2."),))], Sampling(), 0
    )[0]
    text = text_of(model, "p", request.text, ANSWER * 3, True)
    model.close()
    assert list(reference["p/2"].tokens) == text.tokens[text.start :]
    p, q = (np.exp(logits_of(path, text)) for path in (tiny, other))
    p, q = p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)
    expected = (p * np.log(p / q)).sum(1)
    assert expected.min() > 1e-4
    assert np.array(level["p/2"].divergences) == pytest.approx(expected, rel=2e-2)
    assert np.mean(level["p/2"].divergences) == pytest.approx(expected.mean(), rel=2e-3)
    own = -np.log(q[np.arange(len(q)), text.tokens[text.start :]])
    assert np.array(level["p/2"].surprisals) == pytest.approx(own, rel=1e-3)
    assert list(level["p/2"].tops) == q.argmax(1).tolist()


def test_what_texts_share_changes_no_figure(tiny: Path, tmp_path: Path) -> None:
    model = Model(str(tiny))
    texts = [
        text_of(model, f"{n}", "Write a program, and write it well. " * 4 + f"{n}", ANSWER, False)
        for n in range(3)
    ]
    made = Evaluator(model, Settings(1, 1, 1024), 1024)
    together = {one["key"]: one for one in made.evaluate(texts, tmp_path / "rows", True)}
    alone = {}
    for text in texts:
        fresh = Evaluator(model, Settings(1, 1, 1024), 1024)
        alone |= {one["key"]: one for one in fresh.evaluate([text], tmp_path / "rows", True)}
        fresh.close()
    made.close()
    model.close()
    for key, one in together.items():
        assert one["surprisals"] == pytest.approx(alone[key]["surprisals"], rel=1e-3)


def test_an_answer_is_cut_into_tokens_as_it_stands_behind_the_prompt(tiny: Path) -> None:
    model = Model(str(tiny))
    text = text_of(model, "p", "Prompt:", ANSWER, True)
    assert b"".join(map(model.piece, text.tokens[text.start :])).decode() == ANSWER
    assert text.scored == len(text.tokens) - text.start > 0
    model.close()


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("<user>Hi<assistant>", "<think>\nFirst, this.\n</think>\n\nThe answer."),
        ("<user>Hi<assistant><think>\n", "First, this.\n</think>\n\nThe answer."),
        ("<user>Hi<assistant>", "The answer."),
        ("<user>Hi<assistant>", "<think>\nNever finished"),
    ],
)
def test_a_thought_is_part_of_the_text(prompt: str, text: str) -> None:
    reader = thoughts.ThoughtReader(opened=thoughts.opened_by(prompt))
    content = bytearray(text.encode())
    reader.follow(content)
    parts = reader.parts(content)
    generation = Generation(
        "k", "p", 0, parts.answer, FinishReason.END_TOKEN,
        thought=parts.thought, thought_finished=parts.is_finished, is_split=True,
    )  # fmt: skip
    assert as_written(generation, prompt, "{{ '<think>' }}", thoughts.STYLES) == text


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.slow
def test_memory_stays_below_one_model_and_500_megabytes(tmp_path: Path) -> None:
    """With the vocabulary of the largest models, and never two of them at once."""
    vocabulary = 150_000
    path = write_tiny_model(tmp_path / "wide.gguf", vocabulary=vocabulary, layers=1)
    for is_reference in (True, False):
        _, peak, size = evaluated(path, tmp_path / "rows", is_reference, 6, vocabulary)
        assert size["tokens"] > evaluating.SCORED_AT_ONCE
        assert 0 < peak < path.stat().st_size + 500e6


# The command.


@pytest.fixture
def place(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "models" / "demo").mkdir(parents=True)
    os.symlink(root / "models/demo/demo-f16.gguf", tmp_path / "models/demo/demo-f16.gguf")
    (tmp_path / "problems").symlink_to(root / "problems")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_levels_are_compared_with_the_highest_that_is_here(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["fidelity", "model=demo", "quantization=q8_0,q2_k", "limit=3"]
    assert cli.main(asked) == 0
    said = capsys.readouterr()
    assert "Compared with f16" in said.err
    assert "on the reference solutions: 3 problems" in said.out
    assert max(map(len, said.out.split("Kept:")[0].splitlines()[3:])) <= 120
    [file] = place.glob("outputs/fidelity/*/*/fidelity.json")
    assert sorted(path.name for path in file.parent.iterdir()) == ["fidelity.json"]
    found = json.loads(file.read_text())
    reference, fine, coarse = found["levels"]
    assert (found["reference"], found["precision"]) == ("f16", "float16")
    assert reference["estimates"] == {}
    assert reference["metrics"] == {}  # nothing was generated
    near, far = fine["estimates"]["divergence"], coarse["estimates"]["divergence"]
    assert 0 < near["low"] <= near["value"] <= near["high"] < far["low"]
    assert len(fine["by_problem"]) == 3
    assert "parts_at" not in fine["estimates"]  # of solutions that no model wrote


@pytest.mark.slow
def test_answers_of_the_store_are_compared_and_their_verdicts_beside_them(
    workplace: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = workplace.run(
        "-m", "quantization=f16,q2_k", "limit=4", "tracking.enabled=false", "backend.threads=1"
    )
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(workplace.folder)
    asked = ["quantization=q2_k", "reference=f16", "limit=4", "backend.threads=1"]
    assert cli.main(["fidelity", *asked]) == 0
    said = capsys.readouterr()
    assert "on f16's own answers: 4 problems" in said.out
    [file] = workplace.folder.glob("outputs/fidelity/*/*/fidelity.json")
    reference, level = json.loads(file.read_text())["levels"]
    assert reference["metrics"]["pass_at_1/plus"] >= level["metrics"]["pass_at_1/plus"]
    assert level["metrics"]["speed/tokens_per_second"] > 0
    rates = [each["solved"] for each in level["by_problem"].values()]
    of_reference = [each["solved"] for each in reference["by_problem"].values()]
    lost = sum(a < b for a, b in zip(rates, of_reference, strict=True))
    assert len(level["lost"]) == lost
    assert level["won"] == []
    assert "parts_at" in level["estimates"]
    # A greedy text is its own most likely one.
    assert math.exp(
        sum(each["surprisal"] for each in reference["by_problem"].values())
        / sum(each["tokens"] for each in reference["by_problem"].values())
    ) == pytest.approx(level["estimates"]["perplexity_reference"]["value"])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "Which levels are to be compared is missing"),
        (("quantization",), "'quantization' is not understood"),
        (("quantization=q9",), "There is no quantization 'q9'. "),
        (("quantization=q8_0", "reference=f61"), "There is no quantization 'f61'. "),
        (("quantization=f16",), "f16 is the reference, and there is no other level"),
        (
            ("quantization=q8_0", "model=demmo"),
            "There is no model 'demmo' (conf/model/demmo.yaml). Did you mean 'demo'?",
        ),
        (("quantization=q8_0", "model=demo,mistral"), "One model at a time"),
        (("quantization=q8_0", "dataset=nothing"), "There is no dataset 'nothing'"),
        (("quantization=q8_0", "limmit=3"), "There is no setting 'limmit'"),
        (("quantization=q8_0", "limit=0"), "limit=0 is out of range"),
        (("quantization=q8_0", "backend=openai", "model=gpt_4o"), "Only weights of this disk"),
        (("quantization=iq2_xxs", "reference=f16"), "cannot be made here"),
        (("quantization=q8_0", "backend.context_tokens=8", "limit=1"), "No text fits"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    place: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], line: str
) -> None:
    assert cli.main(["fidelity", *words]) == 1
    said = capsys.readouterr().err
    assert line in said
    assert "Traceback" not in said
    assert said.strip().splitlines()[-1].startswith("error: ")


def test_a_reference_that_cannot_be_had_is_told(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "models/demo/demo-f16.gguf").unlink()
    assert cli.main(["fidelity", "quantization=q8_0", "reference=f16"]) == 1
    said = capsys.readouterr().err
    assert "demo-f16.gguf" in said
    assert len(said.strip().splitlines()) == 1


def test_a_disk_without_room_is_told_before_the_work(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 500_100_000))
    assert cli.main(["fidelity", "quantization=q8_0", "limit=2"]) == 1
    said = capsys.readouterr().err
    assert "No room for the reference's probabilities" in said
    assert "limit=N" in said
    assert not list(place.glob("outputs/fidelity/*/*/*"))


# At the end of a sweep, and on the page.


@pytest.mark.soak
def test_a_sweep_compares_its_levels_and_tells_it_everywhere(workplace: Any) -> None:
    asked = ("-m", "fidelity=true", "quantization=q2_k,f16", "limit=4", "backend.threads=1")
    done = workplace.run(*asked, "hydra.sweep.dir=outputs/sweep")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    folder = workplace.folder / "outputs" / "sweep"
    kept = json.loads((folder / "1" / "fidelity.json").read_text())
    assert (kept["reference"], kept["texts"]) == ("f16", "answers")
    level = kept["levels"][1]
    lost, won = len(level["lost"]), len(level["won"])
    numbers = json.loads((folder / "0" / "metrics.json").read_text())
    assert numbers["fidelity/divergence"] == level["estimates"]["divergence"]["value"] > 0
    assert numbers["fidelity/divergence_low"] == level["estimates"]["divergence"]["low"]
    assert (numbers["fidelity/won"], numbers["fidelity/lost"]) == (won, lost)
    assert "pass_at_1/plus" in numbers
    reference = json.loads((folder / "1" / "metrics.json").read_text())
    assert not [name for name in reference if name.startswith("fidelity/")]
    told = "q2_k finds another token the most likely in "
    page = (folder / "report.html").read_text()
    for text in (done.stdout, page, (folder / "report.md").read_text().replace("\\_", "_")):
        assert told in text
    assert ">divergence, nats<" in page

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{workplace.folder}/mlruns/mlflow.db")
    run = client.get_run(json.loads((folder / "0" / "tracking.json").read_text())["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["fidelity/divergence"] == numbers["fidelity/divergence"]


@pytest.mark.slow
def test_a_sweep_without_levels_says_so_and_its_runs_stand(workplace: Any) -> None:
    asked = ("-m", "fidelity=true", "prompt=plain,cot", "limit=1", "tracking.enabled=false")
    done = workplace.run(*asked)
    assert done.returncode == 0, done.stderr
    assert "levels were not compared: fidelity=true compares levels of a model" in done.stderr
    assert len(workplace.runs) == 2


def test_a_backend_without_weights_refuses_before_it_begins(workplace: Any) -> None:
    done = workplace.run("fidelity=true", "backend=scripted", "tracking.enabled=false")
    assert done.returncode == 1
    assert "Only weights of this disk can be compared" in done.stderr


def test_a_single_run_has_no_levels_to_compare(workplace: Any) -> None:
    done = workplace.run("fidelity=true", "tracking.enabled=false")
    assert done.returncode == 1
    assert "fidelity=true compares levels of a model" in done.stderr
    assert "Generating" not in done.stderr


def level_of(name: str, bits: float, mean: float, won: list[str] | None) -> dict[str, Any]:
    """Return a level as `fidelity.json` has it; the reference where nothing diverges."""
    names = ("divergence", "divergence_p99", "perplexity", "perplexity_reference")
    estimates = {each: {"value": mean, "low": mean / 2, "high": 2 * mean} for each in names}
    estimates["same_token"] = {"value": 0.97, "low": None, "high": None}
    estimates["parts_at"] = {"value": None, "low": 3.0, "high": None}
    metrics = {"pass_at_1/plus": 0.5, "pass_at_1/plus_low": 0.3, "pass_at_1/plus_high": 0.7}
    return {
        "name": name, "bytes": 10**9, "bits_per_weight": bits, "metrics": metrics if mean else {},
        "estimates": estimates if mean else {}, "won": won, "lost": won and ["<b>p2</b>"],
        "by_problem": {"p1": {}, "p2": {}},
    }  # fmt: skip


def kept_in(folder: Path, *levels: dict[str, Any], model: str = "m") -> Path:
    folder.mkdir(parents=True)
    content = {
        "model": model, "prompt": "plain", "dataset": "d", "overrides": ["limit=2"],
        "reference": "f16", "texts": "answers", "tokens": 1234, "levels": levels,
    }  # fmt: skip
    (folder / "fidelity.json").write_text(json.dumps(content))
    return folder


def test_a_sentence_says_places_and_flips(tmp_path: Path) -> None:
    reference = level_of("f16", 16.0, 0.0, None)
    known, unknown = level_of("q4_k_m", 4.9, 0.03, ["p1"]), level_of("q2_k", 2.6, 0.5, None)
    same = level_of("q8_0", 8.5, 0.001, [])
    found = fidelity.read(kept_in(tmp_path / "a", reference, same, known, unknown))
    assert [fidelity.sentence(each) for each in found.compared] == [
        "q8_0 finds another token the most likely in 3 % of places, and solves the same problems.",
        "q4_k_m finds another token the most likely in 3 % of places, and solves the same "
        "problems but 2 (1 won, 1 lost).",
        "q2_k finds another token the most likely in 3 % of places.",
    ]
    titles, rows = fidelity.table(found)
    assert [dict(zip(titles, row, strict=True))["flips"][0] for row in rows] == [
        "", "+0 −0", "+1 −1", "",
    ]  # fmt: skip
    cells = dict(zip(titles, rows[2], strict=True))
    assert cells["parts at"] == ("never", "3–never")
    assert cells["KL nats"] == ("0.03", "0.015–0.06")
    assert cells["pass@1 %"] == ("50.0", "30–70")


def test_the_page_has_both_ladders_and_escapes_what_it_shows(tmp_path: Path) -> None:
    from test_report import make_run

    folders = [make_run(tmp_path / "run", [True, False])]
    for model in ("one", "other"):
        near, far = level_of("q8_0", 8.5, 0.0005, []), level_of("q2_k", 2.6, 0.5, ["p1"])
        levels = (level_of("f16", 16.0, 0.0, None), near, far)
        folders.append(kept_in(tmp_path / model, *levels, model=model))
    collection = report.collect(folders)
    written = report.write(collection, tmp_path / "out")
    page = written.page.read_text()
    assert ">divergence, nats<" in page
    assert "lost: &lt;b&gt;p2&lt;/b&gt;" in page
    assert "one · plain · d, compared with f16 on f16&#39;s own answers: 2 problems, 1,234" in page
    assert "mathdefault" not in page
    assert ">0.001<" in page  # a logarithmic scale
    assert [*fidelity.names(collection.groups[0].fidelities)] == ["one", "other"]


def test_a_damaged_file_is_told_and_the_runs_are_shown(tmp_path: Path) -> None:
    from test_report import make_run

    run = make_run(tmp_path / "sweep" / "run", [True, False])
    (run / "fidelity.json").write_text("{}")
    collection = report.collect([tmp_path / "sweep"])
    [(folder, why)] = collection.failures
    assert folder == run
    assert "fidelity.json cannot be read: KeyError" in why
    assert len(collection.runs) == 1
