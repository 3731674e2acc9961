"""Fetches a file from the Hugging Face hub, the one place where weights come from outside.

`huggingface_hub` talks to the hub: the token (`HF_TOKEN`, or of `hf auth login`), mirrors
(`HF_ENDPOINT`), offline mode (`HF_HUB_OFFLINE=1`) and certificates are its own settings.
What is added here:

- A download that was cut goes on where it stopped, also in a later run. (`hf_hub_download`
  drops the beginning of a file when its process ends.)
- The content is held against the digest that the hub tells before it gets its name, so a
  file under its name is whole. The digest is kept, and is not computed again.
- All parts of a model that is split are fetched.
- Two runs that want the same file fetch it once: the second waits for the first.
- Without a connection it ends at once, and for a minute does not try again.

See docs/decisions/models.md.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from experiments.errors import WeightsError
from experiments.store import write_text
from experiments.store.lock import draft_of, left_over, locked
from experiments.weights import digests, header
from experiments.weights.deciding import Origin
from experiments.weights.header import Header
from experiments.weights.progress import Transfer

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata

log = logging.getLogger(__name__)

HUB = "https://huggingface.co"


def fetch(origin: Origin, target: Path) -> Header:
    """Fetch a file of the hub to `target`, with all parts of a model that is split.

    Args:
        origin: where it is.
        target: where it belongs on this disk: `models/<model>/<file>`.

    Raises:
        WeightsError: it could not be fetched: no connection, no such file, no permission,
            no room, or content that is not what the hub says it is.
    """
    file = PurePosixPath(origin.name)
    names = header.split_names(file.name)
    for name in names:
        here = target if len(names) == 1 else target.with_name(name)
        wanted = _Wanted(replace(origin, name=str(file.with_name(name))), here)
        try:
            here.parent.mkdir(parents=True, exist_ok=True)
            with locked(here, "fetches"):
                if not here.is_file():  # else fetched by the process that we waited for
                    _fetch(wanted)
        except OSError as error:
            raise _of_disk(wanted, error) from None
    return header.read(target)


@dataclass(frozen=True)
class _Wanted:
    """One file of one repository, and where it is put."""

    origin: Origin
    target: Path

    @property
    def page(self) -> str:
        return f"{_endpoint()}/{self.origin.repository}"

    def error(self, reason: str, hint: str = "", by_hand: bool = False) -> WeightsError:
        """Return the error that says which file, why not, and what to do.

        With `by_hand`, nothing is wrong with the file: it says how to get it on another machine.
        """
        repository, revision, name = self.origin.repository, self.origin.revision, self.origin.name
        of = "" if PurePosixPath(name).name == self.target.name else f"{name} of "
        if by_hand:
            address = f"{self.page}/resolve/{revision}/{name}"
            hint += f" Or put it there by hand: curl -L --create-dirs -o {self.target} {address}"
        return WeightsError(
            f"{self.target} is missing, and was not fetched from {of}{repository}: {reason}",
            hint.strip(),
        )


_RESERVE = 64 * 10**6
_RETRY_SECONDS = 60.0
_AGAIN = "Type the same command again: it goes on where it stopped."

_unreachable: dict[str, tuple[float, str]] = {}
"""Hubs that could not be reached: when, and why. A sweep asks for many files."""


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or HUB


def _fetch(wanted: _Wanted) -> None:
    """Download, check, and give the file its name."""
    target = wanted.target
    found = _ask(wanted)
    version = f"{str(found.etag)[:16]}."
    part = draft_of(target, version)
    for other in left_over(target):
        if other.name.startswith(f".{target.name}.{version}"):
            with suppress(FileNotFoundError):
                other.rename(part)  # which only one process can do: it goes on with it
        else:
            other.unlink(missing_ok=True)  # of an older version of the file
    here = part.stat().st_size if part.is_file() else 0
    if found.size is not None and here > found.size:
        part.unlink()
        here = 0
    free = shutil.disk_usage(target.parent).free
    needed = (found.size or 0) - here + _RESERVE
    if free < needed:
        raise wanted.error(
            f"it needs {header.human_bytes(needed)} more, and the disk has "
            f"{header.human_bytes(free)} left",
            "Make room, or set models to a folder on another disk.",
        )
    began = time.monotonic()
    _download(wanted, found, part, here)
    digest = _checked(wanted, part, str(found.etag))
    part.replace(target)
    digests.keep(target, target.parent.parent, digest)
    note = {
        "repository": wanted.origin.repository,
        "file": wanted.origin.name,
        "commit": found.commit_hash,
        "sha256": digest,
    }
    beside = target.parent / f".{target.name}.origin.json"
    write_text(beside, json.dumps(note, indent=2) + "\n")
    log.info(
        "Fetched %s: %s in %.0f s, SHA-256 as the hub says.",
        target,
        header.human_bytes(target.stat().st_size),
        time.monotonic() - began,
    )


def _ask(wanted: _Wanted) -> HfFileMetadata:
    """Return what the hub says of the file.

    Raises:
        WeightsError: the hub cannot be reached, or has no such file for us.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HFValidationError

    if constants.is_offline_mode():
        raise wanted.error("HF_HUB_OFFLINE is set", "Unset HF_HUB_OFFLINE.", by_hand=True)
    endpoint, origin = _endpoint(), wanted.origin
    when, why = _unreachable.get(endpoint, (-_RETRY_SECONDS, ""))
    if time.monotonic() - when < _RETRY_SECONDS:
        raise _no_connection(wanted, why)
    try:
        url = hf_hub_url(
            origin.repository, origin.name, revision=origin.revision, endpoint=endpoint
        )
        found = get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT, endpoint=endpoint)
    except HFValidationError as error:
        raise wanted.error(str(error), "See model.repository.") from None
    except Exception as error:
        raise _of_hub(wanted, error) from None
    if not found.commit_hash or not found.etag:
        raise wanted.error(
            f"{endpoint} does not answer as a hub does", "Check HF_ENDPOINT, or a proxy between."
        )
    return found


