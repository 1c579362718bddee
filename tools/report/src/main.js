// SPDX-License-Identifier: MIT
// The page of `heapprof report`: the profile that it holds.

import { show } from "./app.js";
import { byId } from "./dom.js";

show(JSON.parse(byId("profile").textContent));
