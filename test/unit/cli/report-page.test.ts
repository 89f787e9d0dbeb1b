/** The page of a report in a browser: what is shown, filtered, searched and opened, by mouse and keyboard, wide and narrow. */
import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { embedFacts, extractFacts } from "../../../cli/report/embed.ts";
import type { ReportData } from "../../../cli/report/model.ts";
import { renderReport } from "../../../cli/report/render.ts";
import { serveReport } from "../../../cli/report/serve.ts";
import { startBrowser } from "../../browser.ts";
import { temporaryDirectory } from "./inventory.ts";
import { fleetReport, NOW } from "./report-fleet.ts";

const PICTURE = join(import.meta.dirname, "..", "..", "..", "docs", "report.png");
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** A report with one before it, in which some were better, worse, older or not there. */
function changedFleet(devices: number): ReportData {
  const previous = fleetReport({
    devices: devices - 4,
    edit: (row) =>
      row.code === "disk"
        ? { ...row, state: "applied", code: "", reason: "" }
        : row.ring === "canary"
          ? { ...row, release: "v1.35.4+k3s1" }
          : row,
  });
  return fleetReport({ devices, previous: { ...previous, madeAt: "2026-04-30T12:00:00.000Z" } });
}

interface Opened {
  readonly page: Page;
  /** What the browser complained of. */
  readonly complaints: string[];
  readonly file: string;
}

/** @param at what the page takes for now. Null: the real time */
async function open(
  context: TestContext,
  browser: Browser,
  data: ReportData,
  options: BrowserContextOptions = {},
  at: number | null = NOW + 120_000,
): Promise<Opened> {
  const file = join(temporaryDirectory(context), "report.html");
  writeFileSync(file, renderReport(data));
  const page = await (await browser.newContext({ viewport: { width: 1200, height: 800 }, ...options })).newPage();
  const complaints = listen(page);
  if (at !== null) await page.clock.setFixedTime(at);
  await page.goto(pathToFileURL(file).href);
  return { page, complaints, file };
}

function listen(page: Page): string[] {
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    if (!/^(file|data):/.test(request.url())) complaints.push(request.url());
  });
  return complaints;
}

const found = (page: Page): Promise<string | null> => page.locator("#found").textContent();

/** Waits until the list says what it shows: a link changes the address first, and the list a moment later. */
const shows = (page: Page, text: string): Promise<unknown> =>
  page.waitForFunction(`document.querySelector("#found").textContent === ${JSON.stringify(text)}`);

const focused = (page: Page): Promise<string> => page.evaluate<string>("document.activeElement.textContent");
const ids = (page: Page): Promise<string[]> => page.locator("#list tbody td.id").allTextContents();

test("links, choices and words narrow the list, and the address keeps them", async (context) => {
  const { page, complaints } = await open(context, await startBrowser(context), changedFleet(240));
  await shows(page, "240 of 240 devices");
  assert.equal((await ids(page)).length, 100);
  assert.deepEqual((await ids(page)).slice(0, 3), ["gent-0006", "osaka-0021", "oslo-0019"], "the worst first");

  await page.getByRole("link", { name: "6 pending" }).first().click();
  await shows(page, "6 of 240 devices: state pending");
  assert.equal(await page.evaluate("document.activeElement.id"), "devices-title");
  assert.equal(await page.locator("select[name=state]").inputValue(), "pending");
  await page.locator("select[name=region]").selectOption("osaka");
  await shows(page, "2 of 240 devices: region osaka, state pending");
  await page.reload();
  assert.deepEqual(await ids(page), ["osaka-0015", "osaka-0017"]);
  await page.getByRole("button", { name: "Clear" }).click();
  await shows(page, "240 of 240 devices");

  await page.getByLabel("Search").fill("host KEY pinned");
  assert.deepEqual(await ids(page), ["osaka-0021", "porto-0008"]);
  await page.getByLabel("Search").fill("no such device");
  await shows(page, "0 of 240 devices");
  assert.equal(await page.locator("#list table").count(), 0);
  await page.getByRole("link", { name: "All devices" }).click();
  await shows(page, "240 of 240 devices");
  await page.locator("#attention").locator("a[href*=unreachable]").click();
  await shows(page, "6 of 240 devices: state pending, code unreachable");
  await page.goBack();
  await shows(page, "240 of 240 devices");
  assert.deepEqual(complaints, []);
});

