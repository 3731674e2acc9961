"""The console command `experiments`: what is done beside a run.

experiments plan OVERRIDE ... [--measure]
experiments report [FOLDER or MLflow run id ...] [--out DIR] [--sanitizer]
experiments import SAMPLES_eval_results.json --dataset NAME
experiments review RUN [...] [--text | --status | --collect]
experiments judge DATASET SAMPLES.jsonl --out VERDICTS.jsonl
experiments validate DATASET
experiments models [NAME]
experiments models fetch NAME quantization=LEVEL
experiments fidelity model=NAME quantization=LEVEL,LEVEL,... [reference=LEVEL] [OVERRIDE ...]
experiments doctor
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.environment.terminal import results
from experiments.errors import ConfigError, DatasetError, StoreError, UserError, did_you_mean

if TYPE_CHECKING:
    from experiments.records import Dataset

CONF = Path(__file__).resolve().parents[3] / "conf"
OUTPUTS = Path("outputs")
CACHE = OUTPUTS / "cache"
TRACKING = "sqlite:///mlruns/mlflow.db"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand and return the exit code; a mistake is told in one line."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        return int(chosen.do(chosen))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="experiments", description="What is done beside a run. Runs are `python run.py`."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_plan(commands)
    _add_report(commands)
    _add_import(commands)
    _add_review(commands)
    _add_judge(commands)
    _add_validate(commands)
    _add_models(commands)
    _add_fidelity(commands)
    _add_doctor(commands)
    return parser


def _add_plan(commands: Any) -> None:
    parser = commands.add_parser("plan", help="what a run or a sweep will take, before it begins")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="OVERRIDE",
        help="as for run.py: model=mistral,dolphin quantization=q4_k_m prompt=plain,cot",
    )
    parser.add_argument(
        "--measure",
        action="store_true",
        help="measure this machine, some seconds per type, where no earlier run tells; kept",
    )
    parser.add_argument("-m", "--multirun", action="store_true", help="makes no difference here")
    parser.set_defaults(do=_plan)


def _plan(chosen: argparse.Namespace) -> int:
    from experiments.cli import plan

    return plan.show(chosen.overrides, CONF, chosen.measure)


def _add_report(commands: Any) -> None:
    parser = commands.add_parser("report", help="compare runs: a table, a page, Markdown, plots")
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="*",
        help="folder of a run or a sweep, or an MLflow run id; default: the newest in outputs/",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: the folder of the runs")
    parser.add_argument(
        "--sanitizer",
        action="store_true",
        help="also judge what EvalPlus's sanitizer finds in the answers; kept with each run",
    )
    parser.add_argument("--uri", default=TRACKING, help=f"of MLflow; default: {TRACKING}")
    parser.set_defaults(do=_report)


def _report(chosen: argparse.Namespace) -> int:
    from experiments import report

    folders = [_folder(name, chosen.uri) for name in chosen.runs] or [report.newest(OUTPUTS)]
    if chosen.sanitizer:
        for folder in report.find_runs(folders)[0]:
            report.judge_sanitized(folder, load_dataset, CACHE)
    collection = report.collect(folders)
    report.show_collection(collection)
    out = chosen.out or (folders[0] if len(folders) == 1 else Path("report"))
    written = report.write(collection, out)
    for path in written.files:
        results.print(f"Report: {path}", soft_wrap=True)
    return 0


def _folder(name: str, uri: str) -> Path:
    """Return a folder of runs; those of an MLflow run are fetched."""
    from experiments.tracking.fetching import fetch, is_run_id

    if Path(name).exists() or not is_run_id(name):
        return Path(name)
    return fetch(uri, name, OUTPUTS / "fetched")


def _add_review(commands: Any) -> None:
    parser = commands.add_parser("review", help="grade programs by hand, blind")
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help="folder of a run or a sweep, or an MLflow run id"
    )
    parser.add_argument(
        "--budget", type=_count, default=60, metavar="N", help="programs to read; default: 60"
    )
    parser.add_argument("--reviewers", metavar="NAMES", help="alice,bob; default: you")
    parser.add_argument("--rubric", default="default", metavar="NAME", help="as in conf/review/")
    parser.add_argument("--seed", type=int, default=0, help="of choice and order; default: 0")
    parser.add_argument("--name", help="of the review in MLflow; default: the date")
    doing = parser.add_mutually_exclusive_group()
    doing.add_argument("--text", action="store_true", help="grade here, in the terminal")
    doing.add_argument("--status", action="store_true", help="say how far the queues are")
    doing.add_argument("--collect", action="store_true", help="bring the grades home")
    parser.add_argument("--uri", default=TRACKING, help=f"of MLflow; default: {TRACKING}")
    parser.set_defaults(do=_review)


def _review(chosen: argparse.Namespace) -> int:
    from experiments import report
    from experiments.cli import review

    folders, _ = report.find_runs(_folder(name, chosen.uri) for name in chosen.runs)
    if not folders:
        raise StoreError(
            f"No run in {', '.join(chosen.runs)}",
            "Name the folder of a run or of a sweep, such as outputs/2026-01-31/12-00-00",
        )
    return review.run(chosen, folders, CONF)


def _add_import(commands: Any) -> None:
    parser = commands.add_parser("import", help="bring in results of EvalPlus as a run")
    parser.add_argument("file", metavar="EVAL_RESULTS.json", type=Path, help="of evalplus.evaluate")
    parser.add_argument("--dataset", required=True, metavar="NAME", help="as in conf/dataset/")
    parser.add_argument("--name", help="of the model; default: the file's name")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: outputs/imported/NAME")
    parser.set_defaults(do=_import)


def _import(chosen: argparse.Namespace) -> int:
    from experiments import report

    name = chosen.name or chosen.file.name.removesuffix(".json").removesuffix("_eval_results")
    if Path(name).name != name:
        raise ConfigError(f"--name is '{name}', which is no name", "Choose one without slashes.")
    folder = chosen.out or OUTPUTS / "imported" / name
    report.import_evalplus(chosen.file, load_dataset(chosen.dataset), name, folder)
    report.show([report.read_report(folder)])
    results.print(f"\nImported: {folder}", soft_wrap=True)
    return 0


def _add_judge(commands: Any) -> None:
    parser = commands.add_parser("judge", help="judge programs from elsewhere")
    parser.add_argument("dataset", metavar="DATASET", help="as in conf/dataset/, or FILE.jsonl")
    parser.add_argument("samples", metavar="SAMPLES.jsonl", type=Path, help=".gz is read, too")
    parser.add_argument("--out", required=True, type=Path, metavar="VERDICTS.jsonl")
    parser.add_argument("--workers", type=_count, metavar="N", help="default: one per core")
    parser.add_argument(
        "--stop-at-first-failure",
        action="store_true",
        help="faster; the share of passed tests is then unknown",
    )
    parser.add_argument(
        "--rejudge", action="store_true", help="judge anew what was judged in an earlier call"
    )
    parser.add_argument("--isolation", choices=("auto", "bubblewrap", "process"), default="auto")
    parser.set_defaults(do=_judge)


def _judge(chosen: argparse.Namespace) -> int:
    from experiments.judge.samples import judge_samples
    from experiments.sandbox import choose, missing
    from experiments.schema import Isolation, SandboxConfig

    settings = SandboxConfig(
        workers=chosen.workers,
        isolation=Isolation(chosen.isolation),
        stop_at_first_failure=chosen.stop_at_first_failure,
        rejudge=chosen.rejudge,
    )
    dataset = load_dataset(chosen.dataset)
    if gaps := missing(choose(chosen.isolation)):
        print(f"warning: {gaps}", file=sys.stderr)
    summary = judge_samples(dataset, chosen.samples, chosen.out, settings, CACHE)
    for line in summary.lines():
        results.print(line, soft_wrap=True)
    return 0


def _add_validate(commands: Any) -> None:
    from experiments.problems import validate

    parser = commands.add_parser("validate", help="check problems and the strength of their tests")
    validate.add_arguments(parser)
    parser.set_defaults(do=validate.run)


def _add_models(commands: Any) -> None:
    parser = commands.add_parser("models", help="list models, or fetch one ahead of a run")
    parser.add_argument(
        "words",
        nargs="*",
        metavar="NAME | fetch NAME quantization=LEVEL",
        help="nothing lists all models, a name shows one at every quantization",
    )
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of weights")
    parser.set_defaults(do=_models)


def _models(chosen: argparse.Namespace) -> int:
    import logging

    from experiments.cli import models

    words: list[str] = chosen.words
    if not words:
        models.show(CONF, chosen.models)
    elif words[0] != "fetch" and len(words) == 1:
        models.show_one(words[0], CONF, chosen.models)
    elif words[0] == "fetch" and len(words) > 1:
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        models.fetch(words[1], words[2:], CONF, chosen.models)
    else:
        raise ConfigError(
            f"'{' '.join(words)}' is not understood",
            "Type: experiments models fetch NAME quantization=q4_k_m",
        )
    return 0


def _add_fidelity(commands: Any) -> None:
    parser = commands.add_parser(
        "fidelity", help="compare levels of a model with a reference, without generating"
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="KEY=VALUE",
        help="settings of a run, with several levels: model=demo quantization=q8_0,q4_0; "
        "reference=LEVEL, default: the highest that is here",
    )
    default = OUTPUTS / "fidelity"
    parser.add_argument(
        "--out", type=Path, metavar="DIR", default=default, help=f"default: {default}"
    )
    parser.set_defaults(do=_fidelity)


def _fidelity(chosen: argparse.Namespace) -> int:
    import logging

    from experiments.cli import fidelity

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    fidelity.run(chosen.words, CONF, chosen.out)
    return 0


def _add_doctor(commands: Any) -> None:
    parser = commands.add_parser("doctor", help="say what this machine can do")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of weights")
    parser.set_defaults(do=_doctor)


def _doctor(chosen: argparse.Namespace) -> int:
    from experiments.cli import doctor

    doctor.show(chosen.models)
    return 0


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no such number; take 1 or more")
    return int(text)


def load_dataset(name: str) -> Dataset:
    """Return the data set that `conf/dataset/NAME.yaml` describes, or that a JSON Lines file has.

    Raises:
        DatasetError: there is no such file, or the data set cannot be loaded.
    """
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    if name.endswith((".jsonl", ".jsonl.gz")):
        from experiments.problems import load_jsonl

        return load_jsonl(name)
    known = {path.stem: path for path in CONF.glob("dataset/*.yaml")}
    if name not in known:
        raise DatasetError(f"There is no data set '{name}'", did_you_mean(name, known))
    dataset: Dataset = instantiate(OmegaConf.load(known[name]))
    return dataset
