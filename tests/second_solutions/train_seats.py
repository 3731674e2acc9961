"""By a set of taken (seat, part of the way), trying every run of seats."""


def reserve_seats(
    row_lengths: list[int], requests: list[tuple[int, int, int]]
) -> list[list[tuple[int, int]]]:
    taken: set[tuple[int, int, int]] = set()

    def is_free(row: int, number: int, first: int, last: int) -> bool:
        return not any((row, number, part) in taken for part in range(first, last))

    def choice(first: int, last: int, people: int) -> list[tuple[int, int]]:
        free = {
            row: [seat for seat in range(1, length + 1) if is_free(row, seat, first, last)]
            for row, length in enumerate(row_lengths, 1)
        }
        options = []
        for row, seats in free.items():
            for start in seats:
                run = set(range(start, start + people))
                if run <= set(seats):
                    options.append((len(seats), row, start))
        if options:
            _, row, start = min(options)
            return [(row, start + place) for place in range(people)]
        for row in sorted(free):
            if len(free[row]) >= people:
                return [(row, seat) for seat in free[row]][:people]
        everywhere = sorted((row, seat) for row, seats in free.items() for seat in seats)
        return everywhere[:people] if len(everywhere) >= people else []

    answers = []
    for first, last, people in requests:
        seats = choice(first, last, people)
        taken |= {(row, seat, part) for row, seat in seats for part in range(first, last)}
        answers.append(seats)
    return answers
