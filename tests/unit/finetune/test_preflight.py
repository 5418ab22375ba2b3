"""Preflight: each bad input by name, all problems at once, and what defaults would have done."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from upturn import mini
from upturn.datasets import SplitRules, freeze
from upturn.errors import InputError
from upturn.finetune.defaults import (
    BF16,
    GRADIENT_CHECKPOINTING,
    MAX_LENGTH,
    with_defaults,
)
from upturn.finetune.encode import RowEncoder, encode_rows, end_tokens
from upturn.finetune.kinds import job_kind
from upturn.finetune.leaks import find_leaks
from upturn.finetune.order import order, total_steps
from upturn.finetune.preflight import load_tokenizer, preflight
from upturn.finetune.preflight_rows import row_findings, samples
from upturn.finetune.rows import Material, TextRow
from upturn.finetune.spec import JobSpec, LoraSpec, OptimSpec, PreferenceSpec, RunSpec
from upturn.records import Candidate, Example

pytest.importorskip("transformers", reason="needs the [local] extra")
safetensors = pytest.importorskip("safetensors.numpy", reason="needs the [local] extra")

LAYER = {
    "self_attn.q_proj": (8, 8),
    "self_attn.o_proj": (8, 8),
    "mlp.up_proj": (16, 8),
    "mlp.down_proj": (8, 16),
}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A model's folder with weights that nobody loads."""
    folder = tmp_path / "base"
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(mini.weights_dir() / name, folder / name)
    shape = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 16,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": True,
        "eos_token_id": 4,
    }
    (folder / "config.json").write_text(json.dumps(shape))
    weights = {"model.embed_tokens.weight": np.zeros((20, 8), np.float32)}
    weights["model.norm.weight"] = np.zeros(8, np.float32)
    for i in range(2):
        for name, size in LAYER.items():
            weights[f"model.layers.{i}.{name}.weight"] = np.zeros(size, np.float32)
    safetensors.save_file(weights, folder / "model.safetensors")
    return folder


def edit(path: Path, **values) -> None:
    found = json.loads(path.read_text()) | values
    path.write_text(json.dumps({k: v for k, v in found.items() if v is not None}))


def text_row(n: int, message: str = "", team: str = "", **more) -> TextRow:
    message = message or f"Message number {n}, about {chr(97 + n % 26) * 3}"
    team = team or ("Billing", "Sales")[n % 2]
    made = {
        "id": f"r{n}",
        "inputs": {"message": message},
        "messages": ({"role": "user", "content": message},),
        "answer": f"{team}\n",
        "labels": {"team": team},
        "event_ids": (f"e{n}",),
        "group": f"g{n}",
        "weight": 0.7,
    }
    return TextRow(**{**made, **more})


def text(*rows: TextRow, kind="sft", **more) -> Material:
    rows = rows or tuple(text_row(n) for n in range(20))
    return Material(kind=kind, candidate=Candidate(states={}), rows=rows, **more)


def spec(kind="sft", *, lora=None, start=None, trust=False, run=None, **optim) -> JobSpec:
    optim = {"per_device_train_batch_size": 2, **optim}
    return JobSpec(
        name="job",
        kind=kind,
        lora=LoraSpec(**(lora or {})),
        optim=OptimSpec(**optim),
        run=RunSpec(**(run or {})),
        start=start,
        trust_remote_code=trust,
    )


def look(base: Path, material: Material | None = None, job: JobSpec | None = None, **more):
    # The rate of this machine is measured where a test asks for it.
    more = {"on_cpu": False, **more}
    return preflight(job or spec(), material or text(), base=base, base_id="base@0123", **more)


def lines(findings) -> str:
    return "\n".join(f.line for f in findings)


def test_a_good_job_has_no_problem_and_tells_its_counts(base):
    found = look(base)
    assert found.problems == ()
    assert found.warnings == ()
    assert found.counts["came_in"] == found.counts["kept"] == 20
    assert found.check().rows == found.encoded.rows
    assert found.tokens.ends == found.tokens.rows == 20
    assert found.tokens.loss == sum(len(r.completion_ids) for r in found.encoded.rows)
    assert found.tokens.share == pytest.approx(found.tokens.loss / found.tokens.total)
    assert found.tokens.effective_rows == pytest.approx(20)


