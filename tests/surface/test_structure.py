"""The shape of the code: import order, sizes, and what may be imported before a command runs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "upturn"

#: A module imports only from the layers before its own. One name is one file or one folder.
LAYERS = (
    "errors",
    "records",
    "metrics",
    "events",
    "privacy",
    "store",
    "importers",
    "ingest",
    "labels",
    "datasets",
    "mini",
    "weights",
    "lm",
    "programs",
    "evaluate",
    "judges",
    "scaleout",
    "suites",
    "propose",
    "search",
    "peers",
    "finetune",
    "gate",
    "ledger",
    "tracking",
    "registry",
    "export",
    "report",
    "config",
    "pipeline",
    "quickstart",
    "client",
    "collector",
    "cli",
    "testing",
)
#: Heavy library -> the only places that may import it.
HOMES = {
    "mlflow": ("tracking/", "registry.py", "importers/mlflow_store.py"),
    "sqlalchemy": ("store/", "tracking/"),
    "alembic": ("store/", "tracking/"),
    "pyarrow": ("ingest/",),
    "fastapi": ("collector/", "client/"),
    "uvicorn": ("collector/",),
    "prometheus_client": ("collector/",),
    "datasketch": ("datasets/near_duplicates.py",),
    "presidio_analyzer": ("privacy/names.py",),
    "optuna": ("search/samplers/tpe.py",),
    "ray": ("scaleout/",),
    "sklearn": ("propose/similarity.py", "labels/", "datasets/slices.py"),
    "torch": ("lm/", "mini/", "weights/", "finetune/", "export/serving/"),
    "transformers": ("lm/", "mini/", "finetune/", "export/serving/"),
    "trl": ("finetune/worker/", "finetune/kinds/"),
    "peft": ("finetune/worker/", "export/serving/"),
    "accelerate": ("finetune/worker/",),
    "gguf": ("export/serving/",),
    "cryptography": ("ledger/signing.py", "pipeline/audit/chain.py"),
    "matplotlib": ("report/", "mini/"),
    "typer": ("cli/",),
    "pydantic": ("config/",),
}
FILES = sorted(SOURCE.rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def layer(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            # `from upturn import mini` imports the layer, not the package's root.
            base = [f"upturn.{a.name}" for a in node.names] if node.module == "upturn" else []
            found |= set(base or [node.module])
    return found


def test_every_file_has_a_layer():
    assert {layer(p) for p in FILES} - {"__init__"} == set(LAYERS)
    assert len(FILES) > 100


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_go_one_way(path):
    # A __main__ file is a command line of its own.
    own = "cli" if path.name == "__main__.py" else layer(path)
    if own == "__init__":
        return
    for target in imports(path):
        parts = target.split(".")
        if parts[0] == "upturn" and len(parts) > 1 and parts[1] in LAYERS:
            assert LAYERS.index(parts[1]) <= LAYERS.index(own), f"{own} must not import {target}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_heavy_libraries_have_one_home(path):
    for target in imports(path):
        homes = HOMES.get(target.split(".")[0])
        assert homes is None or name(path).startswith(homes), (
            f"{target} is imported outside {homes}"
        )


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_and_functions_stay_small(path):
    text = path.read_text()
    assert text.count("\n") <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 60, node.name


def test_help_imports_nothing_heavy():
    code = "import sys, upturn.cli.app; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {m.split(".")[0] for m in out.stdout.split()}
    heavy = {"torch", "dspy", "mlflow", "optuna", "numpy", "pydantic", "sklearn", "yaml", "litellm"}
    assert loaded & heavy == set()
