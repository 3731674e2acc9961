"""The router of a web framework: a trie of segments, searched with backtracking."""

from collections.abc import Iterator
from random import Random

ID = "hard/url_routes"
TITLE = "Route paths of a web server"
DIFFICULTY = "hard"
TOPICS = ("tries", "backtracking", "web")
ENTRY_POINT = "match_paths"


def match_paths(routes: list[str], paths: list[str]) -> list[tuple[str, dict[str, str]] | None]:
    """Return for each path the route that serves it and the values of the route's parameters.

    Paths and routes consist of segments, each preceded by "/"; empty segments are ignored,
    so "/a//b/" is the same as "/a/b", and "/" has no segments. A segment of a route is

    - ":" and a name: a parameter, which stands for any one segment;
    - "*" and a name: only as the last segment; it stands for one or more segments, and its
      value is these segments joined by "/";
    - anything else: stands for exactly that segment (case matters).

    In a path no character has a special meaning. Names are not empty, and none occurs twice
    in a route.

    If several routes fit a path, they are compared segment by segment from the left: where
    they first differ in kind, an exact segment is better than a parameter, and a parameter is
    better than "*". Of routes that are alike in this comparison, the one that is earlier in
    `routes` is taken. The answer for a path that no route fits is None.

    >>> match_paths(["/users/:id", "/users/me"], ["/users/me", "/users/7/", "/users"])
    [('/users/me', {}), ('/users/:id', {'id': '7'}), None]
    >>> match_paths(["/:lang/help", "/docs/*page"], ["/docs/help", "/en/help"])
    [('/docs/*page', {'page': 'help'}), ('/:lang/help', {'lang': 'en'})]
    """
    root = _Node()
    for route in routes:
        node = root
        for segment in _segments(route):
            key = segment[0] if segment[0] in ":*" else "/" + segment
            node = node.children.setdefault(key, _Node())
        node.routes.append(route)

    answers: list[tuple[str, dict[str, str]] | None] = []
    for path in paths:
        found = _search(root, _segments(path))
        if found is None:
            answers.append(None)
        else:
            route, values = found
            names = [segment[1:] for segment in _segments(route) if segment[0] in ":*"]
            answers.append((route, dict(zip(names, values, strict=True))))
    return answers


class _Node:
    """What can follow: ":" is any segment, "*" the whole rest, "/name" the segment "name"."""

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.routes: list[str] = []


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]


def _search(node: _Node, segments: list[str]) -> tuple[str, list[str]] | None:
    """Return the best route below a node for some segments, and its parameters' values."""
    if not segments:
        return (node.routes[0], []) if node.routes else None
    first, *rest = segments
    for key, values, left in (
        ("/" + first, [], rest),
        (":", [first], rest),
        ("*", ["/".join(segments)], []),
    ):
        found = _search(node.children[key], left) if key in node.children else None
        if found is not None:
            return found[0], values + found[1]
    return None


BASE_INPUTS = [
    ([], ["/", "/a"]),
    (["/users/:id", "/users/me"], ["/users/me", "/users/7/", "/users"]),
    (["/:lang/help", "/docs/*page"], ["/docs/help", "/en/help", "/docs/a/b"]),
    (["/"], ["/", "//", "/a"]),
    (["/*all", "/"], ["/", "/x", "/x/y/z/"]),
    (["/:a/:b", "/:x/:y"], ["/1/2", "/1", "/1/2/3"]),
    (["/a//b/", "/a/b"], ["/a/b", "//a/b//"]),
    (["/shop/cart/pay", "/shop/:item", "/:page/*rest"], ["/shop/cart/x", "/shop/cart", "/a/b"]),
    (["/a/b/c", "/a/:p/d", "/:q/b/e", "/*r"], ["/a/b/d", "/a/b/e", "/a/b/f", "/a/b/c"]),
    (["/x/:y", "/:n"], ["/:", "/*", "/:n", "/x"]),
    (["/f/*p", "/f/:q", "/f/:q/edit"], ["/f/1", "/f/1/edit", "/f/1/2", "/F/1"]),
    (["/*x", "/:y", "/a"], ["/a", "/A", "/a/a"]),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ([], [])
    yield (["/a"], [])
    yield (["/ä/:ö", "/a b/*c"], ["/ä/é", "/a b/c d/e", "/a%20b/c"])
    yield (["/:a", "/:b", "/b"], ["/b", "/c", "/:a"])
    yield (["/a.b/:c", "/a?b"], ["/a.b/1", "/axb/1", "/a?b", "/a"])
    yield (["/*a", "/*b"], ["/*a", "/*b"])
    yield (["/:a/x/*b", "/:a/:c/:d", "/k/*e"], ["/k/x/1", "/j/x/1/2", "/j/y/1", "/k/y/1"])
    yield (["/" + "/".join("abcdefgh"[:n]) for n in range(8)], ["/a/b/c/d", "/a/b/c/d/e/f/g/h"])
    yield (["/" + ":p/" * n + "end" for n in range(9)], ["/x" * n + "/end" for n in range(10)])
    for size in range(120):
        routes = []
        for _ in range(random.randint(1, 3 + size // 12)):
            length = random.randint(0, 4)
            parts = [random.choice(["a", "b", "c", f":p{place}"]) for place in range(length)]
            if random.random() < 0.25:
                parts.append(random.choice(["*rest", "*r"]))
            routes.append("/" + "/".join(parts) + random.choice(["", "", "/"]))
        paths = [
            "/" + random.choice(["/", "/", "/", "//"]).join(random.choices("abcd", k=length))
            for length in random.choices(range(6), k=6)
        ]
        yield (routes, paths)
