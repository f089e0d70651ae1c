// The panels of the overview, in their order. A new panel is one file and one line here.
import { Cost } from "./cost.js";
import { Errors } from "./errors.js";
import { Latency } from "./latency.js";
import { Live } from "./live.js";
import { Models } from "./models.js";
import { Tokens } from "./tokens.js";
import { Traffic } from "./traffic.js";
import { Users } from "./users.js";

export const PANELS = [Traffic, Errors, Latency, Tokens, Cost, Users, Models, Live];
