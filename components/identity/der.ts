/**
 * Writes DER (ITU-T X.690), as far as a certificate needs it. Nothing is parsed here, so nothing that somebody else
 * wrote can lead it astray.
 */

/** Wraps a content into a value with this tag. */
function wrap(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const hex = length.toString(16);
  const bytes = Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex");
  return Buffer.concat([Buffer.from([tag, 0x80 | bytes.length]), bytes, content]);
}

/** SEQUENCE. */
export function sequence(...members: readonly Uint8Array[]): Buffer {
  return wrap(0x30, Buffer.concat(members));
}

/** SET of one member: several would have to be sorted. */
export function setOf(member: Uint8Array): Buffer {
  return wrap(0x31, member);
}

/** INTEGER, never negative. @param magnitude big-endian */
export function unsignedInteger(magnitude: Uint8Array): Buffer {
  const start = magnitude.findIndex((byte) => byte !== 0);
  const digits = start < 0 ? Buffer.from([0]) : Buffer.from(magnitude.subarray(start));
  return wrap(0x02, (digits[0] ?? 0) < 0x80 ? digits : Buffer.concat([Buffer.from([0]), digits]));
}

/** BOOLEAN TRUE: DER leaves out FALSE wherever it is the default. */
export const TRUE = wrap(0x01, Buffer.from([0xff]));

/** OBJECT IDENTIFIER. @param dotted e.g. `2.5.4.3` */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return wrap(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(arc: number): number[] {
  const low = arc & 0x7f;
  const groups = [low];
  for (let high = Math.floor(arc / 0x80); high > 0; high = Math.floor(high / 0x80))
    groups.unshift(0x80 | (high & 0x7f));
  return groups;
}

/** UTF8String. */
export function utf8String(text: string): Buffer {
  return wrap(0x0c, Buffer.from(text, "utf8"));
}

/** OCTET STRING. */
export function octetString(content: Uint8Array): Buffer {
  return wrap(0x04, content);
}

/** BIT STRING. @param unused bits at the end of the last byte that do not count. Default 0 */
export function bitString(content: Uint8Array, unused = 0): Buffer {
  return wrap(0x03, Buffer.concat([Buffer.from([unused]), content]));
}

/** UTCTime until 2049, GeneralizedTime from 2050 on, as RFC 5280 section 4.1.2.5 asks. */
export function time(instant: Date): Buffer {
  const digits = instant
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replace(/[-:T]/g, "");
  return instant.getUTCFullYear() < 2050 ? wrap(0x17, Buffer.from(digits.slice(2))) : wrap(0x18, Buffer.from(digits));
}

/** `[number]`, explicit: a value around another one. */
export function explicit(number: number, value: Uint8Array): Buffer {
  return wrap(0xa0 | number, value);
}

/** `[number]`, implicit, of a primitive type: its bytes under another tag. */
export function implicit(number: number, content: Uint8Array): Buffer {
  return wrap(0x80 | number, content);
}
