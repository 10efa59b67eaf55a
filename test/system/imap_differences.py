"""Where Dovecot 2.3 and we answer differently over the odd messages, and the RFC by which we are right (or may differ).

A row takes what makes the difference out of both answers; what is left must be equal. A row is used when it changed something that
was needed for that.
"""
import datetime
import email
import email.policy
import re

ENVELOPES = "ENVELOPE|BODYSTRUCTURE|BODY"
STRUCTURES = "BODYSTRUCTURE|BODY"


class Row:
    """item, kind: patterns of the FETCH item or "SEARCH key" and of the message's kind. fix(value, octets, item) -> value."""

    def __init__(self, rfc, item, kind, fix, why):
        self.rfc, self.item, self.kind, self.fix, self.why = rfc, re.compile(item, re.S), re.compile(kind), fix, why
        self.used = 0

    def __str__(self):
        return f"RFC {self.rfc}: {self.item.pattern} of {self.kind.pattern}: {self.why}"


def explain(ours, theirs, item, kind, octets):
    """Equal once the rows that fit have been applied; counts the rows that were needed."""
    if ours == theirs:
        return True
    rows = [row for row in ROWS if row.item.fullmatch(item) and row.kind.match(kind)]

    def apply(some):
        a, b = ours, theirs
        for row in some:
            a, b = row.fix(a, octets, item), row.fix(b, octets, item)
        return a == b
    if not apply(rows):
        return False
    for row in list(rows):  # those that can be left out were not needed
        others = [other for other in rows if other is not row]
        if apply(others):
            rows = others
    for row in rows:
        row.used += 1
    return True


# -- what the rows do to a value

def tree(change):
    """change(list) on every list of a tree, the inner ones first."""
    def fix(value, octets, item):
        if isinstance(value, list):
            return change([fix(part, octets, item) for part in value])
        return value
    return fix


def anything(when=lambda octets: True):
    """The values cannot be compared, in messages for which `when` holds."""
    return lambda value, octets, item: "*" if when(octets) else value


def having(*texts):
    return lambda octets: any(text in octets for text in texts)


def one_blank(parts):
    return [re.sub(rb"[ \t]+", b" ", part) if isinstance(part, bytes) else part for part in parts]


def is_leaf(parts):
    """A body of one part: type, subtype, parameters, id, description, encoding, size."""
    return len(parts) >= 7 and isinstance(parts[0], bytes) and isinstance(parts[1], bytes) and isinstance(parts[6], bytes) and parts[6].isdigit()


def is_type(parts, kind):
    return is_leaf(parts) and parts[0].lower() == kind


def without_lines(parts):
    if is_type(parts, b"text") and len(parts) > 7:
        return parts[:7] + [None] + parts[8:]
    if is_type(parts, b"message") and len(parts) > 9 and isinstance(parts[7], list):
        return parts[:9] + [None] + parts[10:]
    return parts


def without_default_charset(parts):
    if is_type(parts, b"text") and parts[1].lower() != b"plain" and parts[2] == [b"charset", b"us-ascii"]:
        return parts[:2] + [None] + parts[3:]
    return parts


def invalid_type_is_text(parts):
    """What Dovecot makes of an invalid type becomes what RFC 2045 asks for, but for the line count that it then has."""
    if is_leaf(parts) and parts[1] == b"":
        rest = parts[8:] if parts[0] == b"text" else parts[7:]
        return [b"text", b"plain", [b"charset", b"us-ascii"]] + parts[3:7] + ["lines"] + rest
    if is_leaf(parts) and parts[0] == b"text" and parts[1] == b"plain" and len(parts) > 7:
        return parts[:7] + ["lines"] + parts[8:]
    return parts


def lower_case(parts):
    if not is_leaf(parts) or not isinstance(parts[2], list):
        return parts
    return [part.lower() for part in parts[:2]] + [[part.lower() for part in parts[2]]] + parts[3:]


