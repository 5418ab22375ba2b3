"""The card of an adapter: what it was made of, what it does, how it is used."""

from __future__ import annotations

from collections.abc import Mapping

from upturn.datasets import Snapshot
from upturn.finetune.fingerprint import Fingerprint, libraries
from upturn.finetune.runner import Training
from upturn.pipeline.training.plan import Plan
from upturn.pipeline.training.result import pair_accuracy, worker_metric
from upturn.pipeline.training.scores import NOT_RECORDED, licence
from upturn.records import Json


def make_card(
    plan: Plan, snapshot: Snapshot, training: Training, mark: Fingerprint
) -> dict[str, Json]:
    """Returns the card before dev was measured; id, base and hashes are added by the store."""
    spec, story = training.order.spec, training.story
    folder, _ = plan.task.base
    return {
        "job": spec.name,
        "kind": spec.kind,
        "program": plan.task.parts.config.name,
        "base": plan.task.model.model,
        "snapshot": snapshot.id,
        "rows": len(plan.encoded.rows),
        "rows_hash": plan.rows_hash,
        "dropped": dict(plan.encoded.dropped),
        "licences": {"base": licence(folder), "data": _data_licence(snapshot)},
        "candidate": plan.candidate.to_json(),
        "spec": spec.to_json(),
        "metrics": {
            "dev": worker_metric(story),
            "pair_accuracy": pair_accuracy(story),
            "length": (story.done or {}).get("length"),
        },
        "steps": story.step,
        "best_step": (story.done or {}).get("best_step"),
        "fingerprint": mark.hashes,
        "libraries": libraries(),
        "load": how_to_load(plan.task.parts.config.name),
    }


def how_to_load(program: str) -> dict[str, str]:
    """Returns the lines that put an adapter to use; ``ID`` and ``FOLDER`` stand for its own."""
    return {
        "gate": f"upturn run configs/{program}.yaml 'search.space.weights=[ID]'",
        "peft": "peft.PeftModel.from_pretrained(base_model, 'FOLDER')",
        "serve": "upturn export VERSION --to vllm --out DIR",
    }


def _data_licence(snapshot: Snapshot) -> str:
    provenance: Mapping[str, Json] = snapshot.manifest.get("provenance", {})
    return str(provenance.get("licence") or provenance.get("license") or NOT_RECORDED)
