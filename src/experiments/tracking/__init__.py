"""Runs in MLflow. The only module that imports it, in a process of its own.

    live      a run as it is logged while it goes on
      ↓
    host      this process's side ⇄ worker    the process that calls MLflow
                                      ↓
                                    watch     the machine's numbers; runs left open
                                    client    experiments, runs, artifacts
                                    traces    a generation as a trace
                                    hollow    packages for show, while MLflow is imported

The run folder is the truth and MLflow a view of it: whatever fails here costs nothing that
was generated or judged.

Nothing is imported here: what starts the process comes before all else that a run imports.
"""
