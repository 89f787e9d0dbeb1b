import { runStack } from "edge-fleet";

export default runStack;
