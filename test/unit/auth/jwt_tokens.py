#!/usr/bin/env python3
"""Writes jwt_tokens.h: tokens and keys of test_jwt.c, signed with keys that are made here and thrown away.

usage: jwt_tokens.py > jwt_tokens.h      needs openssl(1); run again when a token is added
"""
import base64
import json
import pathlib
import subprocess
import tempfile

WORK = pathlib.Path(tempfile.mkdtemp())
NOW = 1_700_000_000


def openssl(*args, data=b""):
    return subprocess.run(["openssl", *args], input=data, stdout=subprocess.PIPE, check=True, stderr=subprocess.DEVNULL).stdout


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def make(name, *args):
    openssl("genpkey", *args, "-out", str(WORK / name))
    der = openssl("pkey", "-in", str(WORK / name), "-pubout", "-outform", "DER")
    return der, openssl("pkey", "-in", str(WORK / name), "-pubout").decode()


def der_integer(raw, at):
    length = raw[at + 1]
    return int.from_bytes(raw[at + 2:at + 2 + length], "big").to_bytes(32, "big"), at + 2 + length


def sign(name, alg, text):
    (WORK / "text").write_bytes(text)
    if alg == "EdDSA":
        return openssl("pkeyutl", "-sign", "-rawin", "-inkey", str(WORK / name), "-in", str(WORK / "text"))
    raw = openssl("dgst", "-sha256", "-sign", str(WORK / name), str(WORK / "text"))
    if alg != "ES256":
        return raw
    r, at = der_integer(raw, 2)
    return r + der_integer(raw, at)[0]


def rsa_numbers(name):
    text = openssl("rsa", "-in", str(WORK / name), "-noout", "-modulus").decode()
    return bytes.fromhex(text.strip().split("=")[1])


