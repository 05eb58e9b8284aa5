// The service itself. Each panel reads for itself; one whose route is not there, or not for this key, is not shown.
import { beginCaches } from "./caches.js";
import { beginDeliveries } from "./all_deliveries.js";
import { beginEndpoints } from "./endpoints.js";
import { beginKeys } from "./keys.js";
import { beginLog } from "./log.js";
import { beginRecovery } from "./recovery.js";
import { beginSettings } from "./settings.js";
import { begin } from "./shell.js";
import { beginSync } from "./sync.js";

begin();
for (const panel of [beginSync, beginLog, beginDeliveries, beginEndpoints, beginRecovery, beginCaches, beginKeys, beginSettings]) panel();
