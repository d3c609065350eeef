// The order history: what did I buy, and what does the shop think of me?
'use strict';
const http = require('node:http');
const { Redis } = require('./redis');

const store = new Redis(process.env.REDIS_URL || 'redis://127.0.0.1:7409');
const articles = Array.from({ length: 240 }, (_, n) => ({ number: n, name: `Article ${n}`, shelf: n % 12 }));

// For every order its article, and how often the customer has bought it.
function decorate(orders) {
  const decorated = [];
  for (const order of orders) {
    const article = articles.filter((candidate) => candidate.number === order.article)[0];
    const again = orders.filter((other) => other.article === order.article).length;
    const earlier = decorated.filter((other) => other.shelf === article.shelf).map((other) => other.order);
    decorated.push({ ...order, name: article.name, shelf: article.shelf, again, earlier: earlier.sort((a, b) => b - a) });
  }
  return decorated.sort((a, b) => b.cents - a.cents || a.order - b.order);
}

async function ordersOf(customer) {
  const rows = await store.command('LRANGE', `orders:${customer}`, '0', '-1');
  return rows.map((row) => JSON.parse(row));
}

async function history(customer) {
  const orders = decorate(await ordersOf(customer));
  const cents = orders.reduce((sum, order) => sum + order.cents, 0);
  return { customer, orders: orders.length, cents, dearest: orders.slice(0, 5) };
}

function showArticle(number) {
  return articles[Number(number)] || { status: 404, error: 'no such article' };
}

async function answer(method, path) {
  if (path === '/health') return { open: true };
  if (method === 'GET' && path === '/articles') return { articles: articles.slice(0, 12) };
  if (method === 'GET' && path.startsWith('/articles/')) return showArticle(path.slice(10));
  if (method === 'GET' && /^\/customers\/\d+\/history$/.test(path)) return history(Number(path.split('/')[2]));
  return { status: 404, error: 'there is no such page' };
}

http
  .createServer(async (request, response) => {
    request.resume();
    const found = await answer(request.method, request.url).catch((error) => ({ status: 502, error: error.message }));
    response.writeHead(found.status || 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(found));
  })
  .listen(Number(process.env.PORT || 8000), '127.0.0.1');