rsa_der, rsa_pem = make("rsa", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
ec_der, ec_pem = make("ec", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
ed_der, ed_pem = make("ed", "-algorithm", "ED25519")
other_der, other_pem = make("other", "-algorithm", "ED25519")
modulus = rsa_numbers("rsa")

jwks = {"keys": [
    {"kty": "RSA", "kid": "r", "use": "sig", "alg": "RS256", "n": b64(modulus), "e": "AQAB"},
    {"kty": "EC", "kid": "e", "crv": "P-256", "x": b64(ec_der[-64:-32]), "y": b64(ec_der[-32:]), "key_ops": ["verify"]},
    {"kty": "OKP", "kid": "d", "crv": "Ed25519", "x": b64(ed_der[-32:]), "alg": "EdDSA"},
    {"kty": "RSA", "kid": "x1", "use": "enc", "n": b64(modulus), "e": "AQAB"},
    {"kty": "RSA", "kid": "x2", "alg": "RS512", "n": b64(modulus), "e": "AQAB"},
    {"kty": "oct", "kid": "x3", "k": "c2VjcmV0"},
    {"kty": "EC", "kid": "x4", "crv": "P-384", "x": "AA", "y": "AA"},
    {"kty": "OKP", "kid": "x5", "crv": "X25519", "x": b64(ed_der[-32:])},
    {"kty": "EC", "kid": "x6", "crv": "P-256", "x": "AA", "y": "AA", "key_ops": ["sign"]},
]}
good = {"iss": "https://id.example.org", "aud": "mail", "sub": "anna", "exp": NOW + 300, "iat": NOW - 10, "email": "anna@example.org"}


def token(header, claims, key="ed", alg="EdDSA"):
    head = header if isinstance(header, str) else json.dumps(header)
    body = claims if isinstance(claims, str) else json.dumps(claims)
    text = f"{b64(head.encode())}.{b64(body.encode())}".encode()
    return text.decode() + "." + b64(sign(key, alg, text))


D = {"alg": "EdDSA", "kid": "d"}
without = {k: {n: v for n, v in good.items() if n != k} for k in good}
deep = "[" * 40 + "]" * 40
rows = {
    "RS256": token({"alg": "RS256", "kid": "r"}, good, "rsa", "RS256"),
    "ES256": token({"alg": "ES256", "kid": "e", "typ": "JWT"}, good, "ec", "ES256"),
    "EDDSA": token(D, good),
    "AT_JWT": token({"alg": "EdDSA", "typ": "application/at+jwt"}, good),
    "NO_KID": token({"alg": "EdDSA"}, good),
    "AUD_LIST": token(D, {**good, "aud": ["web", "mail"]}),
    "EXP_REAL": token(D, {**good, "exp": NOW + 0.5}),
    "VERIFIED": token(D, {**good, "email_verified": True}),
    "UTF8": token(D, {**good, "sub": "jörg"}),
    # of another key, or of none
    "OTHER_KEY": token(D, good, "other"),
    "WRONG_KID": token({"alg": "EdDSA", "kid": "nobody"}, good),
    "KID_OF_OTHER_KIND": token({"alg": "EdDSA", "kid": "r"}, good),
    "ALG_ES_SIG_ED": token({"alg": "ES256", "kid": "e"}, good),
    # algorithms
    "NONE": b64(b'{"alg":"none"}') + "." + b64(json.dumps(good).encode()) + ".",
    "NONE_SIGNED": token({"alg": "none"}, good),
    "NONE_CASE": token({"alg": "nOnE"}, good),
    "HS256": token({"alg": "HS256", "kid": "x3"}, good),
    "RS512": token({"alg": "RS512", "kid": "x2"}, good, "rsa", "RS256"),
    "ALG_LOWER": token({"alg": "eddsa"}, good),
    # headers
    "NO_ALG": token({"kid": "d"}, good),
    "ALG_NUMBER": token({"alg": 1}, good),
    "CRIT": token({"alg": "EdDSA", "crit": ["b64"], "b64": False}, good),
    "TYP_OTHER": token({"alg": "EdDSA", "typ": "secevent+jwt"}, good),
    "TYP_NUMBER": token({"alg": "EdDSA", "typ": 1}, good),
    "KID_NUMBER": token({"alg": "EdDSA", "kid": 1}, good),
    "ALG_TWICE": token('{"alg":"EdDSA","alg":"none"}', good),
    "HEADER_LIST": token("[]", good),
    "HEADER_TEXT": token("EdDSA", good),
    "HEADER_DEEP": token('{"alg":"EdDSA","x":%s}' % deep, good),
    # claims
    "CLAIMS_LIST": token(D, "[1]"),
    "CLAIMS_BROKEN": token(D, '{"sub":"anna"'),
    "CLAIMS_TWICE": token(D, '{"exp":%d,"exp":%d}' % (NOW + 1, NOW + 2)),
    "CLAIMS_NUL": token(D, '{"sub":"an\\u0000na","exp":%d}' % (NOW + 300)),
    "CLAIMS_DEEP": token(D, '{"x":%s}' % deep),
    "EXPIRED": token(D, {**good, "exp": NOW}),
    "NO_EXP": token(D, without["exp"]),
    "EXP_TEXT": token(D, {**good, "exp": str(NOW + 300)}),
    "EXP_NEGATIVE": token(D, {**good, "exp": -1}),
    "EXP_HUGE": token(D, {**good, "exp": 1e300}),
    "NBF_AHEAD": token(D, {**good, "nbf": NOW + 1}),
    "NBF_BEHIND": token(D, {**good, "nbf": NOW}),
    "NBF_TEXT": token(D, {**good, "nbf": "now"}),
    "IAT_AHEAD": token(D, {**good, "iat": NOW + 1}),
    "NO_ISS": token(D, without["iss"]),
    "ISS_OTHER": token(D, {**good, "iss": "https://id.example.org/"}),
    "ISS_LIST": token(D, {**good, "iss": ["https://id.example.org"]}),
    "NO_AUD": token(D, without["aud"]),
    "AUD_OTHER": token(D, {**good, "aud": "mail2"}),
    "AUD_LIST_OTHER": token(D, {**good, "aud": ["web", 1]}),
    "AUD_NUMBER": token(D, {**good, "aud": 1}),
    "NO_SUB": token(D, without["sub"]),
    "SUB_EMPTY": token(D, {**good, "sub": ""}),
    "SUB_NUMBER": token(D, {**good, "sub": 7}),
    "SUB_CONTROL": token(D, {**good, "sub": "an\nna"}),
    "SUB_LONGEST": token(D, {**good, "sub": "a" * 255}),
    "SUB_LONG": token(D, {**good, "sub": "a" * 256}),
    "UNVERIFIED": token(D, {**good, "email_verified": False}),
    "VERIFIED_TEXT": token(D, {**good, "email_verified": "true"}),
}


def c_text(text, width=100):
    lines = [text[i:i + width] for i in range(0, len(text), width)] or [""]
    return "\n    ".join('"' + line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"' for line in lines)


print("/* jwt_tokens.h - made by jwt_tokens.py: tokens and the public keys of what signed them. */")
print("/* clang-format off */")
print(f"#define JWT_NOW {NOW}u")
print(f"#define JWT_JWKS \\\n    {c_text(json.dumps(jwks))}".replace('"\n', '" \\\n'))
for name, pem in (("RSA", rsa_pem), ("EC", ec_pem), ("ED", ed_pem)):
    print(f"#define JWT_PEM_{name} \\\n    {c_text(pem, 64)}".replace('"\n', '" \\\n'))
print(f"#define JWT_ED_X \"{b64(ed_der[-32:])}\"")
for name, text in rows.items():
    print(f"#define JWT_{name} \\\n    {c_text(text)}".replace('"\n', '" \\\n'))
print("/* clang-format on */")
