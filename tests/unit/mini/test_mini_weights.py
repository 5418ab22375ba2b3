"""The shipped folder: plain transformers loads it, peft adapts it, and it stays small."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import Any

import pytest

from upturn.mini import MODEL_NAME, content_hash, weights_dir

_GREETING = [{"role": "user", "content": "hi"}]


def test_package_data_is_small_and_whole() -> None:
    files = {p.name: p.stat().st_size for p in weights_dir().iterdir()}
    assert {
        "model.safetensors",
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "README.md",
    } == set(files)
    assert sum(files.values()) <= 16_000_000


def test_hash_is_of_the_content() -> None:
    parts = ("model.safetensors", "tokenizer.json", "config.json", "chat_template.jinja")
    content = b"".join((weights_dir() / p).read_bytes() for p in parts)
    assert content_hash() == hashlib.sha256(content).hexdigest()[:12]
    assert MODEL_NAME == "upturn-mini"


def test_import_is_light() -> None:
    code = (
        "import sys, upturn.mini; "
        "print([m for m in ('torch', 'transformers', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_sampling_is_on_so_that_servers_heed_the_temperature() -> None:
    settings = json.loads((weights_dir() / "generation_config.json").read_text())
    assert settings["do_sample"] is True
    assert (settings["temperature"], settings["top_p"], settings["top_k"]) == (1.0, 1.0, 0)
    assert (settings["eos_token_id"], settings["pad_token_id"]) == (4, 0)


@pytest.mark.local
def test_plain_transformers_loads_and_answers() -> None:
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(weights_dir())
    model = AutoModelForCausalLM.from_pretrained(weights_dir())
    assert model.dtype == torch.bfloat16
    assert 6.6e6 < sum(p.numel() for p in model.parameters()) < 6.8e6
    assert (
        tokenizer.apply_chat_template(_GREETING, add_generation_prompt=True, tokenize=False)
        == "<|user|>\nhi<|end|>\n<|assistant|>\n"
    )
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id) == (0, 4)
    assert tokenizer.decode(tokenizer.encode("Route 66, naïve?")) == "Route 66, naïve?"


# peft asks transformers for a name that transformers has deprecated.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
@pytest.mark.local
@pytest.mark.usefixtures("one_thread")
def test_peft_trains_an_adapter() -> None:
    torch = pytest.importorskip("torch")
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(weights_dir())
    base: Any = AutoModelForCausalLM.from_pretrained(weights_dir(), dtype=torch.float32)
    config = peft.LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM")
    model = peft.get_peft_model(base, config)
    trained = [n for n, p in model.named_parameters() if p.requires_grad]
    assert len(trained) == 2 * 7 * 6
    assert all("lora_" in n for n in trained)
    chat = [*_GREETING, {"role": "assistant", "content": "[[ ## team ## ]]\nbilling\n\n"}]
    ids = tokenizer.apply_chat_template(chat, return_tensors="pt")["input_ids"]
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-3)
    losses = []
    for _ in range(4):
        loss = model(input_ids=ids, labels=ids).loss
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0] - 0.1, losses