def test_three_rows_are_shown_beside_what_is_sent(base):
    found = look(base)
    assert len(found.samples) == 3
    assert found.samples[0].tokens <= found.samples[1].tokens <= found.samples[2].tokens
    for sample in found.samples:
        assert sample.prefix_holds
        assert sample.training == sample.inference + sample.answer
        assert sample.answer.endswith("<|end|>\n")
        assert sample.inference.endswith("<|assistant|>\n")
    assert "what is trained begins with what is sent" in found.text
    assert repr(found.samples[0].answer) in found.text


def test_it_can_be_read_by_people_and_programs(base):
    found = look(base, text(*(text_row(n, team="Sales") for n in range(3))))
    value = json.loads(json.dumps(found.to_json()))
    assert value["problems"][0]["where"] == "balance"
    assert value["counts"]["dropped"] == {}
    assert value["leaks"]["holdout_texts"] is None
    for part in ("tokens", "balance", "leaks", "estimate", "defaults"):
        assert value[part], part
    assert found.text.rstrip().splitlines()[-1].startswith("  balance: ")


def test_all_problems_are_told_at_once(base):
    material = text(*(text_row(n, team="Sales") for n in range(3)))
    job = spec(lora={"target_modules": ("qkv", "lm_head")}, max_length=8)
    with pytest.raises(InputError) as caught:
        look(base, material, job).check()
    said = str(caught.value)
    assert "5 problems" in said
    for part in ("'qkv' names none", "head alone", "all are team: Sales", "3 too_long"):
        assert part in said
    assert caught.value.exit_code == 2


def test_one_class(base):
    material = text(*(text_row(n, team="Sales") for n in range(5)))
    with pytest.raises(InputError, match="two and more classes, all are team: Sales"):
        look(base, material).check()


def test_a_field_that_never_changes_beside_one_that_does(base):
    rows = [text_row(n, labels={"team": str(n % 2), "language": "en"}) for n in range(20)]
    found = look(base, text(*rows))
    assert found.problems == ()
    assert "language is 'en' in 20 of 20 rows" in lines(found.warnings)


def test_a_label_of_more_than_nine_in_ten_is_a_warning(base):
    rows = [text_row(n, team="Sales" if n else "Billing") for n in range(20)]
    found = look(base, text(*rows))
    assert found.problems == ()
    assert "team is 'Sales' in 19 of 20 rows" in lines(found.warnings)
    rows = [text_row(n, team="Sales" if n > 1 else "Billing") for n in range(20)]
    assert look(base, text(*rows)).warnings == ()


def test_free_texts_have_no_classes(base):
    rows = [text_row(n, labels={"reply": f"Dear {n}"}, answer=f"Dear {n}") for n in range(9)]
    found = look(base, text(*rows))
    assert found.problems == ()
    assert found.balance.texts == ("reply",)


@pytest.mark.parametrize(("side", "said"), [(True, "wanted"), (False, "unwanted")])
def test_kto_of_one_side(base, side, said):
    material = text(*(text_row(n, desirable=side) for n in range(6)), kind="kto")
    with pytest.raises(InputError, match=f"all 6 are {said}"):
        look(base, material, spec("kto")).check()


def test_ktos_sides_should_weigh_the_same(base):
    def job(**weights):
        return replace(spec("kto"), preference=PreferenceSpec(loss_type="kto", **weights))

    material = text(*(text_row(n, desirable=n < 4) for n in range(20)), kind="kto")
    found = look(base, material, job())
    assert "weigh 0.25 times what unwanted ones do (4 rows against 16)" in lines(found.warnings)
    assert "preference.desirable_weight=4" in lines(found.warnings)
    assert "weigh" not in lines(look(base, material, job(desirable_weight=4.0)).warnings)


def test_one_step_of_warm_up_would_teach_nothing(base):
    said = "a job of one step must have no warm-up"
    assert said in lines(look(base, job=spec(max_steps=1)).problems)
    for enough in ({"max_steps": 2}, {"max_steps": 1, "warmup_ratio": 0.0}):
        assert said not in lines(look(base, job=spec(**enough)).problems)


def test_all_rows_too_long(base):
    found = look(base, job=spec(max_length=8))
    with pytest.raises(InputError, match="all are dropped: 20 too_long") as caught:
        found.check()
    assert "optim.max_length=" in caught.value.fix
    assert found.encoded is None
    assert "1 problem" in found.text


