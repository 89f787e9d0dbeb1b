/** As whom an API server is asked: each kind of credentials that a kubeconfig may have. */
import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { stringify } from "yaml";
import { readAccess } from "../../../components/hub/api.ts";
import { processFolder } from "../../temporary.ts";

const folder = processFolder("access");
writeFileSync(join(folder, "token"), "from-file\n");
writeFileSync(join(folder, "client.pem"), "client");
const credential = join(folder, "credential");
writeFileSync(
  credential,
  '#!/bin/sh\nprintf \'{"status":{"token":"%s","clientCertificateData":"%s"}}\' "$1" "$CERT"\n',
);
const prose = join(folder, "prose");
writeFileSync(prose, "#!/bin/sh\necho a-secret\n");
for (const program of [credential, prose]) chmodSync(program, 0o755);

const base64 = (text: string) => Buffer.from(text).toString("base64");
const exec = (command: string, more: object = {}) => ({
  exec: { apiVersion: "client.authentication.k8s.io/v1", command, ...more },
});

function write(user: object): string {
  const path = join(folder, "config");
  const cluster = { server: "https://hub:6443/", "certificate-authority-data": base64("CA") };
  const contexts = [{ name: "c", context: { cluster: "k", user: "u" } }];
  const users = [{ name: "u", user }];
  writeFileSync(path, stringify({ "current-context": "c", contexts, clusters: [{ name: "k", cluster }], users }));
  return path;
}

for (const [name, user, expected] of [
  ["a token", { token: "t" }, { token: "t" }],
  ["a file with a token", { tokenFile: "token" }, { token: "from-file" }],
  [
    "a certificate in it and a key beside it",
    { "client-certificate-data": base64("cert"), "client-key": "client.pem" },
    { cert: "cert", key: "client" },
  ],
  [
    "a program",
    exec(credential, { args: ["t"], env: [{ name: "CERT", value: "cert" }] }),
    { token: "t", cert: "cert" },
  ],
  ["nobody", {}, {}],
] as const) {
  test(`a kubeconfig with ${name} is used as it is`, async () => {
    const { server, ca, cert, key, token } = await readAccess(undefined, [write(user)]);
    const found = { token, cert: cert?.toString(), key: key?.toString() };
    assert.deepEqual([server, ca?.toString()], ["https://hub:6443", "CA"]);
    assert.deepEqual(found, { token: undefined, cert: undefined, key: undefined, ...expected });
  });
}

for (const [name, user, expected] of [
  ["that fails", exec("false"), /config: false gives no token \(exit code 1\) - log in and run again$/],
  ["that is not there", exec("/nonexistent"), /config: \/nonexistent gives no token \(exit code ENOENT\)/],
  ["that prints something else", exec(prose), /gives no token \(exit code 0\)/],
] as const) {
  test(`a program for credentials ${name} is named, and what it printed is not told`, async () => {
    await assert.rejects(
      readAccess(undefined, [write(user)]),
      ({ message }: Error) => expected.test(message) && !message.includes("a-secret"),
    );
  });
}
