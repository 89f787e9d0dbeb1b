/**
 * The words of a text for the search. Japanese has no spaces between words, so they are cut as the language does it; names with
 * dots, as `k3s.version`, are one word and their parts too. Names nothing outside of
 * itself: VitePress sends its text to the browser.
 */
export function splitWords(text: string): string[] {
  const segmenter = new Intl.Segmenter("ja", { granularity: "word" });
  const parts = [...segmenter.segment(text)].flatMap(({ segment, isWordLike }) => (isWordLike ? [segment] : []));
  return [...new Set([...parts, ...parts.flatMap((part) => part.split(/[._]/)).filter(Boolean)])];
}
