/** A follower that the log cannot catch up any more gets the database. */

import { test } from "vitest";
import { catchUp } from "./support/catch-up.js";

test("a member that was away too long is caught up by a snapshot", () => catchUp(["ours", "ours", "ours"], 2));
