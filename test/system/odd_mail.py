"""Odd messages for comparisons, made from a seed: [(kind, octets)]. Each kind is a function of a random generator; the words in them
are from WORDS, so that searches find something."""
import base64
import quopri
import random

WORDS = ["alpha", "Bravo", "charlie", "Delta", "echo", "foxtrot", "Straße", "ΣΊΣΥΦΟΣ", "Ångström", "naïve", "žluťoučký", "Привет", "日本語",
         "emoji😀", "I", "x y", "under_score", "100%", "quo\"te", "back\\slash"]
ASCII = [word for word in WORDS if word.isascii() and word.isalnum()]
CHARSETS = [("iso-8859-1", "Straße Ångström naïve"), ("iso-8859-2", "žluťoučký"), ("iso-8859-7", "ΣΊΣΥΦΟΣ"), ("iso-8859-15", "10 €"),
            ("windows-1252", "“quoted” – Straße"), ("windows-1251", "Привет"), ("koi8-r", "Привет"), ("utf-8", "Straße 日本語 emoji😀"),
            ("shift_jis", "日本語"), ("euc-jp", "日本語"), ("iso-2022-jp", "日本語"), ("gb2312", "你好"), ("big5", "你好"), ("euc-kr", "한국어"),
            ("utf-7", "Straße"), ("us-ascii", "plain alpha")]
DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def date(r):
    return (f"{r.choice(DAYS)}, {r.randint(1, 28)} {r.choice(MONTHS)} {r.randint(1999, 2025)} {r.randint(0, 23):02}:{r.randint(0, 59):02}:"
            f"{r.randint(0, 59):02} {r.choice(['+0000', '-0500', '+0530', '+1300', '-1100'])}")


def head(r, subject=None, **more):
    """Header lines of an ordinary message; more: further or other fields, None leaves one out."""
    fields = {"From": f"{r.choice(ASCII)} <{r.choice(ASCII)}@example.org>", "To": f"{r.choice(ASCII)}@example.net",
              "Subject": subject if subject is not None else " ".join(r.choices(ASCII, k=3)), "Date": date(r),
              "Message-ID": f"<{r.getrandbits(60):x}@example.org>"}
    for name, value in more.items():
        fields[name.replace("_", "-")] = value
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None).encode()


def text(r, lines=4):
    return "".join(" ".join(r.choices(ASCII, k=6)) + "\r\n" for _ in range(r.randint(1, lines))).encode()


def encoded_word(charset, value, form):
    raw = value.encode(charset)
    if form == "b":
        return f"=?{charset}?B?{base64.b64encode(raw).decode()}?="
    return f"=?{charset}?q?{''.join(chr(c) if chr(c).isalnum() and c < 128 else '_' if c == 32 else f'={c:02X}' for c in raw)}?="


def multipart(r, subtype, parts, boundary=None, params="", preamble=b"", epilogue=b""):
    """Header lines and body of a multipart of complete parts."""
    boundary = boundary or f"=_{r.getrandbits(40):x}"
    body = preamble + b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    return f"Content-Type: multipart/{subtype}; boundary=\"{boundary}\"{params}\r\n".encode() + b"\r\n" + body + \
        b"--" + boundary.encode() + b"--\r\n" + epilogue


def leaf(r, kind="text/plain; charset=us-ascii", body=None, extra=""):
    return f"Content-Type: {kind}\r\n{extra}\r\n".encode() + (text(r) if body is None else body)


# -- the kinds

def plain(r):
    return head(r) + b"\r\n" + text(r, 20)


def folded(r):
    subject = r.choice([" alpha\r\n bravo\r\n\tcharlie", "\r\n alpha", "alpha \r\n  \r\n bravo", "alpha\r\n" + " x" * 70, "alpha\t\tbravo  "])
    to = ",\r\n ".join(f"{r.choice(ASCII)}{n} <{n}@example.net>" for n in range(r.randint(1, 12)))
    return head(r, subject, To=to) + b"\r\n" + text(r)


def words(r):
    charset, value = r.choice(CHARSETS)
    form = r.choice("bq")
    one = encoded_word(charset, value, form)
    subject = r.choice([one, one + " " + one, one + "\r\n " + one, "alpha " + one + " bravo", one + "x", "=?broken?q?x?=", "=?utf-8?b?%%%?=",
                        one[:-2], "=?utf-8*en?q?alpha?= " + one])
    return head(r, subject, From=f"{one} <alpha@example.org>", To=f"\"{one}\" <bravo@example.net>") + b"\r\n" + text(r)


