"""A configuration that was sent runs no code: what it names is looked at before it is imported."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf, open_dict

from experiments.app import trust
from experiments.errors import ConfigError

SYSTEM = {"_target_": "os.system", "command": "touch x"}

FOREIGN = [
    "experiments.store.write_text",
    "experiments.sandbox.worker.folder.remove",
    "experiments.app.main",
    "builtins.open",
    "builtins.exec",
    "joblib.load",
    "os.system",
    "subprocess.run",
    "hydra.utils.get_object",
    "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "pickle.load",
    "experiments.backends.openai.OpenAI.describe",
    "experiments.problems.load_own.__globals__",
    "no_such_package.Thing",
]


def sent(folder: Path, **files: object) -> Path:
    """Write files of a configuration, as a stranger sends them."""
    for name, content in files.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        path.write_text(text, encoding="utf-8")
    return folder


def run(folder: Path, *arguments: str) -> str:
    """Run `python run.py ARGUMENTS`, which has to fail in one line, and return that."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert not done.stdout
    return line


@pytest.mark.parametrize("target", FOREIGN)
@pytest.mark.parametrize(
    "around",
    [
        lambda target: {**SYSTEM, "_target_": target},
        lambda target: {"_target_": target, "_partial_": True, "_args_": ["touch x"]},
        lambda target: {
            "_target_": "experiments.problems.load_own",
            "folder": {"_target_": target},
        },
        lambda target: {
            "_target_": "experiments.backends.scripted.Scripted",
            "_recursive_": False,
            "dataset": [{"deep": [{"_target_": target}]}],
        },
        lambda target: {"_target_": "${first}", "first": target},
    ],
    ids=["plain", "partial", "nested", "deep", "interpolated"],
)
def test_what_is_not_of_this_project_is_refused_unseen(
    target: str, around: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "get_object", lambda name: pytest.fail(f"{name} was imported"))
    config = OmegaConf.create(around(target))  # type: ignore[operator]
    with pytest.raises(ConfigError, match="which would be imported and run"):
        trust.made(config, "dataset")


@pytest.mark.parametrize("target", [None, 3, ["os.system"], {"_target_": "os.system"}, ""])
def test_a_target_that_is_no_name_is_refused(target: object) -> None:
    with pytest.raises(ConfigError):
        trust.made(OmegaConf.create({"_target_": target}), "backend")


def test_a_text_is_never_read_as_a_configuration_a_second_time(tmp_path: Path) -> None:
    hidden = "${oc.create:{_target_:os.system}}"
    config = OmegaConf.create(
        {"_target_": "experiments.backends.scripted.Scripted", "answers": {"a": f"\\{hidden}"}}
    )
    made = trust.made(config, "backend", weights=None)
    assert made._answers == {"a": hidden}


def test_every_file_of_the_project_names_what_is_trusted() -> None:
    for group in ("backend", "dataset"):
        for path in (ROOT / "conf" / group).glob("*.yaml"):
            assert trust.found(OmegaConf.load(path)["_target_"])
    named = {
        OmegaConf.load(path)["_target_"]
        for group in ("backend", "dataset")
        for path in (ROOT / "conf" / group).glob("*.yaml")
    }
    assert named == trust.PARTS, "no more is trusted than is used"


HYDRAS = {
    "callbacks": {"callbacks": {"x": {"_target_": "os.system", "command": "touch x"}}},
    "callbacks_of_ours": {"callbacks": {"x": {"_target_": "experiments.store.write_text"}}},
    "callbacks_nested": {
        "callbacks": {
            "x": {"_target_": "experiments.app.sweep.SweepCallback", "y": {"_target_": "os.abort"}}
        }
    },
    "callbacks_late": {"callbacks": {"x": {"_target_": "${oc.env:HOME}"}}},
    "callbacks_by_the_clock": {"callbacks": {"x": "${choices.${now:%S}}"}},
    "callbacks_whole": {"callbacks": "${oc.create:{x:{_target_:os.abort}}}"},
    "sweeper": {"sweeper": {"_target_": "os.system"}},
    "sweeper_argument": {"sweeper": {"params": {"x": {"_target_": "os.abort"}}}},
    "launcher": {"launcher": {"_target_": "subprocess.run"}},
    "launcher_of_a_plugin": {"launcher": {"_target_": "hydra_plugins.submitit.Slurm"}},
    "handler": {"job_logging": {"handlers": {"x": {"class": "os.system"}}}},
    "factory": {"job_logging": {"handlers": {"x": {"()": "os.system", "command": "true"}}}},
    "formatter": {"hydra_logging": {"formatters": {"x": {"()": "builtins.open", "file": "x"}}}},
    "filter": {"hydra_logging": {"filters": {"x": {"()": "os.abort"}}}},
    "external": {"job_logging": {"handlers": {"x": {"stream": "ext://antigravity.webbrowser"}}}},
    "into_the_shell": {
        "job_logging": {
            "formatters": {"x": {"format": "rm -rf %(name)s"}},
            "handlers": {"file": {"filename": "/root/.bashrc", "formatter": "x"}},
        }
    },
    "environment": {"job": {"env_set": {"PYTHONPATH": "/tmp/evil"}}},
    "output_subdir": {"output_subdir": "../../.config"},
}


