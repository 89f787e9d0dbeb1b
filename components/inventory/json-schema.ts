/**
 * JSON Schemas of the inventory files for editors (`# yaml-language-server: $schema=...`), generated from the zod
 * schemas so that they cannot drift from what the loader accepts.
 */
import { z } from "zod";
import { ArtifactsLockSchema, FleetSchema, ModelsSchema, RegionSchema } from "./schema.ts";

const SCHEMAS = {
  "artifacts-lock": ArtifactsLockSchema,
  fleet: FleetSchema,
  models: ModelsSchema,
  region: RegionSchema,
} as const;

/** JSON Schema texts by file name, e.g. `fleet.schema.json`; draft 2020-12, sorted by name. */
export function inventorySchemas(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(SCHEMAS).map(([name, schema]) => {
      const document = z.toJSONSchema(schema, { target: "draft-2020-12", io: "input", unrepresentable: "any" });
      return [`${name}.schema.json`, `${JSON.stringify({ title: `edge-fleet ${name}`, ...document }, null, 2)}\n`];
    }),
  );
}
