/** The sections of the page, each from the report's data to HTML; empty where there is nothing to say. Pure. */
import { formatDuration } from "../rollout/rules.ts";
import { countWords, type WordCount } from "../status/model.ts";
import type { CHANGE_KINDS } from "./changes.ts";
import { type Html, html } from "./html.ts";
import { type ReportData, type ReportDevice, type ReportRing, STATES, splitReason, VERDICTS } from "./model.ts";

/** A filter of the list of devices, as it stands in the page's address after the `#`. */
type Filter = Readonly<Partial<Record<"region" | "model" | "ring" | "state" | "health" | "code" | "release", string>>>;

/** Ids that one line names. */
const NAMED = 8;

/** A link that narrows the list of devices. Empty: to all of them. */
export function filterLink(filter: Filter, text: string | Html): Html {
  const query = new URLSearchParams(filter as Record<string, string>).toString();
  return html`<a href="#${query === "" ? "all" : query}">${text}</a>`;
}

/** What could not be read. */
export function notes({ problems }: ReportData): Html {
  if (problems.length === 0) return html``;
  return html`<section class="problems" aria-label="Not read"><ul>${problems.map((line) => html`<li>${line}</li>`)}</ul></section>`;
}

/** How many devices are in which state, and how healthy they are. */
export function cards({ devices }: ReportData): Html {
  const card = (field: "state" | "health", word: string, count: number): Html =>
    html`<li class="${word}">${filterLink({ [field]: word }, html`<b>${number(count)}</b> ${word}`)}</li>`;
  const row = (field: "state" | "health", words: readonly string[], label: string): Html => {
    const counts = countWords(devices, field, words);
    if (counts.length === 0) return html``;
    return html`<div><h3>${label}</h3><ul class="cards">${counts.map(([word, found]) => card(field, word, found))}</ul></div>`;
  };
  const groups = [
    row("state", STATES, "By the last run"),
    row("health", VERDICTS, "By its own answer or the hub's, against the commit of the ring"),
  ];
  const none = devices.length === 0 ? html`<p>The inventory has no device yet.</p>` : "";
  return section("now", "Now", [html`<div class="groups">${groups}</div>`, html`${none}`]);
}

/** Verdicts that need somebody, with what they mean and what to do. */
const UNWELL = {
  failed:
    "it runs the commit of its ring, and not all of it is well - look with edge-fleet kubeconfig <device> --exec kubectl get pods -A",
  lost: "it has been silent since its ring was promoted - look with edge-fleet doctor <device>, and roll the ring back where there are many",
  behind:
    "it answers and runs another commit than its ring - wait, and look with edge-fleet logs <device> where it stays so",
  unknown: "it does not answer, or its last answer is too old to say how it is - look with edge-fleet doctor <device>",
} as const satisfies Partial<Record<ReportDevice["health"], string>>;

/** Devices that failed, wait or are unwell, those with the same reason on one line. */
export function attention({ devices }: ReportData): Html {
  const waiting = STATES.slice(0, STATES.indexOf("applied")).flatMap((state) => {
    const groups = Map.groupBy(
      devices.filter((device) => device.state === state),
      ({ code, reason }) => `${code}\n${reason}`,
    );
    return [...groups.values()]
      .sort((a, b) => b.length - a.length)
      .map((group) => {
        const { code = "", reason = "" } = group[0] ?? {};
        return attentionRow({ state, ...(code === "" ? {} : { code }) }, state, code, reason, group);
      });
  });
  const unwell = Object.entries(UNWELL).flatMap(([health, reason]) => {
    const group = devices.filter((device) => device.health === health);
    return group.length === 0 ? [] : [attentionRow({ health }, health, "", reason, group)];
  });
  const rows = [...waiting, ...unwell];
  const title = "Needs attention";
  if (rows.length === 0) return section("attention", title, [html`<p>Nothing: no device failed, none is pending.</p>`]);
  return section("attention", title, [table(["State", "Devices", "Reason and fix"], rows, title)]);
}

function attentionRow(
  filter: Filter,
  word: string,
  code: string,
  reason: string,
  devices: readonly ReportDevice[],
): Html {
  const { what, fix } = splitReason(reason);
  const told = fix === "" ? "" : html`<p class="fix">${fix}</p>`;
  const ids = named(devices.map(({ id }) => id));
  return html`<tr><td>${badge(word)}</td><td>${filterLink(filter, number(devices.length))}</td><td><p><b>${code}</b> ${what}</p>${told}<p class="ids">${ids}</p></td></tr>`;
}

