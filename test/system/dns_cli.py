#!/usr/bin/env python3
"""Section dns and `dns lookup`, against a scripted name server.

usage: dns_cli.py BINARY      effect: dns.servers, dns.resolv_conf, dns.timeout
"""
import json
import pathlib
import struct
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import dnsserver as dns  # noqa: E402
from msite import Site  # noqa: E402
from tap import Tap, expect, need  # noqa: E402

EX_OK, EX_USAGE, EX_DATAERR, EX_NOHOST, EX_TEMPFAIL, EX_CONFIG = 0, 64, 65, 68, 75, 78
ZONE = {
    ("host.example", dns.A): [dns.a("192.0.2.1"), dns.a("192.0.2.2")],
    ("host.example", dns.AAAA): [bytes.fromhex("20010db8000000000000000000000035")],
    ("host.example", dns.TXT): [b"\x06v=spf1\x05 -all", b"\x05a\x1b[2J"],
    ("host.example", dns.MX): [struct.pack(">H", 10) + dns.name("mx.example"), struct.pack(">H", 5) + dns.name("first.example")],
    ("_imap._tcp.host.example", dns.SRV): [struct.pack(">HHH", 1, 2, 143) + dns.name("imap.example")],
    ("_25._tcp.host.example", dns.TLSA): [b"\3\1\1" + bytes(range(32))],
    ("1.2.0.192.in-addr.arpa", dns.PTR): [dns.name("host.example")],
    ("alias.example", dns.CNAME): [dns.name("host.example")],
    ("big.example", dns.A): [dns.a(f"192.0.2.{i}") for i in range(200)],
    ("silent.example", dns.A): None,
    ("broken.example", dns.A): 2,
}


def configure(site, **options):
    (site.folder / "conf.d").mkdir(exist_ok=True)
    (site.folder / "conf.d/dns.yaml").write_text(json.dumps({"dns": options}))  # JSON is YAML


def rows(site, *words):
    done = site.command("dns", "lookup", *words, "-o", "json")
    expect(done, EX_OK)
    return [json.loads(line) for line in done.stdout.splitlines()]


def check_types(site, server):
    found = sorted(r["data"] for r in rows(site, "Host.Example."))
    need(found == ["192.0.2.1", "192.0.2.2"], found)
    need(rows(site, "host.example", "aaaa")[0]["data"] == "2001:db8::35", "AAAA")
    need([r["data"] for r in rows(site, "host.example", "MX")] == ["5 first.example.", "10 mx.example."], "MX")
    need(sorted(r["data"] for r in rows(site, "host.example", "TXT")) == ["a?[2J", "v=spf1 -all"], "TXT")
    need(rows(site, "_imap._tcp.host.example", "SRV")[0]["data"] == "1 2 143 imap.example.", "SRV")
    need(rows(site, "_25._tcp.host.example", "TLSA")[0]["data"] == "3 1 1 " + bytes(range(32)).hex(), "TLSA")
    need(rows(site, "1.2.0.192.in-addr.arpa", "PTR")[0]["data"] == "host.example.", "PTR")
    row = rows(site, "alias.example")[0]
    need(row["name"] == "host.example" and row["secure"] == "no" and 0 < int(row["ttl"]) <= 60, row)
    server.ad = True
    need(rows(site, "host.example")[0]["secure"] == "yes", "AD of a server on this machine")
    server.ad = False
    expect(site.command("dns", "lookup", "host.example", "MX"), EX_OK, r"name=host\.example  type=MX  ttl=\d+  secure=no  data=5 first")


def check_tcp(site, server):
    server.cut.add("big.example")
    need(len(rows(site, "big.example")) == 200, "200 addresses")
    need(server.count("big.example", "udp") == 1 and server.count("big.example", "tcp") == 1, server.asked)


def check_none(site, server):
    expect(site.command("dns", "lookup", "absent.example"), EX_NOHOST, "absent.example does not exist")
    expect(site.command("dns", "lookup", "host.example", "PTR"), EX_NOHOST, "no record of type PTR")
    expect(site.command("dns", "lookup", "broken.example"), EX_TEMPFAIL, "no server gave an answer")
    for bad in ("", ".", "a..b", "a b", "x" * 64, "gr\u00fcn.example"):
        expect(site.command("dns", "lookup", bad), EX_DATAERR, "no name")
    for words in ((), ("a", "NS"), ("a", "A", "b")):
        expect(site.command("dns", "lookup", *words), EX_USAGE)


def check_timeout(site, server):
    configure(site, servers=[server.text], timeout="500ms")
    begun = time.monotonic()
    expect(site.command("dns", "lookup", "silent.example"), EX_TEMPFAIL, "in time")
    need(0.4 < time.monotonic() - begun < 12, "it took as long as without the option")


def check_servers(site, server):
    """The first one is not there; the second one answers. A wrong one is told with its place."""
    with dns.DnsServer() as gone:
        nobody = gone.text
    configure(site, servers=[nobody, server.text])
    need(len(rows(site, "host.example")) == 2, "the second server")
    configure(site, servers=[nobody])
    expect(site.command("dns", "lookup", "host.example"), EX_TEMPFAIL)
    configure(site, servers=["127.0.0.1", "ns.example"])
    expect(site.command("config", "check"), EX_CONFIG, r'dns\.yaml:1:\d+: error: not the address of a DNS server: "ns\.example"')


def check_resolv_conf(site, server):
    """A file of its own: its server (nobody at port 53 of that address) is asked, not another one."""
    path = site.folder / "resolv.conf"
    path.write_text("nameserver 127.7.53.53\n")
    configure(site, resolv_conf="resolv.conf", timeout="3s")
    expect(site.command("dns", "lookup", "host.example"), EX_TEMPFAIL, "no server gave an answer")
    configure(site, resolv_conf=str(site.folder))
    expect(site.command("dns", "lookup", "host.example"), EX_CONFIG, str(site.folder))
    configure(site, resolv_conf=str(site.folder), servers=[server.text])  # not read when servers are named
    need(len(rows(site, "host.example")) == 2, "servers win")


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="dns-") as work, dns.DnsServer(ZONE) as server:
        site = Site(pathlib.Path(work) / "site", binary).init()
        configure(site, servers=[server.text])
        tap.run("every type", check_types, site, server)
        tap.run("an answer that is cut comes over TCP", check_tcp, site, server)
        tap.run("no name, no record, no answer, no good question", check_none, site, server)
        tap.run("the time of a question", check_timeout, site, server)
        tap.run("several servers", check_servers, site, server)
        tap.run("resolv.conf", check_resolv_conf, site, server)
    return tap.end()


sys.exit(main())