@pytest.fixture(scope="module")
def composed() -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("config", return_hydra_config=True)


def test_what_the_project_itself_says_is_taken(composed: DictConfig) -> None:
    trust.check(composed)


@pytest.mark.parametrize("content", HYDRAS.values(), ids=HYDRAS)
def test_what_hydra_would_make_is_refused(content: object, composed: DictConfig) -> None:
    config = OmegaConf.create({"hydra": OmegaConf.to_container(composed.hydra)})
    with open_dict(config):
        config.merge_with({"hydra": content})
    with pytest.raises(ConfigError):
        trust.check(config)


@pytest.mark.parametrize(
    ("content", "arguments"),
    [
        ({"hydra": {"callbacks": {"x": {"_target_": "os.system", "command": "touch x"}}}}, ["-m"]),
        (
            {"hydra": {"callbacks": {"x": {"_target_": "os.system", "command": "touch x"}}}},
            ["--help"],
        ),
        ({"backend": {"_target_": "os.system", "command": "touch x"}}, []),
        ({"dataset": {"_target_": "builtins.open", "file": "x", "mode": "w"}}, []),
        (
            {
                "hydra": {
                    "mode": "MULTIRUN",
                    "sweeper": {
                        "params": {"hydra.job_logging.handlers.console.class": "logging.X,os.abort"}
                    },
                }
            },
            [],
        ),
    ],
)
def test_a_sent_experiment_does_nothing(
    content: object, arguments: list[str], tmp_path: Path
) -> None:
    strangers = sent(
        tmp_path / "sent", experiment__x=f"# @package _global_\n{yaml.safe_dump(content)}"
    )
    here = tmp_path / "here"
    here.mkdir()
    (here / "problems").symlink_to(ROOT / "problems")
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "run.py"),
            f"--config-dir={strangers}",
            "experiment=x",
            *arguments,
        ],
        cwd=here,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "which would be imported and run" in done.stderr
    assert not (here / "x").exists()


def test_a_job_of_a_sweep_is_looked_at_as_well(tmp_path: Path) -> None:
    """What only one combination of two choices asks for."""
    strangers = sent(
        tmp_path,
        config={
            "defaults": [
                {"a": "one"},
                {"b": "one"},
                {"c": "${a}_${b}"},
                {"override hydra/sweeper": "basic"},
                "_self_",
            ],
        },
        a__one={},
        a__two={},
        b__one={},
        b__two={},
        c__one_one={},
        c__one_two={},
        c__two_one={},
        c__two_two="# @package _global_\nhydra: {job_logging: {handlers: {x: {class: os.abort}}}}",
    )
    typed = ["--config-path", str(strangers), "-m", "a=one,two", "b=one,two"]
    with pytest.raises(ConfigError, match=r"'os\.abort'"):
        trust.check_command(typed, ROOT)


def test_a_package_on_the_search_path_is_not_imported(tmp_path: Path) -> None:
    strangers = sent(tmp_path, config={"hydra": {"searchpath": ["pkg://tests.adversarial.abort"]}})
    with pytest.raises(ConfigError, match=r"may import a package.*type it: "):
        trust.check_command(["--config-path", str(strangers)], ROOT)


def test_a_pickle_is_not_loaded(tmp_path: Path) -> None:
    line = run(tmp_path, "--experimental-rerun", "config.pickle")
    assert "unpickles" in line


