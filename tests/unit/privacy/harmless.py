"""Messages that hold numbers of every harmless sort, and nothing personal."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.unit.privacy.carriers import LANGUAGES
from tests.unit.privacy.items import THIN, alnum, digits

_CLEAN = {
    "en": (
        "Where is my order {order}? It was promised for {date} and it is {time} now.",
        "I was charged {price} twice on {date}, please check invoice {invoice}.",
        "The app {version} crashes since the update, error {code} at line {small}.",
        "I ordered {small} boxes of {article} but only {small} came, tracking {tracking}.",
        "How do I change the size from {small} to {small}? The page loads in {small} seconds.",
        "Ticket {ticket}: the discount of {percent} was not applied, total {price}.",
        "My subscription runs until {date}; does plan {small} include {big} messages a month?",
        "Please cancel reservation {booking} for {small} people at {time}.",
        "Firmware {version} is {big} KB, serial number {serial}, batch {order}.",
        "I forgot my password and the reset link does not arrive, can you help?",
        "is the token limit of {big} per key or per account?",
        "Between {time} and {time} the server answered {small} of {big} calls.",
    ),
    "de": (
        "Wo bleibt meine Bestellung {order}? Versprochen war der {date}, {time} Uhr.",
        "Mir wurden am {date} zweimal {price} abgebucht, Rechnung {invoice}.",
        "Die App {version} stürzt seit dem Update ab, Fehler {code} in Zeile {small}.",
        "Ich habe {small} Stück von Artikel {article} bestellt, Sendungsnummer {tracking}.",
        "Der Rabatt von {percent} fehlt in Vorgang {ticket}, Summe {price}.",
        "Kann ich Größe {small} gegen {small} tauschen? Auftrag {order} vom {date}.",
        "Mein Passwort geht nicht mehr, der Link zum Zurücksetzen kommt nicht.",
        "Der Vertrag {booking} läuft bis {date}, {small} Monate zu {price}.",
    ),
    "fr": (
        "Où est ma commande {order} ? Elle était prévue pour le {date} à {time}.",
        "On m'a débité {price} deux fois le {date}, facture {invoice}.",
        "L'application {version} plante, erreur {code} à la ligne {small}.",
        "J'ai commandé {small} articles {article}, suivi du colis {tracking}.",
        "La remise de {percent} manque au dossier {ticket}, total {price}.",
        "Puis-je échanger la taille {small} contre {small} ? Réservation {booking}.",
        "J'ai oublié mon mot de passe, le lien n'arrive pas.",
    ),
    "es": (
        "¿Dónde está mi pedido {order}? Era para el {date} a las {time}.",
        "Me cobraron {price} dos veces el {date}, factura {invoice}.",
        "La app {version} se cierra, error {code} en la línea {small}.",
        "Pedí {small} unidades del artículo {article}, seguimiento {tracking}.",
        "Falta el descuento de {percent} en el caso {ticket}, total {price}.",
        "¿Puedo cambiar la talla {small} por {small}? Reserva {booking}.",
        "Olvidé mi contraseña y el enlace no llega.",
    ),
}


def clean(n: int, seed: int) -> list[str]:
    """Returns n messages that hold numbers of every harmless sort, and nothing personal."""
    rng = random.Random(seed)
    made: list[str] = []
    for i in range(n):
        language = LANGUAGES[i % 4]
        text = rng.choice(_CLEAN[language])
        while "{" in text:
            start = text.index("{")
            end = text.index("}", start)
            text = text[:start] + _harmless(rng, text[start + 1 : end], language) + text[end + 1 :]
        made.append(text)
    return made


def _harmless(rng: random.Random, what: str, language: str) -> str:
    number, point = rng.random(), "." if language == "en" else ","
    year, month, day = rng.randint(2019, 2027), rng.randint(1, 12), rng.randint(1, 28)
    thousands = {"en": ",", "de": ".", "fr": THIN, "es": "."}[language]
    forms: dict[str, Callable[[], str]] = {
        "order": lambda: rng.choice(("#{}", "{}", "no. {}", "A-{}", "2024-{}")).format(
            digits(rng, rng.choice((5, 6, 8, 9, 10, 12)))
        ),
        "invoice": lambda: rng.choice(
            (
                f"RE-{year}-{digits(rng, 5)}",
                f"{year}{month:02d}{digits(rng, 4)}",
                f"INV{digits(rng, 7)}",
                digits(rng, 10),
            )
        ),
        "ticket": lambda: rng.choice(
            (f"#{digits(rng, 7)}", f"T{digits(rng, 6)}", f"{digits(rng, 4)}-{digits(rng, 4)}")
        ),
        "tracking": lambda: rng.choice(
            (
                digits(rng, 12),
                digits(rng, 14),
                f"1Z{alnum(rng, 16).upper()}",
                f"JJD{digits(rng, 18)}",
                f"RR{digits(rng, 9)}DE",
                digits(rng, 20),
            )
        ),
        "booking": lambda: rng.choice(
            (
                alnum(rng, 6).upper(),
                f"{digits(rng, 3)}.{digits(rng, 3)}.{digits(rng, 3)}",
                f"{digits(rng, 8)}",
            )
        ),
        "serial": lambda: rng.choice(
            (
                f"SN{digits(rng, 10)}",
                f"{alnum(rng, 12).upper()}",
                f"{digits(rng, 3)}-{digits(rng, 2)}-{digits(rng, 3)}",
            )
        ),
        "article": lambda: rng.choice(
            (
                digits(rng, 13),
                f"{digits(rng, 3)}.{digits(rng, 3)}.{digits(rng, 2)}",
                f"AB-{digits(rng, 4)}",
                f"{digits(rng, 8)}",
            )
        ),
        "date": lambda: rng.choice(
            (
                f"{year}-{month:02d}-{day:02d}",
                f"{day:02d}.{month:02d}.{year}",
                f"{day}/{month}/{year}",
                f"{day}.{month}.",
                f"{year}-{month:02d}-{day:02d} {day:02d}:{month:02d}:07",
                f"{month}/{day}/{year % 100:02d}",
            )
        ),
        "time": lambda: rng.choice(
            (f"{day % 24:02d}:{month:02d}", f"{day % 24}:{month:02d}:{day:02d}", f"{day % 12} pm")
        ),
        "price": lambda: rng.choice(
            (
                f"{rng.randint(1, 999)}{point}{rng.randint(0, 99):02d} EUR",
                f"${rng.randint(1, 9999)}.{rng.randint(0, 99):02d}",
                f"{rng.randint(1, 99)}{thousands}{digits(rng, 3)}{point}00 €",
                f"{rng.randint(1, 9)}{thousands}{digits(rng, 3)}{thousands}{digits(rng, 3)} €",
            )
        ),
        "percent": lambda: rng.choice((f"{day} %", f"{day}{point}5%")),
        "version": lambda: rng.choice(
            (
                f"{month}.{day}.{rng.randint(0, 40)}",
                f"v{month}.{day}",
                f"{month}.0.{digits(rng, 4)}.{rng.randint(0, 200)}",
                f"version {month}.{day}.{rng.randint(0, 9)}.{rng.randint(0, 9)}",
                f"{year}.{month}",
            )
        ),
        "code": lambda: rng.choice(
            (
                f"E{digits(rng, 4)}",
                f"0x{rng.randint(0, 2**32):08X}",
                f"{rng.randint(100, 599)}",
                f"ERR_{digits(rng, 3)}",
            )
        ),
        "small": lambda: str(rng.randint(1, 60)),
        "big": lambda: rng.choice(
            (
                f"{rng.randint(1, 99)}{thousands}000",
                f"{rng.randint(1, 9)}{thousands}{digits(rng, 3)}{thousands}000",
                digits(rng, 5),
                f"{rng.randint(1, 9)} million",
            )
        ),
    }
    assert 0 <= number < 1
    return forms[what]()
