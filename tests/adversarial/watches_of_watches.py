# Has the kernel walk through nets of descriptors that wait for each other.
import select

layers = [[select.epoll() for _ in range(14)] for _ in range(4)]


def answer(values):
    while True:
        for above, below in zip(layers, layers[1:]):
            for one in above:
                for other in below:
                    try:
                        one.register(other, select.EPOLLIN | select.EPOLLET)
                    except FileExistsError:
                        one.unregister(other)
