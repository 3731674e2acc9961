"""Decide by a firewall's rules whether a connection is allowed."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from random import Random

ID = "medium/firewall_rules"
TITLE = "First firewall rule that matches"
DIFFICULTY = "medium"
TOPICS = ("networking", "parsing", "bit operations")
ENTRY_POINT = "firewall_action"


def firewall_action(rules: list[str], source: str, port: int) -> str:
    """Return what a firewall does with a connection from an address to a port.

    `source` is an IPv4 address such as "10.0.0.7", `port` is 0 to 65535. Each rule is a
    text of three words, separated by single blanks: action, network, ports.

    - The network is an IPv4 address and a prefix length 0 to 32, such as "10.1.0.0/16". It
      matches a source whose first so many bits equal those of the address; the other bits
      of the address have no meaning. An address without a prefix length matches only
      itself, and "any" matches every source.
    - The ports are a comma-separated list of ports and of ranges "a-b" (both ends included;
      a > b matches nothing), or the word "any", which matches every port.

    The answer is the action (any word) of the first rule of which both network and ports
    match, and "deny" if there is none. Rules, source and port are always valid.

    >>> firewall_action(["deny 10.0.0.9 any", "allow 10.0.0.0/8 22,80-90"], "10.0.0.7", 85)
    'allow'
    >>> firewall_action(["log 192.168.0.0/16 any", "allow any 80"], "192.169.0.1", 443)
    'deny'
    """
    address = IPv4Address(source)
    for rule in rules:
        action, network, ports = rule.split()
        covered = IPv4Network(network.replace("any", "0.0.0.0/0"), strict=False)
        if address in covered and _has_port(ports, port):
            return action
    return "deny"


def _has_port(ports: str, port: int) -> bool:
    return any(port in _ports(part) for part in ports.replace("any", "0-65535").split(","))


def _ports(part: str) -> range:
    first, _, last = part.partition("-")
    return range(int(first), int(last or first) + 1)


BASE_INPUTS = [
    (["deny 10.0.0.9 any", "allow 10.0.0.0/8 22,80-90"], "10.0.0.7", 85),
    (["log 192.168.0.0/16 any", "allow any 80"], "192.169.0.1", 443),
    ([], "1.2.3.4", 80),
    (["log any any"], "0.0.0.0", 0),
    (["log any any"], "255.255.255.255", 65535),
    (["a 10.1.2.3/16 22", "b 10.2.0.0/15 22", "c any 22"], "10.3.255.255", 22),
    (["a 10.1.2.3/16 21", "b 10.1.0.0 22", "c 10.1.9.9/17 22"], "10.1.0.1", 22),
    (["a any 80-90", "b any 70-79", "c any 91-99"], "1.1.1.1", 80),
    (["a any 80-90", "b any 70-79", "c any 91-99"], "1.1.1.1", 79),
    (["a any 80-90", "b any 70-79", "c any 91-99"], "1.1.1.1", 90),
    (["a any 9-7", "b any 8-8,5"], "1.1.1.1", 8),
    (["a 1.1.1.1/32 1", "b 1.1.1.0/31 1", "c 200.0.0.0/0 1"], "1.1.1.2", 1),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    for prefix in (0, 1, 7, 8, 9, 15, 16, 17, 23, 24, 25, 30, 31, 32):
        for source in ("10.20.30.40", "10.20.30.41", "10.20.158.40", "10.148.30.40"):
            yield ([f"allow 10.20.30.40/{prefix} any"], source, 443)
    for ports in ("79", "80", "81", "79-80", "80-81", "81-82", "0-79", "80-80", "81-79", "1,80,3"):
        yield ([f"allow any {ports}"], "10.0.0.1", 80)
    yield (["allow 10.0.0.1 any"], "10.0.0.1", 0)
    yield (["allow 10.0.0.1 any"], "10.0.0.11", 0)
    yield (["allow 10.0.0.11 any"], "10.0.0.1", 0)
    yield (["allow any 0"], "9.9.9.9", 0)
    yield (["allow any 65535", "deny any any"], "9.9.9.9", 65534)
    yield (["allow any 800", "x any 8,0,08"], "9.9.9.9", 80)
    yield (["deny any any", "allow any any"], "9.9.9.9", 80)
    yield ([f"rule{n} 10.0.{n}.0/24 {n}-{n + 50}" for n in range(200)], "10.0.99.1", 120)
    for _ in range(110):
        rules = []
        for action in random.sample(["allow", "deny", "log", "limit", "drop"], k=4):
            address = f"10.{random.randint(0, 3)}.{random.randint(0, 1)}.{random.randint(0, 1)}"
            length = random.choice(["", "/13", "/14", "/15", "/16", "/23", "/24", "/31", "/32"])
            low = random.randint(1, 9)
            words = [f"{low}", f"{low}-{low + 3}", f"{low},{low + 2}", "any"]
            network = random.choice(["any", address + length, address + length])
            rules.append(f"{action} {network} {random.choice(words)}")
        source = f"10.{random.randint(0, 3)}.{random.randint(0, 1)}.{random.randint(0, 1)}"
        yield (rules, source, random.randint(1, 9))
