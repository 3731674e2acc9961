"""By walking outwards from the expected line, over a part that is final and a part that is not."""


def apply_hunks(
    lines: list[str], hunks: list[tuple[int, list[str], list[str]]], reach: int
) -> tuple[list[str], list[int]]:
    final: list[str] = []
    rest = lines.copy()
    skipped: list[int] = []
    shift = 0
    for index in range(len(hunks)):
        number, old, new = hunks[index]
        for step in range(2 * reach + 1):
            distance = (step + 1) // 2
            line = number + shift + (distance if step % 2 == 0 else -distance)
            inside = line - 1 - len(final)
            if 0 <= inside <= len(rest) and rest[inside:][: len(old)] == old:
                final += rest[:inside] + new
                rest = rest[inside + len(old) :]
                shift = line - number + len(new) - len(old)
                break
        else:
            skipped.append(index)
    return final + rest, skipped