test("the list is put in order by its heads, and goes on by a hundred", async (context) => {
  const { page, complaints } = await open(context, await startBrowser(context), fleetReport({ devices: 240 }));
  await page.getByRole("button", { name: "Device", exact: true }).click();
  assert.equal((await ids(page))[0], "frankfurt-0001");
  assert.equal(await page.locator("th.id").getAttribute("aria-sort"), "ascending");
  await page.getByRole("button", { name: "Device", exact: true }).click();
  assert.equal((await ids(page))[0], "turin-0030");
  await page.getByRole("button", { name: "Show 100 more" }).click();
  assert.equal((await ids(page)).length, 200);
  assert.equal(await focused(page), (await ids(page))[100]);
  await page.getByRole("button", { name: "Show all" }).click();
  assert.equal((await ids(page)).length, 240);
  assert.deepEqual(complaints, []);
});

test("it works by keyboard alone, a device's details too", async (context) => {
  const { page, complaints } = await open(context, await startBrowser(context), fleetReport({ devices: 240 }));
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "To the devices");
  await page.keyboard.press("/");
  await page.keyboard.type("gent-0006");
  assert.deepEqual(await ids(page), ["gent-0006"]);
  await page.locator("#list tbody button").focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "gent-0006" });
  assert.match((await dialog.textContent()) ?? "", /disk.*free some.*edge-fleet logs gent-0006/s);
  assert.equal(await focused(page), "Close");
  await page.keyboard.press("Escape");
  assert.equal(await dialog.count(), 0);
  assert.equal(await focused(page), "gent-0006");
  assert.deepEqual(complaints, []);
});

test("axe finds nothing wrong, in light and dark, wide and narrow, with a dialog open and with an empty fleet", async (context) => {
  const browser = await startBrowser(context);
  const narrow = { viewport: { width: 400, height: 800 } };
  const cases: [ReportData, BrowserContextOptions, "details"?][] = [
    [changedFleet(240), { colorScheme: "light" }],
    [changedFleet(240), { colorScheme: "dark" }],
    [
      { ...changedFleet(240), problems: ["stack oslo cannot be read: no answer"] },
      { colorScheme: "dark", ...narrow },
    ],
    [fleetReport({ devices: 20, withHealth: false }), { colorScheme: "light", ...narrow }, "details"],
    [fleetReport({ devices: 0 }), {}],
  ];
  for (const [data, options, details] of cases) {
    const { page, complaints } = await open(context, browser, data, { bypassCSP: true, ...options });
    if (details) await page.locator("#list tbody button").first().click();
    await page.addScriptTag({ path: AXE });
    const { violations } = await page.evaluate<{ violations: { id: string; nodes: { html: string }[] }[] }>(
      "axe.run()",
    );
    assert.deepEqual(
      violations.map(({ id, nodes }) => [id, ...nodes.map((node) => node.html)]),
      [],
    );
    assert.deepEqual(complaints, []);
    await page.context().close();
  }
});

test("at 400 pixels nothing goes beyond the page, and on paper there is no form", async (context) => {
  const browser = await startBrowser(context);
  const { page, complaints } = await open(context, browser, changedFleet(240), {
    viewport: { width: 400, height: 800 },
  });
  const widest = () => page.evaluate<number>("document.documentElement.scrollWidth");
  assert.equal(await widest(), 400);
  assert.ok(await page.locator("#list td.reason").first().isVisible());
  await page.locator("#list tbody button").first().click();
  assert.equal(await widest(), 400);
  await page.keyboard.press("Escape");
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  assert.ok(!(await page.locator("#filters").isVisible()));
  assert.equal(await page.evaluate("getComputedStyle(document.body).backgroundColor"), "rgb(255, 255, 255)");
  assert.deepEqual(complaints, []);
});

test("words of a device stay words", async (context) => {
  const evil = `</script><script>document.title="broken"</script><img src=x onerror='document.title="broken"'>`;
  const data = fleetReport({
    devices: 20,
    edit: (row) =>
      row.state === "failed" || row.ring === "canary" ? { ...row, state: "failed", code: "<b>", reason: evil } : row,
  });
  const { page, complaints } = await open(context, await startBrowser(context), data);
  await page.locator("#list tbody button").first().click();
  assert.match((await page.getByRole("dialog").textContent()) ?? "", /<img src=x/);
  assert.equal(await page.title(), "acme: fleet report");
  assert.deepEqual(complaints, []);
  assert.deepEqual(extractFacts(renderReport(data))?.devices, data.devices);
});

