/**
 * JSON Schemas of the inventory files for editors (`# yaml-language-server: $schema=...`), generated from the zod
 * schemas so that they cannot drift from what the loader accepts.
 */
import { z } from "zod";
import { RegionLockSchema } from "./lock-schema.ts";
import { ArtifactsLockSchema, FleetSchema, ModelsSchema, RegionSchema } from "./schema.ts";

const SCHEMAS = {
  "artifacts-lock": ArtifactsLockSchema,
  fleet: FleetSchema,
  models: ModelsSchema,
  region: RegionSchema,
  "region-lock": RegionLockSchema,
} as const;

/** The parts of a JSON Schema that are changed here. */
interface Node {
  default?: unknown;
}

/**
 * The JSON Schema of what may be written. That a map of settings may be left out wholly (its default is `{}`, filled in by
 * its fields) is said by its not being required.
 */
export function inputSchema(schema: z.ZodType): object {
  const withoutEmptyMaps = ({ jsonSchema }: { jsonSchema: Node }): void => {
    if (JSON.stringify(jsonSchema.default) === "{}") delete jsonSchema.default;
  };
  return z.toJSONSchema(schema, {
    target: "draft-2020-12",
    io: "input",
    unrepresentable: "any",
    override: withoutEmptyMaps,
  });
}

/** JSON Schema texts by file name, e.g. `fleet.schema.json`; draft 2020-12, sorted by name. */
export function inventorySchemas(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(SCHEMAS).map(([name, schema]) => {
      const document = { title: `edge-fleet ${name}`, ...inputSchema(schema) };
      return [`${name}.schema.json`, `${JSON.stringify(document, null, 2)}\n`];
    }),
  );
}