def test_some_rows_too_long_are_told_with_the_length_that_keeps_all(base):
    rows = [text_row(n) for n in range(19)] + [text_row(19, "long " * 300)]
    found = look(base, text(*rows), spec(max_length=100))
    assert found.counts["dropped"] == {"too_long": 1}
    assert found.counts["cut"] == 0
    assert f"optim.max_length={found.encoded.longest} keeps all" in lines(found.warnings)
    assert look(base, text(*rows), spec(max_length=found.encoded.longest)).warnings == ()


def test_duplicate_rows_and_conflicting_ones(base):
    rows = [text_row(n) for n in range(20)]
    again = [replace(rows[0], id="x"), replace(rows[1], id="y", answer="Other\n")]
    found = look(base, text(*rows, *again))
    assert found.counts["kept"] == 21
    assert "1 rows equal others" in lines(found.warnings)
    assert "1 prompts have two right answers" in lines(found.warnings)
    assert found.defaults.repeated == 1


def test_equal_pairs(base):
    pairs = [text_row(n, rejected="None\n") for n in range(20)]
    same = text_row(20, rejected="Billing\n")
    found = look(base, text(*pairs, same, kind="dpo"), spec("dpo"))
    assert found.problems == ()
    assert "1 rows are left out whose two answers are equal" in lines(found.warnings)
    assert found.defaults.equal_pairs == 1
    assert all(sample.rejected == "None\n<|end|>\n" for sample in found.samples)
    with pytest.raises(InputError, match="all are dropped: 1 equal_pair"):
        look(base, text(same, kind="dpo"), spec("dpo")).check()


def test_a_template_without_a_generation_part(base):
    path = base / "chat_template.jinja"
    path.write_text(path.read_text().partition("{%- if add_generation_prompt")[0])
    with pytest.raises(InputError, match="must have a generation prompt"):
        look(base).check()


def test_a_template_with_a_clock(base):
    path = base / "chat_template.jinja"
    path.write_text("{{ strftime_now('%Y') }}" + path.read_text())
    found = look(base)
    assert found.problems == ()
    assert "asks for today's date; here it is always 26 Jul 2024" in lines(found.warnings)


def test_a_tokenizer_without_an_end_token(base):
    edit(base / "tokenizer_config.json", eos_token=None)
    edit(base / "config.json", eos_token_id=None)
    with pytest.raises(InputError, match="must have an end token"):
        look(base).check()


def test_a_tokenizer_without_padding(base):
    edit(base / "tokenizer_config.json", pad_token=None)
    found = look(base)
    assert found.problems == ()
    assert "has no pad_token" in lines(found.warnings)


def test_rows_longer_than_the_base_reads(base):
    edit(base / "config.json", max_position_embeddings=10)
    with pytest.raises(InputError, match="which reads 10 tokens") as caught:
        look(base).check()
    assert caught.value.fix == "optim.max_length=10"


def test_target_modules_that_match_nothing(base):
    job = spec(lora={"target_modules": ("q_proj", "v_proj"), "rank_pattern": {"up_proj": 4}})
    said = lines(look(base, job=job).problems)
    assert "'v_proj' names none (next: one of down_proj, o_proj, q_proj, up_proj" in said
    assert "lora.rank_pattern: each key must match a target module, 'up_proj'" in said
    job = spec(lora={"target_modules": ("q_proj",), "alpha_pattern": {r"layers\.1\..*": 4}})
    assert "matches none" not in lines(look(base, job=job).problems)


@pytest.mark.parametrize("target", ["lm_head", "embed_tokens", "model.embed_tokens"])
def test_the_head_and_the_embedding_are_left_alone(base, target):
    job = spec(lora={"target_modules": ("q_proj", target)})
    assert "(they are one tensor here" in lines(look(base, job=job).problems)
    edit(base / "config.json", tie_word_embeddings=False)
    assert "embedding and head alone, got" in lines(look(base, job=job).problems)


def test_a_rank_above_the_servers_limit_is_a_warning(base):
    job = spec(lora={"r": 8, "rank_pattern": {"q_proj": 24}})
    found = look(base, job=job, serving=["vllm"])
    assert found.problems == ()
    assert "--max-lora-rank 32" in lines(found.warnings)
    assert look(base, job=job, serving=["peft"]).warnings == ()
    assert look(base, job=spec(lora={"r": 16}), serving=["vllm"]).warnings == ()