def one_token_encoding(parts):
    return parts[:5] + ["*"] + parts[6:] if is_leaf(parts) else parts


def without_parameters(parts):
    """Of Content-Type and Content-Disposition of a leaf."""
    if not is_leaf(parts):
        return parts
    return parts[:2] + ["*"] + parts[3:7] + [
        part if not isinstance(part, list) or not part or isinstance(part[0], list) else part[:1] for part in parts[7:]]


def without_empty_disposition(parts):
    return [None if isinstance(part, list) and len(part) == 2 and part[0] == b"" and (part[1] is None or isinstance(part[1], list)) else part
            for part in parts] if is_leaf(parts) else parts


def field_of(octets, name):
    value = email.message_from_bytes(octets, policy=email.policy.compat32)[name]
    return None if value is None else re.sub(r"\r\n", "", str(value))


ADDRESS_FIELDS = [("From", 2), ("Sender", 3), ("Reply-To", 4), ("To", 5), ("Cc", 6), ("Bcc", 7)]


def addresses(*forms):
    """Fields with one of these values are not compared, nor those that stand in for them."""
    def fix(value, octets, item):
        if not isinstance(value, list) or len(value) != 10:
            return value
        masked = list(value)
        odd_from = field_of(octets, "From") in forms
        for name, index in ADDRESS_FIELDS:
            here = field_of(octets, name)
            if here in forms or (odd_from and index in (3, 4)) or (index in (3, 4) and masked[index] == value[2] and odd_from):
                masked[index] = "*"
        return masked
    return fix


def absent_part(value, octets, item):
    return None if value == b"" else value


def anything_below_a_leaf(value, octets, item):
    """Part N.1 where part N is a leaf: its own text by Dovecot, nothing by us."""
    section = re.search(r"\[([0-9.]*[0-9])", item)[1].split(".")
    part, whole = email.message_from_bytes(octets), True  # whole: a message, of which part 1 may be itself
    for number in section:
        kind = part.get_content_type()
        if not whole and kind == "message/rfc822" and part.is_multipart():
            part, whole = part.get_payload(0), True
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            if int(number) > len(part.get_payload()):
                return value
            part, whole = part.get_payload(int(number) - 1), False
        elif whole and number == "1":
            whole = False
        else:
            return "*" if number == "1" else value
    return value


def without_final_blank(value, octets, item):
    return value[:-2] if isinstance(value, bytes) and (value.endswith(b"\r\n\r\n") or value == b"\r\n") else value


def mask(*indexes):
    return lambda value, octets, item: ["*" if index in indexes else part for index, part in enumerate(value)] if isinstance(value, list) else value


def instant(value, octets, item):
    return datetime.datetime.strptime(value.decode().strip(), "%d-%b-%Y %H:%M:%S %z").timestamp()


def valid_date(octets):
    """A Date field with day, month, year and time; what is wrong beyond that has rows of its own."""
    header = b"\r\n" + octets.partition(b"\r\n\r\n")[0] + b"\r\n"
    return re.search(rb"(?i)\r\nDate:[^\r]*?\b([12]?\d|3[01]) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d+ ([01]?\d|2[0-3]):\d", header)


