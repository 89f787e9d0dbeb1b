/** The settings of argocd-agent: which release, with certificates of which year, and where a device finds its principal. */
import { z } from "zod";

/** Release of argocd-agent that is installed where none is asked for, on the hub and on devices. */
const AGENT_RELEASE = "v0.10.0";

const ADDRESS = /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:]+$/;

const VersionSchema = z
  .string()
  .regex(/^v\d+\.\d+\.\d+$/, `is not a release of argocd-agent - write e.g. ${AGENT_RELEASE}`);
const AddressSchema = z.string().max(253).regex(ADDRESS, "is not a host name or IP address - write it without a port");
const PortSchema = z.int().min(1).max(65535).default(443);

const NextAgentSchema = z
  .strictObject({
    version: VersionSchema.describe("Release that the region is moved to"),
    address: AddressSchema.describe("Where devices reach its principal"),
    port: PortSchema.describe("Port of that principal"),
    rings: z.array(z.string()).default([]).describe("Rings whose devices are moved"),
  })
  .optional()
  .describe(
    "Another release, whose principal runs beside the first one for as long as this stands. At the end its values are written into the fields above, and it goes",
  );

/** `gitops.agent`. */
export const AgentSchema = z
  .strictObject({
    version: VersionSchema.default(AGENT_RELEASE).describe(
      "Release of the agent, and of the principal of the device's region: they refuse each other where they differ",
    ),
    address: AddressSchema.optional().describe("Where devices reach the principal of their region"),
    port: PortSchema.describe("Port of the principal"),
    generation: z
      .int()
      .min(2024)
      .max(2099)
      .optional()
      .describe(
        "Year of the certificates of device and principals: write this year, and the next one when a run says that it is due. They are valid from the year before until the end of the third year after it",
      ),
    next: NextAgentSchema,
  })
  .optional()
  .describe("The agent that makes the device one of the hub's. Needed with `engine: argocd-agent`");
