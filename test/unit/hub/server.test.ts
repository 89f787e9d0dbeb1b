import assert from "node:assert/strict";
import { test } from "node:test";
import { openServer, serverOfRegion, serverSecrets } from "../../../components/hub/server.ts";
import { hubOf, loadInventory } from "../../../components/inventory/index.ts";
import { FLEET, inventoryFolder } from "../inventory/folder.ts";

const SSO = "{issuer: https://id.example.com, clientId: argocd, groups: {sre: admin}}";
const withServer = (server: string) => FLEET.replace("hub:\n", `hub:\n  server: ${server}\n`);
const load = (server: string) => loadInventory(inventoryFolder({ "fleet.yaml": withServer(server) }));
const settingsOf = (server: string) => hubOf(load(server).fleet)?.server;
const VALID = `{url: "https://argocd-{region}.example.com", sso: ${SSO}}`;

for (const [name, server, expected] of [
  ["without single sign-on", '{url: "https://a-{region}.example.com"}', /fleet\.yaml:\d+:\d+ hub\.server\.sso: /],
  ["as a mere wish", "true", /fleet\.yaml:\d+:\d+ hub\.server: is a boolean - write a map/],
  [
    "that nobody may use",
    `{url: "https://a-{region}.example.com", sso: ${SSO.replace("{sre: admin}", "{}")}}`,
    /hub\.server\.sso\.groups: names no group - write one/,
  ],
  [
    "without TLS",
    `{url: "http://a-{region}.example.com", sso: ${SSO}}`,
    /hub\.server\.url: is not an https URL without a path/,
  ],
] as const)
  test(`a server ${name} is refused`, () => assert.throws(() => load(server), expected));

test("a server that all regions would share is refused where it is written", () => {
  const files = {
    "fleet.yaml": withServer(`{url: "https://argocd.example.com", sso: ${SSO}}`),
    "kyoto.yaml": "region: kyoto\ndevices: []\n",
    "osaka.yaml": "region: osaka\ndevices: []\n",
  };
  assert.throws(
    () => loadInventory(inventoryFolder(files)),
    /fleet\.yaml:\d+:\d+ hub\.server\.url: each region has its own - write \{region\} where its name stands/,
  );
});

test("a fleet without a server asks for no secret", () => {
  assert.equal(openServer(undefined, {}), undefined);
});

for (const [name, secrets, expected] of [
  [
    "no secret of the client",
    {},
    /^edge-fleet:ssoClientSecret is not set, and hub\.server needs it - pulumi config set --secret/,
  ],
  [
    "a certificate without its key",
    { serverTlsCertificate: "c" },
    /^edge-fleet:serverTlsKey is not set, and its other half is/,
  ],
  ["a key without its certificate", { serverTlsKey: "k" }, /^edge-fleet:serverTlsCertificate is not set/],
] as const)
  test(`a server with ${name} is refused before anyone is asked`, () => {
    const given = { ...(name === "no secret of the client" ? {} : { ssoClientSecret: "s" }), ...secrets };
    assert.throws(
      () => openServer(settingsOf(VALID), given),
      ({ message }: Error) => expected.test(message) || assert.fail(message),
    );
  });

test("each region's server has its own URL, and a certificate that was given", () => {
  const server = openServer(settingsOf(VALID), { ssoClientSecret: "s", serverTlsCertificate: "c", serverTlsKey: "k" });
  assert.ok(server);
  assert.equal(serverOfRegion(server, "tokyo").url, "https://argocd-tokyo.example.com");
  assert.deepEqual(
    serverSecrets(server).map(({ metadata, type, stringData }) => [metadata.name, type, stringData]),
    [
      ["edge-fleet-sso", "Opaque", { clientSecret: "s" }],
      ["argocd-server-tls", "kubernetes.io/tls", { "tls.crt": "c", "tls.key": "k" }],
    ],
  );
});
