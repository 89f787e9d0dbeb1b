/**
 * What an edit of an inventory file is: which device gets which enrolment, and the text splices that an edit comes down
 * to. Everything outside the splices stays as it is, byte for byte.
 */
import type { Enrolment } from "../enroll/outcome.ts";

/** Writes one enrolment into one device's entry. */
export interface EntryEdit {
  readonly id: string;
  readonly enrolment: Enrolment;
  /** What the entry had when the run began. Another value now means that somebody else wrote it meanwhile. */
  readonly before: { readonly hostKey: string | undefined; readonly identityKey: string | undefined };
}

/** An edited text. */
export interface EditedText {
  readonly text: string;
  /** Messages for edits that were left out, by device id. */
  readonly conflicts: ReadonlyMap<string, string>;
}

/** Replaces `text[start, end)`. */
export interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Applies splices that do not overlap; those at one offset stay in their order. */
export function applySplices(text: string, splices: readonly Splice[]): string {
  const ordered = splices.map((splice, order) => ({ ...splice, order }));
  ordered.sort((a, b) => a.start - b.start || a.order - b.order);
  let result = "";
  let offset = 0;
  for (const { start, end, text: replacement } of ordered) {
    result += text.slice(offset, start) + replacement;
    offset = end;
  }
  return result + text.slice(offset);
}

/**
 * Why an edit cannot be applied to the entry as it is now.
 * @param now the entry's keys in the file; `undefined` when the entry is gone
 */
export function conflictOf(
  edit: EntryEdit,
  now: { readonly hostKey: string | undefined; readonly identityKey: string | undefined } | undefined,
): string | undefined {
  if (now === undefined) return "the entry was removed from the inventory meanwhile - nothing was written for it";
  for (const field of ["hostKey", "identityKey"] as const) {
    if (now[field] !== edit.before[field] && now[field] !== edit.enrolment[field])
      return `${field} was changed in the inventory meanwhile - look at the entry and enrol again`;
  }
  return undefined;
}

/** Line ending of a text: that of its first line. */
export function lineEnding(text: string): "\n" | "\r\n" {
  return /^[^\n]*\r\n/.test(text) ? "\r\n" : "\n";
}
