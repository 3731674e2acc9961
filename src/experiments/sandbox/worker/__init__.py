"""The program inside the sandbox: small, standard library only.

It runs as a package of its own, never as a part of `experiments`: nothing else of this
project can be seen from inside. One process, the worker, is started once and kept warm. For
each program under test it forks a child, the executor, which sets its own limits, runs the
program and writes what came back, as plain data, into a pipe. From the moment the program
begins, the executor is not trusted: what it writes is only ever read as data, by the host.

    __main__    the worker: forks executors and ends them
    executor    limits, then the program, input after input
    kernel      what Linux is asked to refuse to a process
    outputs     any value as plain data
    protocol    what host and worker say to each other
    folder      emptying the folder for files
"""
