"""One fine-tune job: config -> rows -> preflight -> folder -> worker -> adapter -> result.

task      a job file and its config, resolved     data     snapshot, pairs, judged answers
plan      rows as tokens, preflight               train    the whole job, in order
branching a job that starts where another is      telling  progress, curves
scores    dev, measured on the serving engine     card     what an adapter says of itself
"""
