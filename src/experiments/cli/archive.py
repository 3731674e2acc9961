"""Runs into an archive, and out of it: `experiments export` and `experiments import`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from experiments import report
from experiments.app import sent
from experiments.environment.terminal import counted, results
from experiments.errors import StoreError
from experiments.experiment import elsewhere, shared
from experiments.records import Dataset
from experiments.report.collect import read, readable
from experiments.store import archive, runs
from experiments.store.files import replaceable


def export(folder: Path, target: Path) -> int:
    """Write the runs in a folder, and their report, into an archive; return how many there are.

    A run that cannot be read, and whose archive nobody could import, is told and left out.
    Links are left out: a folder that was sent may have one to a file that was not.

    Raises:
        StoreError: there is no run that can be read, or the archive cannot be written.
    """
    left_out: list[tuple[Path, str]] = []
    found = readable(report.find_runs([folder])[0], _importable, left_out)
    for _, reason in left_out:
        print(f"warning: left out: {reason}", file=sys.stderr)
    if not found:
        raise StoreError(f"No finished run in {folder}", "Name the folder of a run or of a sweep.")
    target = replaceable(target, "Name a file: out.zip")
    whole = folder.resolve()
    files: dict[str, Path] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for number, run in enumerate(found):
            name = "0" if run == whole else run.relative_to(whole).as_posix()
            files |= {f"{name}/{each}": run / each for each in archive.OF_A_RUN}
            if not (run / runs.SHARED).exists() and (run / runs.HYDRA).exists():
                made = Path(scratch, f"{number}.yaml")
                made.write_text(shared.text(shared.remade(run), runs.read_manifest(run)), "utf-8")
                files[f"{name}/{runs.SHARED}"] = made
        page = whole
        if not (whole / "report.html").exists():
            page = Path(scratch)
            report.write(report.collect([folder]), page)
        files |= {each: page / each for each in archive.OF_A_SWEEP}
        files |= {f"figures/{path.name}": path for path in page.glob("figures/*.svg")}
        own = {k: path for k, path in files.items() if path.is_file() and not path.is_symlink()}
        archive.pack(own, target)
    return len(found)


def _importable(run: Path) -> Path:
    """Return the folder of a run, if it can be read, and its archive.

    Raises:
        StoreError: it cannot.
    """
    read(run)
    elsewhere.judged_programs(run, runs.read_verdicts(run))
    return run


def bring_in(
    file: Path, target: Path, load: Callable[[str], Dataset] | None, cache: Path
) -> list[Path]:
    """Put the runs in an archive into a folder, with a report of this machine's making.

    The archive's own page is left out: it is a program of somebody else.

    Args:
        file: the archive.
        target: the folder, which is not there yet.
        load: gives a data set by its name, to judge the programs here; None: they are not.
        cache: where verdicts are kept.

    Returns:
        The folders of the runs.

    Raises:
        StoreError: the archive is refused.
        DatasetError: the programs cannot be judged here.
    """
    with archive.unpacked(file, target.parent) as folder:
        for left_out in (*archive.OF_A_SWEEP[:2], "figures"):
            _remove(folder / left_out)
        found, _ = report.find_runs([folder])
        if not found:
            raise StoreError(f"{file} holds no finished run", "Export it again.")
        for run in found:
            if (run / runs.SHARED).exists():
                sent.read(run / runs.SHARED)
            elsewhere.adopt(run, file.name)
            if load is not None:
                changed = elsewhere.judge_here(run, load, cache)
                name, verdicts = run.relative_to(folder.resolve()), counted(changed, "verdict")
                results.print(f"{name}: {verdicts} changed")
        collection = report.collect([folder])
        report.show_collection(collection)
        names = [run.relative_to(folder.resolve()) for run in found]
        folder.rename(target)
    report.write(report.collect([target]), target)
    return [target / name for name in names]


def _remove(path: Path) -> None:
    if path.is_dir():
        for each in path.iterdir():
            each.unlink()
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
