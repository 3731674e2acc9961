# Returns arrays of every odd kind: of records, objects, dates and long numbers, without items,
# with more items than any memory, and of classes that lie about themselves.
import numpy


class Lying(numpy.ndarray):
    dtype = property(lambda self: numpy.dtype("<i8"))
    shape = property(lambda self: 10**9 * (1,))

    def __array__(self, *arguments, **options):
        return numpy.broadcast_to(numpy.int64(1), (10**7, 10**6))

    def tolist(self):
        return [True] * 10

    def __eq__(self, other):
        return True


cyclic = numpy.empty(2, dtype=object)
cyclic[:] = [cyclic, Lying]
made = [
    lambda: numpy.broadcast_to(numpy.float64(1), (10**7, 10**6)),
    lambda: numpy.zeros((0, 2**62)),
    lambda: numpy.zeros(3, dtype=[("a", "<i4"), ("b", object)]),
    lambda: numpy.zeros(3, dtype="V5"),
    lambda: numpy.array(["2020-01-01", "NaT"], dtype="datetime64[s]"),
    lambda: numpy.array([1, 2], dtype=numpy.longdouble) / 3,
    lambda: numpy.array("\ud800\x1b[2J"),
    lambda: numpy.zeros(10**6, dtype="S0"),
    lambda: numpy.array(7919),
    lambda: cyclic,
    lambda: numpy.arange(3).view(Lying),
    lambda: numpy.ma.masked_array([1, 2], mask=[True, False]),
    lambda: numpy.void(b"\0" * 100),
]
numbers = iter(range(10**6))


def answer(values):
    return made[next(numbers) % len(made)]()
