/**
 * Benchmark: how large what travels to a device is: the device program, which goes there once per release, and per model
 * the remote command, the payload plain and packed, and the script that `edge-fleet script` prints. A payload says the
 * whole desired state, so an apply that changes nothing and one that changes a setting send as much; what both cost on
 * the wire is measured by apply-no-op. Nothing is run: sizes, not times.
 */
import { gzipSync } from "node:zlib";
import { deviceProgram } from "../../components/device/program.ts";
import { renderScript } from "../../components/device/script.ts";
import { packPayload, renderPayload } from "../../components/plan/payload.ts";
import { buildProfile, LOCK, MODELS } from "../unit/device/profile.ts";
import { readMachine } from "./machine.ts";
import { type Figure, printResult } from "./report.ts";

function main(): void {
  const program = deviceProgram().text;
  printResult({
    benchmark: "payload",
    method: `bytes for ${Object.keys(MODELS).length} models with K3s, plain texts in UTF-8`,
    machine: readMachine(),
    figures: [
      {
        name: "device program",
        value: Buffer.byteLength(program),
        unit: "B",
        note: `${program.split("\n").length - 1} lines, ${gzipSync(program).length} B gzipped`,
      },
      ...Object.keys(MODELS).flatMap(figuresOf),
    ],
  });
}

function figuresOf(model: string): Figure[] {
  const profile = buildProfile(MODELS[model]);
  const payload = renderPayload(profile, LOCK);
  const { create, stdin } = packPayload(payload, profile.region);
  const [plain, script] = [payload.text, renderScript(profile.id, payload)].map((text) => Buffer.byteLength(text));
  return [
    {
      name: `${model}: sent per apply`,
      value: create.length + stdin.length,
      unit: "B",
      note: `${create.length} command + ${stdin.length} payload`,
    },
    {
      name: `${model}: payload, plain`,
      value: plain ?? Number.NaN,
      unit: "B",
      note: `${payload.text.split("\n").length - 1} lines`,
    },
    { name: `${model}: script for a person`, value: script ?? Number.NaN, unit: "B" },
  ];
}

main();
