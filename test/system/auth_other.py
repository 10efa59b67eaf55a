#!/usr/bin/env python3
"""Logins by other proof than a password: bearer tokens (OAUTHBEARER, XOAUTH2) that openssl signs, client certificates (EXTERNAL); and
programs that people use, with every mechanism they speak: curl, msmtp, mbsync.

usage: auth_other.py BINARY
"""
import base64
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import sasl_client as sasl  # noqa: E402
from msite import PASSWORD, message, running  # noqa: E402
from tap import Skip, Tap, need, same  # noqa: E402

ISSUER, AUDIENCE = "https://login.example.org", "mail.example.org"
OPEN = ["auth.failures_free=100", "auth.failures_max=none", "imap.login_failures_max=100", "smtp.errors_soft=1000",
        "smtp.errors_max=1000"]
NO = "NO [AUTHENTICATIONFAILED] Authentication failed."


def openssl(*words, **options):
    return subprocess.run(["openssl", *map(str, words)], check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                          **options).stdout


# -- tokens

class Issuer:
    def __init__(self, folder, name):
        self.private, self.public = folder / f"{name}.key", folder / f"{name}.pem"
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.private)
        openssl("pkey", "-in", self.private, "-pubout", "-out", self.public)

    def token(self, **claims):
        full = {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 600, "email": "anna@example.org"}
        full.update(claims)
        parts = [json.dumps({"alg": "RS256", "typ": "JWT"}), json.dumps({k: v for k, v in full.items() if v is not None})]
        text = b".".join(base64.urlsafe_b64encode(p.encode()).rstrip(b"=") for p in parts)
        signature = openssl("dgst", "-sha256", "-sign", self.private, input=text)
        return (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


@contextlib.contextmanager
def token_site(binary, folder, sets=(), **options):
    ours = Issuer(folder, "ours")
    keys = ["auth.oauth.keys=!file " + str(ours.public), f"auth.oauth.issuer={ISSUER}", f"auth.oauth.audience={AUDIENCE}"]
    with running(binary, OPEN + keys + list(sets), **options) as site:
        yield site, ours


def refused(made, status="invalid_token"):
    """The mechanism, watched: a token that is refused is told so in JSON before the end."""
    seen = []

    def watched():
        answer = yield next(made)
        seen.append(json.loads(answer)["status"])
        yield made.send(answer)
    return watched(), seen


def check_tokens(binary):
    """effect: auth.oauth.keys auth.oauth.issuer auth.oauth.audience auth.oauth.leeway"""
    with tempfile.TemporaryDirectory(prefix="keys-") as work, token_site(binary, pathlib.Path(work)) as (site, ours):
        theirs, now = Issuer(pathlib.Path(work), "theirs"), int(time.time())
        good = [ours.token(), ours.token(aud=["x", AUDIENCE]), ours.token(exp=now - 5)]
        bad = {"token_signature": theirs.token(), "token_expired": ours.token(exp=now - 120), "token_issuer": ours.token(iss="https://x"),
               "token_audience": ours.token(aud="other"), "token_login": ours.token(email=None), "token_early": ours.token(nbf=now + 600),
               "unknown_user": ours.token(email="ghost@example.org"), "token_malformed": "abc"}
        with sasl.Imap(site.base + 143) as c:
            need({"AUTH=OAUTHBEARER", "AUTH=XOAUTH2"} <= set(c.capabilities()), "offered")
            for reason, token in bad.items():
                made, seen = refused(sasl.oauthbearer(token))
                same(reason, c.authenticate("OAUTHBEARER", made), NO)
                same(reason, seen, ["invalid_token"])
                same(reason, c.authenticate("XOAUTH2", sasl.xoauth2(token, "anna@example.org")), NO)
        for token in good:
            for initial in (True, False):
                with sasl.Imap(site.base + 143) as c:
                    need(c.authenticate("OAUTHBEARER", sasl.oauthbearer(token), initial).startswith("OK"), "OAUTHBEARER")
                with sasl.Smtp(site.base + 587) as c:
                    need(c.authenticate("XOAUTH2", sasl.xoauth2(token, "anna@example.org"), initial).startswith("235"), "XOAUTH2")
                    need(c.command("MAIL FROM:<anna@example.org>").startswith("250"), "MAIL")
        with sasl.Imap(site.base + 143) as c:
            same("another", c.authenticate("OAUTHBEARER", sasl.oauthbearer(good[0], "bert@example.org")),
                 "NO [AUTHORIZATIONFAILED] Acting as another user is not permitted")
        with sasl.Smtp(site.base + 587) as c:
            answer = c.authenticate("OAUTHBEARER", sasl.oauthbearer(bad["token_signature"]))
            need(answer.startswith("535 5.7.8"), answer)
        text = site.logged(*(f"reason={reason}" for reason in bad))
        for token in good + list(bad.values())[:-1]:
            need(token not in text and token.split(".")[1] not in text, "a token is in the log")


def check_claim(binary):
    """effect: auth.oauth.login_claim"""
    with tempfile.TemporaryDirectory(prefix="keys-") as work:
        with token_site(binary, pathlib.Path(work), ["auth.oauth.login_claim=sub"]) as (site, ours):
            with sasl.Imap(site.base + 143) as c:
                same("email", c.authenticate("OAUTHBEARER", sasl.oauthbearer(ours.token())), NO)
                need(c.authenticate("OAUTHBEARER", sasl.oauthbearer(ours.token(sub="bert"))).startswith("OK"), "sub")


def check_tokens_need_tls(binary):
    with tempfile.TemporaryDirectory(prefix="keys-") as work, token_site(binary, pathlib.Path(work), plaintext=False) as (site, ours):
        with sasl.Imap(site.base + 143) as c:
            same("in clear", c.authenticate("OAUTHBEARER", sasl.oauthbearer(ours.token())), "NO [PRIVACYREQUIRED] Passwords need TLS here")
        with sasl.Imap(site.base + 993, sasl.context()) as c:
            need(c.authenticate("OAUTHBEARER", sasl.oauthbearer(ours.token())).startswith("OK"), "TLS")
    with running(binary, OPEN) as site, sasl.Imap(site.base + 143) as c:
        need("AUTH=XOAUTH2" not in c.capabilities(), "offered without keys")
        same("no keys", c.authenticate("XOAUTH2", sasl.xoauth2("x", "anna")), "NO [CANNOT] Unknown authentication mechanism")


def check_bad_keys(binary):
    with tempfile.TemporaryDirectory(prefix="keys-") as work:
        ours = Issuer(pathlib.Path(work), "ours")
        for sets, text in (([f"auth.oauth.keys=!file {ours.public}"], "issuer and an audience"),
                           ([f"auth.oauth.keys=!file {ours.private}", "auth.oauth.issuer=i", "auth.oauth.audience=a"], "PUBLIC KEY")):
            words = ["init", pathlib.Path(work) / "site", "--force", "--domain", "example.org"]
            for item in sets:
                words += ["--set", item]
            done = run_tool(binary, *words)
            need(done.returncode == 78 and text in done.stdout, f"{done}")


# -- certificates

def authority(folder):
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "ca.key", "-out", folder / "ca.pem", "-days", "30", "-subj",
            "/CN=test authority")


