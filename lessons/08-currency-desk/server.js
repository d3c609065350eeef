// The currency desk: what do I get for my money? The exchange knows.
'use strict';
const http = require('node:http');

const EXCHANGE = process.env.EXCHANGE_URL || 'http://127.0.0.1:7408';
const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity });
const COINS = ['EUR', 'USD', 'CHF', 'SEK', 'JPY'];

function askExchange(from, to, cents) {
  const question = `${EXCHANGE}/rate?from=${from}&to=${to}&cents=${cents}`;
  return new Promise((resolve, reject) => {
    http
      .get(question, { agent }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part) => (text += part));
        response.on('end', () => resolve(JSON.parse(text)));
      })
      .on('error', reject);
  });
}

function fee(cents) {
  return Math.max(150, Math.round(cents * 0.012));
}

async function quote(form) {
  const [from, to] = [form.get('from'), form.get('to')];
  const cents = Number(form.get('cents'));
  if (!COINS.includes(from) || !COINS.includes(to)) return { status: 422, error: 'we do not have these coins' };
  if (!Number.isInteger(cents) || cents <= 0) return { status: 422, error: 'how much?' };
  const { rate, gives } = await askExchange(from, to, cents);
  return { from, to, rate, gives: gives - fee(cents) };
}

async function answer(method, url, form) {
  if (url.pathname === '/health') return { open: true };
  if (method === 'GET' && url.pathname === '/coins') return { coins: COINS };
  if (method === 'GET' && url.pathname === '/fees') return { fee: fee(Number(url.searchParams.get('cents'))) };
  if (method === 'POST' && url.pathname === '/quotes') return quote(form);
  return { status: 404, error: 'there is no such page' };
}

const server = http.createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', async () => {
    const form = new URLSearchParams(Buffer.concat(parts).toString());
    const found = await answer(request.method, new URL(request.url, 'http://desk'), form).catch((error) => ({
      status: 502,
      error: error.message,
    }));
    response.writeHead(found.status || 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(found));
  });
});

server.listen(Number(process.env.PORT || 8000), '127.0.0.1');
