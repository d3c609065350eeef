// Two processes that share the work: the first waits, the second is busy.
const cluster = require('node:cluster');

function busy(n) {
  let sum = 0;
  for (let i = 0; i < n; i++) {
    sum = (sum * 31 + i) % 1000003; // HOT
  }
  return sum;
}

if (cluster.isPrimary) {
  // 'online' comes before the other runs its first line.
  cluster.fork().on('message', () => console.log('ready'));
} else {
  setInterval(() => busy(200000), 1);
  process.send('working');
}
