/** The Pulumi program. The stack's name picks what it is: the fleet's hub, or the region of that name. */
import { runStack } from "./components/index.ts";

export default runStack;
