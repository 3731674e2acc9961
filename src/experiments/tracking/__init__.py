"""Runs in MLflow: the only package that imports it, by its documented names alone.

    recorder    a run's side: what is to be logged is put on a queue, and nothing waits
       ↓
    worker      a process that takes it from there and calls MLflow
       ↓
    opening     the database and the experiment, and errors in one line
    logs        parameters, metrics, data set, files of the active run
    traces      each sample as a trace

    fetching    files of a run, back from MLflow
    assessments a person's grades on the traces of a run
    queues      MLflow's review queues, which are experimental

The run folder is the truth and MLflow a view of it: whatever fails here costs nothing that
was generated or judged.
"""
