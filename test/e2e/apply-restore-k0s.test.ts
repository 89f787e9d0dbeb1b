/** A copy of K0s back in its place: the database with the authorities and the key without which it is useless. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import type { ArtifactsLock } from "../../components/inventory/schema.ts";
import { ARTIFACT_STORE } from "../../components/plan/artifact.ts";
import { renderPayload } from "../../components/plan/payload.ts";
import { Device, pack, profileWith, readOutcome, sha256 } from "../lab/standins/apply-device.ts";
import { k0sStandin } from "../lab/standins/others.ts";
import { Sandbox, type SandboxShell } from "../lab/standins/sandbox.ts";

const VERSION = "v1.36.3+k0s.2";
const TEXT = k0sStandin(VERSION);
const FILE = { url: "http://127.0.0.1:9/k0s", sha256: sha256(TEXT), size: TEXT.length };
const LOCK: ArtifactsLock = { k0s: { [VERSION]: { amd64: FILE, arm64: FILE } } };
const DATA = "/var/lib/k0s";
const KEY = "/etc/k0s/encryption.yaml";

for (const shell of ["dash", "busybox"] satisfies SandboxShell[]) {
  describe(`a copy of K0s under ${shell}`, () => {
    let sandbox: Sandbox;
    let device: Device;
    const base = profileWith("v1.36.2+k3s1");
    const profile = { ...base, distribution: "k0s", k0s: { ...base.k0s, version: VERSION } } as const;
    const apply = () => {
      const { create, stdin } = pack(renderPayload(profile, LOCK));
      return readOutcome(sandbox.run(create, stdin));
    };

    before(async () => {
      sandbox = await Sandbox.start(shell);
      device = new Device(sandbox);
      device.installProgram();
      sandbox.write(`${ARTIFACT_STORE}/${sha256(TEXT)}`, TEXT);
      assert.equal(apply().reason, "");
      device.sh(`chmod 644 ${DATA}/pki/ca.crt; echo first >>${DATA}/db/state.db; ${PROGRAM_PATH} maintain`);
    });
    after(() => sandbox.stop());

    const facts = () =>
      device.sh(`cat ${DATA}/db/state.db ${DATA}/pki/ca.crt ${KEY}; stat -c %a ${DATA}/pki/ca.crt ${KEY}`);

    test("it brings database, authorities and key back, with the modes that the API server needs", () => {
      const before = facts();
      device.sh(
        `mkdir -p ${DATA}/kubelet/pki; : >${DATA}/kubelet.conf; for f in ${DATA}/db/state.db ${KEY}; do echo lost >>$f; done`,
      );
      const restore = () => JSON.parse(device.sh(`${PROGRAM_PATH} restore`)) as Record<string, string>;
      assert.deepEqual([restore().result, facts()], ["restored", before]);
      assert.equal(device.sh(`ls -d ${DATA}/kubelet.conf ${DATA}/kubelet/pki`).split("\n").length, 2);
      assert.equal(apply().result, "unchanged");
      assert.match(device.sh("cat /var/lib/edge-fleet/backups/*-before/db/state.db"), /\nlost$/);

      device.sh(`sleep 1.1; echo other >${DATA}/pki/ca.crt`);
      assert.deepEqual([restore().result, facts()], ["restored", before]);
      const left = `ls -d ${DATA}/kubelet.conf ${DATA}/kubelet/pki 2>/dev/null || :`;
      assert.equal(device.sh(left), "", "the kubelet asks the authority of the copy for a certificate");
      assert.equal(apply().result, "unchanged");
      device.assertTidy();
    });
  });
}
