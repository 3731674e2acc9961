"""The openai backend against a server on loopback that misbehaves, and against a real one."""

import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Workplace

from experiments.backends.openai import OpenAI
from experiments.errors import BackendError, ConfigError
from experiments.extract.thoughts import STYLES, Style
from experiments.records import FinishReason, Generation, Message, Prompt, Thinking
from experiments.schema import Sampling

KEY = "sk-very-secret-0123456789abcdef"
GOOD = "Here:\n```python\ndef one():\n    return 1\n```\nThat is all."
PROMPT = Prompt("easy/one", "one", messages=(Message("user", "Write one."),))
Reply = tuple[int, dict[str, Any] | str, dict[str, str]]


class Server:
    """Answers as it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answer: Callable[[int, dict[str, Any]], Reply] = lambda _n, _body: good()
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.keys: list[str] = []
        self.lock = threading.Lock()
        self.running = self.most = 0
        self.address = ""


def good(text: str = GOOD, **changes: Any) -> Reply:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "text": text,
        "finish_reason": "stop",
        **changes,
    }
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    body = {"id": "x", "object": "chat.completion", "created": 1, "model": "m"}
    return 200, {**body, "choices": [choice], "usage": usage}, {}


def bad(status: int, message: str = "no", code: str = "", **headers: str) -> Reply:
    return status, {"error": {"message": message, "code": code, "type": "t"}}, headers


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with state.lock:
                state.asked.append(body)
                state.paths.append(self.path)
                state.keys.append(self.headers["Authorization"])
                number = len(state.asked)
                state.running += 1
                state.most = max(state.most, state.running)
            status, reply, headers = state.answer(number, body)
            with state.lock:
                state.running -= 1
            if status == 0:  # no answer at all
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            content = (reply if isinstance(reply, str) else json.dumps(reply)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    state.address = f"http://127.0.0.1:{http.server_port}/v1"
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


def backend(server: Server, **changes: Any) -> OpenAI:
    return OpenAI(
        **{"model": "m", "base_url": server.address, "first_delay_seconds": 0.01, **changes}
    )


def answers(
    made: OpenAI, prompts: list[Prompt] | None = None, sampling: Sampling | None = None
) -> list[Generation]:
    sampling = sampling or Sampling()
    return list(made.generate(made.prepare(prompts or [PROMPT], sampling, 0), sampling))


def failure(made: OpenAI) -> str:
    with pytest.raises(BackendError) as caught:
        answers(made)
    line = str(caught.value)
    assert "\n" not in line
    assert KEY not in line
    return line


def many(count: int) -> list[Prompt]:
    return [
        Prompt(f"easy/{i}", "one", messages=(Message("user", f"Write {i}."),)) for i in range(count)
    ]


def test_an_answer_is_cut_where_it_is_complete_and_its_tokens_are_counted(server: Server) -> None:
    made = backend(server, usd_per_million_input=10.0, usd_per_million_output=100.0)
    (found,) = answers(made)
    assert found.text == "Here:\n```python\ndef one():\n    return 1\n```"
    assert found.finish_reason is FinishReason.ANSWER_COMPLETE
    assert (found.prompt_tokens, found.new_tokens) == (100, 20)
    numbers = made.statistics()
    assert numbers["cost_usd"] == pytest.approx((100 * 10 + 20 * 100) / 1e6)
    assert (numbers["prompt_tokens"], numbers["new_tokens"]) == (100, 20)
    (asked,) = server.asked
    assert asked["messages"] == [{"role": "user", "content": "Write one."}]
    assert (asked["model"], asked["temperature"], asked["max_tokens"]) == ("m", 0.0, 1024)
    assert server.keys == [f"Bearer {KEY}"]


def test_the_whole_answer_is_kept_where_that_is_asked(server: Server) -> None:
    (found,) = answers(backend(server, stop_when_complete=False))
    assert (found.text, found.finish_reason) == (GOOD, FinishReason.END_TOKEN)


def test_without_prices_there_is_no_money(server: Server) -> None:
    made = backend(server)
    answers(made)
    assert "cost_usd" not in made.statistics()


def test_without_usage_there_is_no_money(server: Server) -> None:
    status, body, headers = good()
    assert isinstance(body, dict)
    server.answer = lambda _n, _b: (status, {**body, "usage": None}, headers)
    made = backend(server, usd_per_million_input=10.0, usd_per_million_output=100.0)
    answers(made)
    assert "cost_usd" not in made.statistics()
    assert made.statistics()["answers_without_usage"] == 1


def test_a_setting_that_is_not_sent_is_told(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    backend(server).prepare([PROMPT], Sampling(temperature=0.8), 0)
    assert not caplog.records
    backend(server).prepare([PROMPT], Sampling(temperature=0.8, top_k=1), 0)
    assert "sampling.top_k: not sent" in caplog.text


def test_a_completion_is_asked_for_as_such(server: Server) -> None:
    server.answer = lambda _n, _b: good("    return 1\n\nprint(1)", finish_reason="length")
    prompt = Prompt("easy/one", "one", completion="def one():\n")
    (found,) = answers(backend(server), [prompt])
    assert server.paths == ["/v1/completions"]
    assert server.asked[0]["prompt"] == "def one():\n"
    assert found.text == "    return 1\n\n"


def test_a_text_that_reached_the_limit_says_so(server: Server) -> None:
    server.answer = lambda _n, _b: good("I think", finish_reason="length")
    (found,) = answers(backend(server))
    assert found.finish_reason is FinishReason.TOKEN_LIMIT


def test_a_filtered_or_empty_answer_is_an_answer_with_a_note(server: Server) -> None:
    server.answer = lambda _n, _b: good("", finish_reason="content_filter")
    (found,) = answers(backend(server))
    assert found.text == ""
    assert "content_filter" in found.note


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
def test_a_passing_refusal_is_asked_again(server: Server, status: int) -> None:
    server.answer = lambda n, _b: bad(status) if n < 3 else good()
    made = backend(server)
    assert len(answers(made)) == 1
    assert made.statistics()["retries"] == 2


def test_a_broken_connection_and_a_page_that_is_no_answer_are_asked_again(server: Server) -> None:
    server.answer = lambda n, _b: (0, "", {}) if n == 1 else good()
    assert len(answers(backend(server))) == 1


def test_what_the_server_asks_to_wait_is_waited(server: Server) -> None:
    server.answer = lambda n, _b: bad(429, Retry_After="0") if n == 1 else good()
    assert len(answers(backend(server, first_delay_seconds=3600))) == 1


@pytest.mark.parametrize("asked", ["nan", "-3", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_senseless_wait_is_not_waited(server: Server, asked: str) -> None:
    server.answer = lambda n, _b: bad(429, Retry_After=asked) if n == 1 else good()
    assert len(answers(backend(server))) == 1


def test_a_server_that_keeps_failing_is_told_after_the_last_retry(server: Server) -> None:
    server.answer = lambda _n, _b: bad(503, "overloaded")
    assert "failed: 503 overloaded" in failure(backend(server, retries=2))
    assert len(server.asked) == 3
    server.answer = lambda _n, _b: (502, "<html>Bad gateway", {})  # of a proxy: it may pass
    assert "failed: 502 <html>Bad gateway" in failure(backend(server, retries=1))
    assert len(server.asked) == 5


def test_a_slow_server_is_left(server: Server) -> None:
    def slow(_n: int, _b: dict[str, Any]) -> Reply:
        time.sleep(0.6)
        return good()

    server.answer = slow
    assert "cannot be reached" in failure(backend(server, timeout_seconds=0.2, retries=1))


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (bad(401, f"Incorrect API key provided: {KEY}."), "refuses the key"),
        (bad(401, f"Incorrect API key: {KEY[:12]}****{KEY[-10:]}"), "OPENAI_API_KEY"),
        (bad(404, "no model m"), "model.api.model"),
        (bad(429, "pay", "insufficient_quota"), "no more credit"),
        (bad(400, "temperature is wrong"), "temperature is wrong"),
        ((200, "<!doctype html><p>Log in", {}), "it sends a web page, and no JSON. Cor"),
        ((404, "<html>Not found", {}), "it sends a web page, and no JSON. Correct model.api.base_"),
        ((302, "<html>", {"Location": "/x"}), "302 it redirects to /x. Correct model.api.base_u"),
    ],
)
def test_a_lasting_refusal_is_told_at_once_and_without_the_key(
    server: Server, reply: Reply, said: str
) -> None:
    server.answer = lambda _n, _b: reply
    line = failure(backend(server))
    assert said in line
    assert KEY[:12] not in line
    assert KEY[-10:] not in line
    assert len(server.asked) == 1


def test_a_server_that_is_not_there_is_told() -> None:
    made = OpenAI(model="m", base_url="http://127.0.0.1:9/v1", retries=0)
    assert "http://127.0.0.1:9/v1 cannot be reached" in failure(made)


@pytest.mark.parametrize("count", [10**4000, -(10**400), True, 1e308, "7", [7], None])
def test_a_count_that_no_server_has_is_none(server: Server, count: object) -> None:
    status, body, headers = good(finish_reason="x" * 10**6)
    assert isinstance(body, dict)
    body["usage"] = {"prompt_tokens": count, "completion_tokens": count}
    server.answer = lambda _n, _b: (status, body, headers)
    asking = backend(server, usd_per_million_input=1.0, usd_per_million_output=1.0)
    (found,) = answers(asking)
    assert (found.prompt_tokens, found.new_tokens) == (0, 0)
    assert asking.statistics()["cost_usd"] == 0
    assert len(found.note) < 200


def test_an_answer_of_another_kind_is_told(server: Server) -> None:
    server.answer = lambda _n, _b: (200, {"hello": "world"}, {})
    assert "OpenAI-compatible" in failure(backend(server))


def test_a_prompt_that_is_too_long_is_a_generation_of_its_own(server: Server) -> None:
    server.answer = lambda _n, _b: bad(400, "too long", "context_length_exceeded")
    (found,) = answers(backend(server))
    assert found.finish_reason is FinishReason.PROMPT_TOO_LONG


def test_as_many_as_asked_for_run_at_once(server: Server) -> None:
    def slow(_n: int, _b: dict[str, Any]) -> Reply:
        time.sleep(0.1)
        return good()

    server.answer = slow
    found = answers(backend(server, concurrency=3), many(9))
    assert server.most == 3
    assert sorted(g.problem_id for g in found) == [f"easy/{i}" for i in range(9)]


def test_what_was_answered_before_a_failure_is_kept_and_nothing_more_is_asked(
    server: Server,
) -> None:
    server.answer = lambda n, _b: good() if n != 4 else bad(401)
    made = backend(server, concurrency=1)
    stream = made.generate(made.prepare(many(9), Sampling(), 0), Sampling())
    found = [next(stream) for _ in range(3)]
    with pytest.raises(BackendError):
        next(stream)
    assert [g.problem_id for g in found] == ["easy/0", "easy/1", "easy/2"]
    assert len(server.asked) == 4


def test_seeds_are_sent_where_tokens_are_drawn(server: Server) -> None:
    made = backend(server, extra={"top_k": 7})
    answers(made, sampling=Sampling(samples=2, temperature=0.8))
    assert len({body["seed"] for body in server.asked}) == 2
    assert {(b["temperature"], b["top_p"], b["top_k"]) for b in server.asked} == {(0.8, 0.95, 7)}


def test_the_key_of_a_generation_is_of_what_decides_it(server: Server) -> None:
    def key(**changes: Any) -> str:
        return backend(server, **changes).prepare([PROMPT], Sampling(), 0)[0].key

    assert key() == key(concurrency=9) == key(retries=1) == key(usd_per_million_input=1.0)
    others = [{"model": "n"}, {"base_url": "http://other/v1"}, {"extra": {"a": 1}}, {"stop": ["x"]}]
    assert len({key(), *(key(**other) for other in others)}) == 5


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"name": "mistral"}, r"model\.api\.model of the model 'mistral' is not set"),
        ({"model": "m"}, r"model\.api\.base_url"),
        ({"model": "m", "base_url": "localhost:8080"}, "no web address"),
        ({"model": "m", "base_url": "http://me:secret@host/v1"}, "would be logged"),
        ({"model": "m", "base_url": "http://host/v1", "concurrency": 0}, r"backend\.concurrency"),
    ],
)
def test_a_setting_that_cannot_work_is_told(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        OpenAI(**settings)
    assert "secret" not in str(caught.value)


def test_a_service_without_a_key_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    made = OpenAI(model="m", base_url="https://service.invalid/v1")
    assert "OPENAI_API_KEY is not set" in failure(made)


@pytest.mark.parametrize("key", ["sk-two\nlines-0123456789", "sk-schlüssel-0123456789", "sk a"])
def test_what_can_be_no_key_is_told_without_it(
    server: Server, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    line = failure(backend(server))
    assert "OPENAI_API_KEY holds no key" in line
    assert key[-4:] not in line
    assert server.asked == []


@pytest.mark.slow
def test_the_key_is_in_nothing_that_a_failed_run_leaves(
    server: Server, workplace: Workplace
) -> None:
    server.answer = lambda n, _b: good() if n == 1 else bad(401, f"Incorrect key: {KEY}")
    done = workplace.run(
        "backend=openai",
        "backend.concurrency=1",
        "model=api",
        "model.api.model=m",
        f"model.api.base_url={server.address}",
        "limit=3",
        OPENAI_API_KEY=KEY,
        HYDRA_FULL_ERROR="1",
    )
    assert done.returncode == 1
    assert "refuses the key" in done.stderr
    assert KEY[:12] not in done.stdout + done.stderr
    left = [path for path in workplace.folder.rglob("*") if path.is_file()]
    assert any(path.name == "failure.txt" for path in left)
    assert [path for path in left if KEY[:12].encode() in path.read_bytes()] == []


def test_the_key_is_in_nothing_that_a_run_leaves(server: Server, workplace: Workplace) -> None:
    server.answer = lambda n, _b: (
        bad(429, f"slow down, {KEY}", Retry_After="0") if n == 1 else good()
    )
    done = workplace.run(
        "backend=openai",
        "model=api",
        "model.api.model=m",
        f"model.api.base_url={server.address}",
        "limit=2",
        OPENAI_API_KEY=KEY,
    )
    assert done.returncode == 0, done.stderr
    assert server.keys[0] == f"Bearer {KEY}"
    said = done.stdout + done.stderr
    assert KEY not in said
    left = [path for path in workplace.folder.rglob("*") if path.is_file()]
    assert any(path.name == "mlflow.db" for path in left)
    assert [path for path in left if KEY.encode() in path.read_bytes()] == []
    asked = len(server.asked)
    again = workplace.run(
        "backend=openai",
        "model=api",
        "model.api.model=m",
        f"model.api.base_url={server.address}",
        "limit=2",
        "tracking.enabled=false",
    )
    assert again.returncode == 0, again.stderr
    assert len(server.asked) == asked  # all of it came from the store


def test_a_model_of_a_service_says_so_under_llama_cpp(workplace: Workplace) -> None:
    done = workplace.run("model=gpt_4o", "limit=1", "tracking.enabled=false")
    assert done.returncode == 1
    assert "'gpt_4o' has no files: it runs on a server. Add backend=openai." in done.stderr
    done = workplace.run("model=mistral", "backend=openai", "limit=1", "tracking.enabled=false")
    assert done.returncode == 1
    assert "model.api.model of the model 'mistral' is not set" in done.stderr


def test_a_real_server_writes_what_the_backend_in_process_writes(tmp_path: Path) -> None:
    for package in (
        "fastapi",
        "uvicorn",
        "sse_starlette",
        "starlette_context",
        "pydantic_settings",
    ):
        pytest.importorskip(package)
    from omegaconf import OmegaConf

    from experiments import weights
    from experiments.backends.llama_cpp import LlamaCpp
    from experiments.problems import load_own
    from experiments.prompts import render
    from experiments.schema import ModelConfig, PromptConfig, QuantizationConfig

    model = ModelConfig("demo", files={"f16": "demo-f16.gguf"})
    f16 = QuantizationConfig("f16", "MOSTLY_F16", 16.0)
    found = weights.locate(model, f16, ROOT / "models")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "llama_cpp.server", "--model", str(found.path)),
            *("--port", str(port), "--n_ctx", "4096", "--host", "127.0.0.1"),
        ],
        stdout=log,
        stderr=log,
        env={**os.environ, "OPENAI_API_KEY": ""},
    )
    try:
        _wait_for(port, process)
        plain = OmegaConf.load(ROOT / "conf" / "prompt" / "plain.yaml")  # what it was trained on
        strategy = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(PromptConfig), plain))
        problems = load_own(ROOT / "problems").problems[:5]
        prompts = [render(strategy, problem, "chat") for problem in problems]
        sampling = Sampling(max_tokens=250)
        asked = OpenAI(model="demo", base_url=f"http://127.0.0.1:{port}/v1", concurrency=2)
        theirs = {g.problem_id: g for g in answers(asked, prompts, sampling)}
        ours = []
        for parallel in (1, 4):
            mine = LlamaCpp(found, parallel=parallel)
            made = mine.generate(mine.prepare(prompts, sampling, 0), sampling)
            ours.append({generation.problem_id: generation for generation in made})
    finally:
        process.terminate()
        process.wait(20)
        log.close()
    assert {n: g.prompt_tokens for n, g in theirs.items()} == {
        n: g.prompt_tokens for n, g in ours[0].items()
    }
    # Sums in another order may tip the scales between two tokens that are nearly equal, and
    # where the demo model has nothing to recite, they often are: answers that it finishes count.
    finished = FinishReason.ANSWER_COMPLETE
    firm = [
        name
        for name in theirs
        if ours[0][name].text == ours[1][name].text and ours[0][name].finish_reason is finished
    ]
    assert len(firm) >= 2
    assert [theirs[name].text for name in firm] == [ours[0][name].text for name in firm]


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended"
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the server did not start")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    levels = {name: logging.getLogger(name).level for name in ("httpx", "httpx2", "openai")}
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


DRAFT = "A draft:\n```python\ndef one():\n    return -1\n```\nNo."
ANSWER = "```python\ndef one():\n    return 1\n```"


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.close)
def test_an_answer_after_a_wrong_draft_is_the_answer(server: Server, style: Style) -> None:
    text = f"{style.opens[0]}{DRAFT}{style.closing}{ANSWER}\nThat is all."
    server.answer = lambda _n, _b: good(text)
    (found,) = answers(backend(server))
    assert (found.thought, found.text.strip()) == (DRAFT, ANSWER)
    server.answer = lambda _n, _b: good(f"{style.opens[0]}{DRAFT}", finish_reason="length")
    (cut_off,) = answers(backend(server))
    assert (cut_off.thought, cut_off.text, cut_off.thought_finished) == (DRAFT, "", False)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_a_thought_that_the_server_sends_apart_is_kept(server: Server, field: str) -> None:
    def reply(text: str | None, reason: str) -> Reply:
        status, body, headers = good(
            message={"role": "assistant", "content": text, field: DRAFT}, finish_reason=reason
        )
        assert isinstance(body, dict)
        body["usage"]["completion_tokens_details"] = {"reasoning_tokens": 12}
        return status, body, headers

    server.answer = lambda _n, _b: reply(ANSWER, "stop")
    (found,) = answers(backend(server))
    assert (found.thought, found.text, found.thought_finished) == (DRAFT, ANSWER, True)
    assert (found.thought_tokens, found.new_tokens) == (12, 20)
    server.answer = lambda _n, _b: reply(None, "length")
    (cut_off,) = answers(backend(server))
    assert (cut_off.thought, cut_off.text, cut_off.thought_finished) == (DRAFT, "", False)


def test_a_server_is_asked_to_think_in_its_own_fields(server: Server) -> None:
    arguments = {"reasoning_effort": "low", "enable_thinking": True}
    answers(backend(server, thinking=Thinking(arguments=arguments, switch="/think")))
    (asked,) = server.asked
    assert asked["reasoning_effort"] == "low"
    assert asked["chat_template_kwargs"] == {"enable_thinking": True}
    assert asked["messages"] == [{"role": "user", "content": "Write one. /think"}]
    keys = {
        backend(server, **changes).prepare([PROMPT], Sampling(), 0)[0].key
        for changes in (
            {},
            {"thinking": Thinking(arguments=arguments)},
            {"thinking": Thinking(switch="/think")},
            {"omit": ["temperature"]},
        )
    }
    assert len(keys) == 4
    with pytest.raises(ConfigError, match="thinking_budget works with backend=llama_cpp"):
        backend(server, thinking=Thinking(budget=100))


def test_fields_that_a_service_refuses_are_left_out_from_then_on(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(_number: int, body: dict[str, Any]) -> Reply:
        for field, words in (
            ("max_tokens", "Unsupported parameter: 'max_tokens' is not supported with this model."),
            ("temperature", "Unsupported value: 'temperature' does not support 0 with this model."),
        ):
            if field in body:
                return 400, {"error": {"message": words, "param": field, "code": "c"}}, {}
        return good()

    server.answer = answer
    made = backend(server, concurrency=1)
    assert len(answers(made, many(3))) == 3
    assert len(server.asked) == 3 + 2  # each is refused once
    assert server.asked[-1]["max_completion_tokens"] == Sampling().max_tokens
    assert "model.api.omit=[temperature]" in caplog.text
    server.asked.clear()
    assert len(answers(backend(server, omit=["max_tokens", "temperature"]))) == 1
    assert len(server.asked) == 1


def test_a_refusal_that_cannot_be_helped_is_told_once(server: Server) -> None:
    server.answer = lambda _n, _b: bad(400, "'temperature' is not supported")
    assert "'temperature' is not supported" in failure(backend(server, omit=["temperature"]))
    assert len(server.asked) == 1


def test_a_server_that_is_not_there_is_told_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.backends.openai.UNREACHED_SECONDS", 0.2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    began = time.monotonic()
    line = failure(OpenAI(model="m", base_url=address, first_delay_seconds=0.1))
    assert f"{address} cannot be reached" in line
    assert time.monotonic() - began < 10
