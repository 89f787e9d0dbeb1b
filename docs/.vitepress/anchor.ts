/** The anchor of a heading as GitHub makes it, so that one link leads to the heading there and on the site. */
export function githubAnchor(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");
}