def _download(wanted: _Wanted, found: HfFileMetadata, part: Path, here: int) -> None:
    """Write the rest of the file to `part`; what came stays there, whatever happens."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    name, repository = wanted.origin.name, wanted.origin.repository
    # By its commit, so that what comes is what was asked about.
    url = hf_hub_url(repository, name, revision=found.commit_hash, endpoint=_endpoint())
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    rest = f", going on after {header.human_bytes(here)}" if here else ""
    log.info("Fetching %s of %s%s.", name, repository, rest)
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # what breaks is told by us
    while True:
        try:
            with part.open("ab") as file:
                http_get(
                    url,
                    file,
                    resume_size=here,
                    headers=headers,
                    expected_size=found.size,
                    displayed_filename=name,
                    tqdm_class=Transfer,
                )
                file.flush()
                os.fsync(file.fileno())
            return
        except Exception as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            if not _is_of_network(error):
                raise _of_hub(wanted, error) from None
            came = part.stat().st_size
            if came == here:  # http_get has tried a few times
                raise wanted.error(
                    f"the connection to the hub broke ({_why(error)})", _AGAIN, by_hand=True
                ) from None
            here = came


def _checked(wanted: _Wanted, part: Path, etag: str) -> str:
    """Return the SHA-256 of what came.

    Raises:
        WeightsError: it is not what the hub says, or no GGUF; it is then removed.
    """
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    actual, problem = digest, None
    if re.fullmatch(r"[0-9a-f]{40}", etag):  # small files are kept in git itself
        content = part.read_bytes()
        actual = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    elif not re.fullmatch(r"[0-9a-f]{64}", etag):
        problem = wanted.error(f"the hub tells no digest of it (its ETag is '{etag[:40]}')")
    if not problem and actual != etag:
        problem = wanted.error(
            f"what came has the digest {actual[:12]}…, and the hub says {etag[:12]}…; it was "
            "removed",
            "Type the same command again. If this happens again, a mirror or a proxy changes "
            "files: see HF_ENDPOINT.",
        )
    try:
        header.read_part(part)
    except WeightsError:
        problem = problem or wanted.error("the repository's file is no whole GGUF; it was removed")
    if problem:
        part.unlink()
        raise problem
    return digest


def _of_disk(wanted: _Wanted, error: OSError) -> WeightsError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return wanted.error("the disk is full", f"Make room. {_AGAIN}")
    return WeightsError(
        f"{wanted.target} cannot be written: {error.strerror or error}",
        "Set models to a folder that can be written.",
    )


def _of_hub(wanted: _Wanted, error: Exception) -> WeightsError:
    """Return what went wrong with the hub in one line, or raise what is no fault of it."""
    from huggingface_hub import errors

    match error:
        case errors.GatedRepoError():
            return wanted.error(
                "the repository is gated",
                f"Accept its terms at {wanted.page}, and set HF_TOKEN to a token of that account.",
            )
        case errors.RepositoryNotFoundError():
            return wanted.error(
                "there is no such repository, or it is private",
                "Correct model.repository, or set HF_TOKEN to a token that may read it.",
            )
        case errors.RevisionNotFoundError():
            return wanted.error(
                f"the repository has no revision '{wanted.origin.revision}'",
                "Correct model.revision.",
            )
        case errors.RemoteEntryNotFoundError():
            return wanted.error("the repository has no such file", _closest(wanted.origin))
        case errors.HfHubHTTPError():
            code = error.response.status_code
            refused = code in (401, 403)
            hint = "Check HF_TOKEN." if refused else "Try later: it goes on where it stopped."
            return wanted.error(f"the hub answers {code}", hint, by_hand=not refused)
        case errors.OfflineModeIsEnabled():
            return wanted.error("HF_HUB_OFFLINE is set", "Unset HF_HUB_OFFLINE.", by_hand=True)
    if "Consistency check failed" in str(error):
        return wanted.error("the connection broke before the end", _AGAIN)
    if not _is_of_network(error):
        raise error
    _unreachable[_endpoint()] = (time.monotonic(), _why(error))
    return _no_connection(wanted, _why(error))


def _is_of_network(error: Exception) -> bool:
    import httpx2  # what huggingface_hub speaks HTTP with

    return isinstance(error, httpx2.TransportError | ConnectionError | TimeoutError)


def _why(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _no_connection(wanted: _Wanted, why: str) -> WeightsError:
    return wanted.error(
        f"{_endpoint()} cannot be reached ({why})",
        "Check the connection, or set HF_ENDPOINT to a mirror.",
        by_hand=True,
    )


def _closest(origin: Origin) -> str:
    """Return a hint that names what the repository has now."""
    from huggingface_hub import HfApi

    try:
        files = HfApi(endpoint=_endpoint()).list_repo_files(
            origin.repository, revision=origin.revision
        )
    except Exception:  # only a hint: whatever it is, the error above says what matters
        return "Correct model.files."
    ggufs = sorted(name for name in files if name.endswith(".gguf"))
    if not ggufs:
        return "It has no GGUF now: correct model.repository."
    closest = get_close_matches(origin.name, ggufs, n=1, cutoff=0)[0]
    return f"Correct model.files. Did you mean '{closest}'? It has now: {', '.join(ggufs)}."
