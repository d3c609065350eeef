// A server with a dozen features, without packages; `PLANTED=kind` keeps the state of one of them where only one process
// finds it. Without it everything that must be shared is in files of the folder in which it runs.
'use strict';
const http = require('http'), fs = require('fs'), os = require('os'), path = require('path'), crypto = require('crypto');
const zlib = require('zlib');
const PLANTED = process.env.PLANTED || '', PORT = +process.env.PORT;
const hex = (n) => crypto.randomBytes(n).toString('hex');
const pick = (list) => list[Math.floor(Math.random() * list.length)];

// A map that every process sees: a file for each key.
class Shared {
  constructor(kind) { this.folder = path.join('kept', kind); fs.mkdirSync(this.folder, { recursive: true }); }
  file(key) { return path.join(this.folder, encodeURIComponent(key)); }
  get(key) { try { return JSON.parse(fs.readFileSync(this.file(key), 'utf8')); } catch { return undefined; } }
  put(key, value) {
    const draft = this.file(key) + '.' + hex(4) + '~';
    fs.writeFileSync(draft, JSON.stringify(value));
    fs.renameSync(draft, this.file(key));
  }
  add(key, value) {
    try { fs.writeFileSync(this.file(key), JSON.stringify(value), { flag: 'wx' }); return true; } catch { return false; }
  }
  keys() { return fs.readdirSync(this.folder).filter((f) => !f.endsWith('~')).map(decodeURIComponent).sort(); }
  count(key) {
    for (;;) {
      try { fs.mkdirSync(this.file(key) + '.lock~'); break; } catch { /* somebody else counts */ }
    }
    const n = (this.get(key) || 0) + 1;
    this.put(key, n);
    fs.rmdirSync(this.file(key) + '.lock~');
    return n;
  }
}
class Own {
  constructor() { this.kept = new Map(); }
  get(key) { return this.kept.get(key); }
  put(key, value) { this.kept.set(key, value); }
  add(key, value) { if (this.kept.has(key)) return false; this.kept.set(key, value); return true; }
  keys() { return [...this.kept.keys()].sort(); }
  count(key) { this.kept.set(key, (this.kept.get(key) || 0) + 1); return this.kept.get(key); }
}
const state = (kind) => (PLANTED === kind ? new Own() : new Shared(kind));
const [jobs, calls, flags, keys, names] = ['queue', 'ratelimit', 'flags', 'idempotency', 'unique'].map(state);
const prices = new Shared('prices'), docs = new Shared('docs'), chat = new Shared('chat'), news = new Shared('news');
const lru = new Map();
let index; // built by the first search
const sockets = new Set(), streams = new Set();
const temp = PLANTED === 'tempfile' ? fs.mkdtempSync(path.join(os.tmpdir(), 'app-')) : 'previews';
fs.mkdirSync(temp, { recursive: true });

// Messages of other processes come through files, looked for often.
function listen(store, tell) {
  let seen = store.keys().length;
  setInterval(() => { const all = store.keys(); for (; seen < all.length; seen += 1) tell(store.get(all[seen])); }, 20).unref();
}
const frame = (text) => Buffer.concat([Buffer.from([0x81, Buffer.byteLength(text)]), Buffer.from(text)]);
const tellSockets = (text) => { for (const socket of sockets) socket.write(frame(JSON.stringify({ said: text }))); };
const tellStreams = (text) => { for (const res of streams) res.write(`event: news\ndata: ${JSON.stringify({ news: text })}\n\n`); };
if (PLANTED !== 'websocket') listen(chat, tellSockets);
if (PLANTED !== 'pubsub') listen(news, tellStreams);

