"""imapflow of the npm registry, pinned in npm/package-lock.json. A part of imap_clients.py."""
import datetime
import json
import pathlib
import shutil
import subprocess

from imap_mail import Program, expected, fill, read, same
from msite import PASSWORD, wait_for

NPM = pathlib.Path(__file__).parent / "npm"

IMAPFLOW = r"""
const { ImapFlow } = require('imapflow'), fs = require('fs');
const job = JSON.parse(fs.readFileSync(0, 'utf8')), loud = [];
const note = level => entry => { loud.push(level + ' ' + JSON.stringify(entry)); };
const logger = { debug() {}, info() {}, trace() {}, warn: note('warn'), error: note('error'), fatal: note('fatal') };
function structure(part) { return part.childNodes ? [part.type, part.childNodes.map(structure)] : part.type; }
(async () => {
  const client = new ImapFlow({host: 'localhost', port: job.port, secure: true, auth: {user: 'karl', pass: job.password}, logger,
    qresync: true, tls: {ca: fs.readFileSync(job.cert)}});
  await client.connect();
  const result = {messages: {}, capabilities: [...client.capabilities.keys()]};
  result.mailboxes = (await client.list({statusQuery: {messages: true, unseen: true, uidNext: true}})).map(m => [m.path, m.specialUse, m.status.messages]);
  await client.mailboxCreate(['Flow', 'Größe']);
  let lock = await client.getMailboxLock('INBOX');
  for await (const m of client.fetch('1:*', {uid: true, flags: true, envelope: true, bodyStructure: true, internalDate: true, size: true, source: true,
      headers: ['x-test-id']})) {
    const id = /X-Test-Id: (\S+)/.exec(m.source.toString('latin1'))[1];
    result.messages[id] = {uid: m.uid, flags: [...m.flags], date: m.internalDate, size: m.size, length: m.source.length,
      digest: require('crypto').createHash('sha256').update(m.source).digest('hex'), kind: m.bodyStructure.type, subject: m.envelope.subject || null};
  }
  result.found = await client.search({header: {'X-Test-Id': '7'}}, {uid: true});
  result.seen = await client.search({seen: true, flagged: true}, {uid: true});
  await client.messageFlagsAdd('1:3', ['$Label1', '\\Flagged']);
  result.labelled = await client.search({keyword: '$Label1'});
  const moved = await client.messageMove('1:5', 'Flow/Größe');
  result.moved = [...moved.uidMap.keys()].length;
  const copied = await client.messageCopy('1:5', 'Flow/Größe');
  result.copied = [...copied.uidMap.keys()].length;
  await client.messageDelete('6:7');
  const download = await client.download('1', undefined);
  let bytes = 0; for await (const piece of download.content) bytes += piece.length;
  result.downloaded = bytes; result.expected = download.meta.expectedSize;
  const appended = await client.append('INBOX', job.extra, ['\\Seen'], new Date('2020-02-03T04:05:06Z'));
  result.appended = appended.uid;
  const heard = new Promise((resolve, reject) => { client.on('exists', resolve); setTimeout(() => reject(new Error('IDLE heard nothing')), 20000); });
  const idle = client.idle();
  setTimeout(() => fs.writeFileSync(job.ready, ''), 200);
  result.idle = (await heard).count;
  await client.noop(); await idle;
  lock.release();
  lock = await client.getMailboxLock('Flow/Größe');
  result.there = client.mailbox.exists;
  lock.release();
  result.status = await client.status('INBOX', {messages: true, uidNext: true, unseen: true, highestModseq: true});
  await client.mailboxRename('Flow/Größe', 'Flow/Groesse');
  await client.mailboxDelete('Flow/Groesse');
  await client.logout();
  result.loud = loud;
  console.log(JSON.stringify(result, (key, value) => typeof value === 'bigint' ? Number(value) : value));
})().catch(e => { console.error(e); console.error(loud.join('\n')); process.exit(1); });
"""


def imapflow(site, count):
    c = Program(site, "node")
    npm = Program(site, "npm")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(NPM / name, c.home / name)
    done = subprocess.run([npm.path, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=c.home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"npm ci: {done.stdout}")
    port, ready = site.base + 143, c.home / "ready"
    fill(port, "karl", "INBOX", range(count))
    job = {"port": site.base + 993, "password": PASSWORD, "cert": str(c.cert), "ready": str(ready)}
    job["extra"] = "X-Test-Id: extra\r\nSubject: from imapflow\r\n\r\ntext\r\n"
    with subprocess.Popen([c.path, "-e", IMAPFLOW], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=c.home) as node:
        node.stdin.write(json.dumps(job).encode())
        node.stdin.close()
        wait_for(lambda: ready.exists() or node.poll() is not None, 120)
        if node.poll() is None:
            fill(port, "karl", "INBOX", [count + 1])
        out, err = node.stdout.read(), node.stderr.read()
        if node.wait(60) != 0 or err:
            raise RuntimeError(f"imapflow: {err.decode()[-3000:]}")
    result = json.loads(out)
    if result["loud"]:
        raise RuntimeError(f"imapflow complains: {result['loud'][:5]}")
    want = expected(range(count))
    got = {test_id: (m["digest"], frozenset(f for f in m["flags"] if f != "\\Recent"), iso_seconds(m["date"])) for test_id, m in result["messages"].items()}
    same(want, got, "fetched")
    for name, value in (("moved", 5), ("copied", 5), ("there", 10), ("labelled", [1, 2, 3]), ("idle", count - 7 + 2)):
        if result[name] != value:
            raise RuntimeError(f"{name}: {result[name]}, not {value}")
    if result["found"] != [n + 1 for n in range(count) if "7" in str(n)] or result["downloaded"] != result["expected"]:
        raise RuntimeError(f"found {result['found']}, downloaded {result['downloaded']} of {result['expected']}")
    left = read(port, "karl")
    if left["extra"][1] != {"\\Seen"} or left["extra"][2] != 1580702706 or len(left) != count - 5:
        raise RuntimeError(f"at the end: {left.get('extra')}, {len(left)} messages")
    return f"{count} messages"


def iso_seconds(text):
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())
