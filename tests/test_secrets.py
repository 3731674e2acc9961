"""Passwords in a configuration are used, and left nowhere."""

import json
from pathlib import Path

import pytest
from conftest import Workplace
from omegaconf import OmegaConf

from experiments.app.secrets import from_environment, mask_configuration
from experiments.errors import ConfigError, masked, without


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://me:hush@host/runs", "postgresql://me:***@host/runs"),
        ("postgresql://me:hu@sh/hush@host:5432/runs", "postgresql://me:***@host:5432/runs"),
        ("mysql+pymysql://me:@host/runs", "mysql+pymysql://me:@host/runs"),
        ("http://:hush@host", "http://:***@host"),
        ("https://hush-token@host/x", "https://***@host/x"),
        (
            "postgresql://me@host/runs?password=hush&x=1",
            "postgresql://me@host/runs?password=***&x=1",
        ),
        ("http://host/?api_key=hush", "http://host/?api_key=***"),
        ("http\\://me\\:hush@host", "http\\://me\\:***@host"),
        ("a=http://me:hush@h,b=http://me:hush@h", "a=http://me:***@h,b=http://me:***@h"),
        ("s3://key:hush/x@bucket/place", "s3://key:***@bucket/place"),
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"),
        ("http://host:80/x and me@host", "http://host:80/x and me@host"),
        ("sqlite:///mlruns/mlflow.db", "sqlite:///mlruns/mlflow.db"),
    ],
)
def test_a_password_in_an_address_is_masked(address: str, shown: str) -> None:
    assert masked(address) == shown
    assert masked(shown) == shown


def test_an_error_never_has_a_password() -> None:
    error = ConfigError("MLflow at 'http://me:hush@h' is away", "Check http://me:hush@h.")
    assert "hush" not in str(error)


def test_values_of_the_environment_are_told_by_their_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONG", "hush-hush")
    monkeypatch.setenv("SHORT", "abc")
    config = OmegaConf.create(
        {
            "a": "${ oc.env:LONG}",
            "b": ["x${${first}.env:SHORT,none}"],
            "c": "${oc.env:UNSET,x}",
            "first": "oc",
            "missing": "???",
            "wrong": "${nowhere}",
        }
    )
    hidden = from_environment(config)
    assert hidden == {"hush-hush": "${oc.env:LONG}", "abc": "${oc.env:SHORT}"}
    data = {"a": "http://hush-hush/x", "b": ("abc", "abcdef", 3, None), "c": "me://a:b@c"}
    assert without(data, hidden) == {
        "a": "http://${oc.env:LONG}/x",
        "b": ["${oc.env:SHORT}", "abcdef", 3, None],
        "c": "me://a:***@c",
    }


def test_what_hydra_kept_is_masked(tmp_path: Path) -> None:
    (tmp_path / "0" / ".hydra").mkdir(parents=True)
    text = "tracking:\n  uri: postgresql://me:hush@h/x\n  other: ${oc.env:URI}\n"
    files = [tmp_path / "0" / ".hydra" / "config.yaml", tmp_path / "multirun.yaml"]
    for file in files:
        file.write_text(text)
    mask_configuration(tmp_path / "0", tmp_path)
    for file in files:
        assert file.read_text() == text.replace("hush", "***")


@pytest.mark.soak
@pytest.mark.parametrize("how", [(), ("-m",)], ids=["run", "sweep"])
def test_a_run_leaves_no_password_anywhere(workplace: Workplace, how: tuple[str, ...]) -> None:
    done = workplace.run(
        *how,
        "limit=1",
        "backend=scripted",
        "tracking.uri=http://me:hush-one@127.0.0.1:9",
        "model.api.base_url=http://me:hush-two@127.0.0.1:9/v1",
        "model.note='${oc.env:HUSH}'",
        HUSH="hush-three",
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
    )
    assert done.returncode == 0, done.stderr
    (folder,) = workplace.runs
    assert "me:***@127.0.0.1:9/v1" in (folder / ".hydra" / "config.yaml").read_text()
    assert "${oc.env:HUSH}" in (folder / ".hydra" / "config.yaml").read_text()
    assert json.loads((folder / "metrics.json").read_text())["pass_at_1/plus"] == 1.0
    for secret in ("hush-one", "hush-two"):
        assert secret not in done.stdout + done.stderr
        for path in workplace.folder.rglob("outputs/*/**/*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path


@pytest.mark.soak
def test_the_password_is_used(workplace: Workplace) -> None:
    """A server that is asked for a run is sent the user and the password."""
    import base64
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    said: list[str] = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said.append(self.headers.get("Authorization", ""))
            self.send_error(403)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"tracking.uri=http://me:hush@127.0.0.1:{server.server_port}"
        done = workplace.run("limit=1", "backend=scripted", uri)
        server.shutdown()
    assert f"Basic {base64.b64encode(b'me:hush').decode()}" in said
    assert "hush" not in done.stdout + done.stderr