def certificate(folder, name, mail=None, issuer="ca"):
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr", "-subj",
            f"/CN={name}")
    extra = folder / f"{name}.ext"
    extra.write_text("extendedKeyUsage=clientAuth\n" + (f"subjectAltName=email:{mail}\n" if mail else ""))
    openssl("x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / f"{issuer}.pem", "-CAkey", folder / f"{issuer}.key",
            "-CAcreateserial", "-days", "30", "-extfile", extra, "-out", folder / f"{name}.pem")
    return sasl.context(folder / f"{name}.pem", folder / f"{name}.key")


def check_certificates(binary):
    with tempfile.TemporaryDirectory(prefix="certs-") as work:
        folder = pathlib.Path(work)
        authority(folder)
        anna = certificate(folder, "somebody", "anna@example.org")
        bert = certificate(folder, "bert@example.org")
        ghost = certificate(folder, "ghost@example.org")
        with running(binary, OPEN + [f"tls.client_ca={folder / 'ca.pem'}"], users=("anna", "bert", "root")) as site:
            site.run("user", "set", "root", "--admin", "yes", "-c", site.config)
            root = certificate(folder, "root@example.org")
            for context, authzid, want in ((anna, "", "OK"), (anna, "anna@example.org", "OK"), (bert, "", "OK"), (ghost, "", "NO [AUTHENTICATION"),
                                           (anna, "bert@example.org", "NO [AUTHORIZATION"), (root, "anna@example.org", "OK"),
                                           (sasl.context(), "anna@example.org", "NO [CANNOT]")):
                with sasl.Imap(site.base + 993, context) as c:
                    same("offered", "AUTH=EXTERNAL" in c.capabilities(), want != "NO [CANNOT]")
                    answer = c.authenticate("EXTERNAL", sasl.external(authzid))
                    need(answer.startswith(want), f"{authzid}: {answer}")
            for initial in (True, False):
                with sasl.Smtp(site.base + 587, anna) as c:
                    need("EXTERNAL" in c.ehlo, c.ehlo)
                    need(c.authenticate("EXTERNAL", sasl.external(), initial).startswith("235"), "SMTP")
                    need(c.command("MAIL FROM:<anna@example.org>").startswith("250"), "MAIL")
            with sasl.Smtp(site.base + 587) as c:
                need("EXTERNAL" not in c.ehlo, c.ehlo)
            site.logged("method=EXTERNAL")


# -- programs

def tool(name):
    if not shutil.which(name):
        raise Skip(f"{name} is not installed")
    return name


def run_tool(*words, **options):
    return subprocess.run(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, **options)


