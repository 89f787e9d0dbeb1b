/** Parts that several of the JSON documents share. */
import { z } from "zod";

/** A text, with what it means. */
export const text = (meaning: string) => z.string().describe(meaning);

/** A number of things, from 0. */
export const count = (meaning: string) => z.int().min(0).describe(meaning);

/** A list of texts. */
export const texts = (meaning: string) => z.array(z.string()).describe(meaning);

/** A point in time. */
export const time = (meaning: string) => z.iso.datetime({ offset: true }).describe(`${meaning}, in RFC 3339`);

/** Why something is as it is: beside a state. */
export const why = {
  code: text("Short and stable, e.g. `unreachable`; empty where all is well"),
  reason: text("`<what> - <fix>`; empty where all is well"),
};

/** How often each word occurs. */
export function counts<const T extends readonly string[]>(words: T) {
  const fields = Object.fromEntries(words.map((word) => [word, count(`How many are ${word}`)]));
  return z.strictObject(fields as Record<T[number], z.ZodInt>).describe("Numbers by state");
}

/** Devices by region and model. */
export const leaves = (meaning: string) =>
  z
    .array(
      z.strictObject({
        region: text("Name of the region"),
        model: text("Name of the model"),
        devices: count("Devices of both"),
      }),
    )
    .describe(meaning);
