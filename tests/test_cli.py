"""What `experiments` says, and with which exit code, where a command cannot go on."""

import errno
import subprocess
import sys

import pytest
import yaml

from experiments import cli
from experiments.cli.commands import runs
from experiments.errors import ConfigError


def tab_in_yaml() -> yaml.YAMLError:
    with pytest.raises(yaml.YAMLError) as raised:
        yaml.safe_load("name:\n\tdemo")
    return raised.value


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (ConfigError("There is no x", "Known: y."), 1, "error: There is no x. Known: y."),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "error: No space left on device"),
        (tab_in_yaml(), 1, "error: "),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), 1, "error: "),
        (KeyboardInterrupt(), 130, "Interrupted."),
    ],
)
def test_what_a_user_can_mend_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: BaseException,
    code: int,
    said: str,
) -> None:
    def fail(_: object) -> int:
        raise raised

    monkeypatch.setattr(runs, "run", fail)
    assert cli.main(["runs"]) == code
    told = capsys.readouterr().err
    assert told.startswith(said)
    assert told.count("\n") == 1


def test_a_bug_is_not_told_as_a_users_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> int:
        raise LookupError("a bug")

    monkeypatch.setattr(runs, "run", fail)
    with pytest.raises(LookupError, match="a bug"):
        cli.main(["runs"])


def test_a_reader_that_goes_away_ends_a_command_without_a_word() -> None:
    program = "import sys; from experiments import cli; sys.exit(cli.main(['models']))"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as listing:
        assert listing.stdout is not None
        assert listing.stderr is not None
        listing.stdout.close()
        said = listing.stderr.read()
    assert listing.returncode == 1
    assert said == b""
