// The notary: keeps receipts of documents, and seals documents so that nobody can change them later.
'use strict';
const http = require('node:http');
const crypto = require('node:crypto');

const receipts = [];
const SEAL_COST = { N: 32768, r: 8, p: 1, maxmem: 128 * 1024 * 1024 };

function listReceipts() {
  const newest = receipts.slice(-20).reverse();
  return { count: receipts.length, newest: newest.map(({ id, title }) => ({ id, title })) };
}

function fileReceipt(form) {
  const title = (form.get('title') || '').trim();
  if (!title) return { status: 422, error: 'a receipt needs a title' };
  const receipt = { id: receipts.length + 1, title, filed: new Date().toISOString() };
  receipts.push(receipt);
  return receipt;
}

function showReceipt(id) {
  return receipts[Number(id) - 1] || { status: 404, error: 'no such receipt' };
}

// Slow on purpose, so that nobody can try out texts until a seal fits.
function sealDocument(form) {
  const text = form.get('text') || '';
  const salt = crypto.createHash('sha256').update(text.slice(0, 64)).digest();
  const seal = crypto.scryptSync(text, salt, 64, SEAL_COST);
  return { seal: seal.toString('hex'), length: text.length };
}

function checkSeal(query) {
  const seal = query.get('seal') || '';
  return { wellFormed: /^[0-9a-f]{128}$/.test(seal) };
}

function answer(method, url, form) {
  const path = url.pathname;
  if (path === '/health') return { open: true };
  if (method === 'GET' && path === '/receipts') return listReceipts();
  if (method === 'POST' && path === '/receipts') return fileReceipt(form);
  if (method === 'GET' && path.startsWith('/receipts/')) return showReceipt(path.slice(10));
  if (method === 'POST' && path === '/seals') return sealDocument(form);
  if (method === 'GET' && path === '/check') return checkSeal(url.searchParams);
  return { status: 404, error: 'there is no such page' };
}

function body(request, done) {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => done(new URLSearchParams(Buffer.concat(parts).toString())));
}

const server = http.createServer((request, response) => {
  body(request, (form) => {
    const found = answer(request.method, new URL(request.url, 'http://notary'), form);
    response.writeHead(found.status || 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(found));
  });
});

server.listen(Number(process.env.PORT || 8000), '127.0.0.1');
