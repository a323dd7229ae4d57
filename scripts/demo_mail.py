"""demo_mail.py - the messages of the demo: small, written for it, each odd in one way that mail is odd.

MESSAGES is a list of (what is odd about it, octets as a delivery agent hands them over: lines end in LF).
"""

import base64

GREEN_SQUARE = (  # a 2x2 PNG
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR42mPQ6w4HIgYIBQAdKgRBKvDEpgAAAABJRU5ErkJggg=="
)


def message(number, sender, subject, body, *headers):
    """A message with the usual headers; subject and body may be any text, headers are whole lines."""
    head = [
        f"From: {sender}",
        "To: alice@demo.example",
        f"Date: Mon, {number + 1:02d} Nov 2025 09:{number * 4:02d}:00 +0000",
        f"Message-ID: <demo-{number}@demo.example>",
        f"Subject: {subject}",
        *headers,
    ]
    return "\n".join(head).encode() + b"\n\n" + (body if isinstance(body, bytes) else body.encode())


def encoded_word(text):
    return "=?utf-8?b?" + base64.b64encode(text.encode()).decode() + "?="


def mixed(number):
    parts = [
        "--cut-here\nContent-Type: text/plain; charset=utf-8\n\nThe plan of the counter hall is attached.\n",
        "--cut-here\nContent-Type: image/png; name=plan.png\nContent-Transfer-Encoding: base64\n"
        f"Content-Disposition: attachment; filename=plan.png\n\n{GREEN_SQUARE}\n",
        "--cut-here\nContent-Type: text/csv; charset=utf-8\nContent-Disposition: attachment; "
        "filename*=utf-8''%C3%B6ffnungszeiten.csv\n\nday,from,to\nMon,09:00,18:00\nSat,09:00,12:00\n",
        "--cut-here--\n",
    ]
    return message(number, "Counter Two <counter2@demo.example>", "Plan of the hall", "".join(parts),
                   "MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="cut-here"')


def alternative(number):
    body = (
        "--either\nContent-Type: text/plain; charset=utf-8\n\nSummer hours begin on Monday.\n"
        "--either\nContent-Type: text/html; charset=utf-8\n\n"
        "<!doctype html>\n<html><body>\n<h1>Summer hours</h1>\n<p>They begin on <b>Monday</b>.</p>\n"
        "</body></html>\n--either--\n"
    )
    return message(number, "Notice Board <notices@demo.example>", "Summer hours (HTML)", body,
                   "MIME-Version: 1.0", "Content-Type: multipart/alternative; boundary=either")


TEXT = ("MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit")
OFFICE = "Post Office <office@demo.example>"

MESSAGES = [
    ("plain text", message(
        1, OFFICE, "Welcome to the counter",
        "Your mail is kept here until you call for it.\n\nNothing is thrown away before you say so.\n")),
    ("encoded words in the header", message(
        2, f"{encoded_word('Zoë at the counter')} <zoe@demo.example>",
        encoded_word("Grüße aus Köln — naïve café, 日本語, Ελληνικά"), "Schöne Grüße!\n", *TEXT)),
    ("raw UTF-8 in the header", message(
        3, "Größenwahn <utf8@demo.example>", "Ungekürzt: ÄÖÜ, ß und ☎", "Sent as it is, not one octet changed.\n", *TEXT)),
    ("lines that begin with dots", message(
        4, OFFICE, "Dots at the beginning of lines",
        ".\n..\n...\n. a dot and a blank\n.hidden\nA line with only a dot must not end the message:\n.\nsee?\n")),
    ("two attachments", mixed(5)),
    ("HTML beside plain text", alternative(6)),
    ("one line of 20,000 octets", message(
        7, "Endless Tape <tape@demo.example>", "One very long line", "stop " * 4000 + "\n")),
    ("an empty body", message(8, OFFICE, "Nothing to add", "")),
    ("no newline at the end", message(
        9, OFFICE, "Cut off in the last word", "The last line of this message does not e")),
    ("CRLF, LF and bare CR together", message(
        10, OFFICE, "Three kinds of line ends", b"ends in CRLF\r\nends in LF\nhas a bare\rcarriage return\n")),
    ("octets that are no text at all", message(
        11, "Noise <noise@demo.example>", "All 256 values of an octet",
        b"".join(bytes([n]) + (b"\n" if n % 32 == 31 else b"") for n in range(256)) + b"\n",
        "Content-Type: application/octet-stream", "Content-Transfer-Encoding: binary")),
    ("a quarter of a megabyte", message(
        12, "Archive <archive@demo.example>", "The ledger, 4,000 lines",
        "".join(f"{n:06d}  one sack of letters, weighed and sealed, from counter {n % 7}\n" for n in range(4000)))),
]
