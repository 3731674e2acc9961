"""The experiments of the paper, run with the demo model in the place of the paper's."""

from __future__ import annotations

import pytest
from conftest import ROOT, Workplace

EXPERIMENTS = sorted(path.stem for path in (ROOT / "conf" / "experiment" / "paper").glob("*.yaml"))

DEMO = ("model=demo", "backend=llama_cpp", "limit=1", "sampling.max_tokens=32")


@pytest.mark.soak
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_of_the_paper_runs(
    workplace: Workplace, evalplus_data: dict[str, str], name: str
) -> None:
    arguments = ["-m", f"+experiment=paper/{name}", *DEMO, "tracking.enabled=false"]
    done = workplace.run(*arguments, **evalplus_data)
    assert done.returncode == 0, done.stderr
    jobs = 7 if name.endswith("_quantizations") else 1 if name == "humaneval" else 2
    assert len(workplace.runs) == jobs
    (page,) = workplace.folder.glob("outputs/*/*/report.html")
    assert page.stat().st_size