def login_methods(site, count):
    """Of so many logins, or more."""
    return [w.partition("=")[2] for l in site.logged("event=auth.login ", count=count).splitlines() if "event=auth.login " in l for w in l.split()
            if w.startswith("method=")]


def check_curl(binary):
    tool("curl")
    with tempfile.TemporaryDirectory(prefix="keys-") as work, token_site(binary, pathlib.Path(work)) as (site, ours):
        mail = pathlib.Path(work) / "mail.eml"
        mail.write_bytes(message("curl", sender="anna@example.org"))
        for mech in ("PLAIN", "LOGIN"):
            done = run_tool("curl", "-sS", "--user", f"anna:{PASSWORD}", "--login-options", f"AUTH={mech}", f"imap://127.0.0.1:{site.base + 143}/",
                            "-X", "NOOP")
            same(f"imap {mech}", done.returncode, 0)
            done = run_tool("curl", "-sS", "--user", f"anna:{PASSWORD}", "--login-options", f"AUTH={mech}",
                            f"smtp://127.0.0.1:{site.base + 587}/client.example", "--mail-from", "anna@example.org", "--mail-rcpt",
                            "bert@example.org", "-T", mail)
            same(f"smtp {mech}: {done.stdout}", done.returncode, 0)
            done = run_tool("curl", "-sS", "--user", "anna:wrong", "--login-options", f"AUTH={mech}", f"imap://127.0.0.1:{site.base + 143}/",
                            "-X", "NOOP")
            same(f"wrong {mech}", done.returncode, 67)
        for mech in ("OAUTHBEARER", "XOAUTH2"):
            done = run_tool("curl", "-sS", "--user", "anna@example.org", "--oauth2-bearer", ours.token(), "--login-options", f"AUTH={mech}",
                            f"imap://127.0.0.1:{site.base + 143}/", "-X", "NOOP")
            same(f"imap {mech}: {done.stdout}", done.returncode, 0)
        methods = login_methods(site, 6)
        same("methods", methods[:4], ["PLAIN", "PLAIN", "LOGIN", "LOGIN"])
        need(len(methods) == 6 and set(methods[4:]) <= {"OAUTHBEARER", "XOAUTH2"}, f"{methods}")  # curl takes the better for either


def check_msmtp(binary):
    tool("msmtp")
    has = run_tool("msmtp", "--version").stdout
    with running(binary, OPEN) as site:
        cafile = site.folder / "tls/cert.pem"
        mechs = [m for m in ("plain", "login", "scram-sha-1", "scram-sha-256") if m in has]
        for mech in mechs:
            words = ["msmtp", "-C", os.devnull, "--host=127.0.0.1", f"--port={site.base + 587}", f"--auth={mech}", "--user=anna@example.org",
                     "--tls=on", "--tls-starttls=on", f"--tls-trust-file={cafile}", "--from=anna@example.org", "bert@example.org"]
            for password, code in ((PASSWORD, 0), ("wrong", 77)):
                done = run_tool(*words[:-1], f"--passwordeval=echo {password}", words[-1], input=message(mech, sender="anna@example.org").decode())
                same(f"{mech} {password}: {done.stdout}", done.returncode, code)
        same("methods", login_methods(site, len(mechs)), [m.upper() for m in mechs])
        return " ".join(mechs)


def check_mbsync(binary):
    tool("mbsync")
    with running(binary, OPEN) as site, tempfile.TemporaryDirectory(prefix="mbsync-") as work:
        done = []
        for mech in ("PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256"):
            rc = pathlib.Path(work) / "rc"
            rc.write_text(f"IMAPAccount a\nHost 127.0.0.1\nPort {site.base + 143}\nUser anna\nPass {PASSWORD}\nSSLType None\nAuthMechs {mech}\n\n"
                          f"IMAPStore far\nAccount a\n\nMaildirStore near\nPath {work}/{mech}/\nInbox {work}/{mech}/INBOX\n\n"
                          f"Channel c\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nSyncState *\n")
            (pathlib.Path(work) / mech).mkdir()
            ran = run_tool("mbsync", "-c", rc, "-a", env={**os.environ, "HOME": work})
            if "not available" in ran.stdout or "no mechanism available" in ran.stdout.lower():
                continue  # its SASL library has no such plug-in
            same(f"{mech}: {ran.stdout}", ran.returncode, 0)
            done.append(mech)
        same("methods", login_methods(site, len(done)), done)
        return " ".join(done)


def main():
    binary = str(pathlib.Path(sys.argv[1]).resolve())
    tap = Tap()
    tap.run("tokens: good ones, and bad ones of every kind", check_tokens, binary)
    tap.run("the claim that is the login", check_claim, binary)
    tap.run("tokens need TLS, and keys", check_tokens_need_tls, binary)
    tap.run("keys that are none, or without whom they are for", check_bad_keys, binary)
    tap.run("client certificates", check_certificates, binary)
    tap.run("curl", check_curl, binary)
    tap.run("msmtp", check_msmtp, binary)
    tap.run("mbsync", check_mbsync, binary)
    return tap.end()


sys.exit(main())
