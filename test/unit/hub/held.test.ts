import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { listHeldObjects } from "../../../components/hub/held.ts";
import { processFolder } from "../../temporary.ts";

const LISTS = "/apis/argoproj.io/v1alpha1/namespaces/argocd-tokyo";
const requests: { url: string; authorization: string | undefined }[] = [];
let status = 200;
let server: Server;
let cluster: { server: string; certificateAuthorityData: string };

/** An API server's answers, as far as they are read: no claim beyond status, items, names and finalizers. */
const ANSWERS: Record<string, object> = {
  [`${LISTS}/applicationsets`]: { items: [{ metadata: { name: "edge-workloads", finalizers: ["x"] } }] },
  [`${LISTS}/applications`]: {
    items: [{ metadata: { name: "waits", finalizers: ["x"] } }, { metadata: { name: "left-behind" } }],
  },
};

before(async () => {
  const directory = processFolder("held");
  const [key, cert] = [join(directory, "key.pem"), join(directory, "cert.pem")];
  const subject = ["-subj", "/CN=hub", "-addext", "subjectAltName=IP:127.0.0.1"];
  const make = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "2"];
  execFileSync("openssl", [...make, ...subject, "-keyout", key, "-out", cert], { stdio: "ignore" });
  server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, ({ url = "", headers }, response) => {
    requests.push({ url, authorization: headers.authorization });
    response.statusCode = status;
    response.end(JSON.stringify(ANSWERS[url]));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cluster = {
    server: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    certificateAuthorityData: readFileSync(cert).toString("base64"),
  };
});
after(() => server.close());

test("what waits for a region's controllers is asked for with its own token; an Application that waits for none is left out", async () => {
  assert.deepEqual(await listHeldObjects(cluster, "tokyo", "the-token"), [
    { kind: "ApplicationSet", name: "edge-workloads" },
    { kind: "Application", name: "waits" },
  ]);
  assert.deepEqual(new Set(requests.map(({ authorization }) => authorization)), new Set(["Bearer the-token"]));
});

test("an account that may not ask is an error that keeps the token to itself", async (t) => {
  status = 403;
  t.after(() => {
    status = 200;
  });
  await assert.rejects(
    listHeldObjects(cluster, "tokyo", "the-token"),
    ({ message }: Error) =>
      /applicationsets answers 403 to the account of region tokyo, .* - restore tokyo\.yaml and run pulumi up --refresh/.test(
        message,
      ) && !message.includes("the-token"),
  );
});

test("a hub with another certificate is asked nothing", async () => {
  const count = requests.length;
  const other = { ...cluster, certificateAuthorityData: Buffer.from("").toString("base64") };
  await assert.rejects(listHeldObjects(other, "tokyo", "the-token"), /https:\S+ does not answer: .*certificate/);
  assert.equal(requests.length, count);
});
