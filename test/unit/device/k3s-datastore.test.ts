import assert from "node:assert/strict";
import { test } from "node:test";
import { FLEET, problemsOf } from "../inventory/folder.ts";

for (const field of ["datastoreEndpoint", "datastore-endpoint"]) {
  test(`k3s.${field} is refused at its place, with the reason`, () => {
    const [problem = "", ...more] = problemsOf({
      "fleet.yaml": `${FLEET}  ${field}: "sqlite:////var/lib/rancher/k3s/data/k3s.db"\n`,
    });
    assert.ok(problem.startsWith(`fleet.yaml:10:3 k3s.${field}: is not offered: without it K3s opens its own SQLite`));
    assert.ok(problem.endsWith(" - remove it"));
    assert.deepEqual(more, []);
  });
}
