"""The process that trains: ``python -m upturn.finetune.worker FOLDER``.

inputs       the folder, read and checked           model        base, adapter, tokenizer
trainers     TRL's trainers, as a job needs them   loop         what happens at each step
evaluation   answers of the model in training       pairs        pair accuracy, length effect
checkpoints  whole or not at all, no pickle         standing     the best evaluation, patience
guards       numbers, memory, signals, stalls       processes    one, or several under torchrun
"""
