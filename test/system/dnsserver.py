"""A scripted name server for system tests: UDP and TCP at one port of a loopback address, a thread each, answers from a dict."""
import socket
import struct
import threading

A, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, TLSA = 1, 5, 6, 12, 15, 16, 28, 33, 52


def name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def a(address):
    return socket.inet_pton(socket.AF_INET, address)


def record(owner, kind, ttl, data):
    return name(owner) + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


class DnsServer:
    """zone: {(name, type): [data, ...]}; a name that is not in it does not exist. A value of None: silence; an int: that rcode; "cut": only over
    TCP."""

    def __init__(self, zone=None, address="127.0.0.1"):
        self.zone = zone if zone is not None else {}
        self.cut = set()   # names whose answers are cut over UDP
        self.ad = False
        self.asked = []    # (name, type, "udp" or "tcp"), in order
        self.lock = threading.Lock()
        for _ in range(50):
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind((address, 0))
            self.tcp = socket.socket()
            try:
                self.tcp.bind(self.udp.getsockname())
                break
            except OSError:
                self.udp.close()
                self.tcp.close()
        self.tcp.listen(16)
        self.text = f"{address}:{self.udp.getsockname()[1]}"
        self.ended = False
        self.threads = [threading.Thread(target=run, daemon=True) for run in (self.run_udp, self.run_tcp)]
        for thread in self.threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.ended = True
        for sock in (self.udp, self.tcp):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads:
            thread.join(0.5)
        self.udp.close()
        self.tcp.close()

    def count(self, owner=None, how=None):
        with self.lock:
            return sum(1 for n, _, h in self.asked if owner in (None, n) and how in (None, h))

    def answer(self, query, how):
        """The answer's bytes, or None."""
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += query[at] + 1
        owner, kind = ".".join(labels), struct.unpack(">H", query[at + 1:at + 3])[0]
        with self.lock:
            self.asked.append((owner, kind, how))
        exists = any(n == owner for n, _ in self.zone)
        found = self.zone.get((owner, kind), [])
        if found is None:
            return None
        rcode, answers, authority = 0, [], []
        if isinstance(found, int):
            rcode = found
        elif found and how == "udp" and owner in self.cut:
            rcode = 0x200
        elif found:
            answers = [record(owner, kind, 60, data) for data in found]
        elif (owner, CNAME) in self.zone:
            answers = [record(owner, CNAME, 60, data) for data in self.zone[owner, CNAME]]
        else:
            rcode = 0 if exists else 3
            authority = [record("example", SOA, 300, name("ns.example") + name("admin.example") + struct.pack(">5I", 1, 2, 3, 4, 60))]
        flags = 0x8180 | rcode | (0x20 if self.ad else 0)
        return (query[:2] + struct.pack(">HHHHH", flags, 1, len(answers), len(authority), 0) + query[12:at + 5]
                + b"".join(answers + authority))

    def run_udp(self):
        while not self.ended:
            try:
                query, peer = self.udp.recvfrom(4096)
                answer = self.answer(query, "udp") if query else None
                if answer:
                    self.udp.sendto(answer, peer)
            except OSError:
                if self.ended:
                    return

    def run_tcp(self):
        while not self.ended:
            try:
                conn, _ = self.tcp.accept()
            except OSError:
                return
            with conn:
                conn.settimeout(5)
                try:
                    head = conn.recv(2, socket.MSG_WAITALL)
                    query = conn.recv(struct.unpack(">H", head)[0], socket.MSG_WAITALL)
                    answer = self.answer(query, "tcp")
                    if answer:
                        conn.sendall(struct.pack(">H", len(answer)) + answer)
                except (OSError, struct.error):
                    pass
