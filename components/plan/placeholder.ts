/** What stands for a secret where a device's files are only shown or compared. */

/** How a stand-in for a secret begins; a name that no real token or password has. */
export const PLACEHOLDER = "secret-of-edge-fleet.";