def test_bf16_on_a_cpu_is_a_warning(base):
    job = spec(bf16=True, run={"device": "cpu"})
    assert "bf16 is for GPUs" in lines(look(base, job=job).warnings)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_of_the_bases_own_is_refused_unless_it_is_trusted(base, name):
    edit(base / name, auto_map={"AutoModelForCausalLM": "evil.Model"})
    (base / "evil.py").write_text("raise SystemExit('ran')")
    found = look(base)
    assert "asks to run Python code of its own (auto_map)" in lines(found.problems)
    assert found.encoded is None
    with pytest.raises(InputError, match="trust_remote_code=true allows it"):
        found.check()
    assert look(base, job=spec(trust=True)).problems == ()


def test_a_base_of_another_architecture(base):
    edit(base / "config.json", architectures=["BertForMaskedLM"])
    with pytest.raises(InputError, match="its architecture is BertForMaskedLM"):
        look(base).check()


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_base_that_lacks_a_file(base, name):
    (base / name).unlink()
    with pytest.raises(InputError, match=name):
        look(base).check()


def test_a_base_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="must be a folder"):
        look(tmp_path / "none").check()


def test_an_adapter_of_another_base(base, tmp_path):
    pytest.importorskip("torch", reason="needs the [local] extra")
    from upturn.testing.adapters import random_adapter
    from upturn.weights.adapter import store

    written = random_adapter(base, tmp_path / "peft", targets=("q_proj",))
    adapter = store(written, tmp_path / "adapters", base_id="base@0123", card={})
    job = spec(start=str(adapter.folder))
    assert look(base, job=job).problems == ()
    found = preflight(job, text(), base=base, base_id="other@4567")
    said = f"adapter {adapter.id} must be used with the model it was trained on"
    assert said in lines(found.problems)
    assert "adapter_config.json" in lines(look(base, job=spec(start=str(tmp_path))).problems)


def example(n: int, message: str, group: str) -> Example:
    return Example(id=f"d{n}", inputs={"message": message}, labels={"team": "a"}, group=group)


def test_leaks_into_dev():
    long = "I ordered a coffee machine three weeks ago and it has not arrived yet, please help"
    rows = [text_row(1, "Same text"), text_row(2, long), text_row(3, "Else", group="shared")]
    dev = [
        example(1, "same TEXT!", "a"),
        example(2, long.replace("three", "four"), "b"),
        example(3, "Nothing alike", "shared"),
    ]
    leaks = find_leaks(rows, dev)
    assert (leaks.dev_texts, leaks.dev_groups, leaks.dev_near) == (1, 1, 1)
    assert leaks.holdout_texts is None
    assert "no row may be trained on that dev knows" in lines(leaks.problems)
    assert "1 rows are near-duplicates" in lines(leaks.warnings)
    assert find_leaks(rows, []).problems == []
    assert find_leaks([replace(rows[2], group="")], [example(1, "x", "")]).problems == []


def test_leaks_into_the_holdout_are_found_by_hash_alone(tmp_path):
    rules = SplitRules(holdout=0.3, dev=0.3, order="hash")
    given = [example(n, f"Message {chr(97 + n) * 3}", f"g{n}") for n in range(26)]
    snapshot = freeze(given, rules=rules, folder=tmp_path, provenance={})
    open_ids = {e.id for e in snapshot.train + snapshot.dev}
    held = [e for e in given if e.id not in open_ids]
    (snapshot.folder / "holdout.jsonl").unlink()  # nobody reads it
    text_leak = text_row(1, str(held[0].inputs["message"]), group="new")
    group_leak = text_row(2, "New", group=held[1].group)
    leaks = find_leaks([text_leak, group_leak], (), snapshot.manifest)
    assert (leaks.holdout_texts, leaks.holdout_groups) == (1, 1)
    assert "the holdout knows, got 1 of the same text and 1 of the same group" in lines(
        leaks.problems
    )
    clean = [text_row(n, str(e.inputs["message"]), group=e.group) for n, e in enumerate(given[:0])]
    assert find_leaks(clean, (), snapshot.manifest).problems == []
    kept = [
        text_row(n, str(e.inputs["message"]), group=e.group) for n, e in enumerate(snapshot.train)
    ]
    assert find_leaks(kept, snapshot.dev, snapshot.manifest).problems == []


