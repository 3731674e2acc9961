"""A Slurm of one node on this machine, to try sweeps on: `sudo python tools/slurm.py start FOLDER`.

    apt-get install --no-install-recommends slurm-wlm slurmdbd munge mariadb-server
    python tools/slurm.py start FOLDER       then: export SLURM_CONF=FOLDER/slurm.conf
    python tools/slurm.py kill-node FOLDER   as if the machine failed: slurmd and its jobs
    python tools/slurm.py start-node FOLDER
    python tools/slurm.py stop FOLDER

All that it writes is in FOLDER, and it needs no systemd: it works in a container, as root. Its
accounts are kept by slurmdbd in a MariaDB of its own, since submitit asks `sacct` how a job ended.
Nothing is protected from other users of the machine. Standard library only.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from daemons import has_ended, run, wait_until

PROGRAMS = ("munged", "mariadbd", "mariadb-install-db", "slurmdbd", "slurmctld", "slurmd", "sacct")
SECONDS = 60.0
"""Until each part answers."""

SLURM_CONF = """\
ClusterName=here
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={ports[2]}
AccountingStoragePass={folder}/munge.socket
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
SchedulerParameters=bf_interval=2
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={megabytes} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

SLURMDBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={ports[2]}
SlurmUser=root
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={ports[3]}
StorageUser=root
StorageLoc=slurm
"""


def main(what: str, folder: Path) -> None:
    """Do one of the four things. Where not all can be started, nothing is left."""
    if what == "start":
        try:
            start(folder)
        except SystemExit:
            stop(folder)
            raise
    elif what == "start-node":
        start_node(folder)
    elif what == "kill-node":
        kill_node(folder)
    elif what == "stop":
        stop(folder)
    else:
        sys.exit(__doc__)


def start(folder: Path) -> None:
    """Start all parts, each when the one before it answers."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        sys.exit(f"{', '.join(missing)} are missing: see the top of {__file__}")
    if os.getuid() != 0:
        sys.exit("Slurm's parts are started as root: sudo python tools/slurm.py start FOLDER")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("state", "spool"):
        (folder / name).mkdir(exist_ok=True)
    _write_settings(folder)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    run(
        "munged", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket",
        f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log",
        f"--seed-file={folder}/munged.seed",
    )  # fmt: skip
    _start_mariadb(folder)
    run("slurmdbd")
    wait_until(lambda: _answers(_ports(folder)[2]), "slurmdbd", folder, SECONDS)
    run("sacctmgr", "--immediate", "add", "cluster", "here")
    run("slurmctld", "-c")
    wait_until(lambda: _answers(_ports(folder)[0]), "slurmctld", folder, SECONDS)
    start_node(folder)
    print(f"export SLURM_CONF={folder}/slurm.conf")


def start_node(folder: Path) -> None:
    """Start slurmd, and wait until the node takes jobs."""
    os.environ["SLURM_CONF"] = f"{folder}/slurm.conf"
    run("slurmd")
    wait_until(lambda: _state() in ("idle", "mixed", "allocated"), "the node", folder, SECONDS)


def kill_node(folder: Path) -> None:
    """Kill slurmd and all that it started, as a machine that loses its power does."""
    left = [int((folder / "slurmd.pid").read_text())]
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text().rpartition(") ")
        except OSError:
            continue
        pid = int(path.parent.name)
        parents[pid] = int(rest.split()[1])
        if name.partition("(")[2] == "slurmstepd":
            left.append(pid)
    for pid in left:
        left += [child for child, parent in parents.items() if parent == pid and child not in left]
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def stop(folder: Path) -> None:
    """Stop all parts."""
    if (folder / "slurmd.pid").exists():
        kill_node(folder)
    for name in ("slurmd", "slurmctld", "slurmdbd", "mariadbd", "munged"):
        try:
            pid = int((folder / f"{name}.pid").read_text())
            os.kill(pid, signal.SIGTERM)
        except (OSError, ValueError):
            continue
        has_ended(pid, 10)


def _write_settings(folder: Path) -> None:
    settings = {
        "folder": folder,
        "host": socket.gethostname().partition(".")[0],
        "ports": _free_ports(4),
        "cores": os.cpu_count(),
        "megabytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20 * 9 // 10,
    }
    (folder / "slurm.conf").write_text(SLURM_CONF.format(**settings))
    accounts = folder / "slurmdbd.conf"
    accounts.write_text(SLURMDBD_CONF.format(**settings))
    accounts.chmod(0o600)
    (folder / "ports").write_text(" ".join(map(str, settings["ports"])))
    os.environ["SLURM_CONF"] = f"{folder}/slurm.conf"


def _start_mariadb(folder: Path) -> None:
    data = folder / "mariadb"
    if not data.exists():
        run("mariadb-install-db", f"--datadir={data}", "--user=root", "--skip-test-db")
    subprocess.Popen(
        ["mariadbd", f"--datadir={data}", "--user=root", f"--socket={folder}/mariadb.socket",
         "--bind-address=127.0.0.1", f"--port={_ports(folder)[3]}", "--skip-grant-tables",
         "--skip-networking=0", f"--pid-file={folder}/mariadbd.pid"],
        stdout=(folder / "mariadbd.log").open("a"), stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    wait_until(lambda: _answers(_ports(folder)[3]), "mariadbd", folder, SECONDS)


def _state() -> str:
    done = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _ports(folder: Path) -> list[int]:
    return [int(port) for port in (folder / "ports").read_text().split()]


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]).resolve())
