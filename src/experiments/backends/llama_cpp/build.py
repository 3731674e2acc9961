"""Which llama.cpp this is."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from experiments.errors import BackendError


@cache
def build() -> str:
    """Return what llama.cpp is here: the package's version and a digest of its libraries.

    One version compiles to other instructions, and so to other roundings, elsewhere.

    Raises:
        BackendError: it is not installed.
    """
    spec = find_spec("llama_cpp")
    try:
        package = version("llama-cpp-python")
    except PackageNotFoundError:
        package = ""
    if spec is None or spec.origin is None or not package:
        raise BackendError(
            "llama-cpp-python is not installed, and backend=llama_cpp needs it",
            "Type: make run (or pip install -r requirements/run.txt).",
        )
    digest = hashlib.sha256()
    libraries = Path(spec.origin).parent / "lib"
    for library in sorted(libraries.glob("*")):
        if library.suffix in (".so", ".dylib", ".dll") and "mtmd" not in library.name:
            digest.update(library.read_bytes())
    return f"{package}-{digest.hexdigest()[:12]}"
