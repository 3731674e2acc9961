"""How long a run looks for its generations in a store of millions, and what memory that takes.

    python benchmarks/store.py FOLDER [--records 5000000]

FOLDER gets the store, of about 1.5 kB a record, unless it is there. It is as a sweep leaves it:
each run has written a file of its own, of 164 generations, and files were merged as they are at
the end of runs. Making it takes a minute or two for 5 million; `--keep` leaves it there.

Each row looks for the generations of one run in a process of its own: 164 of HumanEval, or ten
samples of each; half of them are there, or none. Cold: the kernel was asked to forget the files
(`posix_fadvise`) before. The bar: less than 2 s, and memory in proportion to what is found. The
exit code tells whether it was missed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

from experiments.records import FinishReason, Generation
from experiments.store.entries import Entry
from experiments.store.files import dump
from experiments.store.keyed import GenerationStore
from experiments.store.segments import SORTED, Found, to_merge

OF_A_RUN = 164
MOST_SECONDS = 2.0
MOST_BYTES = 64e6
"""Memory beside what is found, and the interpreter's own."""


def main() -> int:
    """Make the store if need be, and measure; or look, in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=int, default=5_000_000)
    parser.add_argument("--keep", action="store_true", help="leave the store there")
    parser.add_argument("--look", nargs=2, type=int, metavar=("FIRST", "COUNT"))
    options = parser.parse_args()
    if options.look:
        look(options.folder, *options.look)
        return 0
    store = options.folder / f"store-{options.records}"
    if not store.exists():
        make(store, options.records)
    files = list(store.glob("*.jsonl"))
    size = sum(path.stat().st_size for path in files)
    print(f"{options.records:,} records, {size / 1e9:.1f} GB in {len(files)} files")
    is_met = True
    for count in (OF_A_RUN, 10 * OF_A_RUN):
        for first, share in ((options.records - count // 2, "half"), (options.records, "none")):
            for cache in ("cold", "warm"):
                if cache == "cold":
                    forget(files)
                command = [sys.executable, __file__, str(store), "--look", str(first), str(count)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                seconds, busy, found, memory = json.loads(done.stdout)
                print(
                    f"{count:6,} wanted, {share} there, {cache}: {seconds:6.2f} s, "
                    f"{busy:5.2f} s of CPU, {found:5,} found, {memory / 1e6:5.1f} MB"
                )
                is_met = is_met and seconds < MOST_SECONDS and memory < MOST_BYTES
    if not options.keep:
        shutil.rmtree(store)
    return 0 if is_met else 1


def make(store: Path, records: int) -> None:
    """Write the files that are there when runs have merged theirs, one after the other.

    Which are merged is asked of the store; the merged ones alone are written.
    """
    began = time.monotonic()
    draft = store.with_suffix(".part")
    draft.mkdir(parents=True)
    text = "def f(x):\n    return x\n" * 32
    body = dump(Generation("KEY", "t/1", 0, text, FinishReason.END_TOKEN))
    now = time.time()
    size = len(Entry(key(0), now, "m", body.replace("KEY", key(0))).line("generation"))
    files: dict[Found, list[range]] = {}
    for first in range(0, records, OF_A_RUN):
        numbers = range(first, min(first + OF_A_RUN, records))
        path = draft / f"generations-machine-1-{first:012x}.jsonl"
        files[Found(path, size * len(numbers), now, True)] = [numbers]
        while chosen := to_merge(files):
            merged = [each for file in chosen for each in files.pop(file)]
            path = chosen[-1].path
            path = path.with_name(path.name.split(".")[0] + SORTED)
            files[Found(path, sum(file.bytes for file in chosen), now, True)] = merged
    for file, parts in files.items():
        keys = [key(number) for part in parts for number in part]
        with file.path.open("wb") as out:
            for name in sorted(keys) if file.is_sorted else keys:
                out.write(Entry(name, now, "m", body.replace("KEY", name)).line("generation"))
    draft.rename(store)
    print(f"made in {time.monotonic() - began:.0f} s")


def key(number: int) -> str:
    """Return the key of a record."""
    return hashlib.sha256(str(number).encode()).hexdigest()


def forget(files: list[Path]) -> None:
    """Ask the kernel to forget what it holds of some files."""
    for path in files:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def look(store: Path, first: int, count: int) -> None:
    """Print seconds on the clock and of CPU, how many were found, and bytes of memory."""
    keys = [key(number) for number in range(first, first + count)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, began_cpu = time.perf_counter(), time.process_time()
    found = GenerationStore(store, "read").find(keys)
    seconds, busy = time.perf_counter() - began, time.process_time() - began_cpu
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps([seconds, busy, len(found), (after - before) * 1024]))


if __name__ == "__main__":
    sys.exit(main())
