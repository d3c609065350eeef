// Three quarters of the time in one line, the rest in another; in a worker, all of it in a third.
const { Worker, isMainThread } = require('node:worker_threads');

function total(n) {
  let sum = 0;
  for (let i = 0; i < n; i++) {
    sum = (sum * 31 + i) % 1000003; // HOT
  }
  return sum;
}

function rest(n) {
  let sum = 0;
  for (let i = 0; i < n; i++) {
    sum = (sum * 31 + i) % 1000003; // REST
  }
  return sum;
}

function aside(n) {
  let sum = 0;
  for (let i = 0; i < n; i++) {
    sum = (sum * 31 + i) % 1000003; // WORKER
  }
  return sum;
}

function handle() {
  total(300000);
  rest(100000);
  setImmediate(handle);
}

if (isMainThread) {
  const worker = new Worker(__filename);
  worker.on('online', () => {
    console.log('ready');
    handle();
  });
} else {
  setInterval(() => aside(100000), 5);
}
