"""Run experiments: `python run.py -m model=demo prompt=plain,cot quantization=q8_0,q2_k`."""

import sys

import hydra
from omegaconf import DictConfig

from experiments import app


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def run(config: DictConfig) -> None:
    """Run one job; Hydra calls this once for each composed configuration."""
    app.run_job(config)


if __name__ == "__main__":
    sys.exit(app.main(run))
