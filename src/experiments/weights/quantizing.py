"""Makes a quantized GGUF from an unquantized one, with llama.cpp's own quantizer.

The quantizer runs in a process of its own, since llama.cpp aborts on some bad input. It
writes beside the target under another name; only a complete, synced file gets the target's
name, so a crash leaves none that looks finished. Two runs that want the same file make it
once: the second waits for the first.

The new file carries the digest of its source (`header.SOURCE_KEY`), so that one made from an
older source is told from a current one.
"""

import logging
import os
import re
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

from experiments.environment import machine
from experiments.errors import WeightsError
from experiments.sandbox import confinement
from experiments.store.files import sync
from experiments.store.lock import draft_of, left_over, locked
from experiments.weights import header
from experiments.weights.header import Header

log = logging.getLogger(__name__)


def quantize(source: Header, digest: str, target: Path, ftype: str, bits: float) -> Header:
    """Write `target`, quantized from `source`, and return its header.

    If another process makes the same file, waits for it and takes its result.

    Args:
        source: of a GGUF in F32, F16 or BF16, or in Q8_0.
        digest: of the source's content.
        target: the file to write; one that is there is replaced.
        ftype: llama.cpp's name of the level (`MOSTLY_Q4_K_M`).
        bits: nominal bits per weight, to tell whether the disk has room.

    Raises:
        WeightsError: the folder cannot be written, the disk is too full, or the quantizer
            failed.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target, "makes") as lock:
            if made := made_before(target, digest):
                return made  # by the process that we waited for
            for part in left_over(target):  # of runs that died
                part.unlink(missing_ok=True)
            _check_room(source, target, bits)
            return _make(source, digest, target, ftype, lock)
    except OSError as error:
        raise WeightsError(
            f"{target} cannot be written: {error.strerror or error}",
            "Set models to a folder that can be written.",
        ) from None


def made_before(target: Path, digest: str) -> Header | None:
    """Return the header of a file that was made here from a source; None if it was not.

    A damaged file counts as none: it is made again.
    """
    if not target.is_file():
        return None
    try:
        found = header.read(target)
    except WeightsError:
        return None
    return found if found.made_from == digest else None


# Quantized tensors are a little more than nominal: some stay in a finer type.
_ROOM_FACTOR = 1.2
_ROOM_RESERVE = 16 * 10**6
_CAUSE = re.compile(r"\b(?:error|failed|GGML_ASSERT)\b", re.IGNORECASE)


def _check_room(source: Header, target: Path, bits: float) -> None:
    """Raise if the disk has too little room for the new file."""
    needed = int(source.parameters * bits / 8 * _ROOM_FACTOR) + _ROOM_RESERVE
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise WeightsError(
            f"{target} needs about {header.human_bytes(needed)}, "
            f"and the disk has {header.human_bytes(free)} left",
            "Make room, or set models to a folder on another disk.",
        )


def _make(source: Header, digest: str, target: Path, ftype: str, lock: int) -> Header:
    """Run the quantizer, give its result the target's name, and return its header."""
    part = draft_of(target)
    log.info("Quantizing %s to %s.", source.path, target.name)
    began = time.monotonic()
    # The child has the lock, too: if we are killed, nobody touches its file until it has ended,
    # which it then does, without leaving the file.
    process = subprocess.Popen(
        confinement.command(
            [
                str(Path(__file__).with_name("quantizer.py")),
                str(source.path),
                str(part),
                ftype,
                header.SOURCE_KEY,
                digest,
                str(machine.cores()),
                str(os.getpid()),
            ],
            [part.parent],
        ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=(lock,),
    )
    try:
        _, said = process.communicate()
        if process.returncode != 0:
            raise WeightsError(
                f"llama.cpp could not quantize {source.path} to {ftype}: "
                f"{_reason(said.decode(errors='replace'), process.returncode)}",
                "Choose another quantization.",
            )
        made = header.read_part(part)  # complete?
        if made.made_from != digest:
            raise WeightsError(f"llama.cpp wrote {target.name} without the name of its source")
        sync(part)
        part.replace(target)
        sync(target.parent)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        part.unlink(missing_ok=True)
    log.info(
        "%s: %s, %.2f bits per weight, made in %.0f s.",
        target.name,
        header.human_bytes(made.file_bytes),
        made.bits_per_weight,
        time.monotonic() - began,
    )
    return replace(made, path=target, parts=(target,))


def _reason(said: str, code: int) -> str:
    """Return the line of llama.cpp's messages that names the cause."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for line in lines:
        if _CAUSE.search(line):
            return line
    ended = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"{lines[-1]} ({ended})" if lines else ended
