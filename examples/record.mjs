// Records what a person does in an app, by Debian's Chromium: node record.mjs SCENARIO.mjs http://127.0.0.1:8080 OUT.har
// Needs playwright-core (npm) and chromium (Debian); NODE_PATH or a node_modules folder above the scenario finds the first.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { resolve } from "node:path";

const [scenario, base, out] = process.argv.slice(2);
if (!out) {
  console.error("node record.mjs SCENARIO.mjs http://127.0.0.1:PORT OUT.har");
  process.exit(64);
}
const { chromium } = createRequire(resolve("package.json"))("playwright-core");
const { act } = await import(pathToFileURL(resolve(scenario)));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"],
});
const context = await browser.newContext({ recordHar: { path: out, content: "embed" } });
context.setDefaultTimeout(300_000);
const page = await context.newPage();
// A person looks before they act.
const look = () => page.waitForTimeout(400);
try {
  await act({ page, base, look });
  await page.waitForTimeout(500);
  console.log(`recorded ${out}; last page: ${await page.title()} ${page.url()}`);
} catch (error) {
  console.error(`at ${page.url()}: ${error.message}\n${(await page.textContent("body").catch(() => "")).slice(0, 600)}`);
  process.exitCode = 1;
}
await context.close();
await browser.close();
