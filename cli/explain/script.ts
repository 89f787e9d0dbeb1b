/** What is applied to one device as one readable script, for review or for a run by hand. Pure. */
import { renderScript } from "../../components/device/script.ts";
import { type Inventory, resolveProfile, resolveRegion } from "../../components/inventory/index.ts";
import { deviceContexts } from "../../components/plan/contexts.ts";
import { placeholderSecrets } from "../../components/plan/distributions/secrets.ts";
import { renderPayload } from "../../components/plan/payload.ts";

/** The device program and the payload; secrets are placeholders. */
export function deviceScript(inventory: Inventory, device: string): string {
  const profile = resolveProfile(inventory, device);
  const region = resolveRegion(inventory, profile.region);
  const joined = region.some(({ joins }) => joins === device);
  const context = deviceContexts(region, placeholderSecrets(profile, joined)).get(device);
  return renderScript(device, renderPayload(profile, inventory.artifacts, context));
}
