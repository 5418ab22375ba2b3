"""Tokens: the file's three forms, what may be sent, and what no message may hold."""

import json
import stat
from datetime import UTC, datetime, timedelta

import pytest

from upturn.collector.replies import RefusedError
from upturn.collector.token_file import create_token, open_to_others, read_tokens
from upturn.collector.tokens import Right, Token, TokenBook, digest_of
from upturn.errors import ConfigError, StorageError

SECRET = "s3cret-s3cret-s3cret"
NOW = datetime(2026, 11, 20, tzinfo=UTC)


def book(**more) -> TokenBook:
    return TokenBook([Token(digest=digest_of(SECRET), **more)], clock=lambda: NOW)


def refused(
    book: TokenBook, header: bytes | None, right: Right = Right.REQUESTS
) -> tuple[int, str]:
    with pytest.raises(RefusedError) as error:
        book.check(header, right)
    return error.value.status, error.value.rule


def test_the_right_token_comes_in():
    header = f"Bearer {SECRET}".encode()
    assert book().check(header, Right.TRACES).digest == digest_of(SECRET)
    assert book().check(header.replace(b"Bearer", b"bearer"), Right.FEEDBACK).programs is None


@pytest.mark.parametrize(
    "header",
    [None, b"", b"Bearer", b"Bearer ", b"Basic dTpw", SECRET.encode(), b"Bearer \xff\xfe"],
)
def test_no_token_or_another_scheme_is_401(header):
    status, rule = refused(book(), header)
    assert status == 401
    assert SECRET not in rule


def test_a_wrong_token_is_401_and_is_not_repeated():
    assert refused(book(), b"Bearer wrong-wrong-wrong") == (
        401,
        "the token must be one that the collector knows",
    )


def test_a_token_ends_at_its_time():
    header = f"Bearer {SECRET}".encode()
    assert book(expires=NOW + timedelta(seconds=1)).check(header, Right.REQUESTS)
    assert refused(book(expires=NOW), header) == (401, "the token must not be expired")


def test_a_token_sends_only_what_it_may():
    limited = book(may=frozenset({Right.FEEDBACK}))
    header = f"Bearer {SECRET}".encode()
    assert limited.check(header, Right.FEEDBACK)
    assert refused(limited, header, Right.TRACES) == (
        403,
        "the token must be allowed to send traces; it may feedback",
    )


def test_lines_with_comments_are_tokens(tmp_path):
    path = tmp_path / "tokens"
    path.write_text(f"# ours\n{SECRET}\n\nother-other-other-1 # staging\n")
    assert [t.digest for t in read_tokens(path)] == [
        digest_of(SECRET),
        digest_of("other-other-other-1"),
    ]


def test_yaml_and_json_say_more(tmp_path):
    entry = {
        "sha256": digest_of(SECRET),
        "programs": ["triage"],
        "expires": "2027-01-01T01:00:00+01:00",
        "may": ["feedback"],
    }
    as_json = tmp_path / "t.json"
    as_json.write_text(json.dumps([entry]))
    as_yaml = tmp_path / "t.yaml"
    as_yaml.write_text(
        f"tokens:\n- token: {SECRET}\n  programs: [triage]\n"
        "  expires: 2027-01-01T00:00:00Z\n  may: [feedback]\n"
    )
    expected = Token(
        digest=digest_of(SECRET),
        programs=frozenset({"triage"}),
        expires=datetime(2027, 1, 1, tzinfo=UTC),
        may=frozenset({Right.FEEDBACK}),
    )
    assert read_tokens(as_json) == (expected,)
    assert read_tokens(as_yaml) == (expected,)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("short\n", "a token must be 16 or more ASCII characters without blanks, got 5 characters"),
        ("# nothing\n", "a token file must hold at least one token, got none"),
        (
            "- {token: aaaaaaaaaaaaaaaaaaaa, expires: 2027-01-01}",
            "expires must be a time with a zone",
        ),
        ("- {token: aaaaaaaaaaaaaaaaaaaa, may: [write]}", "may must be a list of requests"),
        ("- {token: aaaaaaaaaaaaaaaaaaaa, programs: []}", "programs must be a list of names"),
        ("- {token: aaaaaaaaaaaaaaaaaaaa, program: [x]}", "did you mean programs?"),
        ("- {sha256: abc}", "an entry must have either token or sha256"),
        ("- {token: aaaaaaaaaaaaaaaaaaaa", "the tokens must be a YAML or JSON list"),
        ("tokens: 3", "the tokens must be a list"),
    ],
)
def test_a_wrong_file_is_refused_without_its_secrets(tmp_path, text, rule):
    path = tmp_path / "tokens.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_tokens(path)
    assert rule in str(error.value)
    assert "aaaaaaaa" not in str(error.value)
    assert str(path) in str(error.value)


def test_a_file_that_cannot_be_read_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match="must be readable, got FileNotFoundError"):
        read_tokens(tmp_path / "none")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StorageError, match="UnicodeDecodeError"):
        read_tokens(binary)


def test_a_made_token_is_long_random_and_its_owners_alone(tmp_path):
    one, two = tmp_path / "deep" / "one", tmp_path / "two"
    create_token(one)
    create_token(two)
    assert stat.S_IMODE(one.stat().st_mode) == 0o600
    assert len(one.read_text().strip()) >= 43
    assert one.read_text() != two.read_text()
    assert not open_to_others(one)
    one.chmod(0o644)
    assert open_to_others(one)
    with pytest.raises(StorageError, match="File exists"):
        create_token(one)
