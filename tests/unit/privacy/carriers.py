"""Sentences in four languages that personal items are planted in."""

from __future__ import annotations

LANGUAGES = ("en", "de", "fr", "es")

CARRIERS = {
    "en": (
        "Hi, {said}{item}. Please get back to me soon.",
        "{said}{item}",
        "hello team, my parcel never came! {said}{item}, thanks, Sam",
        "I wrote about order 48213 last week ({said}{item}) and nobody answered.",
        "2 things: the app crashed at 14:32, and {said}{item}; what now?",
        'The form says "{item}" is wrong, {said}{item}?',
        "{said}{item}\nSent from my phone",
        "- {said}{item}\n- price: 49.90 EUR",
    ),
    "de": (
        "Guten Tag, {said}{item}. Bitte melden Sie sich.",
        "{said}{item}",
        "hallo, das Paket kam nie an! {said}{item}, danke, Jörg",
        "Ich schrieb am 03.04.2025 wegen Auftrag 48213 ({said}{item}), keine Antwort.",
        "Zwei Dinge: die App stürzt ab, und {said}{item}; was nun?",
        "Im Formular steht „{item}“, {said}{item} stimmt aber.",
        "{said}{item}\nMit freundlichen Grüßen",
        "- {said}{item}\n- Preis: 1.249,90 €",
    ),
    "fr": (
        "Bonjour, {said}{item}. Merci de me répondre.",
        "{said}{item}",
        "bonsoir, le colis n'est jamais arrivé ! {said}{item}, merci, Zoé",
        "J'ai écrit le 03/04/2025 ({said}{item}) sans réponse.",
        "Deux choses : l'appli plante, et {said}{item} ; que faire ?",
        "Le formulaire affiche « {item} », {said}{item} est pourtant juste.",
        "{said}{item}\nCordialement",
        "- {said}{item}\n- prix : 1 249,90 €",
    ),
    "es": (
        "Hola, {said}{item}. Contéstenme pronto.",
        "{said}{item}",
        "buenas, ¡el paquete no llegó! {said}{item}, gracias, Íñigo",
        "Escribí el 3/4/2025 ({said}{item}) y nadie contestó.",
        "Dos cosas: la app se cierra, y {said}{item}; ¿qué hago?",
        "El formulario dice «{item}», pero {said}{item} es correcto.",
        "{said}{item}\nUn saludo",
        "- {said}{item}\n- precio: 1.249,90 €",
    ),
}

SAID = {
    "email": {
        "en": ("my email is ", "write to ", "reach me at ", "", "E-mail: ", "mailto:", "cc "),
        "de": ("meine Mail ist ", "schreiben Sie an ", "", "E-Mail: ", "Mailadresse "),
        "fr": ("mon adresse est ", "écrivez à ", "", "courriel : ", "mail: "),
        "es": ("mi correo es ", "escríbanme a ", "", "correo: ", "e-mail "),
    },
    "phone": {
        "en": (
            "my number is ",
            "call me at ",
            "phone: ",
            "Tel. ",
            "you can reach me on ",
            "",
            "T: ",
        ),
        "de": (
            "meine Nummer ist ",
            "rufen Sie mich an: ",
            "Tel.: ",
            "Handy ",
            "erreichbar unter ",
            "",
        ),
        "fr": (
            "mon numéro est le ",
            "appelez-moi au ",
            "Tél. : ",
            "portable ",
            "joignable au ",
            "",
        ),
        "es": ("mi número es el ", "llámenme al ", "Tel.: ", "móvil ", "mi teléfono: ", ""),
    },
    "card": {
        "en": ("my card is ", "card no. ", "Visa ", "", "it was charged to "),
        "de": ("meine Karte ist ", "Kartennummer: ", "", "abgebucht von "),
        "fr": ("ma carte est la ", "carte n° ", "", "débité sur "),
        "es": ("mi tarjeta es ", "tarjeta nº ", "", "cargado a "),
    },
    "account": {
        "en": ("my IBAN is ", "refund to ", "", "account: "),
        "de": ("meine IBAN ist ", "bitte auf ", "", "Konto: "),
        "fr": ("mon IBAN est ", "remboursez sur ", "", "compte : "),
        "es": ("mi IBAN es ", "devuélvanlo a ", "", "cuenta: "),
    },
    "id": {
        "en": ("my ID is ", "the number is ", "", "national id: ", "for verification: "),
        "de": ("meine ID ist ", "die Nummer lautet ", "", "Steuer-ID: ", "zur Prüfung: "),
        "fr": ("mon identifiant est ", "le numéro est ", "", "sécu : ", "pour vérification : "),
        "es": ("mi identificación es ", "el número es ", "", "documento: ", "para verificar: "),
    },
    "ip": {
        "en": ("my IP is ", "logged in from ", "", "address "),
        "de": ("meine IP ist ", "Anmeldung von ", "", "Adresse "),
        "fr": ("mon IP est ", "connexion depuis ", "", "adresse "),
        "es": ("mi IP es ", "acceso desde ", "", "dirección "),
    },
    "key": {
        "en": ("I used ", "my key is ", "token: ", "", "export API_KEY="),
        "de": ("ich nutze ", "mein Schlüssel ist ", "Token: ", "", "API_KEY="),
        "fr": ("j'utilise ", "ma clé est ", "jeton : ", "", "API_KEY="),
        "es": ("uso ", "mi clave es ", "token: ", "", "API_KEY="),
    },
    "secret": {
        "en": (
            "my password is ",
            "password: ",
            "the secret is ",
            "pwd=",
            "api key: ",
            "passphrase = ",
        ),
        "de": (
            "mein Passwort ist ",
            "Passwort: ",
            "Kennwort lautet ",
            "pwd=",
            "API-Schlüssel: ",
            "mein Passwort für das Konto ist ",
        ),
        "fr": (
            "mon mot de passe est ",
            "mot de passe : ",
            "mdp: ",
            "pwd=",
            "clé API : ",
            "le mot de passe du compte est ",
        ),
        "es": (
            "mi contraseña es ",
            "contraseña: ",
            "la clave es ",
            "pwd=",
            "clave api: ",
            "la contraseña de mi cuenta es ",
        ),
    },
    "none": dict.fromkeys(LANGUAGES, ("",)),
}
