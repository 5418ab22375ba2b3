"""Personal items, valid by the public rules of their kind, in the ways people write them."""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Callable

NBSP, THIN, ENDASH = "\u00a0", "\u202f", "\u2013"


def digits(rng: random.Random, n: int) -> str:
    return "".join(rng.choices(string.digits, k=n))


def groups(text: str, sizes: tuple[int, ...], by: str) -> str:
    out, at = [], 0
    for size in sizes:
        out.append(text[at : at + size])
        at += size
    return by.join(p for p in (*out, text[at:]) if p)


def email(rng: random.Random) -> str:
    first = rng.choice(("jane", "J.", "maria", "jörg", "o'neil", "zoé", "li", "anna-lena", "x"))
    last = rng.choice(("doe", "müller", "garcia.lopez", "smith_99", "dupont", "k", "2024", "weiß"))
    local = rng.choice(
        (f"{first}.{last}", f"{first}{last}", f"{last}+shop", f"{first}_{last}", last)
    )
    local = local.replace("..", ".").strip(".")
    host = rng.choice(("example", "mail.example", "my-firm", "t-online", "uni.köln", "a1", "web"))
    top = rng.choice(("com", "de", "co.uk", "fr", "es", "museum", "org", "com.mx", "io", "shop"))
    address = f"{local}@{host}.{top}"
    style = rng.random()
    if style < 0.12:
        return address.upper()
    if style < 0.2:
        return address.replace("@", rng.choice((" [at] ", "(at)", " (at) ", "[at]")))
    if style < 0.25:
        at = rng.choice((" [at] ", " (at) "))
        dot = rng.choice((" [dot] ", " (dot) "))
        return f"{local.replace('.', '-')}{at}{host.replace('.', '-')}{dot}com"
    if style < 0.35:
        return f"<{address}>"
    return address


