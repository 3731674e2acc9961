"""Fetching weights from a hub on loopback that cuts connections and lies about digests."""

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import COMMIT, Hub, serving
from tiny_model import write_tiny_model

from experiments import weights
from experiments.errors import WeightsError
from experiments.schema import ModelConfig, QuantizationConfig
from experiments.weights import Origin, digests, fetching, header
from experiments.weights.quantizing import quantize

F16 = QuantizationConfig("f16", "MOSTLY_F16", 16.0)
Q8_0 = QuantizationConfig("q8_0", "MOSTLY_Q8_0", 8.5)
Q4_0 = QuantizationConfig("q4_0", "MOSTLY_Q4_0", 4.67)
REPOSITORY, NAME = "maker/tiny-GGUF", "tiny.F16.gguf"


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("content") / "tiny.gguf"
    return write_tiny_model(path, width=256, feed_forward=512).read_bytes()


@pytest.fixture
def hub(content: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(fetching, "_unreachable", {})
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    with serving(Hub({f"{REPOSITORY}/{NAME}": content})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "tiny" / NAME


def fetch(
    target: Path, name: str = NAME, repository: str = REPOSITORY, revision: str = "main"
) -> Path:
    return fetching.fetch(Origin(repository, revision, name), target).path


def refused(target: Path, **changes: str) -> str:
    """Fetch, expect a refusal, and return its line; nothing may be left under the name."""
    with pytest.raises(WeightsError) as caught:
        fetch(target, **changes)
    line = str(caught.value)
    assert "\n" not in line
    assert str(target) in line
    assert not target.exists()
    return line


def test_what_is_fetched_is_whole_and_its_digest_is_kept(
    hub: Hub, target: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fetch(target).read_bytes() == content
    digest = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(digests.hashlib, "file_digest", None)  # nothing is read again
    assert digests.sha256(target, target.parent.parent) == digest
    origin = json.loads((target.parent / f".{NAME}.origin.json").read_text())
    assert origin == {"repository": REPOSITORY, "file": NAME, "commit": COMMIT, "sha256": digest}
    assert not list(target.parent.glob("*.part"))


def test_a_model_is_fetched_on_first_use_and_then_asked_for_no_more(
    hub: Hub, tmp_path: Path
) -> None:
    model = ModelConfig("tiny", files={"f16": NAME}, repository=REPOSITORY)
    found = weights.locate(model, F16, tmp_path)
    assert found.path == tmp_path / "tiny" / NAME
    asked = len(hub.asked)
    assert weights.locate(model, F16, tmp_path) == found
    assert len(hub.asked) == asked


def test_a_level_that_the_repository_lacks_is_made_from_its_f16(hub: Hub, tmp_path: Path) -> None:
    model = ModelConfig("tiny", files={"f16": NAME}, repository=REPOSITORY)
    made = weights.locate(model, Q8_0, tmp_path)
    assert header.read(made.path).level == "q8_0"
    assert len(hub.downloads) == 1


def test_a_level_of_another_repository_is_fetched_from_there(
    hub: Hub, tmp_path: Path, content: bytes
) -> None:
    hub.files["other/tiny-f16/sub/tiny-half.gguf"] = content
    model = ModelConfig(
        "tiny",
        files={"f16": "other/tiny-f16:sub/tiny-half.gguf", "q4_0": "tiny.Q4_0.gguf"},
        repository=REPOSITORY,
    )
    made = weights.locate(model, Q8_0, tmp_path)
    assert header.read(made.path).level == "q8_0"
    found = weights.locate(model, F16, tmp_path)
    assert found.path == tmp_path / "tiny" / "tiny-half.gguf"
    assert len(hub.downloads) == 1
    origin = json.loads((tmp_path / "tiny" / ".tiny-half.gguf.origin.json").read_text())
    assert (origin["repository"], origin["file"]) == ("other/tiny-f16", "sub/tiny-half.gguf")


def test_a_level_is_made_from_the_hubs_q8_0_with_a_warning_where_it_has_nothing_better(
    hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "tiny.f16.gguf"
    source.write_bytes(hub.files[f"{REPOSITORY}/{NAME}"])
    quantize(header.read(source), "", tmp_path / "tiny.Q8_0.gguf", "MOSTLY_Q8_0", 8.5)
    hub.files = {f"{REPOSITORY}/tiny.Q8_0.gguf": (tmp_path / "tiny.Q8_0.gguf").read_bytes()}
    model = ModelConfig("tiny", files={"q8_0": "tiny.Q8_0.gguf"}, repository=REPOSITORY)
    made = weights.locate(model, Q4_0, tmp_path / "models")
    assert made.quantization == "q4_0"
    assert "is quantized already" in caplog.text
    with pytest.raises(WeightsError, match=r"no file of tiny at f16\. It has: q8_0"):
        weights.locate(model, F16, tmp_path / "models")  # what is lost does not come back


def test_a_file_under_a_wrong_level_is_refused(hub: Hub, tmp_path: Path) -> None:
    model = ModelConfig("tiny", files={"q8_0": NAME}, repository=REPOSITORY)
    with pytest.raises(WeightsError, match="should hold q8_0 and holds f16"):
        weights.locate(model, Q8_0, tmp_path)


def test_a_connection_that_is_cut_goes_on_where_it_broke(
    hub: Hub, target: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 50_000)
    hub.cut_after, hub.cuts = 200_000, 3
    assert fetch(target).read_bytes() == content
    assert hub.downloads == ["", "bytes=200000-", "bytes=400000-", "bytes=600000-"]
    assert hub.sent == len(content)


def test_a_connection_that_is_reset_goes_on_where_it_broke(
    hub: Hub, target: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 50_000)
    hub.cut_after, hub.cuts, hub.reset = 200_000, 2, True
    assert fetch(target).read_bytes() == content
    assert len(hub.downloads) > 1


def test_a_later_run_goes_on_where_an_earlier_one_stopped(
    hub: Hub, target: Path, content: bytes
) -> None:
    digest = hashlib.sha256(content).hexdigest()
    target.parent.mkdir(parents=True)
    (target.parent / f".{NAME}.{digest[:16]}.part").write_bytes(content[:300_000])
    (target.parent / f".{NAME}.{'0' * 16}.part").write_bytes(b"of an older version")
    assert fetch(target).read_bytes() == content
    assert hub.downloads == ["bytes=300000-"]
    assert not list(target.parent.glob(".*.part"))


def test_a_connection_that_stays_broken_is_told_and_what_came_is_kept(
    hub: Hub, target: Path, content: bytes
) -> None:
    hub.cut_after, hub.cuts = 0, 100
    assert "the connection to the hub broke" in refused(target)
    hub.cuts = 0
    assert fetch(target).read_bytes() == content


def test_content_that_differs_from_its_digest_is_never_used(hub: Hub, target: Path) -> None:
    hub.corrupt = True
    line = refused(target)
    assert "what came has the digest" in line
    assert "and the hub says" in line
    assert not list(target.parent.glob(".*.part"))


def test_a_digest_that_is_a_lie_is_noticed(hub: Hub, target: Path) -> None:
    hub.digest = "ab" * 32
    assert "the hub says abababababab…" in refused(target)


def test_an_answer_without_a_digest_is_not_trusted(hub: Hub, target: Path) -> None:
    hub.digest = "no-digest"
    assert "tells no digest" in refused(target)


def test_a_file_that_is_no_gguf_is_refused_even_if_its_digest_is_right(
    hub: Hub, target: Path
) -> None:
    hub.files[f"{REPOSITORY}/{NAME}"] = b"<html>" * 100
    assert "no whole GGUF" in refused(target)


def test_a_gated_repository_says_where_to_ask_and_a_token_opens_it(
    hub: Hub, target: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "hf_secret"
    line = refused(target)
    assert "is gated" in line
    assert f"{hub.address}/{REPOSITORY}" in line
    assert "HF_TOKEN" in line
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert fetch(target).read_bytes() == content


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"repository": "maker/tyni-GGUF"}, "no such repository"),
        ({"revision": "v9"}, "no revision 'v9'"),
        ({"name": "tiny.F61.gguf"}, f"no such file. Correct model.files. Did you mean '{NAME}'?"),
        ({"repository": "not a name"}, "model.repository"),
    ],
)
def test_wrong_names_are_told(hub: Hub, target: Path, changes: dict[str, str], said: str) -> None:
    assert said in refused(target, **changes)


def test_a_file_that_is_gone_is_told_with_all_that_is_there_now(hub: Hub, target: Path) -> None:
    hub.files |= {f"{REPOSITORY}/tiny.Q{bits}.gguf": b"" for bits in "48"}
    line = refused(target, name="tiny.Q4_0.gguf")
    assert "Did you mean 'tiny.Q4.gguf'?" in line
    assert line.endswith("It has now: tiny.F16.gguf, tiny.Q4.gguf, tiny.Q8.gguf.")
    hub.files = {f"{REPOSITORY}/README.md": b""}
    assert "It has no GGUF now: correct model.repository." in refused(target)


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_a_hub_that_refuses_is_told(hub: Hub, target: Path, status: int) -> None:
    hub.refuse = (status, "")
    line = refused(target)
    assert f"answers {status}" in line or "no such repository" in line
    assert ("curl -L --create-dirs" in line) == (status != 401)  # where the file is there


def test_a_hub_that_is_not_there_is_asked_once(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_unreachable", {})
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    line = refused(target)
    assert "http://127.0.0.1:9 cannot be reached" in line
    assert f"curl -L --create-dirs -o {target} http://127.0.0.1:9/" in line
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", None)  # nobody asks
    assert "http://127.0.0.1:9 cannot be reached" in refused(target)


def test_offline_mode_is_respected(hub: Hub, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in refused(target)
    assert hub.asked == []


def test_a_disk_without_room_is_told_before_a_byte_comes(
    hub: Hub, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: usage(1, 1, 5000))
    assert "the disk has 5000 bytes left" in refused(target)
    assert hub.downloads == []


def test_a_disk_that_fills_up_is_told(
    hub: Hub, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.file_download.http_get", fill)
    assert "the disk is full" in refused(target)


def test_a_folder_that_cannot_be_written_is_told(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where a folder should be")
    with pytest.raises(WeightsError, match=r"cannot be written.*Set models"):
        fetch(tmp_path / "models" / "tiny" / NAME)


def test_two_runs_fetch_a_file_once(hub: Hub, target: Path, content: bytes) -> None:
    hub.chunk_seconds = 0.02
    code = (
        "import sys; from pathlib import Path; from experiments.weights import Origin, fetching; "
        f"fetching.fetch(Origin('{REPOSITORY}', 'main', '{NAME}'), Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(target)]
    environment = {**os.environ, "HF_ENDPOINT": hub.address}
    started = [subprocess.Popen(command, env=environment) for _ in range(2)]
    assert [process.wait(60) for process in started] == [0, 0]
    assert target.read_bytes() == content
    assert hub.sent == len(content)


def test_two_machines_that_do_not_see_each_others_locks_mix_nothing(
    hub: Hub, target: Path, content: bytes
) -> None:
    hub.chunk_seconds = 0.02
    code = (
        "import fcntl, sys; from pathlib import Path\n"
        "fcntl.flock = lambda *_: None\n"
        "from experiments.store import lock\n"
        "from experiments.weights import Origin, fetching\n"
        "lock.HOST = sys.argv[2]\n"
        f"fetching.fetch(Origin('{REPOSITORY}', 'main', '{NAME}'), Path(sys.argv[1]))"
    )
    environment = {**os.environ, "HF_ENDPOINT": hub.address}
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(target), host], env=environment)
        for host in ("one", "two")
    ]
    assert [process.wait(60) for process in started] == [0, 0]
    assert target.read_bytes() == content
    assert not list(target.parent.glob(".*.part"))


def test_what_another_machine_fetches_is_left_to_it_until_it_was_idle(
    hub: Hub, target: Path, content: bytes
) -> None:
    version = hashlib.sha256(content).hexdigest()[:16]
    others = target.parent / f".{NAME}.{version}.other_host-17-0123abcd.part"
    others.parent.mkdir(parents=True)
    others.write_bytes(content[:100_000])
    assert fetch(target).read_bytes() == content
    assert others.read_bytes() == content[:100_000]
    target.unlink()
    os.utime(others, (0, 0))
    assert fetch(target).read_bytes() == content
    assert hub.downloads == ["", "bytes=100000-"]
    assert not others.exists()


def test_a_token_never_reaches_an_error_or_the_note(
    hub: Hub, target: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret")
    hub.corrupt = True
    assert "verysecret" not in refused(target)
    hub.corrupt = False
    fetch(target)
    assert hub.authorised  # it was used, and not told to the store on another host
    assert not any("/cdn/" in path for path in hub.authorised)
    assert "verysecret" not in caplog.text
    assert all(b"verysecret" not in p.read_bytes() for p in target.parent.iterdir())
