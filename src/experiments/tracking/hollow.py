"""Packages that are there for show, while something is imported that does without them."""

from __future__ import annotations

import sys
from abc import ABCMeta
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Self


class HollowUsed(BaseException):
    """What was hollow is needed after all. No error that those who import it would handle."""


class Hollow(MetaPathFinder, Loader):
    """Has every module and name that is asked of some packages, within a context.

    The names are classes, which can be inherited from, called, and used as decorators. Later,
    asking for a name or an attribute and calling one raises `HollowUsed`; nothing is an instance
    of them, so `isinstance` says no. Who imports the packages later gets the real ones.
    """

    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = packages
        self._is_over = False
        made = self._made

        class Kind(ABCMeta):
            def __getattr__(cls, name: str) -> type:
                return made(name)

        self._kind = Kind

    def __enter__(self) -> Self:
        sys.meta_path.insert(0, self)
        return self

    def __exit__(self, *_: object) -> None:
        sys.meta_path.remove(self)
        for name in filter(self._covers, list(sys.modules)):
            del sys.modules[name]
        self._is_over = True

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        """Find each module of these packages, as a package."""
        return ModuleSpec(name, self, is_package=True) if self._covers(name) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return a module that has every name."""
        module = ModuleType(spec.name)
        module.__getattr__ = self._made  # type: ignore[method-assign]
        return module

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing in it."""

    def _covers(self, name: str) -> bool:
        return any(f"{name}.".startswith(f"{package}.") for package in self._packages)

    def _made(self, name: str) -> type:
        """Return a class of that name, an exception's, since some are caught."""
        self._check(name)

        def accept(thing: object, *_: Any, **__: Any) -> None:
            self._check(name)

        def decorate(thing: object, decorated: Any = None, *_: Any, **__: Any) -> Any:
            self._check(name)
            return decorated

        def give(thing: object, name: str) -> type:
            return self._made(name)

        methods = {"__init__": accept, "__call__": decorate, "__getattr__": give}
        return self._kind(name, (Exception,), methods)

    def _check(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)
        if self._is_over:
            raise HollowUsed(name)