def params2231(r):
    params = r.choice(["; name*=utf-8''Stra%C3%9Fe.txt", "; name*0=alpha; name*1=bravo", "; name*0*=utf-8'en'%C3%A4; name*1=plain",
                       "; name*1=b; name*0=a", "; NAME=\"quo\\\"te\"", "; name=\"\"", "; name=", "; ; name=a", "; name=a b", "; charset=\"utf-8\"",
                       "; name=\"a;b\"; x=1", "; x", "; name='alpha'", " (comment); name=alpha (more)", "; name=a; name=b", "; name=\"alpha"])
    disposition = r.choice(["attachment; filename*0*=iso-8859-1''%E4; filename*1*=%F6", "inline", "ATTACHMENT; size=5", "attachment; filename=a/b",
                            "", ";", "attachment;; filename=x", "\"quoted\"; a=b", "attachment; filename=\"a\r\n b\""])
    return head(r) + f"Content-Type: application/octet-stream{params}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + text(r)


def addresses(r):
    forms = ["undisclosed-recipients:;", "Group: alpha@example.org, Bravo <b@example.org>;", "Group: ; , charlie@example.org", "<>", "",
             "<@relay.example.org,@two.example.org:alpha@example.org>", "alpha", "alpha bravo", "alpha@", "@example.org", "<alpha>", ",,, alpha@example.org,,",
             "\"a, b\" <c@example.org>", "\"quo\\\"te\" <q@example.org>", "alpha@example.org (Comment Name)", "(only comment)", "a b <c@d> e",
             "\"a b\"@example.org", "a.b.c@[192.0.2.1]", "A . B <a . b @ example . org>", "<a@b", "a@b@c", "Group: Inner: x@y;;", "a@b; c@d",
             "=?utf-8?q?a=2Cb?= <c@d.org>", "Alpha\r\n Bravo\r\n <ab@example.org>", "alpha <a@b> , <c@d>", "a..b@example.org", "al\"ph\"a@example.org"]
    return head(r, From=r.choice(forms), To=r.choice(forms), Cc=r.choice(forms), Bcc=r.choice(forms), Reply_To=r.choice(forms + [None] * 5),
                Sender=r.choice(forms + [None] * 5), In_Reply_To=r.choice(["<a@b>", "alpha bravo", "", " <a@b>\r\n <c@d>"])) + b"\r\n" + text(r)


def missing(r):
    gone = {name: None for name in r.sample(["From", "To", "Subject", "Date", "Message_ID"], r.randint(1, 5))}
    gone = {name.replace("_", "-"): None for name in gone}
    return head(r, **{name.replace("-", "_"): None for name in gone}) + b"\r\n" + text(r)


def doubled(r):
    name = r.choice(["Subject", "From", "To", "Cc", "Date", "Message-ID", "Content-Type", "Sender", "In-Reply-To"])
    values = {"Content-Type": ("text/plain; charset=utf-8", "text/html")}.get(name, ("alpha@one.example", "<bravo@two.example>"))
    if name == "Date":
        values = (date(r), date(r))
    return head(r) + "".join(f"{name}: {value}\r\n" for value in values).encode() + b"\r\n" + text(r)


def bad_date(r):
    return head(r, Date=r.choice(["", "yesterday", "1 Jan 2020", "32 Jan 2020 00:00:00 +0000", "Mon, 1 Jan 20 10:00:00 +0000", "1 Jan 99 1:2:3 EST",
                                  "Mon, 1 Jan 2020 10:00:00 (comment) +0000", "Mon, 01 Foo 2020 10:00:00 +0000", "2020-01-01T10:00:00Z",
                                  "Mon, 1 Jan 2020 25:00:00 +0000", "Mon, 1 Jan 2020 10:00 GMT", "Mon, 1 Jan 2020 10:00:00 +9999", "1 Jan 2020 10:00:00",
                                  "Thu,  31 Dec 2020 23:30:00 -0800", "Fri, 1 Jan 2021 00:30:00 +1400", "Fri, 1 Jan 2021 00:30:00 Z"])) + b"\r\n" + text(r)


def no_header(r):
    return r.choice([b"\r\n" + text(r), b"no colon here\r\nSubject: alpha\r\n\r\nbody\r\n", b"Subject: alpha\r\n", b"Subject: alpha\r\n\r\n",
                     b"\r\n\r\n\r\n", b"x", b" folded first line\r\nSubject: alpha\r\n\r\nbody\r\n", b"Subject : spaced\r\n\r\nbody\r\n",
                     b"Subject:alpha\r\nTO:bravo@example.org\r\n\r\n", b": empty name\r\nSubject: echo\r\n\r\nx\r\n",
                     b"Subject: alpha\r\nbroken line\r\nFrom: a@b.org\r\n\r\nx\r\n", b"From me Mon Jan  1 00:00:00 2020\r\nSubject: delta\r\n\r\nx\r\n"])


