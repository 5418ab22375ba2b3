"""``upturn snapshot``: freeze train, dev and holdout without running anything on them."""

from __future__ import annotations

from upturn.cli import console
from upturn.cli.options import AsJson, ConfigPath, Overrides


def snapshot(config: ConfigPath, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Freeze the data of a config into train, dev and a sealed holdout."""
    from datetime import UTC, datetime

    from upturn.pipeline.parts import Parts

    parts = Parts.load(config, overrides)
    with parts.workspace.locked():
        made = parts.snapshot(datetime.now(UTC))
    manifest = made.manifest
    if as_json:
        keys = ("id", "sizes", "labels", "abstained", "dropped", "grouping", "provenance")
        console.answer({"folder": str(made.folder), **{k: manifest[k] for k in keys}})
        return
    console.say(f"snapshot {made.id[:12]} in {made.folder}")
    sizes = [[n, str(s["rows"]), str(s["groups"])] for n, s in manifest["sizes"].items()]
    console.table(["split", "rows", "groups"], sizes)
    if manifest["abstained"]:
        console.say("requests without a label:")
        console.table(
            ["reason", "requests"], [[k, str(v)] for k, v in manifest["abstained"].items()]
        )
