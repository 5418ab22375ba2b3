"""What lets a bundle answer without Upturn: the program's file, ``predict.py``, requirements.

``predict.py`` and ``bundle.py`` are the same text in every bundle. What differs from one to the
next is read from JSON, so that nobody's text becomes Python.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files as resources
from pathlib import Path

from upturn.errors import ProgramError, UpturnError
from upturn.export.imports import requirements
from upturn.programs import Program, Settings
from upturn.records import Json
from upturn.tracking.versions import RegisteredVersion, dump

#: A program's prompt formats, by the names of DSPy's classes.
_ADAPTERS = {"chat": "ChatAdapter", "json": "JSONAdapter", "xml": "XMLAdapter"}
_SHIPPED = ("bundle.py", "predict.py")
#: The program's own file in a bundle.
PROGRAM = "program.py"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How the model was asked when the version was measured.

    Attributes:
        model: a DSPy string that means the same model anywhere, or "" where there is none.
        why: what to do where ``model`` is "": said by ``predict.py``.
        temperature, max_tokens: of each call.
        seed: for sampling; None where none was sent.
    """

    model: str
    why: str = ""
    temperature: float
    max_tokens: int
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class Standalone:
    """What a bundle needs besides the version's own files.

    Attributes:
        program: the program, as its file is now.
        source: that file.
        asked: how the model was asked.
        report: the turn's page, by file name.
        decision: hash of the ledger's entry of the decision, or "".
    """

    program: Program
    source: bytes
    asked: Asked
    report: Mapping[str, bytes] = field(default_factory=dict)
    decision: str = ""

    def packages(self) -> dict[str, str]:
        """Returns the packages that must be installed: name -> version.

        Raises:
            ProgramError: as ``imports.requirements``.
        """
        return requirements(self.source, where=self.program.ref)

    def files(self) -> dict[str, bytes]:
        """Returns the files: name -> content.

        Raises:
            ProgramError: as ``imports.requirements``.
        """
        listed = "".join(f"{name}=={number}\n" for name, number in self.packages().items())
        shipped = resources("upturn.export") / "files"
        own = {name: (shipped / f"{name}.txt").read_bytes() for name in _SHIPPED}
        texts = {PROGRAM: self.source, "requirements.txt": listed.encode()}
        return {**self.report, **own, **texts}

    def run(self, found: RegisteredVersion) -> dict[str, Json]:
        """Returns what ``bundle.py`` reads from the manifest: how the version is run."""
        settings, asked = Settings.of(found.candidate), self.asked
        said = settings.temperature
        lm: dict[str, Json] = {
            "temperature": asked.temperature if said is None else said,
            "max_tokens": asked.max_tokens,
            "seed": asked.seed,
        }
        return {
            "class": self.program.ref.partition(":")[2],
            "inputs": list(self.program.fields.inputs),
            "adapter": _ADAPTERS[settings.adapter],
            "module": settings.module,
            "model": asked.model,
            "why": asked.why,
            "lm": {name: value for name, value in lm.items() if value is not None},
        }

    def expect_measured(self, found: RegisteredVersion) -> None:
        """Checks that the program is the one that was measured: its file, and the prompt it writes.

        A version of before Upturn kept the file's hash is held to its prompt alone.

        Raises:
            ProgramError: the file was changed since, or another DSPy writes another prompt.
        """
        program, candidate = self.program, found.candidate
        then_file = found.manifest.get("facts", {}).get("program_file", program.fingerprint)
        if then_file != program.fingerprint:
            raise ProgramError(
                f"the program's file must be the one that version {found.version} was measured "
                f"with, sha256 {then_file}, and is {program.fingerprint} now",
                where=program.ref,
                fix="restore the file as it was then, or upturn run CONFIG",
            )
        now: dict[str, Json] = {"program.json": _signatures(program.state_json(candidate).encode())}
        then: dict[str, Json] = {"program.json": _signatures(found.files["program.json"])}
        if "prompt.json" in found.files:
            holes = {name: f"{{{name}}}" for name in program.fields.inputs}
            now["prompt.json"] = program.messages(candidate, holes)
            then["prompt.json"] = json.loads(found.files["prompt.json"])
        differ = [name for name in now if now[name] != then[name]]
        if differ:
            raise ProgramError(
                f"the program must write the prompt that version {found.version} was measured "
                f"with, and what it writes now differs from {' and '.join(differ)}",
                where=program.ref,
                fix="restore the program's file (or DSPy) as it was then, or upturn run CONFIG",
            )

    def expect_same(self, folder: Path, found: RegisteredVersion) -> None:
        """Has a fresh process without Upturn read the bundle, and compares what it would send.

        Raises:
            ProgramError: the bundle does not load there.
            UpturnError: it would send another prompt than Upturn.
        """
        ours, theirs = self._prompts(found), _read_back(folder, self.program.ref)
        if ours != theirs:
            names = [n for n in {**ours, **theirs} if ours.get(n) != theirs.get(n)]
            raise UpturnError(
                f"a bundle must send what was measured, and the prompt of {', '.join(names)} "
                "differs",
                where=self.program.ref,
                fix="nothing was written; report this",
            )

    def _prompts(self, found: RegisteredVersion) -> dict[str, Json]:
        from upturn.lm.adapters import adapter

        built = self.program.assemble(found.candidate)
        prompts: dict[str, Json] = {}
        for name, predictor in built.predictors.items():
            signature = predictor.signature
            holes = {hole: f"{{{hole}}}" for hole in signature.input_fields}
            made = adapter(built.settings.adapter).format(signature, predictor.demos, holes)
            prompts[name] = json.loads(dump(made))
        return prompts


def _signatures(state: bytes) -> dict[str, Json]:
    """Returns the signatures of a program's state: the demos are the candidate's own."""
    value: dict[str, Json] = json.loads(state)
    return {name: value[name].get("signature") for name in value if name != "metadata"}


def _read_back(folder: Path, ref: str) -> dict[str, Json]:
    script = Path(__file__).with_name("readback.py")
    with tempfile.TemporaryDirectory(prefix="upturn-") as place:
        answer = Path(place) / "answer.json"
        # -P: neither this package's folder nor the working folder is on the path.
        command = [sys.executable, "-P", script, folder.resolve(), answer]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=place)
        if ran.returncode:
            last = (ran.stderr.strip().splitlines() or ["no message"])[-1]
            raise ProgramError(
                f"the bundle must load in a process without Upturn, and there it ends with: {last}",
                where=ref,
                fix="let the program's file import DSPy, the standard library and installed "
                "packages only, and read no other file",
            )
        return json.loads(answer.read_text(encoding="utf-8"))
