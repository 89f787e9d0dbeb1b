/** External tools of the tests, run for real. A tool that is missing fails the test and says how to get it. */
import { spawnSync } from "node:child_process";

const SOURCES: Readonly<Record<string, string>> = {
  kustomize: "go install sigs.k8s.io/kustomize/kustomize/v5@v5.8.0",
  kubeconform: "go install github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0",
  go: "see https://go.dev/doc/install",
};

/**
 * Runs a tool.
 * @returns its standard output
 * @throws Error with what it said when it fails, or how to install it when it is not on PATH
 */
export function runTool(name: string, args: readonly string[], input?: string): string {
  const result = spawnSync(name, args, { encoding: "utf8", input, maxBuffer: 64 * 1024 * 1024 });
  if (result.error !== undefined)
    throw new Error(`${name} is not on PATH, this test needs the real one - ${SOURCES[name] ?? "install it"}`);
  if (result.status !== 0) throw new Error(`${name} ${args.join(" ")} failed:\n${result.stdout}${result.stderr}`);
  return result.stdout;
}
