// What BENCH names: `flat`, `journey` (as in journey.hurl), `arrivals` (the stall test) or `think` (memory).
import http from 'k6/http';
import { check, sleep } from 'k6';

const BASE = __ENV.BASE, USERS = Number(__ENV.USERS), SECONDS = Number(__ENV.SECONDS);
const JSON_BODY = { headers: { 'Content-Type': 'application/json' } };
const CSRF = /name="csrf" value="([0-9a-f]+)"/;

const closed = { executor: 'constant-vus', vus: USERS, duration: `${SECONDS}s` };
const arrivals = {
  executor: 'constant-arrival-rate', rate: 500, timeUnit: '1s', duration: `${SECONDS}s`,
  preAllocatedVUs: USERS, maxVUs: USERS,
};

export const options = {
  scenarios: { bench: Object.assign({ exec: __ENV.BENCH }, __ENV.BENCH === 'arrivals' ? arrivals : closed, { gracefulStop: '0s' }) },
  noVUConnectionReuse: __ENV.CONNECTIONS === 'per user', // k6 otherwise keeps a user's connections for the next one
  discardResponseBodies: __ENV.BENCH !== 'journey',
  summaryTrendStats: ['med', 'p(99)', 'p(99.9)', 'max'],
};

export function flat() { http.get(`${BASE}/`); }
export { flat as arrivals };

export function think() {
  sleep(__ITER === 0 ? Math.random() : 1);
  http.get(`${BASE}/`);
}

export function journey() {
  const form = http.get(`${BASE}/login`);
  const csrf = CSRF.exec(form.body)[1];
  const login = http.post(`${BASE}/login`, { user: 'ada', password: 'lovelace', csrf }, { headers: { 'X-CSRF-Token': csrf } });
  const product = http.get(`${BASE}/products`).json('products.0.id');
  const size = http.get(`${BASE}/products/${product}`, { tags: { name: 'product' } }).json('sizes.0.id');
  const order = http.post(`${BASE}/orders`, JSON.stringify({ product, size }), JSON_BODY);
  const seen = http.get(`${BASE}/orders/${order.json('id')}`, { tags: { name: 'order' } });
  check(null, { 'every answer is right': () => login.status === 200 && order.status === 201 && seen.status === 200 });
}
