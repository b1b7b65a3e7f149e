SELECT attempt, at, uuid, utilisation, memory_mib, power_mw FROM samples WHERE attempt = ? ORDER BY at, uuid
