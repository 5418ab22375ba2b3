"""The words before a number say what it is: a telephone, a card or an order.

English, German, French and Spanish; the word that stands closest decides.
"""

from __future__ import annotations

import re

_PHONE = (
    *("phone", "telephone", "telefon", "téléphone", "teléfono", "telefono", "telephon", "tel"),
    *("tél", "mobile", "mobil", "móvil", "movil", "cell", "cellphone", "handy", "handynummer"),
    *("portable", "fax", "whatsapp", "sms", "call", "ring", "dial", "reach", "text", "fixe"),
    *("telefonnummer", "mobilnummer", "rufnummer", "rückrufnummer", "durchwahl", "festnetz"),
    *("anrufen", "ruf", "rufen", "erreichbar", "erreichen", "appeler", "appelez", "appelle"),
    *("joindre", "joignable", "rappeler", "rappelez", "llamar", "llame", "llámame", "llámeme"),
    *("llamarme", "llamen", "llámenme", "celular", "fijo", "localizarme", "contact", "callback"),
)
_ORDER = (
    *("order", "orders", "invoice", "ticket", "case", "ref", "reference", "tracking", "parcel"),
    *("shipment", "item", "product", "article", "sku", "serial", "part", "transaction", "booking"),
    *("reservation", "build", "receipt", "batch", "barcode", "ean", "isbn", "model", "claim"),
    *("bestellung", "bestellnummer", "auftrag", "auftragsnummer", "rechnung", "rechnungsnummer"),
    *("vorgang", "sendung", "sendungsnummer", "artikel", "artikelnummer", "kundennummer", "fall"),
    *("vertragsnummer", "seriennummer", "beleg", "commande", "facture", "colis", "dossier"),
    *("référence", "suivi", "article", "réservation", "série", "pedido", "factura"),
    *("envío", "paquete", "referencia", "seguimiento", "artículo", "reserva", "caso"),
)
_CARD = (
    *("card", "karte", "kreditkarte", "kartennummer", "carte", "tarjeta", "visa", "mastercard"),
    *("amex", "maestro", "credit", "debit"),
)
_VERSION = (
    *("version", "versions", "versión", "v", "ver", "release", "firmware", "build", "update"),
    *("chrome", "android", "ios", "windows", "driver", "treiber", "app", "sdk", "api", "section"),
    *("chapter", "kapitel", "chapitre", "capítulo", "abschnitt", "aktualisierung"),
)
_REACH = 32  # characters before a number in which a word may speak about it


# The signs that stand before numbers; "no." is the abbreviation, "no" is not.
_SIGNS = ("#", "n°", "nº", "nr.", "no.", "num.")
_TOKEN = re.compile(r"[^\W\d_]+[.°º]?|\d+|[#!?;\n]")
_ENDS = frozenset("!?;\n")
_KINDS = {
    **dict.fromkeys(_ORDER, "order"),
    **dict.fromkeys(_PHONE, "phone"),
    **dict.fromkeys(_CARD, "card"),
    **dict.fromkeys(_SIGNS, "sign"),
}
_VERSIONS = frozenset(_VERSION)


def said_before(text: str, start: int) -> str:
    """Returns ``"phone"``, ``"card"``, ``"order"`` or ``""``: what the last telling word says of
    the number at a place.

    A word speaks of the next number in its sentence, not of those behind. A number sign says order,
    except where it follows a word that says otherwise.
    """
    said = ""
    first = True
    for token in reversed(_TOKEN.findall(text[max(0, start - _REACH) : start].lower())):
        if token in _ENDS or token[0].isdigit():
            break
        kind = _KINDS.get(token) or _KINDS.get(token.rstrip("."), "")
        if kind and kind != "sign":
            return kind
        if token[-1] == "." and not first and not kind:
            break
        said = "order" if kind else said
        first = False
    return said


def is_version(text: str, start: int) -> bool:
    """Tells whether a dotted number follows a word such as *version* closely."""
    before = text[max(0, start - 14) : start].lower()
    return any(token.rstrip(".") in _VERSIONS for token in _TOKEN.findall(before))
