// What people wrote before this program kept the book.
'use strict';

const SAID = ('we had a lovely evening the soup was warm and the garden full of roses thank you for the music our children ' +
  'will remember the river boat and the old clock in the hall until next summer with love from all of us').split(' ');

function archive(count) {
  let state = 12345;
  const next = (below) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state % below;
  };
  return Array.from({ length: count }, (_, index) => {
    const words = Array.from({ length: 24 }, () => `${SAID[next(SAID.length)]}${next(7) ? '' : next(500)}`);
    return { id: index + 1, text: words.join(' '), words };
  });
}

module.exports = { archive };
