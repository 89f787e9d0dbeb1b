/** The overview for people: the same sections as plain text or as Markdown. */

import type { Connection } from "./connections.ts";
import { renderMermaid } from "./mermaid.ts";
import { type Count, type Overview, plural, type RegionOverview, type RingOverview } from "./model.ts";

/** A heading and its bullets. */
interface Section {
  readonly title: string;
  readonly bullets: readonly string[];
}

/** Plain text: headings in capitals, bullets, the source of the picture last. */
export function renderText(overview: Overview): string {
  const sections = sectionsOf(overview, (text) => text).map(
    ({ title, bullets }) => `${title.toUpperCase()}\n${bullets.map((line) => `  - ${line}\n`).join("")}`,
  );
  const picture = renderMermaid(overview).replace(/^(?=.)/gm, "  ");
  return `${[...sections, `PICTURE (Mermaid)\n${picture}`].join("\n")}`;
}

/** Markdown, with the picture on top. */
export function renderMarkdown(overview: Overview): string {
  const sections = sectionsOf(overview, (text) => `\`${text}\``).map(
    ({ title, bullets }) => `## ${title}\n\n${bullets.map((line) => `- ${line}\n`).join("")}`,
  );
  const picture = `\`\`\`mermaid\n${renderMermaid(overview)}\`\`\`\n`;
  return [`# Fleet ${overview.fleet}\n`, picture, ...sections].join("\n");
}

/** @param code how a name is set off from the words around it */
function sectionsOf(overview: Overview, code: (text: string) => string): Section[] {
  const { devices, enrolled, clusters, regions, git, hub } = overview;
  const list = (counts: readonly Count[]): string =>
    counts.map(({ name, devices: own }) => `${own} ${code(name)}`).join(", ") || "none";
  const connection = ({ peer, port, purpose, devices: own }: Connection): string =>
    `${code(port)} ${peer}: ${purpose} (${deviceCount(own)})`;
  return [
    {
      title: "Fleet",
      bullets: [
        `${code(overview.fleet)}: ${deviceCount(devices)} in ${plural(regions.length, "region")}, ${plural(clusters, "cluster")}; ${enrolled} enrolled, ${devices - enrolled} pending`,
        `Git: ${code(git.url)}, branch ${code(git.branch)}, folder ${code(git.path)}`,
        hub === undefined
          ? "hub: none"
          : `hub: stack ${code(hub.stack)}, Argo CD ${code(hub.argocd)}, ${plural(regions.length, "control plane")}, one per region`,
        `engines: ${list(overview.engines)}`,
        `Kubernetes: ${list(overview.distributions)}`,
        `WebAssembly: ${list(overview.wasm)}`,
        `binaries: ${list(overview.delivery)}`,
        `hardening: ${list(overview.security)}`,
        `workloads beside the overlays: ${overview.workloads.map(code).join(", ") || "none"}`,
      ],
    },
    { title: "Regions", bullets: orNone(regions.map((region) => regionBullet(region, list, code))) },
    {
      title: "Models",
      bullets: orNone(
        overview.models.map(
          ({ name, architecture, memoryMiB, devices: own }) =>
            `${code(name)}: ${architecture}, ${memoryMiB} MiB, ${deviceCount(own)}`,
        ),
      ),
    },
    {
      title: "Rings, in the order of a promotion",
      bullets: overview.rings.map((ring) => ringBullet(ring, list, code)),
    },
    { title: "Ports open on a device", bullets: orNone([...overview.inbound, ...overview.site].map(connection)) },
    { title: "Connections that a device opens", bullets: orNone(overview.outbound.map(connection)) },
    {
      title: "When the link drops",
      bullets: orNone(overview.offline.map(({ what, devices: own }) => `${what} (${deviceCount(own)})`)),
    },
    {
      title: "Blast radius: the most that one fault reaches",
      bullets: overview.blastRadius.map(({ name, devices: own }) => `${name}: ${deviceCount(own)}`),
    },
  ];
}

function regionBullet(
  region: RegionOverview,
  list: (counts: readonly Count[]) => string,
  code: (text: string) => string,
): string {
  const { name, namespace, devices, enrolled, clusters, models, rings, engines, distributions, jumpHosts } = region;
  const parts = [
    `${deviceCount(devices)}${clusters === devices ? "" : ` in ${plural(clusters, "cluster")}`}, ${enrolled} enrolled`,
    `control plane ${code(namespace)}`,
    ...(devices === 0
      ? []
      : [`models ${list(models)}`, `rings ${list(rings)}`, `engines ${list(engines)}`, list(distributions)]),
    ...(jumpHosts.length === 0 ? [] : [`through ${jumpHosts.map(code).join(", ")}`]),
  ];
  return `${code(name)}: ${parts.join("; ")}`;
}

function ringBullet(
  ring: RingOverview,
  list: (counts: readonly Count[]) => string,
  code: (text: string) => string,
): string {
  const { name, revision, devices, share, cumulativeShare, regions, models } = ring;
  const commit = revision === null ? "deploys nothing yet" : `deploys ${code(revision.slice(0, 12))}`;
  const reach = devices === 0 ? "" : `; regions ${list(regions)}; models ${list(models)}`;
  return `${code(name)}: ${commit}; ${deviceCount(devices)}, ${share} % of the fleet, ${cumulativeShare} % with the rings before it${reach}`;
}

function orNone(bullets: readonly string[]): readonly string[] {
  return bullets.length === 0 ? ["none"] : bullets;
}

function deviceCount(devices: number): string {
  return plural(devices, "device");
}
