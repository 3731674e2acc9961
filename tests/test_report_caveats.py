"""What makes runs less comparable than their table looks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_report import make_run

from experiments import report
from experiments.report.caveats import caveats
from experiments.report.markdown import markdown


def group_of(folder: Path, *runs: tuple[str, dict[str, Any], str]) -> Any:
    """Collect runs, each with its level, what its manifest says of the weights, and its data."""
    folders = []
    for number, (level, weights, digest) in enumerate(runs):
        run = make_run(folder / str(number), [True, False], {"quantization": level}, bits=4.0)
        file = run / "manifest.json"
        manifest = json.loads(file.read_text())
        manifest["weights"] |= weights
        manifest["dataset"]["sha256"] = digest
        file.write_text(json.dumps(manifest))
        folders.append(run)
    return report.collect(folders)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (
            {"importance_matrix": True},
            {"importance_matrix": False},
            "(m q2_k) and some without (m q4_0)",
        ),
        ({"importance_matrix": True}, {"importance_matrix": None}, ""),
        ({"importance_matrix": True}, {"importance_matrix": True}, ""),
    ],
)
def test_files_with_and_without_an_importance_matrix_are_told(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any], said: str
) -> None:
    collection = group_of(tmp_path, ("q2_k", first, "0"), ("q4_0", second, "0"))
    found = caveats(collection.groups[0])
    assert len(found) == bool(said)
    assert said in " ".join(found)
    assert said.replace("_", "\\_") in markdown(collection)


def test_two_recipes_of_one_level_are_told(tmp_path: Path) -> None:
    old = {"recipe": "of before January 2024"}
    collection = group_of(tmp_path, ("q2_k", old, "0"), ("q2_k", {}, "0"))
    (found,) = caveats(collection.groups[0])
    assert found.startswith("Q2_K was another recipe")
    assert not caveats(group_of(tmp_path / "b", ("q2_k", old, "0"), ("q8_0", {}, "0")).groups[0])


def test_two_versions_of_a_data_set_are_told(tmp_path: Path) -> None:
    collection = group_of(tmp_path, ("q8_0", {}, "0"), ("q4_0", {}, "1"))
    (found,) = caveats(collection.groups[0])
    assert "different versions of the data set" in found
