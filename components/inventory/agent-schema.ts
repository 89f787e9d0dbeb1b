/** The settings of argocd-agent: which release, with certificates of which year, and where a device finds its principal. */
import { z } from "zod";

/** Release of argocd-agent that is installed where none is asked for, on the hub and on devices. */
const AGENT_RELEASE = "v0.10.0";

const ADDRESS = /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:]+$/;

/** `gitops.agent`. */
export const AgentSchema = z
  .strictObject({
    version: z
      .string()
      .regex(/^v\d+\.\d+\.\d+$/, `is not a release of argocd-agent - write e.g. ${AGENT_RELEASE}`)
      .default(AGENT_RELEASE)
      .describe(
        "Release of the agent, and of the principal of the device's region: they refuse each other where they differ",
      ),
    address: z
      .string()
      .max(253)
      .regex(ADDRESS, "is not a host name or IP address - write it without a port")
      .optional()
      .describe("Where devices reach the principal of their region"),
    port: z.int().min(1).max(65535).default(443).describe("Port of the principal"),
    generation: z
      .int()
      .min(2024)
      .max(2099)
      .optional()
      .describe(
        "Year of the certificates of device and principal: write this year, and the next one when a run says that it is due. They are valid from the year before until the end of the third year after it",
      ),
  })
  .optional()
  .describe("The agent that makes the device one of the hub's. Needed with `engine: argocd-agent`");
