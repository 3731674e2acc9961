"""Each run and each sweep has a folder of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from experiments.app.run_folder import new_folder, register


def test_runs_that_start_together_have_folders_of_their_own(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        folders = list(pool.map(new_folder, [str(tmp_path)] * 48))
    assert len(set(folders)) == 48
    assert all(Path(folder).is_dir() for folder in folders)


def test_a_configuration_means_the_same_folder_wherever_it_says_it(tmp_path: Path) -> None:
    register()
    config = OmegaConf.create({"run": f"${{run_folder:{tmp_path}}}", "sweep": "${run}"})
    copy = OmegaConf.create({"run": f"${{run_folder:{tmp_path}}}"})
    first = config.run
    OmegaConf.copy_cache(config, copy)  # as Hydra does for the jobs of a sweep
    assert config.sweep == config.run == copy.run == first
    assert len(list(tmp_path.glob("*/*"))) == 1


@pytest.mark.parametrize("taken", ["outputs", "outputs/below"])
def test_where_no_folder_can_be_made_a_name_is_given(tmp_path: Path, taken: str) -> None:
    tmp_path.joinpath("outputs").write_text("no folder")
    assert new_folder(str(tmp_path / taken)).startswith(str(tmp_path / taken))