test("five thousand devices stay small and open at once", async (context) => {
  const data = changedFleet(5_000);
  const { page, complaints, file } = await open(context, await startBrowser(context), data, {}, null);
  const bytes = statSync(file).size;
  assert.ok(bytes < 2_000_000, `${bytes} bytes`);
  const opened = await page.evaluate<number>("performance.getEntriesByType('navigation')[0].loadEventEnd");
  const narrowed = await page.evaluate<number>(`(() => {
    const search = document.querySelector("input[type=search]");
    const begin = performance.now();
    search.value = "osaka-0421";
    search.form.dispatchEvent(new Event("input"));
    return performance.now() - begin;
  })()`);
  assert.deepEqual(await ids(page), ["osaka-0421"]);
  context.diagnostic(
    `${Math.round(bytes / 1024)} KiB, of it data ${Math.round(embedFacts(data).length / 1024)} KiB; opened in ${Math.round(opened)} ms, searched in ${Math.round(narrowed)} ms`,
  );
  assert.deepEqual(complaints, []);
});

test("a served page shows what is newer, keeps its filter, and says when the server has ended", async (context) => {
  const first = fleetReport({ devices: 20 });
  const next = fleetReport({ devices: 21 });
  const made = [{ ...next, madeAt: "2026-05-01T12:00:30.000Z" }];
  const make = async (): Promise<ReportData> => made.pop() ?? Promise.reject(new Error("the backend does not answer"));
  const server = await serveReport({ port: 0, first, make, freshMs: 0 });
  context.after(server.close);
  const page = await (await (await startBrowser(context)).newContext()).newPage();
  await page.clock.install({ time: NOW });
  await page.goto(`${server.url}#ring=canary`);
  assert.equal(await found(page), "2 of 20 devices: ring canary");
  await runUntil(page, async () => (await found(page)) === "3 of 21 devices: ring canary");
  const note = async (): Promise<string> => (await page.locator("#age").textContent()) ?? "";
  await runUntil(page, async () => (await note()).includes("it cannot be made anew: the backend does not answer"));
  await server.close();
  await runUntil(page, async () => (await note()).includes("edge-fleet report --serve has ended"));
});

/** Lets the page's clock run in steps until something is so: what it asks the server for takes real time. */
async function runUntil(page: Page, condition: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    // It may be about to load anew.
    await page.clock.runFor(10_000).catch(() => {});
    if (await condition()) return;
    await delay(50);
  }
  assert.fail("the page never got there");
}

test("the server answers this machine alone, by its own name", async (context) => {
  const { promise: never } = Promise.withResolvers<ReportData>();
  const server = await serveReport({ port: 0, first: fleetReport({ devices: 20 }), make: () => never });
  context.after(server.close);
  const status = async (path: string, init?: RequestInit): Promise<number> =>
    (await fetch(new URL(path, server.url), init)).status;
  assert.equal(await status("/"), 200);
  assert.equal(await status("/etc/passwd"), 404);
  assert.equal(await status("/", { method: "POST" }), 405);
  assert.equal(await hostStatus(server.url, "evil.example.com"), 403);
  const { port } = new URL(server.url);
  await assert.rejects(serveReport({ port: 70_000, first: fleetReport({ devices: 1 }), make: () => never }), {
    message: "70000 is no port - give --serve one from 1 to 65535, or none",
  });
  await assert.rejects(serveReport({ port: Number(port), first: fleetReport({ devices: 1 }), make: () => never }), {
    message: `port ${port} cannot be used: EADDRINUSE - give another one to --serve, or none`,
  });
});

function hostStatus(url: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(url, { headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).on("error", reject);
  });
}

test("the picture of the README is one of this page", async (context) => {
  const wide = { viewport: { width: 1000, height: 1600 } };
  const { page } = await open(context, await startBrowser(context), changedFleet(48), wide);
  const { y = 0, height = 0 } = (await page.locator("#rings").boundingBox()) ?? {};
  const picture = await page.screenshot({ clip: { x: 0, y: 0, width: 1000, height: Math.ceil(y + height + 16) } });
  if (process.env.UPDATE_GOLDEN === "1") writeFileSync(PICTURE, picture);
  const [kept, drawn] = [readFileSync(PICTURE), picture].map((bytes) => [
    bytes.readUInt32BE(16),
    bytes.readUInt32BE(20),
  ]);
  assert.equal(kept?.[0], drawn?.[0]);
  const taller = (kept?.[1] ?? 0) / (drawn?.[1] ?? 1);
  assert.ok(taller > 0.8 && taller < 1.25, `${taller}: npm test -- --update draws it anew`);
});
