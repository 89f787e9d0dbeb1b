/**
 * Benchmark: how large what travels to a device is: the device program, which goes there once per release, and per model
 * the plan that the state keeps, the payload plain and packed, and the script that `edge-fleet explain --script` prints. A payload
 * says the whole desired state, so a dial that changes nothing and one that changes a setting send as much; what both cost
 * on the wire is measured by dial. Nothing is run: sizes, not times.
 */
import { deviceProgram, packText } from "../../components/device/program.ts";
import { renderScript } from "../../components/device/script.ts";
import { payloadText, renderPayload } from "../../components/plan/payload.ts";
import { planText } from "../../components/plan/text.ts";
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
        note: `${program.split("\n").length - 1} lines, ${packText(program).length} B packed`,
      },
      ...Object.keys(MODELS).flatMap(figuresOf),
    ],
  });
}

function figuresOf(model: string): Figure[] {
  const profile = buildProfile(MODELS[model]);
  const payload = renderPayload(profile, LOCK);
  const text = payloadText(payload);
  const bytes = (what: string) => Buffer.byteLength(what);
  return [
    {
      name: `${model}: plan in the state`,
      value: bytes(planText(profile, payload, deviceProgram().sha256)),
      unit: "B",
    },
    { name: `${model}: payload`, value: bytes(text), unit: "B", note: `${text.split("\n").length - 1} lines` },
    { name: `${model}: payload, packed`, value: bytes(packText(text)), unit: "B" },
    { name: `${model}: script for a person`, value: bytes(renderScript(profile.id, payload)), unit: "B" },
  ];
}

main();
