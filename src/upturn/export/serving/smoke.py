"""The script that asks a started server one question; it needs Python and nothing else."""

from __future__ import annotations

import json

from upturn.export.serving.base import Source, Start

_SERVED = '''\
"""Asks the served model one question: python smoke.py [URL]. Standard library only."""

import json
import sys
import urllib.error
import urllib.request

URL = sys.argv[1] if len(sys.argv) > 1 else {url}
MODEL = {model}
MESSAGES = json.loads({messages})


def main() -> int:
    asked = {{"model": MODEL, "messages": MESSAGES, "max_tokens": 64, "temperature": 0}}
    request = urllib.request.Request(
        URL.rstrip("/") + "/chat/completions",
        data=json.dumps(asked).encode(),
        headers={{"Content-Type": "application/json", "Authorization": "Bearer none"}},
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            answer = json.load(response)
        text = answer["choices"][0]["message"]["content"]
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")[:500]
        print(f"the server refused: {{error.code}} {{said}}", file=sys.stderr)
        return 1
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        print(f"no answer from {{URL}}: {{error!r}}", file=sys.stderr)
        return 1
    print(text)
    return 0 if text and text.strip() else 1


if __name__ == "__main__":
    sys.exit(main())
'''
_LOADED = '''\
"""Loads base and adapter and answers one question: python smoke.py BASE_FOLDER. Needs peft."""

import json
import sys

FOLDER = {model}
MESSAGES = json.loads({messages})


def main() -> int:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
    base = AutoModelForCausalLM.from_pretrained(sys.argv[1])
    model = PeftModel.from_pretrained(base, FOLDER).eval()
    text = tokenizer.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    asked = tokenizer(text, add_special_tokens=False, return_tensors="pt")
    ids = model.generate(**asked, max_new_tokens=64, do_sample=False)
    print(tokenizer.decode(ids[0, asked["input_ids"].shape[1] :], skip_special_tokens=True))
    return 0


if __name__ == "__main__":
    sys.exit(main() if len(sys.argv) == 2 else print(__doc__) or 2)
'''


def smoke_script(source: Source, start: Start) -> str:
    """Returns the text of ``smoke.py``: it exits with 0 where an answer came."""
    template = _SERVED if start.url else _LOADED
    return template.format(
        url=repr(start.url),
        model=repr(start.model),
        messages=repr(json.dumps(list(source.messages))),
    )
