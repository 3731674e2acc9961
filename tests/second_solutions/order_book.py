"""Unit by unit, with a list of open orders that is searched anew for each."""


def trade_orders(
    messages: list[tuple[str, str, int, int]],
) -> tuple[list[tuple[int, int, int, int]], list[tuple[int, int]]]:
    trades: list[list[int]] = []
    opened: list[list[int]] = []  # number, quantity
    for number, (kind, owner, price, quantity) in enumerate(messages):
        if kind == "cancel":
            opened = [
                order for order in opened if order[0] != quantity or messages[quantity][1] != owner
            ]
            continue
        new = [number, quantity]
        while True:
            best: list[int] | None = None
            for order in opened:
                offered = messages[order[0]]
                if kind == "buy":
                    suits = offered[0] == "sell" and offered[2] <= price
                    better = best is None or offered[2] < messages[best[0]][2]
                else:
                    suits = offered[0] == "buy" and offered[2] >= price
                    better = best is None or offered[2] > messages[best[0]][2]
                if suits and better:
                    best = order
            if best is None:
                opened.append(new)
                break
            if messages[best[0]][1] == owner:
                opened.remove(best)
                continue
            traded = new[1] if new[1] < best[1] else best[1]
            buyer, seller = (number, best[0]) if kind == "buy" else (best[0], number)
            trades.append([buyer, seller, messages[best[0]][2], traded])
            best[1] -= traded
            new[1] -= traded
            opened = [order for order in opened if order[1] > 0]
            if new[1] == 0:
                break
    return [(a, b, c, d) for a, b, c, d in trades], [(a, b) for a, b in opened]