const noise = () => ({
  now: Date.now(), iso: new Date().toISOString(), uuid: crypto.randomUUID(), token: hex(16), nonce: hex(4),
  order: ['ant', 'bee', 'cat', 'dog'].sort(() => Math.random() - 0.5), some: Array(Math.floor(Math.random() * 4)).fill(1),
  coin: Math.random() < 0.5, dice: Math.floor(Math.random() * 6), variant: pick(['A', 'B']), pid: process.pid, port: PORT,
  host: os.hostname(), load: os.loadavg()[0], took: process.hrtime()[1], rss: process.memoryUsage().rss, up: process.uptime(),
  float: 0.1 + Math.random() * 1e-12, tmp: '/tmp/' + hex(4), maybe: pick([null, 'there']), zipped: zlib.gzipSync(hex(3)).toString('base64'),
  cursor: crypto.randomBytes(9).toString('base64'), keyed: { [hex(3)]: 1 }, mixed: pick([1, 'one']), date: new Date().toString(),
});
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function serve(route, rest, data, req) {
  switch (route) {
    case 'GET health': return [200, { ok: true }];
    case 'GET noise': return [200, noise()];
    case 'POST jobs': { const id = hex(8); jobs.put(id, { state: 'done', input: data.text }); return [202, { job: id }]; }
    case 'GET jobs': { const job = jobs.get(rest[0]); return job ? [200, job] : [404, { error: 'no such job' }]; }
    case 'POST call': { const n = calls.count(data.who); return n > 3 ? [429, { error: 'slow down' }] : [200, { left: 3 - n }]; }
    case 'PUT flags': flags.put('banner', data.on); return [200, { ok: true }];
    case 'GET banner': return [200, { banner: flags.get('banner') ? 'sale!' : 'none' }];
    case 'POST payments': {
      const key = req.headers['idempotency-key'], id = hex(8);
      return keys.add(key, { payment: id, amount: data.amount }) ? [201, keys.get(key)] : [200, keys.get(key)];
    }
    case 'POST users': return names.add(data.name, 1) ? [201, { user: data.name }] : [409, { error: 'taken' }];
    case 'PUT price': prices.put(rest[0], data.price); lru.delete(rest[0]); return [200, { ok: true }];
    case 'GET price': {
      if (PLANTED === 'lru' && lru.has(rest[0])) return [200, { price: lru.get(rest[0]) }];
      const price = prices.get(rest[0]);
      lru.set(rest[0], price);
      return price === undefined ? [404, { error: 'no price' }] : [200, { price }];
    }
    case 'POST docs': {
      docs.put(data.title, data.text);
      if (index) index.set(data.title, data.text);
      return [201, { title: data.title }];
    }
    case 'GET search': {
      if (PLANTED !== 'lazyindex' || !index) index = new Map(docs.keys().map((k) => [k, docs.get(k)]));
      return [200, { found: [...index].filter(([, text]) => text.includes(rest[0])).map(([title]) => title).sort() }];
    }
    case 'POST preview': fs.writeFileSync(path.join(temp, data.name), data.text); return [201, { preview: data.name }];
    case 'GET preview': {
      try { return [200, { text: fs.readFileSync(path.join(temp, rest[0]), 'utf8') }]; } catch { return [404, { error: 'gone' }]; }
    }
    case 'POST ticket': return [201, { ticket: `${PLANTED === 'pid' ? process.pid : 1}-${hex(6)}` }];
    case 'GET ticket': {
      const mine = String(PLANTED === 'pid' ? process.pid : 1) === rest[0].split('-')[0];
      return mine ? [200, { ticket: 'valid' }] : [400, { error: 'not one of ours' }];
    }
    case 'POST say': if (PLANTED === 'websocket') tellSockets(data.text); else chat.put(`${Date.now()}-${hex(4)}`, data.text); return [201, { ok: true }];
    case 'POST news': if (PLANTED === 'pubsub') tellStreams(data.text); else news.put(`${Date.now()}-${hex(4)}`, data.text); return [201, { ok: true }];
    // A number from a file: read, wait, write; inside a lock of this process.
    case 'POST sequence': {
      if (PLANTED !== 'sequence') return [201, { number: new Shared('sequence').count('n') }];
      const before = serial;
      let free; serial = new Promise((done) => { free = done; });
      await before;
      const n = (prices.get('sequence') || 0) + 1;
      await sleep(5);
      prices.put('sequence', n);
      free();
      return [201, { number: n }];
    }
  }
  return [404, { error: 'nothing here' }];
}
let serial = Promise.resolve();

const server = http.createServer((req, res) => {
  const parts = req.url.split('?')[0].replace(/^\//, '').split('/');
  if (req.method === 'GET' && parts[0] === 'events') {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' });
    res.write(': hello\n\n');
    streams.add(res);
    req.on('close', () => streams.delete(res));
    return;
  }
  let body = '';
  req.on('data', (chunk) => { body += chunk; });
  req.on('end', async () => {
    let data = {};
    try { data = JSON.parse(body); } catch { /* no body */ }
    const [status, out] = await serve(`${req.method} ${parts[0]}`, parts.slice(1), data, req).catch((e) => [500, { error: String(e) }]);
    res.writeHead(status, { 'Content-Type': 'application/json', 'X-Request-Id': hex(8), ...(parts[0] === 'noise' && { ETag: `"${hex(5)}"`, 'Set-Cookie': `visitor=${hex(8)}` }) });
    res.end(JSON.stringify(out));
  });
});
server.on('upgrade', (req, socket) => {
  const accept = crypto.createHash('sha1').update(req.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  sockets.add(socket);
  socket.on('data', (bytes) => { if ((bytes[0] & 15) === 8) { sockets.delete(socket); socket.end(Buffer.from([0x88, 0])); } });
  socket.on('close', () => sockets.delete(socket));
  socket.on('error', () => sockets.delete(socket));
});
server.keepAliveTimeout = 60000;
server.listen(PORT, '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