def nested(r, depth=0):
    parts = []
    for _ in range(r.randint(1, 4)):
        what = r.randint(0, 4)
        if what == 0 and depth < 5:
            parts.append(nested(r, depth + 1))
        elif what == 1 and depth < 5:
            parts.append(b"Content-Type: message/rfc822\r\n\r\n" + head(r) + nested(r, depth + 1))
        elif what == 2:
            body = base64.encodebytes(r.randbytes(r.randint(0, 200))).replace(b"\n", b"\r\n")
            parts.append(leaf(r, "image/png; name=\"a.png\"", body, "Content-Transfer-Encoding: base64\r\n"))
        elif what == 3:
            value = quopri.encodestring(r.choice(WORDS).encode() + b" = alpha\n" * 3).replace(b"\n", b"\r\n")
            parts.append(leaf(r, "text/html; charset=utf-8", value, "Content-Transfer-Encoding: quoted-printable\r\nContent-ID: <x@y>\r\n"))
        else:
            parts.append(leaf(r))
    made = multipart(r, r.choice(["mixed", "alternative", "related", "signed", "odd-subtype"]), parts,
                     preamble=r.choice([b"", b"This is a multipart.\r\n", b"\r\n"]), epilogue=r.choice([b"", b"the end\r\n", b"\r\n\r\n"]))
    return made if depth else head(r, MIME_Version="1.0") + made


def broken_boundary(r):
    part = leaf(r)
    made = head(r, MIME_Version="1.0")
    return made + r.choice([
        b"Content-Type: multipart/mixed\r\n\r\n--x\r\n" + part + b"--x--\r\n",
        b"Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n" + part + b"----\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + part,
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" + part,
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" + part + b"--x  \t\r\n" + part + b"--x-- trailing\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x--\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--xy\r\n" + part + b"--xy--\r\n--x\r\n" + part + b"--x--\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: multipart/mixed; boundary=xx\r\n\r\n--xx\r\n" + part + b"--x--\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" + part + b"--x--\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n--x\r\n\r\n--x\r\n" + part + b"\r\n--x--",
        b"Content-Type: multipart/mixed; boundary=\"x y\"\r\n\r\n--x y\r\n" + part + b"--x y--\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nonly body\r\n--x\r\nContent-Type: text/html\r\n--x--\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" + part + b"--x--\r\n--x\r\n" + part + b"--x--\r\n",
    ])


def rfc822(r, depth=0):
    inner = head(r, MIME_Version="1.0") + (rfc822(r, depth + 1) if depth < r.randint(0, 4) else r.choice(
        [b"\r\n" + text(r), b"", b"\r\n", multipart(r, "mixed", [leaf(r), leaf(r, "text/html")])]))
    made = b"Content-Type: message/rfc822" + r.choice([b"", b"; name=\"inner.eml\""]) + b"\r\n" + \
        r.choice([b"", b"Content-Disposition: attachment\r\n", b"Content-Transfer-Encoding: 7bit\r\n"]) + b"\r\n" + inner
    return made if depth else head(r, MIME_Version="1.0") + made


def rfc822_odd(r):
    return head(r, MIME_Version="1.0") + r.choice([
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(head(r) + b"\r\nx\r\n") + b"\r\n",
        b"Content-Type: message/rfc822\r\n\r\n", b"Content-Type: message/rfc822\r\n\r\n\r\n", b"Content-Type: message/rfc822\r\n\r\nnot a header",
        b"Content-Type: message/partial; id=\"a@b\"; number=1; total=2\r\n\r\n" + head(r) + b"\r\n" + text(r),
        b"Content-Type: message/external-body; access-type=ftp; name=x\r\n\r\nContent-Type: text/plain\r\n\r\n",
        b"Content-Type: message/global\r\n\r\n" + head(r, "Stra\u00dfe") + b"\r\n" + text(r),
        b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; a\r\n\r\nAction: failed\r\n",
        multipart(r, "report; report-type=delivery-status",
                  [leaf(r), leaf(r, "message/delivery-status", b"Reporting-MTA: dns; a\r\n\r\nAction: failed\r\n"), leaf(r, "message/rfc822", head(r) + b"\r\nx\r\n")])])


def digest(r):
    parts = [b"\r\n" + head(r) + b"\r\n" + text(r) for _ in range(r.randint(1, 3))] + [b"Content-Type: text/plain\r\n\r\nalpha\r\n"]
    return head(r, MIME_Version="1.0") + multipart(r, "digest", parts)


