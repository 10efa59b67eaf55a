#!/usr/bin/env python3
"""Who may come in: PORT_ACCESS and DNS block lists, with the real server and a scripted name server.

usage: door_access.py BINARY      effect: dispatcher.services.*.dns_block_lists
"""
import contextlib
import json
import pathlib
import re
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import dnsserver as dns  # noqa: E402
from msite import read_line, running, wait_for  # noqa: E402
from tap import Tap, expect, need  # noqa: E402

LMTP, SUBMISSION, IMAP, IMAPS = 24, 587, 143, 993
ZONES = [f"bl{i}.example" for i in range(5)]


def greeting(site, source="127.0.0.1", port=LMTP, header=b""):
    """What the client hears first, and whether the connection goes on; seconds until then."""
    begun = time.monotonic()
    with socket.socket() as s:
        s.settimeout(30)
        s.bind((source, 0))
        s.connect(("127.0.0.1", site.base + port))
        s.sendall(header)
        return read_line(s), time.monotonic() - begun


@contextlib.contextmanager
def site_with(binary, server=None, services=None, **sections):
    """A running site with a conf.d file of these sections; services: {name: {option: value}}."""
    if server:
        sections["dns"] = {"servers": [server.text]}
    sections.setdefault("dispatcher", {})["services"] = services or {}
    with running(binary, start=False) as site:
        (site.folder / "conf.d").mkdir()
        (site.folder / "conf.d/door.yaml").write_text(json.dumps(sections))  # JSON is YAML
        yield site.start()


def is_welcome(text):
    return text.startswith((b"220 ", b"* OK"))


# -- PORT_ACCESS

ACCESS = {
    "PORT_ACCESS": [
        "TCP|127.0.0.1|*|$<127.0.9.0/24>|*  $N$U",
        "TCP|*|*|$<127.0.8.1>|*             $N421$ 4.3.2$ not$ before$ noon",
        "TCP|*|*|$<127.0.8.2>|*             $D$N150|go$ away",
        "TCP|*|*|$<127.0.8.3>|*             $D150",
        "TCP|*|*|$<127.0.8.4>|*             $<$Yseen:$ $3",
        "TCP|*|*|$<127.0.8.5>|*             $<$>$Nmatched|refused|no",
        "TCP|*|*|$<127.0.8.6>|*             $|INSIDE;$2|$Y",
        "TCP|*|*|$<127.0.8.0/24>|*          $Ndefault$ of$ this$ net",
        "TCP|*|*|$<127.0.7.7>|*             $RTCP|$0|$1|$2|$3",
    ],
    "INSIDE": ["127.0.8.6 $Y", "* $N"],
}


def check_access(binary):
    with site_with(binary, mappings=ACCESS) as site:
        for port in (LMTP, SUBMISSION, IMAP):
            need(is_welcome(greeting(site, "127.0.0.1", port)[0]), "no entry: allowed")
        need(greeting(site, "127.0.9.9")[0] == b"554 5.7.1 you have no access to this service\r\n", "refused, no text")
        need(greeting(site, "127.0.9.9", IMAP)[0] == b"* BYE you have no access to this service\r\n", "in the words of IMAP")
        need(greeting(site, "127.0.9.9", IMAPS)[0] == b"", "nothing in clear where TLS comes first")
        need(greeting(site, "127.0.8.1", SUBMISSION)[0] == b"421 4.3.2 not before noon\r\n", "a code of its own")
        need(greeting(site, "127.0.8.1", IMAP)[0] == b"* BYE not before noon\r\n", "for IMAP without the code")
        text, seconds = greeting(site, "127.0.8.2")
        need(text == b"554 5.7.1 go away\r\n" and seconds >= 1.4, f"refused, later: {text} {seconds}")
        text, seconds = greeting(site, "127.0.8.3")
        need(is_welcome(text) and seconds >= 1.4, f"let in, later: {text} {seconds}")
        need(is_welcome(greeting(site, "127.0.8.4")[0]), "only logged")
        need(greeting(site, "127.0.8.5")[0] == b"554 5.7.1 no\r\n", "refused and logged")
        need(is_welcome(greeting(site, "127.0.8.6")[0]), "by another table")
        need(greeting(site, "127.0.8.7")[0] == b"554 5.7.1 default of this net\r\n", "the rest of the network")
        need(is_welcome(greeting(site, "127.0.7.7")[0]), "a rule that turns in circles refuses nobody")
        need(site.counter("connections_refused_access_total") >= 8, "counter")
        log = site.tail(400)
        for wanted in (r"dispatch\.access .*rip=127\.0\.9\.9 service=lmtp local=127\.0\.0\.1:\d+ flags=NU",
                       r"dispatch\.access .*rip=127\.0\.8\.4 .*flags=Y< text=\"seen: \d+\"",
                       r"dispatch\.access .*rip=127\.0\.8\.5 .*text=matched", r"dispatch\.access .*rip=127\.0\.8\.5 .*text=refused",
                       r"dispatch\.refused .*rip=127\.0\.8\.1 service=submission reason=access",
                       r"dispatch\.access_trouble .*rip=127\.0\.7\.7"):
            need(re.search(wanted, log), f"{wanted} is not in {log}")
        # the server goes on as before, and `mapping test` says the same
        expect(site.command("mapping", "test", "PORT_ACCESS", "TCP|127.0.0.1|24|127.0.8.7|1"), 0, "flags=N")


