/**
 * The page of a report: one HTML file that needs nothing else, no network and no server. Pure, but for the style and
 * the script beside this file, which are part of the code.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { embedFacts } from "./embed.ts";
import { Html, html } from "./html.ts";
import type { ReportData } from "./model.ts";
import {
  attention,
  cards,
  changes,
  deviceList,
  filterLink,
  notes,
  regionsByModel,
  releases,
  rings,
} from "./sections.ts";

const part = (name: string): string => readFileSync(join(import.meta.dirname, name), "utf8").trim();
const STYLE = part("page.css");
const SCRIPT = part("page.mjs");

/** How the page is shown. */
export interface PageOptions {
  /** Whether a server is behind it, which it asks for newer data. Default false: a file. */
  readonly live?: boolean;
}

/** The page. */
export function renderReport(data: ReportData, { live = false }: PageOptions = {}): string {
  const { fleet, madeAt, madeBy, devices } = data;
  return html`<!doctype html>
<html lang="en"${live ? new Html(" data-live") : ""}>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy(live)}">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<link rel="icon" href="data:,">
<title>${fleet}: fleet report</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<a class="skip" href="#devices">To the devices</a>
<header>
<h1>${fleet}</h1>
<p>${devices.length.toLocaleString("en")} devices in ${data.regions.length} regions, <time id="made" datetime="${madeAt}">${madeAt.slice(0, 16).replace("T", " ")} UTC</time></p>
<p id="age" class="note" hidden></p>
</header>
<main>
${[notes(data), cards(data), attention(data), changes(data), regionsByModel(data), rings(data), releases(data), deviceList(data)]}
</main>
<footer><p>Made by edge-fleet ${madeBy} from the inventory, the stacks and the hub, where it was asked. ${filterLink({}, "All devices")}</p></footer>
${new Html(embedFacts(data))}
<script type="module">${new Html(SCRIPT)}</script>
</body>
</html>
`.source;
}

/** What the browser may load and run: this very script and style. A device's words can never become a program here. */
function policy(live: boolean): string {
  const hash = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  const rules = [
    "default-src 'none'",
    `script-src ${hash(SCRIPT)}`,
    `style-src ${hash(STYLE)}`,
    "img-src data:",
    ...(live ? ["connect-src 'self'"] : []),
    "base-uri 'none'",
    "form-action 'none'",
  ];
  return rules.join("; ");
}
