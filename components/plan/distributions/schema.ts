/** What the settings of several distributions are made of. */
import { z } from "zod";

/** An IPv4 network, e.g. `10.42.0.0/16`. */
export const CidrSchema = z.cidrv4({ error: "is not an IPv4 network - write e.g. 10.42.0.0/16" });
