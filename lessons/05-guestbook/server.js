// The guestbook: people leave a few lines; what has been said already is pointed out.
'use strict';
const http = require('node:http');
const { archive } = require('./archive');

const entries = archive(4000);

function words(text) {
  return text.toLowerCase().split(/[^a-z0-9]+/).filter(Boolean);
}

function overlap(mine, theirs) {
  let same = 0;
  for (const word of mine) {
    if (theirs.includes(word)) same += 1;
  }
  return same / Math.max(mine.length, theirs.length, 1);
}

// The entry that says nearly the same, so that the writer can be told.
function mostAlike(mine) {
  let best = null;
  let most = 0;
  for (const entry of entries) {
    const alike = overlap(mine, entry.words);
    if (alike > most) {
      most = alike;
      best = entry;
    }
  }
  return most > 0.8 ? best : null;
}

function write(form) {
  const text = (form.get('text') || '').trim();
  if (text.length < 3) return { status: 422, error: 'please write a little more' };
  const mine = words(text);
  const before = mostAlike(mine);
  const entry = { id: entries.length + 1, text, words: mine };
  entries.push(entry);
  return { id: entry.id, saidBefore: before ? before.id : null };
}

function newest() {
  return { count: entries.length, newest: entries.slice(-10).map((entry) => ({ id: entry.id, text: entry.text })) };
}

function show(id) {
  const entry = entries[Number(id) - 1];
  return entry ? { id: entry.id, text: entry.text } : { status: 404, error: 'no such entry' };
}

function answer(method, path, form) {
  if (path === '/health') return { open: true };
  if (method === 'POST' && path === '/entries') return write(form);
  if (method === 'GET' && path === '/entries') return newest();
  if (method === 'GET' && path.startsWith('/entries/')) return show(path.slice(9));
  return { status: 404, error: 'there is no such page' };
}

http
  .createServer((request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      const found = answer(request.method, request.url, new URLSearchParams(Buffer.concat(parts).toString()));
      response.writeHead(found.status || 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(found));
    });
  })
  .listen(Number(process.env.PORT || 8000), '127.0.0.1');
