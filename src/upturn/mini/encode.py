"""Episodes to token ids, and which of these tokens the loss looks at."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from tokenizers import Tokenizer

from upturn.mini.frame import Answer, Episode, Turn, header

#: The special tokens, in the order of their ids. All but the first end in a newline of their own.
SPECIALS = ("<|pad|>", "<|system|>\n", "<|user|>\n", "<|assistant|>\n", "<|end|>\n")

#: ChatAdapter's fixed phrases: one token each, so that a prompt costs what its content costs.
PHRASES = (
    "Your input fields are:\n1. `",
    "` (str):",
    "\nYour output fields are:\n1. `",
    "` (Literal['",
    "']):",
    "\n2. `",
    "\n3. `",
    "\nAll interactions will be structured in the following way, "
    "with the appropriate values filled in.\n\n",
    "[[ ## ",
    " ## ]]\n",
    " ## ]]`",
    "        # note: the value you produce must exactly match (no extra characters) one of: ",
    "[[ ## completed ## ]]",
    "\nIn adhering to this structure, your objective is: \n        ",
    "Respond with the corresponding output fields, starting with the field `",
    " (must be formatted as a valid Python Literal['",
    "'])",
    ", then `",
    ", and then ending with the marker for `",
    "\n\n",
    "', '",
    "; ",
    "\n        ",
)


class Role(IntEnum):
    """What a token is to the loss; each role has its own weight."""

    GIVEN = 0  # read, never learned
    FORMAT = 1  # headers and markers of an answer
    REST = 2  # a value's tokens after its first
    FIRST = 3  # a value's first token: here the choice is made
    TEXT = 4  # running text


class Encoded(NamedTuple):
    """Token ids and, for each, its role."""

    ids: list[int]
    roles: list[int]


class Encoder:
    """Encodes episodes with one tokenizer. Holds a cache of the phrases that come back."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        ids = [i for x in SPECIALS if (i := tokenizer.token_to_id(x)) is not None]
        assert len(ids) == len(SPECIALS), "the tokenizer must hold the template's special tokens"
        self.pad, self.system, self.user, self.assistant, self.end = ids
        self.vocabulary = tokenizer.get_vocab_size()
        self._tokenizer = tokenizer
        self._fixed: dict[str, list[int]] = {}

    def text(self, text: str) -> list[int]:
        """Returns the ids of a text, without special tokens around it."""
        return self._tokenizer.encode(text).ids

    def decode(self, ids: list[int]) -> str:
        """Returns the text of ids, special tokens included."""
        return self._tokenizer.decode(ids, skip_special_tokens=False)

    def prompt(self, episode: Episode) -> list[int]:
        """Returns the ids up to where the model has to answer the last turn.

        Equal to the chat template over ``dspy.ChatAdapter().format(...)``.
        """
        *demos, asked = episode.turns
        ids = [self.system, *self.text(episode.system), self.end]
        for turn in demos:
            ids += self._question(episode.input_name, turn.text, "") + self._answers(turn).ids
        return ids + self._question(episode.input_name, asked.text, episode.request)

    def episode(self, episode: Episode, *, bare: bool = False) -> Encoded:
        """Returns the whole episode, answers included.

        Args:
            episode: what to encode.
            bare: turns only, without system message and request: the stage that bridges
                token-level tasks and full prompts.
        """
        ids = [] if bare else [self.system, *self.text(episode.system), self.end]
        roles = [int(Role.GIVEN)] * len(ids)
        for k, turn in enumerate(episode.turns):
            last = k == len(episode.turns) - 1 and not bare
            asked = self._question(episode.input_name, turn.text, episode.request if last else "")
            answered = self._answers(turn)
            ids += asked + answered.ids
            roles += [int(Role.GIVEN)] * len(asked) + answered.roles
        return Encoded(ids, roles)

    def _question(self, input_name: str, text: str, request: str) -> list[int]:
        ids = [self.user, *self._phrase(header(input_name)), *self.text(text)]
        return ids + (self.text(request) if request else []) + [self.end, self.assistant]

    def _answers(self, turn: Turn) -> Encoded:
        ids: list[int] = []
        roles: list[int] = []
        for answer in turn.answers:
            encoded = self._answer(answer)
            ids += encoded.ids
            roles += encoded.roles
        closing = [*self._phrase("[[ ## completed ## ]]\n"), self.end]
        return Encoded(ids + closing, roles + [int(Role.FORMAT)] * len(closing))

    def _answer(self, answer: Answer) -> Encoded:
        head, gap = self._phrase(header(answer.field)), self._phrase("\n\n")
        value = self.text(answer.value)
        ids = head + value + gap
        roles = [int(Role.FORMAT)] * len(head)
        if not answer.learnable:
            return Encoded(ids, roles + [int(Role.GIVEN)] * (len(value) + len(gap)))
        roles += [int(Role.FIRST)] + [int(Role.REST)] * (len(value) - 1)
        return Encoded(ids, roles + [int(Role.FORMAT)] * len(gap))

    def _phrase(self, text: str) -> list[int]:
        if text not in self._fixed:
            self._fixed[text] = self.text(text)
        return self._fixed[text]
