// The news feed: articles, and for each reader those that fit.
'use strict';
const http = require('node:http');
const { articles } = require('./articles');

const published = articles(260);
const likes = new Map();

// Readers must not change what others see, so everybody gets a copy.
function copyOf(value) {
  return JSON.parse(JSON.stringify(value));
}

function score(article, topics) {
  const fits = article.topics.filter((topic) => topics.includes(topic)).length;
  return fits * 10 + (likes.get(article.id) || 0) / 1000 - article.age / 100;
}

function feed(topics) {
  const mine = copyOf(published);
  for (const article of mine) article.score = score(article, topics);
  mine.sort((a, b) => b.score - a.score || a.id - b.id);
  return { topics, articles: mine.slice(0, 8).map(({ id, title, score }) => ({ id, title, score })) };
}

function read(id) {
  const article = published[Number(id) - 1];
  return article ? { id: article.id, title: article.title, paragraphs: article.paragraphs.slice(0, 2) } : { status: 404, error: 'no such article' };
}

function like(id) {
  if (!published[Number(id) - 1]) return { status: 404, error: 'no such article' };
  likes.set(Number(id), (likes.get(Number(id)) || 0) + 1);
  return { liked: Number(id) };
}

function answer(method, url) {
  const [, place, id, verb] = url.pathname.split('/');
  if (place === 'health') return { open: true };
  if (method === 'GET' && place === 'feed') return feed((url.searchParams.get('topics') || '').split('-'));
  if (method === 'GET' && place === 'articles') return read(id);
  if (method === 'POST' && place === 'articles' && verb === 'likes') return like(id);
  return { status: 404, error: 'there is no such page' };
}

http
  .createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      const found = answer(request.method, new URL(request.url, 'http://news'));
      response.writeHead(found.status || 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(found));
    });
  })
  .listen(Number(process.env.PORT || 8000), '127.0.0.1');
