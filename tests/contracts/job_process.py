"""Trains for each line of standard input, a JSON list of a folder and pieces of code.

Each piece is one training, in a forked process; the line that answers holds their exit codes. What
the processes print goes to ``log.txt`` in the folder.
"""

import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import dspy  # noqa: F401 - imported once, here, for all that are forked
import transformers.models.llama.modeling_llama  # noqa: F401
import trl.trainer.dpo_trainer
import trl.trainer.kto_trainer
import trl.trainer.sft_trainer  # noqa: F401

from upturn.finetune.worker.hooks import Hooks
from upturn.finetune.worker.train import train


def main() -> None:
    for line in sys.stdin:
        folder, *codes = json.loads(line)
        print(json.dumps([forked(Path(folder), code) for code in codes]), flush=True)


def forked(folder: Path, code: str) -> int:
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        scope: dict[str, Any] = {"Hooks": Hooks, "H": Hooks, "os": os, "signal": signal}
        exec(code, {**scope, "time": time}, scope)
        os._exit(int(train(folder, hooks=scope["H"]())))
    except BaseException:
        traceback.print_exc()
        os._exit(1)


main()
