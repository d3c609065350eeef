// Written by `fissure export k6`. Run it with: k6 run -e BASE=http://127.0.0.1:8000 THIS_FILE
// Load goes to servers of your own only. -e EXPLAIN=1 says why a check failed.
//
// A user is an iteration with an empty cookie jar; a wrong answer ends it. Users arrive like a clock, because k6 knows no
// other way. k6 counts a latency from the sending, without connecting, and a wrong answer like a right one: look at `errors` too.

import http from "k6/http";
import exec from "k6/execution";
import encoding from "k6/encoding";
import { check, sleep } from "k6";
import { SharedArray } from "k6/data";
import { Rate } from "k6/metrics";

const BASE = (__ENV.BASE || "http://127.0.0.1:8000" || "").replace(/\/$/, "");
const [, SCHEME, AUTHORITY] = /^(https?):\/\/([^/?#]+)$/.exec(BASE) || [];
if (!AUTHORITY) throw new Error("say which server is yours: k6 run -e BASE=http://127.0.0.1:8000 ...");
const PORT = (/:\d+$/.exec(AUTHORITY) || [""])[0];
const IS_HERE = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(AUTHORITY);
const TIMEOUT = "10000ms";

export const options = {
  "scenarios": {
    "journey_buy": {
      "executor": "ramping-arrival-rate",
      "startRate": 9000,
      "stages": [
        {
          "target": 45000,
          "duration": "40000ms"
        },
        {
          "target": 180000,
          "duration": "0s"
        },
        {
          "target": 180000,
          "duration": "5000ms"
        },
        {
          "target": 180000,
          "duration": "15000ms"
        }
      ],
      "timeUnit": "3600s",
      "preAllocatedVUs": 100,
      "maxVUs": 550,
      "exec": "journey_buy",
      "gracefulStop": "30s"
    },
    "journey_home": {
      "executor": "ramping-arrival-rate",
      "startRate": 27000,
      "stages": [
        {
          "target": 135000,
          "duration": "40000ms"
        },
        {
          "target": 540000,
          "duration": "0s"
        },
        {
          "target": 540000,
          "duration": "5000ms"
        },
        {
          "target": 540000,
          "duration": "15000ms"
        }
      ],
      "timeUnit": "3600s",
      "preAllocatedVUs": 150,
      "maxVUs": 1500,
      "exec": "journey_home",
      "gracefulStop": "30s"
    }
  },
  "thresholds": {
    "http_req_duration": [
      "p(95)<300"
    ],
    "http_req_duration{name:PUT /photos/{photo}}": [
      "p(99.9)<=1000",
      "max<2000"
    ],
    "http_req_duration{name:GET /}": [
      "max<2000"
    ],
    "http_req_duration{name:GET /login}": [
      "max<2000"
    ],
    "http_req_duration{name:GET /photos/{photo}.png}": [
      "max<2000"
    ],
    "http_req_duration{name:POST /login}": [
      "max<2000"
    ],
    "http_req_duration{name:POST /photos}": [
      "max<2000"
    ],
    "errors": [
      "rate<0.01"
    ]
  },
  "noVUConnectionReuse": true,
  "summaryTrendStats": [
    "avg",
    "min",
    "med",
    "p(90)",
    "p(95)",
    "p(99)",
    "p(99.9)",
    "max",
    "count"
  ]
};

/** The share of requests that were not answered as the journey says. */
const errors = new Rate("errors");
/** Every user takes one row, in turn. */
const rows = new SharedArray("users", () => [
  {
    "user": "ann"
  },
  {
    "user": "o'brien \u2028\"</script>"
  }
]);
const rowOf = (journey) => rows[(exec.scenario.iterationInTest * 2 + journey) % rows.length];
const regex1 = new RegExp("name=\"csrf\" value=\"([^\"]+)\"", "");
const file2 = encoding.b64decode("AP8K");
const regex3 = new RegExp("photos\\/(\\d+)", "");

export function journey_buy() {
  play("journeys/buy.hurl", rowOf(0), (user, v) => {
    user.ask(2, "GET /login", () => {
      return {
        method: "GET",
        target: address("/login"),
        keep: "text",
      };
    });
    user.must("line 2: status 200", (r) => r.status === 200);
    user.capture("line 5: csrf: regex \"name=\\\"csrf\\\" value=\\\"([^\\\"]+)\\\"\"", "csrf", (r) => regex(regex1, text(r)));

    sleep(1);
    user.ask(7, "POST /login", () => {
      v["key"] = newUuid();
      return {
        method: "POST",
        target: address("/login"),
        headers: {
          "X-Csrf": written(v["csrf"]),
          "Cookie": "theme=" + "dark",
          "Content-Type": "application/x-www-form-urlencoded",
        },
        body: form([["user", written(v["user"])]]),
        keep: "text",
        follow: true,
      };
    });
    user.must("line 7: HTTP/1.1", (r) => r.proto === "HTTP/1.1");
    user.must("line 7: status 200", (r) => r.status === 200);
    user.must("line 7: header Content-Type", (r) => hasHeader(r, "Content-Type", "text/html"));
    user.must("line 20: body contains \"Hello, {{user}}\"", (r) => holds(text(r), false, "contains", "Hello, " + written(v["user"])));
    user.must("line 21: cookie \"sid\" not isEmpty", (r) => holds(cookie(r, "sid", "Value"), true, "isEmpty"));
    user.must("line 22: url endsWith \"/home\"", (r) => holds(user.url, false, "endsWith", "/home"));

    user.ask(24, "POST /photos", () => {
      const boundary = "fissure" + newUuid();
      return {
        method: "POST",
        target: address("/photos?page=1", [["q", "a b"]]),
        headers: {
          "Authorization": basic("ann", written(v["key"])),
          "Content-Type": "multipart/form-data; boundary=" + boundary,
        },
        body: multipart(boundary, [["title", "\"it's\" `${x}` \\"], ["file", { file: "dot.bin", type: "image/png", bytes: file2 }]]),
      };
    });
    user.capture("line 34: photo: header \"Location\" regex /photos\\/(\\d+)/ toInt", "photo", (r) => filters.toInt(filters.regex(header(r, "Location"), regex3)));

    user.ask(36, "PUT /photos/{photo}", () => {
      return {
        method: "PUT",
        target: address("/photos/" + written(v["photo"])),
        headers: {
          "Content-Type": "application/json",
        },
        body: "{ \"id\": " + jsonValue(v["photo"]) + ", \"by\": \"" + jsonString(v["user"]) + "\" }",
      };
    });
    user.must("line 36: status 204", (r) => r.status === 204);

    user.ask(40, "GET /photos/{photo}.png", () => {
      return {
        method: "GET",
        target: address("/photos/" + written(v["photo"]) + ".png"),
        keep: "binary",
      };
    });
    user.must("line 40: status 200", (r) => r.status === 200);
    user.must("line 43: bytes count > 1000", (r) => holds(filters.count(r.body), false, ">", 1000.0));
  });
}

export function journey_home() {
  play("journeys/home.hurl", rowOf(1), (user, v) => {
    user.ask(1, "GET /", () => {
      return {
        method: "GET",
        target: address("/"),
      };
    });
    user.must("line 1: status below 400", (r) => r.status < 400);
  });
}

// What the language of journeys means, in k6. The journeys above use it; nothing below needs to be changed.

/** A value cannot be had, or a filter cannot work on it. */
class Wrong {
  constructor(sentence) {
    this.sentence = sentence;
  }
}

/** A step went wrong, so the user leaves. */
class Leaves {}

/** Plays one user: what the user picks up is in `user.values`, and the jar is empty, because k6 clears it for each iteration. */
function play(journey, row, steps) {
  const user = new User(journey, row);
  try {
    steps(user, user.values);
    user.settle();
  } catch (e) {
    if (!(e instanceof Leaves)) throw e;
  }
}

class User {
  constructor(journey, row) {
    this.journey = journey;
    this.values = Object.assign(Object.create(null), { base: BASE }, row);
    this.tags = null;
    this.answer = null;
    this.url = "";
  }

  /** Sends a request; the step before went well. */
  ask(line, route, make) {
    this.settle();
    this.tags = { name: route, journey: this.journey };
    let request;
    this.must(`line ${line}: the request can be written`, () => {
      request = make();
      return true;
    });
    this.must(`line ${line}: answered`, () => {
      [this.answer, this.url] = exchange(request, this.tags);
      return this.answer.status !== 0;
    });
  }

  /** One thing that the journey says about the answer. */
  must(name, is) {
    let right = false;
    let why = "";
    try {
      right = is(this.answer) === true;
    } catch (e) {
      if (!(e instanceof Wrong)) throw e;
      why = e.sentence;
    }
    if (check(right, { [name]: (r) => r }, this.tags)) return;
    if (__ENV.EXPLAIN) console.warn(`${this.journey}, ${name}: no${why && ", "}${why}`);
    errors.add(true, this.tags);
    this.tags = null;
    throw new Leaves();
  }

  /** Keeps a value of the answer. */
  capture(name, variable, look) {
    this.must(name, (answer) => {
      const value = look(answer);
      this.values[variable] = value;
      return value !== undefined;
    });
  }

  settle() {
    if (this.tags) errors.add(false, this.tags);
    this.tags = null;
  }
}

/** A request with its redirects, if they are to be followed. They are never followed away from the server. */
function exchange(request, tags) {
  let { method, target, body = null } = request;
  const headers = Object.assign({ Accept: "*/*" }, request.headers);
  const send = () => {
    const params = { headers, tags, timeout: TIMEOUT, redirects: 0, responseType: request.keep || "none" };
    return http.request(method, BASE + target, body, params);
  };
  let answer = send();
  for (let n = 0; request.follow && [301, 302, 303, 307, 308].includes(answer.status); n++) {
    const location = header(answer, "Location");
    if (location === undefined) break;
    if (n === 10) throw new Wrong("more than 10 redirects");
    target = redirected(target, location);
    const becomesGet =
      (answer.status === 303 && method !== "HEAD") || (answer.status < 303 && method === "POST");
    if (becomesGet && method !== "GET") {
      method = "GET";
      body = null;
      Object.keys(headers).filter((h) => h.toLowerCase() === "content-type").forEach((h) => delete headers[h]);
    }
    answer = send();
  }
  return [answer, BASE + target];
}

/** RFC 3986, section 5.2, as far as one server needs it. */
function redirected(current, location) {
  let to = location.split("#")[0].trim();
  const leaves = () => new Wrong(`the redirect to ${to} leaves the server`);
  const absolute = /^(?:([a-z][a-z0-9+.-]*):)?\/\/([^/?]*)(.*)$/i.exec(to);
  if (absolute) {
    const [, scheme = SCHEME, authority, rest] = absolute;
    const isOwn = authority === AUTHORITY || (IS_HERE && /^(localhost|127\.0\.0\.1)$/.test(authority.replace(PORT, "")));
    if (scheme.toLowerCase() !== SCHEME || !isOwn) throw leaves();
    to = rest.startsWith("/") ? rest : "/" + rest;
  } else if (/^[a-z0-9+.-]+:/i.test(to)) {
    throw leaves();
  }
  const [path] = current.split("?");
  if (to === "") return current;
  if (to.startsWith("?")) return path + to;
  if (!to.startsWith("/")) to = path.slice(0, path.lastIndexOf("/") + 1) + to;
  const end = to.includes("?") ? to.indexOf("?") : to.length;
  const kept = [];
  const segments = to.slice(0, end).split("/").slice(1);
  segments.forEach((segment, i) => {
    if (segment === "..") kept.pop();
    else if (segment !== ".") kept.push(segment);
    if ((segment === "." || segment === "..") && i === segments.length - 1) kept.push("");
  });
  return "/" + kept.join("/") + to.slice(end);
}

// Writing requests.

function written(value) {
  if (value === undefined) throw new Wrong("a variable has no value");
  if (typeof value === "object" && value !== null) throw new Wrong("a list or an object cannot be written into text");
  return String(value);
}

function jsonString(value) {
  return JSON.stringify(written(value)).slice(1, -1);
}

function jsonValue(value) {
  const text = written(value);
  if (typeof parsed(text) === "string") throw new Wrong("text stands where JSON needs a number, true, false or null");
  return text;
}

function newUuid() {
  return "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx".replace(/[xy]/g, (c) => {
    const random = Math.floor(Math.random() * 16);
    return (c === "x" ? random : (random & 3) | 8).toString(16);
  });
}

function newDate() {
  return new Date().toISOString();
}

function percentEncoded(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => "%" + c.charCodeAt(0).toString(16).toUpperCase());
}

/** Encodes only what a URL may not contain as it is. */
function legal(text) {
  return text.replace(/[^\x21-\x7e]+|["<>\\^`{|}]/g, percentEncoded);
}

function address(text, query) {
  let out = legal(text.split("#")[0]);
  if (!out.startsWith("/")) out = "/" + out;
  for (const [name, value] of query || []) {
    if (!out.endsWith("?")) out += out.includes("?") ? "&" : "?";
    out += legal(name) + "=" + percentEncoded(value);
  }
  return out;
}

function form(fields) {
  return fields.map(([name, value]) => name + "=" + percentEncoded(value)).join("&");
}

function basic(user, password) {
  return "Basic " + encoding.b64encode(user + ":" + password);
}

/** RFC 7578; k6's own multipart bodies keep neither the order of the parts nor two parts of one name. */
function multipart(boundary, parts) {
  const pieces = [];
  const quoted = (text) => text.replace(/"/g, "%22").replace(/\r/g, "%0D").replace(/\n/g, "%0A");
  for (const [name, content] of parts) {
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"`;
    if (typeof content === "string") {
      pieces.push(utf8(`${head}\r\n\r\n${content}\r\n`));
    } else {
      const { file, type, bytes } = content;
      pieces.push(utf8(`${head}; filename="${quoted(file)}"\r\nContent-Type: ${type}\r\n\r\n`));
      pieces.push(new Uint8Array(bytes), utf8("\r\n"));
    }
  }
  pieces.push(utf8(`--${boundary}--\r\n`));
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole.buffer;
}

function utf8(text) {
  const bytes = [];
  const encoded = encodeURIComponent(text);
  for (let i = 0; i < encoded.length; i++) {
    if (encoded[i] !== "%") {
      bytes.push(encoded.charCodeAt(i));
    } else {
      bytes.push(parseInt(encoded.slice(i + 1, i + 3), 16));
      i += 2;
    }
  }
  return new Uint8Array(bytes);
}

// Looking at answers. `undefined` is: nothing was found.

function header(answer, name) {
  const key = Object.keys(answer.headers).find((h) => h.toLowerCase() === name.toLowerCase());
  return key === undefined ? undefined : answer.headers[key];
}

/** k6 joins headers of one name by a comma. */
function hasHeader(answer, name, value) {
  const found = header(answer, name);
  return found !== undefined && (found === value || found.split(", ").includes(value));
}

function cookie(answer, name, attribute) {
  const found = (answer.cookies[name] || [])[0];
  if (found === undefined) return undefined;
  if (attribute === "Secure") return found.secure || undefined;
  if (attribute === "HttpOnly") return found.http_only || undefined;
  if (attribute === "Path") return found.path || undefined;
  if (attribute === "Domain") return found.domain || undefined;
  return found.value;
}

function text(answer) {
  const charset = /;\s*charset=["' ]*([^"'; ]+)/i.exec(header(answer, "Content-Type") || "");
  if (charset && !["utf-8", "utf8", "us-ascii", "ascii"].includes(charset[1].toLowerCase())) {
    throw new Wrong(`the body's character set is ${charset[1]}; k6 reads utf-8`);
  }
  return (answer.body || "").replace(/^\ufeff/, "");
}

function parsed(json) {
  try {
    return JSON.parse(json);
  } catch (e) {
    throw new Wrong("this is not JSON");
  }
}

function jsonpath(json, path) {
  let value = parsed(textOf("jsonpath", json));
  for (const step of path) {
    const isThere =
      typeof step === "number"
        ? Array.isArray(value) && step < value.length
        : value !== null && typeof value === "object" && !Array.isArray(value) &&
          Object.prototype.hasOwnProperty.call(value, step);
    if (!isThere) return undefined;
    value = value[step];
  }
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw new Wrong("the number is larger than k6 can hold: let the server send it as text");
  }
  return value;
}

function regex(expression, value) {
  const match = expression.exec(textOf("regex", value));
  return match ? match[1] : undefined;
}

// Filters.

function textOf(filter, value) {
  if (typeof value !== "string") throw new Wrong(`${filter} works on text`);
  return value;
}

function listOf(filter, value) {
  if (!Array.isArray(value)) throw new Wrong(`${filter} works on a list`);
  return value;
}

const filters = {
  count: (value) => (value instanceof ArrayBuffer ? value.byteLength : listOf("count", value).length),
  nth: (value, n) => {
    const list = listOf("nth", value);
    const at = n < 0 ? list.length + n : n;
    if (at < 0 || at >= list.length) throw new Wrong("nth looks beyond the list");
    return list[at];
  },
  first: (value) => listOf("first", value)[0],
  last: (value) => listOf("last", value).slice(-1)[0],
  regex: (value, expression) => regex(expression, value),
  replace: (value, from, to) => textOf("replace", value).split(from).join(to),
  replaceRegex: (value, expression, to) => textOf("replaceRegex", value).replace(expression, () => to),
  split: (value, separator) => textOf("split", value).split(separator),
  toInt: (value) => {
    if (typeof value === "number") return Math.trunc(value);
    const number = /^[+-]?\d+$/.test(textOf("toInt", value)) ? Number(value) : NaN;
    if (!Number.isSafeInteger(number)) throw new Wrong("toInt found text that is no whole number");
    return number;
  },
  toFloat: (value) => {
    if (typeof value === "number") return value;
    const isNumber = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(textOf("toFloat", value));
    if (!isNumber) throw new Wrong("toFloat found text that is no number");
    return Number(value);
  },
  toString: written,
  urlDecode: (value) => {
    const whole = textOf("urlDecode", value).replace(/%(?![0-9a-f]{2})/gi, "%25");
    try {
      return decodeURIComponent(whole);
    } catch (e) {
      throw new Wrong("urlDecode gave bytes that are not UTF-8");
    }
  },
  urlEncode: (value) => textOf("urlEncode", value).split("/").map(percentEncoded).join("/"),
  htmlEscape: (value) =>
    textOf("htmlEscape", value).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;"),
  htmlUnescape: (value) =>
    textOf("htmlUnescape", value).replace(/&(?:#x([0-9a-f]+)|#(\d+)|([a-z0-9]+));/gi, (_, hex, decimal, name) => {
      if (hex || decimal) return String.fromCodePoint(parseInt(hex || decimal, hex ? 16 : 10));
      const known = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };
      if (!(name in known)) throw new Wrong(`htmlUnescape does not know &${name}; here`);
      return known[name];
    }),
  jsonpath,
};

// Predicates. `undefined` is: such values cannot be compared, which is wrong with `not` in front as well.

function same(a, b) {
  if (a === b) return true;
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return false;
  const keys = Object.keys(a);
  return (
    Array.isArray(a) === Array.isArray(b) &&
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.prototype.hasOwnProperty.call(b, key) && same(a[key], b[key]))
  );
}

const ifText = (test) => (seen, expected) => (typeof seen === "string" ? test(seen, expected) : undefined);
const ifNumber = (test) => (seen, expected) => (typeof seen === "number" ? test(seen, expected) : undefined);
const isCollection = (seen) => typeof seen === "object" && seen !== null;

const predicates = {
  "==": same,
  "!=": (seen, expected) => !same(seen, expected),
  ">": ifNumber((a, b) => a > b),
  ">=": ifNumber((a, b) => a >= b),
  "<": ifNumber((a, b) => a < b),
  "<=": ifNumber((a, b) => a <= b),
  startsWith: ifText((a, b) => a.startsWith(b)),
  endsWith: ifText((a, b) => a.endsWith(b)),
  contains: ifText((a, b) => a.includes(b)),
  matches: ifText((a, b) => b.test(a)),
  exists: () => true,
  isEmpty: (seen) => {
    if (typeof seen === "string" || Array.isArray(seen)) return seen.length === 0;
    if (seen instanceof ArrayBuffer) return seen.byteLength === 0;
    return isCollection(seen) ? Object.keys(seen).length === 0 : undefined;
  },
  isNumber: (seen) => typeof seen === "number",
  isBoolean: (seen) => typeof seen === "boolean",
  isString: (seen) => typeof seen === "string",
  isCollection,
};

/** Nothing found fits nothing, so that `not exists` holds. */
function holds(seen, not, predicate, expected) {
  const right = seen === undefined ? false : predicates[predicate](seen, expected);
  return right !== undefined && right !== not;
}
