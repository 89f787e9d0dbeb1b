/**
 * The source of a Mermaid flowchart of the fleet. Node ids are made here and never taken from names; names stand in
 * quoted labels. https://mermaid.js.org/syntax/flowchart.html
 */
import { type Count, type Overview, plural, type RegionOverview } from "./model.ts";

/** Regions that are drawn; the rest is one box, since a picture of fifty shows nothing. */
const MAX_REGIONS = 8;

/** Lines without the fence. */
export function renderMermaid(overview: Overview): string {
  const drawn = overview.regions.slice(0, MAX_REGIONS);
  const rest = overview.regions.slice(MAX_REGIONS);
  const agents = drawn.map(({ engines }) =>
    engines.some(({ name }) => overview.hub !== undefined && name === "argocd-agent"),
  );
  const lines = [
    "flowchart LR",
    `  workstation[${label(["workstation", "edge-fleet enroll, up"])}]`,
    `  git[(${label(["Git", overview.git.url, ...overview.rings.map(ringLine)])})]`,
    ...hubBox(overview, drawn, rest.length),
    ...drawn.map((region, index) => `  region${index}[[${label(regionLines(region))}]]`),
    ...(rest.length > 0
      ? [`  regions[[${label([plural(rest.length, "more region"), plural(sum(rest), "device")])}]]`]
      : []),
    ...jumpNodes(drawn),
    ...(overview.hub === undefined ? [] : ["  git -->|ring files| hub"]),
    ...drawn.flatMap((region, index) =>
      edges(region, `region${index}`, agents[index] ? `plane${index}` : undefined, `jump${index}`),
    ),
    ...(rest.length > 0 ? ["  workstation -->|SSH| regions", "  regions -.->|pull| git"] : []),
  ];
  return `${lines.join("\n")}\n`;
}

function hubBox({ hub }: Overview, drawn: readonly RegionOverview[], more: number): string[] {
  if (hub === undefined) return [];
  return [
    `  subgraph hub[${label([`hub, stack ${hub.stack}`, `Argo CD ${hub.argocd}`])}]`,
    ...drawn.map(({ namespace }, index) => `    plane${index}[${label([namespace])}]`),
    ...(more > 0 ? [`    planes[${label([plural(more, "more control plane")])}]`] : []),
    "  end",
  ];
}

function jumpNodes(regions: readonly RegionOverview[]): string[] {
  return regions.flatMap(({ jumpHosts }, index) =>
    jumpHosts.length === 0 ? [] : [`  jump${index}{{${label(["jump host", ...jumpHosts.slice(0, 3)])}}}`],
  );
}

function edges({ jumpHosts }: RegionOverview, region: string, plane: string | undefined, jump: string): string[] {
  const way =
    jumpHosts.length === 0
      ? [`  workstation -->|SSH| ${region}`]
      : [`  workstation -->|SSH| ${jump}`, `  ${jump} -->|SSH| ${region}`];
  return [...way, ...(plane === undefined ? [] : [`  ${region} -.->|mTLS| ${plane}`]), `  ${region} -.->|pull| git`];
}

function regionLines({ name, devices, enrolled, models, engines }: RegionOverview): string[] {
  const pending = devices - enrolled;
  return [
    name,
    `${plural(devices, "device")}${pending > 0 ? `, ${pending} not enrolled` : ""}`,
    ...(models.length > 0 ? [shortCounts(models)] : []),
    ...(engines.length > 0 ? [shortCounts(engines)] : []),
  ];
}

function ringLine({ name, devices, revision }: Overview["rings"][number]): string {
  return `${name}: ${revision === null ? "nothing yet" : revision.slice(0, 12)}, ${plural(devices, "device")}`;
}

function shortCounts(counts: readonly Count[]): string {
  const shown = counts.slice(0, 4).map(({ name, devices }) => `${devices} ${name}`);
  return [...shown, ...(counts.length > 4 ? [`${counts.length - 4} more`] : [])].join(", ");
}

function sum(regions: readonly RegionOverview[]): number {
  return regions.reduce((total, { devices }) => total + devices, 0);
}

/** A quoted label; quotes, angle brackets, `#` and `;` have entity codes of their own. */
function label(lines: readonly string[]): string {
  const escaped = lines.map((line) =>
    line.replace(/[#;"<>`&]/g, (character) => `#${character.charCodeAt(0)};`).replace(/[\r\n]+/g, " "),
  );
  return `"${escaped.join("<br/>")}"`;
}
