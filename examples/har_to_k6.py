#!/usr/bin/env python3
"""How much of a recording does k6's own conversion replay?

    har_to_k6.py RECORDING.har SCRIPT.js [VUS]

SCRIPT.js is what `har-to-k6` (npm) made of RECORDING.har; the app must run, fresh, where it was recorded. Every VU plays the script
once under the real k6 (PyPI: k6, or $K6). The converted script checks nothing, so its answers are held here against the recorded
ones: request by request the same status, redirects not followed (the recording holds each hop). One line of JSON comes out.
"""
import json, os, re, subprocess, sys, tempfile
from collections import Counter

har, script, vus = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1
entries = json.load(open(har))["log"]["entries"]
hosts = Counter(re.match(r"https?://[^/]+", e["request"]["url"]).group() for e in entries)
app = hosts.most_common(1)[0][0]
# What the browser had in its cache answers 304 only to those who have it, too.
expected = [(e["request"]["method"], e["request"]["url"].split("#")[0], e["response"]["status"]) for e in entries]
expected = [e for e in expected if e[1].startswith(app)]

FORM_DATA = """
class FormData {
  constructor() { this.boundary = 'x' + Math.random().toString(16).slice(2); this.parts = []; }
  append(name, value) { this.parts.push([name, value]); }
  body() {
    const part = ([n, v]) => `--${this.boundary}\\r\\nContent-Disposition: form-data; name="${n}"` +
      (v && v.filename !== undefined ? `; filename="${v.filename}"\\r\\nContent-Type: ${v.content_type || 'application/octet-stream'}` : '') +
      `\\r\\n\\r\\n${v && v.data !== undefined ? v.data : v}\\r\\n`;
    return this.parts.map(part).join('') + `--${this.boundary}--\\r\\n`;
  }
}
"""
text = open(script).read()
# The one module that a converted script loads from the internet, as a local class. Hosts that are not the app are left out.
text = re.sub(r"import \{ FormData \} from '[^']+'", lambda _: FORM_DATA, text)
with tempfile.TemporaryDirectory() as folder:
    patched, out = os.path.join(folder, "script.js"), os.path.join(folder, "out.json")
    open(patched, "w").write(text)
    subprocess.run(
        [os.environ.get("K6", "k6"), "run", "--quiet", "--no-summary", "--max-redirects", "0", "--vus", str(vus), "--iterations", str(vus),
         "--system-tags", "method,url,status,vu,iter", "--out", f"json={out}", patched],
        check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seen = {}
    for line in open(out):
        point = json.loads(line)
        if point["type"] == "Point" and point["metric"] == "http_reqs":
            tags = {**point["data"]["tags"], **point["data"].get("metadata", {})}
            if tags["url"].startswith(app):
                seen.setdefault(tags.get("vu", "1"), []).append((tags["method"], tags["url"].split("#")[0], int(tags["status"])))
right, wrong = 0, Counter()
for played in seen.values():
    # A recorded `If-None-Match` is sent again, so 304 is as good as 200.
    same = lambda want, got: want == got or {want, got} == {200, 304}
    bad = [(want, got) for want, got in zip(expected, played) if not same(want[2], got[2])]
    changes = [(want, got) for want, got in bad if want[0] not in ("GET", "HEAD")]
    right += not bad and len(played) == len(expected)
    if bad:
        want, got = (changes or bad)[0]
        wrong[f"{want[0]} {want[1][len(app):].split('?')[0]}: recorded {want[2]}, got {got[2]}"] += 1
print(json.dumps({"vus": vus, "played": len(seen), "requests": len(expected), "all_as_recorded": right, "first_wrong": wrong.most_common(4)}))
