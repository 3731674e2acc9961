"""An MLflow server on PostgreSQL, with its own artifacts and with users, on this machine.

    apt-get install postgresql           pip install 'psycopg[binary]' Flask-WTF
    python tools/mlflow_server.py start FOLDER     prints what to export
    python tools/mlflow_server.py stop FOLDER

For tests, and for a team without Docker; compose.yaml starts the same from images. All that it
writes is in FOLDER. The first user is `admin`; his password is in FOLDER/password. MLflow adds
others: https://mlflow.org/docs/latest/self-hosting/security/basic-http-auth. Standard library only.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from daemons import has_ended, run, wait_until

SECONDS = 300.0
"""Until the server answers: it makes two databases when it starts for the first time."""

WORKERS = 1
"""Several are watched by uvicorn, which kills those that do not answer within seconds. On a busy
machine none gets as far as to import MLflow."""

AUTH = """\
[mlflow]
default_permission = EDIT
database_uri = {uri}/auth
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"""
"""A password is hashed on purpose slowly; without the cache each request takes that time."""


def main(what: str, folder: Path) -> None:
    """Start or stop. Where not all can be started, nothing is left."""
    if what == "start":
        try:
            start(folder)
        except SystemExit:
            stop(folder)
            raise
    elif what == "stop":
        stop(folder)
    else:
        sys.exit(__doc__)


def start(folder: Path) -> None:
    """Start PostgreSQL, then MLflow, each if it does not run yet, and say how to reach it."""
    folder.mkdir(parents=True, exist_ok=True)
    port, uri = _start_postgres(folder)
    password = folder / "password"
    if not password.exists():
        password.touch(0o600)
        password.write_text(secrets.token_urlsafe(16))
    settings = folder / "auth.ini"
    settings.touch(0o600)
    settings.write_text(AUTH.format(uri=uri))
    address = f"http://127.0.0.1:{port + 1}"
    environment = {
        **os.environ,
        "MLFLOW_AUTH_CONFIG_PATH": str(settings),
        "MLFLOW_AUTH_ADMIN_PASSWORD": password.read_text(),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth",
         "--backend-store-uri", f"{uri}/mlflow", "--artifacts-destination",
         str(folder / "artifacts"), "--host", "127.0.0.1", "--port", str(port + 1),
         "--workers", str(WORKERS)],
        stdout=(folder / "mlflow.log").open("a"), stderr=subprocess.STDOUT,
        env=environment, cwd=folder, start_new_session=True,
    )  # fmt: skip
    (folder / "mlflow.pid").write_text(str(server.pid))
    wait_until(lambda: _answers(f"{address}/health"), "MLflow", folder, SECONDS)
    print(f"export MLFLOW_TRACKING_URI={address}")
    print("export MLFLOW_TRACKING_USERNAME=admin")
    print(f"export MLFLOW_TRACKING_PASSWORD={password.read_text()}")


def stop(folder: Path) -> None:
    """Stop both."""
    for name in ("mlflow", "postgres"):
        try:
            pid = int((folder / f"{name}.pid").read_text())
            os.killpg(pid, signal.SIGTERM if name == "mlflow" else signal.SIGINT)
        except (OSError, ValueError):
            continue
        if not has_ended(pid, 30):
            os.killpg(pid, signal.SIGKILL)


def _start_postgres(folder: Path) -> tuple[int, str]:
    """Start PostgreSQL with two databases; return its port and their address without a name."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    programs = str(found[-1].parent) if found else str(Path(shutil.which("initdb") or "").parent)
    if not Path(programs, "postgres").exists():
        sys.exit("PostgreSQL is missing: apt-get install postgresql")
    # PostgreSQL refuses to run as root.
    user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    data, is_new = folder / "postgres", not (folder / "postgres").exists()
    if is_new:
        data.mkdir(mode=0o700)
        if user:
            shutil.chown(data, "postgres")
        run(*user, f"{programs}/initdb", "-D", str(data), "-U", "mlflow", "--auth=trust", "-E=UTF8")
        (folder / "port").write_text(str(_free_port()))
    port = int((folder / "port").read_text())
    process = subprocess.Popen(
        [*user, f"{programs}/postgres", "-D", str(data), "-h", "127.0.0.1", "-p", str(port),
         "-c", "unix_socket_directories="],
        stdout=(folder / "postgres.log").open("a"), stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    (folder / "postgres.pid").write_text(str(process.pid))
    ask = [f"{programs}/psql", "-h", "127.0.0.1", "-p", str(port), "-U", "mlflow", "-d", "postgres"]
    wait_until(lambda: _works(*ask, "-c", "select 1"), "PostgreSQL", folder, SECONDS)
    if is_new:
        for name in ("mlflow", "auth"):
            run(*ask, "-c", f"create database {name}")
    return port, f"postgresql+psycopg://mlflow@127.0.0.1:{port}"


def _free_port() -> int:
    """Return a port that is free, as is the one behind it."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port: int = first.getsockname()[1]
            try:
                socket.create_server(("127.0.0.1", port + 1)).close()
            except OSError:
                continue
            return port


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def _works(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]).resolve())
