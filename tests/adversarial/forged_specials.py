# Returns what only its executor may say: arrays, fractions and ranges with monstrous numbers.
huge = 1 << 100_000
found = iter(
    [
        (..., "decimal", "1e999999999999"),
        (..., "fraction", huge + 1, huge),
        (..., "range", -huge, huge, 1),
        (..., "numpy", "<f8", (huge, 0, huge), []),
        (..., "numpy", "<f8", None, float("nan")),
        (..., "set-like", [(..., "decimal", "sNaN"), (..., "decimal", "-0e-99999")]),
        (..., "digest", -huge, "0" * 64),
        (..., "digest", huge, "x"),
        (..., "numpy", "<f8", (huge, 0), []),
        (..., (..., "digest", huge, "x")),
        (..., ["\x1b]0;x\x07\ud800"]),
    ]
    * 9
)


def answer(values):
    return next(found)