const KINDS: Readonly<Record<(typeof CHANGE_KINDS)[number], string>> = {
  ...{ worse: "Worse", better: "Better", new: "New", gone: "Gone", release: "Release" },
};

/** What is otherwise than in the report before. */
export function changes({ changes: found }: ReportData): Html {
  if (found === null) return html``;
  const since = html`<p>Since the report of <time datetime="${found.since}">${minute(found.since)}</time>.</p>`;
  if (found.devices.length + found.rings.length === 0)
    return section("changes", "Changed", [since, html`<p>Nothing.</p>`]);
  const devices = found.devices.map(
    ({ kind, was, now, devices: ids }) =>
      html`<tr><td>${KINDS[kind]}</td><td>${number(ids.length)}</td><td>${was === "" ? "" : was} ${was !== "" && now !== "" ? "to" : ""} ${now}<p class="ids">${named(ids)}</p></td></tr>`,
  );
  const ringRows = found.rings.map(
    ({ ring, was, now }) => html`<tr><td>Ring</td><td>${ring}</td><td>${commit(was)} to ${commit(now)}</td></tr>`,
  );
  return section("changes", "Changed", [
    since,
    table(["What", "Devices", "From and to"], [...devices, ...ringRows], "Changed"),
  ]);
}

/** Devices by region and model. */
export function regionsByModel({ regions, devices }: ReportData): Html {
  if (devices.length === 0) return html``;
  const models = [...new Set(devices.map(({ model }) => model))].filter((model) => model !== "").sort();
  const byRegion = Map.groupBy(devices, ({ region }) => region);
  const rows = regions.map(({ name, lastRun, running }) => {
    const own = byRegion.get(name) ?? [];
    const byModel = Map.groupBy(own, ({ model }) => model);
    const cells = models.map((model) => html`<td>${cell({ region: name, model }, byModel.get(model) ?? [])}</td>`);
    const run = running
      ? "a run is at work"
      : lastRun === null
        ? "no run yet"
        : html`last run <time datetime="${lastRun}">${minute(lastRun)}</time>`;
    return html`<tr><th scope="row">${filterLink({ region: name }, name)}<p class="ids">${run}</p></th><td>${cell({ region: name }, own)}</td>${cells}</tr>`;
  });
  return section("regions", "Regions and models", [table(["Region", "All", ...models], rows, "Regions and models")]);
}

function cell(filter: Filter, devices: readonly ReportDevice[]): Html {
  if (devices.length === 0) return html`<span class="none">none</span>`;
  const words = countWords(devices, "state", STATES);
  const troubled = words.filter(([state]) => state !== "applied");
  const parts = troubled.map(
    ([state, found]) => html`<li>${filterLink({ ...filter, state }, `${number(found)} ${state}`)}</li>`,
  );
  return html`${filterLink(filter, html`<b>${number(devices.length)}</b>`)}${bar(words)}${parts.length === 0 ? "" : html`<ul class="parts">${parts}</ul>`}`;
}

/** What each ring runs and how far its devices are. */
export function rings({ rings: all, devices }: ReportData): Html {
  if (all.length === 0) return html``;
  const rows = all.map((ring) => {
    const own = devices.filter((device) => device.ring === ring.name);
    return html`<tr><th scope="row">${filterLink({ ring: ring.name }, ring.name)}</th><td>${commit(ring.revision)}${ring.since === null ? "" : html`<p class="ids">since <time datetime="${ring.since}">${minute(ring.since)}</time></p>`}</td><td>${soak(ring)}</td><td>${progress(ring, own)}</td></tr>`;
  });
  return section("rings", "Rings", [table(["Ring", "Commit", "Soak", "Devices"], rows, "Rings")]);
}

function soak({ soakLeftMs, frozen }: ReportRing): Html {
  const left = soakLeftMs === null ? "" : soakLeftMs === 0 ? "over" : `${formatDuration(soakLeftMs)} left`;
  return html`${left}${frozen === null ? "" : html`<p>${badge("pending", "frozen")} ${frozen}</p>`}`;
}

