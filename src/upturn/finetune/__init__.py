"""Fine-tuning: curated rows in, a LoRA adapter out that is one more candidate for the gate.

spec        what a job asks for                     rows, encode   what the program really sends
preflight   what would go wrong, before it does     worker/        the process that trains (TRL)
runner      starts, watches, resumes a worker       launch/        here, on Ray, by a command
kinds/      one file a way to train
"""
