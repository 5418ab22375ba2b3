"""Trains what a job's folder asks for, and exits with a code of ``records.Exit``."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> int:
    """Reads FOLDER from the command line; everything else is in the folder."""
    if len(sys.argv) != 2:
        print("usage: python -m upturn.finetune.worker FOLDER", file=sys.stderr)
        return 2
    # The base model is a folder: nothing here may wait for a network.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from upturn.finetune.worker.train import train

    return int(train(Path(sys.argv[1])))


if __name__ == "__main__":
    sys.exit(main())
