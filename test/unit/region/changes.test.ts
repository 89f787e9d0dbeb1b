import assert from "node:assert/strict";
import { test } from "node:test";
import { renderMarkdown } from "../../../components/summary.ts";
import type { DialledDevice } from "../../../components/device/state.ts";
import { loadInventory, resolveRegion } from "../../../components/inventory/index.ts";
import type { DevicePlan } from "../../../components/plan/device.ts";
import { describeRunChanges } from "../../../components/region/changes.ts";
import type { DeviceRun } from "../../../components/region/plan.ts";
import { inventoryFolder } from "../inventory/folder.ts";

const PROGRAM = `program: ${"0".repeat(64)}`;
const REGION_FILE = `region: tokyo
devices:
  - { id: tokyo-1, host: 10.0.0.1, model: rpi4-4g }
  - { id: tokyo-2, host: 10.0.0.2, model: rpi4-4g }
  - { id: tokyo-3, host: 10.0.0.3, model: rpi4-4g, labels: { tier: silver } }
`;
