"""By pieces that are never divided: each is a list of (block, line); None is an empty line."""


def break_pages(blocks: list[tuple[str, int]], height: int) -> list[list[tuple[int, int, int]]]:
    chains: list[list[list[tuple[int, int] | None]]] = []  # the pieces of a chain are glued
    glued = False
    for block, (kind, count) in enumerate(blocks):
        lines: list[tuple[int, int] | None] = [(block, line) for line in range(1, count + 1)]
        if kind == "text" and count >= 4:
            pieces = [lines[:2], *([line] for line in lines[2:-2]), lines[-2:]]
        else:
            pieces = [lines]
        pieces[0] = [None, *pieces[0]]
        if glued:
            chains[-1].append(pieces.pop(0))
        chains += [[piece] for piece in pieces]
        glued = kind == "heading"

    pages: list[list[tuple[int, int] | None]] = []
    for chain in chains:
        for start, piece in enumerate(chain):
            together = [line for part in chain[start:] for line in part]
            if not pages or len(pages[-1]) + len(together) > height:
                pages.append([])
            if not pages[-1] and together[0] is None:
                together, piece = together[1:], piece[1:]
            if len(together) <= height:
                pages[-1] += together
                break
            pages[-1] += piece

    result = []
    for page in pages:
        spans: dict[int, list[int]] = {}
        for line in page:
            if line is not None:
                spans.setdefault(line[0], []).append(line[1])
        result.append([(block, lines[0], lines[-1]) for block, lines in spans.items()])
    return result