def check_crowd(binary):
    """Many that have to wait keep nobody else waiting, and a stop does not wait for them."""
    with site_with(binary, mappings={"PORT_ACCESS": ["TCP|*|*|$<127.0.8.0/24>|* $D6000", "TCP|*|*|$<127.0.9.0/24>|* $D$N6000|no"]}) as site:
        waiting = []
        for i in range(200):
            s = socket.socket()
            s.bind((f"127.0.{8 + i % 2}.{1 + i % 100}", 0))
            s.connect(("127.0.0.1", site.base + LMTP))
            waiting.append(s)
        need(is_welcome(greeting(site)[0]), "another client")
        begun = time.monotonic()
        site.stop()
        need(time.monotonic() - begun < 30, "the stop waits for those at the door")
        for s in waiting:
            s.close()


# -- DNS block lists

def listed(client, zone, answer="127.0.0.2"):
    return {(".".join(reversed(client.split("."))) + "." + zone, dns.A): [dns.a(answer)]}


def check_lists(binary):
    zone = {}
    zone.update(listed("127.0.0.66", ZONES[0]))
    zone.update(listed("127.0.0.67", ZONES[4], "127.0.0.11"))
    zone.update(listed("127.0.0.68", ZONES[1], "192.0.2.1"))          # no list answers so
    zone.update(listed("127.0.0.69", ZONES[1], "127.255.255.254"))    # "we do not talk to you"
    with dns.DnsServer(zone) as server, site_with(binary, server, services={
            "lmtp": {"dns_block_lists": ZONES}, "imap": {"dns_block_lists": ZONES[0]},
            "submission": {"dns_block_lists": []}}) as site:
        text, _ = greeting(site, "127.0.0.66")
        need(text == b"554 5.7.1 your address 127.0.0.66 is on the DNS list bl0.example\r\n", text)
        need(greeting(site, "127.0.0.67")[0] == b"554 5.7.1 your address 127.0.0.67 is on the DNS list bl4.example\r\n", "the fifth list")
        need(greeting(site, "127.0.0.66", IMAP)[0] == b"* BYE your address 127.0.0.66 is on the DNS list bl0.example\r\n", "in the words of IMAP")
        need(is_welcome(greeting(site, "127.0.0.67", IMAP)[0]), "a list of another service")
        need(is_welcome(greeting(site, "127.0.0.66", SUBMISSION)[0]), "a service without lists")
        need(is_welcome(greeting(site, "127.0.0.1")[0]), "not listed")
        need([server.count(f"1.0.0.127.{z}") for z in ZONES] == [1] * 5, f"each list once: {server.asked}")
        need(is_welcome(greeting(site, "127.0.0.1")[0]) and server.count(f"1.0.0.127.{ZONES[0]}") == 1, "from the cache")
        need(is_welcome(greeting(site, "127.0.0.68")[0]), "an answer outside of 127.0.0.0/8")
        before = site.counter("dns_block_list_trouble_total")
        need(is_welcome(greeting(site, "127.0.0.69")[0]), "the list does not talk to us")
        need(site.counter("dns_block_list_trouble_total") == before + 1, "counted")
        need(site.counter("connections_refused_dnsbl_total") == 3, "counter")
        need(re.search(r"dispatch\.refused .*rip=127\.0\.0\.66 service=lmtp reason=dnsbl", site.tail(200)), site.tail(200))