def test_the_error_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    config = OmegaConf.create({"_target_": "my_package.sets.load"})
    with pytest.raises(
        ConfigError, match=r"my_package and trust it, type: EXPERIMENTS_TRUSTED=my_package python"
    ):
        trust.made(config, "dataset")
    close = OmegaConf.create({"_target_": "experiments.problems.load_owm"})
    with pytest.raises(ConfigError, match=r"Did you mean 'experiments\.problems\.load_own'\?"):
        trust.made(close, "dataset")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package of the user's own, with a data set in it."""
    (tmp_path / "trusted_by_me.py").write_text(
        "import os\ndef load(n): return n + 1\ndef same(value): return value\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return "trusted_by_me"


def test_a_package_that_the_user_names_is_used(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = OmegaConf.create({"_target_": f"{package}.load", "n": 1})
    with pytest.raises(ConfigError):
        trust.made(config, "dataset")
    monkeypatch.setenv(trust.VARIABLE, f"other,{package}")
    assert trust.made(config, "dataset") == 2
    nearly = OmegaConf.create({"_target_": f"{package}_too.load"})
    with pytest.raises(ConfigError):
        trust.made(nearly, "dataset")


def test_arguments_that_are_given_are_passed_as_they_are(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may come from a GGUF or a model's row, and hold what looks like a configuration."""
    monkeypatch.setenv(trust.VARIABLE, package)
    given = {"arguments": {"x": {"_target_": "os.system", "y": "${oc.env:HOME}"}}}
    config = OmegaConf.create({"_target_": f"{package}.same"})
    assert trust.made(config, "backend", value=given) is given
    with pytest.raises(ConfigError, match="missing a required argument"):
        trust.made(config, "backend", values=given)


def test_a_trusted_package_lends_its_name_to_nothing_that_it_imports(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(trust.VARIABLE, package)
    with pytest.raises(ConfigError):
        trust.made(OmegaConf.create({"_target_": f"{package}.os.system", "command": "false"}), "x")


@pytest.mark.parametrize("name", ["os", "builtins", "os.path", "subprocess"])
def test_python_itself_cannot_be_trusted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(trust.VARIABLE, name)
    with pytest.raises(ConfigError, match="refused"):
        trust.made(OmegaConf.create({"_target_": f"{name}.system"}), "x")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-m", "prompt=plain,cot"],
        ["-m", "hydra/sweeper=race", "quantization=q8_0,q4_0"],
        ["experiment=ladder"],
        ["~experiment"],
        ["+hydra.job.env_set.OMP_NUM_THREADS=1"],
        ["hydra.verbose=true"],
        ["hydra/job_logging=disabled"],
        ["--cfg", "job"],
    ],
    ids=" ".join,
)
def test_what_users_type_every_day_is_taken(arguments: list[str]) -> None:
    trust.check_command(arguments, ROOT)


ASKED = {
    "_target_": "experiments.backends.openai.OpenAI",
    "model": "x",
    "key_variable": "AWS_SECRET_ACCESS_KEY",
}


@pytest.mark.parametrize(
    "content",
    [
        {"backend": {**ASKED, "base_url": "https://stranger.example/v1"}},
        {"backend": {**ASKED, "base_url": "http://localhost@stranger.example/v1"}},
        {"backend": {**ASKED, "base_url": "http://${.place}/v1", "place": "stranger.example"}},
        {"tracking": {"uri": "http://stranger.example:5000"}},
        {"tracking": {"uri": "http://${oc.env:SECRET}.stranger.example"}},
        {"tracking": {"uri": "postgresql:///runs?host=stranger.example"}},
        {"tracking": {"artifacts": "s3://stranger.example/"}},
    ],
)
def test_a_sent_file_sends_nothing_to_a_server_of_its_own_choice(
    content: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"# @package _global_\n{yaml.safe_dump(content)}"
    typed = [f"--config-dir={sent(tmp_path, experiment__x=text)}", "experiment=x"]
    monkeypatch.setenv("SECRET", "hush")
    with pytest.raises(ConfigError, match=r"stranger\.example.* in a file that was sent"):
        trust.check_command(typed, ROOT)
    monkeypatch.setenv(trust.VARIABLE, "stranger.example,hush.stranger.example,")
    if "postgresql" not in str(content):
        trust.check_command(typed, ROOT)


@pytest.mark.parametrize(
    "content",
    [
        {"backend": {**ASKED, "base_url": "http://127.0.0.1:8080/v1"}},
        {"backend": {**ASKED, "base_url": "https://api.openai.com/v1"}},
        {"tracking": {"uri": "sqlite:///mlruns/other.db", "artifacts": "mlruns/others"}},
    ],
)
def test_a_sent_file_may_name_this_machine_and_servers_of_the_project(
    content: object, tmp_path: Path
) -> None:
    text = f"# @package _global_\n{yaml.safe_dump(content)}"
    typed = [f"--config-dir={sent(tmp_path, experiment__x=text)}", "experiment=x"]
    trust.check_command(typed, ROOT)
    typed += ["-m", "tracking.uri=http://one.example,http://other.example"]
    trust.check_command(typed, ROOT)  # the user's own


HYDRAS_OF_STRANGERS = {
    "overrides": {
        "overrides": {"hydra": ["+hydra.job_logging.handlers.x={class:subprocess.Popen,args:x}"]}
    },
    "overrides_of_the_task": {"overrides": {"task": ["backend._target_=os.abort"]}},
    "setup": {"launcher": {"setup": ["touch x"]}},
    "sbatch": {"launcher": {"additional_parameters": {"prolog": "touch x"}}},
    "pickles": {"launcher": {"submitit_folder": "/tmp/pickles"}},
    "cluster": {"launcher": {"ray": {"init": {"address": "ray://stranger.example"}}}},
    "hook": {"launcher": {"ray": {"init": {"runtime_env": {"worker_process_setup_hook": "x"}}}}},
}


@pytest.mark.parametrize("content", HYDRAS_OF_STRANGERS.values(), ids=HYDRAS_OF_STRANGERS)
def test_a_sent_file_steers_no_launcher_and_types_nothing(content: object, tmp_path: Path) -> None:
    launcher = "planned_ray" if "ray" in str(content) else "planned_slurm"
    lines = f"# @package _global_\ndefaults:\n  - override /hydra/launcher: {launcher}\n"
    sent(tmp_path, experiment__x=lines + yaml.safe_dump({"hydra": content}))
    with pytest.raises(ConfigError, match=r"hydra\.(overrides|launcher)"):
        trust.check_command([f"--config-dir={tmp_path}", "experiment=x", "-m"], ROOT)


def test_a_sent_file_may_choose_a_launcher_and_the_user_steers_it(tmp_path: Path) -> None:
    lines = "# @package _global_\ndefaults:\n  - override /hydra/launcher: planned_slurm\n"
    sent(tmp_path, experiment__x=lines)
    typed = [f"--config-dir={tmp_path}", "-m", "experiment=x", "prompt=plain,cot"]
    trust.check_command([*typed, "hydra.launcher.setup=[module load gcc]"], ROOT)


@pytest.mark.parametrize(
    "hydra", ["{searchpath: '${places}'}", "'${whole}'", "{searchpath: ['${places[0]}']}"]
)
def test_a_search_path_is_read_as_hydra_reads_it(hydra: str, tmp_path: Path) -> None:
    """What stands there would else be composed unseen."""
    place = f"file://{tmp_path}/unseen"
    (tmp_path / "main").mkdir()
    (tmp_path / "main" / "config.yaml").write_text(
        f"places: ['{place}']\nwhole: {{searchpath: ['{place}']}}\nhydra: {hydra}\n"
    )
    with pytest.raises(ConfigError, match=r"hydra\.searchpath"):
        trust.check_command(["--config-path", str(tmp_path / "main")], ROOT)


def test_what_is_to_be_typed_runs_nothing_that_a_file_says(tmp_path: Path) -> None:
    """A hint may be copied into a shell, with a stranger's words in it."""
    evil = "$(touch x)'; touch x #"
    sent(tmp_path, config={"hydra": {"searchpath": [f"pkg://{evil}"]}})
    with pytest.raises(ConfigError) as searched:
        trust.check_command([f"--config-path={tmp_path}"], ROOT)
    with pytest.raises(ConfigError) as named:
        trust.made(OmegaConf.create({"_target_": f"{evil}.load"}), "dataset")
    config = OmegaConf.create({"backend": {"base_url": f"http://{evil}/v1"}})
    with pytest.raises(ConfigError) as asked:
        trust.check_servers(config, [])
    for error in (searched, named, asked):
        typed = error.value.hint.partition("type")[2].partition(":")[2].partition(" python")[0]
        words = shlex.split(typed)
        assert len(words) == 1, words
        assert evil[:10] in words[0]
