SELECT spec FROM unit_specs WHERE run = ? AND unit = ?