def _luhn_digit(digits: str) -> str:
    total = 0
    for i, d in enumerate(reversed(digits)):
        value = int(d) * (2 if i % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def card(rng: random.Random) -> str:
    start, n = rng.choice(
        (
            ("4", 16),
            ("4", 16),
            ("51", 16),
            ("55", 16),
            ("2221", 16),
            ("34", 15),
            ("37", 15),
            ("6011", 16),
            ("36", 14),
            ("3530", 16),
            ("65", 16),
        )
    )
    body = start + digits(rng, n - 1 - len(start))
    number = body + _luhn_digit(body)
    by = rng.choice((" ", "-", "", " ", ".", NBSP, ENDASH, "  "))
    if rng.random() < 0.08:
        by = rng.choice((" - ", "_", "/", "\t"))
    sizes = {16: (4, 4, 4, 4), 15: (4, 6, 5), 14: (4, 6, 4)}[n]
    return groups(number, sizes, by)


def iban(rng: random.Random) -> str:
    country, length = rng.choice(
        (
            ("DE", 22),
            ("FR", 27),
            ("ES", 24),
            ("GB", 22),
            ("NL", 18),
            ("AT", 20),
            ("IT", 27),
            ("CH", 21),
        )
    )
    if country == "GB":
        body = "".join(rng.choices(string.ascii_uppercase, k=4)) + digits(rng, 14)
    elif country == "NL":
        body = "".join(rng.choices(string.ascii_uppercase, k=4)) + digits(rng, 10)
    elif country == "IT":
        body = rng.choice(string.ascii_uppercase) + digits(rng, 22)
    else:
        body = digits(rng, length - 4)
    number = int("".join(str(int(c, 36)) for c in f"{body}{country}00"))
    whole = f"{country}{98 - number % 97:02d}{body}"
    by = rng.choice((" ", "", "", " ", "-", ".", NBSP))
    written = by.join(whole[i : i + 4] for i in range(0, len(whole), 4))
    return written.lower() if rng.random() < 0.15 else written


def ssn(rng: random.Random) -> str:
    area = rng.choice([n for n in range(1, 900) if n != 666])
    if rng.random() < 0.1:
        by = rng.choice((" - ", "- "))
        return f"{area:03d}{by}{rng.randint(1, 99):02d}{by}{rng.randint(1, 9999):04d}"
    by = rng.choice(("-", "-", " ", ".", ENDASH, "\u2011"))
    return f"{area:03d}{by}{rng.randint(1, 99):02d}{by}{rng.randint(1, 9999):04d}"


def tax_id(rng: random.Random) -> str:
    while True:
        ten = [str(rng.randint(1, 9))]
        pool = [d for d in string.digits if d != ten[0]]
        rng.shuffle(pool)
        ten += pool[:8]
        ten.append(rng.choice(ten))
        tail = ten[1:]
        rng.shuffle(tail)
        digits = ten[0] + "".join(tail)
        product = 10
        for d in digits:
            total = (int(d) + product) % 10 or 10
            product = total * 2 % 11
        check = (11 - product) % 10
        whole = f"{digits}{check}"
        by = rng.choice((" ", "", "-", "/", ".", " ", NBSP))
        return groups(whole, (2, 3, 3, 3), by)


def nir(rng: random.Random) -> str:
    department = rng.choice([f"{n:02d}" for n in range(1, 96) if n != 20] + ["2A", "2B"])
    number = f"{rng.choice('12')}{digits(rng, 2)}{rng.randint(1, 12):02d}{department}"
    number += f"{rng.randint(1, 990):03d}{rng.randint(1, 999):03d}"
    key = 97 - int(number.replace("2A", "19").replace("2B", "18")) % 97
    by = rng.choice((" ", "", " ", ".", "-", NBSP))
    written = groups(number, (1, 2, 2, 2, 3, 3), by)
    written += rng.choice((by, " ", " / ", " ")) + f"{key:02d}"
    return written.lower() if rng.random() < 0.2 else written


def spanish(rng: random.Random) -> str:
    letters = "TRWAGMYFPDXBNJZSQVHLCKE"
    if rng.random() < 0.6:
        number = rng.randint(10_000_000, 99_999_999)
        text = str(number)
        shown = rng.choice(
            (text, f"{text[:2]}.{text[2:5]}.{text[5:]}", f"{text[:2]} {text[2:5]} {text[5:]}", text)
        )
        written = shown + rng.choice(("", "-", " ", "", " - ")) + letters[number % 23]
    else:
        first, number = rng.choice("XYZ"), rng.randint(0, 9_999_999)
        check = letters[(("XYZ".index(first)) * 10_000_000 + number) % 23]
        by = rng.choice(("", "-", " ", ""))
        written = f"{first}{by}{number:07d}{by}{check}"
    return written.lower() if rng.random() < 0.2 else written


def nino(rng: random.Random) -> str:
    while True:
        prefix = rng.choice("ABCEGHJKLMNOPRSTWXYZ") + rng.choice("ABCEGHJKLMNPRSTWXYZ")
        if prefix not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ"):
            break
    d = digits(rng, 6)
    if rng.random() < 0.12:
        last = rng.choice("ABCD")
        return rng.choice(
            (f"{prefix} {d} {last}", f"{prefix}{d[:3]} {d[3:]}{last}", f"{prefix}/{d}/{last}")
        )
    by = rng.choice((" ", "", "-", " ", ".", ""))
    written = by.join((prefix, d[:2], d[2:4], d[4:], rng.choice("ABCD")))
    return written.lower() if rng.random() < 0.25 else written


def ip(rng: random.Random) -> str:
    if rng.random() < 0.6:
        parts = [rng.choice((10, 84, 91, 172, 192, 203, 77))] + [
            rng.randint(0, 255) for _ in range(3)
        ]
        text = ".".join(map(str, parts))
        return text
    groups = [f"{rng.randint(0, 0xFFFF):x}" for _ in range(8)]
    groups[0] = rng.choice(("2001", "2a02", "fe80", "fd12"))
    full = ":".join(groups)
    short = f"{groups[0]}:{groups[1]}::{groups[6]}:{groups[7]}"
    text = rng.choice((full, short, f"{groups[0]}::{groups[7]}", full))
    return text.upper() if rng.random() < 0.3 else text


def alnum(rng: random.Random, n: int, letters: str = string.ascii_letters + string.digits) -> str:
    return "".join(rng.choices(letters, k=n - 2)) + rng.choice(string.digits) + rng.choice("abcdef")


def api_key(rng: random.Random) -> str:
    def token() -> str:
        body = base64.urlsafe_b64encode(rng.randbytes(30)).decode().rstrip("=")
        return f"eyJhbGciOiJIUzI1NiJ9.eyJ{body}.{alnum(rng, 43)}"

    forms: tuple[Callable[[], str], ...] = (
        lambda: f"sk-{alnum(rng, 48)}",
        lambda: f"sk-proj-{alnum(rng, 64)}",
        lambda: f"sk-ant-api03-{alnum(rng, 80)}",
        lambda: f"sk_live_{alnum(rng, 24)}",
        lambda: f"ghp_{alnum(rng, 36)}",
        lambda: f"github_pat_{alnum(rng, 22)}_{alnum(rng, 59)}",
        lambda: f"glpat-{alnum(rng, 20)}",
        lambda: f"xoxb-{digits(rng, 12)}-{alnum(rng, 24)}",
        lambda: "AKIA" + "".join(rng.choices(string.ascii_uppercase + "234567", k=15)) + "7",
        lambda: f"AIza{alnum(rng, 35)}",
        lambda: f"hf_{alnum(rng, 34)}",
        token,
    )
    return rng.choice(forms)()


def pem(rng: random.Random) -> str:
    name = rng.choice(("RSA ", "EC ", "", "OPENSSH ", "ENCRYPTED "))
    body = "\n".join(base64.b64encode(rng.randbytes(48)).decode() for _ in range(rng.randint(2, 6)))
    return f"-----BEGIN {name}PRIVATE KEY-----\n{body}\n-----END {name}PRIVATE KEY-----"


def secret(rng: random.Random) -> str:
    word = rng.choice(
        ("Sommer", "dragon", "Barcelona", "piaf", "Tr0ub4dor", "correcthorse", "qwertz")
    )
    forms = (
        f"{word}{digits(rng, 4)}!",
        f"{word}#{digits(rng, 2)}",
        f"{alnum(rng, 20)}",
        f"{digits(rng, 2)}-{word}-{digits(rng, 3)}",
        base64.b64encode(rng.randbytes(24)).decode().rstrip("=") + "9a",
        f"{word}{rng.choice('!$*@')}{digits(rng, 1)}x",
        rng.randbytes(16).hex(),
    )
    return rng.choice(forms)


def url_secret(rng: random.Random) -> tuple[str, str]:
    """Returns the whole address and the part that is secret."""
    if rng.random() < 0.5:
        secret = f"{rng.choice(('root', 'jane', 'svc-app'))}:{alnum(rng, rng.randint(8, 20))}"
        scheme = rng.choice(("https", "postgresql", "amqp", "mongodb+srv", "redis", "ftp", "smb"))
        return f"{scheme}://{secret}@db.internal.net:5432/app", secret
    secret = alnum(rng, rng.randint(10, 40))
    name = rng.choice(
        (
            "token",
            "api_key",
            "access_token",
            "sig",
            "X-Amz-Signature",
            "sessionid",
            "password",
            "auth",
        )
    )
    before, behind = rng.choice(("", "u=7&")), rng.choice(("", "&lang=de"))
    return f"https://app.internal.net/reset?{before}{name}={secret}{behind}", secret