def empty_parts(r):
    parts = [r.choice([b"", b"\r\n", b"Content-Type: text/plain\r\n", b"Content-Type: text/plain\r\n\r\n", b"\r\n\r\n"]) for _ in range(r.randint(1, 4))]
    return head(r, MIME_Version="1.0") + multipart(r, "mixed", parts)


def eight_bit(r):
    charset, value = r.choice([c for c in CHARSETS if c[0] not in ("utf-7", "iso-2022-jp", "us-ascii")])
    raw = value.encode(charset)
    header = head(r).replace(b"Subject: ", b"Subject: " + r.choice([raw, value.encode(), b"\xff\xfe alpha "]) + b" ")
    return header + f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset={r.choice([charset, 'unknown-8bit', 'x-nonsense'])}\r\n".encode() + \
        b"Content-Transfer-Encoding: 8bit\r\n\r\n" + raw + b" alpha\r\n" + text(r)


def charsets(r):
    charset, value = r.choice(CHARSETS)
    raw = value.encode(charset) + b"\r\n" + text(r)
    encoding = r.choice(["base64", "quoted-printable"])
    body = base64.encodebytes(raw).replace(b"\n", b"\r\n") if encoding == "base64" else \
        quopri.encodestring(raw.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return head(r) + f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + body


def long_lines(r):
    return head(r, "alpha " * r.choice([10, 200, 2000]), X_Long="y" * r.choice([900, 5000])) + b"\r\n" + b"bravo " * r.choice([1000, 20000]) + b"\r\n"


def no_final_newline(r):
    return r.choice([head(r) + b"\r\nlast line", (head(r, MIME_Version="1.0") + multipart(r, "mixed", [leaf(r)]))[:-r.randint(1, 6)],
                     head(r) + b"\r\n", head(r)[:-2]])


def content_odd(r):
    kind = r.choice(["text", "text/", "/plain", "text/plain/extra", "TEXT/PLAIN; CHARSET=US-ASCII", "", ";", "text/plain;charset=\"us-ascii\"; format=flowed",
                     "text /plain", "text/ plain", "(c) text/(c)html", "\"text\"/plain", "application/x-alpha+xml", "*/*", "text/plain, text/html",
                     "multipart/mixed", "multipart/mixed; boundary", "message", "image/png;name=\"a\r\n\tb\"", "text\\plain"])
    more = r.choice(["", "Content-Transfer-Encoding: BASE64\r\n", "Content-Transfer-Encoding: x-odd\r\n", "Content-Transfer-Encoding: \"7bit\"\r\n",
                     "Content-Transfer-Encoding: 7bit (comment)\r\n", "Content-Transfer-Encoding:\r\n", "Content-Transfer-Encoding: base64; x=y\r\n",
                     "Content-Language: en, de\r\n", "Content-Language: en-GB (British), \"fr\"\r\n", "Content-Location: http://e.org/\r\n x\r\n",
                     "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\n", "Content-ID: <a@b> (c)\r\nContent-Description: =?utf-8?q?Stra=C3=9Fe?=\r\n",
                     "Content-ID:\r\nContent-Description:\r\n", "Content-Language:\r\n", "Content-Description: \"a\" \\ b\r\n  c\r\n"])
    return head(r) + f"MIME-Version: 1.0\r\nContent-Type: {kind}\r\n{more}\r\n".encode() + text(r)


def no_mime_version(r):
    return head(r) + r.choice([b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nYWxwaGE=\r\n",
                               multipart(r, "mixed", [leaf(r), leaf(r)])])


def encodings(r):
    encoding, body = r.choice([("base64", b"YWxwaGE"), ("base64", b"YWxw!!aGE=\r\nYnJhdm8=\r\n"), ("base64", b"===="), ("base64", b""), ("base64", b"YQ==YQ==\r\n"),
                               ("quoted-printable", b"alpha=\r\n bravo=3D=zz=4\r\n"), ("quoted-printable", b"trailing   \r\nalpha=20\r\n="),
                               ("quoted-printable", b"a=C3=9F=\r\n\r\n"), ("x-unknown", b"alpha\r\n"), ("binary", b"al\x01pha\x7f\r\n"),
                               ("x-uuencode", b"begin 644 a\r\n%86QP:&$\r\nend\r\n")])
    return head(r) + f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + body


KINDS = (plain, folded, words, params2231, addresses, missing, doubled, bad_date, no_header, nested, broken_boundary, rfc822, rfc822_odd, digest,
         empty_parts, eight_bit, charsets, long_lines, no_final_newline, content_odd, no_mime_version, encodings)


def make(seed, each):
    """`each` messages of every kind."""
    found = []
    for kind in KINDS:
        for number in range(each):
            r = random.Random(f"{seed}/{kind.__name__}/{number}")
            found.append((f"{kind.__name__}.{number}", kind(r)))
    return found
