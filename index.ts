/** The Pulumi program of this checkout. In a repository of your own the import is from "edge-fleet". */
import { runStack } from "./components/index.ts";

export default runStack;
