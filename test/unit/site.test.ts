/** The documents as a site: built as `npm run docs` does, followed link by link, and searched in a browser. */
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { dirname, extname, join, normalize, relative } from "node:path";
import { before, test } from "node:test";
import { runProgram } from "../../cli/process.ts";
import { startBrowser } from "../browser.ts";
import { processFolder } from "../temporary.ts";
import { serve } from "./cli/http-server.ts";

const REPOSITORY = join(import.meta.dirname, "..", "..");
const SITE = processFolder("site");
const TYPES: Readonly<Record<string, string>> = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

before(async () => {
  const vitepress = join(REPOSITORY, "node_modules", "vitepress", "bin", "vitepress.js");
  const built = await runProgram(process.execPath, [vitepress, "build", "docs", "--outDir", SITE], {
    ...{ cwd: REPOSITORY, timeoutMs: 300_000, maxOutputBytes: 1_000_000 },
  });
  assert.equal(built.exitCode, 0, built.stdout + built.stderr);
});

const read = (path: string): string => readFileSync(join(SITE, path), "utf8");
const pages = (): string[] => globSync("**/*.html", { cwd: SITE }).filter((path) => path !== "404.html");

/** The page of a document. */
const pageOf = (path: string): string => path.replace(/^README\.md$/, "index.md").replace(/md$/, "html");

test("every document is a page, and the menu of each leads to all", () => {
  const documents = globSync(["*.md", "docs/*.md"], { cwd: REPOSITORY }).map(pageOf).sort();
  const written = pages().filter((path) => path !== "LICENSE.html");
  assert.deepEqual(written.sort(), documents);
  for (const path of written) {
    const [, menu = ""] = /<aside class="VPSidebar"(.*?)<\/aside>/s.exec(read(path)) ?? [];
    const linked = [...menu.matchAll(/href="\/([^"]*)"/g)].map(([, href = ""]) => (href === "" ? "index.html" : href));
    assert.deepEqual(linked.sort(), documents, path);
  }
});

test("every link and picture of every page leads to a file of the site, and to an anchor in it", () => {
  const dead: string[] = [];
  let followed = 0;
  for (const path of pages()) {
    for (const [, target = ""] of read(path).matchAll(/(?:href|src)="([^"]+)"/g)) {
      if (/^(https?:|data:)/.test(target)) continue;
      followed++;
      const [file = "", anchor] = decodeURI(target).split("#");
      const linked = file === "" ? path : relative(SITE, resolveLink(path, file));
      if (!existsSync(join(SITE, linked))) dead.push(`${path}: ${target}`);
      else if (anchor && !read(linked).includes(`id="${anchor}"`)) dead.push(`${path}: ${target}`);
    }
  }
  assert.deepEqual(dead, []);
  assert.ok(followed > 500, String(followed));
});

function resolveLink(page: string, target: string): string {
  const path = target.startsWith("/") ? join(SITE, target) : normalize(join(SITE, dirname(page), target));
  return target.endsWith("/") ? join(path, "index.html") : path;
}

const searches = [
  { words: "memory cgroup", page: "/docs/operations.html", title: "Raspberry Pi: the memory cgroup" },
  { words: "指紋", page: "/docs/quick-start.ja.html", title: "クイックスタート" },
];

test("the search finds English and Japanese words, and asks no other host", async (context) => {
  const { url: origin } = await serve(context, answerFile);
  const page = await (await startBrowser(context)).newPage();
  const complaints: string[] = [];
  const elsewhere: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("request", (request) => request.url().startsWith(origin) || elsewhere.push(request.url()));
  for (const { words, page: expected, title } of searches) {
    await page.goto(`${origin}/`);
    await page.getByRole("button", { name: "Search" }).click();
    await page.getByRole("searchbox").fill(words);
    const result = page.locator(`#localsearch-list a[href^="${expected}"]`).first();
    await result.waitFor({ timeout: 30_000 });
    await result.click();
    await page.waitForURL(`${origin}${expected}**`);
    await page.locator("main").getByRole("heading", { name: title }).first().waitFor();
  }
  assert.deepEqual([complaints, elsewhere], [[], []]);
});

/** Answers as a plain web server would. */
function answerFile({ url = "/" }: IncomingMessage, response: ServerResponse): void {
  const path = join(SITE, new URL(url, "http://site").pathname);
  const file = path.endsWith("/") ? join(path, "index.html") : path;
  if (!existsSync(file)) return void response.writeHead(404).end();
  response
    .writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" })
    .end(readFileSync(file));
}