def check_trouble(binary):
    """Servers that fail, or keep silent: everybody comes in; the silence is waited for once, not by each client."""
    zone = {(f"{host}.0.0.127.{z}", dns.A): value for host in range(1, 60) for z, value in ((ZONES[0], 2), (ZONES[1], None))}
    zone.update(listed("127.0.0.60", ZONES[2]))
    with dns.DnsServer(zone) as server, site_with(binary, server, services={
            "lmtp": {"dns_block_lists": ZONES[:3]}, "imap": {"dns_block_lists": [ZONES[0]]}}) as site:
        need(is_welcome(greeting(site, "127.0.0.1", IMAP)[0]), "SERVFAIL")
        text, seconds = greeting(site, "127.0.0.2")
        need(is_welcome(text) and seconds >= 1.5, f"a list that is silent: {text} {seconds}")
        begun = time.monotonic()
        for host in range(3, 8):
            need(is_welcome(greeting(site, f"127.0.0.{host}")[0]), "silent")
        need(time.monotonic() - begun < 8, "each client waits for the dead list")
        need(greeting(site, "127.0.0.60")[0].startswith(b"554 5.7.1 "), "the list that works is still believed")
        need(site.counter("dns_block_list_trouble_total") >= 6, "counter")
        need("dispatch.dns_list_trouble" in site.tail(200), site.tail(200))
        server.close()  # nobody is there any more
        need(is_welcome(greeting(site, "127.0.0.61")[0]), "no server at all")
        need(site.process.poll() is None, "the server has ended")


def check_silence_ends(binary):
    """A list that was silent and answers again is asked and believed again."""
    zone = {("1.0.0.127." + ZONES[0], dns.A): None}
    zone.update(listed("127.0.0.66", ZONES[0]))
    with dns.DnsServer(zone) as server, site_with(binary, server, services={"lmtp": {"dns_block_lists": [ZONES[0]]}}) as site:
        need(is_welcome(greeting(site, "127.0.0.1")[0]), "silent")
        need(wait_for(lambda: greeting(site, "127.0.0.66")[0].startswith(b"554 5.7.1 "), 60), "never believed again")


def check_proxy(binary):
    """The client of a PROXY header counts, not the proxy."""
    zone = listed("203.0.113.66", ZONES[0])
    zone.update(listed("127.0.0.1", ZONES[0]))
    with dns.DnsServer(zone) as server, site_with(
            binary, server, dispatcher={"trusted_networks": ["127.0.0.0/8"]},
            mappings={"PORT_ACCESS": ["TCP|198.51.100.25|25|203.0.113.9|4711 $Nby$ name"]},
            services={"lmtp": {"proxy_protocol": "yes", "dns_block_lists": [ZONES[0]]}}) as site:
        def header(client):
            return f"PROXY TCP4 {client} 198.51.100.25 4711 25\r\n".encode()
        need(greeting(site, header=header("203.0.113.66"))[0] == b"554 5.7.1 your address 203.0.113.66 is on the DNS list bl0.example\r\n", "listed")
        need(is_welcome(greeting(site, header=header("203.0.113.67"))[0]), "the proxy's own address is asked about")
        need(greeting(site, header=header("203.0.113.9"))[0] == b"554 5.7.1 by name\r\n", "PORT_ACCESS")


def check_bad_zones(binary):
    with running(binary) as site:
        bad = site.folder / "conf.d"
        bad.mkdir(exist_ok=True)
        (bad / "zones.yaml").write_text(json.dumps({"dispatcher": {"services": {"lmtp": {"dns_block_lists": ["bl.example", "a..b"]}}}}))
        expect(site.command("config", "check"), 78, r'zones\.yaml:1:\d+: error: "a\.\.b" is no zone')
        (bad / "zones.yaml").write_text(json.dumps({"dispatcher": {"services": {"lmtp": {"dns_block_lists": [*ZONES, "six.example"]}}}}))
        expect(site.command("config", "check"), 78, "6 items, at most 5")


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    tap = Tap()
    for text, check in (("PORT_ACCESS: refusals, delays, logs, other tables", check_access),
                        ("those who are made to wait keep nobody else waiting", check_crowd),
                        ("DNS block lists", check_lists), ("DNS trouble turns nobody away", check_trouble),
                        ("a list that was silent is believed again", check_silence_ends),
                        ("behind a proxy the client of its header counts", check_proxy),
                        ("zones that are none", check_bad_zones)):
        tap.run(text, check, binary)
    return tap.end()


sys.exit(main())