/** By the verdicts on devices, or, where nobody was asked, by the last run. */
function progress({ name, unwell }: ReportRing, devices: readonly ReportDevice[]): Html {
  const field = unwell === null ? "state" : "health";
  const words = field === "state" ? STATES : VERDICTS;
  const counts = countWords(devices, field, words);
  const parts = counts.map(
    ([word, found]) => html`<li>${filterLink({ ring: name, [field]: word }, `${number(found)} ${word}`)}</li>`,
  );
  const why = (unwell ?? []).map((reason) => html`<p class="ids">${reason}</p>`);
  return html`<b>${number(devices.length)}</b>${bar(counts)}<ul class="parts">${parts}</ul>${why}`;
}

/** Releases that devices run, and that the inventory asks for. */
export function releases({ devices }: ReportData): Html {
  const names = [...new Set(devices.flatMap(({ release, wanted }) => [release, wanted]))].filter((name) => name !== "");
  if (names.length === 0) return html``;
  const rows = names.sort().map((name) => {
    const running = count(devices, "release", name);
    return html`<tr><th scope="row">${name}</th><td>${running === 0 ? "0" : filterLink({ release: name }, number(running))}</td><td>${number(count(devices, "wanted", name))}</td></tr>`;
  });
  return section("releases", "Releases", [table(["Release", "Running", "Wanted by the inventory"], rows, "Releases")]);
}

/** Where the script lists devices. */
export function deviceList({ devices }: ReportData): Html {
  const values = (field: keyof ReportDevice, order: readonly string[] = []): string[] =>
    [...new Set(devices.map((device) => device[field]))]
      .filter((value) => value !== "")
      .sort((a, b) => order.indexOf(a) - order.indexOf(b) || (a < b ? -1 : 1));
  const choices = [
    choice("region", "Region", values("region")),
    choice("model", "Model", values("model")),
    choice("ring", "Ring", values("ring")),
    choice("state", "State", values("state", STATES)),
    choice("health", "Health", values("health", VERDICTS)),
  ];
  return section("devices", "Devices", [
    html`<noscript><p>The list of devices and its filters need JavaScript; all else is above.</p></noscript>
<form id="filters" hidden><label class="search">Search <input type="search" name="q" autocomplete="off" spellcheck="false"></label>${choices}<button type="button">Clear</button></form>
<p id="found" role="status"></p>
<div id="list"></div>
<dialog id="device" aria-labelledby="device-name"></dialog>`,
  ]);
}

function choice(name: string, label: string, values: readonly string[]): Html {
  if (values.length === 0) return html``;
  return html`<label>${label} <select name="${name}"><option value="">all</option>${values.map((value) => html`<option>${value}</option>`)}</select></label>`;
}

function section(id: string, title: string, content: readonly Html[]): Html {
  return html`<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title" tabindex="-1">${title}</h2>${content}</section>
`;
}

/** A table that scrolls by itself where it is wider than the page. */
function table(header: readonly string[], rows: readonly Html[], label: string): Html {
  const head = header.map((text) => html`<th scope="col">${text}</th>`);
  return html`<div class="scroll" role="region" aria-label="${label}, table" tabindex="0"><table><thead><tr>${head}</tr></thead><tbody>${rows}</tbody></table></div>`;
}

/** Parts of a whole as a picture; the numbers stand beside it. */
function bar(parts: readonly WordCount[]): Html {
  const total = parts.reduce((sum, [, found]) => sum + found, 0);
  let left = 0;
  const pieces = parts.map(([word, found]) => {
    const width = (found / total) * 100;
    left += width;
    return html`<rect class="${word}" x="${(left - width).toFixed(2)}" width="${width.toFixed(2)}" height="1"/>`;
  });
  return html`<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">${pieces}</svg>`;
}

function badge(state: string, text: string = state): Html {
  return html`<span class="badge ${state}">${text}</span>`;
}

function commit(revision: string | null): Html {
  return revision === null ? html`nothing` : html`<code title="${revision}">${revision.slice(0, 12)}</code>`;
}

function named(ids: readonly string[]): string {
  return ids.slice(0, NAMED).join(", ") + (ids.length > NAMED ? ` and ${number(ids.length - NAMED)} more` : "");
}

function count(devices: readonly ReportDevice[], field: "release" | "wanted", value: string): number {
  return devices.reduce((sum, device) => sum + (device[field] === value ? 1 : 0), 0);
}

function number(value: number): string {
  return value.toLocaleString("en");
}

/** To the minute, in UTC: the page says so once, and the script writes the reader's own time. */
function minute(time: string): string {
  return `${time.slice(0, 16).replace("T", " ")} UTC`;
}
