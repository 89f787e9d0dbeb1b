/** Headless Chromium for the tests of pages, as Debian's package installs it. */
import type { TestContext } from "node:test";
import { type Browser, chromium } from "playwright-core";

const EXECUTABLE = "/usr/bin/chromium";

/** Without what it would ask of the internet by itself at each start. */
const FLAGS = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * Starts it, until the test ends.
 * @throws Error naming what to install where it is missing: a page that nobody has looked at is not tested
 */
export async function startBrowser(context: TestContext): Promise<Browser> {
  const options = { executablePath: EXECUTABLE, headless: true, args: FLAGS, chromiumSandbox: false };
  const browser = await chromium.launch(options).catch((error: Error) => {
    throw new Error(
      `${EXECUTABLE} cannot be started: ${error.message} - apt-get install --no-install-recommends chromium`,
    );
  });
  context.after(() => browser.close());
  return browser;
}
