// What was written, with everything that the editors keep about it.
'use strict';

const TOPICS = ['sport', 'music', 'town', 'world', 'food', 'science', 'weather', 'books'];
const SENTENCE = 'The council met on Tuesday and could not agree on the colour of the new bridge.';

function articles(count) {
  return Array.from({ length: count }, (_, n) => ({
    id: n + 1,
    title: `Article ${n + 1}`,
    age: (n * 37) % 400,
    topics: [TOPICS[n % 8], TOPICS[(n * 3 + 1) % 8]],
    editors: Array.from({ length: 6 }, (_, e) => ({ name: `Editor ${e}`, changed: `2024-0${1 + (e % 9)}-1${n % 10}`, words: n * e })),
    paragraphs: Array.from({ length: 10 }, (_, p) => ({ number: p, text: `${SENTENCE} `.repeat(2) + p })),
  }));
}

module.exports = { articles };
