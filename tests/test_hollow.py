"""Packages that are there for show."""

from __future__ import annotations

import sys

import pytest

from experiments.tracking.hollow import Hollow, HollowUsed


class Real:
    real = 1


def test_any_module_and_name_is_there_for_show() -> None:
    with Hollow(["nowhere"]):
        import nowhere.deep.inside as inside
        from nowhere import Base, Other, wrapped

        class Both(Base, Other, Real):  # type: ignore[misc,valid-type]
            limit = Base(7, maximum=9)

        @wrapped("with", some="arguments")
        def double(number: int) -> int:
            return 2 * number

    assert inside.__name__ == "nowhere.deep.inside"
    assert Both.real == 1
    assert double(4) == 8
    assert "nowhere" not in sys.modules


def test_names_can_be_caught() -> None:
    with Hollow(["nowhere"]):
        from nowhere import Trouble

    def divide() -> float:
        try:
            return 1 / 0
        except Trouble:  # type: ignore[misc]
            return 0.0

    with pytest.raises(ZeroDivisionError):
        divide()


@pytest.mark.parametrize(
    "use",
    [
        "module.Another",
        "Thing()",
        "Thing.attribute",
        "Heir(1, b=2)",
        "kept.attribute",
        "kept(print)",
    ],
)
def test_what_is_used_later_is_told(use: str) -> None:
    with Hollow(["nowhere"]):
        import nowhere.module as module
        from nowhere import Thing

        class Heir(Thing):  # type: ignore[misc,valid-type]
            pass

        kept = Thing("once")
    with pytest.raises(HollowUsed):
        eval(use, {"module": module, "Thing": Thing, "Heir": Heir, "kept": kept})


def test_other_packages_are_real_and_so_are_these_later() -> None:
    sys.modules.pop("wave", None)
    with Hollow(["wave"]):
        import colorsys
        import wave

        assert colorsys.rgb_to_hls(0, 0, 0) == (0, 0, 0)
    hollow = wave
    import wave

    assert wave is not hollow
    assert issubclass(wave.Error, Exception)
