"""By an explicit stack of open choices instead of recursion."""


def resolve_versions(
    catalog: dict[str, dict[str, dict[str, str]]], wanted: dict[str, str]
) -> dict[str, str]:
    def parse(version: str) -> tuple[int, int]:
        major, _, minor = version.partition(".")
        return int(major), int(minor)

    def allowed(version: str, rule: str) -> bool:
        major, minor = parse(version)
        if rule.startswith("^"):
            least = parse(rule[1:])
            return least[0] == major and least[1] <= minor
        return rule in ("*", f"={version}")

    stack: list[dict[str, str]] = [{}]
    while stack:
        decided = stack.pop()
        rules = list(wanted.items())
        for package, version in decided.items():
            rules.extend(catalog[package][version].items())
        if not all(allowed(decided[name], rule) for name, rule in rules if name in decided):
            continue
        missing = sorted(name for name, _ in rules if name not in decided)
        if not missing:
            return decided
        package = missing[0]
        candidates = [
            version
            for version in catalog.get(package, [])
            if all(allowed(version, rule) for name, rule in rules if name == package)
        ]
        candidates.sort(key=parse)
        stack += [{**decided, package: version} for version in candidates]
    raise ValueError
