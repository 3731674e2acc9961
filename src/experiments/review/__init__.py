"""A person's grades of what models wrote, blind: what tests cannot see.

    rubric      the grades that can be given
    works       runs → what there is to grade, equal programs once
    choosing    what to read within a budget, by strata
    grades      grades in the folders of the runs, the same in each
    scoring     grades → the semi-manual score, agreement, what tests missed
    terminal    grading in the terminal
    queues      grading in MLflow's review queues

Whoever grades sees statement, completion, program and tests, and never which model, level, prompt
or run it is from.
"""
