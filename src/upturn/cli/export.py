"""``upturn export``: a version as plain files, or its weights for a model server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE, AsJson, Tracking, WorkspacePath

if TYPE_CHECKING:
    from upturn.export.serving import Options
    from upturn.pipeline.serving import Found


def export(
    program: Annotated[
        str,
        typer.Argument(
            metavar="VERSION",
            help="A program (its champion) or PROGRAM@NUMBER; with --to also an adapter's id or "
            "folder, or a finished job.",
        ),
    ],
    version: Annotated[
        str | None, typer.Option("--version", help="The version; the champion by default.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The folder to write.")] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            help="A server for the weights: peft, vllm, sglang, lorax, merged, gguf or ollama. "
            "Without it: prompt and manifest.",
        ),
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="The base model's folder, where it has moved.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="What the server calls it; with --to.")
    ] = None,
    dtype: Annotated[
        str, typer.Option("--dtype", help="Of merged weights: auto (the base's), f32, f16, bf16.")
    ] = "auto",
    max_lora_rank: Annotated[
        int | None, typer.Option("--max-lora-rank", help="The server's limit, where it has one.")
    ] = None,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    tracking: Tracking = "",
    as_json: AsJson = False,
) -> None:
    """Write a version as plain files, or its weights as a model server takes them."""
    if to is not None:
        from upturn.export.serving import target
        from upturn.export.serving.base import checked_options
        from upturn.pipeline.serving import source

        target(to)
        found = source(program, workspace=workspace, version=version, base=base, tracking=tracking)
        asked = checked_options(name=name or found.name, dtype=dtype, max_lora_rank=max_lora_rank)
        _weights(found, to, out or Path("exported") / f"{found.name}-{to}", asked, as_json)
        return
    _bundle(program, version, out, workspace, tracking, as_json)


def _bundle(
    program: str,
    version: str | None,
    out: Path | None,
    workspace: Path,
    tracking: str,
    as_json: bool,
) -> None:
    from upturn.errors import InputError
    from upturn.export import export_version
    from upturn.pipeline.store import open_registry

    program, _, number = program.replace("@", "/").partition("/")
    wanted = version or number
    with open_registry(workspace, uri=tracking) as registry:
        found = registry.load(program, wanted) if wanted else registry.champion(program)
    if found is None:
        raise InputError(f"{program} has no champion", fix="upturn ls")
    folder = export_version(found, out or Path("exported") / program)
    if as_json:
        console.answer({"program": program, "version": found.version, "folder": str(folder)})
    else:
        console.say(f"{program} version {found.version} is in {folder}")
        state = f"program.load('{folder}/program.json')"
        whole = f"upturn.export.load_bundle('{folder}')"
        console.say(f"  load it: {whole if found.candidate.settings else state}")


def _weights(found: Found, to: str, out: Path, asked: Options, as_json: bool) -> None:
    from upturn.export.serving import export_serving
    from upturn.export.serving.sources import open_source

    opened = open_source(found.adapter, found.base, messages=found.messages)
    console.progress().step("export", f"{to}: writes it, then reads it back in a fresh process")
    made = export_serving(opened, to, out, asked)
    if as_json:
        verified = [check.to_json() for check in made.verified]
        answer = {"folder": str(made.folder), "files": list(made.files), "verified": verified}
        console.answer(answer)
        return
    console.say(f"adapter {opened.adapter_id} for {to} is in {made.folder}")
    for check in made.verified:
        console.say(f"  {check.check}: {check.value:.3g} (allowed {check.tolerance:.3g})")
    for line in made.manifest["not_checked_here"]:
        console.say(f"  not checked: {line}")
    console.say(f"  start it: the two lines in {made.folder}/README.md")
