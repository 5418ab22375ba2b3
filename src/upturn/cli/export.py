"""``upturn export``: a version as a folder that answers alone, or its weights for a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE, AsJson, Tracking, WorkspacePath

BUNDLE = "bundle"
AUTO = "auto"

if TYPE_CHECKING:
    from upturn.export.serving import Options
    from upturn.pipeline.serving import Found


def export(
    program: Annotated[
        str,
        typer.Argument(
            metavar="VERSION",
            help="A program (its champion) or PROGRAM@NUMBER; for a server also an adapter's id "
            "or folder, or a finished job.",
        ),
    ],
    version: Annotated[
        str | None, typer.Option("--version", help="The version; the champion by default.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The folder to write.")] = None,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="bundle: prompt, program and predict.py, which needs DSPy only. Or a server for "
            "the weights: peft, vllm, sglang, lorax, merged, gguf or ollama.",
        ),
    ] = BUNDLE,
    base: Annotated[
        str | None, typer.Option("--base", help="The base model's folder, where it has moved.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="What the server calls the weights.")
    ] = None,
    dtype: Annotated[
        str, typer.Option("--dtype", help="Of merged weights: auto (the base's), f32, f16, bf16.")
    ] = AUTO,
    max_lora_rank: Annotated[
        int | None, typer.Option("--max-lora-rank", help="The server's limit, where it has one.")
    ] = None,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    tracking: Tracking = "",
    as_json: AsJson = False,
) -> None:
    """Write a version as a folder that answers without Upturn, or its weights for a server."""
    if to != BUNDLE:
        from upturn.export.serving import target
        from upturn.export.serving.base import checked_options
        from upturn.pipeline.serving import source

        target(to)
        found = source(program, workspace=workspace, version=version, base=base, tracking=tracking)
        asked = checked_options(name=name or found.name, dtype=dtype, max_lora_rank=max_lora_rank)
        _weights(found, to, out or Path("exported") / f"{found.name}-{to}", asked, as_json)
        return
    _refuse_options(base=base, name=name, dtype=dtype, max_lora_rank=max_lora_rank)
    _bundle(program, version, out, workspace, tracking, as_json)


def _refuse_options(**asked: str | int | None) -> None:
    from upturn.errors import InputError

    given = [f"--{n.replace('_', '-')}" for n, v in asked.items() if v not in (None, AUTO)]
    if given:
        raise InputError(
            f"{', '.join(given)} is for the weights of a server, and --to is {BUNDLE}",
            fix="name the server: --to vllm",
        )


def _bundle(
    program: str,
    version: str | None,
    out: Path | None,
    workspace: Path,
    tracking: str,
    as_json: bool,
) -> None:
    from upturn.export import export_version
    from upturn.pipeline.bundling import bundle_of

    made = bundle_of(program, workspace=workspace, version=version, tracking=tracking)
    found = made.found
    console.progress().step("export", "bundle: writes it, then reads it back without Upturn")
    out = out or Path("exported") / found.program
    folder = export_version(found, out, standalone=made.standalone)
    if as_json:
        told = {"program": found.program, "version": found.version, "folder": str(folder)}
        console.answer(told)
        return
    console.say(f"{found.program} version {found.version} is in {folder}")
    asked = made.standalone.asked
    named = "" if asked.model else "--model openai/NAME "
    holes = ", ".join(f'"{name}": "…"' for name in made.standalone.program.fields.inputs)
    console.say(f"  needs: {', '.join(made.standalone.packages())}; see requirements.txt")
    console.say(f"  run it: python {folder}/predict.py {named}'{{{holes}}}'")
    if asked.why:
        console.say(f"  {asked.why}")


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
