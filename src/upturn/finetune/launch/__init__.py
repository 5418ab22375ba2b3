"""Where a worker runs: ``base`` is the contract; local, command and ray are one file each."""

from upturn.finetune.launch.base import Launcher, Running
from upturn.finetune.launch.command import CommandLauncher
from upturn.finetune.launch.local import LocalLauncher

__all__ = ["CommandLauncher", "Launcher", "LocalLauncher", "Running"]
