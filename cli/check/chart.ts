/**
 * Charts of workloads: a device renders them from the commit that it has, without a network, so all of a chart is in the
 * tree. From its Chart.yaml to what is missing.
 */
import { existsSync, readdirSync } from "node:fs";
import { join, posix } from "node:path";
import type { TreeWorkload } from "../../components/gitops/tree-input.ts";
import { asList, asMap, type TreeProblem } from "../manifests/objects.ts";
import type { TreeSource } from "./source.ts";

const EXACT = /^v?\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$/;

/** Problems of the charts. @param directory the tree's folder */
export function checkCharts(
  directory: string,
  { documents }: TreeSource,
  workloads: readonly TreeWorkload[],
): TreeProblem[] {
  return workloads
    .filter(({ type, state }) => type === "helm" && state !== "removed")
    .flatMap(({ path }): TreeProblem[] => {
      const chart = documents.find((document) => document.path === posix.join(path, "Chart.yaml"));
      const file = posix.join(directory, path, "Chart.yaml");
      if (chart === undefined)
        return [
          { rule: "chart", file, line: 1, column: 1, where: "(file)", message: "is missing - commit the chart there" },
        ];
      const archives = join(directory, path, "charts");
      const names = existsSync(archives) ? readdirSync(archives) : [];
      return asList(asMap(chart.value).dependencies).flatMap((dependency, index) => {
        const { name, version } = asMap(dependency);
        const field = ["dependencies", index];
        if (!EXACT.test(String(version)))
          return [chart.problem("chart", field, `${String(name)} has no exact version - write e.g. 1.2.3`)];
        const archive = `${String(name)}-${String(version)}.tgz`;
        if (names.includes(archive) || names.includes(String(name))) return [];
        return [
          chart.problem(
            "chart",
            field,
            `charts/${archive} is missing, and devices fetch no charts - run helm dependency build, and commit it`,
          ),
        ];
      });
    });
}