ROWS = [
    Row("9051 2.3.3", "INTERNALDATE", "", instant, "the same moment; we give it as it was given, with its zone, Dovecot in its own"),
    Row("9051 7.5.2", ENVELOPES, "folded|eight_bit", tree(one_blank), "unfolding takes out line ends, no blanks; Dovecot makes one blank of several"),
    Row("5322 4.4", "ENVELOPE", "addresses", addresses(",,, alpha@example.org,,"), "empty members of a list are no addresses; Dovecot invents some"),
    Row("5322 4.4", "ENVELOPE", "addresses", addresses("A . B <a . b @ example . org>"), "blanks around dots are obs-local-part and obs-domain"),
    Row("9051 7.5.2", "ENVELOPE", "addresses", addresses("alpha", "alpha bravo", "alpha@", "@example.org", "<alpha>", "<>"),
        "the structure has the text that is there; Dovecot invents MISSING_MAILBOX and MISSING_DOMAIN"),
    Row("5322 3.4", "ENVELOPE", "addresses", addresses("Group: Inner: x@y;;", "a@b; c@d", "<a@b", "a@b@c", "al\"ph\"a@example.org", "a..b@example.org"),
        "no address by any grammar: nothing is prescribed, and we invent no names"),
    Row("5322 3.6", "ENVELOPE", "doubled", mask(8, 9), "one is allowed; of two Message-ID or In-Reply-To we give the first, as of all fields"),
    Row("5322 2.2", ".*", "no_header", anything(having(b"no colon here\r\n", b": empty name\r\n")),
        "a first line that is no field: the message has no header. Dovecot reads on to the next blank line"),
    Row("5322 2.2", ".*", "rfc822_odd", anything(having(b"not a header")), "the same of a message inside"),
    Row("2046 4.1.2", STRUCTURES, "", tree(without_default_charset), "us-ascii is the default of text/plain, not of other text"),
    Row("9051 7.5.2", STRUCTURES, "broken_boundary|encodings|no_final_newline|rfc822_odd", tree(without_lines), "a last line without line end is a line"),
    Row("2045 5.1", STRUCTURES, "content_odd", tree(lower_case), "type and subtype are given as they were sent; their case means nothing"),
    Row("2045 5.2", STRUCTURES, "content_odd", tree(invalid_type_is_text), "a syntactically invalid Content-Type is text/plain in us-ascii"),
    Row("2045 6.1", STRUCTURES, "content_odd", tree(one_token_encoding), "the mechanism is one token: base64, whatever follows it"),
    Row("2183 2", STRUCTURES, "params2231", tree(without_empty_disposition), "a disposition without a type is none"),
    Row("2045 5.1", STRUCTURES, "params2231", tree(without_parameters), "not to the grammar (;; and unquoted blanks or slashes): we lose nothing of it"),
    Row("2046 5.1", ".*", "broken_boundary", anything(lambda octets: b"\r\n--x" not in octets.partition(b"\r\n\r\n")[2].join([b"\r\n", b""]) or
                                                     b"boundary" not in octets or b"\r\n\r\n--x--\r\n" in octets),
        "a multipart without boundary or parts is none: RFC 2045 5.2 makes it text/plain. Dovecot shows an empty part that nobody sent"),
    Row("2046 5.1.1", ".*", "broken_boundary", anything(having(b"--xy\r\n", b"--x-- trailing")),
        "delimiter := CRLF \"--\" boundary, then transport-padding CRLF: a longer line is none"),
    Row("2046 5.1.1", ".*", "no_final_newline", anything(lambda octets: re.search(rb"\r\n--=_[0-9a-f]+-?$", octets)),
        "delimiter ends with CRLF: a line that is cut short is none"),
    Row("2046 5.2.1", ".*", "rfc822_odd", anything(having(b"message/rfc822\r\nContent-Transfer-Encoding: base64")),
        "message/rfc822 may not be encoded: shown as octets, since no message can be read there"),
    Row("6532 3.7", ".*", "rfc822_odd", anything(having(b"message/global\r\n")), "message/global holds a message like message/rfc822"),
    Row("9051 6.4.5.1", r"BODY\.PEEK\[HEADER\.FIELDS.*", "no_final_newline|no_header", without_final_blank,
        "the blank line is there except in a message that has no body and no blank line"),
    Row("2046 5.1.1", r"BODY\.PEEK\[[1-9.]+MIME\].*|BODY\.PEEK\[[1-9.]+HEADER.*", "empty_parts|broken_boundary|rfc822|digest|nested", without_final_blank,
        "a part that begins with a blank line is allowed; Dovecot gives that line to the delimiter"),
    Row("9051 7.5.2", r"BODY\.PEEK\[[1-9].*", "", absent_part, "nstring: NIL for a part that is not there, Dovecot has an empty string"),
    Row("9051 6.4.5.1", r"BODY\.PEEK\[[1-9.]+(MIME)?\]", "", anything_below_a_leaf, "a part that is no multipart and holds no message has no parts below"),

    Row("9051 6.4.5", "BINARY.*", "nested", anything(having(b"message/rfc822")),
        "the encoding of the section is taken off, not those of parts in the message that it is"),
    Row("2045 6.7", "BINARY.*", "encodings|content_odd", anything(having(b"base64", b"BASE64", b"quoted-printable")),
        "a damaged encoding: what can be read of it; Dovecot refuses, or closes the connection"),
    Row("2045 6.1", "BINARY.*", "content_odd", anything(having(b"Content-Transfer-Encoding:\r\n")), "without a mechanism it is 7bit"),
    Row("9051 6.4.4", r'SEARCH (FROM|TO|CC|BCC) "<"', "", anything(), "an envelope has no angle brackets; Dovecot puts some there to search them"),
    Row("9051 6.4.4", r'SEARCH (FROM|TO|CC|BCC) "(I|alpha@|example.org)"', "addresses", anything(),
        "Dovecot searches the MISSING_MAILBOX and MISSING_DOMAIN that it invented"),
    Row("9051 6.4.4", r'SEARCH .*"STRASSE"', "", anything(), "without regard to case, \u00df is SS"),
    Row("5322 2.2.3", r'SEARCH (SUBJECT|TEXT|HEADER Subject) "(a b|bravo charlie)"', "folded", anything(),
        "unfolding takes out line ends; Dovecot makes one blank of several"),
    Row("2231 5", r'SEARCH .*(SUBJECT|TEXT|HEADER Subject) .*', "words", anything(having(b"=?utf-8*en?q?alpha?=")), "an encoded word may name its language"),
    Row("9051 6.4.4", r"SEARCH .*BODY.*", "rfc822|digest|nested", anything(having(b"message/rfc822", b"multipart/digest")),
        "an attached message is in the body, its header with it"),
    Row("2045 5.2", r"SEARCH .*(BODY|TEXT).*", "content_odd", anything(), "a part of invalid type is text/plain, and so searched"),
    Row("2045 6.8", r"SEARCH .*(BODY|TEXT).*", "encodings", anything(having(b"YWxw!!aGE=")), "characters that are not of base64 are passed over"),
    Row("9051 6.4.4", r"SEARCH .*(BODY|TEXT).*", "encodings", anything(having(b"Encoding: x-u")), "an unknown encoding: the octets that are there are searched"),
    Row("9051 6.4.4", r"SEARCH .*(BODY|TEXT).*", "eight_bit", anything(having(b"charset=x-nonsense", b"charset=unknown-8bit")),
        "an unknown charset: searched as UTF-8 or else ISO-8859-1, rather than not at all"),
    Row("9051 6.4.4", r'SEARCH HEADER Subject "y"', "eight_bit", anything(having(b"\xff\xfe")), "octets that are no UTF-8 count as ISO-8859-1: \u00ff is y with marks"),
    Row("9051 6.4.4", r"SEARCH SENTBEFORE .*", "missing|no_header|bad_date", anything(lambda octets: not valid_date(octets)),
        "no Date field, or none that is a date: no date to be earlier. Dovecot takes 1970"),
    Row("5322 3.3", r"SEARCH SENT.*", "bad_date", anything(having(b" +9999\r\n")), "minutes of a zone end at 59: no date"),
    Row("5322 4.3", r"SEARCH SENT.*", "bad_date", anything(having(b"Date: 1 Jan 99 1:2:3 EST")), "two digits from 50 to 99 are years of the last century, EST is a zone"),
]
