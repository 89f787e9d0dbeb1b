/**
 * Downloads from servers that mean no good, or know no better: more bytes than the lock says, for ever, or a part that was
 * left behind. A device's disk is bounded by what it was told to get.
 */
import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { ARTIFACT_STORE } from "../../components/plan/artifact.ts";
import { countFaults } from "../lab/faults.ts";
import {
  type Device,
  locked,
  lockFor,
  OLD,
  profileWith,
  RELEASES,
  readOutcome,
  sha256,
  underEachShell,
} from "../lab/standins/apply-device.ts";
import { ARTIFACTS } from "../unit/device/profile.ts";

const faults = countFaults();
const fetching = profileWith(OLD, { artifacts: { ...ARTIFACTS, delivery: "fetch", mirror: undefined } });
const BODY = RELEASES[OLD] ?? "";
const PART = `${ARTIFACT_STORE}/${sha256(BODY)}.part`;
const STREAMED = 100_000_000;

/** @returns the address of a server, and the lock that names it */
async function serve(context: TestContext, listener: RequestListener) {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, lock: lockFor(url) };
}

/** Hides curl, so that what the shell has for a wget is taken. */
function withTool(device: Device, tool: string, shell: string): void {
  const hide = "[ ! -e /usr/bin/curl ] || mv /usr/bin/curl /usr/bin/hidden-curl";
  const show = "[ ! -e /usr/bin/hidden-curl ] || mv /usr/bin/hidden-curl /usr/bin/curl";
  const busybox = shell === "busybox" ? "; ln -sf /bin/busybox /usr/bin/wget" : "";
  device.sh(tool === "curl" ? show : `${hide}${busybox}`);
}

underEachShell("downloads", (get, shell) => {
  for (const tool of ["curl", "wget"] as const) {
    test(`${tool}: a mirror that streams for ever fills no disk, and the next run finds it as it was`, (context) =>
      faults.survive("hostile mirror", async () => {
        const { device } = get();
        device.wipe();
        withTool(device, tool, shell);
        let sent = 0;
        const block = Buffer.alloc(65_536, BODY);
        const { lock: hostile } = await serve(context, (request, response) => {
          if (request.method !== "GET") return response.end();
          const more = (): void => {
            while (sent < STREAMED && !response.destroyed) {
              sent += block.length;
              if (!response.write(block)) return void response.once("drain", more);
            }
            if (!response.destroyed) response.end();
          };
          return more();
        });
        const { result, reason } = readOutcome(await device.start(fetching, hostile));
        assert.equal(result, "failed");
        assert.match(
          reason,
          /^size: http\S+ sends more than the \d+ bytes of artifacts\.lock\.yaml - check the mirror/,
        );
        assert.equal(device.sh(`ls -A ${ARTIFACT_STORE}`), "");
        assert.ok(sent < STREAMED / 2, `${sent} bytes were taken from the wire`);
        const { lock: right } = await serve(context, (_request, response) => void response.end(BODY));
        assert.equal(readOutcome(await device.start(fetching, right)).result, "applied");
        device.assertIs(fetching);
      }));

    test(`${tool}: one byte too many is too many, also behind a part of before`, (context) =>
      faults.survive("hostile mirror", async () => {
        const { device, sandbox } = get();
        device.wipe();
        withTool(device, tool, shell);
        const { lock } = await serve(context, (request, response) => {
          const first = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
          const longer = `${BODY}\n`;
          const range = { "content-range": `bytes ${first}-${longer.length - 1}/${longer.length}` };
          response.writeHead(first > 0 ? 206 : 200, first > 0 ? range : {}).end(longer.slice(first));
        });
        sandbox.write(PART, BODY.slice(0, 1000));
        assert.match(readOutcome(await device.start(fetching, lock)).reason, /^size: /);
        assert.equal(device.sh(`ls -A ${ARTIFACT_STORE}`), "");
      }));
  }

  test("what an interrupted download left counts as room for it, and a part that nobody wants any more goes", (context) =>
    faults.survive("full disk", async () => {
      const { device, sandbox } = get();
      device.wipe();
      withTool(device, "curl", shell);
      const body = `${BODY}# ${"x".repeat(200_000)}\n`;
      const { url } = await serve(context, (request, response) => {
        const first = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
        const range = { "content-range": `bytes ${first}-${body.length - 1}/${body.length}` };
        response.writeHead(first > 0 ? 206 : 200, first > 0 ? range : {}).end(body.slice(first));
      });
      const file = locked(body, url);
      device.sh(
        `mkdir -p /var/lib/edge-fleet; mount -t tmpfs -o size=2m small /var/lib/edge-fleet; mkdir ${ARTIFACT_STORE}`,
      );
      try {
        sandbox.write(`${ARTIFACT_STORE}/${sha256(body)}.part`, body.slice(0, 180_000));
        sandbox.write(`${ARTIFACT_STORE}/${"0".repeat(64)}.part`, "of another release");
        const room = Math.ceil((body.length * 4) / 1024) - 80;
        device.sh(`free=$(df -Pk /var/lib/edge-fleet | awk 'NR == 2 { print $4 }')
          dd if=/dev/zero of=/var/lib/edge-fleet/fill bs=1k count=$((free - ${room})) 2>/dev/null`);
        const lock = { k3s: { [OLD]: { amd64: file, arm64: file } } };
        const { result, reason } = readOutcome(await device.start(fetching, lock));
        assert.equal(result, "applied", reason);
        assert.equal(device.sh(`ls -A ${ARTIFACT_STORE}; cat /run/standin-k3s/version`), `${sha256(body)}\n${OLD}`);
      } finally {
        device.sh("systemctl stop k3s; umount -l /var/lib/edge-fleet");
      }
    }));
});