def test_a_row_that_does_not_begin_with_what_is_sent_is_a_problem(base):
    tokenizer = load_tokenizer(base)
    encoder = RowEncoder(tokenizer, end_tokens=end_tokens(base, tokenizer))
    encoded = encode_rows(text(), encoder, max_length=500)
    first = encoded.rows[0]
    wrong = replace(first, prompt_ids=(first.prompt_ids[0] + 1, *first.prompt_ids[1:]))
    endless = replace(first, completion_ids=first.completion_ids[:-1])
    for row, said in ((wrong, "must begin with the prompt that is sent"), (endless, "1 do not")):
        broken = replace(encoded, rows=(row,))
        problems, _ = row_findings(spec(), text(), broken, encoder, context=None)
        assert said in lines(problems)
    assert [s.prefix_holds for s in samples(replace(encoded, rows=(wrong,)), encoder)] == [False]


def test_what_the_defaults_would_have_done(base):
    fills, cuts = "word " * 2000, "word " * 1010
    rows = [text_row(1), text_row(2, fills), text_row(3, cuts, answer="Sales and more " * 30)]
    rows.append(replace(rows[0], id="again"))
    material = text(*rows, demos_hidden=2)
    tokenizer = load_tokenizer(base)
    encoder = RowEncoder(tokenizer, end_tokens=end_tokens(base, tokenizer))
    encoded = encode_rows(material, encoder, max_length=3000)
    prompt = len(encoded.rows[2].prompt_ids)
    assert prompt < MAX_LENGTH < prompt + len(encoded.rows[2].completion_ids)
    found = with_defaults(spec(learning_rate=2e-3), material, encoded, on_cpu=True)
    assert (found.rows, found.lost, found.cut, found.repeated) == (4, 1, 1, 1)
    assert (found.unweighted, found.shown_answers, found.ratio) == (4, 2, pytest.approx(100))
    assert "drop 1 of 4 rows silently: their prompt fills 1024 tokens" in found.lines
    assert "cut the answer of 1 of 4 rows: the model never sees it end" in found.lines
    assert "compute in bf16 on a CPU" in found.lines
    short = encode_rows(text(text_row(1, weight=1.0)), encoder, max_length=3000)
    nothing = with_defaults(spec(learning_rate=2e-5), text(text_row(1)), short, on_cpu=False)
    assert nothing.lines == []


def test_the_defaults_are_those_of_trl():
    trl = pytest.importorskip("trl", reason="needs the [train] extra")
    for kind, config in {"sft": trl.SFTConfig, "dpo": trl.DPOConfig, "kto": trl.KTOConfig}.items():
        fields = config.__dataclass_fields__
        assert fields["max_length"].default == MAX_LENGTH
        assert fields["learning_rate"].default == job_kind(kind).trl_learning_rate
        assert fields["gradient_checkpointing"].default is GRADIENT_CHECKPOINTING
        assert (fields["bf16"].default, fields["fp16"].default) == (None, False)
    assert BF16  # what None comes to where fp16 is off


def test_the_estimate_counts_steps_tokens_and_weights(base):
    job = spec(lora={"r": 4}, num_train_epochs=2, per_device_train_batch_size=4)
    found = look(base, job=job, on_cpu=True)
    rows, cost = found.encoded.rows, found.estimate
    assert cost.steps == total_steps(20, job, batch=4) == 10
    assert cost.samples == len(order(rows, job, batch=4)) == 40
    assert cost.trainable == 2 * 4 * sum(sum(size) for size in LAYER.values())
    assert cost.parameters == 20 * 8 + 2 * sum(a * b for a, b in LAYER.values())
    assert 0 <= cost.padding < 0.2
    real = sum(len(r.prompt_ids) + len(r.completion_ids) for r in rows)
    assert cost.tokens >= real * 1.5
    assert cost.minutes > 0
    assert look(base, job=job).estimate.minutes is None


def test_pairs_and_long_batches_cost_more(base):
    pairs = text(*(text_row(n, rejected="None\n") for n in range(20)), kind="dpo")
    plain, paired = look(base).estimate, look(base, pairs, spec("dpo")).estimate
    assert paired.pflops > 2 * plain.pflops or paired.tokens == 4 * plain.tokens
    large = look(base, job=spec(per_device_train_batch_size=20)).estimate
    assert large.memory_mb >= plain.memory_mb
