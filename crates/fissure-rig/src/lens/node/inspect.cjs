// Loaded by every Node of a copy of the app that fissure keeps for its profilers, before the app itself: opens the
// inspector on a free port of loopback and writes down where. `--inspect` would give workers of a cluster the ports that
// follow, whoever has those.
'use strict';
try {
  const inspector = require('node:inspector');
  const { isMainThread } = require('node:worker_threads');
  if (isMainThread && !inspector.url()) inspector.open(0, '127.0.0.1');
  const url = isMainThread && inspector.url();
  if (url) require('node:fs').writeFileSync(`${__dirname}/${process.pid}.inspector`, url);
} catch {
  // the app runs as it would without
}
